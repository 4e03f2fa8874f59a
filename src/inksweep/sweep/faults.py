"""What is the machine's fault and no trial's: a full disk, a file system that is gone, a device that others fill.

A trial that ends by such a fault does not count and is repeated; a sweep that meets one ends in one line.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from inksweep.errors import InputError, explain, last_line
from inksweep.sweep.study.database import DatabaseAway


@dataclass(frozen=True)
class Fault:
    """What the machine did not give, in a line, and what to do about it."""

    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.text}; {self.remedy}"


class MachineFault(InputError):
    """The machine does not give what the sweep needs; the message says what to do."""

    def __init__(self, fault: Fault):
        super().__init__(f"{fault}; the same command goes on")
        self.fault = fault


ROOM = "make room"
REACHABLE = "see that its file system can be reached"
LIMIT = "raise the limit (ulimit -f)"
FREE_DEVICE = "free the device, or choose another with hydra.launcher.devices"
SHARED_MEMORY = "give the container more shared memory (docker run --shm-size), or use fewer workers that load data"
# Errors of files. Of sockets too, but only one that names a file is taken for a file's.
OF_A_FILE = {errno.EIO: REACHABLE, errno.ESTALE: REACHABLE, errno.ENOTCONN: REACHABLE, errno.EREMOTEIO: REACHABLE}
OF_THE_DISK = {errno.ENOSPC: ROOM, errno.EDQUOT: ROOM, errno.EFBIG: LIMIT}
# The same where only words are left, as in what libraries raise that write files themselves.
WORDS = {
    os.strerror(errno.ENOSPC): ROOM,
    os.strerror(errno.EDQUOT): ROOM,
    os.strerror(errno.ESTALE): REACHABLE,
    "disk is full": ROOM,
    "errno = 28": ROOM,  # HDF5
    "PytorchStreamWriter failed writing": ROOM,
    "out of shared memory": SHARED_MEMORY,
    "devices are busy or unavailable": FREE_DEVICE,
    # Where PyTorch's own memory is at its end it raises something else, with numbers: others leave no room to begin.
    "CUDA error: out of memory": FREE_DEVICE,
}
UNITS = {"KiB": 2.0**-20, "MiB": 2.0**-10, "GiB": 1.0}
# The attribute of an exception that keeps what its causes tell: they do not travel from a trial's process to the sweep.
ATTRIBUTE = "_inksweep_fault"


def fault_of(error: BaseException | None) -> Fault | None:
    """Return what of the machine's an exception tells; None: it is the trial's own."""
    return next((known for link in _chain(error) if (known := _of_one(link)) is not None), None)


def _of_one(link: BaseException) -> Fault | None:
    """Return what an exception itself tells, without its causes."""
    noted = getattr(link, ATTRIBUTE, None)
    if isinstance(noted, tuple):
        return Fault(*noted)
    if isinstance(link, MachineFault):
        return link.fault
    if isinstance(link, DatabaseAway):
        return Fault(link.fact, "see that it runs and can be reached")
    if isinstance(link, OSError) and (known := _of_a_file(link)) is not None:
        return known
    text = str(link)
    if isinstance(link, Exception) and (word := next((word for word in WORDS if word in text), None)):
        line = next(line for line in text.splitlines() if word in line)
        return Fault(line.strip()[:200], WORDS[word])
    return crowded_out(text)


def note_on(error: BaseException) -> None:
    """Note on an exception what it tells of the machine, so that it is known also where its causes are not."""
    known = fault_of(error)
    if known is not None:
        with suppress(AttributeError):  # one with slots
            setattr(error, ATTRIBUTE, (known.text, known.remedy))


def _of_a_file(error: OSError) -> Fault | None:
    remedy = OF_THE_DISK.get(error.errno or 0)
    if remedy is None and error.filename is not None:
        remedy = OF_A_FILE.get(error.errno or 0)
    if remedy is None:
        return None
    name = error.filename2 or error.filename  # of a copy the second
    place = "" if name is None else f"{name}: "
    return Fault(f"{place}{error.strerror}", remedy)


def crowded_out(text: str) -> Fault | None:
    """Return the fault of others in what PyTorch says of a GPU whose memory is full; None: the trial is too big for it.

    Without the others there would have been room for what this process had, and for what it asked for.
    """
    if "out of memory" not in text:
        return None
    total = _size(r"total capacity of", text)
    asked, own = _size(r"Tried to allocate", text), _size(r"this process has", text)
    free = _size(r"of which", text)
    if total is None or asked is None or free is None:
        return None
    if own is None or own > total:  # a container may not see it
        own = (_size(r"allocated memory", text) or 0.0) + (_size(r"by PyTorch, and", text) or 0.0)
    others = total - free - own
    if own + asked > 0.95 * total or others < 0.05 * total:
        return None
    holders = ", ".join(re.findall(r"Process (\d+) has", text))
    whose = f"process {holders}" if holders else "other processes"
    return Fault(f"CUDA out of memory: {whose} held {others:.1f} of {total:.1f} GiB", FREE_DEVICE)


def _size(words: str, text: str) -> float | None:
    found = re.search(rf"{words} ([\d.]+) (KiB|MiB|GiB)", text)
    return None if found is None else float(found[1]) * UNITS[found[2]]


def of_folder(folder: Path) -> Fault | None:
    """Return why nothing can be written into a folder; None: it can."""
    probe = folder / f".probe.{secrets.token_hex(4)}"
    try:
        try:
            with probe.open("xb", buffering=0) as file:
                file.write(bytes(2**16))
                os.fsync(file.fileno())
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        error.filename = str(folder)
        return _of_a_file(error)
    return None


@contextmanager
def in_one_line(root: Path) -> Iterator[None]:
    """Raise as MachineFault what ends a sweep and is the machine's fault; all else as it is.

    Of several such errors, one after the other, the first one counts: what tidies up on a full disk fails too.
    A file of the sweep's own in its folder `root` that cannot be used is an InputError; those of trials lie deeper.
    """
    try:
        yield
    except Exception as error:
        # Also of those that a library has suppressed, as shutil does.
        known = [fault for link in _chain(error, suppressed=True) if (fault := _of_one(link)) is not None]
        if isinstance(error, InputError) and not isinstance(error, MachineFault):
            raise
        if not known:
            if isinstance(error, OSError) and error.filename is not None and _is_of_the_sweep(error.filename, root):
                raise InputError(explain(error)) from error
            raise
        named = [fault for fault in known if "/" in fault.text]  # the first may not say which file it was
        raise MachineFault((named or known)[-1]) from error


def _is_of_the_sweep(name: object, root: Path) -> bool:
    path = Path(str(name)).absolute()
    return path == root or path in root.parents or path.parent in (root, root / ".owners")


def has_died(error: BaseException | None) -> bool:
    """Whether somebody ended a process that a trial had started: the same kind of end as that of its own."""
    for link in _chain(error):
        names = {kind.__name__ for kind in type(link).__mro__}
        was_killed = getattr(link, "returncode", None) == -9  # of a subprocess
        if was_killed or names & {"BrokenProcessPool", "TerminatedWorkerError"}:
            return True
        if re.search(r"DataLoader worker .* (is killed by signal: (Killed|Terminated)|exited unexpectedly)", str(link)):
            return True
    return False


class OutOfMemoryKills:
    """How often the kernel has ended a process for lack of memory, since the last look."""

    def __init__(self) -> None:
        self._seen = _kills()

    def look(self) -> int | None:
        """Return how many processes it has ended since; None where that is not known."""
        before, self._seen = self._seen, _kills()
        return None if before is None or self._seen is None else max(0, self._seen - before)


def _kills() -> int | None:
    """Return the kernel's own count: of this machine, whichever control group was short of memory."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return None


def of_a_kill(how: str, kills: int | None) -> str:
    """Return what a process that died by SIGKILL may have died of.

    Args:
        how: how it ended, in words.
        kills: how many processes the kernel has ended for lack of memory meanwhile; None: not known.
    """
    how = last_line(how)
    less = "fewer hydra.sweeper.n_jobs, or a smaller model or batch, need less"
    if any(word in how for word in ("OUT_OF_MEMORY", "OutOfMemoryError")):  # Slurm, Ray
        return f"{how}: {less}"
    if "SIGKILL" not in how or kills == 0:
        return how
    why = "perhaps" if kills is None else f"most likely (the kernel ended {kills} for it)"
    return f"{how}, {why} for lack of memory: {less}"


def _chain(error: BaseException | None, *, suppressed: bool = False) -> Iterator[BaseException]:
    link = error
    for _ in range(20):  # an error may be its own cause
        if link is None:
            return
        yield link
        context = None if link.__suppress_context__ and not suppressed else link.__context__
        link = link.__cause__ or context
