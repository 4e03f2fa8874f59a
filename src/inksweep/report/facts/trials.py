"""The trials of a sweep, as plain data: what the study notes of each, and what lies in its folder."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import metrics as metrics_module
from inksweep.runs import result
from inksweep.sweep.study.notes import (
    ATTEMPT,
    COPIES,
    ENDED_WITH_SWEEP,
    METRICS,
    ORIGIN,
    OWNER,
    REASON,
    REPEATS,
    SURPLUS,
)
from inksweep.sweep.study.trials import UNCOUNTED, counts

# What may have become of a trial, in the order in which legends show it.
STATES = {
    "complete": "complete",
    "all-data": "all data: trained on validation too",
    "pruned": "pruned: worse than others",
    "diverged": "diverged: loss not finite",
    "stopped": "stopped: the sweep was ending",
    "failed": "failed",
    "lost": "lost, then repeated",
    "running": "running",
    "waiting": "waiting",
}


@dataclass(frozen=True)
class Trial:
    """One trial, as the page shows it."""

    number: int
    # Of STATES.
    state: str
    # One an objective; none if it is not complete.
    values: tuple[float, ...]
    params: dict[str, Any]
    metrics: dict[str, float]
    # Whether it is one of `n_trials`.
    counts: bool
    reason: str = ""
    traceback: str = ""
    # What it repeats, or was copied from.
    note: str = ""
    started: datetime | None = None
    # None: it runs, or has not begun.
    ended: datetime | None = None
    # Whether `ended` is when it ended; else its process died, and this is its last known sign of life.
    end_is_known: bool = True
    is_copy: bool = False
    # The start of the sweep that ran it, its machine and slot; None: not recorded.
    owner: str | None = None
    host: str | None = None
    slot: int | None = None
    # (epoch or number of the report, objective).
    curve: list[tuple[float, float]] = field(default_factory=list)
    # Its folder, if it is on this machine.
    folder: Path | None = None

    @property
    def seconds(self) -> float | None:
        """Return how long it ran; None if it has not ended, or took no time of its own."""
        if self.started is None or self.ended is None or self.is_copy:
            return None
        return max(0.0, (self.ended - self.started).total_seconds())

    @property
    def last(self) -> float | None:
        """Return the objective at its last report."""
        return self.curve[-1][1] if self.curve else None


def measured(trial: Trial, name: str) -> float | None:
    """Return a metric of a trial, or its objective if that is what `name` stands for."""
    if name == "objective" and trial.values:
        return trial.values[0]
    return trial.metrics.get(name)


def objective_names(sweep: SweepDir, trials: Sequence[FrozenTrial], size: int) -> list[str]:
    """Return what the objectives are called: by a result.json, else by number."""
    for trial in trials:
        objectives = result.read_or_empty(sweep.trial(trial.number).result).objectives
        names = [objective.name for objective in objectives if objective.name]
        if len(names) == len(objectives) == size:
            return names
    return ["objective"] if size == 1 else [f"objective {number + 1}" for number in range(size)]


def curve_over_epochs(folder: Path, name: str) -> list[tuple[float, float]]:
    """Return (epoch, objective) of a trial's evaluations; none if it left no such file."""
    try:
        return [(row["epoch"], row[name]) for row in metrics_module.curve(folder) if "epoch" in row and name in row]
    except InputError:  # a broken file costs its curve
        return []


def curve_over_reports(trial: FrozenTrial) -> list[tuple[float, float]]:
    """Return (number of the report, objective) of what a trial reported."""
    steps = sorted(trial.intermediate_values.items())
    return [(float(step), value) for step, value in steps if math.isfinite(value)]


def read_trial(
    sweep: SweepDir, trial: FrozenTrial, curve: list[tuple[float, float]], *, is_final: bool = False
) -> Trial:
    """Return a trial of the study as the page shows it.

    Args:
        sweep: its directory.
        trial: the trial.
        curve: what it measured while it trained.
        is_final: whether the study is that of a final stage.
    """
    notes, run = trial.user_attrs, sweep.trial(trial.number)
    owner = notes.get(OWNER)
    owner = owner if isinstance(owner, dict) else {}
    state = _state(trial)
    if state == "complete" and _trained_on_validation(run, trial, is_final):
        state = "all-data"
    return Trial(
        number=trial.number,
        state=state,
        values=tuple(trial.values) if trial.state is TrialState.COMPLETE else (),
        params=dict(trial.params),
        metrics=metrics_module.numbers(notes.get(METRICS)),
        counts=counts(trial),
        reason="" if trial.state is TrialState.COMPLETE else str(notes.get(REASON) or "").strip(),
        traceback=_traceback(run) if state in ("failed", "lost") else "",
        note=_note(trial),
        started=trial.datetime_start,
        ended=trial.datetime_complete,
        is_copy=COPIES in notes,
        owner=owner.get("id"),
        host=owner.get("host"),
        slot=owner.get("slot"),
        curve=curve,
        folder=run.root if run.root.is_dir() else None,
    )


def _state(trial: FrozenTrial) -> str:
    if any(mark in trial.user_attrs for mark in UNCOUNTED):
        return "lost"
    if trial.state is TrialState.PRUNED:
        reason = trial.user_attrs.get(REASON)
        return "diverged" if reason == "diverged" else "stopped" if reason == ENDED_WITH_SWEEP else "pruned"
    return {TrialState.FAIL: "failed"}.get(trial.state, trial.state.name.lower())


def _trained_on_validation(run: RunDir, trial: FrozenTrial, is_final: bool) -> bool:
    """Whether a trial was trained on the pictures of its objective, which then ranks nothing."""
    if is_final and trial.params.get("full"):  # its folder may be on another machine
        return True
    return result.read_or_empty(run.result).trained_on_validation is True


def _note(trial: FrozenTrial) -> str:
    notes = trial.user_attrs
    parts = []
    if SURPLUS in notes:
        parts.append("one too many: another process was faster")
    if COPIES in notes:
        parts.append(f"result known from trial {notes[COPIES]}; not run again")
    if REPEATS in notes:
        attempt = f", attempt {notes[ATTEMPT] + 1}" if ATTEMPT in notes else ""
        parts.append(f"repeats trial {notes[REPEATS]}{attempt}")
    if ORIGIN in notes:
        parts.append(f"asked for ({notes[ORIGIN]})")
    return "; ".join(parts)


def _traceback(run: RunDir) -> str:
    error = result.read_or_empty(run.result).error or {}
    return str(error.get("traceback") or error.get("message") or "")


def mend_ends(trials: list[Trial], sweep: SweepDir) -> list[Trial]:
    """Correct the end of trials whose process died: the study has the time of the next start, perhaps hours later.

    It becomes the last time that the trial wrote to its folder, else the last event of the process that ran it.
    """
    died = {t.number for t in trials if t.state == "lost" and t.reason.startswith("its process died")}
    seen: dict[str | None, datetime] = {}
    for trial in trials:
        moments = [trial.started, None if trial.number in died else trial.ended]
        for moment in filter(None, moments):
            seen[trial.owner] = max(seen.get(trial.owner, moment), moment)
    mended = []
    for trial in trials:
        if trial.number in died and trial.started is not None and trial.ended is not None:
            run = sweep.trial(trial.number)
            files = [path.stat().st_mtime for path in (run.metrics, run.root / "train.log") if path.is_file()]
            written = datetime.fromtimestamp(max(files)) if files else trial.started
            end = min(trial.ended, max(written, seen.get(trial.owner, trial.started), trial.started))
            trial = replace(trial, ended=end, end_is_known=False)
        mended.append(trial)
    return mended


def best_so_far(complete: Sequence[Trial], maximize: bool) -> list[Trial]:
    """Return the trials whose first objective is better than that of all with a smaller number.

    Those need not have ended earlier.
    """
    best: list[Trial] = []
    for trial in complete:
        if best and (trial.values[0] == best[-1].values[0] or (trial.values[0] > best[-1].values[0]) != maximize):
            continue
        best.append(trial)
    return best
