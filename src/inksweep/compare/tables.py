"""A table as plain values, and as a program reads it: CSV, JSON, Markdown. terminal.py shows it to a person."""

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inksweep.compare.rows import ABSENT
from inksweep.runs.reader import visible


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of `n` values; no deviation of one value."""

    mean: float
    sd: float | None
    n: int


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    # What --columns, --sort and --where call it; the header in CSV and JSON.
    key: str
    # How its values are shown on a terminal: text, run (its `label`), status, date, setting, metric, share (0 to 1, as
    # percent), seconds; mark (the best row's, outside the columns) and aside (for programs only).
    kind: str = "text"
    # Where there is no room for all, those with the least go first; infinite: never.
    weight: float = math.inf


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    # By column key; no entry for what it does not have.
    values: dict[str, Any]
    # What a person calls it, in a column of kind `run`.
    label: str = ""
    # Whether it is to be marked.
    best: bool = False

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value in a column."""
        return self.best if key == "best" else self.values.get(key, default)


@dataclass(frozen=True)
class Table:
    """Rows of plain values by column key, with what is to be said above and below."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Line]
    notes: Sequence[str] = ()


def as_csv(table: Table) -> str:
    """Return a table as CSV: full precision, lists as JSON, nothing where a row has no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names, rows = raw(table)
    writer.writerow(names)
    writer.writerows([typed(row[name]) if name in row else "" for name in names] for row in rows)
    return text.getvalue()


def as_json(table: Table) -> str:
    """Return a table as a JSON list with an object a row, full precision; without the keys that a row lacks."""
    rows = [{name: _finite(value) for name, value in row.items()} for row in raw(table)[1]]
    return json.dumps(rows, indent=2, default=str, allow_nan=False) + "\n"


def as_markdown(table: Table) -> str:
    """Return a table as Markdown, full precision, with its notes below."""
    names, rows = raw(table)
    lines = [names, ["---"] * len(names)]
    lines += [[typed(row[name]) if name in row else "" for name in names] for row in rows]
    text = ["| " + " | ".join(one_line(cell).replace("|", r"\|") for cell in line) + " |" for line in lines]
    return "\n".join([*text, "", *(f"{visible(note)}  " for note in table.notes)]) + "\n"


def raw(table: Table) -> tuple[list[str], list[dict[str, Any]]]:
    """Return names and rows for a program: a spread becomes three columns, NAME mean, NAME sd and NAME n."""
    spread = {key for row in table.rows for key, value in row.values.items() if isinstance(value, Spread)}
    names: list[str] = []
    for column in table.columns:
        names += [f"{column.key} {part}" for part in ("mean", "sd", "n")] if column.key in spread else [column.key]
    rows = []
    for row in table.rows:
        plain: dict[str, Any] = {}
        for column in table.columns:
            value = row.get(column.key, ABSENT)
            if isinstance(value, Spread):
                parts = {"mean": value.mean, "sd": value.sd, "n": value.n}
                plain |= {f"{column.key} {part}": number for part, number in parts.items() if number is not None}
            elif value is not ABSENT:
                plain[column.key] = value
        rows.append(plain)
    return names, rows


def typed(value: Any) -> str:
    """Return a value as one would type it, in full."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        return json.dumps(value, default=str, separators=(",", ":"))
    return json.dumps(value, default=str).strip('"')


def one_line(text: str) -> str:
    """Return `text` on one line."""
    return visible(re.sub(r"\s+", " ", text))


def _finite(value: Any) -> Any:
    """Return what JSON can hold of a value: infinities are words."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
