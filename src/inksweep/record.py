"""What a run leaves in its directory besides weights: `metrics.csv` and `result.json`."""

import csv
import functools
import importlib.metadata
import json
import math
import platform
import subprocess
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inksweep.paths import RunDir, replacing

SCHEMA_VERSION = 1
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
    """Write `metrics.csv`, a row an evaluation; a reader sees all of it or the one before."""
    with replacing(run.metrics) as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


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


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of what a result depends on, without importing any of it."""
    packages = ["inksweep", "torch", "torchvision", "hydra-core", "omegaconf", "optuna", "numpy"]
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


@functools.cache
def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit that `folder` is at and whether tracked files differ from it; None outside a repository."""
    try:
        sha = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"sha": sha, "dirty": dirty}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
