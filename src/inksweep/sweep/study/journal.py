"""The file that holds a study: Optuna's journal, under a lock that the kernel frees when its holder dies."""

import json
import logging
import os
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

# Private: what a lock must be, and which entries a journal has. Without the first a lock could not be handed to Optuna;
# without the second every entry, also each parameter and report, would wait for the disk.
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation

from inksweep.errors import InputError
from inksweep.files import flush, has_locks

log = logging.getLogger(__name__)

# Entries that need not be on disk at once: what follows and matters (who runs a trial, how it ended) waits for both.
PASSING = (JournalOperation.SET_TRIAL_PARAM, JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE)


class KernelLock(BaseJournalFileLock):
    """A lock on `<journal>.lock`, or one of Optuna's where the file system has none.

    Optuna's outlives a killed holder and then stalls everyone for 30 s.
    """

    def __init__(self, journal: Path):
        self._journal = journal

    @cached_property
    def _lock(self) -> FileLock | JournalFileOpenLock:
        if has_locks(self._journal.parent):
            return FileLock(f"{self._journal}.lock")
        return JournalFileOpenLock(f"{self._journal}.open")

    def acquire(self) -> bool:
        """Wait for the lock."""
        if isinstance(self._lock, JournalFileOpenLock):
            return self._lock.acquire()
        self._lock.acquire(poll_interval=0.001)  # its holder needs a few milliseconds
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()


class JournalFile(JournalFileBackend):
    """Optuna's journal file, but a writer first cuts off what another left torn, and waits for the disk less often.

    A worker may be killed while it writes; the line after a torn one would be lost with it, and the journal unreadable.
    """

    def __init__(self, path: Path, lock: KernelLock):
        super().__init__(str(path), lock_obj=lock)
        self._path, self._kernel_lock = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add `logs`, a line each; all is on disk when one returns that is not `PASSING`."""
        lines = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs).encode()
        self._kernel_lock.acquire()
        try:
            with self._path.open("a+b") as file:
                _cut_torn_line(file, self._path)
                file.write(lines)
                file.flush()
                if not all(entry["op_code"] in PASSING for entry in logs):
                    flush(file)
        finally:
            self._kernel_lock.release()


def open_journal(path: Path) -> JournalStorage:
    """Open or create the journal at `path`; a last line that a crash left torn is cut off.

    Raises:
        InputError: the file is no journal, or is damaged in its middle.
    """
    lock = KernelLock(path)
    lock.acquire()
    try:
        if path.exists():
            with path.open("a+b") as file:
                _cut_torn_line(file, path)
            _check_lines(path)
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFile(path, lock))
    except (KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: entries do not fit together ({error!r}); restore or remove it") from error


def _cut_torn_line(file: BinaryIO, path: Path) -> None:
    """Cut off what stands after the last line end; the lock must be held."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    log.warning("%s: cut a torn last line of %d bytes", path, size - whole)
    file.truncate(whole)


def _check_lines(path: Path) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry = json.loads(line)
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or "op_code" not in entry:
                raise InputError(f"{path}: line {number} is no entry of a study's journal; restore or remove the file")
