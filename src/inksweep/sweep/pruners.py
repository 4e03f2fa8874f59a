"""The group `hydra/sweeper/pruner`: its options with their keys, and the pruner built from them.

A new pruner is a class and a row of PRUNERS. The sweep and its jobs both build the pruner, from the same keys. Every
start of every Hydra app in this environment imports this module, so Optuna is imported only where a pruner is built.
"""

import importlib.util
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig

from inksweep.errors import InputError, need

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.study import StudyDirection

# What `hydra.sweeper.pruner._target_` may name.
TRUSTED = ("optuna.pruners.*",)
# Packages that Optuna imports only when such a pruner decides for the first time, and does not install by itself.
NEEDS = {"optuna.pruners.WilcoxonPruner": "scipy"}


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


@dataclass
class ThresholdPrunerConf(PrunerConf):
    """Prune what reports a value below `lower` or above `upper`, whatever the other trials do."""

    _target_: str = "optuna.pruners.ThresholdPruner"
    # null: no bound on this side; one of the two must be given.
    lower: float | None = None
    upper: float | None = None
    # Steps before which nothing is pruned.
    n_warmup_steps: int = 0
    interval_steps: int = 1

    def __post_init__(self) -> None:
        for key in ("lower", "upper"):
            bound = getattr(self, key)
            _need(bound is None or math.isfinite(bound), key, bound, "a finite number, or null")
        if self.lower is None and self.upper is None:
            raise InputError(
                "hydra/sweeper/pruner=threshold: has no threshold; give hydra.sweeper.pruner.lower, "
                "hydra.sweeper.pruner.upper or both"
            )
        if self.lower is not None and self.upper is not None:
            _need(self.lower <= self.upper, "lower", self.lower, f"at most hydra.sweeper.pruner.upper={self.upper}")
        _need(self.n_warmup_steps >= 0, "n_warmup_steps", self.n_warmup_steps, "at least 0")
        _need(self.interval_steps >= 1, "interval_steps", self.interval_steps, "at least 1")


@dataclass
class WilcoxonPrunerConf(PrunerConf):
    """For trials that are a mean over folds or seeds: prune what is worse than the best trial, fold by fold.

    A trial reports each fold's own value, not a running mean, and gives a fold the same step in every trial. It is
    compared with the best complete trial by a Wilcoxon signed-rank test, which begins to prune at the fourth fold with
    the default `p_threshold`.
    """

    _target_: str = "optuna.pruners.WilcoxonPruner"
    # Prune below this p-value; larger prunes more.
    p_threshold: float = 0.1
    # Folds before which nothing is pruned.
    n_startup_steps: int = 2

    def __post_init__(self) -> None:
        _need(0 <= self.p_threshold <= 1, "p_threshold", self.p_threshold, "from 0 to 1")
        _need(self.n_startup_steps >= 0, "n_startup_steps", self.n_startup_steps, "at least 0")


def _need(good: bool, key: str, value: object, allowed: str) -> None:
    need(good, f"hydra.sweeper.pruner.{key}", value, allowed)


# What `hydra/sweeper/pruner` may be.
PRUNERS: dict[str, type[PrunerConf]] = {
    "none": NoPrunerConf,
    "median": MedianPrunerConf,
    "percentile": PercentilePrunerConf,
    "asha": AshaPrunerConf,
    "hyperband": HyperbandPrunerConf,
    "patient": PatientPrunerConf,
    "threshold": ThresholdPrunerConf,
    "wilcoxon": WilcoxonPrunerConf,
}


def register(store: ConfigStore) -> None:
    """Let Hydra know the group."""
    for name, conf in PRUNERS.items():
        store.store(group="hydra/sweeper/pruner", name=name, node=conf, provider="inksweep")


def build(conf: DictConfig, directions: Sequence["StudyDirection"]) -> "BasePruner":
    """Build the pruner. With several objectives there is no better and worse half-way: nothing is pruned.

    Raises:
        InputError: it cannot be built with these values, or a package that it needs is missing.
    """
    import optuna
    from hydra.utils import instantiate

    if len(directions) > 1:
        return optuna.pruners.NopPruner()
    _check_values(conf)
    _check_packages(conf)
    try:
        with warnings.catch_warnings():
            # Optuna warns that the pruner may change in its later versions; a user of ours can do nothing about that.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            pruner = instantiate(conf, _execution_whitelist_=TRUSTED)
    except Exception as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise InputError(f"hydra.sweeper.pruner={conf.get('_target_')}: cannot be built ({reason})") from error
    if not isinstance(pruner, optuna.pruners.BasePruner):
        raise InputError(f"hydra.sweeper.pruner._target_={conf.get('_target_')}: is no Optuna pruner")
    return pruner


def _check_values(conf: DictConfig) -> None:
    """Let the class of the pruner check its values: a composed config remembers the base class PrunerConf only.

    A key that the class does not have is left to Optuna's pruner, which may have it.
    """
    values = {str(key): value for key, value in conf.items()}
    for kind in PRUNERS.values():
        if kind._target_ == values.get("_target_") and values.keys() <= {known.name for known in fields(kind)}:
            kind(**values)


def _check_packages(conf: DictConfig) -> None:
    """Refuse a pruner, also one wrapped by another, whose package is not installed: trials would fail, one by one."""
    wrapped = conf.get("wrapped_pruner")
    if wrapped is not None and not (isinstance(wrapped, DictConfig) and "_target_" in wrapped):
        raise InputError(
            f"hydra.sweeper.pruner.wrapped_pruner={wrapped}: must be a mapping with _target_, "
            "such as {_target_: optuna.pruners.MedianPruner}"
        )
    for place, node in (("pruner", conf), ("pruner.wrapped_pruner", wrapped)):
        target = "" if node is None else str(node.get("_target_"))
        package = NEEDS.get(target)
        if package is not None and importlib.util.find_spec(package) is None:
            raise InputError(
                f"hydra.sweeper.{place}={target}: needs the package {package}, which is not installed; "
                f"install it (pip install {package}) or choose another pruner"
            )
