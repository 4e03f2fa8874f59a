"""SWEEP SIDE. The launcher `slots` as Hydra sees it: its keys, and a shell around the pool of workers.

Every start of every Hydra app in this environment imports this module: nothing heavy here.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from inksweep.errors import InputError, need, need_extra
from inksweep.extras import extra_of

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction

    from inksweep.sweep.job.job import Done, Job, Setup
    from inksweep.sweep.slots.pool import Pool
    from inksweep.sweep.slots.processes import Forked, Processes


log = logging.getLogger(__name__)


class StartMethod(Enum):
    """How workers begin: forked from the sweep's own process, or anew."""

    auto = "auto"
    fork = "fork"
    spawn = "spawn"


@dataclass
class SlotsLauncherConf:
    """Keys of `hydra.launcher` for `hydra/launcher=slots`: long-lived processes, one a slot."""

    _target_: str = "inksweep.sweep.slots.slots_launcher.SlotsLauncher"
    # Slots for sweepers that do not say how many (ours: hydra.sweeper.n_jobs); null: one a core.
    n_jobs: int | None = None
    # Modules to import once, before workers are forked; they share them.
    preload: list[str] = field(default_factory=list)
    # CPU threads a slot; null: cores / slots.
    threads: int | None = None
    # CUDA devices given to the slots round-robin; null: all that can be seen.
    devices: list[str] | None = None
    # auto: fork on Linux if workers can be forked from the script as it is; else spawn, which imports the script again.
    start_method: StartMethod = StartMethod.auto
    # A worker whose memory has grown by more since its first job is replaced.
    max_growth_mb: int = 1024

    def __post_init__(self) -> None:
        need(self.n_jobs is None or self.n_jobs >= 1, "hydra.launcher.n_jobs", self.n_jobs, "at least 1, or null")
        need(self.threads is None or self.threads >= 1, "hydra.launcher.threads", self.threads, "at least 1, or null")
        need(self.max_growth_mb >= 1, "hydra.launcher.max_growth_mb", self.max_growth_mb, "at least 1")


class SlotsLauncher(Launcher):
    """The shell; what slots do stands in `pool.py`."""

    def __init__(self, **_: Any):
        self.config: DictConfig | None = None
        # Where the workers of a pool of so many slots will come from.
        self._begun: tuple[int, Forked] | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what workers are given, and check the settings."""
        conf = OmegaConf.to_object(config.hydra.launcher)
        assert isinstance(conf, SlotsLauncherConf)
        need(
            conf.start_method is not StartMethod.fork or sys.platform == "linux",
            "hydra.launcher.start_method",
            "fork",
            "spawn or auto on this system",
        )
        if not _forks(conf.start_method):
            from inksweep.sweep.job.script import check_guard

            check_guard()
        self.conf, self.config = conf, config
        self.hydra_context, self.task_function = hydra_context, task_function
        for name in conf.preload:  # the process that preloads passes over what it does not find
            package = name.partition(".")[0]
            if (extra := extra_of(package)) is not None:
                need_extra(f"hydra.launcher.preload={name}", extra, [package])
            need(find_spec(package) is not None, "hydra.launcher.preload", name, "a module that is installed")

    @contextmanager
    def begun(self, size: int) -> Iterator[None]:
        """Import what workers need, in a process of its own, while the block sees to everything before the first trial.

        That process serves the pool of this size, also after the pool is closed, and ends with the block. Where workers
        cannot be forked nothing begins here, and `pool` says why.
        """
        from inksweep.sweep.slots.processes import CannotForkError, Forked

        if not _forks(self.conf.start_method):
            yield
            return
        assert self.config is not None
        # Known before the fork: a name with a time in it is one name in all processes.
        _ = str(self.config.hydra.sweep.dir)
        try:
            forked = Forked(self._setup(), self.conf.preload, self._environment(size))
        except CannotForkError:
            yield
            return
        self._begun = size, forked
        try:
            yield
        finally:
            self._begun = None
            forked.close()

    @property
    def runner(self) -> Callable[[Sequence[str], float], tuple[int, str]] | None:
        """What runs a command in a process that has all that workers import: `Forked.run`; None: there is none."""
        return None if self._begun is None else self._begun[1].run

    def pool(self, size: int) -> Pool:
        """Return `size` slots; workers start when they are needed."""
        from inksweep.sweep.slots.pool import Pool, visible_devices

        return Pool(
            size,
            self._processes(size),
            devices=visible_devices() if self.conf.devices is None else self.conf.devices,
            growth=self.conf.max_growth_mb * 2**20,
            preload=self.conf.preload,
        )

    def _setup(self) -> Setup:
        from inksweep.sweep.job.job import Setup

        assert self.config is not None
        return Setup(self.hydra_context, self.config, self.task_function)

    def _environment(self, size: int) -> dict[str, str]:
        """Return the variables of each of `size` workers."""
        from inksweep.cores import threads_per_process, usable_cores
        from inksweep.sweep.slots.processes import THREADS

        # No more than a process of its own takes: somebody may have set OMP_NUM_THREADS.
        threads = self.conf.threads or max(1, min(threads_per_process(), usable_cores() // size))
        return dict.fromkeys(THREADS, str(threads))

    def _processes(self, size: int) -> Processes:
        """Return where the workers of `size` slots come from.

        Raises:
            InputError: they are to be forked, and cannot be.
        """
        from inksweep.sweep.slots.processes import CannotForkError, Forked, Kept, Spawned

        if self._begun is not None and self._begun[0] == size:
            return Kept(self._begun[1])
        setup, environment = self._setup(), self._environment(size)
        method = self.conf.start_method
        if _forks(method):
            try:
                return Forked(setup, self.conf.preload, environment)
            except CannotForkError as obstacle:
                if method is StartMethod.fork:
                    raise InputError(f"hydra.launcher.start_method=fork: {obstacle}; spawn or auto does it") from None
                log.warning("workers import the script again, as they cannot be forked: %s", obstacle)
        return Spawned(setup, environment)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run jobs for another sweeper, such as Hydra's own grid; return what came of each, in their order."""
        from inksweep.cores import usable_cores
        from inksweep.silence import saying
        from inksweep.sweep.job.job import Job

        jobs = [Job(initial_job_idx + i, list(overrides), whole=True) for i, overrides in enumerate(job_overrides)]
        pool = self.pool(min(len(jobs), self.conf.n_jobs or usable_cores()))
        returns: dict[int, JobReturn] = {}
        waiting = list(jobs)

        def how_far() -> str:
            return f"{len(returns)} of {len(jobs)} jobs done, {len(jobs) - len(returns) - len(waiting)} running"

        try:
            with saying(how_far):
                while len(returns) < len(jobs):
                    while waiting and pool.free:
                        pool.start(waiting.pop(0))
                    if (done := pool.wait(1.0)) is not None:
                        returns[done.number] = _returned(done, jobs[done.number - initial_job_idx])
                        came = f"{type(done.error).__name__}: {done.error}" if done.error else done.value
                        log.info("job %d: %s, %.1f s", done.number, came, done.seconds)
        finally:
            pool.close()
        return [returns[job.number] for job in jobs]


def _returned(done: Done, job: Job) -> JobReturn:
    """Return what Hydra is told of a job."""
    from hydra.core.utils import JobReturn, JobStatus

    if done.returned is not None:
        return done.returned
    # Its worker died, or its settings could not be sent.
    returned = JobReturn(overrides=job.overrides, status=JobStatus.FAILED if done.error else JobStatus.COMPLETED)
    returned.return_value = done.error or done.value
    return returned


def _forks(method: StartMethod) -> bool:
    return method is StartMethod.fork or (method is StartMethod.auto and sys.platform == "linux")


# Twice: an app's own conf/hydra/launcher/slots.yaml can then begin with the second.
for name in ("slots", "inksweep_slots"):
    ConfigStore.instance().store(group="hydra/launcher", name=name, node=SlotsLauncherConf, provider="inksweep")
