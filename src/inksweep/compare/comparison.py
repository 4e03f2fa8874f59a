"""Runs side by side: which of them, what differs, in which order, and which is best. Plain data, nothing printed."""

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from inksweep.compare.columns import asked_column, measured, metric_column, own_columns
from inksweep.compare.groups import grouped
from inksweep.compare.ranking import Judge, best, judged, key_of, ordered
from inksweep.compare.rows import ABSENT, OWN, Keys, Row, differing, is_number, labelled, merged, weight
from inksweep.compare.tables import Column, Line, Table
from inksweep.compare.wanted import Wanted
from inksweep.errors import InputError, nearest, need
from inksweep.paths import SweepDir, shown
from inksweep.runs.find import Sweeps, finalists, find
from inksweep.runs.reader import Run
from inksweep.runs.result import UNREADABLE

TEST = "test/accuracy"
# How many of the runs that cannot be read are named one by one.
NAMED = 5


def compare(runs: Sequence[Run], wanted: Wanted) -> Table:
    """Return the table of some runs.

    Raises:
        InputError: a key that no run has, or a condition that cannot be read.
    """
    if wanted.top is not None:
        need(wanted.top >= 1, "--top", wanted.top, "at least 1")
    folder, rows = labelled(runs)
    known = Keys(rows)
    chosen, asked = _chosen(rows, wanted.where, known)
    if not chosen:
        return Table(folder, [Column("run")], [], [*_none_fits(rows, wanted.where, asked), *_left_out(runs)])
    judge, notes = judged(chosen)
    metrics = _metrics(chosen, judge, wanted, known)
    if wanted.group_by:
        table = grouped(chosen, judge, metrics, wanted, known)
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
        folder,
        table.columns,
        table.rows[: wanted.top],
        [
            *cut,
            f"{count}: {how}",
            *table.notes,
            *notes,
            *_blind(chosen, bool(wanted.group_by)),
            *_left_out(runs),
            *_remarks(chosen),
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


def _metrics(rows: Sequence[Row], judge: Judge | None, wanted: Wanted, known: Keys) -> list[str]:
    """Return the metrics to show: those asked for, else all objectives and test accuracy; what is sorted by, too."""
    for name in wanted.metrics:
        if name not in known.metrics:
            raise InputError(f"--metric {name}: none of these runs has such a metric{nearest(name, known.metrics)}")
    default = [*([judge.objective] if judge else []), *merged(_objectives(row.run) for row in rows), TEST]
    names = [*(wanted.metrics or default), *(key for key in map(key_of, wanted.sort) if key not in known.settings)]
    return [name for name in dict.fromkeys(names) if name in known.metrics and name not in OWN]


def _objectives(run: Run) -> list[str]:
    several = run.settings.get("objective")
    return list(map(str, several)) if isinstance(several, list) else [run.objective] if run.objective else []


def _plain(rows: list[Row], judge: Judge | None, metrics: list[str], wanted: Wanted, known: Keys) -> Table:
    """Return a table with a row a run."""

    def get(row: Row, key: str) -> Any:
        return measured(row, key) if key in metrics else row.get(key)

    for key in map(key_of, wanted.sort):
        known.need("--sort", key)
    for key in wanted.columns:
        known.need("--columns", key, more=["best"])
    columns = [asked_column(key, rows, metrics, known) for key in wanted.columns] or [
        *own_columns("first"),
        *(Column(key, "setting", weight(key, rows)) for key in differing(rows, known.settings) if key not in metrics),
        *(metric_column(name, rows, judge, wanted) for name in metrics),
        *own_columns("last"),
    ]
    winner = best(((row, row.run.value) for row in rows if _may_be_best(row)), judge)
    # Runs that cannot be read come last, however the others are sorted.
    readable = [row for row in rows if row.run.status not in UNREADABLE]
    unreadable = [row for row in rows if row.run.status in UNREADABLE]
    in_order = [*ordered(readable, get, wanted.sort, judge, known, _is_judged_by), *unreadable]
    keys = {"status", "reason", *(column.key for column in columns)} - {"run", "best"}
    lines = [
        Line(
            {"run": row.name} | {key: value for key in keys if (value := get(row, key)) is not ABSENT},
            row.label,
            row is winner,
        )
        for row in in_order
    ]
    notes = []
    if winner is not None and judge is not None:
        notes = [f"★ {winner.label}: best of the completed runs by {judge}"]
    return Table("", columns, lines, notes)


def _may_be_best(row: Row) -> bool:
    # A run that has seen the validation pictures is never the best, whatever its objective is.
    return row.run.status == "completed" and not row.run.trained_on_validation


def _is_judged_by(row: Row, key: str) -> bool:
    return row.run.is_judged_by(key)


def _none_fits(rows: Sequence[Row], text: str | None, keys: Sequence[str]) -> list[str]:
    """Say that no row fits a condition, and which values there are of the keys that it asks for."""
    lines = [f"none of the {_runs(rows)} fits --where {text!r}"]
    for key in dict.fromkeys(keys):
        values = [value for row in rows if (value := row.get(key)) is not ABSENT]
        numbers = [value for value in values if is_number(value)]
        if numbers and len(numbers) == len(values):
            lines.append(f"{key} is from {min(numbers):.6g} to {max(numbers):.6g}")
        else:
            words = list(dict.fromkeys(map(str, values)))
            lines.append(f"{key} is {', '.join(words[:NAMED])}{', ...' if len(words) > NAMED else ''}")
    return lines


def _blind(rows: Sequence[Row], is_grouped: bool) -> list[str]:
    """Say which runs measure nothing on validation."""
    blind = [row for row in rows if row.run.trained_on_validation]
    if not blind:
        return []
    whose = "its" if len(blind) == 1 else "their"
    so = f"{whose} val/... measure nothing" + (" and are in no mean" if is_grouped else "")
    return [f"{_runs(blind)} trained on the validation pictures (data.train_on_all): {so}"]


def _left_out(runs: Sequence[Run]) -> list[str]:
    """Say which final stages are not among the runs, of sweeps that are whole among them."""
    folders = {run.folder for run in runs}
    lines = []
    found = Sweeps()
    for sweep in dict.fromkeys(filter(None, (found.of(run.folder) for run in runs))):
        stage = finalists(sweep)
        if stage and folders.isdisjoint(stage) and folders.issuperset(find([sweep])):
            folder = shlex.quote(shown(SweepDir(sweep).finals.root))
            count = f"{len(stage):,} run{'s' * (len(stage) != 1)}"
            lines.append(f"not in here: {count} of the final stage (inksweep compare {folder} --group-by config)")
    more = len(lines) - NAMED
    return lines if more <= 0 else [*lines[:NAMED], f"... and the final stages of {more} more sweeps"]


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


def _remarks(rows: Sequence[Row]) -> list[str]:
    """Return what of the readable runs' files cannot be used, of the first few runs."""
    lines = [f"{row.name}: {row.run.facts['remark']}" for row in rows if "remark" in row.run.facts]
    more = len(lines) - NAMED
    return lines if more <= 0 else [*lines[:NAMED], f"... and {more:,} more (--columns run,remark)"]


def _runs(rows: Sequence[Row]) -> str:
    return f"{len(rows):,} run{'s' * (len(rows) != 1)}"
