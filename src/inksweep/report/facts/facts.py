"""What a report says of a sweep, as plain data: read from its study and its folders, drawn elsewhere."""

import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError
from inksweep.files import is_held
from inksweep.paths import SweepDir, shown
from inksweep.report.facts import winner
from inksweep.report.facts.quantity import Quantity, quantity
from inksweep.report.facts.target import Target, target_of, wanted
from inksweep.report.facts.timeline import Stretch, Timeline, timeline
from inksweep.report.facts.trials import (
    STATES,
    Trial,
    curve_over_epochs,
    curve_over_reports,
    measured,
    mend_ends,
    objective_names,
    read_trial,
)
from inksweep.report.facts.winner import Winner
from inksweep.runs import reader
from inksweep.sweep.stopping import Account, Reason
from inksweep.sweep.study.notes import FINAL
from inksweep.sweep.study.trials import counts, front, order

RUNNING, ENDED, KILLED = "running", "ended", "killed"


@dataclass(frozen=True)
class Facts:
    """A sweep at one moment."""

    folder: Path
    name: str
    # RUNNING, ENDED or KILLED.
    status: str
    # As in summary.json: the value of a Reason; None: it runs, or was killed.
    stop_reason: str | None
    objectives: list[Quantity]
    maximize: list[bool]
    target: Target | None
    n_trials: int | None
    # All of the study, in order of their number.
    trials: list[Trial]
    best: Trial | None
    # Of several objectives, those that no other beats; else the best.
    front: list[Trial]
    winner: Winner | None
    timeline: Timeline
    # What the curves are drawn over: `epoch` or `report`.
    curve_axis: str
    settings: dict[str, Any]
    # Settings that should be numbers and are not: `n_trials=many`.
    unreadable: list[str]
    # For plots that Optuna draws.
    study: Study = field(repr=False)

    @property
    def sentence(self) -> str:
        """Return how it stands, or why it ended, in a sentence with the numbers."""
        return _sentence(self)

    @property
    def counted(self) -> dict[str, int]:
        """Return how many trials are in each state that occurs."""
        counted = Counter(trial.state for trial in self.trials)
        return {state: counted[state] for state in STATES if counted[state]}

    @property
    def finished(self) -> int:
        """Return how many trials have ended and count."""
        return sum(trial.counts and trial.state not in ("running", "waiting") for trial in self.trials)

    @property
    def started(self) -> datetime | None:
        """Return when its first trial began."""
        return min((trial.started for trial in self.trials if trial.started), default=None)

    @property
    def trials_s(self) -> float:
        """Return the time of all trials together, in seconds."""
        return sum(trial.seconds or 0.0 for trial in self.trials)

    @property
    def best_name(self) -> str:
        """Return what to call the best trial: a final stage may have made something else the winner."""
        return "winner" if self.winner is None or self.winner.final is None else "best trial of the search"

    @property
    def targeted(self) -> float | None:
        """Return what the best trial has of the target's metric."""
        return None if self.best is None or self.target is None else measured(self.best, self.target.quantity.name)

    @property
    def command(self) -> str:
        """Return what was typed."""
        return str(self.settings.get("command", ""))

    @property
    def sampler(self) -> str:
        """Return the name of the sampler's class."""
        return _class_name(self.settings["sweeper"].get("sampler"), "TPESampler")

    @property
    def pruner(self) -> str:
        """Return the name of the pruner's class."""
        return _class_name(self.settings["sweeper"].get("pruner"), "none")


def collect(folder: Path, study: Study, settings: dict[str, Any]) -> Facts:
    """Read all that a report on one sweep says.

    Args:
        folder: the sweep directory.
        study: its study.
        settings: what its sweep.yaml holds.
    """
    now = datetime.now()
    frozen = study.get_trials(deepcopy=False)
    sweep, sweeper = SweepDir(folder), settings["sweeper"]
    names, is_final = objective_names(sweep, frozen, len(study.directions)), bool(study.user_attrs.get(FINAL))
    trials, curve_axis = _read(sweep, frozen, names[0], is_final)
    columns = zip(*(trial.values for trial in trials if trial.values), strict=True)
    values = [*columns] or [()] * len(names)
    objectives = [quantity(name, column) for name, column in zip(names, values, strict=True)]
    maximize = [direction is StudyDirection.MAXIMIZE for direction in study.directions]
    numbers, unreadable = wanted(sweeper)
    target = target_of(sweeper.get("target"), numbers.get("target.value"), objectives[0], maximize[0])
    best = _best(study, trials)
    summary = reader.summary(folder)
    status = _status(sweep, sweeper.get("storage") is not None, summary, trials)
    # A final stage has as many trainings as it takes, not what the search was given.
    won = _winner(sweep, study.study_name, best, trials, settings)
    n_trials = numbers.get("n_trials") if not is_final else sum(trial.counts for trial in trials)
    return Facts(
        folder=folder.resolve(),
        name=study.study_name,
        status=status,
        stop_reason=summary.get("stop_reason") if status == ENDED else None,
        objectives=objectives,
        maximize=maximize,
        target=target,
        n_trials=int(n_trials) if n_trials else None,
        trials=trials,
        best=None if best is None else trials[best.number],
        front=_front(study, best, trials),
        winner=_of_final_stage(sweep, won) if is_final and won is not None else won,
        timeline=timeline([_stretch(trial, now) for trial in trials if _took_a_slot(trial)]),
        curve_axis=curve_axis,
        settings=settings,
        unreadable=unreadable,
        study=study,
    )


def _read(sweep: SweepDir, frozen: Sequence[FrozenTrial], objective: str, is_final: bool) -> tuple[list[Trial], str]:
    """Return the trials with their curves, and what these are over: `epoch` or `report`."""
    rows = {trial.number: curve_over_epochs(sweep.trial(trial.number).root, objective) for trial in frozen}
    # Epochs say more than numbers of reports; but all curves must have the same axis.
    by_epoch = all(rows[trial.number] for trial in frozen if trial.intermediate_values) and any(rows.values())
    curves = {trial.number: rows[trial.number] if by_epoch else curve_over_reports(trial) for trial in frozen}
    trials = [read_trial(sweep, trial, curves[trial.number], is_final=is_final) for trial in frozen]
    return mend_ends(trials, sweep), "epoch" if by_epoch else "report"


def _took_a_slot(trial: Trial) -> bool:
    return trial.owner is not None and trial.started is not None and not trial.is_copy


def _stretch(trial: Trial, now: datetime) -> Stretch:
    assert trial.started is not None
    name = f"{trial.host or 'unknown machine'}, slot {trial.slot}"
    return Stretch(str(trial.owner), name, trial.number, trial.started, trial.ended or now)


def _status(sweep: SweepDir, shared: bool, summary: dict[str, Any], trials: Iterable[Trial]) -> str:
    """Return whether the sweep runs, has ended, or was killed."""
    at_work = any(trial.state == "running" for trial in trials)
    if summary.get("stop_reason") is not None and not (shared and at_work):
        return ENDED
    if not shared:
        # Where the file system has no locks it cannot be told: the trials are believed.
        held = is_held(sweep.lock)
        return RUNNING if held or (held is None and at_work and sweep.lock.exists()) else KILLED
    # Other machines may be at work, and cannot be asked: they are believed.
    owners = sweep.owner_lock("x").parent
    alive = owners.is_dir() and any(is_held(lock) for lock in owners.iterdir())
    return RUNNING if alive or at_work else KILLED


def _sentence(facts: Facts) -> str:
    of = f"{facts.finished} of {facts.n_trials}" if facts.n_trials else str(facts.finished)
    if facts.status == RUNNING:
        now = sum(trial.state == "running" for trial in facts.trials)
        return (
            f"It is running: {of} trials are done, {now} {'runs' if now == 1 else 'run'} now. {_missed(facts)}".strip()
        )
    if facts.status == KILLED:
        why = "Its process was killed, or its machine went down"
        return f"{why}: {of} trials are done. The same command goes on where it was."
    reason = Reason.stored_as(facts.stop_reason)
    if reason is None:
        return f"It ended ({facts.stop_reason})."
    account = Account(of, facts.n_trials, facts.settings["sweeper"], _reached(facts), _missed(facts))
    return reason.stop.report(account).strip()


def _reached(facts: Facts) -> str:
    target = facts.target
    if target is None:  # it had one, and was begun anew without
        return "see its log"
    word = "above" if target.maximize else "below"
    return (
        f"{target.quantity.label} {target.quantity.text(facts.targeted)}, {word} {target.quantity.text(target.value)}"
    )


def _missed(facts: Facts) -> str:
    """Return how far the target is; nothing if there is none, or nothing to compare."""
    if facts.target is None or facts.best is None or facts.targeted is None:
        return ""
    if facts.target.reached(facts.targeted):
        return f"The target is reached: {_reached(facts)}."
    return (
        f"The target, {facts.target}, is not reached: the best trial has {facts.target.quantity.text(facts.targeted)}."
    )


def _best(study: Study, trials: Sequence[Trial]) -> FrozenTrial | None:
    """Return the best trial by the first objective, of those that it says something of; None if there is none."""
    complete = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
    judged = (trial for trial in complete if counts(trial) and trials[trial.number].state == "complete")
    return min(judged, key=order(study), default=None)


def _front(study: Study, best: FrozenTrial | None, trials: Sequence[Trial]) -> list[Trial]:
    if len(study.directions) == 1:
        return [] if best is None else [trials[best.number]]
    return [trials[trial.number] for trial in front(study) if trials[trial.number].state == "complete"]


def _of_final_stage(sweep: SweepDir, best: Winner) -> Winner:
    """Say of the best training of a final stage that it is not what the sweep was for."""
    folder = shlex.quote(shown(sweep.root.parent))
    remark = (
        "These are the trainings of the final stage of a sweep. What the sweep made of them, and how, is in its own "
        f"report (inksweep report {folder}); here is the best of them by itself."
    )
    return replace(best, remark=remark)


def _winner(
    sweep: SweepDir, name: str, best: FrozenTrial | None, trials: Sequence[Trial], settings: dict[str, Any]
) -> Winner | None:
    if best is None:
        return None
    remark = ""
    try:
        if (final := winner.of_final_stage(sweep, name, trials)) is not None:
            return final
    except InputError as error:
        remark = f"{error}; this is the best trial of the search."
    return replace(winner.of_search(sweep, best, trials[best.number], settings), remark=remark)


def _class_name(conf: Any, none: str) -> str:
    target = conf.get("_target_") if isinstance(conf, dict) else None
    return str(target).rpartition(".")[2] if target else none
