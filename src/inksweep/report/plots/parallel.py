"""Each complete trial as a line through the values of its parameters."""

from collections.abc import Sequence
from typing import Any

from optuna import visualization
from plotly.colors import sample_colorscale

from inksweep.report.facts.branches import Branch
from inksweep.report.facts.facts import Facts
from inksweep.report.plots.drawing import MOST_LINES, best_of, escape, left_out, shown_study, style
from inksweep.report.plots.looks import INK, SCALE
from inksweep.report.plots.parts import Plot


def parallel_coordinates(facts: Facts, branch: Branch, names: Sequence[str], key: str) -> Plot:
    """Draw each complete trial as a line through the values of its parameters."""
    quantity, maximize = facts.objectives[0], facts.maximize[0]
    figure = visualization.plot_parallel_coordinate(
        shown_study(facts, best_of(facts, branch.trials, MOST_LINES)),
        params=[escape(name) for name in names],
        target=lambda trial: trial.values[0],
        target_name=quantity.axis,
    )
    *lines, bar = figure.data
    for line in lines:
        # It lies between 0 and 1 on the axis of the objective.
        share = min(1.0, max(0.0, line.y[0] if maximize else 1 - line.y[0]))
        line.update(line={"color": sample_colorscale(SCALE, [share])[0], "width": 2}, opacity=0.8)
    bar.marker.update(colorscale=SCALE, reversescale=not maximize)
    bar.marker.colorbar.update(title={"text": quantity.unit or quantity.label}, thickness=12, outlinewidth=0)
    style(figure, "", "")
    labels = [label.replace(" ", "<br>", 1) for label in figure.layout.xaxis.ticktext]
    figure.update_xaxes(ticktext=labels, ticks="", showline=False, range=[-0.4, len(labels) - 0.8], automargin=False)
    figure.layout.annotations = _apart(figure.layout.annotations)
    figure.update_annotations(bgcolor="rgba(255,255,255,0.8)", font={"size": 11, "color": INK})
    figure.update_layout(margin={"l": 10, "r": 20, "t": 15, "b": 60})
    note = left_out(MOST_LINES, branch.trials).strip()
    return Plot(key, "", note, figure, height=430, least_width=150 * (len(names) + 1))


def _apart(annotations: Sequence[Any]) -> list[Any]:
    """Return the labels of axes that do not lie on another; the ends of an axis first."""
    kept: list[Any] = []
    for label in sorted(annotations, key=lambda label: -abs(label.y - 0.5)):
        if all(label.x != other.x or abs(label.y - other.y) > 0.045 for other in kept):
            kept.append(label)
    return kept
