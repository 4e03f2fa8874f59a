"""One run: a config becomes parts, the parts are trained, the run directory tells how it went."""

import logging
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from inksweep import command, composed
from inksweep.digits import checkpoint, console
from inksweep.digits import tracker as trackers
from inksweep.digits.config.parse import load_yaml, parse, plain, stored
from inksweep.digits.config.schema import Config, objective_names
from inksweep.digits.config.start import claimed
from inksweep.digits.config.trainer import Keep
from inksweep.digits.data import dataset
from inksweep.digits.models import parameter_count
from inksweep.digits.tracker import Csv, Tracker, tracked
from inksweep.digits.training import device, evaluation, threads
from inksweep.digits.training.build import build, build_learner
from inksweep.digits.training.loop import Plan, Progress, Reporter, Row, Unwatched, train
from inksweep.errors import Diverged, InputError, need_extra
from inksweep.paths import RunDir, shown, typed
from inksweep.runs import predictions, provenance
from inksweep.runs import result as results
from inksweep.runs.metrics import write_metrics
from inksweep.runs.result import Objective, Result, Status
from inksweep.silence import saying

log = logging.getLogger(__name__)


def run(cfg: DictConfig, reporter: Reporter | None = None) -> Result:
    """Train as `cfg` says, in the run directory that Hydra gave this job.

    Args:
        cfg: the composed config.
        reporter: who watches; None for a run of its own.

    Returns:
        The result of a run that completed, or was pruned or stopped by the reporter.

    Raises:
        InputError: a value or file cannot be used.
        Diverged: the loss became infinite or not a number.
    """
    out, result = RunDir(Path(HydraConfig.get().runtime.output_dir)), _begun(cfg)
    tracker: Tracker = Csv()
    with claimed(out):
        composed.keep(cfg)
        try:
            conf = _settings(cfg, out)
            result.objectives = [Objective(name) for name in conf.objectives]
            if conf.figures:
                need_extra("figures=true", "digits", ["matplotlib"])
            with timed(result, "total"):
                with timed(result, "startup"):
                    tracker = _tracker(conf, out, result)
                with saying("preparing data and network"):
                    training = Training(conf, out, result)
                with saying(training.how_far):
                    training.run(reporter or Unwatched(), tracker)
                # A run that was ended early is not measured and has no model.
                if result.status is Status.COMPLETED:
                    with saying("measuring the weights that are kept"):
                        training.keep()
        except BaseException as error:
            _fail(result, error)
            # A trial of a sweep is not to be resumed behind the sweep's back.
            if result.reason == "interrupted" and HydraConfig.get().mode is RunMode.RUN:
                log.info("interrupted; go on with: %s", _go_on(out))
            raise
        finally:
            results.write(out.result, result)
            tracker.finish(result)
        if result.status is Status.COMPLETED and not conf.trainer.keep_checkpoint:
            out.checkpoint.unlink(missing_ok=True)
        if conf.figures:
            with saying("drawing figures"):
                _draw(out, conf)
    return result


class Training:
    """A training: its parts, built as the config says, and what they leave in the run directory.

    Args:
        conf: the settings.
        out: the run directory.
        result: what is known of the run; filled as it becomes known.

    Raises:
        InputError: a part cannot be built, or the data cannot be had.
    """

    def __init__(self, conf: Config, out: RunDir, result: Result):
        self.conf, self.out, self.result = conf, out, result
        result.seed, result.trained_on_validation = conf.seed, conf.data.train_on_all
        with timed(result, "startup"):
            self.device = device.pick(conf.trainer.device.value)
            device.keep_freed_memory()
            result.device = device.describe(self.device)
        with timed(result, "data"):
            splits = dataset.load(conf.data)
            self.train, self.val, self.test = (part.to(self.device) for part in (splits.train, splits.val, splits.test))
            warped = dataset.warped_digits(splits.val) if conf.measures_warped else None
            self.warped = None if warped is None else warped.to(self.device)
        with timed(result, "startup"):
            # After the data: preparing it may draw random numbers, and is done only once.
            device.make_repeatable(self.device, conf.seed)
            self.learner = build_learner(conf, self.device)
            model = self.learner.model
            result.parameters = parameter_count(model)
            worth = threads.worthwhile(model, conf.data.size, conf.data.batch_size)
            result.threads = device.set_threads(conf.trainer.threads, worth)
            self.progress = self._restored() if conf.trainer.resume else Progress(conf.objectives[0])
            order = dataset.IndexBatches(len(self.train), conf.data.batch_size, conf.seed, self.device)
            self.batches = self.learner.feed(self.train, order)
            trainer = conf.trainer
            self.plan = Plan(trainer.epochs, len(order), trainer.evaluate_every_epochs, trainer.patience)

    def run(self, reporter: Reporter, tracker: Tracker) -> None:
        """Train until the plan is done or somebody says stop; the result has the status and the last metrics.

        Raises:
            Diverged: the loss is infinite or not a number.
        """
        result, progress = self.result, self.progress

        def validate(model: nn.Module) -> dict[str, float]:
            return evaluation.metrics(self._logits(model, self.val), self.val.labels) | self._on_warped(model)

        def after_evaluation(row: Row) -> None:
            result.metrics = {name: value for name, value in row.items() if name.startswith("val/")}
            result.seconds["train"] = row["seconds"]
            log.info(console.line(row, self.plan.epochs))
            tracker.log(row)
            write_metrics(self.out, progress.rows)
            self._save_checkpoint()

        name = type(self.learner.model).__name__
        counts = f"{result.parameters:,} parameters, {len(self.train):,} training images"
        log.info("%s, %s, %s, %d threads -> %s", name, counts, self.device, result.threads, shown(self.out.root))
        word = train(self.learner, self.plan, self.batches, validate, progress, reporter, after_evaluation, console.bar)
        result.status, result.reason = results.ending(word)
        # The test split is measured in keep(), which is not called for a run that was ended early.
        if result.status is not Status.COMPLETED:
            epoch, epochs = progress.last("epoch"), self.plan.epochs
            log.info("%s (%s) after epoch %g of %d", result.status.value, result.reason, epoch, epochs)

    def how_far(self) -> str:
        """Return in a line how far the training is; any thread may ask."""
        return console.how_far(self.learner.step, self.plan, self.progress)

    def keep(self) -> None:
        """Score and save the best weights or the last ones: metrics and weights are of the same moment."""
        conf, out, model, progress = self.conf, self.out, self.learner.evaluated, self.progress
        kept = progress.rows[-1]
        if conf.trainer.keep is Keep.best and progress.best is not None:
            kept = progress.best
            model.load_state_dict(progress.best_weights)
        answers = {}
        for split, digits in (("val", self.val), ("test", self.test)):
            logits = self._logits(model, digits)
            answers[split] = evaluation.predictions(logits, digits.labels)
            measured = evaluation.metrics(logits, digits.labels)
            self.result.metrics |= {f"{split}/{name}": value for name, value in measured.items()}
        self.result.metrics |= {f"val/{name}": value for name, value in self._on_warped(model).items()}
        predictions.save(out.predictions, answers)
        save_model(out.model, model, conf, self.result.metrics)
        accuracies = "val/accuracy {val/accuracy:.2%}  test/accuracy {test/accuracy:.2%}".format(**self.result.metrics)
        log.info("%s  (weights of epoch %g) -> %s", accuracies, kept["epoch"], shown(out.model))
        if conf.data.train_on_all:
            log.info("val/accuracy is of pictures that it was trained on (data.train_on_all): it measures nothing")

    def _logits(self, model: nn.Module, digits: dataset.Digits) -> Tensor:
        """Return what `model` makes of `digits`, (n, classes)."""
        data = self.conf.data
        with timed(self.result, "evaluate"):
            to_input = partial(dataset.to_input, mean=data.mean, std=data.std)
            return evaluation.infer(model, digits.images, to_input, data.eval_batch_size)

    def _on_warped(self, model: nn.Module) -> dict[str, float]:
        """Return the accuracy on the warped validation digits, if they are to be measured."""
        if self.warped is None:
            return {}
        return {"warped_accuracy": evaluation.metrics(self._logits(model, self.warped), self.warped.labels)["accuracy"]}

    def _save_checkpoint(self) -> None:
        state = {"learner": self.learner.state(), "progress": vars(self.progress)}
        times = {"seconds": dict(self.result.seconds), "started": self.result.started}
        checkpoint.save(self.out.checkpoint, state | times)

    def _restored(self) -> Progress:
        """Put learner and seconds where the last checkpoint left them; return the evaluations up to then."""
        out, result = self.out, self.result
        if not out.checkpoint.is_file():
            log.info("%s: there is no checkpoint yet; beginning anew", shown(out.root))
            return Progress(self.conf.objectives[0])
        saved = checkpoint.load(out.checkpoint)
        try:
            self.learner.restore(saved["learner"])
            progress = Progress(**saved["progress"])
            result.seconds["total"] = sum(saved["seconds"].values())
            for phase, seconds in saved["seconds"].items():
                result.seconds[phase] = result.seconds.get(phase, 0.0) + seconds
            result.started = saved["started"]
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{out.checkpoint}: does not fit this run ({error}); begin a new one") from error
        log.info("%s: going on after epoch %g", shown(out.root), progress.last("epoch"))
        return progress


@contextmanager
def timed(result: Result, phase: str) -> Iterator[None]:
    """Add the time that the block takes to the seconds of `phase`."""
    started = time.perf_counter()
    try:
        yield
    finally:
        result.seconds[phase] = result.seconds.get(phase, 0.0) + time.perf_counter() - started


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
    if typed(resume, "trainer.resume").resolve() != out.root.resolve():
        raise InputError(f"trainer.resume={resume}: only for a single run, without -m")
    settings = stored(out)
    settings.trainer.resume = resume
    return parse(settings)


def _tracker(conf: Config, out: RunDir, result: Result) -> Tracker:
    """Return the tracker of this run, started; a resumed one is described as when it was begun."""
    hydra = HydraConfig.get() if conf.trainer.resume is None else load_yaml(out.hydra).hydra
    return trackers.start(build("tracker", conf.tracker), tracked.describe(conf, hydra, out, result))


def _begun(cfg: DictConfig) -> Result:
    """Return what is known of a run before its settings are checked."""
    hydra = HydraConfig.get()
    return Result(
        objectives=[Objective(name) for name in objective_names(OmegaConf.select(cfg, "objective"))],
        seed=OmegaConf.select(cfg, "seed"),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command.again(hydra),
        git=provenance.git_of(command.program().code, Path(__file__)),
        versions=provenance.versions(),
    )


def _go_on(out: RunDir) -> str:
    """Return the command that resumes the run in `out`, as it is typed where the run was started."""
    hydra = HydraConfig.get()
    home, folder = Path(hydra.runtime.cwd), out.root.resolve()
    near = folder.relative_to(home) if folder.is_relative_to(home) else folder
    words = [*command.prefix(command.program(), hydra), command.override("trainer.resume", near)]
    return command.typed_in(home, shlex.join(words))


def _fail(result: Result, error: BaseException) -> None:
    """Note in `result` how a run ended that raised `error`."""
    if isinstance(error, Diverged):
        result.status, result.reason = results.ending("diverged")
    elif isinstance(error, KeyboardInterrupt | SystemExit):
        result.status, result.reason = results.ending("interrupted")
    else:
        result.status = Status.FAILED
        result.reason = "oom" if device.is_out_of_memory(error) else type(error).__name__
    result.error = results.describe_error(error)
