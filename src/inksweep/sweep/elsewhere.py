"""The config of a sweep, for jobs in another folder and of another study."""

from collections.abc import Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from inksweep.sweep.grammar import written


def moved(config: DictConfig, folder: Path, sweeper: Mapping[str, str | None]) -> DictConfig:
    """Return the config of the same sweep with its jobs in `folder`.

    Args:
        config: what Hydra composed for the sweep.
        folder: absolute.
        sweeper: keys of `hydra.sweeper` with their new values.
    """
    copy = config.copy()
    for node in (copy.hydra.sweep, copy.hydra.sweeper, copy.hydra.overrides.hydra):
        OmegaConf.set_readonly(node, False)
    changes = {"hydra.sweep.dir": str(folder), **{f"hydra.sweeper.{key}": value for key, value in sweeper.items()}}
    with open_dict(copy):
        for key, value in changes.items():
            OmegaConf.update(copy, key, value)
            copy.hydra.overrides.hydra.append(f"{key}={written(value)}")  # for the jobs
    OmegaConf.copy_cache(from_config=config, to_config=copy)
    return copy
