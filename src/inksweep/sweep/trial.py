"""A trial as a job: the task that its launcher calls, and what it leaves in its run directory."""

import json
import math
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig

from inksweep import trial
from inksweep.errors import Diverged, InputError
from inksweep.paths import RunDir, read_json, replacing
from inksweep.sweep.slots import EndNow

# What the word that ended a trial early means for its run.
STATUS_OF_REASON = {None: "completed", "pruned": "pruned", "diverged": "pruned", "trial_timeout": "failed"}


class TrialTask:
    """The app's task, watched by the study. A class, so that launchers can pickle it.

    A training that raises Diverged, or Optuna's TrialPruned, ends with that word: a sweep has a use for both. As
    exceptions they would be logged with their traceback as failed jobs.
    """

    def __init__(self, task: TaskFunction):
        self.task = task
        self._sweep_pid = os.getpid()

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the task."""
        from optuna import TrialPruned

        from inksweep.sweep.watch import StudyWatcher

        is_apart = os.getpid() != self._sweep_pid
        if is_apart and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which tells its trials
        hydra = HydraConfig.get()
        run, watcher, started = RunDir(Path(hydra.runtime.output_dir)), StudyWatcher(hydra), time.monotonic()
        value: Any = None
        error: BaseException | None = None
        try:
            with trial.watched_by(watcher):
                value = self.task(cfg)
        except Diverged:
            watcher.stop(watcher.reason or "diverged")
        except TrialPruned:
            watcher.stop(watcher.reason or "pruned")
        except SystemExit as raised:
            error = raised
            if isinstance(raised, EndNow):
                raise
            # A process that ends looks like one that died.
            raise RuntimeError(f"the job called sys.exit({raised.code!r})") from raised
        except BaseException as raised:
            error = raised
            raise
        finally:
            reason = f"{type(error).__name__}: {error}" if error else watcher.reason
            status = "failed" if error else STATUS_OF_REASON.get(reason, "stopped")
            leave_result(run, status, reason, time.monotonic() - started, value)
            watcher.finish(metrics(run))
        return value


def leave_result(run: RunDir, status: str, reason: str | None, seconds: float, value: Any = None) -> None:
    """Write the result.json of a trial that has left none itself; nothing if its folder is on another machine."""
    if run.result.exists() or not run.root.exists():
        return
    values = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [_number(value) for value in values]
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


def _number(value: Any) -> float | None:
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
