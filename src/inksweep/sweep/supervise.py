"""An engine run under a person's eyes: a screen, Ctrl-C, and no process or running trial left behind."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from inksweep.silence import saying
from inksweep.sweep.engine import Engine
from inksweep.sweep.job import children, watcher
from inksweep.sweep.job.job import EndNow
from inksweep.sweep.progress.screen import Screen
from inksweep.sweep.progress.sentence import sentence
from inksweep.sweep.progress.summary import Report
from inksweep.sweep.progress.view import Overview
from inksweep.sweep.stopping import Reason


def run(engine: Engine, report: Report, visible: bool) -> Reason:
    """Run the engine; whatever ends it, nothing of it runs afterwards, and the summary says why.

    Args:
        engine: of a search or of a final stage.
        report: on the same study.
        visible: whether a screen may be drawn.

    Raises:
        SystemExit: Ctrl-C, or a scheduler's SIGTERM; its code is 128 and the number of the signal.
        Exception: too many trials failed; that of the last one.
    """
    overview = Overview(engine, report)
    screen = Screen(overview.view)
    screen.active = screen.active and visible
    try:
        with screen, saying(lambda: sentence(overview.from_aside())), _interruptible(engine) as interrupted:
            engine.on_look = screen.refresh
            reason = engine.run()
        if interrupted:
            sys.exit(128 + interrupted[0])
        return reason
    finally:
        engine.abandon(engine.stop_reason or Reason.ERROR)
        report.write(engine.stop_reason or Reason.ERROR)


@contextmanager
def _interruptible(engine: Engine) -> Iterator[list[int]]:
    """Let Ctrl-C, or a scheduler's SIGTERM, end the sweep with its running trials; a second one ends it now.

    Yields:
        The signals that came.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        came.append(number)
        if len(came) > 1:
            raise EndNow(128 + number)
        engine.stop(Reason.INTERRUPTED)
        watcher.stop_here = Reason.INTERRUPTED.value

    if threading.current_thread() is not threading.main_thread():  # others may set no handler
        yield came
        return
    children.keep_from_children(stop)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        watcher.stop_here = None
        for number, handler in before.items():
            signal.signal(number, handler)
