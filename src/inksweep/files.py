"""Files and folders that other processes read meanwhile: written and swapped as a whole, locked, read."""

import errno
import json
import logging
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import IO, Any

from inksweep.errors import InputError

log = logging.getLogger(__name__)

# How the names of folders begin that `put_folder` swaps in, and how that of the old folder ends meanwhile.
BUILDING = (".winner-", ".card-")
ASIDE = ".old"


@contextmanager
def held(lock: Path, refusal: str | None, patience_s: float = 0.1) -> Iterator[None]:
    """Hold the file `lock` during the block; the kernel lets go of it for a process that dies.

    On a file system without locks the block runs all the same, and a warning says what is then not kept apart.

    Args:
        lock: made if it is not there, with its folder.
        refusal: the message where another process holds it; None: it is waited for as long as it takes.
        patience_s: how long to wait before that is said; `is_held` of another process holds it for an instant.

    Raises:
        InputError: another process holds it.
    """
    from filelock import FileLock, Timeout

    made = [path for path in (lock, *lock.parents) if not path.exists()]
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        if not has_locks(lock.parent):
            lock.touch()
            _warn_of_no_locks(lock.parent)
            yield
            return
        kernel_lock = FileLock(lock)
        try:
            kernel_lock.acquire(timeout=-1 if refusal is None else patience_s)
        except Timeout:
            made = []
            raise InputError(str(refusal)) from None
        try:
            yield
        finally:
            kernel_lock.release()
    except (InputError, OSError):  # a start that is refused leaves nothing behind
        with suppress(OSError):  # a folder that holds something by now
            for path in made:
                path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        raise


def has_locks(folder: Path) -> bool:
    """Whether the file system of `folder` has locks: NFS without its lock service and some others have none.

    They say so in many ways (ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL, EACCES), some of which also mean that a file is
    locked. So it is tried on a file that is nobody else's.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  what fails below is something else
    except OSError:  # what is wrong with the folder is said by what is written there
        return True
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


# Folders are warned of once a process, by the file system that they are on.
_warned: set[int] = set()


def _warn_of_no_locks(folder: Path) -> None:
    device = folder.stat().st_dev
    if device not in _warned:
        _warned.add(device)
        log.warning(
            "%s: its file system has no locks; one process at a time is safe, and nothing stops a second one that "
            "writes the same run, sweep or data set",
            folder,
        )


def is_held(lock: Path) -> bool | None:
    """Whether a living process of this machine holds the file `lock`; None if that cannot be told.

    Nothing is written: the folder may be read-only.
    """
    try:
        with lock.open("rb") as file:
            return _is_locked(file)
    except OSError:
        return None


def may_be_held(lock: Path) -> bool:
    """Whether a living process holds the file `lock`, which is there, or that cannot be told."""
    return is_held(lock) is not False and lock.exists()


def _is_locked(file: IO[bytes]) -> bool | None:
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    try:
        # A shared lock: others that look have one too, and only a holder's exclusive lock is in its way.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def new_folder(parent: Path, prefix: str) -> Path:
    """Make a folder in `parent` whose name begins with `prefix` and is new; who may read it, the umask says."""
    folder = parent / f"{prefix}{secrets.token_hex(4)}"
    folder.mkdir()
    return folder


def copy_folder(source: Path, folder: Path) -> None:
    """Copy what is in `source` into `folder`, which is there, with times and permissions where these can be set."""
    for path in sorted(source.rglob("*")):
        copy = folder / path.relative_to(source)
        if path.is_dir() and not path.is_symlink():
            copy.mkdir()
            continue
        shutil.copyfile(path, copy, follow_symlinks=False)
        with suppress(PermissionError):  # a file system whose files all have the same owner and permissions
            shutil.copystat(path, copy, follow_symlinks=False)


def flush(file: IO[Any]) -> None:
    """Return when what was written to `file` is on the disk; some file systems cannot say when, and need no wait."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise


def put_folder(new: Path, old: Path) -> None:
    """Put the folder `new` in the place of `old`, which may exist.

    A reader sees the old one, for an instant none, or the new one. If it fails, `old` is where it was; for a process
    that is killed in that instant, `recover` puts it back.

    Args:
        new: hidden, beside `old`; its name begins with one of `BUILDING`.
        old: where it is to be.
    """
    if not old.exists():
        new.replace(old)
        return
    aside = new.with_name(f"{new.name}{ASIDE}")
    old.replace(aside)
    try:
        new.replace(old)
    except BaseException:
        aside.replace(old)
        raise
    # Renamed before it is removed, so that a folder whose name ends with `ASIDE` is always whole.
    doomed = new.with_name(f"{new.name}.gone")
    with suppress(OSError):
        aside.replace(doomed)
        shutil.rmtree(doomed)


def recover(folder: Path) -> None:
    """Put `folder` back if `put_folder` was killed after it had moved it aside and before the new one was in its place.

    Call it before the leftovers of a killed process are cleared away, and under the lock that guards the folder's
    place (for a winner, `SweepDir.winner_lock`): another process may be in the middle of `put_folder`. Does nothing if
    `folder` is there, or nothing of it is left.

    Args:
        folder: the `old` of `put_folder`: a winner, or the card of a run. Looked for are its hidden siblings
            `.winner-*.old` and `.card-*.old`, which are whole.
    """
    asides = [aside for name in BUILDING for aside in folder.parent.glob(f"{name}*{ASIDE}")]
    if asides and not folder.exists():
        max(asides, key=lambda aside: aside.stat().st_ctime_ns).replace(folder)  # renamed last


@contextmanager
def replacing(path: Path, mode: str = "w", *, durable: bool = True) -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; once the block ends well, fsync it and put it in the place of `path`.

    A reader sees the old file or the new one, never a part. If the block raises, `path` is untouched. Without `durable`
    there is no fsync: for what can be made again after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open(mode.replace("w", "x"), encoding=None if "b" in mode else "utf-8") as file:
            yield file
            if durable:
                flush(file)
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # on a read-only file system also a file that is not there cannot be removed
            temporary.unlink(missing_ok=True)
        # The error of a full disk does not name the file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: Mapping[str, Any], *, durable: bool = True) -> None:
    """Write a JSON file, as `json_text` writes it, in the place of `path`; see `replacing`."""
    with replacing(path, durable=durable) as file:
        file.write(json_text(content))


def json_text(value: Any) -> str:
    """Return `value`, made plain by `as_json`, as the text of a JSON file."""
    return json.dumps(as_json(value), indent=2, allow_nan=False) + "\n"


def as_json(value: Any) -> Any:
    """Return what JSON can hold of any value: it has no NaN, no infinity, no keys but text, and few types.

    Numbers that are not finite become null. Scalars of NumPy, torch and the like, and arrays of them, become numbers
    and lists; what else JSON does not have, such as a path, a date or bytes, becomes its text.
    """
    if isinstance(value, Enum):
        return as_json(value.value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str | int):  # a subclass may have a JSON of its own
        return str(value) if isinstance(value, str) else int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_as_key(key): as_json(item) for key, item in value.items()}
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, Sequence | Set):
        return [as_json(item) for item in value]
    return _as_numbers(value)


def _as_key(key: Any) -> str:
    """Return a key as JSON text: of a tuple its parts, a number or a truth value as JSON writes it."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, tuple):
        return ",".join(map(_as_key, key))
    plain = as_json(key)
    return plain if isinstance(plain, str) else str(key) if plain is None and key is not None else json.dumps(plain)


def _as_numbers(value: Any) -> Any:
    """Return a scalar or an array of a numeric library as numbers and lists; of any other value its text."""
    for plain_of in ("tolist", "item", "__float__"):
        with suppress(Exception):  # a type may only have the name
            plain = getattr(value, plain_of)()
            if isinstance(plain, bool | int | float | str | list):
                return as_json(plain)
    return str(value)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; InputError names one that is missing, broken or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no keys")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return found
