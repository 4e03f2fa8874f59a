"""`selection.json`: how a winner was chosen. Its fields, and how a file is checked against them.

A sweep fills it (sweep/winner/selection.py) and writes it beside the winner; the card, the report and the next start of
the sweep read it.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from inksweep.errors import InputError
from inksweep.files import read_json

SCHEMA_VERSION = 1
# The rule by which the winner is the best: the mean of its seeds in a final stage, or its trial in the search.
SEEDS, SEARCH = "seeds", "search"
# Both ends of a 95 % interval.
Interval = tuple[float, float]


@dataclass(frozen=True)
class RankedBy:
    """What the search ranked by."""

    # None: of an app that returns a number without a name.
    name: str | None
    # `maximize` or `minimize`.
    direction: str


@dataclass(frozen=True)
class Trials:
    """How many trials of the search ended how."""

    complete: int
    pruned: int = 0
    failed: int = 0


@dataclass(frozen=True)
class StopRule:
    """The target of the search, and what it looked at."""

    metric: str
    value: float
    # How many trials it looked at: those that were the best so far.
    looks: int
    reached: bool = False


@dataclass(frozen=True)
class Difference:
    """Of a candidate's mean to that of the first one."""

    mean: float
    interval: Interval


@dataclass(frozen=True)
class Training:
    """A training of a candidate, on a seed of its own."""

    # Relative to the sweep directory.
    path: str
    seed: int | None
    objective: float
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A configuration of the search that was trained again, by the (first) objective of its trainings."""

    # Of the search.
    trial: int
    # From 1.
    rank: int
    # In the search.
    searched_objective: float
    # Over the seeds, and the standard deviation from one to another.
    mean: float
    std: float
    # Of the mean. None: not known, as p and the difference, which are to the first candidate.
    interval: Interval | None = None
    # Of McNemar's test.
    p: float | None = None
    difference: Difference | None = None
    runs: list[Training]
    # Trainings that did not complete; of these, those that diverged.
    lost: int = 0
    diverged: int = 0


@dataclass(frozen=True)
class Model:
    """The training whose weights are saved; of an ensemble, the first of them."""

    # Relative to the sweep directory.
    path: str
    # None: not known.
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class Selection:
    """How a winner was chosen: the content of `selection.json`."""

    study: str
    # SEEDS or SEARCH.
    rule: str
    objective: RankedBy
    trials: Trials
    # Of the search: whose configuration it is.
    trial: int
    # None: there was none in any start of the search.
    stop_rule: StopRule | None = None
    # What the search chose for that trial.
    searched: dict[str, Any]
    # The best first; none: the search alone decided.
    candidates: list[Candidate]
    # Whether this winner only stands in for the one that a final stage will choose.
    interim: bool = False
    # Whether the model was trained on the validation pictures too; and the settings it had for that, where the search
    # had others.
    full_data: bool
    retrained_with: dict[str, Any] = field(default_factory=dict)
    model: Model
    # The runs of an ensemble, relative to the sweep directory; none: it is a single model.
    members: list[str]
    # The run, or the runs, whose answers to the validation pictures calibrate the model; None: its own do.
    calibrate_on: str | list[str] | None = None
    # The formats that the model was, or is to be, exported to.
    export: list[str] = field(default_factory=list)
    # Train it again, one for each training in it.
    commands: list[str]

    @property
    def is_final(self) -> bool:
        """Whether a final stage decided, or trained the model."""
        return self.rule == SEEDS or self.full_data

    @property
    def calibrators(self) -> list[str]:
        """The runs in `calibrate_on`."""
        return [self.calibrate_on] if isinstance(self.calibrate_on, str) else list(self.calibrate_on or [])

    def content(self) -> dict[str, Any]:
        """Return what the file holds."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}


def read(path: Path) -> Selection:
    """Read a `selection.json`.

    Raises:
        InputError: it is missing or broken, of a kind that is not known here, or it lacks something; it is named.
    """
    return parse(read_json(path), str(path))


def read_if_whole(path: Path) -> Selection | None:
    """Return what a `selection.json` says; None if there is none, or one that cannot be used."""
    try:
        return read(path)
    except InputError:
        return None


def is_of(content: Any, selection: Selection) -> bool:
    """Whether `content`, as a card has kept it, says the same as `selection`."""
    try:
        return parse(content, "") == selection
    except (InputError, AttributeError):
        return False


def parse(content: Mapping[str, Any], name: str) -> Selection:
    """Return what a file says that holds `content`.

    Args:
        content: as JSON has it.
        name: of the file, for errors.

    Raises:
        InputError: it is of a kind that is not known here, or it lacks something, or has it as something else.
    """
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(f"{name}: of a kind not known here (schema_version {version!r})")
    try:
        parsed: Selection = _as(Selection, content, "")
    except _LackingError as error:
        raise InputError(f"{name}: cannot be used (it lacks {error})") from error
    return parsed


class _LackingError(ValueError):
    """The key, with dots, of what is not there or of another type."""


def _as(kind: Any, value: Any, key: str) -> Any:
    """Return the JSON value under `key` as a `kind`: one of the types that the fields above have."""
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:
        return _as_one_of(arguments, value, key)
    if is_dataclass(kind):
        return _as_part(kind, value, key)
    if origin is list and isinstance(value, list):
        return [_as(arguments[0], each, key) for each in value]
    if origin is tuple and isinstance(value, list | tuple) and len(value) == len(arguments):
        return tuple(_as(each, part, key) for each, part in zip(arguments, value, strict=True))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if origin in (str, int, bool, dict) and isinstance(value, origin) and (kind is bool or not isinstance(value, bool)):
        return value
    raise _LackingError(key)


def _as_one_of(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    if value is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:  # its error names the part
        return _as(others[0], value, key)
    for kind in others:
        try:
            return _as(kind, value, key)
        except _LackingError:
            continue
    raise _LackingError(key)


def _as_part(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, Mapping):
        raise _LackingError(key)
    given = {}
    for each in fields(kind):
        name = f"{key}.{each.name}".lstrip(".")
        if each.name in value:
            given[each.name] = _as(_types(kind)[each.name], value[each.name], name)
        elif each.default is MISSING and each.default_factory is MISSING:
            raise _LackingError(name)
    return kind(**given)


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
