"""Which class is taken for which."""

import plotly.graph_objects as go

from inksweep.report.facts.facts import Facts
from inksweep.report.plots.drawing import escape, style
from inksweep.report.plots.parts import Plot


def confusion(facts: Facts) -> Plot:
    """Draw what the winner takes for what; the colour is that of wrong answers, which the right ones would drown."""
    winner = facts.winner
    if winner is None or winner.confusion is None:
        why = winner.no_confusion if winner is not None else "There is no winner yet."
        return Plot("confusion", "", "", why_not=why)
    counts, size = winner.confusion, len(winner.classes)
    right, total = sum(counts[row][row] for row in range(size)), sum(map(sum, counts))
    # Between linear and square root: a class mixed up once is seen beside one mixed up 50 times, and is not as dark.
    wrong = [[None if row == at else counts[row][at] ** 0.7 for at in range(size)] for row in range(size)]
    classes = [escape(name) for name in winner.classes]
    figure = go.Figure()
    figure.add_heatmap(
        z=wrong,
        x=classes,
        y=classes,
        text=[[f"{count:,}" if count else "" for count in row] for row in counts],
        texttemplate="%{text}" if size <= 20 else None,
        colorscale=[[0, "#ffffff"], [0.001, "#fdecd2"], [0.5, "#f2a65e"], [1, "#D55E00"]],
        zmin=0,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertext=[
            [f"{classes[row]} answered as {classes[at]}: {counts[row][at]:,}" for at in range(size)]
            for row in range(size)
        ],
        hoverinfo="text",
    )
    style(figure, "answer of the winner", "true class")
    figure.update_yaxes(autorange="reversed", type="category", showgrid=False, ticks="")
    figure.update_xaxes(type="category", showgrid=False, ticks="", side="bottom")
    figure.update_layout(plot_bgcolor="#eef1f4", margin={"l": 60, "r": 10, "t": 10, "b": 60})
    note = (
        f"Test split: {right:,} of {total:,} right ({right / total:.2%}), {total - right:,} wrong. "
        "Grey: right answers. The darker, the more often that mistake was made."
    )
    return Plot("confusion", "", note, figure, height=480, least_width=36 * size if size > 10 else 0)
