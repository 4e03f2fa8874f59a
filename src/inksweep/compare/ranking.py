"""What the runs are judged by, which of them is best, and in which order they stand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from inksweep.compare.rows import ABSENT, Keys, Row
from inksweep.compare.tables import Spread
from inksweep.errors import InputError
from inksweep.runs.metrics import is_better_greater

Item = TypeVar("Item")


@dataclass(frozen=True)
class Judge:
    """What the runs are judged by."""

    objective: str
    maximize: bool

    def __str__(self) -> str:
        return f"{self.objective} ({'more' if self.maximize else 'less'} is better)"


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


def best(values: Iterable[tuple[Item, float | None]], judge: Judge | None) -> Item | None:
    """Return the one with the best value, the first of equals."""
    there = [(item, value) for item, value in values if value is not None]
    if judge is None or not there:
        return None
    return (max if judge.maximize else min)(there, key=lambda pair: pair[1])[0]


def ordered(
    items: list[Item],
    get: Callable[[Item, str], Any],
    sort: Sequence[str],
    judge: Judge | None,
    known: Keys,
    is_judged_by: Callable[[Item, str], bool] = lambda item, key: True,
) -> list[Item]:
    """Return `items` sorted, metrics best first; equals stay as they are.

    Items that are not judged by the key come behind all that are, and behind them those without a value.

    Args:
        items: what is to be sorted.
        get: an item and a key -> its value, or ABSENT.
        sort: KEY, KEY:asc or KEY:desc; the first counts most. Empty: by what the judge says.
        judge: what the runs are judged by.
        known: which keys are metrics.
        is_judged_by: whether the value of this key says how good an item is.
    """
    for text in reversed(sort or ([judge.objective] if judge else [])):
        key, way = _sorting(text)
        best_first = judge.maximize if judge and key == judge.objective else is_better_greater(key)
        descending = way == "desc" if way else key in known.metrics and best_first
        there = [(item, value) for item in items if (value := get(item, key)) is not ABSENT]
        there.sort(key=lambda pair: _rank(pair[1]), reverse=descending)
        there.sort(key=lambda pair: not is_judged_by(pair[0], key))
        items = [*(item for item, _ in there), *(item for item in items if get(item, key) is ABSENT)]
    return items


def key_of(text: str) -> str:
    """Return the key of what was typed after --sort."""
    return _sorting(text)[0]


def _sorting(text: str) -> tuple[str, str]:
    key, colon, way = text.rpartition(":")
    if not colon:
        return text, ""
    if way not in ("asc", "desc"):
        raise InputError(f"--sort {text}: must be KEY, KEY:asc or KEY:desc")
    return key, way


def _rank(value: Any) -> tuple[int, Any]:
    """Return what sorts numbers before words before anything else."""
    if isinstance(value, Spread):
        return 0, value.mean
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, str(value))
