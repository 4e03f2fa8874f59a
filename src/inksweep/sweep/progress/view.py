"""What the screen shows of a sweep at one moment: study and engine -> a view, plain data."""

import heapq
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from inksweep.sweep.engine import Engine
from inksweep.sweep.progress.summary import Report
from inksweep.sweep.progress.wording import last_printed, numbers, parameters
from inksweep.sweep.study.notes import TOTAL
from inksweep.sweep.study.trials import measured

RECENT = 20  # trials whose mean duration stands for those to come


@dataclass(frozen=True)
class RunningTrial:
    """A trial that runs now.

    Args:
        slot: where; None: another process of the same study runs it.
        number: of the trial.
        parameters: in short, such as `model=cnn optimizer.lr=0.0123`.
        seconds: since it began.
        step: that of its last report; None: it has not reported yet.
        total: the step at which it ends, where known.
        value: the one it reported last.
        doing: what it does, where that is known and it has not reported yet, such as `importing torch`.
    """

    slot: int | None
    number: int
    parameters: str
    seconds: float
    step: int | None = None
    total: int | None = None
    value: float | None = None
    doing: str | None = None


@dataclass(frozen=True)
class View:
    """All that is shown of a sweep at one moment.

    Args:
        study: its name.
        seconds: since this start of the sweep.
        n_trials: how many trials it is to have.
        counts: trials by state: complete, pruned, fail, running, waiting, lost.
        finished: how many of `n_trials` are done.
        slots: how many trials may run at a time in this process.
        running: in any order.
        best: the best trial so far as text, such as `0.9912 (trial 7)  test/accuracy 0.9908`.
        best_parameters: its parameters in short.
        target: as text, such as `test/accuracy > 0.99`.
        seconds_left: see `seconds_left`.
        may_end_before: whether a rule may end the search before all trials are done.
        stopping: why the sweep is ending and what can be done, once it is.
        trials: what its trials are called.
    """

    study: str
    seconds: float
    n_trials: int
    counts: Mapping[str, int]
    finished: int
    slots: int
    running: Sequence[RunningTrial]
    best: str | None
    best_parameters: str | None
    target: str | None
    seconds_left: float | None
    may_end_before: bool = False
    stopping: str | None = None
    trials: str = "trials"


class Overview:
    """Makes views of a sweep.

    Args:
        engine: that runs it.
        report: on the same study; it knows the target, and since when the sweep runs.
    """

    def __init__(self, engine: Engine, report: Report):
        self.engine, self.report = engine, report

    def view(self) -> View:
        """Return how things stand now."""
        self.engine.ledger.look()
        return self._view(self.engine.ledger.running)

    def from_aside(self) -> View:
        """Return the same for another thread, while the sweep's own may wait in a trial.

        What has ended is known as of that one's last look; the trials that run here are read anew.
        """
        own = [self.engine.look_at(number) for number in list(self.engine.running)]
        others = [trial for trial in self.engine.ledger.running if trial.number not in self.engine.running]
        return self._view(own + others)

    def _view(self, trials: Sequence[FrozenTrial]) -> View:
        engine, ledger, target = self.engine, self.engine.ledger, self.report.target
        running = [self._running(trial) for trial in trials]
        missing = max(0, engine.rules.n_trials - ledger.finished - len(running)) if engine.stop_reason is None else 0
        best = ledger.best
        return View(
            study=engine.study.study_name,
            seconds=time.monotonic() - self.report.started,
            n_trials=engine.rules.n_trials,
            counts=ledger.states,
            finished=ledger.finished,
            slots=engine.slots.size,
            running=running,
            best=None if best is None else self._best(best),
            best_parameters=None if best is None else parameters(best),
            target=None if target is None else str(target),
            seconds_left=seconds_left(ledger.durations, running, missing, engine.slots.size),
            may_end_before=engine.rules.may_end_before,
            stopping=None if engine.stop_reason is None else engine.stop_reason.stop.screen,
            trials=self.report.trials,
        )

    def _running(self, trial: FrozenTrial) -> RunningTrial:
        own = self.engine.running.get(trial.number)
        if own is not None:
            seconds = self.engine.slots.seconds(trial.number)
            seconds = time.monotonic() - own.started if seconds is None else seconds
        else:
            assert trial.datetime_start is not None
            seconds = max(0.0, time.time() - trial.datetime_start.timestamp())
        step = trial.last_step
        doing = self._doing(trial.number) if own is not None and step is None else None
        return RunningTrial(
            slot=None if own is None else own.slot,
            number=trial.number,
            parameters=parameters(trial),
            seconds=seconds,
            step=step,
            total=trial.user_attrs.get(TOTAL),
            value=None if step is None else trial.intermediate_values[step],
            doing=doing,
        )

    def _doing(self, number: int) -> str | None:
        """Return what a trial does that has not reported yet: what its process prepares, or the last it printed."""
        if (preparing := self.engine.slots.preparing(number)) is not None:
            return preparing
        with suppress(OSError):
            return last_printed(self.engine.context.sweep.trial(number).output)
        return None

    def _best(self, best: FrozenTrial) -> str:
        text, target = f"{numbers(best)} (trial {best.number})", self.report.target
        metrics = measured(best)
        if target is not None and target.metric in metrics:
            text += f"  {target.metric} {metrics[target.metric]:.4f}"
        return text


def seconds_left(durations: Sequence[float], running: Sequence[RunningTrial], missing: int, slots: int) -> float | None:
    """Estimate how long a sweep still takes, if no stop rule ends it earlier.

    A trial not yet started takes the mean of recent ones and begins where something gets free first; processes that
    join the study help as long as they run a trial.

    Args:
        durations: seconds of finished trials, pruned ones too, the latest last.
        running: those of other processes too.
        missing: trials not yet started.
        slots: of this process.

    Returns:
        Seconds, or None while there is nothing to go by.
    """
    recent = durations[-RECENT:]
    lengths = recent or [whole for trial in running if (whole := _whole(trial)) is not None]
    mean = sum(lengths) / len(lengths) if lengths else None
    busy = []
    for trial in running:
        whole = _whole(trial) or mean
        if whole is None:
            return None
        busy.append(max(0.0, whole - trial.seconds))
    own = sum(trial.slot is not None for trial in running)
    free_at = busy + [0.0] * max(0, slots - own)
    if missing and mean is None:
        return None
    if missing and mean is not None:
        # Near the end of a sweep, where it matters, trials are placed one by one. Of many more, all but the last are
        # taken together, as work shared by the slots.
        many = max(0, missing - 100 * len(free_at))
        heapq.heapify(free_at)
        for _ in range(missing - many):
            heapq.heapreplace(free_at, free_at[0] + mean)
        return max(free_at) + many * mean / len(free_at)
    return max(free_at, default=0.0)


def _whole(trial: RunningTrial) -> float | None:
    """Return how long a running trial takes in all, judged by its steps; None where that is not known."""
    if not trial.step or not trial.total:
        return None
    # On average it is half a step further than its last report says.
    return max(trial.seconds, trial.seconds * trial.total / (trial.step + 0.5))
