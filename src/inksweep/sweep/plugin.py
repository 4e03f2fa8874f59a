"""The sweeper as Hydra sees it: a shell around the engine.

Every start of every Hydra app in this environment imports this module: no torch, no Optuna here.
"""

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import PurePath
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from inksweep.errors import InputError, need
from inksweep.sweep import single_run
from inksweep.sweep.settings import settings

# Bytes of a name on most file systems; with some to spare, as the number in it is that of the first trial.
LONGEST = 250

log = logging.getLogger(__name__)


class InksweepSweeper(Sweeper, SearchPathPlugin):
    """The shell; what a sweep does stands in `session.py`. Takes its values from the config that `setup` is given.

    It is asked for folders of configs, too, and adds none: no other place is passed by every app before it runs once.
    There Hydra makes no sweeper, and a callback would need the app to trust it.
    """

    def __init__(self, **_: Any):
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Say it on standard error where a sweep was typed and a single run begins."""
        # A process that multiprocessing has started has the words of the one that started it.
        is_child = "multiprocessing" in sys.modules and sys.modules["multiprocessing"].parent_process() is not None
        if is_child or sys.stderr is None:
            return
        if (line := single_run.hint(sys.argv, search_path)) is not None:
            print(line, file=sys.stderr)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings."""
        with _one_line():
            self._setup(hydra_context, task_function, config)

    def _setup(self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from inksweep import command
        from inksweep.sweep.slots.hydra_launchers import default_slots, serial_slot

        serial = serial_slot(config)
        _tell_folders_apart(config)
        conf = settings(config.hydra.sweeper)
        if serial is not None:
            # The stock sweeper's 2, which need not be set, means two trials a batch.
            if conf.n_jobs is not None and conf.n_jobs > 1 and not conf.is_stock:
                log.warning("hydra.sweeper.n_jobs=%d: counts as %s", conf.n_jobs, serial)
            self.slots = 1
        else:
            self.slots = conf.n_jobs or default_slots(config, conf.n_trials)
        self.conf, self.config, self.hydra_context, self.is_serial = conf, config, hydra_context, serial is not None
        self.task_function = task_function
        command.is_asked_to_sweep(single_run.is_refused(config.hydra, hydra_context.config_loader))
        self._launcher_for(config)  # what is wrong with its settings shows now

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep."""
        from inksweep.silence import shown_meanwhile
        from inksweep.sweep.slots.hydra_launchers import begun
        from inksweep.sweep.start import Start

        assert self.config is not None
        assert self.hydra_context is not None
        launcher = self._launcher_for(self.config)
        # What workers import is imported from here on, by a process of its own, beside all that comes before trials.
        get_ready = nullcontext() if self.conf.dry_run else begun(launcher, self.slots)
        with _one_line(), get_ready:
            with shown_meanwhile("starting the sweep: importing Optuna"):
                from inksweep.sweep import session

            start = Start(
                self.config,
                self.conf,
                arguments,
                launcher,
                self._launcher_for,
                self._check_job,
                self.is_serial,
                self.hydra_context.config_loader,
                self.slots,
            )
            session.run(start)

    def _launcher_for(self, config: DictConfig) -> Launcher:
        """Return a launcher whose jobs are trials."""
        from hydra.core.plugins import Plugins

        from inksweep.sweep.job.task import TrialTask

        assert self.hydra_context is not None
        return Plugins.instance().instantiate_launcher(
            hydra_context=self.hydra_context, task_function=TrialTask(self.task_function), config=config
        )

    def _check_job(self, overrides: list[str]) -> DictConfig:
        """Compose the config of a job; resolving its run directory lets our own app check every value."""
        assert self.config is not None
        assert self.hydra_context is not None
        job = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        _ = job.hydra.run.dir
        with open_dict(job):
            job.hydra.job.id, job.hydra.job.num = "0", 0
        _check_folder(str(job.hydra.sweep.subdir))
        return job


def _tell_folders_apart(config: DictConfig) -> None:
    """Add the trial's number to `hydra.sweep.subdir` where that does not name it: two trials would share a folder."""
    from inksweep.sweep.space.written import written

    subdir = str(config.hydra.sweep._get_node("subdir")._value() or "").rstrip("/")
    # `${hydra:...}` reads the config of what runs: the sweep, while a job's folder is looked at before it runs.
    numbered = subdir.replace("${hydra:", "${hydra.")
    if not re.search(r"\bjob\.(num|id)\b", subdir):
        numbered = "${hydra.job.num}" if subdir in ("", ".") else f"{numbered}_${{hydra.job.num}}"
    if numbered == subdir:
        return
    for node in (config.hydra.sweep, config.hydra.overrides.hydra):
        OmegaConf.set_readonly(node, False)
    config.hydra.sweep.subdir = numbered
    config.hydra.overrides.hydra.append(f"hydra.sweep.subdir={written(numbered)}")  # for the jobs


def _check_folder(name: str) -> None:
    """Refuse a `hydra.sweep.subdir` that makes no folder in the sweep directory."""
    parts = PurePath(name).parts
    inside = not PurePath(name).is_absolute() and ".." not in parts
    need(inside, "hydra.sweep.subdir", name, "a folder in hydra.sweep.dir")
    length = max((len(os.fsencode(part)) for part in parts), default=0)
    if length > LONGEST:
        raise InputError(
            f"hydra.sweep.subdir={name}: is too long for the name of a folder ({length} bytes of {LONGEST}); "
            "hydra.job.config.override_dirname.exclude_keys leaves parameters out"
        )


@contextmanager
def _one_line() -> Iterator[None]:
    """Let Hydra print what the user did wrong as one line, in apps that do not see to it themselves."""
    try:
        yield
    except InputError as error:
        raise CompactHydraException(str(error)) from error
