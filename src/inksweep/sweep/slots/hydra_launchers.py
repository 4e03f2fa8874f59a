"""Hydra's other launchers as slots: what each needs before several threads can use it at a time.

Found by trying them (1.4.0rc3): none was made for more than one `launch` at a time, and all can do it.
"""

import copy
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from inksweep.errors import InputError, last_line
from inksweep.paths import SweepDir
from inksweep.sweep.job.job import Done, Job, WorkerDied, as_user_error, outcome_of
from inksweep.sweep.slots.slots import Slots
from inksweep.sweep.slots.slots_launcher import SlotsLauncher
from inksweep.sweep.space.grammar import written
from inksweep.sweep.study.owner import Owner


def prepare(launcher: Launcher, size: int, sweep: Path, owner: str) -> Callable[[], None]:
    """Make `launcher` ready to be called from `size` threads.

    Args:
        launcher: one that runs jobs in other processes.
        size: how many.
        sweep: the sweep directory, absolute: a process may have been started in another folder.
        owner: what tells this start from earlier ones.

    Returns:
        What to call at the end.
    """
    anyone: Any = launcher
    anyone.config = _quiet(anyone.config, sweep)
    kind = type(launcher).__name__
    if kind == "JoblibLauncher":
        # One process less, and joblib runs jobs in this one.
        anyone.joblib["n_jobs"] = max(2, size)
    elif kind == "RayLauncher":
        return _start_ray(anyone, size)
    elif kind in ("LocalLauncher", "SlurmLauncher"):  # those of submitit
        # submitit would start a job that ran out of time again, in the same folder; and a local job is known by its
        # process number, under which an earlier start may have left a result.
        anyone.params["max_num_timeout"] = 0
        anyone.params["submitit_folder"] = str(sweep / ".submitit" / owner / "%j")
    return lambda: None


def _quiet(config: Any, sweep: Path) -> Any:
    """Return the launcher's config so that it leaves logging as it is: each launch would replace all handlers."""
    config = copy.deepcopy(config)
    OmegaConf.set_readonly(config.hydra, False)
    for node in (config.hydra.hydra_logging, config.hydra.sweep, config.hydra.overrides.hydra):
        OmegaConf.set_readonly(node, False)
    config.hydra.hydra_logging.root = None  # the launchers then configure nothing
    config.hydra.sweep.dir = str(sweep)
    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={written(str(sweep))}")  # for the jobs
    logging.getLogger("hydra_plugins").setLevel(logging.WARNING)  # a line or two at each launch
    return config


def _start_ray(launcher: Any, size: int) -> Callable[[], None]:
    """Start or join the cluster, once: threads would each start one. Dead workers are the sweep's to handle."""
    import ray
    from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

    config: Any = OmegaConf.create(OmegaConf.to_container(launcher.ray_cfg, resolve=True))
    config.remote["max_retries"] = 0
    if config.init.get("address") is None:
        for key, value in {"num_cpus": size, "include_dashboard": False, "log_to_driver": False}.items():
            config.init.setdefault(key, value)
    launcher.ray_cfg = config
    start_ray(config.init)
    return ray.shutdown


def serial_slot(config: DictConfig) -> str | None:
    """Return what n_jobs must be, and why, with a launcher that runs one job at a time in this process; else None."""
    launcher = config.hydra.launcher
    kind = str(launcher._target_).rpartition(".")[2]
    if kind == "BasicLauncher":
        name = "basic"
    elif kind == "JoblibLauncher" and launcher.n_jobs == 1:
        name = "joblib hydra.launcher.n_jobs=1"
    else:
        return None
    return (
        f"1 with hydra/launcher={name}, which runs one job at a time in this process; hydra/launcher=slots runs several"
    )


def slots(launcher: Launcher, size: int, serial: bool, sweep: SweepDir, owner: Owner) -> Slots:
    """Return `size` slots for the trials of `owner`; `serial`: the launcher runs jobs in this process."""
    if isinstance(launcher, SlotsLauncher):
        return launcher.pool(size)
    if serial:
        return BlockingSlot(launcher)
    return LauncherSlots(launcher, size, prepare(launcher, size, sweep.root, owner.id))


class BlockingSlot:
    """One slot: a launcher that runs its job in this process, so that `wait` takes as long as the job."""

    size = 1

    def __init__(self, launcher: Launcher):
        self._launcher = launcher
        self._job: Job | None = None

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return int(self._job is None)

    @property
    def next(self) -> int:
        """Which slot the next job gets."""
        return 0

    def start(self, job: Job) -> None:
        """Keep `job` for `wait`."""
        assert self._job is None
        self._job = job

    def wait(self, seconds: float) -> Done | None:
        """Run the job, however long it takes."""
        if self._job is None:
            time.sleep(seconds)
            return None
        job, self._job = self._job, None
        return launched(self._launcher, job, as_user_error)

    def seconds(self, number: int) -> float | None:
        """Nobody can ask while a job runs."""
        return None

    def end(self, number: int) -> bool:
        """Jobs of this process cannot be ended from outside."""
        return False

    def close(self) -> None:
        """Nothing runs between calls."""


class LauncherSlots:
    """Slots that are threads, each of which waits for a launcher to run one job elsewhere.

    Args:
        launcher: one that runs jobs in other processes; `launch` is called from several threads at a time.
        size: how many.
        at_end: called once when no more jobs are to run.
    """

    def __init__(self, launcher: Launcher, size: int, at_end: Callable[[], None] = lambda: None):
        self.size, self._launcher, self._at_end = size, launcher, at_end
        self._busy: set[int] = set()
        self._done: queue.SimpleQueue[tuple[int, Done | BaseException]] = queue.SimpleQueue()

    @property
    def free(self) -> int:
        """How many jobs could be started now."""
        return self.size - len(self._busy)

    @property
    def next(self) -> int:
        """Which slot the next job gets."""
        return min(set(range(self.size)) - self._busy)

    def start(self, job: Job) -> None:
        """Launch `job` from a thread of its own."""
        slot = self.next
        self._busy.add(slot)
        # A daemon: the sweep may end without it.
        threading.Thread(target=self._launch, args=(slot, job), name=f"slot-{slot}", daemon=True).start()

    def wait(self, seconds: float) -> Done | None:
        """Return a job that has ended, or None."""
        try:
            slot, done = self._done.get(timeout=seconds)
        except queue.Empty:
            return None
        self._busy.remove(slot)
        if isinstance(done, BaseException):
            raise done
        return done

    def seconds(self, number: int) -> float | None:
        """Only the launcher knows when a job began."""
        return None

    def end(self, number: int) -> bool:
        """A job in another launcher's hands ends at its next report only."""
        return False

    def close(self) -> None:
        """Let the launcher go. Jobs that outlive it end at their next report: their trials are over."""
        self._at_end()
        self._at_end = lambda: None

    def _launch(self, slot: int, job: Job) -> None:
        # Processes that this thread starts inherit it: Ctrl-C is for the sweep, which tells its trials.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._done.put((slot, launched(self._launcher, job, _as_death)))
        except BaseException as error:
            self._done.put((slot, error))


def launched(launcher: Launcher, job: Job, meaning: Callable[[Exception], Exception]) -> Done:
    """Let `launcher` run one job, and return what came of it.

    Args:
        launcher: blocks until the job has ended.
        job: what to run.
        meaning: of what `launch` itself raises.
    """
    started = time.perf_counter()
    value: Any = None
    raised: Exception | None = None
    try:
        (returned,) = launcher.launch([job.overrides], initial_job_idx=job.number)
        value, raised = outcome_of(returned)
        if returned.hydra_cfg is not None and returned.hydra_cfg.hydra.job.num != job.number:
            value, raised = None, WorkerDied("what came back is the result of another job")
    except Exception as error:
        raised = meaning(error)
    return Done(job.number, value, raised, time.perf_counter() - started)


def _as_death(error: Exception) -> Exception:
    """Return what it means that a launcher could not run a job: the user's fault, or its process is gone."""
    told = as_user_error(error)
    return told if isinstance(told, InputError) else WorkerDied(f"{type(error).__name__}: {last_line(error)}")
