"""Hydra's other launchers as slots: what each needs before several threads can use it at a time.

Found by trying them (1.4.0rc3): none was made for more than one `launch` at a time, and all can do it.
"""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher
from omegaconf import OmegaConf

from inksweep.sweep.grammar import written


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
