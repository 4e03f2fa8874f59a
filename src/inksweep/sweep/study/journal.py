"""The file that holds a study: Optuna's journal, under a lock that the kernel frees when its holder dies."""

import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

# Private: what a lock must be, and which entries a journal has. Without the first a lock could not be handed to Optuna;
# without the second every entry, also each parameter and report, would wait for the disk.
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation

from inksweep.errors import InputError
from inksweep.files import flush, has_locks

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

# Entries that need not be on disk at once: what follows and matters (who runs a trial, how it ended) waits for both. A
# trial that nobody ran yet may be lost with the power: its point is queued or suggested again.
PASSING = (
    JournalOperation.CREATE_TRIAL,
    JournalOperation.SET_TRIAL_PARAM,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
)


# What may stand around an entry, or instead of one: blanks, line ends of Windows, a byte order mark. Not zeros: before
# other entries they stand where some were lost.
HARMLESS = b" \t\r\n\xef\xbb\xbf"


class KernelLock(BaseJournalFileLock):
    """A lock on `<journal>.lock`, or one of Optuna's where the file system has none.

    Optuna's outlives a killed holder and then stalls everyone for 30 s.
    """

    def __init__(self, journal: Path):
        self._journal = journal

    @cached_property
    def _lock(self) -> "Flock | FileLock | JournalFileOpenLock":
        if not has_locks(self._journal.parent):
            return JournalFileOpenLock(f"{self._journal}.open")
        path = f"{self._journal}.lock"
        return FileLock(path, poll_interval=0.001) if fcntl is None else Flock(path)

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        return True

    def release(self) -> None:
        """Let go of it."""
        self._lock.release()


class Flock:
    """The kernel's lock on the file `path`, without more: a trial takes it a dozen times.

    FileLock, which also keeps threads and forks of a process apart, takes 140 microseconds instead of 2.
    """

    def __init__(self, path: str):
        self._path, self._file = path, -1

    def acquire(self) -> None:
        """Wait for the lock."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def release(self) -> None:
        """Let go of it, also where a process that was just forked has the file open."""
        file, self._file = self._file, -1
        try:
            fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)


class PlainFile(JournalFileBackend):
    """Optuna's journal file, read so that what harms nobody is passed over.

    That is a blank line, line ends of Windows, a byte order mark.
    """

    def __init__(self, path: Path, lock: BaseJournalFileLock | None = None):
        super().__init__(str(path), lock_obj=lock)
        self._path = path
        # Entries read -> where in the file the next one is looked for.
        self._ends = {0: 0}

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        """Yield the entries from this number on; what is being written meanwhile waits for the next call.

        Raises:
            ValueError: a line that is no entry, and is not the last one.
        """
        number = log_number_from if log_number_from in self._ends else 0
        end = self._ends[number]
        wrong: ValueError | None = None
        with self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(end)
            for line in file:
                end += len(line)
                if end > size or not line.endswith(b"\n"):
                    return
                if wrong is not None:
                    raise wrong
                if not (text := line.strip(HARMLESS)):
                    continue
                try:
                    entry = json.loads(text)
                except ValueError as error:
                    wrong = error
                    continue
                number += 1
                self._ends[number] = end
                if number > log_number_from:
                    yield entry


class JournalFile(PlainFile):
    """That file, to be written: a writer first mends what another left torn, and waits for the disk less often.

    A worker may be killed while it writes; the line after a torn one would be lost with it, and the journal unreadable.
    """

    def __init__(self, path: Path, lock: KernelLock):
        super().__init__(path, lock)
        self._kernel_lock = lock

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add `logs`, a line each; all is on disk when one returns that is not `PASSING`.

        Raises:
            OSError: it cannot be written, as on a full disk; then the file is as it was.
        """
        lines = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs).encode()
        self._kernel_lock.acquire()
        try:
            with self._path.open("a+b", buffering=0) as file:
                _mend_end(file, self._path)
                size = file.seek(0, os.SEEK_END)
                try:
                    _write(file, lines)
                    if not all(entry["op_code"] in PASSING for entry in logs):
                        flush(file)
                except OSError as error:
                    with suppress(OSError):
                        file.truncate(size)
                    raise OSError(error.errno, error.strerror, str(self._path)) from error
        finally:
            self._kernel_lock.release()


def open_journal(path: Path) -> JournalStorage:
    """Open or create the journal at `path`; a last line that a crash left torn is cut off.

    Raises:
        InputError: the file is no journal, or is damaged in its middle.
    """
    lock, lock_file = KernelLock(path), path.with_name(f"{path.name}.lock")
    is_new = not lock_file.exists()
    lock.acquire()
    try:
        if path.exists():
            with path.open("a+b", buffering=0) as file:
                _mend_end(file, path)
            _check_lines(path)
    except InputError:
        if is_new:
            lock_file.unlink(missing_ok=True)
        raise
    finally:
        lock.release()
    try:
        return JournalStorage(JournalFile(path, lock))
    except (KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: entries do not fit together ({error!r}); restore or remove it") from error


def _write(file: FileIO, content: bytes) -> None:
    """Write all of it: a disk that gets full takes a part, and raises at the next."""
    while content:
        content = content[file.write(content) :]


def _mend_end(file: FileIO, path: Path) -> None:
    """Cut off what stands after the last line end, or end it if it is a whole entry; the lock must be held."""
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    content = file.read()
    whole = content.rfind(b"\n") + 1
    last = content[whole:].rstrip(b"\0")  # a power cut may leave zeros where the file was about to grow
    if _is_entry(last.strip(HARMLESS)):  # only its line end is missing
        file.truncate(whole + len(last))
        _write(file, b"\n")
        return
    log.warning("%s: cut a torn last line of %d bytes", path, size - whole)
    file.truncate(whole)


def _is_entry(text: bytes) -> bool:
    try:
        entry = json.loads(text)
    except ValueError:
        return False
    return isinstance(entry, dict) and "op_code" in entry


def _check_lines(path: Path) -> None:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip(HARMLESS)
            if text and not _is_entry(text):
                raise InputError(f"{path}: line {number} is no entry of a study's journal; restore or remove the file")


_CREATES = re.compile(rb'"op_code": ?%d\b' % JournalOperation.CREATE_STUDY)
_DELETES = re.compile(rb'"op_code": ?%d\b' % JournalOperation.DELETE_STUDY)


def study_names(path: Path) -> list[str]:
    """Return the names of the studies in a journal, without replaying it; none of a file that is no journal."""
    names: list[str] = []
    deleted: list[int] = []
    with suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
        for line in file:
            if _CREATES.search(line):
                names.append(str(json.loads(line)["study_name"]))
            elif _DELETES.search(line):
                deleted.append(int(json.loads(line)["study_id"]))
    return [name for number, name in enumerate(names) if number not in deleted]
