"""Learning curves: the objective of each trial while it trained."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import STATES, Trial
from inksweep.report.plots.drawing import (
    MOST_IN_CURVE,
    MOST_LINES,
    guarded,
    hover,
    limit_axis,
    said_in_short,
    style,
)
from inksweep.report.plots.looks import LOOKS, WINNER
from inksweep.report.plots.parts import Plot, Plots, Section


def section(facts: Facts) -> Section:
    """Return the section with the learning curves."""
    return Section("curves", "Learning curves", [Plots([guarded("curves", curves, facts)])])


def curves(facts: Facts) -> Plot:
    """Draw the objective of each trial while it trained."""
    quantity = facts.objectives[0]
    drawn = [trial for trial in facts.trials if trial.curve]
    if not drawn:
        return Plot("curves", "", "", why_not="No trial reported anything while it ran, so there are no curves.")
    missing = len(drawn) - MOST_LINES
    drawn = drawn[-MOST_LINES:]
    points, figure = _points(drawn), go.Figure()
    # The lighter ones first: what counts lies on top.
    for state in ("lost", "stopped", "diverged", "failed", "pruned", "all-data", "complete", "running"):
        of_state = [trial for trial in drawn if trial.state == state and trial is not facts.best]
        if of_state:
            look = LOOKS[state]
            figure.add_scatter(
                **_lines(facts, of_state, points),
                name=STATES[state].partition(":")[0].partition(",")[0],
                mode="lines+markers",
                line={"color": look.colour, "dash": look.dash, "width": 1.3},
                marker={"symbol": look.symbol, "size": 5, "line": {"color": look.colour, "width": 1.2}},
                opacity=0.75 if state in ("complete", "running") else 0.55,
            )
    if facts.best is not None and facts.best.curve:
        figure.add_scatter(
            **_lines(facts, [facts.best], points),
            name=f"{facts.best_name}, trial {facts.best.number}",
            mode="lines+markers",
            line={"color": WINNER, "width": 3},
            marker={"symbol": "star", "size": 9, "color": WINNER},
        )
    style(figure, "epoch" if facts.curve_axis == "epoch" else "number of the report", quantity.axis)
    note = "A line a trial. Trials that were ended early are drawn lighter and stop there. "
    if missing > 0:
        note += f"The first {missing:,} of these trials are left out. "
    if any(len(trial.curve) > MOST_IN_CURVE for trial in drawn):
        note += f"Of each curve at most {MOST_IN_CURVE} points are drawn. "
    note += said_in_short(points) + limit_axis(figure, facts.maximize[0])
    return Plot("curves", "", note.strip(), figure, height=460)


def _points(trials: Sequence[Trial]) -> int:
    return sum(min(len(trial.curve), MOST_IN_CURVE) for trial in trials)


def _thinned(curve: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Return a curve with at most `MOST_IN_CURVE` points; its ends are among them."""
    last, steps = len(curve) - 1, MOST_IN_CURVE - 1
    return curve if last <= steps else [curve[step * last // steps] for step in range(steps + 1)]


def _lines(facts: Facts, trials: Sequence[Trial], points: int) -> dict[str, Any]:
    """Return many curves as one line with gaps: one entry in the legend, and quick to draw.

    Args:
        facts: of the sweep.
        trials: those with a curve.
        points: how many the plot has in all.
    """
    scale = facts.objectives[0].scale
    x: list[float | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for trial in trials:
        about = hover(facts, trial, points)
        for at, value in _thinned(trial.curve):
            x.append(at)
            y.append(value * scale)
            text.append(f"{facts.curve_axis} {at:.4g}: {facts.objectives[0].text(value)}<br>{about}")
        x.append(None)
        y.append(None)
        text.append("")
    return {"x": x, "y": y, "hovertext": text, "hoverinfo": "text", "connectgaps": False}
