"""TRIAL SIDE. A trial as a job: the task that its launcher calls, and what it leaves in its run directory."""

import os
import signal
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import TaskFunction
from omegaconf import DictConfig

from inksweep import command, composed, trial
from inksweep.errors import Diverged
from inksweep.files import replacing
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import provenance, result
from inksweep.sweep.job import children
from inksweep.sweep.job.job import EndNow


class TrialTask:
    """The app's task, watched by the study. A class, so that launchers can pickle it.

    A training that raises Diverged, or Optuna's TrialPruned, ends with that word: a sweep has a use for both. As
    exceptions they would be logged with their traceback as failed jobs.
    """

    def __init__(self, task: TaskFunction):
        self.task = task
        self._sweep_pid = os.getpid()
        # For the processes that run its jobs, which were started otherwise.
        self._program = command.program()
        self._git = provenance.git_of(self._program.code)

    def __call__(self, cfg: DictConfig) -> Any:
        """Run the task."""
        from optuna import TrialPruned

        from inksweep.sweep.faults import note_on
        from inksweep.sweep.job.watcher import StudyWatcher

        is_apart = os.getpid() != self._sweep_pid
        if is_apart and threading.current_thread() is threading.main_thread():
            children.be_deaf([signal.SIGINT])  # Ctrl-C is for the sweep, which tells its trials
            children.have_default_signals()
        hydra = HydraConfig.get()
        run, watcher, started = RunDir(Path(hydra.runtime.output_dir)), StudyWatcher(hydra), time.monotonic()
        _show_the_way(run, SweepDir(Path(hydra.runtime.cwd) / str(hydra.sweep.dir)), int(hydra.job.num))
        if is_apart:
            command.hand(self._program)
        facts = {
            "command": command.again(hydra),
            "git": self._git,
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        composed.keep(cfg)
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
            note_on(raised)
            raise
        finally:
            status, reason = result.ending(watcher.reason)
            if error:
                status, reason = result.Status.FAILED, f"{type(error).__name__}: {error}"
            result.leave(run, status, reason, time.monotonic() - started, value, facts)
            watcher.finish(result.read_or_empty(run.result).metrics)
        return value


def _show_the_way(run: RunDir, sweep: SweepDir, number: int) -> None:
    """Leave word in the sweep directory of a run directory that is not called by its trial's number."""
    by_number = RunDir(sweep.root / str(number))
    if os.path.abspath(run.root) == os.path.abspath(by_number.root):  # noqa: PTH100 - resolve() would follow links
        return
    sweep.signpost(number).parent.mkdir(parents=True, exist_ok=True)
    with replacing(sweep.signpost(number), durable=False) as file:
        file.write(Path(os.path.relpath(run.root, sweep.root)).as_posix())
