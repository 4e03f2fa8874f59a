"""No long silence in a log: who does something that takes long says what, and a thread repeats it with how far it is.

On a terminal nothing is said: a bar, a table or a passing line is there. What other code prints is not noticed, only
what it logs.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

log = logging.getLogger(__name__)

# So long after the last line one comes that says what is under way. The promise is 20 s: some of them are for a machine
# that is busy.
QUIET_S = 15.0


class _Heard(logging.Handler):
    """Notes when something was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.at = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        self.at = time.monotonic()


_heard = _Heard()
# What is done now, the innermost last; while there is anything, a thread runs until this event.
_under_way: list[Callable[[], str]] = []
_over = threading.Event()


@contextmanager
def saying(what: str | Callable[[], str]) -> Iterator[None]:
    """Log what is done during the block whenever nothing was logged for `QUIET_S`; within others the innermost speaks.

    Args:
        what: such as `preparing the data`, to which the time is added; or what returns the whole line, which a thread
            calls: it may raise while that is not known.
    """
    if sys.stdout is not None and sys.stdout.isatty():
        yield
        return
    task = _timed(what) if isinstance(what, str) else what
    _listen()
    _under_way.append(task)
    if len(_under_way) == 1:
        _begin()
    try:
        yield
    finally:
        _under_way.remove(task)
        if not _under_way:
            _forget()


@contextmanager
def shown_meanwhile(text: str) -> Iterator[None]:
    """Show `text` on a terminal during a block that prints nothing; in a log the same as `saying`."""
    if sys.stdout is None or not sys.stdout.isatty():
        with saying(text):
            yield
        return
    with suppress(OSError):
        print(text, end="\r", flush=True)
    try:
        yield
    finally:
        with suppress(OSError):
            print(" " * len(text), end="\r", flush=True)


def taken(seconds: float) -> str:
    """Return how long something has taken, as 40s, 1m40s or 2h05m."""
    minutes, second = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}h{minutes % 60:02}m"
    return f"{minutes}m{second:02}s" if minutes else f"{second}s"


def _timed(what: str) -> Callable[[], str]:
    started = time.monotonic()
    return lambda: f"{what}: {taken(time.monotonic() - started)} so far"


def _begin() -> None:
    global _over
    _over = threading.Event()
    threading.Thread(target=_speak, args=(_over,), name="silence", daemon=True).start()


def _speak(over: threading.Event) -> None:
    while not over.wait(max(0.01, _heard.at + QUIET_S - time.monotonic())):
        if time.monotonic() - _heard.at < QUIET_S or not (now := _under_way[-1:]):
            continue
        try:
            text = now[0]()
        except Exception:  # it is looked at while others change it
            text = ""
        _heard.at = time.monotonic()
        _listen()
        if text and now == _under_way[-1:]:
            log.info("%s", text)


def _listen() -> None:
    """Hear what is logged from now on; Hydra replaces all handlers for each job."""
    root = logging.getLogger()
    # Without any, Python itself shows warnings.
    if root.handlers and _heard not in root.handlers:
        root.addHandler(_heard)
        _heard.at = time.monotonic()


def _forget() -> None:
    _under_way.clear()
    _over.set()
    logging.getLogger().removeHandler(_heard)


# In a process that is forked from this one the thread is not there.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
