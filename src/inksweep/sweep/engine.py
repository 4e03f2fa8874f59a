"""The loop of a sweep. Only this loop asks and tells.

It knows the study, the search space and slots where trials run; it knows neither Hydra nor how a trial is run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from inksweep.errors import InputError, nearest
from inksweep.paths import SweepDir
from inksweep.sweep.slots import Done, Job, Slots
from inksweep.sweep.space import Space
from inksweep.sweep.study import REASON, finished, incumbent
from inksweep.sweep.trial import metrics


@dataclass(frozen=True)
class Target:
    """Stop as soon as the incumbent has more than `value` of `metric`, a key of `metrics` in its result.json."""

    metric: str
    value: float


@dataclass(frozen=True)
class Rules:
    """When a sweep ends.

    Args:
        n_trials: finished trials that the study is to hold in all.
        max_failure_rate: the part of `n_trials` that may fail in one start of the sweep; more, and it gives up.
        target: None: none.
    """

    n_trials: int
    max_failure_rate: float = 0.0
    target: Target | None = None


@dataclass(frozen=True)
class Outcome:
    """What a study is told of a trial, and what was raised if it failed."""

    state: TrialState
    value: float | None = None
    reason: str | None = None
    error: Exception | None = None


def outcome(done: Done) -> Outcome:
    """Map what came back from a slot to what the study is told: the one place that decides."""
    error = done.error
    if error is None:
        try:
            value = float(done.value)
        except (TypeError, ValueError):
            error = InputError(
                f"trial {done.number} returned {done.value!r}: a sweep needs the objective, a number, from its task"
            )
    if error is not None:
        return Outcome(TrialState.FAIL, reason=f"{type(error).__name__}: {error}", error=error)
    if math.isfinite(value):
        return Outcome(TrialState.COMPLETE, value)
    return Outcome(TrialState.PRUNED, reason="diverged")


class Engine:
    """One start of a sweep.

    Args:
        study: what is asked and told.
        space: what a trial searches.
        slots: where trials run.
        sweep: where trials leave their files.
        rules: when to end.
        on_tell: called after each tell with the trial and the seconds it took.
    """

    def __init__(
        self,
        study: Study,
        space: Space,
        slots: Slots,
        sweep: SweepDir,
        rules: Rules,
        on_tell: Callable[[FrozenTrial, float], None],
    ):
        self.study, self.space, self.slots, self.sweep, self.rules = study, space, slots, sweep, rules
        self.on_tell = on_tell
        self.stop_reason: str | None = None
        self._running: dict[int, Trial] = {}
        self._failures: list[Exception] = []
        self._told = 0

    def run(self) -> str:
        """Ask, run and tell until a stop rule holds and nothing runs any more.

        Returns:
            The stop reason: `target`, `n_trials` or `failures`.

        Raises:
            InputError: the first trial of this start cannot run because of what the user gave. For a later one that is
                a failure like others: a corner of the space that cannot be used.
            Exception: too many trials failed; that of the last one.
        """
        self.stop_reason = self._rule_that_holds()
        while self._running or self.stop_reason is None:
            while self.stop_reason is None and self.slots.free and self._missing():
                self._ask()
            self._tell(self.slots.wait())
            self.stop_reason = self.stop_reason or self._rule_that_holds()
        if self.stop_reason == "failures":
            raise self._failures[-1]
        return self.stop_reason

    def _missing(self) -> int:
        return max(0, self.rules.n_trials - len(finished(self.study)) - len(self._running))

    def _ask(self) -> None:
        """Start a trial. Whatever is raised here leaves it running in the study: the next start repairs that."""
        trial = self.study.ask()
        folder = self.sweep.trial(trial.number).root
        if folder.exists():
            raise InputError(f"{folder}: is there already, but not in the study; move it away or begin a new study")
        try:
            job = Job(trial.number, self.space.overrides(trial))
        except ModuleNotFoundError as error:
            name = type(self.study.sampler).__name__
            raise InputError(f"hydra.sweeper.sampler: {name} needs the package {error.name}; install it") from error
        self._running[trial.number] = trial
        self.slots.start(job)

    def _tell(self, done: Done) -> None:
        trial = self._running.pop(done.number)
        told = outcome(done)
        if told.reason is not None:
            trial.set_user_attr(REASON, told.reason)
        self._tell_study(trial, told.state, told.value)
        self.on_tell(self.study.get_trials(deepcopy=False)[done.number], done.seconds)
        if isinstance(told.error, InputError) and self._told == 0:
            raise told.error
        self._told += 1
        if told.error is not None:
            self._failures.append(told.error)

    def _tell_study(self, trial: Trial, state: TrialState, value: float | None) -> None:
        try:
            self.study.tell(trial, value, state)
        except RuntimeError as error:
            # The grid sampler ends a study with its last point, in a way that only Study.optimize understands; the
            # trial has been told by then.
            if "Study.stop" not in str(error):
                raise

    def _rule_that_holds(self) -> str | None:
        if self._target_reached():
            return "target"
        if self._failures and len(self._failures) > self.rules.max_failure_rate * self.rules.n_trials:
            return "failures"
        return None if self._missing() or self._running else "n_trials"

    def _target_reached(self) -> bool:
        best, target = incumbent(self.study), self.rules.target
        if best is None or target is None:
            return False
        measured = metrics(self.sweep.trial(best.number))
        if target.metric not in measured:
            path = self.sweep.trial(best.number).result
            raise InputError(
                f"hydra.sweeper.target.metric={target.metric}: {path} does not have it"
                f"{nearest(target.metric, measured)}; hydra.sweeper.target=null does without"
            )
        return measured[target.metric] > target.value
