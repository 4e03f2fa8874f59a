"""Which columns a table has, and how each is shown."""

import math
from collections.abc import Sequence
from typing import Any

from inksweep.compare.ranking import Judge, key_of
from inksweep.compare.rows import ABSENT, OWN, Keys, Row
from inksweep.compare.tables import Column
from inksweep.compare.wanted import Wanted

# The columns that are neither settings nor metrics, and where each stands when none were asked for: `first`, before the
# settings, `last`, behind the metrics, or nowhere. rows.OWN has their values.
OWN_COLUMNS = (
    (Column("run", "run"), "first"),
    (Column("status", "status"), "first"),
    (Column("reason", "aside"), "first"),
    (Column("study", "text"), ""),
    (Column("started", "date"), ""),
    (Column("seconds", "seconds", 2e6), "last"),
    (Column("best", "mark"), "last"),
)


def own_columns(side: str) -> list[Column]:
    """Return those of OWN_COLUMNS that stand `first` or `last`."""
    return [column for column, where in OWN_COLUMNS if where == side]


def asked_column(key: str, rows: Sequence[Row], metrics: Sequence[str], known: Keys) -> Column:
    """Return the column for a key that was asked for, which is never left out for want of room."""
    own = next((column for column, _ in OWN_COLUMNS if column.key == key), None)
    if key in metrics or (key in known.metrics and own is None and key not in known.settings):
        return Column(key, kind(key, rows))
    if own is None or own.kind == "aside":
        return Column(key)
    return Column(key, own.kind)


def metric_column(name: str, rows: Sequence[Row], judge: Judge | None, wanted: Wanted) -> Column:
    """Return the column of a metric, which is never left out if it was asked for or decides."""
    asked_for = name in (*wanted.metrics, *map(key_of, wanted.sort))
    decides = judge is not None and name == judge.objective
    return Column(name, kind(name, rows), math.inf if asked_for or decides else 3e6)


def kind(name: str, rows: Sequence[Row]) -> str:
    """Return how a metric is shown: an accuracy as percent, a time in seconds or longer units."""
    if name.startswith("seconds"):
        return "seconds"
    values = (row.run.metrics[name] for row in rows if name in row.run.metrics)
    return "share" if name.endswith("accuracy") and all(0 <= value <= 1 for value in values) else "metric"


def measured(row: Row, name: str) -> Any:
    """Return the value of a metric, or ABSENT."""
    # A setting may have the same name: `objective`.
    return row.get(name) if name in OWN else row.run.metrics.get(name, ABSENT)
