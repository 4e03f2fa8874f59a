"""The Pareto front of a sweep with several objectives: the trials that no other beats in all of them."""

from optuna import visualization

from inksweep.report.facts.facts import Facts
from inksweep.report.plots.drawing import guarded, shown_study, style
from inksweep.report.plots.looks import LOOKS
from inksweep.report.plots.parts import Cell, Head, Part, Plot, Plots, Row, Section, Table, trial_cell
from inksweep.report.plots.trials import objective_cells, settings_of


def section(facts: Facts) -> Section | None:
    """Return the section on the front; None for a single objective."""
    if len(facts.objectives) < 2:
        return None
    parts: list[Part] = [Plots([guarded("pareto", pareto, facts)])]
    if facts.front:
        parts.append(_table(facts))
    return Section("pareto", "Pareto front", parts)


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
    places = {(trial.values[0] * scales[0], trial.values[1] * scales[1]): trial.number for trial in facts.front}
    for trace in figure.data:
        is_best = bool(trace.x) and (float(trace.x[0]), float(trace.y[0])) in places
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
            x=[x for x, _ in sorted(places)],
            y=[y for _, y in sorted(places)],
            text=[str(places[at]) for at in sorted(places)],
            textposition="bottom right",
            mode="lines+text",
            line={"color": LOOKS["failed"].colour, "width": 1.5, "dash": "dot"},
            showlegend=False,
            hoverinfo="skip",
        )
    style(figure, facts.objectives[0].axis, facts.objectives[1].axis)
    ways = [f"{'higher' if up else 'lower'} {q.label}" for q, up in zip(facts.objectives, facts.maximize, strict=True)]
    note = f"No trial beats those on the front in every objective. Better: {', '.join(ways)}."
    return Plot("pareto", "", note, figure, height=460)


def _table(facts: Facts) -> Table:
    heads = [Head("trial", "number"), *(Head(q.label, "number") for q in facts.objectives), Head("settings", "long")]
    rows = [Row([trial_cell(t), *objective_cells(facts, t), Cell(settings_of(t))]) for t in facts.front]
    return Table("trials on the Pareto front", heads, rows, sortable=True)
