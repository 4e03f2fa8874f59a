"""`result.json`: how a run ended. This is the one place that writes and reads it.

A new field is a line in `Result`; whoever knows its value sets it.
"""

import math
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from inksweep.errors import InputError, last_line
from inksweep.files import read_json, write_json
from inksweep.paths import RunDir
from inksweep.runs.metrics import number, numbers

SCHEMA_VERSION = 1


class Status(StrEnum):
    """What became of a run."""

    # What `result.json` holds.
    COMPLETED = "completed"
    PRUNED = "pruned"
    FAILED = "failed"
    STOPPED = "stopped"
    # What a reader finds in a folder instead. UNFINISHED: no result and no process at work, it was killed. FOREIGN:
    # not ours, or of a version that is not known here. BROKEN: a file of it cannot be read.
    RUNNING = "running"
    UNFINISHED = "unfinished"
    FOREIGN = "foreign"
    BROKEN = "broken"


ENDED = (Status.COMPLETED, Status.PRUNED, Status.FAILED, Status.STOPPED)
# Of these the files say little.
UNREADABLE = (Status.FOREIGN, Status.BROKEN)


def ending(word: str | None) -> tuple[Status, str | None]:
    """Return status and reason of a run that ended by itself (None) or because of this word.

    Args:
        word: what `trial.should_stop` returned, or the training's own word for an early end, `patience` or `diverged`.
    """
    if word == "trial_timeout":
        return Status.FAILED, "timeout"  # as the study has it
    statuses = {
        None: Status.COMPLETED,
        "patience": Status.COMPLETED,
        "pruned": Status.PRUNED,
        "diverged": Status.PRUNED,
    }
    return statuses.get(word, Status.STOPPED), word  # any other word: the sweep ends


@dataclass(frozen=True)
class Objective:
    """What a run is judged by."""

    # None: of an app that returns a number without a name.
    name: str | None
    # None: what was measured under that name.
    value: float | None = None


def _fact(kind: type, *, always: bool = True) -> dict[str, Any]:
    """Return the metadata of a field that only runs of our own app fill; None: not known (yet).

    Args:
        kind: its JSON type; a value of another type is read as None.
        always: whether a run of ours has the key even where the value is not known.
    """
    return {"kind": kind, "always": always}


@dataclass
class Result:
    """How a run ended: the content of `result.json`."""

    # Until a run is known to have ended better, it has failed.
    status: Status = Status.FAILED
    # Why it ended early, in a word or a line.
    reason: str | None = None
    # What it is judged by; by the first in the first place.
    objectives: list[Objective] = field(default_factory=list)
    # `val/accuracy`, ...: of the saved weights, or at the last evaluation.
    metrics: dict[str, float] = field(default_factory=dict)
    # By phase: startup, data, train, evaluate, total.
    seconds: dict[str, float] = field(default_factory=dict)

    # What only runs of our own app have.
    # A whole number; another app may write a fraction, such as millions.
    parameters: float | None = field(default=None, metadata=_fact(int))
    seed: int | None = field(default=None, metadata=_fact(int))
    threads: int | None = field(default=None, metadata=_fact(int))
    device: str | None = field(default=None, metadata=_fact(str))
    # When it began, in ISO 8601 with the time zone.
    started: str | None = field(default=None, metadata=_fact(str))
    # Trains it again; quoted for a shell.
    command: str | None = field(default=None, metadata=_fact(str))
    # Commit and whether files differed from it; null outside a repository.
    git: dict[str, Any] | None = field(default=None, metadata=_fact(dict))
    versions: dict[str, str] | None = field(default=None, metadata=_fact(dict))
    # Whether the validation pictures were among those it was trained on.
    trained_on_validation: bool | None = field(default=None, metadata=_fact(bool, always=False))
    # What of the file cannot be used, in a line.
    remark: str | None = field(default=None, metadata=_fact(str, always=False))
    # As `describe_error` returns it.
    error: dict[str, str] | None = field(default=None, metadata=_fact(dict))

    # Of an ensemble: the paths of its members, their seeds and their commands.
    ensemble: list[str] | None = field(default=None, metadata=_fact(list, always=False))
    seeds: list[int | None] | None = field(default=None, metadata=_fact(list, always=False))
    commands: list[str] | None = field(default=None, metadata=_fact(list, always=False))

    # Keys that are not known here, as an app of its own kind may write them.
    rest: dict[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether a run of our own app wrote it."""
        return self.versions is not None

    @property
    def objective(self) -> float | list[float]:
        """What a sweep ranks by: a number, or one for each of several objectives; NaN for what is not known."""
        known = [self.value_of(objective) for objective in self.objectives]
        values = [math.nan if value is None else float(value) for value in known]
        return values[0] if len(values) == 1 else values

    def value_of(self, objective: Objective) -> float | None:
        """Return the value of an objective, None if it is not known (yet)."""
        if objective.value is not None or objective.name is None:
            return objective.value
        others = {"parameters": self.parameters, "seconds/train": self.seconds.get("train")}
        return others[objective.name] if objective.name in others else self.metrics.get(objective.name)

    def content(self) -> dict[str, Any]:
        """Return what the file holds."""
        objectives = [{"name": each.name, "value": self.value_of(each)} for each in self.objectives]
        facts = {name: getattr(self, name) for name in KINDS}
        return {
            "schema_version": SCHEMA_VERSION,
            "status": self.status.value,
            "reason": self.reason,
            "objective": objectives[0] if objectives else {"name": None, "value": None},
            **({"objectives": objectives} if len(objectives) > 1 else {}),
            "metrics": self.metrics,
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
            **{name: value for name, value in facts.items() if value is not None or (self.is_ours and name in ALWAYS)},
            **self.rest,
        }

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Result":
        """Return what a file says that holds `content`, without values of a wrong type.

        If it was written by something else, or by a version that is not known here, its status is FOREIGN.

        Raises:
            ValueError: it holds what no run writes.
        """
        version, status = content.get("schema_version"), content.get("status")
        if version == SCHEMA_VERSION and status in ENDED:
            reason = None if content.get("reason") is None else str(content["reason"])
            ended = cls(Status(status), reason, _objectives(content))
        else:
            reason = f"result.json is not of a kind known here (schema_version {version!r}, status {status!r})"
            if is_of_an_app(content):
                reason = "its result.json does not say how it ended (it has no status)"
            ended = cls(Status.FOREIGN, reason)
            with suppress(ValueError):  # its keys may mean something else
                ended.objectives = _objectives(content)
        facts = {name: content[name] for name, kind in KINDS.items() if isinstance(content.get(name), kind)}
        if isinstance(content.get("parameters"), float) and (count := number(content["parameters"])) is not None:
            facts["parameters"] = int(count) if count.is_integer() else count
        rest = {key: value for key, value in content.items() if key not in KNOWN}
        return replace(
            ended, metrics=numbers(content.get("metrics")), seconds=numbers(content.get("seconds")), **facts, rest=rest
        )


def is_of_an_app(content: Mapping[str, Any]) -> bool:
    """Whether a file only says what was measured, as an app of another kind leaves it (docs/any_hydra_app.md)."""
    return "metrics" in content and "schema_version" not in content and "status" not in content


# Those fields, with the JSON type of each; and those that a run of ours has in any case.
KINDS: dict[str, type] = {each.name: each.metadata["kind"] for each in fields(Result) if each.metadata}
ALWAYS = frozenset(each.name for each in fields(Result) if each.metadata and each.metadata["always"])
# What `compare` shows as status, metrics and time of a run; all else is a fact.
MEASURED = frozenset(
    ("schema_version", "status", "reason", "objective", "objectives", "metrics", "seconds", "parameters", "started")
)
KNOWN = MEASURED.union(KINDS)


def read(path: Path) -> Result:
    """Read a `result.json`.

    Raises:
        InputError: it is missing, broken, or holds what no run writes.
    """
    content = read_json(path)
    try:
        return Result.of(content)
    except ValueError as error:
        raise InputError(f"{path}: holds what no run writes ({error})") from error


def read_or_empty(path: Path) -> Result:
    """Read a `result.json`; where there is none, as of trials of other apps, or a broken one, nothing is known."""
    try:
        return read(path)
    except InputError:
        return Result(Status.BROKEN)


def write(path: Path, result: Result, *, durable: bool = True) -> None:
    """Write a `result.json`; numbers that JSON does not have, infinite ones and NaN, become null.

    Args:
        path: where.
        result: its content.
        durable: whether it must outlast a power cut.
    """
    write_json(path, result.content(), durable=durable)


def leave(
    run: RunDir,
    status: Status,
    reason: str | None,
    seconds: float,
    value: Any = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write the result.json of a trial that has left none itself; nothing if its folder is on another machine.

    What an app of another kind has left there, such as `metrics`, is kept, and what the sweep knows added. A file that
    cannot be read is moved aside, and the result says so.

    Args:
        run: its folder.
        status: how it ended; of a trial that completed without a finite objective, PRUNED is written.
        reason: why it ended early.
        seconds: how long it ran.
        value: what it returned.
        facts: what is known besides: fields of Result.
    """
    if not run.root.exists():
        return
    own = _left_by_app(run)
    if own is not None and own.status in ENDED:
        return
    values = [_returned(each) for each in (value if isinstance(value, list | tuple) else [value])]
    if status is Status.COMPLETED and any(each is not None and not math.isfinite(each) for each in values):
        status, reason = ending("diverged")
    ended = own or Result()
    names = [objective.name for objective in ended.objectives]
    named = names if len(names) == len(values) else [None] * len(values)
    ended = replace(ended, status=status, reason=reason,
                    objectives=[Objective(*pair) for pair in zip(named, values, strict=True)],
                    seconds={"total": seconds} | ended.seconds,
                    **{key: fact for key, fact in (facts or {}).items() if getattr(ended, key) is None})  # fmt: skip
    write(run.result, ended, durable=False)  # what counts is in the study


# Added to the name of a result.json that is no JSON.
UNREADABLE_SUFFIX = ".unreadable"


def _left_by_app(run: RunDir) -> Result | None:
    """Return what the result.json of a trial holds, with a remark on what of it cannot be used; None: there is none."""
    if not run.result.exists():
        return None
    try:
        content = read_json(run.result)
        own = Result.of(content)
    except (InputError, ValueError) as error:
        aside = run.result.with_name(run.result.name + UNREADABLE_SUFFIX)
        with suppress(OSError):
            run.result.replace(aside)
        fact = last_line(error).removeprefix(f"{run.result}: ")
        return Result(Status.BROKEN, remark=f"the app's result.json {fact}; it is {aside.name} now")
    if own.status in ENDED:
        return own
    # Words for what the sweep has its own for.
    other = {key: content[key] for key in ("schema_version", "status", "reason") if key in content}
    return replace(own, rest=own.rest | ({"app": other} if other else {}), remark=_odd_metrics(content.get("metrics")))


def _odd_metrics(metrics: Any) -> str | None:
    """Return in a line what of an app's metrics is none; NaN and infinities are metrics without a value."""
    if metrics is None or isinstance(metrics, dict):
        odd = [
            f"metrics.{name}={value!r:.50}"
            for name, value in (metrics or {}).items()
            if isinstance(value, bool) or not isinstance(value, int | float | None)
        ]
        return f"the app's result.json: {', '.join(odd)}: no number" if odd else None
    return f"the app's result.json: metrics={metrics!r:.50}: must be a mapping of names to numbers"


def _returned(value: Any) -> float | None:
    """Return what a task returned as a float, infinite or NaN too; None if it cannot be one. 0-d arrays can."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def describe_error(error: BaseException) -> dict[str, str]:
    """Return an exception as plain values."""
    lines = traceback.format_exception(error)
    return {"type": type(error).__name__, "message": str(error), "traceback": "".join(lines)}


def _objectives(content: Mapping[str, Any]) -> list[Objective]:
    listed = content.get("objectives") or [content.get("objective")]
    if not isinstance(listed, list):
        raise ValueError(f"objectives: {listed!r} is no list")
    return [
        Objective(None if each.get("name") is None else str(each["name"]), number(each.get("value")))
        for each in listed
        if isinstance(each, dict)
    ]
