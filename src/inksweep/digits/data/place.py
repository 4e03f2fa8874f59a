"""A folder that raw and prepared files are written into: its lock, its staging folder, and what may go wrong.

All that is fetched or made goes into a staging folder first and is moved into place when it is known to be good, so
that neither a second process nor a kill half-way leaves something behind that looks complete.
"""

import errno
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from inksweep.errors import InputError
from inksweep.files import held, is_held

log = logging.getLogger(__name__)

# A disk or quota that is full; numpy gives no number, only the count of what it could write.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, None)


class Unwritable(Exception):
    """Nothing may be written in this folder."""


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn what goes wrong with files that are written in `root` into errors that name it.

    Raises:
        InputError: the disk is full.
        Unwritable: it may not be written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or f"{error}; is the disk full?"
        if error.errno not in FULL:
            raise Unwritable(reason) from error
        advice = "make room, or name another folder (data.root, INKSWEEP_CACHE)"
        raise InputError(f"{root}: not all could be written ({reason}); {advice}") from error


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of a folder, made where it is missing; the kernel frees it if this process dies.

    Raises:
        Unwritable: it may not be written.
    """
    lock = root / ".lock"
    with ExitStack() as stack:
        with writing(root):
            if is_held(lock):
                log.info("another process is preparing data in %s: waiting for it", root)
            stack.enter_context(held(lock, None))
        yield


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """Give a folder beside the final place, so that moving out of it is a rename.

    Raises:
        Unwritable: it may not be written.
    """
    with writing(root):
        folder = Path(tempfile.mkdtemp(dir=root, prefix=".staging-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def private(root: Path) -> None:
    """Make a folder that nobody else may write: one in the folder for temporary files may have been put there for us.

    Raises:
        Unwritable: it cannot be made, or is another user's.
    """
    with writing(root):
        root.mkdir(mode=0o700, exist_ok=True)
        status = root.lstat()
    is_ours = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
    if not is_ours or (hasattr(os, "getuid") and status.st_uid != os.getuid()):
        raise Unwritable("it is another user's")
