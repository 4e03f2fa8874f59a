"""Which process runs a trial, and whether it is alive: several may run the trials of one study."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# Private, as all that Optuna has of heartbeats outside Study.optimize. Without it, and `_get_stale_trial_ids`, a
# process that vanished with its machine would hold its trials for ever.
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from inksweep.files import held, is_held
from inksweep.paths import SweepDir
from inksweep.sweep.study.database import SILENT_BEATS, seconds_since_away
from inksweep.sweep.study.notes import OWNER
from inksweep.sweep.study.storage import Address


class Owner:
    """This process, as one that runs trials of a study.

    On a machine that shares the sweep directory a dead process is known at once, by a lock that the kernel has freed;
    any other by its heartbeat in the database.

    Args:
        study: whose trials.
        sweep: where locks lie.
        address: of the study.
    """

    def __init__(self, study: Study, sweep: SweepDir, address: Address):
        self.id = secrets.token_hex(8)
        # Of the study and its trials, the storage and the ids are private, and have no public names. Heartbeats are
        # written and looked for by them: without them a process on another machine that died would hold its trials.
        self._study, self._sweep, self._address = study, sweep, address
        self._host = socket.gethostname()
        # Moves the sampler's seed, where another process with the same seed would suggest the same points.
        self.salt = 0 if address.exclusive else int(self.id[:7], 16)
        self._mine: set[int] = set()

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Be seen to live during the block.

        If it fails, the file of the lock stays, held by nobody: trials that could not be told of are then lost at once.
        """
        lock, over = self._sweep.owner_lock(self.id), threading.Event()
        is_ordered = True
        try:
            with held(lock, f"{lock}: is taken"):
                if isinstance(self._study._storage, BaseHeartbeat):
                    # A thread, as a job may run in the sweep's own process, and as long as it likes.
                    threading.Thread(target=self._beat, args=(over,), name="heartbeat", daemon=True).start()
                yield
        except Exception:
            is_ordered = False
            raise
        finally:
            over.set()
            if is_ordered:
                with suppress(OSError):
                    lock.unlink(missing_ok=True)

    def name(self, slot: int) -> dict[str, Any]:
        """Return the note for a trial that this process runs in `slot`."""
        folder = os.path.abspath(self._sweep.root)  # noqa: PTH100  as the user knows it: links in it stay
        return {"id": self.id, "host": self._host, "folder": folder, "slot": slot}

    def begins(self, trial: Trial) -> None:
        """Answer for a trial from now on."""
        if isinstance(self._study._storage, BaseHeartbeat):
            self._study._storage.record_heartbeat(trial._trial_id)
            self._mine.add(trial._trial_id)

    def ends(self, trial: Trial) -> None:
        """Answer for a trial no more."""
        self._mine.discard(trial._trial_id)

    def _beat(self, over: threading.Event) -> None:
        storage: Any = self._study._storage
        while not over.wait(self._address.heartbeat_s / 2):
            for trial in list(self._mine):
                # It may just have ended; and a database that is away for a moment may come back.
                with suppress(Exception):
                    storage.record_heartbeat(trial)

    def owns(self, trial: FrozenTrial) -> bool:
        """Whether this process runs `trial`."""
        return bool(trial.user_attrs.get(OWNER, {}).get("id") == self.id)

    def orphans(self) -> list[FrozenTrial]:
        """Return the trials that are running for the study, but that nobody runs."""
        running = self._study.get_trials(deepcopy=False, states=[TrialState.RUNNING])
        others = [trial for trial in running if not self.owns(trial)]
        if self._address.exclusive or not others:
            return others
        storage: Any = self._study._storage
        silent = set(storage._get_stale_trial_ids(self._study._study_id))
        back = seconds_since_away(storage)
        if back is not None and back < SILENT_BEATS * self._address.heartbeat_s:
            silent = set()  # the others could not beat either while the database was away
        return [trial for trial in others if trial._trial_id in silent or self._is_dead(trial)]

    def _is_dead(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        if owner is None:
            # Its process has asked for it and not yet noted itself as its owner, or died before it could.
            assert trial.datetime_start is not None
            return time.time() - trial.datetime_start.timestamp() > SILENT_BEATS * self._address.heartbeat_s
        return _is_free(self._sweep.owner_lock(str(owner["id"])))


def _is_free(lock: Path) -> bool:
    """Whether the process that held `lock` is gone; False also for one whose lock lies on another machine."""
    return is_held(lock) is False  # the file stays: it tells the same of the other trials of that process
