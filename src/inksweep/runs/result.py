"""`result.json`: how a run ended."""

import json
import math
import traceback
from typing import Any

from inksweep.errors import InputError
from inksweep.files import read_json, replacing
from inksweep.paths import RunDir


def write_result(run: RunDir, result: dict[str, Any]) -> None:
    """Write `result.json`: how the run ended."""
    with replacing(run.result) as file:
        json.dump(_json_value({"schema_version": SCHEMA_VERSION, **result}), file, indent=2, allow_nan=False)
        file.write("\n")


def _json_value(value: Any) -> Any:
    """Return `value` with null for numbers that JSON does not have: infinite ones and NaN."""
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def describe_error(error: BaseException) -> dict[str, str]:
    """Return an exception as plain values."""
    lines = traceback.format_exception(error)
    return {"type": type(error).__name__, "message": str(error), "traceback": "".join(lines)}


SCHEMA_VERSION = 1
# How a run may have ended, or be: those of result.json, then what the folder itself shows.
ENDED = ("completed", "pruned", "failed", "stopped")


# What the word that ended a trial early means for its run.
STATUS_OF_STOPPED = {None: "completed", "pruned": "pruned", "diverged": "pruned", "trial_timeout": "failed"}


def leave_result(run: RunDir, status: str, reason: str | None, seconds: float, value: Any = None) -> None:
    """Write the result.json of a trial that has left none itself; nothing if its folder is on another machine."""
    if run.result.exists() or not run.root.exists():
        return
    values = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [finite_or_none(value) for value in values]
    if status == "completed" and any(number is not None and not math.isfinite(number) for number in numbers):
        status, reason = "pruned", "diverged"
    numbers = [number if number is not None and math.isfinite(number) else None for number in numbers]
    content = {
        "schema_version": 1,
        "status": status,
        "reason": reason,
        "objective": {"name": None, "value": numbers[0] if numbers else None},
        "metrics": {},
        "seconds": {"total": round(seconds, 3)},
    }
    with replacing(run.result, durable=False) as file:  # what counts is in the study
        json.dump(content, file, indent=2)
        file.write("\n")


def finite_or_none(value: Any) -> float | None:
    """Return a value as JSON can hold it: None for what is no finite number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def result(run: RunDir) -> dict[str, Any]:
    """Return a trial's result.json; nothing if it left none, as the trials of other apps, or a broken one."""
    try:
        return read_json(run.result)
    except InputError:
        return {}


def metrics(run: RunDir) -> dict[str, float]:
    """Return what a trial measured, without what is no number."""
    found = result(run).get("metrics")
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: float(value) for name, value in numbers if isinstance(value, int | float)}
