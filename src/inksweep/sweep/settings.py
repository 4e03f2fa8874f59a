"""The keys of `hydra.sweeper`, their meaning and limits.

Every start of every Hydra app in this environment imports this module: no torch, no Optuna here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import PurePath
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra_plugins.hydra_optuna_sweeper.config import Direction, OptunaSweeperConf
from omegaconf import MISSING, DictConfig, OmegaConf

from inksweep.errors import InputError, nearest, need
from inksweep.sweep import pruners, samplers
from inksweep.sweep.pruners import NoPrunerConf, PrunerConf
from inksweep.sweep.search_space import as_params


def _need(good: bool, key: str, value: object, allowed: str) -> None:
    need(good, f"hydra.sweeper.{key}", value, allowed)


@dataclass
class TargetConf:
    """When the best trial is good enough."""

    # A key of `metrics` in the trial's result.json; null: the objective.
    metric: str | None = None
    # To be exceeded; with direction=minimize, to be undercut. null: never.
    value: float | None = None
    # null: the objective's own direction, and maximize for a metric.
    direction: Direction | None = None
    # What to try for once `value` is reached: the end of the sweep names the command. null: it names that without any.
    next: float | None = None

    def __post_init__(self) -> None:
        is_fraction = self.metric in ("val/accuracy", "test/accuracy")
        for key in ("value", "next"):
            value = getattr(self, key)
            if value is None:
                continue
            _need(math.isfinite(value), f"target.{key}", value, "a finite number")
            _need(not is_fraction or 0 <= value < 1, f"target.{key}", value, "at least 0 and below 1: 0.9 is 90%")


# What to do if the study began as another search. `continue`: go on, and remember the present search instead.
OnMismatch = Enum("OnMismatch", {"error": "error", "continue": "continue"})  # `continue` cannot be written in a class


# What a winner can be exported to.
EXPORTS = ("onnx", "torch-export")


@dataclass
class WinnerConf:
    """What is made of the search's result: the final stage, which trains again, and what the winner is saved as."""

    # The best trials, of different parameters, that are trained again.
    top_k: int = 1
    # On how many new seeds each: those after the search's own. They are ranked by their mean. 0: the search decides.
    seeds: int = 0
    # Train the chosen configuration on all of the train files, the validation pictures too.
    full_data: bool = False
    # Models whose mean the winner is: trainings of the chosen configuration; with seeds=0 the best trials.
    ensemble: int = 1
    # Formats to export it to, a list or a single one: onnx, torch-export.
    export: Any = field(default_factory=list)
    # Complete the winner's model card when the sweep ends.
    card: bool = True
    # The key of the app's config that holds the seed of a training.
    seed_key: str = "seed"
    # The command that uses the winner, said when the sweep ends; `{winner}` is the winner's folder. null: none.
    use: str | None = None

    def __post_init__(self) -> None:
        def check(good: bool, key: str, allowed: str) -> None:
            _need(good, f"winner.{key}", getattr(self, key), allowed)

        check(self.top_k >= 1, "top_k", "at least 1")
        check(self.seeds >= 0, "seeds", "at least 0")
        check(self.ensemble >= 1, "ensemble", "at least 1")
        if isinstance(self.export, str):
            self.export = [self.export]
        can_export = isinstance(self.export, list) and all(name in EXPORTS for name in self.export)
        can_export = can_export and len(set(self.export)) == len(self.export)
        check(can_export, "export", f"a list of {', '.join(EXPORTS)}, each once")
        good_use = self.use is None or ("\n" not in self.use and "{winner}" in self.use)
        check(good_use, "use", "null or a command on one line with {winner} in it, such as predict {winner} PICTURE")
        good_key = all(part.isidentifier() for part in self.seed_key.split("."))
        check(good_key, "seed_key", "a key of the app's config, such as seed or trainer.seed")
        check(
            self.full_data or self.seeds == 0 or self.ensemble <= self.seeds,
            "ensemble",
            f"at most hydra.sweeper.winner.seeds={self.seeds}, the trainings of the chosen configuration; raise that, "
            "or hydra.sweeper.winner.seeds=0 joins the best trials of the search",
        )
        joins = not self.full_data and self.top_k <= self.ensemble
        check(
            self.seeds > 0 or self.top_k == 1 or joins,
            "top_k",
            "1 with hydra.sweeper.winner.seeds=0, which trains none again; hydra.sweeper.winner.seeds=5 compares them, "
            f"hydra.sweeper.winner.ensemble={self.top_k} without full_data joins them",
        )
        made = [
            f"hydra.sweeper.winner.{key}={getattr(self, key)}"
            for key, is_asked in (("export", bool(self.export)), ("ensemble", self.ensemble > 1))
            if is_asked
        ]
        check(self.card or not made, "card", f"true with {' and '.join(made)}, which is made together with the card")

    @property
    def runs_again(self) -> bool:
        """Whether there is a final stage."""
        return self.seeds > 0 or self.full_data


OURS = "inksweep.sweep.plugin.InksweepSweeper"
STOCK = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
# What `_target_` may be. A file made for the stock sweeper names its class, and whoever chooses hydra/sweeper=inksweep
# with it means this one: both names are one member. OmegaConf goes by the names, Hydra takes a member as text.
SweeperTarget = Enum("SweeperTarget", {OURS: OURS, STOCK: OURS}, type=str)  # type: ignore[misc]


@dataclass
class InksweepSweeperConf(OptunaSweeperConf):
    """Keys of `hydra.sweeper`: those of the stock Optuna sweeper with their meaning, and more."""

    _target_: SweeperTarget = SweeperTarget[OURS]  # type: ignore[assignment]
    defaults: list[Any] = field(
        default_factory=lambda: [
            {"sampler": "tpe_joint"},
            {"pruner": "median"},
            {"override /hydra/launcher@_global_.hydra.launcher": "slots"},
            {"override /hydra/output@_global_.hydra.output": "inksweep_study"},
        ]
    )
    pruner: PrunerConf = MISSING
    # minimize or maximize, null is minimize; of several objectives, a list.
    direction: Any = Direction.minimize
    # URL of a database that Optuna knows: every process that is given the same study_name joins in. null: a journal
    # file in the sweep directory, for one process.
    storage: Any = None
    # With a database: after how many seconds a process notes again that it lives. One that misses three is taken for
    # dead.
    heartbeat_s: int = 60
    # A sweep with the name and storage of an earlier one goes on with it. The sweep directory is multirun/<study_name>
    # unless the app or hydra.sweep.dir says otherwise; null: the time, or the name of the given directory.
    study_name: str | None = None
    # Finished trials that the study is to hold in all, those of earlier starts and other processes included.
    n_trials: int = 20
    # Slots: trials at a time. A slot that is free gets its next trial at once. null: as many as make sense on this
    # machine with hydra/launcher=slots (slots/how_many.py), 1 with others.
    n_jobs: int | None = None  # type: ignore[assignment]
    # No key: whether the file is the stock sweeper's, and only its `_target_` ours.
    is_stock = False
    # Part of n_trials that may fail in one start of the sweep; more, and it gives up.
    max_failure_rate: float = 0.1
    # The same as a number of trials; null: by max_failure_rate.
    max_failures: int | None = None
    # How often a trial whose process died is tried again.
    retry: int = 1
    # Seconds after which this start begins no more trials and lets running ones end at their next report (a job in the
    # sweep's own process, hydra/launcher=basic, runs to its end).
    timeout_s: float | None = None
    # Seconds that one trial may take.
    trial_timeout_s: float | None = None
    # The search ends when so many trials in a row, of the whole study and in the order in which they ended, brought
    # nothing better: no new best trial or, of several objectives, no change of the Pareto front. Pruned and diverged
    # trials count, failed ones do not. null: never.
    patience_trials: int | None = None
    # A point that the study knows already is not run again.
    reuse_results: bool = True
    # Points to try first, each a mapping of parameters to values; what is left out the sampler chooses.
    enqueue: list[Any] | None = None
    # Points with which a search space begins, as its file gives them: like `enqueue`, but where the command line leaves
    # no room for one it is passed over, and they come after the points of the user.
    first_points: list[Any] | None = None
    # Directory of another sweep whose best points are tried first, and how many of them.
    warm_start: str | None = None
    warm_start_best: int = 5
    # If the search space, objective or base configuration is not that which the study began with.
    on_mismatch: OnMismatch = OnMismatch["error"]
    # Parts of the base configuration that change no result: they may differ from one start to the next.
    unrelated: list[str] = field(default_factory=list)
    # Print space, first points and an estimate of the time; write nothing.
    dry_run: bool = False
    # Write report.html when the sweep ends; null: if the extra `report` is installed, unless all trials together took
    # less than ten seconds.
    report: bool | None = None
    # Parameter -> distribution, or a value for all trials.
    params: dict[str, Any] | None = None
    # What `params` was called before Hydra 1.2.
    search_space: Any = None
    # Parameter -> one of its values -> what is searched, or set, only while it has that value.
    when: Any = None
    # Stop once the best trial, by the objective, exceeds this; null: never.
    target: TargetConf | None = field(default_factory=TargetConf)
    # What is made of the result when the search has ended by its target, its number of trials or its patience.
    winner: WinnerConf = field(default_factory=WinnerConf)

    def __post_init__(self) -> None:
        if self.search_space is not None:
            raise InputError(f"hydra.sweeper.search_space: is hydra.sweeper.params now{as_params(self.search_space)}")
        name = self.study_name
        # It names a folder, which may lie in others.
        good_name = name is None or (PurePath(name).name not in ("", "..") and ".." not in PurePath(name).parts)
        good_name = good_name and not (name and PurePath(name).is_absolute())
        _need(good_name, "study_name", name, "a name, as night or mnist/night")
        good_storage = self.storage is None or (isinstance(self.storage, str) and "://" in self.storage)
        _need(
            good_storage, "storage", self.storage, "null (a file in the sweep directory) or a URL like sqlite:///a.db"
        )
        _need(self.n_trials >= 1, "n_trials", self.n_trials, "at least 1")
        _need(self.n_jobs is None or self.n_jobs >= 1, "n_jobs", self.n_jobs, "at least 1, or null: by the cores")
        for key in ("heartbeat_s", "warm_start_best"):
            _need(getattr(self, key) >= 1, key, getattr(self, key), "at least 1")
        for key in ("timeout_s", "trial_timeout_s"):
            seconds = getattr(self, key)
            _need(seconds is None or 0 < seconds < math.inf, key, seconds, "seconds above 0, or null")
        patience = self.patience_trials
        _need(patience is None or patience >= 1, "patience_trials", patience, "at least 1, or null: never")
        _need(0 <= self.max_failure_rate <= 1, "max_failure_rate", self.max_failure_rate, "from 0 to 1")
        _need(self.retry >= 0, "retry", self.retry, "at least 0")
        _need(
            self.max_failures is None or self.max_failures >= 0,
            "max_failures",
            self.max_failures,
            "at least 0, or null: by max_failure_rate",
        )
        good_direction = bool(self.directions) and all(name in Direction.__members__ for name in self.directions)
        _need(good_direction, "direction", self.direction, "minimize or maximize, or a list of these")

    def failures_allowed(self, trials: int) -> int:
        """Return how many of `trials` may fail in one start of the sweep."""
        if self.max_failures is not None:
            return self.max_failures
        return math.floor(self.max_failure_rate * trials + 1e-9)  # 0.1 of 30 is 3, whatever floating point makes of it

    @property
    def directions(self) -> list[str]:
        """`minimize` or `maximize` for each objective, in whichever of the stock sweeper's forms they were given."""
        several = isinstance(self.direction, Sequence) and not isinstance(self.direction, str)
        given = self.direction if several else [self.direction]
        # Optuna takes them in capitals too.
        names = [name.name if isinstance(name, Direction) else str(name).lower() for name in given]
        return [Direction.minimize.name] if self.direction is None else names


def settings(sweeper: DictConfig) -> InksweepSweeperConf:
    """Return the checked settings of `hydra.sweeper`.

    Where only its `_target_` is ours and the rest the stock sweeper's, they mean what they mean there.
    """
    # Not of a copy of the node: `${now:...}` in a name is then resolved to the same time as in the sweep directory.
    conf: Any = OmegaConf.to_object(sweeper)
    if isinstance(conf, InksweepSweeperConf):
        return conf
    given = dict(conf) if isinstance(conf, dict) else {k: v for k, v in vars(conf).items() if k != "defaults"}
    known = [field.name for field in fields(InksweepSweeperConf)]
    for key in given:
        if key not in known:
            raise InputError(f"hydra.sweeper.{key}: there is no such key{nearest(str(key), known)}")
    stock = {"pruner": NoPrunerConf(), "reuse_results": False, "on_mismatch": OnMismatch["continue"]}
    made = InksweepSweeperConf(**{**stock, **given})
    made.is_stock = True
    return made


def _study_folder(study_name: str | None, time: str) -> str:
    return study_name or time


# Hydra's own folders, except that a sweep keeps its study's name: the same command then finds it again.
STUDY_OUTPUT = {
    "run": {"dir": "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"},
    "sweep": {
        "dir": "multirun/${inksweep.study_folder:${hydra.sweeper.study_name},${now:%Y-%m-%d_%H-%M-%S-%f}}",
        "subdir": "${hydra.job.num}",
    },
}

OmegaConf.register_resolver("inksweep.study_folder", _study_folder, replace=True)
store = ConfigStore.instance()
store.store(group="hydra/output", name="inksweep_study", node=STUDY_OUTPUT, package="hydra", provider="inksweep")
store.store(group="hydra/sweeper", name="inksweep", node=InksweepSweeperConf, provider="inksweep")
pruners.register(store)
samplers.register(store)
