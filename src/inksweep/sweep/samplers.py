"""The group `hydra/sweeper/sampler`: our options beside the stock sweeper's, and the sampler built from one of them.

Every start of every Hydra app in this environment imports this module, so Optuna is imported only where a sampler is
built.
"""

import functools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import TPESamplerConfig
from omegaconf import DictConfig, OmegaConf

from inksweep import extras
from inksweep.errors import InputError

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from inksweep.sweep.space.space import Space

# What `hydra.sweeper.sampler._target_` may name.
TRUSTED = ("optuna.samplers.*", "hydra_plugins.hydra_optuna_sweeper.*", "inksweep.sweep.tpe.JointTPESampler")
# These keep count of their points in the study; another seed would begin another sequence.
SEQUENTIAL = ("optuna.samplers.GridSampler", "optuna.samplers.QMCSampler")
# Packages that Optuna imports only when such a sampler suggests its first point, and does not install by itself.
NEEDS = {
    "optuna.samplers.CmaEsSampler": ("cmaes",),
    "optuna.samplers.GPSampler": ("scipy", "torch"),
    "optuna.samplers.QMCSampler": ("scipy",),
}


@dataclass
class JointTPEConf(TPESamplerConfig):
    """TPE that samples parameters together, and apart for each branch of a conditional space (Optuna's defaults)."""

    _target_: str = "inksweep.sweep.tpe.JointTPESampler"
    # Trials that it looks at: the 25 best and the latest; null: all.
    considered: int | None = 500
    multivariate: bool = True
    group: bool = True
    constant_liar: bool = True


# What `hydra/sweeper/sampler` may be, on top of the stock sweeper's own options.
SAMPLERS = {"tpe_joint": JointTPEConf}


def register(store: ConfigStore) -> None:
    """Let Hydra know our options of the group."""
    for name, conf in SAMPLERS.items():
        store.store(group="hydra/sweeper/sampler", name=name, node=conf, provider="inksweep")


def build(conf: DictConfig, space: "Space", existing: int, salt: int = 0) -> "BaseSampler":
    """Build the sampler.

    Args:
        conf: `hydra.sweeper.sampler`.
        space: what it samples; the grid sampler wants to know.
        existing: trials that the study holds. The seed moves on by as many: the same seed would suggest the same
            points again.
        salt: what tells this process from others that ask for trials of the same study.

    Raises:
        InputError: the sampler cannot be built like this, or not for this space, or a package that it needs is missing.
    """
    import optuna
    from hydra.utils import instantiate

    _check_packages(conf)
    if conf.get("_target_") != JointTPEConf._target_ and "considered" in conf:
        # Another sampler, written over our default, does not know our key.
        values: Any = OmegaConf.to_container(conf, resolve=True)
        conf = OmegaConf.create({key: value for key, value in values.items() if key != "considered"})
    moved: dict[str, Any] = {}
    if conf.get("seed") is not None and conf.get("_target_") not in SEQUENTIAL:
        moved["seed"] = conf.seed + existing + salt
    if conf.get("multivariate") is False and conf.get("group"):
        moved["group"] = False  # our default; of parameters sampled apart there are no groups
    with warnings.catch_warnings():
        # Optuna warns that TPE's `group` may change in its later versions; a user of ours can do nothing about that.
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


def _check_packages(conf: DictConfig) -> None:
    """Refuse a sampler whose packages are not installed, also one within another: it would end a sweep half-way."""
    for place, target in _targets("hydra.sweeper.sampler", conf):
        if lacking := extras.missing(NEEDS.get(target, ())):
            raise InputError(
                f"{place}={target}: needs the package {' and '.join(lacking)}, which is not installed; "
                f"install it (pip install {' '.join(lacking)}) or choose another sampler"
            )


def _targets(place: str, conf: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield the key and the `_target_` of a sampler and of those that it uses, such as `independent_sampler`."""
    yield place, str(conf.get("_target_"))
    for key in conf:
        node = conf.get(key)
        if isinstance(node, DictConfig):
            yield from _targets(f"{place}.{key!s}", node)


def grid_size(sampler: "BaseSampler") -> int | None:
    """Return how many points a grid sampler has; None for the others, which never run out of points."""
    from optuna.samplers import GridSampler

    # Optuna has no public name for the number; without it a grid would run to `n_trials`, repeating points.
    return len(sampler._all_grids) if isinstance(sampler, GridSampler) else None
