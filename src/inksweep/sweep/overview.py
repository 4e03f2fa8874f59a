"""What is to be seen of a sweep at one moment: study and engine -> a view for the screen."""

import time

from optuna.trial import FrozenTrial

from inksweep.sweep import screen
from inksweep.sweep.engine import Engine
from inksweep.sweep.marks import TOTAL
from inksweep.sweep.report import Report, numbers, parameters
from inksweep.sweep.study import measured

STOPPING = {
    "interrupted": "interrupted: running trials end at their next report; Ctrl-C again ends them now",
    "target": "the target is reached: running trials end at their next report",
    "timeout": "the time is over: running trials end at their next report",
    "failures": "too many trials failed: running ones end at their next report",
}


class Overview:
    """Makes views of a sweep.

    Args:
        engine: that runs it.
        report: that knows since when, and the target.
    """

    def __init__(self, engine: Engine, report: Report):
        self.engine, self.report = engine, report

    def view(self) -> screen.View:
        """Return how things stand now."""
        engine, ledger, target = self.engine, self.engine.ledger, self.report.target
        ledger.look()
        running = [self._running(trial) for trial in ledger.running]
        missing = max(0, engine.rules.n_trials - ledger.finished - len(running)) if engine.stop_reason is None else 0
        best = ledger.best
        return screen.View(
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
            seconds_left=screen.seconds_left(ledger.durations, running, missing, engine.slots.size),
            stopping=STOPPING.get(engine.stop_reason or ""),
        )

    def _running(self, trial: FrozenTrial) -> screen.Running:
        mine = self.engine.running.get(trial.number)
        if mine is not None:
            seconds = self.engine.slots.seconds(trial.number)
            seconds = time.monotonic() - mine.started if seconds is None else seconds
        else:
            assert trial.datetime_start is not None
            seconds = max(0.0, time.time() - trial.datetime_start.timestamp())
        step = trial.last_step
        return screen.Running(
            slot=None if mine is None else mine.slot,
            number=trial.number,
            parameters=parameters(trial),
            seconds=seconds,
            step=step,
            total=trial.user_attrs.get(TOTAL),
            value=None if step is None else trial.intermediate_values[step],
        )

    def _best(self, best: FrozenTrial) -> str:
        text, target = f"{numbers(best)} (trial {best.number})", self.report.target
        known = measured(best)
        if target is not None and target.metric in known:
            text += f"  {target.metric} {known[target.metric]:.4f}"
        return text
