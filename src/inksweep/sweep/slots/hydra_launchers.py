"""SWEEP SIDE. Hydra's launchers as slots: one table says what the sweep must know of each.

A new launcher is a row of LAUNCHERS; one that is not there runs jobs elsewhere and needs nothing. Found by trying them
(1.4.0rc3): none was made for more than one `launch` at a time, and all that run jobs elsewhere can do it.
"""

import copy
import importlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from inksweep.paths import SweepDir
from inksweep.sweep.slots.how_many import how_many
from inksweep.sweep.slots.slots import Slots
from inksweep.sweep.slots.via_launch import BlockingSlot, LauncherSlots
from inksweep.sweep.space.written import written

if TYPE_CHECKING:
    from inksweep.sweep.slots.pool import Pool
    from inksweep.sweep.study.owner import Owner


log = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing: most launchers need no end."""


@dataclass(frozen=True)
class Kind:
    """What the sweep must know of a launcher.

    Args:
        serial: given `hydra.launcher`, whether it runs jobs in the sweep's own process, one at a time; how a user
            selects that, or None if it does not.
        prepare: makes it ready to be called from several threads. Given the launcher, how many, and a folder of this
            start of the sweep; returns what to call when no more jobs are to run.
        has_slots: it has a pool of slots of its own.
    """

    serial: Callable[[DictConfig], str | None] = lambda launcher: None
    prepare: Callable[[Any, int, Path], Callable[[], None]] = lambda launcher, size, folder: _nothing
    has_slots: bool = False


def serial_slot(config: DictConfig) -> str | None:
    """Return what n_jobs comes to, and why, with a launcher that runs one job at a time in this process; else None."""
    launcher = config.hydra.launcher
    choice = _kind(_class_of(str(launcher._target_))).serial(launcher)
    if choice is None:
        return None
    one, several = "which runs one job at a time in this process", "hydra/launcher=slots runs several"
    return f"1 with hydra/launcher={choice}, {one}; {several}"


def default_slots(config: DictConfig, n_trials: int) -> int:
    """Return how many slots a sweep has whose n_jobs is null, and log why where there is a choice."""
    if not _kind(_class_of(str(config.hydra.launcher._target_))).has_slots:
        return 1
    number, why = how_many(config.hydra.launcher, str(config.hydra.sweeper.sampler._target_), n_trials)
    log.info("%d %s: %s (hydra.sweeper.n_jobs)", number, "slot" if number == 1 else "slots", why)
    return number


def pool(launcher: Any, size: int) -> "Pool | None":
    """Return `size` slots of a launcher that has a pool of its own; None: it has none."""
    own: Pool | None = launcher.pool(size) if _kind(type(launcher)).has_slots else None
    return own


def begun(launcher: Any, size: int) -> AbstractContextManager[None]:
    """Return a block during which `size` slots of `launcher` get ready, if it has slots of its own."""
    block: AbstractContextManager[None] = launcher.begun(size) if _kind(type(launcher)).has_slots else nullcontext()
    return block


def runner(launcher: Any) -> "Callable[[Sequence[str], float], tuple[int, str]] | None":
    """Return what runs a command in a process forked from the workers' one (processes.py); None: there is none."""
    return launcher.runner if _kind(type(launcher)).has_slots else None


def slots(launcher: Launcher, size: int, serial: bool, sweep: SweepDir, owner: "Owner") -> Slots:
    """Return slots for the trials of one start of a sweep.

    Args:
        launcher: what runs them.
        size: how many slots.
        serial: whether the launcher runs jobs in this process.
        sweep: the sweep directory, absolute: a process may have been started in another folder.
        owner: what tells this start from earlier ones.
    """
    if (own := pool(launcher, size)) is not None:
        return own
    if serial:
        return BlockingSlot(launcher)
    any_launcher: Any = launcher
    any_launcher.config = _quiet(any_launcher.config, sweep.root)
    return LauncherSlots(
        launcher, size, _kind(type(launcher)).prepare(launcher, size, sweep.root / ".submitit" / owner.id)
    )


def _kind(launcher: type) -> Kind:
    """Return the row of a launcher's class, or of the nearest one that it extends."""
    names = [ancestor.__name__ for ancestor in launcher.__mro__]
    return next((LAUNCHERS[name] for name in names if name in LAUNCHERS), Kind())


def _class_of(target: str) -> type:
    """Return the class that `_target_` names; where it cannot be had, an empty one of this name.

    Hydra imports it too, a moment later, and then says what is wrong with it.
    """
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, type)
    except Exception:  # whatever its module raises
        return type(name, (), {})
    return found


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


def _joblib_serial(launcher: DictConfig) -> str | None:
    return "joblib hydra.launcher.n_jobs=1" if launcher.n_jobs == 1 else None


def _prepare_joblib(launcher: Any, size: int, folder: Path) -> Callable[[], None]:
    # With n_jobs=1 joblib would run jobs in this process.
    launcher.joblib["n_jobs"] = max(2, size)
    return _nothing


def _prepare_ray(launcher: Any, size: int, folder: Path) -> Callable[[], None]:
    """Start or join the cluster once: threads would each start one."""
    import ray

    config: Any = OmegaConf.create(OmegaConf.to_container(launcher.ray_cfg, resolve=True))
    config.remote["max_retries"] = 0  # the sweep repeats what a dead worker ran, by hydra.sweeper.retry
    if config.init.get("address") is None:
        for key, value in {"num_cpus": size, "include_dashboard": False, "log_to_driver": False}.items():
            config.init.setdefault(key, value)
    launcher.ray_cfg = config
    if not ray.is_initialized():
        settings: Any = OmegaConf.to_container(config.init, resolve=True)
        ray.init(**settings)
    return ray.shutdown


def _prepare_submitit(launcher: Any, size: int, folder: Path) -> Callable[[], None]:
    # submitit would start a job that ran out of time again, in the same folder.
    launcher.params["max_num_timeout"] = 0
    # A local job is known by its process number, under which an earlier start may have left a result.
    launcher.params["submitit_folder"] = str(folder / "%j")
    return _nothing


# The class of a launcher -> what the sweep must know of it.
LAUNCHERS: dict[str, Kind] = {
    "SlotsLauncher": Kind(has_slots=True),
    "BasicLauncher": Kind(serial=lambda launcher: "basic"),
    "JoblibLauncher": Kind(serial=_joblib_serial, prepare=_prepare_joblib),
    "RayLauncher": Kind(prepare=_prepare_ray),
    # Those of submitit.
    "LocalLauncher": Kind(prepare=_prepare_submitit),
    "SlurmLauncher": Kind(prepare=_prepare_submitit),
}
