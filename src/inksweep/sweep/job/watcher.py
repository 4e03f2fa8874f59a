"""TRIAL SIDE. The sweep as a job sees it, wherever that runs: reports go to the storage, decisions come from there."""

import functools
import logging
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import Study

from inksweep.sweep import pruners
from inksweep.sweep.settings import InksweepSweeperConf, settings
from inksweep.sweep.study.database import SILENT_BEATS, DatabaseAway, hasty
from inksweep.sweep.study.notes import FINAL, METRICS, STOP, STOPPED, TOTAL
from inksweep.sweep.study.storage import Address, address, open_storage, resolved

log = logging.getLogger(__name__)

# Seconds between two looks at whether a trial was called off.
LOOK_EVERY_S = 0.5

# Why a job of this process should end, if the sweep runs in it too and cannot say so otherwise.
stop_here: str | None = None


class StudyWatcher:
    """Tells the storage what a trial reports, and the trial whether to go on.

    Nothing is opened before the first report: a job that makes none pays nothing. A database that cannot be reached is
    waited for; if it stays away, what the trial has to say is dropped and it goes on: its result may still count.

    Args:
        hydra: the job's `hydra` node.
    """

    def __init__(self, hydra: Any):
        self._hydra = hydra
        self.number = int(hydra.job.num)
        # Why the trial is to stop.
        self.reason: str | None = None
        self._reports = 0
        self._started = self._looked = time.monotonic()
        # The database was waited for in vain; or it did not answer since the last report, and was not waited for.
        self._is_away = self._is_silent = False

    @functools.cached_property
    def _settings(self) -> InksweepSweeperConf:
        return settings(self._hydra.sweeper)

    @functools.cached_property
    def _study(self) -> Study:
        place = address(self._hydra)
        return _open(place, 0.0 if self._is_away else SILENT_BEATS * place.heartbeat_s)

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
        with suppress(UpdateFinishedTrialError), self._database_may_be_away():
            if total is not None and self._reports == 0:
                self._storage.set_trial_user_attr(self._id, TOTAL, total)
            # With several objectives nothing is pruned, and Optuna's samplers cannot read the reports of such a trial.
            if len(self._study.directions) == 1:
                self._storage.set_trial_intermediate_value(self._id, step, value)
        self._reports += 1

    def should_stop(self) -> str | None:
        """Return why the trial should end now; once there is a reason it stays."""
        if self.reason is None:
            reason = None
            with self._database_may_be_away():
                reason = self._end_from_here() or self._end_from_study(is_judged=True)
                self._is_silent = False
            self._looked = time.monotonic()
            if reason is not None:
                self.stop(reason)
        return self.reason

    def called_off(self) -> str | None:
        """Return why the trial is to end, whatever it came to; looks every `LOOK_EVERY_S` and no pruner is asked.

        A database that is open and does not answer is not waited for, and not asked again before `should_stop` is.
        """
        if self.reason is None and time.monotonic() - self._looked >= LOOK_EVERY_S:
            reason = self._end_from_here()
            if reason is None and not self._is_silent:
                self._is_silent = True
                with self._database_may_be_away():
                    _ = self._id
                with suppress(DatabaseAway), hasty(self._storage):
                    reason = self._end_from_study(is_judged=False)
                    self._is_silent = False
            self._looked = time.monotonic()
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

    def _end_from_here(self) -> str | None:
        if stop_here is not None:
            return stop_here
        is_late = time.monotonic() - self._started > (self._settings.trial_timeout_s or math.inf)
        return "trial_timeout" if is_late else None

    def _end_from_study(self, is_judged: bool) -> str | None:
        """Return what the study says; the pruner is asked only where the trial `is_judged`: once a report."""
        trial = self._storage.get_trial(self._id)
        if trial.state.is_finished():
            return "given up"  # by a sweep that thought this process dead
        stop: Any = trial.user_attrs.get(STOP)
        if stop is not None:
            return str(stop)
        return "pruned" if is_judged and self._reports and self._pruner.prune(self._study, trial) else None

    def _note(self, name: str, value: Any) -> None:
        with suppress(UpdateFinishedTrialError), self._database_may_be_away():
            self._storage.set_trial_user_attr(self._id, name, value)

    @contextmanager
    def _database_may_be_away(self) -> Iterator[None]:
        try:
            yield
            self._is_away = False
        except DatabaseAway as error:
            if not self._is_away:
                log.warning("%s; the trial goes on without", error.fact)
            self._is_away = True


# The study that this process has open; a worker's jobs are all of one.
_opened: dict[Address, Study] = {}


def _open(address: Address, wait_s: float) -> Study:
    """Open a study once a process; a database that cannot be reached is waited for so long."""
    if address not in _opened:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # It is never asked: any sampler will do, and this one needs nothing.
        study = optuna.load_study(
            study_name=resolved(address).study,
            storage=open_storage(address, wait_s),
            sampler=optuna.samplers.RandomSampler(),
        )
        _opened.clear()
        _opened[address] = study
    return _opened[address]
