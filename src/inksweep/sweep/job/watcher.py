"""TRIAL SIDE. The sweep as a job sees it, wherever that runs: reports go to the storage, decisions come from there."""

import functools
import math
import time
from contextlib import suppress
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import Study

from inksweep.sweep import pruners
from inksweep.sweep.settings import InksweepSweeperConf, settings
from inksweep.sweep.study.notes import FINAL, METRICS, STOP, STOPPED, TOTAL
from inksweep.sweep.study.storage import Address, address, open_storage

# Why a job of this process should end, if the sweep runs in it too and cannot say so otherwise.
stop_here: str | None = None


class StudyWatcher:
    """Tells the storage what a trial reports, and the trial whether to go on.

    Nothing is opened before the first report: a job that makes none pays nothing.

    Args:
        hydra: the job's `hydra` node.
    """

    def __init__(self, hydra: Any):
        self._hydra = hydra
        self.number = int(hydra.job.num)
        # Why the trial is to stop.
        self.reason: str | None = None
        self._reports = 0
        self._started = time.monotonic()

    @functools.cached_property
    def _settings(self) -> InksweepSweeperConf:
        return settings(self._hydra.sweeper)

    @functools.cached_property
    def _study(self) -> Study:
        return _open(address(self._hydra))

    @functools.cached_property
    def _id(self) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, self.number)

    @functools.cached_property
    def _pruner(self) -> optuna.pruners.BasePruner:
        if FINAL in self._study.user_attrs:
            return optuna.pruners.NopPruner()
        return pruners.build(OmegaConf.create(vars(self._settings.pruner)), self._study.directions)

    @property
    def _storage(self) -> BaseStorage:
        # Optuna has no public name for a study's storage, nor for its number there. Its public `Trial` of a running
        # trial asks the sampler when it is made; without these names a job could not report.
        return self._study._storage

    def report(self, step: int, value: float, total: int | None) -> None:
        """Write an intermediate value; a trial that the study has ended meanwhile is left alone."""
        with suppress(UpdateFinishedTrialError):
            if total is not None and self._reports == 0:
                self._storage.set_trial_user_attr(self._id, TOTAL, total)
            # With several objectives nothing is pruned, and Optuna's samplers cannot read the reports of such a trial.
            if len(self._study.directions) == 1:
                self._storage.set_trial_intermediate_value(self._id, step, value)
        self._reports += 1

    def should_stop(self) -> str | None:
        """Return why the trial should end now; once there is a reason it stays."""
        if self.reason is None:
            reason = self._reason()
            if reason is not None:
                self.stop(reason)
        return self.reason

    def stop(self, reason: str) -> None:
        """Take note of why the trial ends before its time."""
        self.reason = reason
        self._note(STOPPED, reason)

    def finish(self, metrics: dict[str, float]) -> None:
        """Keep what the trial measured: the machine of the sweep may not see the folder."""
        if metrics:
            self._note(METRICS, metrics)

    def _reason(self) -> str | None:
        if stop_here is not None:
            return stop_here
        if time.monotonic() - self._started > (self._settings.trial_timeout_s or math.inf):
            return "trial_timeout"
        trial = self._storage.get_trial(self._id)
        if trial.state.is_finished():
            return "given up"  # by a sweep that thought this process dead
        stop: Any = trial.user_attrs.get(STOP)
        if stop is not None:
            return str(stop)
        return "pruned" if self._reports and self._pruner.prune(self._study, trial) else None

    def _note(self, name: str, value: Any) -> None:
        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._id, name, value)


@functools.lru_cache(maxsize=1)
def _open(address: Address) -> Study:
    """Open a study once a process; a worker's jobs are all of one."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # It is never asked: any sampler will do, and this one needs nothing.
    return optuna.load_study(
        study_name=address.study, storage=open_storage(address), sampler=optuna.samplers.RandomSampler()
    )
