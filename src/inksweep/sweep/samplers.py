"""The sampler of a study, built from its config group."""

import functools
import warnings
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig

from inksweep.errors import InputError
from inksweep.sweep.space.space import Space

# What `hydra.sweeper.sampler._target_` may name.
TRUSTED = ("optuna.samplers.*", "hydra_plugins.hydra_optuna_sweeper.*")
# These keep count of their points in the study; another seed would begin another sequence.
SEQUENTIAL = ("optuna.samplers.GridSampler", "optuna.samplers.QMCSampler")


def build(conf: DictConfig, space: Space, existing: int, salt: int = 0) -> optuna.samplers.BaseSampler:
    """Build the sampler.

    Args:
        conf: `hydra.sweeper.sampler`.
        space: what it samples; the grid sampler wants to know.
        existing: trials that the study holds. The seed moves on by as many: the same seed would suggest the same
            points again.
        salt: what tells this process from others that ask for trials of the same study.

    Raises:
        InputError: the sampler cannot be built like this, or not for this space.
    """
    moved: dict[str, Any] = {}
    if conf.get("seed") is not None and conf.get("_target_") not in SEQUENTIAL:
        moved["seed"] = conf.seed + existing + salt
    with warnings.catch_warnings():
        # That TPE's `group` may change in later versions of Optuna is no news to whoever runs a sweep.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            sampler = instantiate(conf, _execution_whitelist_=TRUSTED, **moved)
        except Exception as error:
            reason = str(error.__cause__ or error).partition("\n")[0]
            raise InputError(f"hydra.sweeper.sampler={conf.get('_target_')}: cannot be built ({reason})") from error
    if isinstance(sampler, functools.partial):
        sampler = sampler(space.grid())
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        raise InputError(f"hydra.sweeper.sampler._target_={conf.get('_target_')}: is no Optuna sampler")
    return sampler


def grid_size(sampler: optuna.samplers.BaseSampler) -> int | None:
    """Return how many points a grid sampler has; None for the others, who have no end."""
    return len(sampler._all_grids) if isinstance(sampler, optuna.samplers.GridSampler) else None
