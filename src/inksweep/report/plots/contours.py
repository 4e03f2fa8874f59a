"""The objective over two parameters at a time."""

from collections.abc import Sequence

from optuna import visualization
from optuna.study import Study

from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import Trial
from inksweep.report.plots.drawing import escape, style
from inksweep.report.plots.looks import SCALE
from inksweep.report.plots.parts import Plot

# A surface through fewer points would mislead.
ENOUGH_FOR_CONTOUR = 5


def contour(facts: Facts, trials: Sequence[Trial], study: Study, pair: tuple[str, str], key: str) -> Plot:
    """Draw the objective over two parameters, of `trials`; `study` shows them."""
    quantity = facts.objectives[0]
    points = {tuple(shown(trial.params[name]) for name in pair) for trial in trials}
    if len(points) < ENOUGH_FOR_CONTOUR:
        few = f"only {len(points)} points; a surface through so few would mislead."
        return Plot(key, "", "", why_not=f"{pair[0]} and {pair[1]}: {few}")
    figure = visualization.plot_contour(
        study,
        params=[escape(name) for name in pair],
        target=lambda trial: trial.values[0],
        target_name=quantity.axis,
    )
    for trace in figure.data:
        if trace.type == "contour":
            bar = {"title": {"text": quantity.unit or quantity.label}, "thickness": 12, "outlinewidth": 0}
            trace.update(colorscale=SCALE, reversescale=not facts.maximize[0], colorbar=bar, line={"width": 0.5})
        else:
            trace.update(marker={"color": "white", "size": 7, "line": {"color": "black", "width": 1.2}})
    style(figure, figure.layout.xaxis.title.text or "", figure.layout.yaxis.title.text or "", escaped=True)
    figure.update_layout(margin={"l": 60, "r": 10, "t": 10, "b": 50}, showlegend=False)
    return Plot(key, "", "", figure, height=320)
