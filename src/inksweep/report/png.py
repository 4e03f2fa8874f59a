"""The main plots of the page as PNG files: the same figures, painted with matplotlib, which needs no browser."""

import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from inksweep import figures
from inksweep.errors import last_line
from inksweep.paths import shown as shown_path
from inksweep.report.facts.branches import shown
from inksweep.report.facts.facts import Facts
from inksweep.report.paint import paint
from inksweep.report.plots.curves import curves
from inksweep.report.plots.drawing import MOST_POINTS, best_of, shown_study
from inksweep.report.plots.history import history
from inksweep.report.plots.importances import importance
from inksweep.report.plots.pareto import pareto
from inksweep.report.plots.parts import Plot
from inksweep.report.plots.settings import parallel_of_all
from inksweep.report.plots.slices import slice_of
from inksweep.report.plots.slots import slots

log = logging.getLogger(__name__)

# To a pixel of the page.
INCHES = 0.01
# A letter of a legend, in inches.
LETTER_INCHES = 0.062


def draw(facts: Facts) -> list[Path]:
    """Draw what can be drawn into `report/` in the sweep directory; return the files."""
    made = []
    for name, (title, drawer) in PICTURES.items():
        path = facts.folder / "report" / f"{name}.png"
        try:
            if _drawn(drawer, title, facts, path):
                made.append(path)
                continue
        except OSError:  # no picture could be written
            raise
        except Exception as error:
            log.warning("%s: could not be drawn (%s: %s)", shown_path(path), type(error).__name__, last_line(error))
        path.unlink(missing_ok=True)  # of an earlier moment
    return made


def _drawn(drawer: Callable[[Facts], Figure | None], title: str, facts: Facts, path: Path) -> bool:
    """Draw one picture; return whether there was anything to draw."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks, a number that is too large
        figure = drawer(facts)
        if figure is not None:
            _name(figure, f"{facts.name}: {figure.get_suptitle() or title}")
            figures.save(figure, path)
    return figure is not None


def _name(figure: Figure, title: str) -> None:
    """Say in the picture what it is of: it will leave its folder for a slide or a mail."""
    if not figure.legends:
        figure.suptitle(title, fontsize=11, x=0.01, ha="left", parse_math=False)
        return
    legend = figure.legends[0]  # it lies where a title would be
    legend.set_title(title)
    legend.get_title().set(fontsize=11, parse_math=False)
    legend.set_alignment("left")


def slices(facts: Facts) -> Figure | None:
    """Paint the objective over each parameter; where not all trials have it, of those that do."""
    complete = [trial for trial in facts.trials if trial.state == "complete"]
    names = list(dict.fromkeys(name for trial in complete for name in trial.params))
    names = [name for name in names if len({shown(t.params[name]) for t in complete if name in t.params}) > 1]
    if len(complete) < 2 or not names:
        return None
    study = shown_study(facts, best_of(facts, complete, MOST_POINTS))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(2.9 * columns + 0.6, 2.7 * rows), layout="constrained")
    cells = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, name in zip(cells.flat, names, strict=False):
        paint(axes, slice_of(facts, study, name, name).figure)
        axes.tick_params(labelsize=8)
    for axes in list(cells.flat)[len(names) :]:
        axes.set_visible(False)
    for axes in cells[:, 1:].flat:
        axes.set_ylabel("")
    return figure


def confusion(facts: Facts) -> Figure | None:
    """Draw what the winner takes for what, as for a single run: with the share of each class."""
    winner = facts.winner
    if winner is None or winner.confusion is None:
        return None
    counts = np.array(winner.confusion)
    which = "" if winner.final is not None else f", trial {winner.trial.number}"
    title = f"winner{which}: {counts.trace():,} of {counts.sum():,} test answers right"
    return figures.confusion(counts, winner.classes, title)


def _painted(plot: Plot | None) -> Figure | None:
    """Return a plot of the page as a picture; None if there is nothing to draw."""
    if plot is None or plot.figure is None:
        return None
    figure = Figure(figsize=(max(8, INCHES * plot.least_width), INCHES * plot.height), layout="constrained")
    axes = figure.subplots()
    paint(axes, plot.figure)
    names = [text for text in axes.get_legend_handles_labels()[1] if text]
    if names:
        columns = int(figure.get_figwidth() / (LETTER_INCHES * (max(map(len, names)) + 6)))
        legend = figure.legend(loc="outside upper left", ncols=max(1, columns), frameon=False, fontsize=9)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a name may hold any character
    return figure


# Its file, its title unless the picture says so itself, and what draws it.
PICTURES: Mapping[str, tuple[str, Callable[[Facts], Figure | None]]] = {
    "history": ("how the search went", lambda facts: _painted(history(facts, 0))),
    "curves": ("learning curves", lambda facts: _painted(curves(facts))),
    "importances": ("what mattered", lambda facts: _painted(importance(facts, 0))),
    "parallel": ("complete trials, brighter is better", lambda facts: _painted(parallel_of_all(facts))),
    "slice": ("complete trials, a brighter point is a later one", slices),
    "slots": ("slots over time", lambda facts: _painted(slots(facts))),
    "pareto": (
        "complete trials by two objectives",
        lambda facts: _painted(pareto(facts)) if len(facts.objectives) > 1 else None,
    ),
    "confusion": ("confusion matrix", confusion),
}
