"""BOTH SIDES. What a trial starts: processes that end with it, and that can be ended by it.

A worker is deaf to the signals that end programs, as the sweep ends it; what a trial starts must not be. And what a
trial leaves running is found, wherever it has put itself, as Linux hands an orphan to the next ancestor that adopts.
"""

import ctypes
import os
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psutil import Process

# Of <sys/prctl.h>.
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36
# They end a program, and are sent to all processes of a job: by a terminal, a scheduler, `timeout`.
ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
# In the command lines of processes that libraries keep for their next use, in the next trial for example. The trackers
# end by themselves after the last process that they serve, and then remove what it has left in shared memory.
TRACKERS = ("multiprocessing.resource_tracker", "loky.backend.resource_tracker")
KEPT = (*TRACKERS, "multiprocessing.forkserver", "loky.backend.popen_loky", "torch/_inductor/compile_worker")

# Handlers that forked children do not keep.
_kept_from_children: list[Callable[[int, Any], None]] = []
# The signals that a thread had blocked before it forked.
_blocked = threading.local()


def be_deaf(signals: Iterable[int] = ENDING) -> None:
    """Take no notice of `signals` in this process; its children have the default handlers, however they are started.

    Ignored signals stay ignored in programs that are started, which then cannot be terminated. A handler that does
    nothing is dropped when another program is loaded, and taken out of forked children here.
    """
    keep_from_children(_ignore)
    for number in signals:
        signal.signal(number, _ignore)


def keep_from_children(handler: Callable[[int, Any], None]) -> None:
    """Let forked children have the default handlers where this process has `handler` for one of ENDING.

    A process that a trial forks would else take what ends it for a word to the sweep, and go on.
    """
    if not _kept_from_children and hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_hear)
    if handler not in _kept_from_children:
        _kept_from_children.append(handler)


def have_default_signals() -> None:
    """Let what this process starts have default signals, whatever a launcher has set or blocked here for itself."""
    for number in ENDING:
        handler = signal.getsignal(number)
        if callable(handler) and handler is not signal.default_int_handler:
            keep_from_children(handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _ignore(number: int, frame: object) -> None:
    """Do nothing."""


def _block() -> None:
    # A signal that comes before the child has its handlers waits for them.
    _blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _blocked.before)


def _hear() -> None:
    for number in ENDING:
        if signal.getsignal(number) in _kept_from_children:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    _unblock()


def call_this_process(name: str) -> None:
    """Let `ps -o comm` and `top` show this process as `name`, of at most 15 letters."""
    _prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()))


def adopt_orphans() -> None:
    """Let processes whose parent ends become children of this one, as far as the system can."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Let the system kill this process when its parent, of this id, ends."""
    _prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it has ended before
        os._exit(1)


def _prctl(option: int, value: Any) -> None:
    with suppress(AttributeError, OSError):  # not Linux
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def has_left() -> bool:
    """Whether a job of this process has left anything running that no library keeps for its next use."""
    try:
        # At once, and the most frequent answer: there are no children at all.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except AttributeError:  # macOS before Python 3.13, Windows
        pass
    from psutil import Process

    return bool(_doomed(Process().children(recursive=True), KEPT))


def of(pid: int) -> set[int]:
    """Return the ids of the processes that the process `pid` has started."""
    from psutil import Process

    return {child.pid for child in Process(pid).children()}


def kill_all(pid: int, spare: Iterable[int] = ()) -> bool:
    """Kill what the process `pid` has started, also indirectly; return whether anything was there.

    Args:
        pid: a living process.
        spare: children of it that stay.
    """
    from psutil import NoSuchProcess, Process

    spared = set(spare)
    try:
        children = [child for child in Process(pid).children() if child.pid not in spared]
        family = children + [each for child in children for each in child.children(recursive=True)]
    except NoSuchProcess:
        return False
    doomed = _doomed(family, TRACKERS)
    for process in doomed:
        with suppress(NoSuchProcess):
            process.kill()
    return bool(doomed)


def _doomed(processes: "Iterable[Process]", spared: tuple[str, ...]) -> "list[Process]":
    """Return those that run, but for those whose command line has one of the words `spared`."""
    from psutil import STATUS_ZOMBIE, AccessDenied, NoSuchProcess

    doomed = []
    for process in processes:
        with suppress(NoSuchProcess, AccessDenied):
            if process.status() != STATUS_ZOMBIE and not any(word in " ".join(process.cmdline()) for word in spared):
                doomed.append(process)
    return doomed
