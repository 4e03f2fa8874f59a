"""The file that holds a study: Optuna's journal, under a lock that the kernel frees when its holder dies."""

import json
import logging
from pathlib import Path

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
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()


def open_journal(path: Path) -> JournalStorage:
    """Open or create the journal at `path`; a last line that a crash left torn is cut off.

    Raises:
        InputError: the file is no journal, or is damaged in its middle.
    """
    lock = KernelLock(path)
    lock.acquire()
    try:
        if path.exists():
            _cut_torn_line(path)
            _check_lines(path)
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except (KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: entries do not fit together ({error!r}); restore or remove it") from error


def _cut_torn_line(path: Path) -> None:
    with path.open("r+b") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            log.warning("%s: cut a torn last line of %d bytes", path, len(content) - whole)
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
