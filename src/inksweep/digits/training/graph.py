"""The learner on CUDA: its step is recorded as a CUDA graph, once a run, and replayed from then on.

A step is dozens of small kernels, which Python starts more slowly than a GPU computes them; a graph is started as a
whole. What differs from step to step (row numbers, learning rates, the weight of the average) lies on the device for a
whole epoch, and the graph reads it at a position that it moves on itself. So a replay is given nothing, and nothing is
waited for until the loss is read at an evaluation.

That a graph does what the plain step does is not taken on trust: the first replay is compared with a plain step from
the same state. Where they differ, or where the step cannot be recorded, the run says so and takes plain steps.
"""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from inksweep.digits.data.dataset import Batch, Digits, IndexBatches
from inksweep.digits.training.learner import Learner
from inksweep.digits.training.recorder import Recorder, Replay

log = logging.getLogger(__name__)

# Steps in the larger of the two graphs, which is replayed wherever so many are to be taken one after the other.
MANY = 10
# Steps taken, and taken back, before the step is recorded: libraries prepare themselves in the first.
WARM_UP = 2
# Largest difference of a replay from a plain step: as a fraction of what the step changes, and, for rounding, of what
# it changes it in.
TOLERANCE, ROUNDING = 0.02, 1e-6


def obstacle(optimizer: Optimizer, scale_gradients: bool) -> str | None:
    """Return why a step with this optimizer cannot be recorded; None if nothing is known that speaks against it."""
    name = type(optimizer).__name__
    for group in optimizer.param_groups:
        # SGD counts no steps, and reads its learning rate on the device if it is fused.
        if not group.get("capturable") and not (isinstance(optimizer, SGD) and group["fused"]):
            return f"{name} reads its learning rate or counts its steps on the CPU"
    if scale_gradients and not getattr(optimizer, "_step_supports_amp_scaling", False):
        return f"with float16 {name} waits in each step to hear whether its gradients are finite"
    return None


class GraphLearner(Learner):
    """A learner whose steps are replays.

    The first step of a training is a plain one: it makes the optimizer's state, which a graph must find in its place.

    Args:
        parts: as of `Learner`; nothing is known that speaks against the optimizer, by `obstacle`.
        recorder: how a step is recorded.
        options: as of `Learner`.
    """

    def __init__(self, *parts: Any, recorder: Recorder, **options: Any) -> None:
        super().__init__(*parts, **options)
        self._recorder = recorder
        # By the number of steps in each. None: not recorded yet; empty: that is not possible.
        self._replays: dict[int, Replay] | None = None
        # Steps that were asked for and not started, and the epoch of the last of them.
        self._waiting, self._epoch = 0, 0.0

    @property
    def is_replayed(self) -> bool:
        """Whether the step was recorded; False before the second step, too."""
        return bool(self._replays)

    def feed(self, digits: Digits, order: IndexBatches) -> Callable[[int, int], Iterable[int]]:
        """Return a function (epoch, batches to skip) -> the numbers of the rest of the epoch's batches."""
        self._catch_up()
        self._replays = None  # one that was recorded reads the tensors of another call
        self._digits, self._order = digits, order
        # Of the epoch: row numbers of each batch; learning rate of each group, and weight of the average, at each step.
        self._rows = torch.zeros((len(order), order.batch_size), dtype=torch.int64, device=self.device)
        self._numbers = torch.zeros((len(order), len(self.peak_lrs) + 1), device=self.device)
        # Number of the next batch, (1,).
        self.position = torch.zeros(1, dtype=torch.int64, device=self.device)
        # The epoch that was begun last, and the row numbers that were drawn last: of which epoch, and they.
        self._begun, self._drawn = 0, (-1, self._rows)
        return self._begin

    def learn(self, batch: Any, epoch: float) -> int:
        """Take a step on batch number `batch` of the epoch, at the latest when the loss or the state is asked for."""
        if self._replays is None and self.step > 0:
            self._replays = self._recorded(batch, epoch)
        if not self._replays:
            return super().learn(self._gathered(self._rows[batch]), epoch)
        self.step, self.losses, self._epoch = self.step + 1, self.losses + 1, epoch
        self._waiting += 1
        if self._waiting == MANY:
            self._catch_up()
        return self._order.batch_size

    def mean_loss(self) -> float:
        """Return the mean loss of the steps since this was asked last; waits for the device."""
        self._catch_up()
        self._draw(self._begun + 1)  # while the device is busy
        return super().mean_loss()

    def state(self) -> dict[str, Any]:
        """Return tensors and plain values from which `restore` continues to the same bits."""
        self._catch_up()
        return super().state()

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to the moment when `state` was taken; the step is recorded anew, as tensors may be others.

        Raises:
            ValueError: it was taken on another kind of device, where the same numbers cannot be computed.
        """
        super().restore(state)
        self._replays, self._waiting = None, 0

    def _begin(self, epoch: int, skip: int) -> Iterable[int]:
        """Put on the device what differs between the steps of `epoch`; return the numbers of its batches to come."""
        self._catch_up()
        steps, numbers = len(self._order), []
        for step in range(epoch * steps, (epoch + 1) * steps):
            factor = self.schedule(step / steps)
            numbers.append([*(peak * factor for peak in self.peak_lrs), self.ema_weight(step + 1)])
        self._recorder.upload(self._rows, self._draw(epoch))
        self._recorder.upload(self._numbers, torch.tensor(numbers))
        self.position.fill_(skip)
        self._begun = epoch
        return range(skip, steps)

    def _draw(self, epoch: int) -> Tensor:
        """Return the row numbers of all batches of an epoch; asked again, they are not drawn again."""
        if self._drawn[0] != epoch:
            self._drawn = epoch, self._order.whole(epoch)
        return self._drawn[1]

    def _catch_up(self) -> None:
        """Start all steps that wait."""
        if not self._replays:
            return
        for steps in sorted(self._replays, reverse=True):
            while self._waiting >= steps:
                self._replays[steps]()
                self._recorder.keep_pace()
                self._waiting -= steps
        self.set_lr(self._epoch)

    def _take(self, steps: int) -> None:
        """Take the step at the position, and those after it, with nothing from the host: what a graph is made of."""
        for _ in range(steps):
            rows = self._rows.index_select(0, self.position).squeeze(0)
            *lrs, ema_weight = self._numbers.index_select(0, self.position).squeeze(0).unbind()
            for group, lr in zip(self.optimizer.param_groups, lrs, strict=True):
                group["lr"] = lr
            self.take_step(*self._gathered(rows), ema_weight)
            self.position += 1

    def _gathered(self, rows: Tensor) -> Batch:
        return self._digits[rows]

    def _recorded(self, batch: int, epoch: float) -> dict[int, Replay]:
        """Record the step, tried on batch number `batch` at `epoch`; return nothing where that is not possible.

        The state afterwards is that of before.
        """
        self.position.fill_(batch)
        before = Moment(self)
        replays: dict[int, Replay] = {}
        try:
            for _ in range(WARM_UP):
                self._recorder.apart(partial(self._take, 1))
                before.put_back()
            super().learn(self._gathered(self._rows[batch]), epoch)
            expected = before.changes()
            before.put_back()
            for steps in {1, min(MANY, len(self._order))}:
                replays[steps] = self._recorder.record(partial(self._take, steps), self.generator)
            before.need_same_tensors()
            replays[1]()
            before.need_changes(expected)
        except Exception as error:  # of CUDA, of torch, of a part that is not made for it: of many kinds
            log.warning(
                "the training step cannot be a CUDA graph (%s); going on with the plain step, which is slower; "
                "trainer.cuda_graph=false begins with it",
                _first_reason(error),
            )
            log.debug("why the step cannot be a CUDA graph", exc_info=True)
            before.forget_half_a_step()
            replays = {}
        finally:
            before.put_back()
            self.set_lr(epoch)
        return replays


class Moment:
    """All that a step changes, as it is now, to go back to it in the same tensors."""

    def __init__(self, learner: GraphLearner) -> None:
        self._learner = learner
        self._tensors = _changing(learner)
        self._values = {kind: [each.detach().clone() for each in some] for kind, some in self._tensors.items()}
        self._optimizer = {parameter: dict(state) for parameter, state in learner.optimizer.state.items()}
        self._scaler, self._draws = learner.scaler.state_dict(), learner.draws()
        self._counts = learner.step, learner.losses

    def put_back(self) -> None:
        """Make everything as it was."""
        learner = self._learner
        learner.optimizer.state.update({parameter: dict(state) for parameter, state in self._optimizer.items()})
        with torch.no_grad():
            for kind, tensors in self._tensors.items():
                for tensor, value in zip(tensors, self._values[kind], strict=True):
                    tensor.copy_(value)
        learner.scaler.load_state_dict(self._scaler)
        learner.restore_draws(self._draws)
        learner.step, learner.losses = self._counts

    def forget_half_a_step(self) -> None:
        """Remove what a step that was broken off has left in the scaler and the optimizer, besides tensors."""
        learner = self._learner
        learner.scaler = torch.amp.GradScaler(learner.device.type, enabled=learner.scaler.is_enabled())
        for name in ("grad_scale", "found_inf"):
            vars(learner.optimizer).pop(name, None)

    @torch.no_grad()
    def changes(self) -> dict[str, Tensor]:
        """Return by how much numbers of each kind have changed since, (n,); without those that count."""
        return {
            kind: torch.cat([(now - value).flatten() for now, value in zip(tensors, self._values[kind], strict=True)])
            for kind, tensors in self._tensors.items()
            if tensors and tensors[0].is_floating_point()
        }

    def need_same_tensors(self) -> None:
        """Raise RuntimeError if a step has put new tensors in the place of old ones: a replay would still use those."""
        for kind, tensors in _changing(self._learner).items():
            if [id(each) for each in tensors] != [id(each) for each in self._tensors.get(kind, [])]:
                raise RuntimeError(f"each step makes new tensors for its {kind}")

    def need_changes(self, expected: dict[str, Tensor]) -> None:
        """Raise RuntimeError if not about `expected` has changed since; waits for the device."""
        for kind, change in self.changes().items():
            size = torch.cat([value.flatten() for value in self._values[kind]]).norm()
            allowed = TOLERANCE * expected[kind].norm() + ROUNDING * size
            # Of a training that diverges, there is nothing to compare.
            if expected[kind].isfinite().all() and not (change - expected[kind]).norm() <= allowed:
                raise RuntimeError(f"replayed, it changes the {kind} in another way than the plain one")


def _changing(learner: GraphLearner) -> dict[str, list[Tensor]]:
    """Return the tensors that a step changes, by what they are."""
    models = [learner.model] if learner.average is None else [learner.model, learner.average.module]
    tensors: dict[str, list[Tensor]] = {"loss": [learner.loss_sum], "position": [learner.position]}
    for name, model in zip(("", "averaged "), models, strict=False):
        tensors[f"{name}weights"] = list(model.parameters())
        tensors[f"{name}statistics"] = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
        tensors[f"{name}counts"] = [buffer for buffer in model.buffers() if not buffer.is_floating_point()]
    for state in learner.optimizer.state.values():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors.setdefault(f"optimizer's {name}", []).append(value)
    return tensors


def _first_reason(error: BaseException) -> str:
    """Return the first line of the error that all others followed from."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
