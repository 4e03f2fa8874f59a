"""Runs as rows: what each is called, the value of any key, and which settings tell them apart.

Some keys are words of the table itself: `run`, `status`, `reason`, `study`, `seconds`, `started`, `best`, `config`, `n`
and what a status may be. A setting of that name, `n` say, has the key `config.n`, a metric `metrics.n`.
"""

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from inksweep.errors import InputError, nearest
from inksweep.paths import shown
from inksweep.runs.reader import Run
from inksweep.runs.result import UNREADABLE, Status
from inksweep.runs.settings import is_silent, target_options

# What a lookup returns for a key that a run does not have.
ABSENT: Any = object()
# The data set's own facts, which `data` stands for, or else its name.
OF_THE_DATA_SET = re.compile(r"data\.(name|classes|source\..+|train_images|test_images|size|transpose|fit|mean|std)")


@dataclass(frozen=True)
class Row:
    """A run, and what the table calls it."""

    run: Run
    name: str
    # The name without what all have in common.
    label: str

    def get(self, key: str) -> Any:
        """Return the value of a key: a word of OWN, a setting, a metric, or something else in result.json."""
        if key in OWN:
            return OWN[key](self)
        for values in (self.run.settings, self.run.metrics):
            if key in values:
                return values[key]
        return _fact(self.run.facts, key)


# What a run has beside settings, metrics and what result.json holds.
OWN: Mapping[str, Callable[[Row], Any]] = {
    "run": lambda row: int(row.label) if row.label.isdecimal() else row.label,
    "status": lambda row: row.run.status,
    "reason": lambda row: ABSENT if row.run.reason is None else row.run.reason,
    "study": lambda row: ABSENT if row.run.study is None else row.run.study,
    # Of a running one: so far.
    "seconds": lambda row: row.run.metrics.get("seconds/total", row.run.metrics.get("seconds", ABSENT)),
    "started": lambda row: ABSENT if math.isnan(row.run.started) else _moment(row.run.started),
}

# To group by it is to group by all settings that differ, but for the seed.
CONFIG = "config"
# Words that name columns: a setting of such a name becomes `config.NAME`.
WORDS = frozenset((*OWN, CONFIG, "best", "n", *Status))
# The same for metrics, which become `metrics.NAME`; but the metric `seconds` is what the column shows.
MEASURED = WORDS - {"seconds"}


def _told_apart(run: Run) -> Run:
    """Return `run` with those settings and metrics renamed that have the name of a column."""
    if WORDS.isdisjoint(run.settings) and MEASURED.isdisjoint([*run.metrics, run.objective]):
        return run
    return replace(
        run,
        settings={f"config.{key}" if key in WORDS else key: value for key, value in run.settings.items()},
        metrics={_measured(key): value for key, value in run.metrics.items()},
        objective=run.objective and _measured(run.objective),
    )


def _measured(key: str) -> str:
    return f"metrics.{key}" if key in MEASURED else key


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def _fact(facts: Mapping[str, Any], key: str) -> Any:
    """Return what result.json has under a dotted key: `device`, `git.sha`."""
    value: Any = facts
    for part in (key,) if key in facts else key.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return ABSENT
        value = value[part]
    return value


def labelled(runs: Sequence[Run]) -> tuple[str, list[Row]]:
    """Return the folder that all runs lie in, as typed from here, and the runs with their names in it."""
    parent = cache(lambda folder: str(shown(folder)))  # resolving a path looks at the disk: once a sweep, not a run
    names = [os.path.normpath(f"{parent(run.folder.parent)}/{run.folder.name}") for run in runs]
    try:
        folder = os.path.commonpath([os.path.dirname(name) for name in names])  # noqa: PTH120  names, thousands of them
    except ValueError:  # here and elsewhere
        folder = ""
    cut = len(folder) + 1 if folder and folder != os.sep else len(folder)
    return folder, [Row(_told_apart(run), name, name[cut:]) for run, name in zip(runs, names, strict=True)]


class Keys:
    """The keys that some rows have, in a good order: groups first, then as in the configs."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.settings = merged(row.run.settings for row in rows)
        self.metrics = merged(row.run.metrics for row in rows)
        self.rows = rows

    def all(self) -> list[str]:
        """Return every key but those of result.json that are nested."""
        return [*OWN, *self.settings, *self.metrics, *merged(row.run.facts for row in self.rows)]

    def need(self, option: str, key: str, more: Iterable[str] = ()) -> None:
        """Raise InputError unless some row has `key`, or it is one of `more`."""
        if key in (*OWN, *more) or key in self.settings or key in self.metrics:
            return
        if all(row.get(key) is ABSENT for row in self.rows):
            renamed = [name for name in (f"config.{key}", f"metrics.{key}") if name in (*self.settings, *self.metrics)]
            hint = nearest(renamed[0] if renamed else key, [*self.all(), *more])
            raise InputError(f"{option} {key}: none of these runs has such a setting or metric{hint}")


def merged(lists: Iterable[Iterable[str]]) -> list[str]:
    """Return all words of some lists, each where it stands in the first list that has it: behind its neighbour."""
    order: list[str] = []
    known: set[str] = set()
    for words in lists:
        before = None
        for word in words:
            if word not in known:
                known.add(word)
                order.insert(0 if before is None else order.index(before) + 1, word)
            before = word
    return order


def differing(rows: Sequence[Row], order: Sequence[str]) -> list[str]:
    """Return the settings that have different values among those rows that have them at all.

    Left out, but there for --columns: those that change nothing a run learns, and what an option says already.
    """
    readable = [row.run.settings for row in rows if row.run.status not in UNREADABLE]
    every = readable or [row.run.settings for row in rows]
    keys = [key for key in order if not is_silent(key) and _differs(key, every)]
    return [key for key in keys if not any(_implied(key, by, every) for by in _stand_in(key))]


def _stand_in(key: str) -> list[str]:
    """Return the settings that may say the same as `key` in a word."""
    by = ["data", "data.name"] if OF_THE_DATA_SET.fullmatch(key) else target_options(key)
    return [other for other in by if other != key]


def _differs(key: str, every: Iterable[Mapping[str, Any]]) -> bool:
    values = [settings[key] for settings in every if key in settings]
    if not values or values.count(values[0]) < len(values):
        return bool(values)
    # To Python, true is 1.
    return values[0] in (0, 1) and len({isinstance(value, bool) for value in values}) > 1


def _implied(key: str, group: str, every: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the option chosen for `group` settles the value of `key`."""
    options: dict[Any, list[Mapping[str, Any]]] = {}
    for settings in every:
        options.setdefault(str(settings.get(group)), []).append(settings)
    return not any(_differs(key, same) for same in options.values())


def is_number(value: Any) -> bool:
    """Whether a value is a number; to Python, true and false are numbers too."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def weight(key: str, rows: Sequence[Row]) -> float:
    """Return how much it matters to see a setting: a group most, what its group's option settles least."""
    every = [row.run.settings for row in rows]
    group, dot, _ = key.partition(".")
    if not dot and any(isinstance(settings.get(key), str) for settings in every):
        return 1e6
    if dot and _differs(group, every) and _implied(key, group, every):
        return 0
    return len({str(settings[key]) for settings in every if key in settings})
