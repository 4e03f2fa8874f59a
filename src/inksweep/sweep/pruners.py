"""The group `hydra/sweeper/pruner`: its options with their keys, and the pruner built from them.

A new pruner is a class and a row of PRUNERS. The sweep and its jobs both build the pruner, from the same keys. Every
start of every Hydra app in this environment imports this module, so Optuna is imported only where a pruner is built.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from inksweep.errors import InputError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection

# What `hydra.sweeper.pruner._target_` may name.
TRUSTED = ("optuna.pruners.*",)


@dataclass
class PrunerConf:
    """What ends a trial early that does worse than others at the same step."""

    _target_: str = MISSING


@dataclass
class NoPrunerConf(PrunerConf):
    """Every trial runs to its end."""

    _target_: str = "optuna.pruners.NopPruner"


@dataclass
class MedianPrunerConf(PrunerConf):
    """Prune what is, at its best, worse than the median of the others at this step."""

    _target_: str = "optuna.pruners.MedianPruner"
    # Trials that must be complete before any is pruned.
    n_startup_trials: int = 5
    # Steps before which nothing is pruned.
    n_warmup_steps: int = 0
    interval_steps: int = 1
    n_min_trials: int = 1


@dataclass
class PercentilePrunerConf(MedianPrunerConf):
    """Prune what is, at its best, outside the best `percentile` of the others at this step."""

    _target_: str = "optuna.pruners.PercentilePruner"
    percentile: float = 25.0


@dataclass
class AshaPrunerConf(PrunerConf):
    """Asynchronous successive halving: of those that reach a rung, the best 1/reduction_factor go on."""

    _target_: str = "optuna.pruners.SuccessiveHalvingPruner"
    # The step of the first rung; auto: found from the first complete trial.
    min_resource: Any = 1
    reduction_factor: int = 3
    min_early_stopping_rate: int = 0
    bootstrap_count: int = 0


@dataclass
class HyperbandPrunerConf(PrunerConf):
    """Several successive halvings that begin at different rungs."""

    _target_: str = "optuna.pruners.HyperbandPruner"
    min_resource: int = 1
    # The last step; auto: found from the first complete trial.
    max_resource: Any = "auto"
    reduction_factor: int = 3
    bootstrap_count: int = 0


@dataclass
class PatientPrunerConf(PrunerConf):
    """Let another pruner decide only once a trial has not improved for `patience` steps."""

    _target_: str = "optuna.pruners.PatientPruner"
    wrapped_pruner: Any = field(default_factory=lambda: {"_target_": "optuna.pruners.MedianPruner"})
    patience: int = 3
    min_delta: float = 0.0


# What `hydra/sweeper/pruner` may be.
PRUNERS: dict[str, type[PrunerConf]] = {
    "none": NoPrunerConf,
    "median": MedianPrunerConf,
    "percentile": PercentilePrunerConf,
    "asha": AshaPrunerConf,
    "hyperband": HyperbandPrunerConf,
    "patient": PatientPrunerConf,
}


def register(store: ConfigStore) -> None:
    """Let Hydra know the group."""
    for name, conf in PRUNERS.items():
        store.store(group="hydra/sweeper/pruner", name=name, node=conf, provider="inksweep")


def build(conf: DictConfig, directions: Sequence["StudyDirection"]) -> "BasePruner":
    """Build the pruner. With several objectives there is no better and worse half-way: nothing is pruned.

    Raises:
        InputError: it cannot be built like this.
    """
    import optuna
    from hydra.utils import instantiate

    if len(directions) > 1:
        return optuna.pruners.NopPruner()
    try:
        pruner = instantiate(conf, _execution_whitelist_=TRUSTED)
    except Exception as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise InputError(f"hydra.sweeper.pruner={conf.get('_target_')}: cannot be built ({reason})") from error
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise InputError(f"hydra.sweeper.pruner._target_={conf.get('_target_')}: is no Optuna pruner")
    return pruner
