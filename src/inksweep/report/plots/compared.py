"""Several sweeps side by side: a table of them, and the best so far of each in one plot."""

from collections.abc import Sequence

import plotly.graph_objects as go

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.quantity import duration
from inksweep.report.facts.trials import best_so_far
from inksweep.report.plots.drawing import escape, guarded, hover, limit_axis, style
from inksweep.report.plots.looks import LOOKS
from inksweep.report.plots.parts import Cell, Head, Plot, Plots, Row, Section, Table


def section(many: Sequence[Facts]) -> Section:
    """Return the section that compares sweeps; the anchors of its table are those of the page."""
    return Section("compared", "Side by side", [_table(many), Plots([guarded("together", together, many)])])


def _table(many: Sequence[Facts]) -> Table:
    heads = [
        Head("sweep"), Head("status"), Head("best", "number"), Head("of"), Head("target", "text"),
        Head("trials", "number"), Head("pruned", "number"), Head("failed", "number"), Head("time at work", "number"),
        Head("all trials", "number"), Head("sampler"), Head("pruner"),
    ]  # fmt: skip
    rows = []
    for number, facts in enumerate(many):
        best = facts.best
        target = "none" if facts.target is None else str(facts.target)
        if facts.target is not None:
            target += ": reached" if facts.target.reached(facts.targeted) else ": not reached"
        rows.append(Row([
            Cell(facts.name, anchor=f"s{number}-sweep"), Cell(facts.status),
            Cell(facts.objectives[0].text(best.values[0] if best else None), best.values[0] if best else ""),
            Cell(facts.objectives[0].label), Cell(target), Cell(f"{facts.finished:,}", facts.finished),
            Cell(str(facts.counted.get("pruned", 0))), Cell(str(facts.counted.get("failed", 0))),
            Cell(duration(facts.timeline.wall_s) if facts.timeline.bars else "-", facts.timeline.wall_s),
            Cell(duration(facts.trials_s), facts.trials_s), Cell(facts.sampler), Cell(facts.pruner),
        ]))  # fmt: skip
    return Table("the sweeps side by side", heads, rows, sortable=True)


def together(many: Sequence[Facts]) -> Plot:
    """Draw the best so far of several sweeps."""
    objective = many[0].objectives[0]
    alike = [facts for facts in many if facts.objectives[0].name == objective.name]
    figure = go.Figure()
    colours = [look.colour for name, look in LOOKS.items() if name != "stopped"]
    dashes = ("solid", "dash", "dot", "dashdot")
    for number, facts in enumerate(alike):
        complete = [trial for trial in facts.trials if trial.state == "complete" and trial.counts]
        steps = best_so_far(complete, facts.maximize[0])
        if not steps:
            continue
        last = max(trial.number for trial in facts.trials)
        figure.add_scatter(
            x=[*(trial.number for trial in steps), last],
            y=[value * facts.objectives[0].scale for value in [*(t.values[0] for t in steps), steps[-1].values[0]]],
            mode="lines+markers",
            name=escape(facts.name),
            line={"color": colours[number % len(colours)], "shape": "hv", "width": 2.5, "dash": dashes[number % 4]},
            marker={"size": 6},
            hovertext=[hover(facts, trial) for trial in [*steps, steps[-1]]],
            hoverinfo="text",
        )
    if not figure.data:
        return Plot("together", "", "", why_not="None of these sweeps has a complete trial yet.")
    style(figure, "number of the trial", objective.axis)
    figure.update_xaxes(tickformat="d")
    note = f"The best {objective.label} of all trials up to each number. "
    if len(alike) < len(many):
        names = ", ".join(facts.name for facts in many if facts not in alike)
        note += f"Not drawn, as their objective is another: {names}. "
    return Plot("together", "", (note + limit_axis(figure, many[0].maximize[0])).strip(), figure)
