"""The main plots as PNG files, drawn with matplotlib: no browser is needed."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from inksweep import figures
from inksweep.errors import last_line
from inksweep.paths import shown as shown_path
from inksweep.report.facts.branches import shown, varied
from inksweep.report.facts.facts import Facts
from inksweep.report.facts.trials import STATES, Trial, best_so_far, measured
from inksweep.report.plots.axis import outside, span
from inksweep.report.plots.drawing import MOST_LINES
from inksweep.report.plots.importances import importances_worth_showing
from inksweep.report.plots.looks import INK, LOOKS, SCALE, TARGET, TARGET_METRIC, WINNER
from inksweep.report.plots.slots import time_unit

log = logging.getLogger(__name__)

# Settings drawn side by side.
MOST_PARAMETERS = 8
# What a picture shows, unless it says so itself.
TITLES = {
    "history": "how the search went",
    "curves": "learning curves",
    "importances": "what mattered",
    "parallel": "complete trials, brighter is better",
    "slices": "complete trials, a brighter point is a later one",
    "slots": "slots over time",
    "pareto": "complete trials by two objectives",
}


def draw(facts: Facts) -> list[Path]:
    """Draw what can be drawn into `report/` in the sweep directory; return the files."""
    logging.getLogger("matplotlib.category").setLevel(logging.WARNING)  # that `64` and `128` might be numbers
    made = []
    drawers: dict[str, Callable[[Facts], Figure | None]] = {
        "history": history,
        "curves": curves,
        "importances": importances,
        "parallel": parallel,
        "slice": slices,
        "slots": slots,
        "pareto": pareto,
        "confusion": confusion,
    }
    for name, drawer in drawers.items():
        path = facts.folder / "report" / f"{name}.png"
        try:
            if _drawn(drawer, facts, path):
                made.append(path)
                continue
        except OSError:  # no picture could be written
            raise
        except Exception as error:
            log.warning("%s: could not be drawn (%s: %s)", shown_path(path), type(error).__name__, last_line(error))
        path.unlink(missing_ok=True)  # of an earlier moment
    return made


def _drawn(drawer: Callable[[Facts], Figure | None], facts: Facts, path: Path) -> bool:
    """Draw one picture; return whether there was anything to draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks, a number that is too large
        figure = drawer(facts)
        if figure is not None:
            _name(figure, f"{facts.name}: {figure.get_suptitle() or TITLES[drawer.__name__]}")
            figures.save(figure, path)
    return figure is not None


def _name(figure: Figure, title: str) -> None:
    """Say in the picture what it is of: it will leave its folder for a slide or a mail."""
    if not figure.legends:
        figure.suptitle(title, fontsize=11, x=0.01, ha="left", parse_math=False)
        return
    legend = figure.legends[0]  # has the place where a title would be
    legend.set_title(title)
    legend.get_title().set(fontsize=11, parse_math=False)
    legend.set_alignment("left")


def _complete(facts: Facts) -> list[Trial]:
    return [trial for trial in facts.trials if trial.state == "complete" and trial.counts]


def _tidy(axes: Axes, x: str, y: str) -> None:
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel(x, parse_math=False)
    axes.set_ylabel(y, parse_math=False)
    axes.ticklabel_format(axis="y", useOffset=False)


def _marks(state: str) -> dict[str, Any]:
    look = LOOKS[state]
    hollow = {"markerfacecolor": "none"} if "open" in look.symbol else {}
    return {"color": look.colour, "marker": look.marker, "linestyle": "none", "markersize": 6, **hollow}


def _limit(axes: Axes, values: Sequence[float], maximize: bool) -> None:
    """Let the axis show where good trials differ, if bad ones would squash them."""
    if (ends := span(values, maximize)) is None:
        return
    axes.set_ylim(ends)
    _tell(axes, 0.02 if maximize else 0.94, f"{outside(values, ends)} {'below' if maximize else 'above'}")


def _tell(axes: Axes, height: float, text: str) -> None:
    axes.text(0.01, height, text, transform=axes.transAxes, fontsize=8, color=INK,
              bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1})  # fmt: skip


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether values lie on a scale: a few whole numbers are choices."""
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return False
    return any(isinstance(value, float) for value in values) or len(set(values)) > 6


def history(facts: Facts) -> Figure | None:
    """Draw each trial's objective, the best so far and the target."""
    complete, quantity = _complete(facts), facts.objectives[0]
    if not complete:
        return None
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    axes = figure.subplots()
    values = []
    for state in ("pruned", "stopped", "diverged"):
        ended = [trial for trial in facts.trials if trial.state == state and trial.last is not None]
        if ended:
            ys = [(trial.last or 0) * quantity.scale for trial in ended]
            values += ys
            axes.plot([trial.number for trial in ended], ys, label=f"{state}, last report", **_marks(state))
    ys = [trial.values[0] * quantity.scale for trial in complete]
    values += ys
    axes.plot([trial.number for trial in complete], ys, label="complete", **_marks("complete"))
    best, last = best_so_far(complete, facts.maximize[0]), max(trial.number for trial in facts.trials)
    steps = [trial.values[0] * quantity.scale for trial in best]
    axes.step([*(trial.number for trial in best), last], [*steps, steps[-1]], where="post",
              color=LOOKS["complete"].colour, label="best so far")  # fmt: skip
    target = facts.target
    if target is not None and target.quantity.unit == quantity.unit:
        if target.quantity.name != quantity.name:
            known = [
                (t.number, v * quantity.scale) for t in best if (v := measured(t, target.quantity.name)) is not None
            ]
            if known:
                known.append((last, known[-1][1]))
                axes.step(*zip(*known, strict=True), where="post", color=TARGET_METRIC, linestyle="--",
                          label=f"{target.quantity.label} of the best so far")  # fmt: skip
        axes.axhline(target.value * quantity.scale, color=TARGET, linestyle=":", label=f"target: {target}")
    if facts.best is not None:
        axes.plot([facts.best.number], [facts.best.values[0] * quantity.scale], marker="*", markersize=13,
                  color=WINNER, linestyle="none", label=facts.best_name)  # fmt: skip
    _tidy(axes, "number of the trial", quantity.axis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _limit(axes, values, facts.maximize[0])
    _legend(figure)
    return figure


def _legend(figure: Figure, handles: Sequence[Any] | None = None, columns: int = 3) -> None:
    given = {} if handles is None else {"handles": handles}
    legend = figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=9, **given)
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold any character


def curves(facts: Facts) -> Figure | None:
    """Draw the objective of each trial while it trained."""
    drawn = [trial for trial in facts.trials if trial.curve]
    if not drawn:
        return None
    quantity = facts.objectives[0]
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    handles = []
    for state in ("lost", "stopped", "diverged", "failed", "pruned", "all-data", "complete", "running"):
        look = LOOKS[state]
        style: dict[str, Any] = {
            "color": look.colour,
            "linestyle": look.stroke,
            "linewidth": 1,
            "marker": look.marker,
            "markersize": 3,
        }
        light = 0.8 if state in ("complete", "running") else 0.5
        of_state = [trial for trial in drawn if trial.state == state and trial is not facts.best]
        for trial in of_state:
            axes.plot(*_scaled(facts, trial), alpha=light, **style)
        if of_state:
            handles.append(Line2D([], [], label=state, **style))
    if facts.best is not None and facts.best.curve:
        (line,) = axes.plot(*_scaled(facts, facts.best), color=WINNER, linewidth=2.4, marker="*", markersize=7)
        line.set_label(f"{facts.best_name}, trial {facts.best.number}")
        handles.append(line)
    _tidy(axes, "epoch" if facts.curve_axis == "epoch" else "number of the report", quantity.axis)
    _limit(axes, [value * quantity.scale for trial in drawn for _, value in trial.curve], facts.maximize[0])
    _legend(figure, handles, columns=5)
    return figure


def _scaled(facts: Facts, trial: Trial) -> tuple[list[float], list[float]]:
    return [at for at, _ in trial.curve], [value * facts.objectives[0].scale for _, value in trial.curve]


def importances(facts: Facts) -> Figure | None:
    """Draw how much each parameter explains of the (first) objective."""
    weights = importances_worth_showing(facts, 0)
    if not weights:
        return None
    figure = Figure(figsize=(8, 1.3 + 0.34 * len(weights)), layout="constrained")
    axes = figure.subplots()
    names = list(weights)[::-1]
    bars = axes.barh(names, [100 * weights[name] for name in names], color=LOOKS["complete"].colour)
    axes.bar_label(bars, fmt="%.1f %%", padding=3, fontsize=9)
    axes.set_xlabel(f"importance for {facts.objectives[0].label} (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)
    return figure


def _ordered(values: Sequence[Any]) -> list[Any]:
    """Return the different ones of some choices, numbers by size."""
    different = list({shown(value): value for value in values}.values())
    return sorted(different, key=lambda value: (0, value, "") if isinstance(value, int) else (1, 0, str(value)))


def _positions(trials: Sequence[Trial], name: str) -> tuple[list[float], list[tuple[float, str]]]:
    """Return where the values of a parameter lie on its axis, 0..1, and its ticks."""
    values = [trial.params[name] for trial in trials]
    if not _are_numbers(values):
        choices = [shown(value) for value in _ordered(values)]
        at = {choice: number / max(1, len(choices) - 1) for number, choice in enumerate(choices)}
        return [at[shown(value)] for value in values], [(place, choice) for choice, place in at.items()]
    low, high = min(values), max(values)
    log = low > 0 and high / low > 30

    def place(value: float) -> float:
        if high == low:
            return 0.5
        return float(np.log(value / low) / np.log(high / low) if log else (value - low) / (high - low))

    middle = (low * high) ** 0.5 if log else (low + high) / 2
    return [place(value) for value in values], [(place(v), f"{v:.3g}") for v in (low, middle, high)]


def parallel(facts: Facts) -> Figure | None:
    """Draw each complete trial as a line through the parameters that all have."""
    import matplotlib as mpl

    complete = _complete(facts)
    names = varied(complete)[:MOST_PARAMETERS]
    if len(complete) < 2 or not names:
        return None
    quantity, maximize = facts.objectives[0], facts.maximize[0]
    values = [trial.values[0] * quantity.scale for trial in complete]
    norm = mpl.colors.Normalize(min(values), max(values))
    colours = mpl.colormaps[SCALE.lower() if maximize else SCALE.lower() + "_r"]
    columns = [(place, ticks) for place, ticks in (_positions(complete, name) for name in names)]
    heights = [norm(value) for value in values]
    figure = Figure(figsize=(2.2 + 1.4 * len(names), 4.8), layout="constrained")
    axes = figure.subplots()
    for row in np.argsort(values if maximize else [-value for value in values]):
        line = [float(heights[row]), *(places[row] for places, _ in columns)]
        axes.plot(range(len(line)), line, color=colours(norm(values[row])), linewidth=1.6, alpha=0.85)
    for at, (_, ticks) in enumerate(
        [([], [(float(norm(v)), f"{v:.4g}") for v in (min(values), max(values))]), *columns]
    ):
        axes.axvline(at, color="0.6", linewidth=1, zorder=0)
        for height, text in ticks:
            axes.text(at - 0.04, height, text, ha="right", va="center", fontsize=8, color=INK, parse_math=False,
                      bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1})  # fmt: skip
    labels = [quantity.axis.replace(" ", "\n", 1), *(name.replace(".", ".\n", 1) for name in names)]
    for label in axes.set_xticks(range(len(labels)), labels, fontsize=9):
        label.label1.set_parse_math(False)
    axes.set(yticks=[], xlim=(-0.4, len(labels) - 0.9), ylim=(-0.06, 1.06))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(mpl.cm.ScalarMappable(norm, colours), ax=axes, label=quantity.axis, shrink=0.8)
    bar.outline.set_visible(False)
    return figure


def slices(facts: Facts) -> Figure | None:
    """Draw the objective over each parameter; where not all trials have it, of those that do."""
    complete, quantity = _complete(facts), facts.objectives[0]
    names = list(dict.fromkeys(name for trial in complete for name in trial.params))
    names = [name for name in names if len({shown(t.params[name]) for t in complete if name in t.params}) > 1]
    if len(complete) < 2 or not names:
        return None
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.9 * columns + 0.6, 2.7 * rows), layout="constrained")
    cells = figure.subplots(rows, columns, sharey=True, squeeze=False)
    last = max(trial.number for trial in complete) or 1
    for axes, name in zip(cells.flat, names, strict=False):
        having = [trial for trial in complete if name in trial.params]
        values = [trial.params[name] for trial in having]
        is_number = _are_numbers(values)
        ys = [trial.values[0] * quantity.scale for trial in having]
        numbers = [trial.number for trial in having]
        axes.scatter(values if is_number else [shown(value) for value in values], ys, s=26, edgecolor="0.3",
                     linewidth=0.5, c=numbers, cmap=SCALE.lower(), vmin=0, vmax=last)  # fmt: skip
        axes.grid(color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(name, fontsize=9, parse_math=False)
        axes.tick_params(labelsize=8)
        if is_number and min(values) > 0 and max(values) / min(values) > 30:
            axes.set_xscale("log")
        elif not is_number:
            axes.margins(x=0.3)
    for axes in list(cells.flat)[len(names) :]:
        axes.set_visible(False)
    for axes in cells[:, 0]:
        axes.set_ylabel(quantity.axis, fontsize=9)
        axes.ticklabel_format(axis="y", useOffset=False)
    return figure


def slots(facts: Facts) -> Figure | None:
    """Draw what each slot ran when, without the pauses between starts."""
    line = facts.timeline
    if not line.bars:
        return None
    per, unit = time_unit(line.wall_s)
    names = list(line.available)
    figure = Figure(figsize=(9, 1.5 + 0.6 * len(names)), layout="constrained")
    axes = figure.subplots()
    for bar in line.bars:
        state = facts.trials[bar.number].state
        look = LOOKS[state]
        axes.barh(names.index(bar.slot), bar.seconds / per, left=bar.at / per, height=0.7, color=look.colour,
                  hatch=look.pattern * 2, edgecolor="white",
                  linewidth=0.8 if len(line.bars) <= MOST_LINES else 0)  # fmt: skip
        if bar.seconds > 0.022 * line.wall_s:
            star = "★" if facts.trials[bar.number] is facts.best else ""
            axes.text((bar.at + bar.seconds / 2) / per, names.index(bar.slot), f"{star}{bar.number}", fontsize=8,
                      ha="center", va="center", color=look.text)  # fmt: skip
    for period in line.periods[1:]:
        axes.axvline(period.at / per, color=INK, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(names)), [f"{name}\nidle {line.idle(name):.1%}" for name in names], fontsize=9)
    axes.set(xlim=(0, line.wall_s / per), xlabel=f"time at work ({unit}); dashed: a pause between two starts, cut out"
             if len(line.periods) > 1 else f"time at work ({unit})")  # fmt: skip
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    seen = {facts.trials[bar.number].state for bar in line.bars}
    handles = [
        Patch(facecolor=LOOKS[state].colour, hatch=LOOKS[state].pattern * 2, edgecolor="white", label=state)
        for state in STATES
        if state in seen
    ]
    _legend(figure, handles, columns=len(handles))
    return figure


def pareto(facts: Facts) -> Figure | None:
    """Draw complete trials by their first two objectives, if there are two or more."""
    complete = _complete(facts)
    if len(facts.objectives) < 2 or not complete:
        return None
    first, second = facts.objectives[:2]
    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()

    def points(trials: Sequence[Trial]) -> Iterator[list[float]]:
        for index, quantity in enumerate((first, second)):
            yield [trial.values[index] * quantity.scale for trial in trials]

    front = {trial.number for trial in facts.front}
    axes.plot(
        *points([trial for trial in complete if trial.number not in front]),
        label="beaten by another",
        **_marks("complete"),
    )
    ordered = sorted(facts.front, key=lambda trial: trial.values[0])
    axes.plot(*points(ordered), color=TARGET, marker="D", linestyle=":", label="on the Pareto front, with trial number")
    for trial, x, y in zip(ordered, *points(ordered), strict=True):
        axes.annotate(str(trial.number), (x, y), (6, -12), textcoords="offset points", fontsize=9)
    _tidy(axes, first.axis, second.axis)
    for axis, quantity in ((axes.xaxis, first), (axes.yaxis, second)):
        if quantity.name == "parameters":
            axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    _legend(figure)
    return figure


def confusion(facts: Facts) -> Figure | None:
    """Draw what the winner takes for what."""
    winner = facts.winner
    if winner is None or winner.confusion is None:
        return None
    counts = np.array(winner.confusion)
    which = "" if winner.final is not None else f", trial {winner.trial.number}"
    title = f"winner{which}: {counts.trace():,} of {counts.sum():,} test answers right"
    return figures.confusion(counts, winner.classes, title)
