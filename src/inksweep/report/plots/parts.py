"""What a section of the page is made of, as plain data: text, plots, tables, commands, and parts with a heading.

The page's template draws each kind of part; it knows no section by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import plotly.graph_objects as go

from inksweep.report.facts.trials import Trial


@dataclass(frozen=True)
class Link:
    """A link in a text or a cell, which the page makes relative to its own folder."""

    to: Path
    # Empty: the path as seen from the page.
    text: str = ""


@dataclass(frozen=True)
class Text:
    """A paragraph; `is_instead`: it says why something is missing."""

    words: Sequence[str | Link]
    is_instead: bool = False
    kind: ClassVar = "text"


@dataclass(frozen=True)
class Plot:
    """One plot, or the sentence that stands in its place."""

    # Names the plot in the page: unique in a sweep.
    key: str
    title: str
    # What is to be seen, and how to read it.
    note: str
    figure: go.Figure | None = None
    why_not: str = ""
    height: int = 420
    # Below this width it scrolls in its box, in pixels.
    least_width: int = 0


@dataclass(frozen=True)
class Plots:
    """Plots one below the other; small ones beside each other."""

    plots: Sequence[Plot]
    small: bool = False
    kind: ClassVar = "plots"


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    # To sort by; None: the text.
    key: Any = None
    # The folder that it leads to, or the place in the page.
    to: Path | None = None
    anchor: str = ""
    # Draws the mark of a state.
    state: str = ""
    details: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column; `kind` is number, text, long or word."""

    text: str
    kind: str = "word"


@dataclass(frozen=True)
class Row:
    """A row of a table; `mark` is best, pale or nothing."""

    cells: list[Cell]
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table; its caption is for those who hear the page."""

    caption: str
    heads: list[Head]
    rows: list[Row] = field(default_factory=list)
    sortable: bool = False
    kind: ClassVar = "table"


@dataclass(frozen=True)
class Command:
    """A command with a button that copies it; `label` says which one it is."""

    text: str
    label: str
    kind: ClassVar = "command"


@dataclass(frozen=True)
class Source:
    """The text of a file, letter by letter."""

    text: str
    kind: ClassVar = "source"


@dataclass(frozen=True)
class Columns:
    """Parts beside each other, where the screen is wide enough."""

    columns: "Sequence[Sequence[Part]]"
    kind: ClassVar = "columns"


@dataclass(frozen=True)
class Headed:
    """Parts under a heading of their own."""

    title: str
    parts: "Sequence[Part]"
    kind: ClassVar = "headed"


@dataclass(frozen=True)
class Folded:
    """Parts that are folded away until asked for; `is_printed`: on paper they are open."""

    title: str
    parts: "Sequence[Part]"
    is_printed: bool = True
    kind: ClassVar = "folded"


Part = Text | Plots | Table | Command | Source | Columns | Headed | Folded


@dataclass(frozen=True)
class Section:
    """A section of the page."""

    # Its address in the page: `#history`.
    key: str
    title: str
    parts: Sequence[Part]
    # What the list of sections at the top of the page calls it; empty: as its title; None: it is not in that list.
    listed_as: str | None = ""


def instead(why: str) -> Text:
    """Return the sentence that stands where there is nothing to show."""
    return Text([why], is_instead=True)


def listing(caption: str, listed: Sequence[tuple[str, str]], *, numbers: bool = False) -> Table:
    """Return a table of names and values."""
    rows = [Row([Cell(name), Cell(value)]) for name, value in listed]
    return Table(caption, [Head("what"), Head("value", "number" if numbers else "word")], rows)


def trial_cell(trial: Trial) -> Cell:
    """Return the number of a trial, which leads to its folder."""
    return Cell(str(trial.number), trial.number, trial.folder)
