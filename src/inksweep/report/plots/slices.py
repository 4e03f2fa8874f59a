"""The objective over one parameter at a time."""

import plotly.graph_objects as go
from optuna import visualization
from optuna.study import Study

from inksweep.report.facts.facts import Facts
from inksweep.report.plots.drawing import escape, hover, style
from inksweep.report.plots.looks import SCALE
from inksweep.report.plots.parts import Plot


def slice_of(facts: Facts, study: Study, name: str, key: str) -> Plot:
    """Draw the objective over one parameter, of the trials of a shown study."""
    quantity = facts.objectives[0]
    figure = visualization.plot_slice(
        study, params=[escape(name)], target=lambda trial: trial.values[0], target_name=quantity.label
    )
    numbers = figure.data[0].marker.color
    figure.update_traces(
        marker={"colorscale": SCALE, "showscale": False, "size": 8, "line": {"width": 0.5, "color": "#555"}},
        hovertext=[hover(facts, facts.trials[number]) for number in numbers],
        hoverinfo="text",
    )
    _unquote(figure)
    style(figure, name, quantity.axis)
    figure.update_layout(margin={"l": 60, "r": 15, "t": 10, "b": 50})
    return Plot(key, "", "", figure, height=270)


def _unquote(figure: go.Figure) -> None:
    """Show choices as they are typed: Optuna puts them in quotes."""
    labels = figure.layout.xaxis.categoryarray
    if labels is None:
        return
    plain = {label: label[1:-1] for label in labels}
    figure.update_xaxes(categoryarray=list(plain.values()))
    for trace in figure.data:
        trace.x = [plain.get(label, label) for label in trace.x]
