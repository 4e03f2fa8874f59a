"""The training loop, and the state that it carries. Read this first.

`train` knows tensors and metrics; where pictures come from, where files go and who watches is up to its arguments.
Its neighbours: learner.py takes one step; build.py makes the learner from a config; evaluation.py measures; run.py, a
folder above, makes the arguments and writes what comes of them into the run directory. The loop knows neither Hydra nor
Optuna: a sweep watches through the `Reporter`.
"""

from __future__ import annotations  # train() stands above the classes that it is given

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from torch import Tensor, nn

from inksweep.digits.training.learner import Learner
from inksweep.errors import Diverged

Row = dict[str, float]
Batch = Any  # what the learner's `feed` gives and its `learn` takes


def train(
    learner: Learner,
    plan: Plan,
    batches: Callable[[int, int], Iterable[Batch]],
    validate: Callable[[nn.Module], dict[str, float]],
    progress: Progress,
    reporter: Reporter,
    after_evaluation: Callable[[Row], None],
    show: Callable[[Iterable[Batch], int], Iterable[Batch]] = lambda stretch, length: stretch,
) -> str | None:
    """Train to the end of the plan, or until the reporter or the plan's patience ends it.

    Args:
        learner: what learns; its `step` says where to begin.
        plan: how long, and when to evaluate.
        batches: (epoch, batches to skip) -> the rest of the epoch's batches, as the learner's `feed` gives them.
        validate: model -> `loss` and `accuracy` on the validation split.
        progress: the evaluations so far; each new one is added.
        reporter: is given each evaluation, asked before the next one whether to go on, and in between whether the
            training was called off; what was trained since the last evaluation is lost then.
        after_evaluation: called with each row once it is in `progress`, to save and print it.
        show: takes the batches up to the next evaluation and their number, and yields them behind a progress bar.

    Returns:
        Why training ended before the plan did: what the reporter returned, or `patience`; None if it did not.

    Raises:
        Diverged: the loss is infinite or not a number.
    """
    stream = _stream(batches, learner, plan)
    evaluation_steps = plan.evaluation_steps()
    for evaluation_step in [step for step in evaluation_steps if step > learner.step]:
        if reason := reporter.should_stop():
            return reason
        if plan.patience is not None and progress.evaluations_since_best >= plan.patience:
            return "patience"

        started, steps, samples = time.perf_counter(), evaluation_step - learner.step, 0
        for batch in show(islice(stream, steps), steps):
            if reason := reporter.called_off():
                return reason
            samples += learner.learn(batch, epoch=learner.step / plan.steps_per_epoch)
        train_loss = learner.mean_loss()  # waits for the device, only here
        seconds = time.perf_counter() - started

        row = {
            "epoch": learner.step / plan.steps_per_epoch,
            "step": learner.step,
            "samples": samples + progress.last("samples"),
            "train/loss": train_loss,
            **{f"val/{name}": value for name, value in validate(learner.evaluated).items()},
            "lr": max(group["lr"] for group in learner.optimizer.param_groups),
            "seconds": seconds + progress.last("seconds"),
            "images_per_second": samples / seconds,
        }
        _check_finite(row)
        progress.add(row, learner.evaluated)
        reporter.report(len(progress.rows), row, len(evaluation_steps))
        after_evaluation(row)
    return None


@dataclass(frozen=True)
class Plan:
    """How long to train and when to evaluate, in batches ("steps") and epochs."""

    epochs: int
    steps_per_epoch: int
    evaluate_every_epochs: float
    # Evaluations without a better one after which training ends; None: never.
    patience: int | None = None

    @property
    def total_steps(self) -> int:
        """Batches in the whole training."""
        return self.epochs * self.steps_per_epoch

    def evaluation_steps(self) -> list[int]:
        """Return the steps after which the model is evaluated, ascending; the last step is always one."""
        count = math.floor(self.epochs / self.evaluate_every_epochs + 1e-9)
        steps = {max(1, round(k * self.evaluate_every_epochs * self.steps_per_epoch)) for k in range(1, count + 1)}
        return sorted({step for step in steps if step < self.total_steps} | {self.total_steps})


@dataclass
class Progress:
    """The evaluations so far, and the best of them."""

    # The column by which a row is better: `val/accuracy`, more is better, or `val/loss`, less is better.
    objective: str = "val/accuracy"
    rows: list[Row] = field(default_factory=list)
    # The best row by the objective, and the weights of that moment.
    best: Row | None = None
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    evaluations_since_best: int = 0

    def last(self, name: str) -> float:
        """Return a value of the last row, 0 before the first."""
        return self.rows[-1][name] if self.rows else 0

    def add(self, row: Row, model: nn.Module) -> None:
        """Take in an evaluation of `model`; the first of equals stays the best."""
        self.rows.append(row)
        if self.best is None or self._better(row, self.best):
            self.best, self.evaluations_since_best = row, 0
            self.best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            self.evaluations_since_best += 1

    def _better(self, row: Row, than: Row) -> bool:
        sign = -1 if self.objective == "val/loss" else 1
        return sign * row[self.objective] > sign * than[self.objective]


class Reporter(Protocol):
    """What watches a training: a sweep that may end it early (inksweep.trial.Reporter), or nothing (Unwatched)."""

    def report(self, step: int, metrics: Mapping[str, float], total: int) -> None:
        """Take note of evaluation number `step`, from 1, of `total` in the plan.

        Evaluations are counted, not batches: trials with batches of different sizes can be compared at equal steps.
        """

    def should_stop(self) -> str | None:
        """Return why training should end now, in a word, or None; asked once after each evaluation."""

    def called_off(self) -> str | None:
        """Return why nobody waits for this training any more, in a word, or None; asked before each batch."""


class Unwatched:
    """The reporter of a single run."""

    def report(self, step: int, metrics: Mapping[str, float], total: int) -> None:
        """Do nothing."""

    def should_stop(self) -> str | None:
        """Never stop."""
        return None

    def called_off(self) -> str | None:
        """Never stop."""
        return None


def _stream(batches: Callable[[int, int], Iterable[Batch]], learner: Learner, plan: Plan) -> Iterator[Batch]:
    """Yield batch after batch, epoch after epoch, from where the learner is."""
    while True:
        before = learner.step
        yield from batches(*divmod(before, plan.steps_per_epoch))
        assert learner.step > before, "an epoch without batches would never end"


def _check_finite(row: Row) -> None:
    for name in ("train/loss", "val/loss"):
        if not math.isfinite(row[name]):
            raise Diverged(
                f"training diverged: {name} is {row[name]} after epoch {row['epoch']:g}; "
                "a lower optimizer.lr or trainer.clip_norm=1 helps"
            )
