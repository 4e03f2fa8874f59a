"""One run: a config becomes parts, the parts are trained, the run directory tells how it went."""

import logging
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import get_original_cwd
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from inksweep.digits import checkpoint, console, tracker
from inksweep.digits.config.parse import load_yaml, parse, plain, stored
from inksweep.digits.config.schema import Config, objective_names
from inksweep.digits.config.trainer import Keep
from inksweep.digits.data import dataset
from inksweep.digits.models import parameter_count
from inksweep.digits.tracker import Csv, Tracker, tracked
from inksweep.digits.training import device, evaluation
from inksweep.digits.training.build import build, build_learner
from inksweep.digits.training.learner import Learner
from inksweep.digits.training.loop import Batch, Plan, Progress, Reporter, Row, Unwatched, train
from inksweep.errors import Diverged, InputError
from inksweep.files import held
from inksweep.paths import RunDir, shown
from inksweep.runs import predictions, provenance, result
from inksweep.runs.metrics import write_metrics

log = logging.getLogger(__name__)


# What the word that ended a training early means for the run. Any other word means `stopped`: the sweep ends.
STATUS_OF_REASON = {None: "completed", "patience": "completed", "pruned": "pruned"}


@dataclass
class Outcome:
    """How a run ended; becomes `result.json`."""

    objective_names: list[str]
    facts: dict[str, Any]
    status: str = "failed"
    reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    error: dict[str, str] | None = None

    @property
    def objective(self) -> float | list[float]:
        """What a sweep ranks by: a number, or one for each of several objectives; NaN for what is not known."""
        known = [self._measured(name) for name in self.objective_names]
        values = [float("nan") if value is None else float(value) for value in known]
        return values[0] if len(values) == 1 else values

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        """Add the time that the block takes to the seconds of `phase`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started

    def fail(self, error: BaseException) -> None:
        """Take note of the exception that ended the run."""
        self.status, self.reason = _status_of(error)
        self.error = result.describe_error(error)

    def as_result(self) -> dict[str, Any]:
        """Return the content of `result.json`."""
        objectives = [{"name": name, "value": self._measured(name)} for name in self.objective_names]
        return {
            "status": self.status,
            "reason": self.reason,
            "objective": objectives[0] if objectives else {"name": None, "value": None},
            **({"objectives": objectives} if len(objectives) > 1 else {}),
            "metrics": self.metrics,
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            **self.facts,
            "error": self.error,
        }

    def _measured(self, name: str) -> float | None:
        """Return the value of an objective, None if it is not known (yet)."""
        others = {"parameters": self.facts.get("parameters"), "seconds/train": self.seconds.get("train")}
        return others[name] if name in others else self.metrics.get(name)


def run(cfg: DictConfig, reporter: Reporter | None = None) -> Outcome:
    """Train as `cfg` says, in the run directory that Hydra gave this job.

    Args:
        cfg: the composed config.
        reporter: who watches; None for a run of its own.

    Returns:
        The outcome of a run that completed, or was pruned or stopped by the reporter.

    Raises:
        InputError: a value or file cannot be used.
        Diverged: the loss became infinite or not a number.
    """
    out = RunDir(Path(HydraConfig.get().runtime.output_dir))
    outcome = Outcome(objective_names(OmegaConf.select(cfg, "objective")), _facts(cfg))
    told: Tracker = Csv()
    with held(out.lock, f"{shown(out.root)}: another process is writing this run; wait for it or stop it"):
        try:
            conf = _settings(cfg, out)
            with outcome.timed("total"):
                with outcome.timed("startup"):
                    told = _tracker(conf, out, outcome.facts)
                _train_and_score(conf, out, outcome, reporter or Unwatched(), told)
        except BaseException as error:
            outcome.fail(error)
            # A trial of a sweep is not to be resumed behind the sweep's back.
            if outcome.reason == "interrupted" and HydraConfig.get().mode is RunMode.RUN:
                log.info("interrupted; go on with: python train.py trainer.resume=%s", shlex.quote(shown(out.root)))
            raise
        finally:
            result.write_result(out, outcome.as_result())
            told.finish(outcome.as_result())
        if outcome.status == "completed" and not conf.trainer.keep_checkpoint:
            out.checkpoint.unlink(missing_ok=True)
        if conf.figures:
            _draw(out, conf)
    return outcome


def _train_and_score(conf: Config, out: RunDir, outcome: Outcome, reporter: Reporter, told: Tracker) -> None:
    facts = outcome.facts
    outcome.objective_names, facts["seed"] = conf.objectives, conf.seed
    facts["trained_on_validation"] = conf.data.train_on_all
    with outcome.timed("startup"):
        place = device.pick(conf.trainer.device.value)
        facts["threads"], facts["device"] = device.set_threads(conf.trainer.threads), device.describe(place)
    with outcome.timed("data"):
        splits = dataset.load(conf.data)
        train_set, val_set, test_set = (part.to(place) for part in (splits.train, splits.val, splits.test))
    with outcome.timed("startup"):
        # After the data: preparing it may draw random numbers, and is done only once.
        device.make_repeatable(place, conf.seed)
        learner = build_learner(conf, place)
        facts["parameters"] = parameter_count(learner.model)
        progress = _restored(learner, out, outcome) if conf.trainer.resume else Progress(conf.objectives[0])
        order = dataset.IndexBatches(len(train_set), conf.data.batch_size, conf.seed, place)
        loader = dataset.loader(train_set, order)
        plan = Plan(conf.trainer.epochs, len(order), conf.trainer.evaluate_every_epochs, conf.trainer.patience)

    def batches(epoch: int, skip: int) -> Iterable[Batch]:
        order.set_epoch(epoch, skip)
        return loader

    def logits(model: nn.Module, digits: dataset.Digits) -> Tensor:
        with outcome.timed("evaluate"):
            to_input = partial(dataset.to_input, mean=conf.data.mean, std=conf.data.std)
            return evaluation.infer(model, digits.images, to_input, conf.data.eval_batch_size)

    def validate(model: nn.Module) -> dict[str, float]:
        return evaluation.metrics(logits(model, val_set), val_set.labels)

    def after_evaluation(row: Row) -> None:
        outcome.metrics = {name: row[name] for name in ("val/loss", "val/accuracy")}
        outcome.seconds["train"] = row["seconds"]
        log.info(console.line(row, plan.epochs))
        told.log(row)
        write_metrics(out, progress.rows)
        state = {"learner": learner.state(), "progress": vars(progress), "seconds": dict(outcome.seconds)}
        checkpoint.save(out.checkpoint, state | {"started": facts["started"]})

    name = type(learner.model).__name__
    counts = f"{facts['parameters']:,} parameters, {len(train_set):,} training images"
    log.info("%s, %s, %s, %d threads -> %s", name, counts, place, facts["threads"], shown(out.root))
    outcome.reason = train(learner, plan, batches, validate, progress, reporter, after_evaluation, console.bar)
    outcome.status = STATUS_OF_REASON.get(outcome.reason, "stopped")
    if outcome.status == "completed":
        _keep(conf, out, outcome, learner, progress, {"val": val_set, "test": test_set}, logits)
    else:  # others are better, or the sweep wants to end: no second is spent on what nobody asks for
        log.info("%s (%s) after epoch %g of %d", outcome.status, outcome.reason, progress.last("epoch"), plan.epochs)


def _keep(
    conf: Config,
    out: RunDir,
    outcome: Outcome,
    learner: Learner,
    progress: Progress,
    splits: dict[str, dataset.Digits],
    logits: Callable[[nn.Module, dataset.Digits], Tensor],
) -> None:
    """Score and save the best weights or the last ones: metrics and weights are of the same moment."""
    kept = progress.rows[-1]
    if conf.trainer.keep is Keep.best and progress.best is not None:
        kept = progress.best
        learner.evaluated.load_state_dict(progress.best_weights)
    answers = {}
    for split, digits in splits.items():
        given = logits(learner.evaluated, digits)
        answers[split] = evaluation.predictions(given, digits.labels)
        measured = evaluation.metrics(given, digits.labels)
        outcome.metrics |= {f"{split}/{name}": value for name, value in measured.items()}
    predictions.save(out.predictions, answers)
    save_model(out.model, learner.evaluated, conf, outcome.metrics)
    accuracies = "val/accuracy {val/accuracy:.2%}  test/accuracy {test/accuracy:.2%}".format(**outcome.metrics)
    log.info("%s  (weights of epoch %g) -> %s", accuracies, kept["epoch"], shown(out.model))
    if conf.data.train_on_all:
        log.info("val/accuracy is of pictures that it was trained on (data.train_on_all): it measures nothing")


def _draw(out: RunDir, conf: Config) -> None:
    """Draw the run, which is over and written down: what goes wrong here costs it nothing."""
    try:
        from inksweep.digits import run_figures  # imports matplotlib
    except Exception as error:  # matplotlib refuses a wrong MPLBACKEND, for one
        log.warning("no figures: matplotlib cannot be imported (%s)", error)
    else:
        run_figures.draw(out, conf)


def save_model(path: Path, model: nn.Module, conf: Config, metrics: dict[str, float]) -> None:
    """Write `model.pt`: the weights, and all that is needed to use them."""
    content = {
        "state_dict": {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()},
        "model": plain(conf.model),
        "preprocess": {"mean": conf.data.mean, "std": conf.data.std, "size": conf.data.size},
        "classes": list(conf.data.classes),
        "metrics": metrics,
    }
    checkpoint.save(path, content)


def _settings(cfg: DictConfig, out: RunDir) -> Config:
    """Return the checked settings: those of `cfg`, or those of the run that `trainer.resume` names."""
    resume = OmegaConf.select(cfg, "trainer.resume")
    if resume is None:
        return parse(cfg)
    if Path(resume).resolve() != out.root.resolve():
        raise InputError(f"trainer.resume={resume}: only for a single run, without -m")
    settings = stored(out)
    settings.trainer.resume = resume
    return parse(settings)


def _tracker(conf: Config, out: RunDir, facts: dict[str, Any]) -> Tracker:
    """Return the tracker of this run, started; a resumed one is described as when it was begun."""
    hydra = HydraConfig.get() if conf.trainer.resume is None else load_yaml(out.hydra).hydra
    return tracker.start(build("tracker", conf.tracker), tracked.describe(conf, hydra, out, facts))


def _restored(learner: Learner, out: RunDir, outcome: Outcome) -> Progress:
    """Put `learner` where its last checkpoint was; return the evaluations up to then, count on from its seconds."""
    if not out.checkpoint.is_file():
        log.info("%s: there is no checkpoint yet; beginning anew", shown(out.root))
        return Progress(outcome.objective_names[0])
    saved = checkpoint.load(out.checkpoint)
    try:
        learner.restore(saved["learner"])
        progress = Progress(**saved["progress"])
        outcome.seconds["total"] = sum(saved["seconds"].values())
        for phase, seconds in saved["seconds"].items():
            outcome.seconds[phase] = outcome.seconds.get(phase, 0.0) + seconds
        outcome.facts["started"] = saved.get("started", outcome.facts["started"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{out.checkpoint}: does not fit this run ({error}); begin a new one") from error
    log.info("%s: going on after epoch %g", shown(out.root), progress.last("epoch"))
    return progress


def _status_of(error: BaseException) -> tuple[str, str]:
    """Return status and reason of a run that ended with `error`."""
    if isinstance(error, Diverged):
        return "pruned", "diverged"
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "stopped", "interrupted"
    return "failed", "oom" if device.is_out_of_memory(error) else type(error).__name__


def _facts(cfg: DictConfig) -> dict[str, Any]:
    """Return what is known of a run before it starts."""
    hydra = HydraConfig.get()
    folders = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    words = [*(word for folder in folders for word in ("--config-dir", folder)), *hydra.overrides.task]
    return {
        "parameters": None,
        "seed": OmegaConf.select(cfg, "seed"),
        "threads": None,
        "device": None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "train.py", *words]),
        "git": provenance.git_state(Path(get_original_cwd())),
        "versions": provenance.versions(),
    }
