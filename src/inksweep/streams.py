"""Standard input, output and error of a command, whatever the shell made of them.

A batch system may close them, a disk behind them may be full, a reader such as `head` may have gone, and a terminal may
be unable to show a letter. None of this may end a training, or leave a file half written: what cannot be shown is lost,
and `lost` tells the command.
"""

import io
import os
import sys
from contextlib import suppress
from typing import Any, TextIO

# What went wrong with standard output, the first time.
_lost: list[OSError] = []


def prepare() -> None:
    """Open what is closed, and make standard output and error take any text and any fault of what is behind them.

    Streams that are not those of the process, as tests have them, only learn to take any text.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next file that is opened, a model or a journal, would get what is printed.
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115  kept open
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None:  # it was closed when Python began
            setattr(sys, name, _stream(number, encoding="utf-8"))
        elif stream is getattr(sys, f"__{name}__") and _is_of(stream, number):
            with suppress(OSError):
                stream.flush()
            buffering = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
            setattr(sys, name, _stream(number, encoding=stream.encoding, **buffering))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def lost() -> str | None:
    """Return why standard output was lost; None if all is shown, or its reader went away, as `head` does."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError):  # closed
            stream.flush()
    if not _lost or isinstance(_lost[0], BrokenPipeError):
        return None
    return _lost[0].strerror


def gone() -> bool:
    """Whether the reader of standard output went away, as `head` does: what is still to be shown, nobody sees."""
    with suppress(ValueError):  # closed
        sys.stdout.flush()
    return bool(_lost) and isinstance(_lost[0], BrokenPipeError)


class _Forgiving(io.TextIOWrapper):
    """A stream that takes all that is written to it: what it cannot write, and all after it, is dropped."""

    # Not in a class of the file below: a signal that raises there would have the same bytes written twice.
    def write(self, text: str, /) -> int:
        """Write `text`; return its length."""
        try:
            return super().write(text)
        except OSError as error:
            self._drop(error)
            return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        try:
            super().flush()
        except OSError as error:
            self._drop(error)

    def _drop(self, error: OSError) -> None:
        if self.fileno() == 1:
            _lost.append(error)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())  # for what else writes here: libraries, and processes that we start
        os.close(nowhere)


def _stream(number: int, **text: Any) -> TextIO:
    return _Forgiving(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), errors="backslashreplace", **text)


def _is_of(stream: Any, number: int) -> bool:
    try:
        return isinstance(stream, io.TextIOWrapper) and stream.fileno() == number
    except (OSError, ValueError):
        return False
