"""The file that holds a study: Optuna's journal, under a lock that the kernel frees when its holder dies."""

import json
import logging
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from inksweep.errors import InputError

log = logging.getLogger(__name__)


class KernelLock(BaseJournalFileLock):
    """A lock on `<journal>.lock`. Optuna's own outlives a killed holder and then stalls everyone for 30 s."""

    def __init__(self, journal: Path):
        self._lock = FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire(poll_interval=0.001)  # its holder needs a few milliseconds
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()


class JournalFile(JournalFileBackend):
    """Optuna's journal file, except that what a writer left torn is cut off before the next one adds its lines.

    A worker may be killed while it writes; the line after a torn one would be lost with it, and the journal unreadable.
    """

    def __init__(self, path: Path, lock: KernelLock):
        super().__init__(str(path), lock_obj=lock)
        self._path, self._kernel_lock = path, lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add `logs`, a line each."""
        self._kernel_lock.acquire()
        try:
            cut_torn_line(self._path)
            super().append_logs(logs)  # takes the lock once more: it may
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
            cut_torn_line(path)
            _check_lines(path)
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFile(path, lock))
    except (KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: entries do not fit together ({error!r}); restore or remove it") from error


def cut_torn_line(path: Path) -> None:
    """Cut off what stands after the last line end; the lock must be held."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        if size == 0 or file.seek(size - 1) is None or file.read(1) == b"\n":
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
