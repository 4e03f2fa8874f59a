"""Rows of the table: what was measured, ours, the peer's, their ratio, the goal, and whether it is met.

A ratio says how many times better ours is: of times, theirs / ours; of rates, ours / theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

# Units of what is better when there is more of it. Of everything else (s, ms, MB) less is better.
RATES = ("images/s", "GFLOP/s", "%")


@dataclass(frozen=True)
class Figure:
    """A measured number; extrapolated if only a part of it was run."""

    value: float
    unit: str
    extrapolated: bool = False

    def __str__(self) -> str:
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        if self.unit.startswith("%"):
            number = f"{self.value:.2f}"
        return f"{'~' if self.extrapolated else ''}{number}{'' if self.unit.startswith('%') else ' '}{self.unit}"


@dataclass(frozen=True)
class Goal:
    """A limit of the ratio, or of our own figure."""

    limit: float
    of: str = "ratio"  # or "ours"
    at_least: bool = True

    def met(self, row: "Row") -> bool:
        """Whether the row keeps to the limit."""
        value = row.ratio if self.of == "ratio" else row.ours.value
        assert value is not None, f"{row.what}: a goal for a ratio needs a peer"
        return value >= self.limit if self.at_least else value <= self.limit

    def text(self, row: "Row") -> str:
        """The limit as the table shows it."""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.limit:g}x" if self.of == "ratio" else f"{sign} {Figure(self.limit, row.ours.unit)}"


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        what: what was done.
        ours: our figure.
        peer: what it is compared with; empty where the goal is a limit of our own figure.
        theirs: the peer's figure, in the same unit.
        goal: what was to be reached; None where nothing was.
        note: what the figures do not say by themselves, such as how the peer's was extrapolated.
    """

    what: str
    ours: Figure
    peer: str = ""
    theirs: Figure | None = None
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; None without a peer."""
        if self.theirs is None:
            return None
        assert self.theirs.unit == self.ours.unit, f"{self.what}: {self.theirs.unit} beside {self.ours.unit}"
        first, second = self.ours.value, self.theirs.value
        return first / second if self.ours.unit in RATES else second / first


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table, and their notes below it."""
    lines = ["| what | ours | peer | its figure | ratio | goal | met |", "|---|---|---|---|---|---|---|"]
    notes: list[str] = []
    for row in rows:
        mark = ""
        if row.note:
            if row.note not in notes:
                notes.append(row.note)
            mark = f" [{notes.index(row.note) + 1}]"
        cells = [
            row.what + mark,
            str(row.ours),
            row.peer,
            "" if row.theirs is None else str(row.theirs),
            "" if row.ratio is None else f"{row.ratio:.1f}x" if row.ratio >= 10 else f"{row.ratio:.2f}x",
            "" if row.goal is None else row.goal.text(row),
            "" if row.goal is None else "yes" if row.goal.met(row) else "**no**",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{number}. {note}" for number, note in enumerate(notes, start=1))]) + "\n"
