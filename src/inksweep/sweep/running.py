"""An engine that runs, as a user sees it: a screen, Ctrl-C, and nothing left behind; and the slots that it is given."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.plugins.launcher import Launcher

from inksweep.paths import SweepDir
from inksweep.sweep import launchers, watch
from inksweep.sweep.engine import Engine
from inksweep.sweep.launcher import SlotsLauncher
from inksweep.sweep.overview import Overview
from inksweep.sweep.owner import Owner
from inksweep.sweep.report import Report
from inksweep.sweep.screen import Screen
from inksweep.sweep.slots import BlockingSlot, EndNow, LauncherSlots, Slots


def run(engine: Engine, report: Report, visible: bool) -> None:
    """Run the engine; whatever ends it, nothing of it runs afterwards, and the summary says why."""
    screen = Screen(Overview(engine, report).view)
    screen.active = screen.active and visible
    try:
        with screen, _interruptible(engine) as interrupted:
            engine.on_look = screen.refresh
            engine.run()
        if interrupted:
            sys.exit(128 + interrupted[0])
    finally:
        engine.abandon(engine.stop_reason or "error")
        report.write(engine.stop_reason or "error")


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
        engine.stop("interrupted")
        watch.stop_here = "interrupted"

    if threading.current_thread() is not threading.main_thread():  # others may set no handler
        yield came
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        watch.stop_here = None
        for number, handler in before.items():
            signal.signal(number, handler)


def slots(launcher: Launcher, size: int, serial: bool, sweep: SweepDir, owner: Owner) -> Slots:
    """Return `size` slots for the trials of `owner`; `serial`: the launcher runs jobs in this process."""
    if isinstance(launcher, SlotsLauncher):
        return launcher.pool(size)
    if serial:
        return BlockingSlot(launcher)
    return LauncherSlots(launcher, size, launchers.prepare(launcher, size, sweep.root, owner.id))
