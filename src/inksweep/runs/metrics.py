"""`metrics.csv`, written and read; which metric is better if it is greater."""

import csv
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inksweep.errors import InputError
from inksweep.files import replacing
from inksweep.paths import RunDir

COLUMNS = [
    "epoch",
    "step",
    "samples",
    "train/loss",
    "val/loss",
    "val/accuracy",
    "lr",
    "seconds",
    "images_per_second",
]


def write_metrics(run: RunDir, rows: Iterable[dict[str, float]]) -> None:
    """Write `metrics.csv`, a row an evaluation; a reader sees all of it or the one before.

    What is measured only where it is asked for has a column behind `COLUMNS`.
    """
    with replacing(run.metrics) as file:
        rows = list(rows)
        others = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
        writer = csv.DictWriter(file, [*COLUMNS, *others])
        writer.writeheader()
        writer.writerows(rows)


# What is better if there is less of it. All else: if there is more.
LESS_IS_BETTER = re.compile(r"loss|error|seconds|parameters|latency|bytes")


def curve(folder: Path) -> list[dict[str, float]]:
    """Return the rows of metrics.csv, one an evaluation; a row that was cut short is left out.

    Raises:
        InputError: the file is not readable.
    """
    path = RunDir(folder).metrics
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    read = [numbers({name: parsed(cell) for name, cell in row.items()}) for row in rows]
    width = max(map(len, read), default=0)
    return [row for row in read if len(row) == width and row]


def numbers(values: Any) -> dict[str, float]:
    """Return those entries of `values` that `number` takes for numbers; none if it is no dict."""
    entries = values.items() if isinstance(values, dict) else ()
    read = {str(name): number(value) for name, value in entries}
    return {name: value for name, value in read.items() if value is not None}


def number(value: Any) -> float | None:
    """Return `value`, from a JSON file, as a float; None for what is no finite number, a bool and text among them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


def parsed(value: Any) -> Any:
    """Return the number that a text stands for, as in a cell of a CSV file; what is no text, or no number, as it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def is_of_validation(name: str) -> bool:
    """Whether a metric is measured on the validation pictures."""
    return name.startswith("val/")


def is_better_greater(name: str) -> bool:
    """Whether a metric of this name is better if it is greater: accuracy is, loss and seconds are not."""
    return LESS_IS_BETTER.search(name) is None
