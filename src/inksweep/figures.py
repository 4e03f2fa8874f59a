"""Figures of plain data, drawn with matplotlib; no torch in here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from inksweep.files import replacing

Numbers = npt.NDArray[np.floating[Any]]

DPI = 150
DIGIT_INCHES = 0.85
TITLE_INCHES = 0.55
# A letter and a line of captions in 7 points.
LETTER_INCHES, LINE_INCHES = 0.058, 0.14
# Told apart by the colour-blind too (Okabe and Ito 2008); without the yellow, which fades on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# The surest answers of a reliability plot: 99.9999 %.
NINES = 6.0
PERCENT_TICKS = (0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999)
# Blue is below zero, white is zero, red is above.
AROUND_ZERO = "RdBu_r"


@dataclass(frozen=True)
class Panel:
    """A block of digits under one title, each with its caption; a caption may have several lines."""

    title: str
    # (n, h, w), background 0, ink 1.
    pictures: Numbers
    captions: Sequence[str]


@dataclass(frozen=True)
class Reliability:
    """Bins of answers of about the same confidence, each array (bins,)."""

    name: str
    # Mean of 1 - confidence, 0..1.
    doubt: Numbers
    # Share of wrong answers, and an interval of it, 0..1.
    wrong: Numbers
    low: Numbers
    high: Numbers


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whatever the name says; its places are final then."""
    figure.set_dpi(DPI)
    # savefig() would draw the whole figure once more, into nothing, to have it laid out; the places are the same.
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=DPI)


def learning_curves(
    curves: Mapping[str, Sequence[Mapping[str, float]]], kept: Mapping[str, float] | None = None
) -> Figure:
    """Draw loss and validation accuracy over epochs, of one run or of several.

    Args:
        curves: rows of `metrics.csv` by the name of the run.
        kept: by the name of the run, the epoch whose weights were saved.
    """
    kept = kept or {}
    runs = {name: rows for name, rows in curves.items() if rows}
    colours = dict(zip(runs, cycle(COLOURS), strict=False))
    figure = Figure(figsize=(7.5, 6.5), layout="constrained")
    losses, accuracies = figure.subplots(2, 1, sharex=True)
    for name, rows in runs.items():
        training = COLOURS[1] if len(runs) == 1 else colours[name]
        _draw_curve(losses, rows, "train/loss", color=training, linestyle="--")
        _draw_curve(losses, rows, "val/loss", color=colours[name])
        _draw_curve(accuracies, rows, "val/accuracy", scale=100, color=colours[name])
        moment = [row for row in rows if row.get("epoch") == kept.get(name)]
        ring: dict[str, Any] = {
            "color": colours[name],
            "marker": "o",
            "markersize": 11,
            "fillstyle": "none",
            "linestyle": "",
        }
        _draw_curve(losses, moment, "val/loss", **ring)
        _draw_curve(accuracies, moment, "val/accuracy", scale=100, **ring)
    losses.set_title("Loss", loc="left", fontsize=11)
    losses.set_ylabel("cross-entropy (nats)")
    accuracies.set_title("Accuracy on the validation split", loc="left", fontsize=11)
    accuracies.set(xlabel="epochs", ylabel="accuracy (%)")
    accuracies.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in (losses, accuracies):
        axes.grid(color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.ticklabel_format(axis="y", useOffset=False)
        if not runs:
            _say(axes, "no evaluation yet")
    _use_powers(losses)
    figure.align_ylabels()
    if runs:
        _draw_legend(figure, colours, {name: epoch for name, epoch in kept.items() if name in runs})
    return figure


def _draw_curve(axes: Axes, rows: Sequence[Mapping[str, float]], column: str, scale: float = 1, **look: Any) -> None:
    """Add a line to `axes`; of a row that lacks the value, a gap."""
    epochs = [row.get("epoch", np.nan) for row in rows]
    # Points show where there are few: a single one makes no line.
    look = {"marker": "o" if len(rows) <= 30 else "", "markersize": 3.5, "linewidth": 1.6, **look}
    axes.plot(epochs, [row.get(column, np.nan) * scale for row in rows], **look)


def _use_powers(axes: Axes) -> None:
    """Let a loss that falls by more than ten times be read to its end."""
    values = np.concatenate([line.get_ydata() for line in axes.lines] or [[]])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylabel("cross-entropy (nats, log scale)")


def _draw_legend(figure: Figure, colours: Mapping[str, str], kept: Mapping[str, float]) -> None:
    """Say which line is which; of several runs, the colour is the run and the stroke the split."""
    entries: list[tuple[str, Any, str, str]]
    if len(colours) == 1:
        (name,) = colours
        saved = f"weights saved (epoch {kept[name]:g})" if name in kept else ""
        entries = [(COLOURS[1], "--", "", "training, while it learns"), (colours[name], "-", "", "validation")]
        entries += [(colours[name], "", "o", saved)] if saved else []
    else:
        entries = [(colour, "-", "", name) for name, colour in colours.items()]
        entries += [("0.4", "--", "", "training, while it learns"), ("0.4", "-", "", "validation")]
        entries += [("0.4", "", "o", "weights saved")] if kept else []
    handles = [
        Line2D([], [], color=colour, linestyle=stroke, marker=marker, markersize=9, fillstyle="none")
        for colour, stroke, marker, _ in entries
    ]
    names = [name for *_, name in entries]
    columns = 3 if len(colours) == 1 else 2 if max(map(len, names)) < 45 else 1
    legend = figure.legend(handles, names, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a folder's name may hold any character


def confusion(counts: npt.NDArray[np.integer[Any]], classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix; the colour is that of the wrong answers, which the right ones would drown.

    Args:
        counts: how often class `row` was answered with class `column`, (classes, classes).
        classes: their names.
        title: what was answered, and how well.
    """
    size, total = len(classes), counts.sum(axis=1)
    wrong = np.ma.masked_where(np.eye(size, dtype=bool) | (counts == 0), counts)
    cell = 0.56 if size <= 16 else 0.42
    longest = max(map(len, classes)) * 0.085
    width, height = size * cell + longest + 1.8, size * cell + longest + 1.7
    figure = Figure(figsize=(max(width, 6), max(height, 4)), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", wrap=True)
    axes = figure.subplots()
    # Square root: a class mixed up 5 times is seen beside one mixed up 50 times.
    axes.imshow(np.sqrt(wrong), cmap="Oranges", vmin=0, vmax=1.25 * max(1.0, float(np.sqrt(wrong.filled(0).max()))))
    for row, column in zip(*counts.nonzero(), strict=True):
        right = row == column
        if right:
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor="0.93", edgecolor="none"))
        axes.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=9 if size <= 16 else 6,
                  color="0.35" if right else "black")  # fmt: skip
    turned: dict[str, Any] = (
        {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if max(map(len, classes)) > 3 else {}
    )
    axes.set_xticks(range(size), classes, **turned)
    axes.set_yticks(range(size), classes)
    axes.set(xlabel="answered", ylabel="true class")
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    shares = axes.secondary_yaxis("right")
    texts = [f"{counts[row, row] / total[row]:.1%}" if total[row] else "-" for row in range(size)]
    shares.set_yticks(range(size), texts, fontsize=8, color="0.35")
    shares.set_ylabel("answered right, of the class", color="0.35")
    shares.tick_params(length=0)
    shares.spines[:].set_visible(False)
    return figure


def reliability(
    title: str, now: Reliability, right: Numbers, wrong: Numbers, before: Reliability | None = None
) -> Figure:
    """Draw how often answers are right against how sure they are, and below it how many are how sure.

    Both axes are logarithmic in the distance from 100 %: of a good model nearly all answers are above 99 %, where a
    plain axis would show one point.

    Args:
        title: of the whole.
        now: how it is.
        right: 1 - confidence of the right answers, (k,).
        wrong: of the wrong ones.
        before: how it was, paler.
    """
    figure = Figure(figsize=(7, 7), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", wrap=True)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    many = {"0.6": before, COLOURS[0]: now} if before is not None else {COLOURS[0]: now}
    errors = np.concatenate([one.wrong for one in many.values()])
    # Above the smallest share that is not 0 there is a line of its own for bins without a mistake.
    smallest = _nines(np.array([errors[errors > 0].min()]))[0] if errors.any() else 1.0
    top = float(np.ceil(smallest * 2) / 2 + 0.5)
    for colour, one in many.items():
        x = _nines(one.doubt)
        low, middle, high = (np.where(part > 0, _nines(part), top) for part in (one.high, one.wrong, one.low))
        none = one.wrong <= 0
        axes.vlines(x, low, np.where(none, top, high).clip(max=top), color=colour, linewidth=1.4, alpha=0.6)
        axes.plot(x[~none], middle[~none], "o", color=colour, markersize=6, label=one.name)
        axes.plot(x[none], middle[none], "o", color=colour, markersize=6, markerfacecolor="white")
    doubts = np.concatenate([one.doubt for one in many.values()])
    highs = np.concatenate([one.high for one in many.values()])
    least = max(0.0, float(_nines(np.concatenate([doubts, highs])).min()) - 0.1)
    furthest = float(_nines(doubts).max())
    axes.plot([0, NINES], [0, NINES], color="0.3", linestyle=":", linewidth=1.2, label="as often right as sure")
    axes.axhline(top, color="0.85", linewidth=0.8, zorder=0)
    axes.text(0.01, top, "no mistake", transform=axes.get_yaxis_transform(), fontsize=8, color="0.35", va="bottom")
    axes.set(ylabel="answered right", ylim=(least, top + 0.25), xlim=(0, max(furthest, top) + 0.25))
    edges = np.linspace(0, NINES, 43)
    for values, colour, name in ((right, "0.8", "right"), (wrong, COLOURS[1], "wrong")):
        below.hist(_nines(values), bins=edges.tolist(), color=colour, label=name, log=True)
    below.set(xlabel="confidence of the answer", ylabel="answers")
    below.yaxis.set_major_formatter("{x:,.0f}")
    for part in (axes, below):
        part.grid(color="0.93")
        part.set_axisbelow(True)
        part.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    below.set_ylim(0.7, below.get_ylim()[1] * 4)  # room for the legend
    below.legend(frameon=False, fontsize=9, loc="upper left", ncols=2)
    ticks = list(PERCENT_TICKS)
    heights = [-np.log10(1 - tick / 100) for tick in ticks]
    names = [f"{tick:g}%" for tick in ticks]
    below.set_xticks(heights, names)
    shown = [index for index, height in enumerate(heights) if least <= height <= top - 0.2]
    axes.set_yticks([heights[index] for index in shown], [names[index] for index in shown])
    axes.tick_params(labelbottom=True)
    return figure


def _nines(share: Numbers) -> Numbers:
    """Return how many nines 1 - share has: 1 for 90 %, 2 for 99 %; at most `NINES`."""
    nines: Numbers = -np.log10(np.clip(share, 10**-NINES, 1.0))
    return nines


def digits(title: str, panels: Sequence[Panel], columns: int, none: str = "none") -> Figure:
    """Draw each panel as a grid of `columns` digits with their captions above them.

    Args:
        title: of the whole.
        panels: one below the other.
        columns: digits beside each other.
        none: what stands in a panel without digits.
    """
    captions = [caption for panel in panels for caption in panel.captions]
    longest = max((len(line) for caption in captions for line in caption.split("\n")), default=0)
    size = 10 if longest < 8 else 7
    # Wide enough for the captions, and for the titles to be read.
    wide = max(DIGIT_INCHES + 0.1, longest * LETTER_INCHES + 0.1, 5.5 / columns)
    tall = DIGIT_INCHES + 0.3 + max((caption.count("\n") for caption in captions), default=0) * LINE_INCHES
    heights = [
        (TITLE_INCHES if panel.title else 0.1) + max(1, -(-len(panel.captions) // columns)) * tall for panel in panels
    ]
    figure = Figure(figsize=(columns * wide + 0.1, sum(heights) + TITLE_INCHES), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", wrap=True)
    parts = figure.subfigures(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for part, panel in zip(parts, panels, strict=True):
        if panel.title:
            part.suptitle(panel.title, fontsize=10, x=0.01, horizontalalignment="left", wrap=True)
        axes = part.subplots()
        if panel.captions:
            _tile(axes, panel, columns, wide, tall, size, cmap="gray_r", vmin=0, vmax=1)
        else:
            _say(axes, none)
    return figure


def weights(title: str, panel: Panel, columns: int) -> Figure:
    """Draw weights as small pictures on one scale: white is zero, blue below, red above.

    Args:
        title: of the whole.
        panel: the weights, its title a line on what is shown.
        columns: pictures beside each other.
    """
    wide, tall, rows = DIGIT_INCHES + 0.1, DIGIT_INCHES + 0.25, -(-len(panel.captions) // columns)
    figure = Figure(figsize=(columns * wide + 1, rows * tall + 0.8), layout="constrained")
    figure.suptitle(title, fontsize=12, fontweight="bold", wrap=True)
    axes = figure.subplots()
    axes.set_title(panel.title, fontsize=9, parse_math=False)
    # A few large weights would leave all others pale.
    limit = float(np.quantile(np.abs(panel.pictures), 0.999)) or 1.0
    _tile(axes, panel, columns, wide, tall, 7, cmap=AROUND_ZERO, vmin=-limit, vmax=limit)
    bar = figure.colorbar(axes.images[0], ax=axes, shrink=min(1.0, 3 / rows), extend="both", label="weight")
    bar.outline.set_visible(False)
    return figure


def _tile(axes: Axes, panel: Panel, columns: int, wide: float, tall: float, size: float, **look: Any) -> None:
    """Lay out pictures in cells of `wide` x `tall` inches, their captions above them.

    All in one coordinate system: one for each picture takes matplotlib seconds.
    """
    rows = -(-len(panel.captions) // columns)
    for number, (picture, caption) in enumerate(zip(panel.pictures, panel.captions, strict=True)):
        row, column = divmod(number, columns)
        left, bottom = column * wide + (wide - DIGIT_INCHES) / 2, (rows - 1 - row) * tall
        right, top = left + DIGIT_INCHES, bottom + DIGIT_INCHES
        axes.imshow(picture, extent=(left, right, bottom, top), interpolation="nearest", **look)
        # A faint frame shows where a shifted digit lies in its picture.
        frame = Rectangle((left, bottom), DIGIT_INCHES, DIGIT_INCHES, fill=False, edgecolor="0.8", linewidth=0.8)
        axes.add_patch(frame)
        axes.text((left + right) / 2, top + 0.03, caption, fontsize=size, ha="center", va="bottom", parse_math=False)
    axes.set(xlim=(0, columns * wide), ylim=(-0.02, rows * tall), aspect="equal", anchor="NW")
    axes.axis("off")


def _say(axes: Axes, text: str) -> None:
    """Write a line where there is nothing to draw."""
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=11, color="0.35")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
