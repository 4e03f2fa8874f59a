"""Runs in groups: the table of `--group-by`, with means and deviations over the completed runs of a group."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from inksweep.compare.columns import measured, metric_column, own_columns
from inksweep.compare.ranking import Judge, best, key_of, ordered
from inksweep.compare.rows import ABSENT, CONFIG, Keys, Row, differing, merged, weight
from inksweep.compare.tables import Column, Line, Spread, Table
from inksweep.compare.wanted import Wanted
from inksweep.errors import InputError, nearest


def grouped(rows: list[Row], judge: Judge | None, metrics: list[str], wanted: Wanted, known: Keys) -> Table:
    """Return a table with a row a group: how many runs ended how, mean and deviation over the completed ones."""
    differ = differing(rows, known.settings)
    keys = _keys(wanted, differ, known)
    groups = _groups(rows, keys)
    statuses = [status for status in merged([row.run.status] for row in rows) if status != "completed"]
    own = [*keys, "n", *statuses, "seconds", "best"]
    _check(wanted, own, known)
    metrics = [*metrics, *(key for key in wanted.columns if key in known.metrics and key not in (*own, *metrics))]
    # No mean is shown of what is grouped by.
    metrics = [name for name in metrics if name not in keys]
    time = [] if "seconds" in keys else ["seconds"]
    decides = judge.objective if judge else ""
    means = {name: mean_of(members, decides) for name, members in groups.items()}
    winner = best(((name, None if mean is None else mean.mean) for name, mean in means.items()), judge)
    shown = dict.fromkeys([*metrics, *time, *([decides] if decides not in keys else [])])
    lines = [Line(_group(members, keys, shown), best=name == winner) for name, members in groups.items()]
    columns = [
        *(Column(key, "setting", weight(key, rows) if key not in wanted.group_by else math.inf) for key in keys),
        *(Column(key) for key in ("n", *statuses)),
        *(metric_column(name, rows, judge, wanted) for name in metrics),
        *(column for column in own_columns("last") if column.key not in keys),
    ]
    if wanted.columns:
        by_key = {column.key: column for column in columns}
        columns = [Column(key, "seconds" if key == "seconds" else by_key[key].kind) for key in wanted.columns]
    notes = ["n: completed runs; metrics: their mean ± sample standard deviation; time: their mean"]
    if any(isinstance(it, Spread) and it.n != line.values["n"] for line in lines for it in line.values.values()):
        notes.append("not all of them have each metric: --format csv says of how many its mean is")
    mixed = [key for key in differ if key not in keys and any(differing(members, [key]) for members in groups.values())]
    if mixed:
        notes.append(f"within a group these differ: {', '.join(mixed)}")
    if winner is not None and judge is not None:
        notes.append(f"★ best mean by {judge}")
    return Table("", columns, ordered(lines, lambda line, key: line.get(key, ABSENT), wanted.sort, judge, known), notes)


def _keys(wanted: Wanted, differ: Sequence[str], known: Keys) -> list[str]:
    """Return the keys to group by; `config` stands for all settings that differ but the seed."""
    keys: list[str] = []
    for key in wanted.group_by:
        known.need("--group-by", key, more=[CONFIG])
        keys += [name for name in differ if name != "seed"] if key == CONFIG else [key]
    return list(dict.fromkeys(keys))


def _groups(rows: Sequence[Row], keys: Sequence[str]) -> dict[str, list[Row]]:
    """Return the rows with the same values of `keys` together, by these values as text."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        # A run that lacks a key is in another group than one that has null there.
        values = [None if (value := row.get(key)) is ABSENT else [value] for key in keys]
        groups.setdefault(json.dumps(values, default=str), []).append(row)
    return groups


def _check(wanted: Wanted, own: Sequence[str], known: Keys) -> None:
    """Refuse a column, or a key to sort by, that a table of groups does not have; `own` are those but the metrics."""
    for key in [*wanted.columns, *map(key_of, wanted.sort)]:
        if key not in own and key not in known.metrics:
            hint = nearest(key, [*own, *known.metrics])
            what = "its keys, n, how many ended how, metrics and seconds"
            raise InputError(f"{key}: is no column with --group-by; there are {what}{hint}")


def _group(members: Sequence[Row], keys: Sequence[str], metrics: Iterable[str]) -> dict[str, Any]:
    """Return the row of a group."""
    statuses = Counter(row.run.status.value for row in members)
    return (
        {key: value for key in keys if (value := members[0].get(key)) is not ABSENT}
        | {"n": statuses.pop("completed", 0), **statuses}
        | {name: mean for name in metrics if (mean := mean_of(members, name)) is not None}
    )


def mean_of(members: Sequence[Row], name: str) -> Spread | None:
    """Return the mean of a metric over the completed ones that have it; None if there are none."""
    completed = [row for row in members if row.run.status == "completed" and row.run.is_judged_by(name)]
    values = [float(value) for row in completed if (value := measured(row, name)) is not ABSENT]
    return spread(values) if values else None


def spread(values: Sequence[float]) -> Spread:
    """Return mean and deviation of some values, at least one."""
    try:
        sd = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), sd, len(values))
    except OverflowError:  # their sum exceeds the largest float: scale them down first
        scale = max(map(abs, values))
        part = spread([value / scale for value in values])
        return Spread(scale * part.mean, None if part.sd is None else scale * part.sd, part.n)
