"""A table on a terminal: where there is no room for all columns, those that matter least are left out."""

import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from inksweep.compare.rows import is_number
from inksweep.compare.tables import Column, Line, Spread, Table, one_line, typed
from inksweep.runs.reader import visible
from inksweep.runs.result import UNREADABLE

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

COLOURS = {"completed": "green", "pruned": "yellow", "stopped": "magenta", "running": "cyan"}
OTHERWISE = "red"
GAP = "  "
# For a terminal that cannot show them.
PLAIN = str.maketrans({"★": "*", "±": "~", "─": "-", "…": "~"})
# Of a setting, on the terminal; a path or a sentence would push everything else out.
LONGEST = 32
# From here on a number is shown by its power of ten.
HUGE = 1e15


def terminal(table: Table) -> str:
    """Return a table for the terminal; for a file or pipe with no columns left out."""
    from rich.console import Console
    from rich.text import Text

    as_wide_as_it_is = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    console = Console(width=10_000 if as_wide_as_it_is else None, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        notes = list(table.notes)
        if table.rows:
            kept, left_out = fitting(table, console.width)
            if left_out:
                names = ", ".join(column.key for column in left_out)
                notes.append(f"left out for want of room: {names}; to see them: --columns, or --format csv")
            if table.title:
                console.print(Text(visible(table.title), style="bold"), soft_wrap=True)
            console.print(_Lines(kept, table.rows), crop=False)
        for note in notes:
            console.print(visible(note))
    text: str = captured.get()
    return text if (console.encoding or "").startswith("utf") else text.translate(PLAIN)


@dataclass(frozen=True, eq=False)
class Drawn:
    """One column as it is shown: its heading on one or more lines, and a text a row."""

    column: Column
    heading: list[str]
    cells: list[str]
    width: int
    right: bool

    def padded(self, text: str) -> str:
        """Return `text` as wide as the column."""
        space = " " * (self.width - _width(text))
        return space + text if self.right else text + space


def fitting(table: Table, width: int) -> tuple[list[Drawn], list[Column]]:
    """Return the columns that fit into `width`, drawn, and those that do not."""
    mark = 2 if any(row.best for row in table.rows) else 0
    shown = [column for column in table.columns if column.kind not in ("mark", "aside")]
    # Empty where the rows that have it were cut off; a column that was asked for stays.
    shown = [c for c in shown if c.weight == math.inf or any(c.key in row.values for row in table.rows)]
    every = [drawn(column, table.rows) for column in shown]
    kept: list[Drawn] = []
    used = mark - len(GAP)
    # Of columns of equal weight the first one stays.
    for candidate in sorted(every, key=lambda candidate: -candidate.column.weight):
        if candidate.column.weight == math.inf or used + len(GAP) + candidate.width <= width:
            kept.append(candidate)
            used += len(GAP) + candidate.width
    left_out = [candidate.column for candidate in every if candidate not in kept]
    return [candidate for candidate in every if candidate in kept], left_out


def drawn(column: Column, rows: Sequence[Line]) -> Drawn:
    """Return how a column is shown."""
    key, kind = column.key, column.kind
    values = [row.values[key] for row in rows if key in row.values]
    heading, show = visible(key), SHOW.get(kind, _shown)
    if kind == "share":
        heading = f"{key} %"
    elif kind == "seconds":
        # One unit for all, so that they can be compared by eye.
        longest = max(map(_middle, values), default=0)
        unit, length = ("s", 1) if longest < 1000 else ("min", 60) if longest < 60_000 else ("h", 3600)
        heading = f"{'time' if key == 'seconds' else key} {unit}"
        show = partial(_time, length)
    if kind == "run":
        cells = [visible(row.label) for row in rows]
    elif kind == "status":
        cells = [_status(row.values) for row in rows]
    else:
        cells = [show(row.values[key]) if key in row.values else "" for row in rows]
    lines, width = _folded(heading, max(map(_width, cells), default=0))
    right = kind in ("metric", "share", "seconds") or all(is_number(value) for value in values)
    return Drawn(column, lines, cells, width, right)


def shortened(text: str, length: int) -> str:
    """Return `text`, cut with a mark if it is longer than `length`."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _folded(heading: str, width: int) -> tuple[list[str], int]:
    """Return a heading on lines not much wider than what is below it, and the width of both."""
    pieces = re.findall(r"[^./_ ]+[./_]?|[./_]", heading)
    width = max(width, *map(_width, pieces))
    lines = [""]
    for piece in re.findall(r"[^./_ ]+[./_]? ?|[./_]", heading):
        if _width(lines[-1] + piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines], width


def _status(values: dict[str, Any]) -> str:
    """Return how a run ended, with the reason in a word where there is one; all of it is in the column `reason`."""
    status, short = str(values["status"]), one_line(str(values.get("reason", "")).partition(":")[0])
    # What is wrong with an unreadable one is too long for a cell; notes say it.
    says_more = status not in UNREADABLE and short not in ("", status)
    return shortened(f"{status}: {short}" if says_more else status, 24)


def _middle(value: Any) -> float:
    return float(value.mean if isinstance(value, Spread) else value)


def _time(length: float, value: Any) -> str:
    time = _middle(value) / length
    return f"{time:,.1f}" if abs(time) < HUGE else f"{time:.4g}"


def _share(value: Any) -> str:
    sd = value.sd if isinstance(value, Spread) else None
    return f"{100 * _middle(value):.2f}" + ("" if sd is None else f" ± {100 * sd:.2f}")


def _metric(value: Any) -> str:
    if isinstance(value, Spread):
        return _metric(value.mean) + ("" if value.sd is None else f" ± {_digits(value.sd, 2)}")
    if abs(value) >= HUGE:
        return f"{value:.4g}"
    if abs(value) >= 10_000 or value == int(value):
        return f"{value:,.0f}"
    return _digits(value, 4)


def _digits(value: float, count: int) -> str:
    return f"{value:#.{count}g}".rstrip(".")


def _setting(value: Any) -> str:
    return shortened(_shown(value), LONGEST)


def _date(value: Any) -> str:
    return visible(str(value)[:16].replace("T", " "))


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{','.join(map(_shown, value))}]"
    return one_line(typed(value))


SHOW = {"share": _share, "metric": _metric, "setting": _setting, "date": _date}


def _width(text: str) -> int:
    """Return the columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


class _Lines:
    """Headings and rows for rich to print. Its own table takes eight seconds for two thousand rows."""

    def __init__(self, columns: Sequence[Drawn], rows: Sequence[Line]) -> None:
        self.columns = columns
        self.rows = rows
        self.marked = any(row.best for row in rows)

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Segment]":
        from rich.segment import Segment
        from rich.style import Style

        bold, dim = Style(bold=True), Style(dim=True)
        colours = {status: Style(color=colour) for status, colour in COLOURS.items()}
        margin = "  " if self.marked else ""
        # The last lines of the headings stand beside each other.
        height = max(len(column.heading) for column in self.columns)
        headings = [[""] * (height - len(column.heading)) + column.heading for column in self.columns]
        for words in zip(*headings, strict=True):
            padded = (column.padded(word) for column, word in zip(self.columns, words, strict=True))
            yield Segment(f"{margin}{GAP.join(padded)}".rstrip() + "\n", bold)
        yield Segment(margin + GAP.join("─" * column.width for column in self.columns) + "\n", dim)
        cells = zip(*([column.padded(cell) for cell in column.cells] for column in self.columns), strict=True)
        coloured = [number for number, shown in enumerate(self.columns) if shown.column.kind == "status"]
        for row, words in zip(self.rows, cells, strict=True):
            style = bold if row.best else Style.null()
            at = coloured[0] if coloured else len(words)
            before, after = GAP.join(words[:at]), GAP.join(words[at + 1 :]).rstrip()
            yield Segment("★ " if row.best else margin, style)
            yield Segment(before + GAP if before and coloured else before.rstrip(), style)
            if coloured:
                colour = colours.get(row.values["status"], Style(color=OTHERWISE))
                yield Segment(words[at] + GAP if after else words[at].rstrip(), style + colour)
            yield Segment(after + "\n", style)
