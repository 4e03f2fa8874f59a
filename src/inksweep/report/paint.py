"""A figure of the page, painted with matplotlib: the figure says what is shown, and this file knows no plot by name."""

import html
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, PercentFormatter

from inksweep.report.plots.looks import INK, SCALE

# To a pixel of the page.
POINTS = 0.75
# The like in matplotlib of what plotly calls so.
MARKERS = {
    "circle": "o", "circle-open": "o", "hexagon-open": "h", "x-thin-open": "x", "triangle-down": "v",
    "square-open": "s", "cross-thin-open": "+", "diamond": "D", "diamond-open": "D", "star": "*",
}  # fmt: skip
STROKES = {"solid": "-", "dash": "--", "longdash": "--", "dot": ":", "dashdot": "-."}
# Below this part of the axis, a bar has no room for its text.
LEAST_FOR_TEXT = 0.022


def paint(axes: Axes, figure: Any) -> None:
    """Paint a plotly figure of points, lines and horizontal bars: its data, labels, limits and marks.

    Of points in space, the first two coordinates are painted.
    """
    layout = figure.layout
    for trace in figure.data:
        if not len(trace.x):
            continue
        if trace.type == "bar":
            _bars(axes, trace, layout)
        elif trace.marker.showscale:
            _colour_bar(axes, trace.marker)
        else:
            _points(axes, trace, layout)
    for shape in layout.shapes:
        if str(shape.yref).endswith("domain"):
            axes.axvline(shape.x0, color=INK, linestyle="--", linewidth=1)
        else:
            axes.plot([shape.x0, shape.x1], [shape.y0, shape.y1], color="0.6", linewidth=1, zorder=0)
    for note in layout.annotations:
        axes.text(note.x, note.y, _plain(note.text), fontsize=8, color=INK, parse_math=False, ha="center", va="center",
                  bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1})  # fmt: skip
    _scale(axes, layout)
    _count_hidden(axes, figure)


def _points(axes: Axes, trace: Any, layout: Any) -> None:
    """Paint marks, a line, or both; None among the numbers is a gap."""
    xs, ys, mode, marker = (
        _places(trace.x, layout.xaxis),
        _places(trace.y, layout.yaxis),
        trace.mode or "lines",
        trace.marker,
    )
    name = _plain(trace.name or "") if trace.showlegend is not False and layout.showlegend is not False else ""
    style: dict[str, Any] = {"alpha": trace.opacity, "label": name or None}
    if (
        trace.type == "scatter" and trace.yaxis == "y2"
    ):  # at the rim: from 0 at the lower end of the axis to 1 at the upper
        style["transform"] = axes.get_xaxis_transform()
    size = POINTS * (marker.size or 6)
    if not isinstance(marker.color, str | None):
        axes.scatter(xs, ys, s=size**2, c=list(marker.color), cmap=SCALE.lower(), edgecolor="0.3", linewidth=0.5)
        return
    line = "lines" in mode
    if line:
        style |= {"linestyle": STROKES[trace.line.dash or "solid"], "linewidth": POINTS * (trace.line.width or 2)}
        style |= {"drawstyle": "steps-post"} if trace.line.shape == "hv" else {}
    else:
        style["linestyle"] = "none"
    if "markers" in mode:
        hollow = {"markerfacecolor": "none"} if str(marker.symbol).endswith("-open") else {}
        style |= {"marker": MARKERS[marker.symbol or "circle"], "markersize": size, **hollow}
    axes.plot(xs, ys, color=_colour(str((trace.line.color if line else None) or marker.color)), **style)
    for x, y, text in zip(xs, ys, trace.text if "text" in mode else (), strict=False):
        axes.annotate(text, (x, y), (6, -12), textcoords="offset points", fontsize=9)


def _bars(axes: Axes, trace: Any, layout: Any) -> None:
    """Paint horizontal bars with their texts: inside, where there is room, or behind them."""
    rows = list(layout.yaxis.categoryarray or trace.y)
    pattern, at = trace.marker.pattern.shape, [rows.index(name) for name in trace.y]
    starts = trace.base if trace.base is not None else [0.0] * len(at)
    bars = axes.barh(at, trace.x, left=starts, height=trace.width or 0.8, color=trace.marker.color,
                     hatch=2 * pattern if pattern else None, edgecolor="white",
                     linewidth=POINTS * (trace.marker.line.width or 0),
                     label=_plain(trace.name) if layout.showlegend is not False else None)  # fmt: skip
    axes.set_yticks(range(len(rows)), [_plain(name) for name in rows], fontsize=9)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    if trace.textposition == "outside":
        axes.bar_label(bars, list(trace.text), padding=3, fontsize=9)
        axes.margins(x=0.1)
        return
    for row, start, length, text in zip(at, starts, trace.x, trace.text, strict=True):
        if length > LEAST_FOR_TEXT * layout.xaxis.range[1]:
            axes.text(start + length / 2, row, text.replace(" ", ""), fontsize=8, ha="center", va="center",
                      color=trace.textfont.color)  # fmt: skip


def _colour_bar(axes: Axes, marker: Any) -> None:
    """Paint the scale of a mark that stands for all colours of a figure."""
    low, high = marker.color
    colours = colormaps[SCALE.lower() + ("_r" if marker.reversescale else "")]
    title = _plain(marker.colorbar.title.text)
    bar = axes.figure.colorbar(ScalarMappable(Normalize(low, high), colours), ax=axes, label=title, shrink=0.8)
    bar.outline.set_visible(False)


def _scale(axes: Axes, layout: Any) -> None:
    """Give the axes the titles, limits and ticks of a figure."""
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    for letter, axis, wanted in (("x", axes.xaxis, layout.xaxis), ("y", axes.yaxis, layout.yaxis)):
        if wanted.visible is False:
            axis.set_visible(False)
            axes.spines[:].set_visible(False)
            axes.tick_params(length=0)
        if wanted.showgrid is not False:
            axis.grid(color="0.92")
        axis.set_label_text(_plain(wanted.title.text or ""), parse_math=False, fontsize=9)
        if wanted.tickvals is not None:
            axis.set_ticks(list(wanted.tickvals), [_plain(text) for text in wanted.ticktext], fontsize=9)
        elif wanted.type == "category":
            axis.set_ticks(range(len(wanted.categoryarray)), [_plain(text) for text in wanted.categoryarray])
            axes.margins(x=0.3)
        elif wanted.type == "log":
            getattr(axes, f"set_{letter}scale")("log")
        elif wanted.tickformat == "d":
            axis.set_major_locator(MaxNLocator(integer=True))
        elif wanted.tickformat == ".0%":
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        elif wanted.autorange == "reversed":
            axis.set_inverted(True)
        elif hasattr(axis.get_major_formatter(), "set_useOffset"):
            axis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]
        if wanted.tickvals is not None or wanted.type == "category":
            for label in axis.get_ticklabels():
                label.set_parse_math(False)
        if wanted.range is not None:
            getattr(axes, f"set_{letter}lim")(wanted.range)


def _count_hidden(axes: Axes, figure: Any) -> None:
    """Say in the picture how many points lie beyond its limits."""
    if (ends := figure.layout.yaxis.range) is None:
        return
    values = list(_marked(figure.data))
    for height, count, where in (
        (0.02, sum(value < ends[0] for value in values), "below"),
        (0.94, sum(value > ends[1] for value in values), "above"),
    ):
        if count:
            axes.text(0.01, height, f"{count} {where}", transform=axes.transAxes, fontsize=8, color=INK,
                      bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1})  # fmt: skip


def _marked(traces: Iterable[Any]) -> Iterator[float]:
    """Yield the heights of all marks on the usual axis."""
    for trace in traces:
        if trace.type == "scatter" and trace.yaxis in (None, "y") and "markers" in (trace.mode or ""):
            yield from (value for value in trace.y if value is not None and math.isfinite(value))


def _places(values: Sequence[Any], axis: Any) -> list[float]:
    """Return where values lie on an axis: a choice at its number; a gap at nan."""
    order = {name: float(number) for number, name in enumerate(axis.categoryarray or ())}
    return [order[value] if value in order else math.nan if value is None else float(value) for value in values]


def _colour(colour: str) -> str:
    """Return a colour of plotly as matplotlib reads it: it does not know `rgb(40, 64, 110)`."""
    if not colour.startswith("rgb("):
        return colour
    return "#" + "".join(f"{int(part):02x}" for part in colour[4:-1].split(","))


def _plain(text: str) -> str:
    """Return a text of plotly without its tags and escapes."""
    return html.unescape(text.replace("<br>", "\n"))
