"""Runs side by side: which of them, what differs, in which order, and which is best. Plain data, nothing printed."""

import json
import math
import shlex
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from inksweep.compare.rows import ABSENT, CONFIG, OWN, Keys, Row, differing, labelled, merged, weight
from inksweep.compare.tables import Column, Line, Spread, Table
from inksweep.errors import InputError, nearest, need
from inksweep.paths import SweepDir, shown
from inksweep.runs.find import finalists, find
from inksweep.runs.metrics import is_better_greater
from inksweep.runs.reader import Run
from inksweep.runs.result import UNREADABLE

TEST = "test/accuracy"
# How many of the runs that cannot be read are named one by one.
NAMED = 5


@dataclass(frozen=True)
class Wanted:
    """What was asked for; by default, all runs by their objective."""

    metrics: Sequence[str] = ()
    columns: Sequence[str] = ()
    # KEY, KEY:asc or KEY:desc; the first counts most.
    sort: Sequence[str] = ()
    group_by: Sequence[str] = ()
    where: str | None = None
    top: int | None = None


@dataclass(frozen=True)
class Judge:
    """What the runs are judged by."""

    objective: str
    maximize: bool


def compare(found: Sequence[Run], wanted: Wanted) -> Table:
    """Return the table of some runs.

    Raises:
        InputError: a key that no run has, or a condition that cannot be read.
    """
    if wanted.top is not None:
        need(wanted.top >= 1, "--top", wanted.top, "at least 1")
    place, rows = labelled(found)
    known = Keys(rows)
    chosen, asked = _chosen(rows, wanted.where, known)
    if not chosen:
        return Table(place, [Column("run")], [], [*_none_fits(rows, wanted.where, asked), *_left_out(found)])
    judge, notes = judged(chosen)
    metrics = _metrics(chosen, judge, wanted, known)
    if wanted.group_by:
        table = _grouped(chosen, judge, metrics, wanted, known)
    else:
        table = _plain(chosen, judge, metrics, wanted, known)
    count = _runs(chosen) if len(chosen) == len(rows) else f"{len(chosen):,} of {_runs(rows)}"
    statuses = Counter(row.run.status for row in chosen)
    how = ", ".join(f"{number:,} {status}" for status, number in statuses.most_common())
    keys = [column.key for column in table.columns]
    if judge and not wanted.sort and judge.objective not in keys:
        notes.append(f"sorted by {judge.objective}")
    cut = [f"the first {wanted.top} of {len(table.rows):,} rows"] if len(table.rows) > (wanted.top or math.inf) else []
    return Table(
        place,
        table.columns,
        table.rows[: wanted.top],
        [
            *cut,
            f"{count}: {how}",
            *table.notes,
            *notes,
            *_blind(chosen, bool(wanted.group_by)),
            *_left_out(found),
            *_unreadable(chosen),
        ],
    )


def _chosen(rows: list[Row], text: str | None, known: Keys) -> tuple[list[Row], Sequence[str]]:
    """Return the rows that fit a condition, and the keys that it asks for."""
    if text is None:
        return rows, ()
    from inksweep.compare import where

    condition = where.parse(text)
    for key in condition.keys:
        known.need("--where", key)
    return [row for row in rows if condition.holds(row.get)], condition.keys


def _blind(rows: Sequence[Row], is_grouped: bool) -> list[str]:
    """Say which runs measure nothing on validation."""
    blind = [row for row in rows if row.run.trained_on_validation]
    if not blind:
        return []
    whose = "its" if len(blind) == 1 else "their"
    so = f"{whose} val/... measure nothing" + (" and are in no mean" if is_grouped else "")
    return [f"{_runs(blind)} trained on the validation pictures (data.train_on_all): {so}"]


def _left_out(found: Sequence[Run]) -> list[str]:
    """Say which final stages are not among the runs, of sweeps that are whole among them."""
    folders = {run.folder for run in found}
    lines = []
    for sweep in dict.fromkeys(run.folder.parent for run in found if run.study is not None):
        stage = finalists(sweep)
        if stage and folders.isdisjoint(stage) and folders.issuperset(find([sweep])):
            place = shlex.quote(shown(SweepDir(sweep).finals.root))
            count = f"{len(stage):,} run{'s' * (len(stage) != 1)}"
            lines.append(f"not in here: {count} of the final stage (inksweep compare {place} --group-by config)")
    more = len(lines) - NAMED
    return lines if more <= 0 else [*lines[:NAMED], f"... and the final stages of {more} more sweeps"]


def _none_fits(rows: Sequence[Row], text: str | None, keys: Sequence[str]) -> list[str]:
    """Say that no row fits a condition, and which values there are of the keys that it asks for."""
    lines = [f"none of the {_runs(rows)} fits --where {text!r}"]
    for key in dict.fromkeys(keys):
        values = [value for row in rows if (value := row.get(key)) is not ABSENT]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        if numbers and len(numbers) == len(values):
            lines.append(f"{key} is from {min(numbers):.6g} to {max(numbers):.6g}")
        else:
            words = list(dict.fromkeys(map(str, values)))
            lines.append(f"{key} is {', '.join(words[:NAMED])}{', ...' if len(words) > NAMED else ''}")
    return lines


def judged(rows: Sequence[Row]) -> tuple[Judge | None, list[str]]:
    """Return what all rows are judged by, if it is one thing, else a line that says why not."""
    judges = {(row.run.objective, row.run.maximize): None for row in rows if row.run.objective}
    if len(judges) > 1:
        names = ", ".join(f"{name} ({'maximized' if maximize else 'minimized'})" for name, maximize in judges)
        return None, [f"no best is marked: the runs have different objectives, {names}"]
    for name, maximize in judges:
        if name is not None and not name.startswith("test/"):
            return Judge(name, maximize), []
        return None, [f"no best is marked: {name} is of the test split, which chooses nothing"]
    return None, []


def _metrics(rows: Sequence[Row], judge: Judge | None, wanted: Wanted, known: Keys) -> list[str]:
    """Return the metrics to show: those asked for, else all objectives and test accuracy; what is sorted by, too."""
    for name in wanted.metrics:
        if name not in known.metrics:
            raise InputError(f"--metric {name}: none of these runs has such a metric{nearest(name, known.metrics)}")
    default = [*([judge.objective] if judge else []), *merged(_objectives(row.run) for row in rows), TEST]
    names = [*(wanted.metrics or default), *(key for key in map(_key, wanted.sort) if key not in known.settings)]
    return [name for name in dict.fromkeys(names) if name in known.metrics and name not in OWN]


def _objectives(run: Run) -> list[str]:
    several = run.settings.get("objective")
    return list(map(str, several)) if isinstance(several, list) else [run.objective] if run.objective else []


def _plain(rows: list[Row], judge: Judge | None, metrics: list[str], wanted: Wanted, known: Keys) -> Table:
    """Return a table with a row a run."""

    def get(row: Row, key: str) -> Any:
        return _measured(row, key) if key in metrics else row.get(key)

    for key in map(_key, wanted.sort):
        known.need("--sort", key)
    for key in wanted.columns:
        known.need("--columns", key, more=["best"])
    columns = [_column(key, rows, metrics, known) for key in wanted.columns] or [
        Column("run", "run"),
        Column("status", "status"),
        Column("reason", "aside"),
        *(Column(key, "setting", weight(key, rows)) for key in differing(rows, known.settings) if key not in metrics),
        *(_metric(name, rows, judge, wanted) for name in metrics),
        Column("seconds", "seconds", 2e6),
        Column("best", "mark"),
    ]
    best = _best(((row, row.run.value) for row in rows if _may_be_best(row)), judge)
    # What cannot be read is last, however it is sorted.
    readable = [row for row in rows if row.run.status not in UNREADABLE]
    unreadable = [row for row in rows if row.run.status in UNREADABLE]
    ordered = [*_ordered(readable, get, wanted, judge, known, _is_judged_by), *unreadable]
    keys = {"status", "reason", *(column.key for column in columns)} - {"run", "best"}
    lines = [
        Line(
            {"run": row.name} | {key: value for key in keys if (value := get(row, key)) is not ABSENT},
            row.label,
            row is best,
        )
        for row in ordered
    ]
    notes = []
    if best is not None and judge is not None:
        notes = [f"★ {best.label}: best of the completed runs by {_by(judge)}"]
    return Table("", columns, lines, notes)


def _column(key: str, rows: Sequence[Row], metrics: Sequence[str], known: Keys) -> Column:
    """Return the column for a key that was asked for, which therefore stays."""
    kinds = {"run": "run", "status": "status", "started": "date", "seconds": "seconds", "best": "mark"}
    if key in metrics or (key in known.metrics and key not in kinds and key not in known.settings):
        return Column(key, _kind(key, rows))
    return Column(key, kinds.get(key, "text"))


def _metric(name: str, rows: Sequence[Row], judge: Judge | None, wanted: Wanted) -> Column:
    asked_for = name in (*wanted.metrics, *map(_key, wanted.sort))
    decides = judge is not None and name == judge.objective
    return Column(name, _kind(name, rows), math.inf if asked_for or decides else 3e6)


def _kind(name: str, rows: Sequence[Row]) -> str:
    if name.startswith("seconds"):
        return "seconds"
    values = (row.run.metrics[name] for row in rows if name in row.run.metrics)
    return "share" if name.endswith("accuracy") and all(0 <= value <= 1 for value in values) else "metric"


Item = TypeVar("Item")


def _may_be_best(row: Row) -> bool:
    # By the split alone, whatever the objective is: what it says of such a run may be of any picture.
    return row.run.status == "completed" and not row.run.trained_on_validation


def _is_judged_by(row: Row, key: str) -> bool:
    return row.run.is_judged_by(key)


def _best(values: Iterable[tuple[Item, float | None]], judge: Judge | None) -> Item | None:
    """Return the one with the best value, the first of equals."""
    there = [(item, value) for item, value in values if value is not None]
    if judge is None or not there:
        return None
    return (max if judge.maximize else min)(there, key=lambda pair: pair[1])[0]


def _sorting(text: str) -> tuple[str, str]:
    key, colon, way = text.rpartition(":")
    if not colon:
        return text, ""
    if way not in ("asc", "desc"):
        raise InputError(f"--sort {text}: must be KEY, KEY:asc or KEY:desc")
    return key, way


def _key(text: str) -> str:
    return _sorting(text)[0]


def _ordered(
    items: list[Item],
    get: Callable[[Item, str], Any],
    wanted: Wanted,
    judge: Judge | None,
    known: Keys,
    is_judged_by: Callable[[Item, str], bool] = lambda item, key: True,
) -> list[Item]:
    """Return `items` sorted, metrics best first; equals stay as they are.

    Those come last that do not have the value, and before them those that are not judged by it.
    """
    for text in reversed(wanted.sort or ([judge.objective] if judge else [])):
        key, way = _sorting(text)
        best_first = judge.maximize if judge and key == judge.objective else is_better_greater(key)
        descending = way == "desc" if way else key in known.metrics and best_first
        there = [(item, value) for item in items if (value := get(item, key)) is not ABSENT]
        there.sort(key=lambda pair: _rank(pair[1]), reverse=descending)
        there.sort(key=lambda pair: not is_judged_by(pair[0], key))
        items = [*(item for item, _ in there), *(item for item in items if get(item, key) is ABSENT)]
    return items


def _rank(value: Any) -> tuple[int, Any]:
    """Return what sorts numbers before words before anything else."""
    if isinstance(value, Spread):
        return 0, value.mean
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, str(value))


def _grouped(rows: list[Row], judge: Judge | None, metrics: list[str], wanted: Wanted, known: Keys) -> Table:
    """Return a table with a row a group: how many runs ended how, mean and deviation over the completed ones."""
    differ = differing(rows, known.settings)
    keys: list[str] = []
    for key in wanted.group_by:
        known.need("--group-by", key, more=[CONFIG])
        keys += [name for name in differ if name != "seed"] if key == CONFIG else [key]
    keys = list(dict.fromkeys(keys))
    groups: dict[str, list[Row]] = {}
    for row in rows:
        # What a run lacks is not what it has as null.
        values = [None if (value := row.get(key)) is ABSENT else [value] for key in keys]
        groups.setdefault(json.dumps(values, default=str), []).append(row)

    statuses = [status for status in merged([row.run.status] for row in rows) if status != "completed"]
    own = [*keys, "n", *statuses, "seconds", "best"]
    for key in [*wanted.columns, *map(_key, wanted.sort)]:
        if key not in own and key not in known.metrics:
            hint = nearest(key, [*own, *known.metrics])
            what = "its keys, n, how many ended how, metrics and seconds"
            raise InputError(f"{key}: is no column with --group-by; there are {what}{hint}")
    metrics += [key for key in wanted.columns if key in known.metrics and key not in (*own, *metrics)]
    # What is grouped by is no mean.
    metrics = [name for name in metrics if name not in keys]
    time = [] if "seconds" in keys else ["seconds"]
    decides = judge.objective if judge else ""
    means = {name: _spread(members, decides) for name, members in groups.items()}
    best = _best(((name, None if mean is None else mean.mean) for name, mean in means.items()), judge)
    shown = dict.fromkeys([*metrics, *time, *([decides] if decides not in keys else [])])
    lines = [Line(_group(members, keys, shown), best=name == best) for name, members in groups.items()]
    kinds = {"seconds": "seconds", "best": "mark"}
    columns = [
        *(Column(key, "setting", weight(key, rows) if key not in wanted.group_by else math.inf) for key in keys),
        *(Column(key) for key in ("n", *statuses)),
        *(_metric(name, rows, judge, wanted) for name in metrics),
        *(Column(key, "seconds", 2e6) for key in time),
        Column("best", "mark"),
    ]
    if wanted.columns:
        named = {column.key: column for column in columns}
        columns = [Column(key, kinds.get(key, named[key].kind)) for key in wanted.columns]
    notes = ["n: completed runs; metrics: their mean ± sample standard deviation; time: their mean"]
    if any(isinstance(it, Spread) and it.n != line.values["n"] for line in lines for it in line.values.values()):
        notes.append("not all of them have each metric: --format csv says of how many its mean is")
    mixed = [key for key in differ if key not in keys and any(differing(members, [key]) for members in groups.values())]
    if mixed:
        notes.append(f"within a group these differ: {', '.join(mixed)}")
    if best is not None and judge is not None:
        notes.append(f"★ best mean by {_by(judge)}")
    return Table("", columns, _ordered(lines, lambda line, key: line.get(key, ABSENT), wanted, judge, known), notes)


def _group(members: Sequence[Row], keys: Sequence[str], metrics: Iterable[str]) -> dict[str, Any]:
    """Return the row of a group."""
    statuses = Counter(row.run.status.value for row in members)
    return (
        {key: value for key in keys if (value := members[0].get(key)) is not ABSENT}
        | {"n": statuses.pop("completed", 0), **statuses}
        | {name: mean for name in metrics if (mean := _spread(members, name)) is not None}
    )


def _spread(members: Sequence[Row], name: str) -> Spread | None:
    """Return the mean of a metric over the completed ones that have it; None if there are none."""
    completed = [row for row in members if row.run.status == "completed" and row.run.is_judged_by(name)]
    values = [float(value) for row in completed if (value := _measured(row, name)) is not ABSENT]
    return spread(values) if values else None


def spread(values: Sequence[float]) -> Spread:
    """Return mean and deviation of some values, at least one."""
    try:
        sd = statistics.stdev(values) if len(values) > 1 else None
        return Spread(statistics.fmean(values), sd, len(values))
    except OverflowError:  # their sum is no number any more; that of a part of each is
        scale = max(map(abs, values))
        part = spread([value / scale for value in values])
        return Spread(scale * part.mean, None if part.sd is None else scale * part.sd, part.n)


def _measured(row: Row, name: str) -> Any:
    # A setting may have the same name: `objective`.
    return row.get(name) if name in OWN else row.run.metrics.get(name, ABSENT)


def _by(judge: Judge) -> str:
    return f"{judge.objective} ({'more' if judge.maximize else 'less'} is better)"


def _runs(rows: Sequence[Row]) -> str:
    return f"{len(rows):,} run{'s' * (len(rows) != 1)}"


def _unreadable(rows: Sequence[Row]) -> list[str]:
    """Return what is wrong with the runs that cannot be read, the first few by name."""
    wrong = [row for row in rows if row.run.status in UNREADABLE]
    lines = []
    for row in wrong[:NAMED]:
        reason = (row.run.reason or "").replace(f"{row.run.folder}/", "")
        lines.append(f"{row.run.status}: {row.name}: {reason}")
    if len(wrong) > NAMED:
        lines.append(f"... and {len(wrong) - NAMED:,} more foreign or broken ones (--columns run,status,reason)")
    return lines
