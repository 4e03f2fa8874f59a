"""Tables as plain data, for the template."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from inksweep.report.facts.trials import Trial


@dataclass(frozen=True)
class Cell:
    """A cell of a table."""

    text: str
    # To sort by; None: the text.
    key: Any = None
    href: str = ""
    # Draws the mark of a state.
    state: str = ""
    details: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column; `kind` is number, text or word."""

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


def listing(caption: str, listed: Sequence[tuple[str, str]], *, numbers: bool = False) -> Table:
    """Return a table of names and values."""
    rows = [Row([Cell(name), Cell(value)]) for name, value in listed]
    return Table(caption, [Head("what"), Head("value", "number" if numbers else "word")], rows)


def link(folder: Path, place: Path) -> str:
    """Return the address of a folder for a page that lies in `place`."""
    return quote(os.fsencode(Path(os.path.relpath(folder, place)).as_posix())) + "/"


def trial_cell(trial: Trial, place: Path) -> Cell:
    """Return the number of a trial, which leads to its folder."""
    return Cell(str(trial.number), trial.number, "" if trial.folder is None else link(trial.folder, place))
