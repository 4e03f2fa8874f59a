"""The sweeper as Hydra sees it: its keys, and a shell around the engine.

Every start of every Hydra app in this environment imports this module: no torch, no Optuna here.
"""

import math
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.config import Direction, OptunaSweeperConf, TPESamplerConfig
from omegaconf import MISSING, DictConfig, OmegaConf

from inksweep.errors import InputError, need


def _need(good: bool, key: str, value: object, allowed: str) -> None:
    need(good, f"hydra.sweeper.{key}", value, allowed)


@dataclass
class TargetConf:
    """When the best trial is good enough."""

    # A key of `metrics` in the trial's result.json.
    metric: str = MISSING
    # To be exceeded.
    value: float = MISSING

    def __post_init__(self) -> None:
        _need(math.isfinite(self.value), "target.value", self.value, "a finite number")
        is_fraction = self.metric in ("val/accuracy", "test/accuracy")
        _need(not is_fraction or 0 <= self.value < 1, "target.value", self.value, "at least 0 and below 1: 0.9 is 90%")


@dataclass
class JointTPEConf(TPESamplerConfig):
    """TPE that samples parameters together, and apart for each branch of a conditional space (Optuna's defaults)."""

    multivariate: bool = True
    group: bool = True
    constant_liar: bool = True


@dataclass
class InksweepSweeperConf(OptunaSweeperConf):
    """Keys of `hydra.sweeper`: those of the stock Optuna sweeper with their meaning, and `when` and `target`."""

    _target_: str = "inksweep.sweep.plugin.InksweepSweeper"
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe_joint"}])
    # minimize or maximize; one objective.
    direction: Any = Direction.minimize
    # URL of a database that Optuna knows; null: a journal file in the sweep directory. One process at a time.
    storage: Any = None
    # A sweep with the name and storage of an earlier one goes on with it.
    study_name: str | None = None
    # Finished trials that the study is to hold in all, those of earlier starts included.
    n_trials: int = 20
    # Trials at a time.
    n_jobs: int = 1
    # Part of n_trials that may fail in one start of the sweep; more, and it gives up.
    max_failure_rate: float = 0.0
    # Parameter -> distribution, or a value for all trials.
    params: dict[str, Any] | None = None
    # Parameter -> one of its values -> what is searched, or set, only while it has that value.
    when: Any = None
    # Stop once the best trial, by the objective, exceeds this; null: never.
    target: TargetConf | None = None

    def __post_init__(self) -> None:
        name = self.study_name
        _need(
            name is None or (name not in ("", "..") and PurePath(name).name == name), "study_name", name, "a plain name"
        )
        good_storage = self.storage is None or (isinstance(self.storage, str) and "://" in self.storage)
        _need(
            good_storage, "storage", self.storage, "null (a file in the sweep directory) or a URL like sqlite:///a.db"
        )
        _need(self.n_trials >= 1, "n_trials", self.n_trials, "at least 1")
        _need(self.n_jobs == 1, "n_jobs", self.n_jobs, "1: trials run one after the other")
        _need(0 <= self.max_failure_rate <= 1, "max_failure_rate", self.max_failure_rate, "from 0 to 1")
        _need(self.direction_name in Direction.__members__, "direction", self.direction, "minimize or maximize")

    @property
    def direction_name(self) -> str:
        """`minimize` or `maximize`, in whichever of the stock sweeper's forms it was given."""
        only = self.direction[0] if isinstance(self.direction, list) and len(self.direction) == 1 else self.direction
        return only.name if isinstance(only, Direction) else str(only)


class InksweepSweeper(Sweeper):
    """The shell; what a sweep does stands in `session.py`. Takes its values from the config that `setup` is given."""

    def __init__(self, **_: Any):
        self.config: DictConfig | None = None
        self.launcher: Launcher | None = None
        self.hydra_context: HydraContext | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Check the settings, and make the launcher."""
        from hydra.core.plugins import Plugins

        from inksweep.sweep.trial import TrialTask

        subdir = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[call-overload, index]
        if subdir != "${hydra.job.num}":
            raise InputError(f"hydra.sweep.subdir={subdir}: this sweeper names the folders of trials by their number")
        # Of the node itself, not of a copy: a name made of the time is then the one that the sweep directory has.
        conf = OmegaConf.to_object(config.hydra.sweeper)
        assert isinstance(conf, InksweepSweeperConf)
        self.conf, self.config, self.hydra_context = conf, config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=TrialTask(task_function), config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Run the sweep."""
        from inksweep.sweep import session

        assert self.config is not None
        assert self.launcher is not None
        session.run(self.config, self.conf, arguments, self.launcher, self._check_job)

    def _check_job(self, overrides: list[str]) -> None:
        """Compose the config of a job; resolving its run directory lets our own app check every value."""
        assert self.config is not None
        assert self.hydra_context is not None
        job = self.hydra_context.config_loader.load_sweep_config(self.config, overrides)
        _ = job.hydra.run.dir


store = ConfigStore.instance()
store.store(group="hydra/sweeper", name="inksweep", node=InksweepSweeperConf, provider="inksweep")
store.store(group="hydra/sweeper/sampler", name="tpe_joint", node=JointTPEConf, provider="inksweep")
