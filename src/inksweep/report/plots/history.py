"""Plots of the search as it went: history, learning curves, Pareto front."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from optuna import visualization

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import STATES, Trial, measured
from inksweep.report.plots.drawing import (
    MOST_IN_CURVE,
    MOST_LINES,
    Plot,
    escape,
    guarded,
    hover,
    limit_axis,
    said_in_short,
    shown_study,
    style,
)
from inksweep.report.plots.looks import LOOKS, TARGET, TARGET_METRIC, WINNER


def histories(facts: Facts) -> list[Plot]:
    """Return the optimisation history, one an objective."""
    return [guarded(f"history{index}", history, facts, index) for index in range(len(facts.objectives))]


def history(facts: Facts, index: int) -> Plot:
    """Draw each trial's objective `index`, the best so far, and the target."""
    quantity, maximize = facts.objectives[index], facts.maximize[index]
    key, title = f"history{index}", quantity.label if len(facts.objectives) > 1 else ""
    complete = [trial for trial in facts.trials if trial.state == "complete" and trial.counts]
    if not complete:
        return Plot(key, title, "", why_not="No trial is complete yet, so there is nothing to draw.")
    study = shown_study(facts, complete)
    if len(facts.objectives) == 1:
        figure = visualization.plot_optimization_history(study, target_name=quantity.label)
    else:
        figure = visualization.plot_optimization_history(
            study, target=lambda trial: trial.values[index], target_name=quantity.label
        )
    look = LOOKS["complete"]
    figure.data[0].update(
        name="complete",
        marker={"color": look.colour, "size": 8, "symbol": look.symbol},
        hovertext=[hover(facts, facts.trials[number], len(facts.trials)) for number in figure.data[0].x],
        hoverinfo="text",
    )
    for trace in figure.data[1:]:
        trace.update(name="best so far", line={"color": look.colour, "shape": "hv", "width": 2}, hoverinfo="skip")
    if index == 0:
        for state in ("pruned", "diverged", "stopped"):
            _add_unfinished(figure, facts, state)
        _add_target(figure, facts, complete)
    for state in ("failed", "lost"):
        _add_at_the_rim(figure, facts, state)
    best = facts.front if len(facts.objectives) > 1 else [facts.best] if facts.best else []
    figure.add_scatter(
        x=[trial.number for trial in best],
        y=[trial.values[index] * quantity.scale for trial in best],
        mode="markers",
        name=facts.best_name if len(facts.objectives) == 1 else "on the Pareto front",
        marker={"symbol": "star", "size": 15, "color": WINNER, "line": {"color": "white", "width": 1}},
        hovertext=[hover(facts, trial) for trial in best],
        hoverinfo="text",
    )
    style(figure, "number of the trial", quantity.axis)
    last = max((trial.number for trial in facts.trials), default=0)
    margin = 0.5 + last / 100  # no mark is cut in half by the rim
    figure.update_xaxes(tickformat="d", range=[-margin, last + margin], dtick=1 if last <= 10 else None)
    note = f"One point a trial; {'higher' if maximize else 'lower'} is better. The line is the best up to each number. "
    if index == 0 and any(trial.state in ("pruned", "stopped") for trial in facts.trials):
        note += "Trials that were ended early stand where they last reported. "
    if unjudged := sum(trial.state == "all-data" for trial in facts.trials):
        note += f"Not drawn: {unjudged} trained on all data, the validation pictures too. "
    # On the front, one may be far from the best of a single objective.
    cut = limit_axis(figure, maximize) if len(facts.objectives) == 1 else ""
    return Plot(key, title, (note + cut + said_in_short(len(facts.trials))).strip(), figure)


def _add_unfinished(figure: go.Figure, facts: Facts, state: str) -> None:
    trials = [trial for trial in facts.trials if trial.state == state and trial.last is not None]
    if not trials:
        return
    look, scale = LOOKS[state], facts.objectives[0].scale
    figure.add_scatter(
        x=[trial.number for trial in trials],
        y=[(trial.last or 0) * scale for trial in trials],
        mode="markers",
        name=state,
        marker={"color": look.colour, "symbol": look.symbol, "size": 8, "line": {"width": 2, "color": look.colour}},
        hovertext=[hover(facts, trial, len(facts.trials)) for trial in trials],
        hoverinfo="text",
    )


def _add_at_the_rim(figure: go.Figure, facts: Facts, state: str) -> None:
    """Show trials without a value at the lower rim."""
    trials = [trial for trial in facts.trials if trial.state == state]
    if not trials:
        return
    look = LOOKS[state]
    figure.add_scatter(
        x=[trial.number for trial in trials],
        y=[0.02] * len(trials),
        yaxis="y2",
        mode="markers",
        name=f"{state} (no value)",
        marker={"color": look.colour, "symbol": look.symbol, "size": 9, "line": {"width": 2, "color": look.colour}},
        hovertext=[hover(facts, trial, len(facts.trials)) for trial in trials],
        hoverinfo="text",
    )
    figure.update_layout(yaxis2={"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True})


def _add_target(figure: go.Figure, facts: Facts, complete: Sequence[Trial]) -> None:
    """Draw the target, and what it looks at if that is not the objective."""
    target, objective = facts.target, facts.objectives[0]
    if target is None:
        return
    if target.quantity.name != objective.name:
        steps = best_so_far(facts, complete)
        known = [(trial, value) for trial in steps if (value := measured(trial, target.quantity.name)) is not None]
        if target.quantity.unit != objective.unit or not known:
            return  # it has no place on this axis
        last = max(trial.number for trial in facts.trials)
        xs, ys = [trial.number for trial, _ in known], [value * target.quantity.scale for _, value in known]
        figure.add_scatter(
            x=[*xs, last],
            y=[*ys, ys[-1]],
            mode="lines",
            name=f"{target.quantity.label} of the best so far",
            line={"color": TARGET_METRIC, "dash": "dash", "shape": "hv", "width": 2},
            hovertemplate="%{y:.4~f} " + objective.unit + "<extra></extra>",
        )
    figure.add_scatter(
        x=[0, max(trial.number for trial in facts.trials)],
        y=[target.value * target.quantity.scale] * 2,
        mode="lines",
        name=f"target: {target}",
        line={"color": TARGET, "dash": "dot", "width": 2},
        hoverinfo="skip",
    )


def best_so_far(facts: Facts, complete: Sequence[Trial]) -> list[Trial]:
    """Return the trials that are better than all with a smaller number, which need not have ended earlier."""
    best: list[Trial] = []
    for trial in complete:
        if best and (
            trial.values[0] == best[-1].values[0] or (trial.values[0] > best[-1].values[0]) != facts.maximize[0]
        ):
            continue
        best.append(trial)
    return best


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
        said = hover(facts, trial, points)
        for at, value in _thinned(trial.curve):
            x.append(at)
            y.append(value * scale)
            text.append(f"{facts.curve_axis} {at:.4g}: {facts.objectives[0].text(value)}<br>{said}")
        x.append(None)
        y.append(None)
        text.append("")
    return {"x": x, "y": y, "hovertext": text, "hoverinfo": "text", "connectgaps": False}


def pareto(facts: Facts) -> Plot:
    """Draw complete trials by their objectives, with those that no other beats."""
    size = len(facts.objectives)
    complete = [trial for trial in facts.trials if trial.state == "complete" and trial.counts]
    if size > 3:
        return Plot(
            "pareto", "", "", why_not=f"{size} objectives cannot be drawn; the front stands in the table below."
        )
    if not complete:
        return Plot("pareto", "", "", why_not="No trial is complete yet, so there is no front.")
    study = shown_study(facts, complete)
    figure = visualization.plot_pareto_front(study, target_names=[quantity.axis for quantity in facts.objectives])
    scales = [quantity.scale for quantity in facts.objectives]
    front = {(trial.values[0] * scales[0], trial.values[1] * scales[1]) for trial in facts.front}
    for trace in figure.data:
        is_best = bool(trace.x) and (float(trace.x[0]), float(trace.y[0])) in front
        trace.update(
            name="on the Pareto front" if is_best else "beaten by another",
            marker={
                "color": LOOKS["failed"].colour if is_best else LOOKS["complete"].colour,
                "showscale": False,
                "size": 11 if is_best else 7,
                "symbol": "diamond" if is_best else "circle",
            },
            showlegend=True,
        )
    if size == 2:
        figure.add_scatter(
            x=[x for x, _ in sorted(front)],
            y=[y for _, y in sorted(front)],
            mode="lines",
            line={"color": LOOKS["failed"].colour, "width": 1.5, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    style(figure, facts.objectives[0].axis, facts.objectives[1].axis)
    ways = [f"{'higher' if up else 'lower'} {q.label}" for q, up in zip(facts.objectives, facts.maximize, strict=True)]
    note = f"No trial beats those on the front in every objective. Better: {', '.join(ways)}."
    return Plot("pareto", "", note, figure, height=460)


def together(many: Sequence[Facts]) -> Plot:
    """Draw the best so far of several sweeps."""
    objective = many[0].objectives[0]
    alike = [facts for facts in many if facts.objectives[0].name == objective.name]
    figure = go.Figure()
    colours = [look.colour for name, look in LOOKS.items() if name != "stopped"]
    dashes = ("solid", "dash", "dot", "dashdot")
    for number, facts in enumerate(alike):
        complete = [trial for trial in facts.trials if trial.state == "complete" and trial.counts]
        steps = best_so_far(facts, complete)
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
