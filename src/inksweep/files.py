"""Files and folders that other processes read meanwhile: written and swapped as a whole, locked, read."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from inksweep.errors import InputError

# How the names of folders begin that `put_folder` swaps in, and how that of the old folder ends meanwhile.
BUILDING = (".winner-", ".card-")
ASIDE = ".old"


@contextmanager
def held(lock: Path, refusal: str) -> Iterator[None]:
    """Hold the file `lock` during the block; the kernel lets go of it for a process that dies.

    Raises:
        InputError: another process holds it; `refusal` is the message.
    """
    from filelock import FileLock, Timeout

    lock.parent.mkdir(parents=True, exist_ok=True)
    kernel_lock = FileLock(lock)
    try:
        kernel_lock.acquire(timeout=0.1)  # `is_held` of another process holds it for an instant
    except Timeout:
        raise InputError(refusal) from None
    try:
        yield
    finally:
        kernel_lock.release()


def is_held(lock: Path) -> bool | None:
    """Whether a living process of this machine holds the file `lock`; None if that cannot be told.

    Nothing is written: the folder may be read-only.
    """
    try:
        with lock.open("rb") as file:
            return _is_locked(file)
    except OSError:
        return None


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
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        # The error of a full disk does not name the file.
        raise OSError(error.errno, error.strerror, str(path)) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object; InputError names one that is missing, broken or holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no keys")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    return found
