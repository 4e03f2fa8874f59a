"""A trial as a job: the task that its launcher calls, and what it leaves in its run directory."""

import json
import math
from typing import Any

from hydra.types import TaskFunction
from omegaconf import DictConfig

from inksweep.errors import Diverged
from inksweep.paths import RunDir


class TrialTask:
    """The app's task, except that a training that diverged returns NaN: a sweep has a use for that.

    As an exception it would be logged with its traceback as a failed job. A class, so that launchers can pickle it.
    """

    def __init__(self, task: TaskFunction):
        self.task = task

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the task."""
        try:
            return self.task(cfg)
        except Diverged:
            return math.nan


def result(run: RunDir) -> dict[str, Any]:
    """Return a trial's result.json; nothing if it left none, as the trials of other apps, or a broken one."""
    try:
        found = json.loads(run.result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def metrics(run: RunDir) -> dict[str, float]:
    """Return what a trial measured, without what is no number."""
    found = result(run).get("metrics")
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: float(value) for name, value in numbers if isinstance(value, int | float)}
