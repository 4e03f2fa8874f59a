"""What a person sees on a terminal while a sweep runs: a table that stays below the log lines.

It is given a view, plain data, and knows neither Optuna nor Hydra. Where stdout is no terminal it does nothing.
"""

import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from threading import RLock
from types import TracebackType
from typing import Any, Self, TextIO

from rich.ansi import AnsiDecoder
from rich.console import Console, Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from inksweep.sweep.progress.view import RunningTrial, View

SLOT_ROWS = 8
HEADER_COLUMNS = 120  # a longer bar shows nothing more
WORDS = {"fail": "failed"}  # other states are shown under their own names


def render(view: View) -> RenderableType:
    """Return a view as something that rich can print; what matters most comes first: a low terminal cuts the end."""
    return Group(Text(), Constrain(Group(_title(view), _bar(view)), HEADER_COLUMNS), _facts(view), Text(), _slots(view))


class Screen:
    """Shows a view below the log lines of a terminal, from `with` to its end; it is cleared then.

    While it is shown, print() and log lines on the same terminal appear above it, and stdout and stderr say that they
    are no terminal, so that no other library draws a bar there.

    Args:
        view: called in the thread that calls `refresh`.
        interval_s: how often the screen is drawn at most.
        console: where; None: on stdout.
    """

    def __init__(self, view: Callable[[], View], *, interval_s: float = 1.0, console: Console | None = None):
        self.view, self.interval_s = view, interval_s
        # rich takes FORCE_COLOR for a terminal too; a file is none.
        on_terminal = console is not None or (sys.stdout is not None and sys.stdout.isatty())
        self.console = Console(file=sys.stdout) if console is None else console
        self.active = on_terminal and _can_draw(self.console)
        self._live = Live(
            console=self.console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._stack = ExitStack()
        self._drawn_at = float("-inf")
        self._lock = RLock()

    def refresh(self) -> None:
        """Draw anew if it was last done `interval_s` ago; cheap otherwise, so call it often."""
        if not self.active or time.monotonic() - self._drawn_at < self.interval_s:
            return
        # Not under the lock: it may log, and a log line takes its handler's lock before this one.
        renderable = render(self.view())
        try:
            with self._lock:
                self._live.update(renderable, refresh=True)
        except OSError:  # the terminal has gone; the sweep goes on
            self._end()
        self._drawn_at = time.monotonic()

    def __enter__(self) -> Self:
        if self.active:
            with self._stack:  # undone where the first view raises
                self._stack.enter_context(_above(self.console, self._lock))
                self._stack.callback(self._clear)
                self._live.start()
                self.refresh()
                self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        self.active = False
        self._stack.close()

    def _clear(self) -> None:
        """Take the table off the terminal and show the cursor again."""
        with suppress(OSError), self._lock:
            self._live.update(Text())  # rich cannot clear a table that is higher than the terminal
            self._live.stop()


class _Above(io.TextIOBase):
    """Stands in for a stream while a screen is shown: whole lines go above it.

    Once closed by `end` it hands everything to the stream: a log handler made in between may keep it for ever.
    """

    def __init__(self, stream: TextIO, console: Console, lock: RLock):
        self.stream, self.console, self.lock = stream, console, lock
        self._shown, self._rest, self._decoder = True, "", AnsiDecoder()

    def write(self, text: str) -> int:
        with self.lock:
            if not self._shown:
                return self.stream.write(text)
            *lines, self._rest = (self._rest + text).split("\n")
            if lines:
                # One write of what rich understands of colours; a long line is left to the terminal to wrap.
                above = Text("\n").join(self._decoder.decode_line(_encodable(line)) for line in lines)
                try:
                    self.console.print(above, soft_wrap=True)
                except OSError:  # rich would keep what it could not write, and try again for ever
                    self._shown = False
                    raise
        return len(text)

    def end(self) -> None:
        with self.lock:
            self._shown = False
            self.stream.write(self._rest)
            self.stream.flush()

    def flush(self) -> None:
        if not self._shown:
            self.stream.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return not self._shown and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def _above(console: Console, lock: RLock) -> Iterator[None]:
    """Send what is written to the console's terminal above what is drawn there."""
    console.file = console.file  # from now on this one, whatever sys.stdout is
    streams: dict[TextIO, TextIO] = {}
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None and (stream is console.file or stream.isatty()):
            streams.setdefault(stream, _Above(stream, console, lock))  # type: ignore[arg-type]
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams.get(sys.stdout, sys.stdout), streams.get(sys.stderr, sys.stderr)
    _retarget(streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        _retarget({above: stream for stream, above in streams.items()})
        for above in streams.values():
            with suppress(OSError):
                above.end()  # type: ignore[attr-defined]


def _retarget(streams: Mapping[TextIO, TextIO]) -> None:
    """Give log handlers that write to a key of `streams` its value: a handler keeps the stream it was made with."""
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):  # a placeholder has none
            if isinstance(handler, logging.StreamHandler) and handler.stream in streams:
                handler.setStream(streams[handler.stream])


def _can_draw(console: Console) -> bool:
    drawable = console.is_terminal and console.is_interactive and not console.is_dumb_terminal
    return drawable and not console.options.ascii_only


def _title(view: View) -> Table:
    left = ""
    if view.stopping is None and view.seconds_left is not None:
        about = "under" if view.seconds_left < 60 else "up to" if view.may_end_before else "about"
        left = f", {about} {_roughly(view.seconds_left)} left"
    grid = _grid(Column(ratio=1), Column(justify="right"))
    grid.add_row(Text(_plain(view.study), style="bold"), Text(f"{_clock(view.seconds)}{left}"))
    return grid


def _bar(view: View) -> Table:
    grid = _grid(Column(ratio=1), Column(justify="right"))
    bar = ProgressBar(max(1, view.n_trials), view.finished, complete_style="cyan", finished_style="cyan")
    grid.add_row(bar, Text(f"{view.finished} of {view.n_trials} trials"))
    return grid


def _facts(view: View) -> Table:
    grid = _grid(Column(style="dim"), Column(ratio=1))
    counts = [_count(view, state, count) for state, count in view.counts.items() if count]
    grid.add_row("trials", Text(", ".join(counts) or "none yet"))
    grid.add_row("best", Text(_plain(view.best or "none yet")))
    # Of the first seconds, in which nothing has happened yet.
    if now := dict.fromkeys(trial.doing for trial in view.running if trial.doing and not view.finished):
        grid.add_row("now", Text(_plain("; ".join(now))))
    if view.best_parameters:
        grid.add_row("", Text(_plain(view.best_parameters)))
    if view.target:
        grid.add_row("target", Text(_plain(view.target)))
    if view.stopping:
        # Not cut, on several lines if need be: it says what a person can do now.
        grid.add_row("ending", Text(_plain(view.stopping), style="bold yellow", no_wrap=False, overflow="fold"))
    return grid


def _count(view: View, state: str, count: int) -> str:
    others = sum(trial.slot is None for trial in view.running)
    by = "another process" if others == 1 else "other processes"
    note = f" ({others} by {by})" if state == "running" and others else ""
    return f"{count} {WORDS.get(state, state)}{note}"


def _slots(view: View) -> RenderableType:
    """Return a row a slot, then a row for each trial of other processes."""
    in_slot = {trial.slot: trial for trial in view.running if trial.slot is not None}
    rows: list[tuple[str, RunningTrial | None]] = [(str(slot), in_slot.get(slot)) for slot in range(view.slots)]
    rows += [("other", trial) for trial in view.running if trial.slot is None]
    if len(rows) > SLOT_ROWS:
        rows.sort(key=lambda row: row[1] is None)  # cut idle ones first
    table = Table(
        # Wide enough from the start, so that the table keeps still.
        _column("slot", min_width=5),
        _column("trial", justify="right"),
        _column("progress", min_width=14),
        _column("value", justify="right", min_width=6),
        _column("time", justify="right", min_width=5),
        _column("parameters", ratio=1),
        box=None,
        expand=True,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for slot, trial in rows[:SLOT_ROWS]:
        table.add_row(slot, *(("", Text("idle", style="dim")) if trial is None else _cells(trial)))
    more = len(rows) - SLOT_ROWS
    return Group(table, Text(f"... and {more} more", style="dim")) if more > 0 else table


def _cells(trial: RunningTrial) -> tuple[RenderableType, ...]:
    value = "" if trial.value is None else _short(trial.value)
    return str(trial.number), _progress(trial), value, _clock(trial.seconds), Text(_plain(trial.parameters))


def _progress(trial: RunningTrial) -> Text:
    if trial.step is None:
        return Text("starting", style="dim")
    if not trial.total:
        return Text(f"step {trial.step}")
    done = max(0, min(8, 8 * trial.step // trial.total))
    steps = f" {trial.step:>{len(str(trial.total))}}/{trial.total}"
    return Text.assemble(("━" * done, "cyan"), ("─" * (8 - done), "dim"), steps)


def _grid(*columns: Column) -> Table:
    for column in columns:
        column.no_wrap, column.overflow = True, "ellipsis"
    return Table.grid(*columns, padding=(0, 2, 0, 0), expand=True)


def _column(name: str, **keys: Any) -> Column:
    return Column(name, no_wrap=True, overflow="ellipsis", **keys)


def _clock(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def _roughly(seconds: float) -> str:
    """Return an estimate with no more digits than it deserves."""
    if seconds < 60:
        return "1 min"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 10 * 3600 else f"{seconds / 3600:.0f} h"


def _short(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


def _plain(text: str) -> str:
    """Return text in one line that cannot move the cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _encodable(line: str) -> str:
    """Return a line that a terminal can be sent; a file name may hold bytes that are no letters."""
    return line.encode("utf-8", "backslashreplace").decode("utf-8")
