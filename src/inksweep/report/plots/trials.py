"""All trials in one table, which its heads sort; and what tables of trials share."""

from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration, quantity
from inksweep.report.facts.trials import Trial, measured
from inksweep.report.plots.parts import Cell, Head, Row, Section, Table, instead, trial_cell

# Parameters that have a column of their own.
MOST_COLUMNS = 12


def section(facts: Facts) -> Section:
    """Return the section with all trials."""
    return Section("trials", "All trials", [_table(facts) if facts.trials else instead("There are none yet.")])


def _table(facts: Facts) -> Table:
    names = list(dict.fromkeys(name for trial in facts.trials for name in trial.params))[:MOST_COLUMNS]
    metrics = {name for trial in facts.trials for name in trial.metrics} - {q.name for q in facts.objectives}
    # The target's, and test accuracy, which people look for.
    extra = [facts.target.quantity.name] if facts.target is not None else []
    extra = [name for name in dict.fromkeys([*extra, "test/accuracy"]) if name in metrics]
    extras = [quantity(name, [t.metrics[name] for t in facts.trials if name in t.metrics]) for name in extra]
    heads = [
        Head("trial", "number"), Head("state"), *(Head(q.label, "number") for q in [*facts.objectives, *extras]),
        Head("time", "number"), *(Head(name, "number") for name in names),
    ]  # fmt: skip
    rows = []
    for trial in facts.trials:
        cells = [trial_cell(trial), Cell(trial.state, state=trial.state), *objective_cells(facts, trial)]
        for q in extras:
            value = measured(trial, q.name)
            cells.append(Cell(q.text(value), "" if value is None else value))
        seconds = trial.seconds
        cells.append(Cell("-" if seconds is None else duration(seconds), "" if seconds is None else seconds))
        for name in names:
            value = trial.params.get(name)
            cells.append(Cell(shown(value) if name in trial.params else "-", "" if value is None else str(value)))
        is_best = facts.best is not None and trial.number == facts.best.number
        rows.append(Row(cells, "best" if is_best else "" if trial.state == "complete" else "pale"))
    return Table(
        "all trials, those ended early as they last reported; the heads of columns sort", heads, rows, sortable=True
    )


def objective_cells(facts: Facts, trial: Trial) -> list[Cell]:
    """Return a cell for each objective; of a trial that was ended early, its last report."""
    ended_early = trial.state in ("pruned", "stopped") and len(facts.objectives) == 1
    values = trial.values or ((trial.last,) if ended_early else (None,) * len(facts.objectives))
    return [Cell(q.text(v), "" if v is None else v) for q, v in zip(facts.objectives, values, strict=True)]


def settings_of(trial: Trial) -> str:
    """Return the parameters of a trial in one line, as they are typed."""
    return " ".join(f"{name}={shown(value)}" for name, value in trial.params.items())
