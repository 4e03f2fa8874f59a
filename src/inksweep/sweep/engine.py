"""The loop of a sweep. Only this loop asks and tells.

It knows the study, the search space and slots where trials run; it knows neither Hydra nor how a trial is run.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from inksweep.errors import InputError
from inksweep.runs import result
from inksweep.sweep.context import Context
from inksweep.sweep.faults import Fault, MachineFault, OutOfMemoryKills, of_a_kill, of_folder
from inksweep.sweep.job.job import Done, Job, TooLong, WorkerDied
from inksweep.sweep.outcomes import Outcome, outcome
from inksweep.sweep.slots.slots import Slots
from inksweep.sweep.stopping import Fate, Reason, Standing, rule_that_holds
from inksweep.sweep.study.notes import (
    ATTEMPT,
    COPIES,
    FAULTED,
    LOST,
    METRICS,
    OWNER,
    REASON,
    RETRIED,
    STOP,
    STOPPED,
    SURPLUS,
)
from inksweep.sweep.study.repair import end, repair, repeat
from inksweep.sweep.study.trials import queued_point

# How long the loop waits for a trial before it looks at everything else.
LOOK_AROUND_S = 0.5


class Searched(Protocol):
    """What a trial is asked from: a search space, or the trainings of a final stage."""

    def overrides(self, trial: Trial) -> list[str]:
        """Suggest what `trial` is; return the overrides of its job."""


@dataclass
class Running:
    """A trial that runs in one of our slots."""

    trial: Trial
    slot: int
    started: float = field(default_factory=time.monotonic)
    is_ending: bool = False


class Engine:
    """One start of a sweep.

    Args:
        context: the study that is asked and told.
        space: what a trial searches.
        slots: where trials run.
        on_tell: called after each tell with the trial and the seconds it took.
        on_look: called often, to show how it goes.
    """

    def __init__(
        self,
        context: Context,
        space: Searched,
        slots: Slots,
        on_tell: Callable[[FrozenTrial, float], None],
        on_look: Callable[[], None] = lambda: None,
    ):
        self.context, self.space, self.slots = context, space, slots
        self.study, self.ledger, self.rules, self.owner = context.study, context.ledger, context.rules, context.owner
        self.on_tell, self.on_look = on_tell, on_look
        self.stop_reason: Reason | None = None
        self.running: dict[int, Running] = {}
        self._started = time.monotonic()
        self._failures: list[Exception] = []
        self._told = 0
        # What of the machine's ends this start; how many trials in a row met such a fault; kills for lack of memory.
        self.fault: Fault | None = None
        self._faults_in_a_row = 0
        self._kills = OutOfMemoryKills()

    def run(self) -> Reason:
        """Ask, run and tell until a stop rule holds and nothing of ours runs any more.

        Returns:
            The reason of the rule that held, or what `stop` was given.

        Raises:
            InputError: the first trial of this start cannot run because of what the user gave. For a later one that is
                a failure like others: a corner of the space that cannot be used.
            Exception: too many trials failed; that of the last one.
        """
        while True:
            self.stop_reason = self.stop_reason or self._rule_that_holds()
            if self.stop_reason is None:
                self._fill()
            else:
                if self.stop_reason.stop.running is not Fate.RUNS_ON:
                    self._stop_running(self.stop_reason)
                if not self.running:
                    break
            if (self.running or not self.context.is_alone) and (done := self.slots.wait(LOOK_AROUND_S)) is not None:
                self._tell(done)
            self._look_around()
        if self.stop_reason is Reason.FAILURES:
            raise self._failures[-1]
        if self.stop_reason is Reason.MACHINE:
            assert self.fault is not None
            raise MachineFault(self.fault)
        return self.stop_reason

    def stop(self, reason: Reason) -> None:
        """Begin no more trials and let running ones end at their next report; a signal handler may call this."""
        self.stop_reason = self.stop_reason or reason

    def abandon(self, reason: Reason) -> None:
        """End what runs now; those trials do not count and are repeated by the next start."""
        self.slots.close()
        for running in self.running.values():
            end(self.study, self._frozen(running.trial), TrialState.FAIL, {LOST: True, REASON: reason.value})
        self.running.clear()

    def _fill(self) -> None:
        """Start trials in free slots until none is free or no trial is missing."""
        while self.stop_reason is None and self.slots.free and self._missing():
            self._ask()
            self.stop_reason = self.stop_reason or self._rule_that_holds()

    def _missing(self) -> int:
        """Return how many trials are to be started; those of other processes count too."""
        self.ledger.look()
        return max(0, self.rules.n_trials - self.ledger.finished - len(self.ledger.running))

    def _ask(self) -> None:
        """Start a trial. An error here leaves it running in the study; the next start repairs that."""
        with warnings.catch_warnings(), self._sampler_errors_in_one_line():
            # Optuna warns that nobody sends heartbeats without Study.optimize; our Owner sends them.
            warnings.filterwarnings("ignore", message="Heartbeat of storage")
            trial = self.study.ask()
        self.owner.begins(trial)
        if self._is_surplus(trial):
            self.owner.ends(trial)
            return
        folder = self.context.sweep.trial(trial.number).root
        if folder.exists():
            raise InputError(f"{folder}: is there already, but not in the study; move it away or begin a new study")
        with self._sampler_errors_in_one_line():
            job = Job(trial.number, self.space.overrides(trial))
        if self.rules.reuse_results and (original := self.ledger.known(trial.params)) is not None:
            self._copy(trial, original)
            return
        slot = self.slots.next
        trial.set_user_attr(OWNER, self.owner.name(slot) | {"overrides": job.overrides})
        self.running[trial.number] = Running(trial, slot)
        self.slots.start(job)

    @contextmanager
    def _sampler_errors_in_one_line(self) -> Iterator[None]:
        """Name the package that a sampler needs; some import it only when the study has enough trials."""
        try:
            yield
        except ModuleNotFoundError as error:
            name = type(self.study.sampler).__name__
            said = f"{name} needs the package {error.name}; pip install {error.name}"
            raise InputError(f"hydra.sweeper.sampler: {said}") from error

    def _is_surplus(self, trial: Trial) -> bool:
        """Whether other processes have meanwhile asked for the last trials; then `trial` is given back."""
        self.ledger.look()
        if self.ledger.before(trial.number) < self.rules.n_trials:
            return False
        frozen = self._frozen(trial)
        end(self.study, frozen, TrialState.FAIL, {SURPLUS: True, REASON: "one too many"})
        if queued_point(frozen) is not None:
            repeat(self.study, frozen)
        return True

    def _copy(self, trial: Trial, original: FrozenTrial) -> None:
        """Tell for `trial` what a trial of the same parameters came to."""
        for name in (METRICS, REASON):
            if name in original.user_attrs:
                trial.set_user_attr(name, original.user_attrs[name])
        trial.set_user_attr(COPIES, original.number)
        self.owner.ends(trial)
        values = original.values if original.state is TrialState.COMPLETE else None
        self._tell_study(trial, Outcome(original.state, values))
        self.on_tell(self._frozen(trial), 0.0)

    def _tell(self, done: Done) -> None:
        """Tell the study what a job came to; queue the trial again if its worker died."""
        running = self.running.pop(done.number)
        self.owner.ends(running.trial)
        before = self._frozen(running.trial)
        if before.state.is_finished():
            return  # another process took this one for dead, and has queued the trial again
        told = outcome(done, before.user_attrs.get(STOPPED), len(self.study.directions), self.rules.is_stock)
        told = self._seen_from_here(told)
        again = self._is_repeated_now(told, before)
        is_lost = told.lost or (told.fault is not None and self.fault is not None)
        notes = {REASON: told.reason, LOST: is_lost or None, RETRIED: again or None}
        try:
            for name, value in notes.items():
                if value is not None:
                    running.trial.set_user_attr(name, value)
            self._tell_study(running.trial, told)
        except (UpdateFinishedTrialError, ValueError):
            if self._frozen(running.trial).state.is_finished():
                return  # the same, since we looked
            raise
        if again:
            deaths = before.user_attrs.get(ATTEMPT, 0) + (told.fault is None)
            repeat(self.study, before, deaths, faulted=told.fault is not None)
        if isinstance(told.error, WorkerDied | TooLong):
            result.leave(self.context.sweep.trial(done.number), result.Status.FAILED, told.reason, done.seconds)
        self.on_tell(self._frozen(running.trial), done.seconds)
        if again or is_lost:
            return  # nothing has failed yet: what the repetition comes to decides
        if isinstance(told.error, InputError) and self._told == 0:
            raise told.error
        self._told += 1
        if told.error is not None:
            self._failures.append(told.error)

    def _seen_from_here(self, told: Outcome) -> Outcome:
        """Add to what a dead process was told of what is known only outside of it: memory and disk."""
        if not told.died or told.fault is not None:
            return told
        if (fault := of_folder(self.context.sweep.root)) is not None:
            return replace(told, fault=fault, reason=str(fault))
        return replace(told, reason=of_a_kill(told.reason or "", self._kills.look()))

    def _is_repeated_now(self, told: Outcome, before: FrozenTrial) -> bool:
        """Whether a trial that ended is queued again at once.

        A fault of the machine ends the sweep if it stays: nothing can be written, or trial after trial meets one. If it
        was only this trial's, it is repeated once.
        """
        self._faults_in_a_row = 0 if told.fault is None else self._faults_in_a_row + 1
        if told.fault is None:
            return told.died and before.user_attrs.get(ATTEMPT, 0) < self.rules.retry
        if self._faults_in_a_row > self.slots.size or of_folder(self.context.sweep.root) is not None:
            who = "" if "/" in told.fault.text else f"trial {before.number}: "  # no file says where it was
            self.fault = replace(told.fault, text=who + told.fault.text)
            self.stop(Reason.MACHINE)
        return self.fault is None and FAULTED not in before.user_attrs

    def _tell_study(self, trial: Trial, told: Outcome) -> None:
        try:
            self.study.tell(trial, told.values, told.state)
        except RuntimeError as error:
            # With its last point the grid sampler calls Study.stop, which raises outside of Study.optimize. The trial
            # has been told before that.
            if "Study.stop" not in str(error):
                raise

    def _look_around(self) -> None:
        """End trials that take too long, repair what other processes left when they died, show how it goes."""
        for number in list(self.running):
            if (self.slots.seconds(number) or 0) > self.rules.trial_timeout_s:
                self.slots.end(number)
        if not self.context.is_alone:
            repair(self.study, self.owner.orphans(), alone=False)
        self.on_look()

    def _stop_running(self, reason: Reason) -> None:
        """Let running trials end at their next report, by a note that they read there."""
        for running in self.running.values():
            if not running.is_ending:
                running.is_ending = True
                with suppress(UpdateFinishedTrialError):  # another process took this one for dead
                    running.trial.set_user_attr(STOP, reason.value)

    def _frozen(self, trial: Trial) -> FrozenTrial:
        # Private names of Optuna: the public Study.get_trials reads the whole study. If they change, no trial is told.
        return self.study._storage.get_trial(trial._trial_id)

    def look_at(self, number: int) -> FrozenTrial:
        """Return one of the trials that run here as it is now; any thread may ask."""
        return self._frozen(self.running[number].trial)

    @property
    def standing(self) -> Standing:
        """Return how the sweep stands, by the ledger's last look."""
        seconds = time.monotonic() - self._started
        return Standing(self.rules, self.ledger, self.context.sweep, len(self._failures), seconds)

    def _rule_that_holds(self) -> Reason | None:
        self.ledger.look()
        return rule_that_holds(self.standing)
