"""The sampler of a study, built from its config group."""

import functools
import warnings
from typing import Any

import optuna
from hydra.utils import instantiate
from omegaconf import DictConfig

from inksweep.errors import InputError
from inksweep.sweep.space import Space

# What `hydra.sweeper.sampler._target_` may name.
TRUSTED = ("optuna.samplers.*", "hydra_plugins.hydra_optuna_sweeper.*")
# These keep count of their points in the study; another seed would begin another sequence.
SEQUENTIAL = ("optuna.samplers.GridSampler", "optuna.samplers.QMCSampler")


def build(conf: DictConfig, space: Space, existing: int) -> optuna.samplers.BaseSampler:
    """Build the sampler.

    Args:
        conf: `hydra.sweeper.sampler`.
        space: what it samples; the grid sampler wants to know.
        existing: trials that the study holds. The seed moves on by as many: the same seed would suggest the same
            points again.

    Raises:
        InputError: the sampler cannot be built like this, or not for this space.
    """
    moved: dict[str, Any] = {}
    if conf.get("seed") is not None and conf.get("_target_") not in SEQUENTIAL:
        moved["seed"] = conf.seed + existing
    with warnings.catch_warnings():
        # That TPE's `group` may change in later versions of Optuna is no news to whoever runs a sweep.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = instantiate(conf, _execution_whitelist_=TRUSTED, **moved)
    if isinstance(sampler, functools.partial):
        sampler = sampler(space.grid())
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        raise InputError(f"hydra.sweeper.sampler._target_={conf.get('_target_')}: is no Optuna sampler")
    return sampler


def grid_size(sampler: optuna.samplers.BaseSampler) -> int | None:
    """Return how many points a grid sampler has; None for the others, who have no end."""
    return len(sampler._all_grids) if isinstance(sampler, optuna.samplers.GridSampler) else None
