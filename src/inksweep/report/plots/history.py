"""How the search went: the objective of each trial, the best so far, and the target."""

from collections.abc import Sequence

import plotly.graph_objects as go
from optuna import visualization

from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import Trial, best_so_far, measured
from inksweep.report.plots.drawing import guarded, hover, limit_axis, said_in_short, shown_study, style
from inksweep.report.plots.looks import LOOKS, TARGET, TARGET_METRIC, WINNER
from inksweep.report.plots.parts import Plot, Plots, Section


def section(facts: Facts) -> Section:
    """Return the section with the history of each objective."""
    plots = [guarded(f"history{index}", history, facts, index) for index in range(len(facts.objectives))]
    return Section("history", "How the search went", [Plots(plots)])


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
    # On the front, one may be far from the best of a single objective.
    cut = limit_axis(figure, maximize) if len(facts.objectives) == 1 else ""
    return Plot(key, title, (_note(facts, index) + cut + said_in_short(len(facts.trials))).strip(), figure)


def _note(facts: Facts, index: int) -> str:
    note = f"One point a trial; {'higher' if facts.maximize[index] else 'lower'} is better. "
    if len(facts.objectives) == 1:
        note += "The line is the best up to each number. "
    if index == 0 and any(trial.state in ("pruned", "stopped") for trial in facts.trials):
        note += "Trials that were ended early stand where they last reported. "
    if unjudged := sum(trial.state == "all-data" for trial in facts.trials):
        note += f"Not drawn: {unjudged} trained on all data, the validation pictures too. "
    return note


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
        steps = best_so_far(complete, facts.maximize[0])
        points = [(trial, value) for trial in steps if (value := measured(trial, target.quantity.name)) is not None]
        if target.quantity.unit != objective.unit or not points:
            return  # another unit than that of the axis, or no value
        last = max(trial.number for trial in facts.trials)
        xs, ys = [trial.number for trial, _ in points], [value * target.quantity.scale for _, value in points]
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
