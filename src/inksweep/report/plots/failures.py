"""The trials that failed, diverged, were lost or repeated, with the reason of each."""

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration
from inksweep.report.plots.parts import Cell, Head, Row, Section, Table, instead, trial_cell
from inksweep.report.plots.trials import settings_of


def section(facts: Facts) -> Section:
    """Return the section on failures."""
    table = _table(facts) or instead("None: no trial failed, diverged, was lost or repeated.")
    return Section("failures", "Failures and lost trials", [table], listed_as="Failures")


def _table(facts: Facts) -> Table | None:
    rows = []
    for trial in facts.trials:
        if trial.state not in ("failed", "lost", "diverged") and not trial.note:
            continue
        reason = trial.reason if trial.state != "complete" else ""
        why = "; ".join(filter(None, [reason, trial.note])) or "-"
        rows.append(Row([
            trial_cell(trial), Cell(trial.state, state=trial.state), Cell(why, details=trial.traceback),
            Cell(duration(trial.seconds) if trial.seconds is not None else "-"), Cell(settings_of(trial)),
        ]))  # fmt: skip
    heads = [
        Head("trial", "number"),
        Head("became"),
        Head("why", "text"),
        Head("after", "number"),
        Head("settings", "long"),
    ]
    return Table("trials that failed, diverged, were lost or repeated", heads, rows) if rows else None
