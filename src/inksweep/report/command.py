"""`inksweep report`: writes the page once, or again and again while its sweep runs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inksweep.errors import need_extra
from inksweep.files import may_be_held
from inksweep.paths import SweepDir, shown

# Beside a running sweep, drawing takes at most this part of the time.
SHARE = 0.05
# How often a page loads itself again before it is known how long drawing takes, at most, in seconds.
FIRST_RELOAD_S = 30.0
# How long `--watch` waits for a sweep that does not exist yet.
PATIENCE_S = 60.0


def run(
    folders: Sequence[Path],
    out: Path | None = None,
    storage: str | None = None,
    *,
    png: bool = False,
    watch_s: float | None = None,
) -> None:
    """Write the report on sweep directories, and say where.

    Args:
        folders: the sweep directories.
        out: the page; None: `report.html` in the sweep directory, or here for several.
        storage: URL of the database, for sweeps whose password was not kept.
        png: also draw the main plots into `report/` in each sweep directory.
        watch_s: look again after so many seconds until no sweep runs any more; None: write once.

    Raises:
        InputError: a folder is no sweep, its study cannot be opened, or the extra is not installed.
    """
    need_extra("inksweep report", "report", ("plotly", "jinja2", "matplotlib") if png else ("plotly", "jinja2"))
    from inksweep.report.facts import facts
    from inksweep.report.page import page
    from inksweep.sweep.study import reader

    if watch_s is not None:
        _wait_for(folders)
    read = [(folder, reader.settings(folder)) for folder in folders]
    opened = [
        (folder, reader.look(reader.find(folder, storage, settings["sweeper"])), settings) for folder, settings in read
    ]
    path = out or (SweepDir(folders[0]).report if len(folders) == 1 else Path("report.html"))

    def write(reload_s: float | None) -> bool:
        """Write the page; return whether a sweep runs."""
        many = [facts.collect(*sweep) for sweep in opened]
        running = any(sweep.status == facts.RUNNING for sweep in many)
        page.write(path, many, reload_s if running else None)
        return running

    if watch_s is None:
        write(None)
    else:
        print(f"report: {shown(path)}, written again while the sweep runs; Ctrl-C ends this", flush=True)
        try:
            _watch(write, lambda: [_mark(folder, study) for folder, study, _ in opened], watch_s)
        except KeyboardInterrupt:
            print()
            return
    print(f"report: {shown(path)}")
    if png:
        from inksweep.report.png import draw

        for sweep in opened:
            for picture in draw(facts.collect(*sweep)):
                print(f"picture: {shown(picture)}")


def _wait_for(folders: Sequence[Path]) -> None:
    """Give sweeps that are just being typed in another window time to begin."""
    missing = [folder for folder in folders if not SweepDir(folder).summary.exists()]
    if missing:
        print(f"{', '.join(map(shown, missing))}: no sweep yet; waiting {PATIENCE_S:g} s for it", flush=True)
    deadline = time.monotonic() + PATIENCE_S
    while missing and time.monotonic() < deadline:
        time.sleep(0.2)
        missing = [folder for folder in missing if not SweepDir(folder).summary.exists()]


def _watch(write: Callable[[float | None], bool], mark: Callable[[], Any], interval_s: float) -> None:
    """Write whenever something has changed, until no sweep runs; drawing takes at most `SHARE` of the time."""
    pause_s, seen, drawn = max(interval_s, min(FIRST_RELOAD_S, 1 / SHARE)), None, -float("inf")
    while True:
        now = mark()
        if now != seen and time.monotonic() - drawn >= (0 if seen is None else pause_s):
            before = time.process_time()
            if not write(pause_s):
                return
            seen, drawn = now, time.monotonic()
            pause_s = max(interval_s, float(round((time.process_time() - before) / SHARE)))
        elif seen is not None and not _runs(now):
            write(None)
            return
        time.sleep(interval_s)


def _runs(marks: Sequence[Any]) -> bool:
    """Whether one of the sweeps may still be running."""
    return any(mark[0] for mark in marks)


def _mark(folder: Path, study: Any) -> tuple[Any, ...]:
    """Return what changes when there is something new of a sweep; first, whether it may be running."""
    from inksweep.sweep.study.reader import settings

    sweep = SweepDir(folder)
    try:
        status = sweep.summary.stat()
        summary = (status.st_mtime_ns, status.st_size)
    except OSError:
        summary = None
    shared = settings(folder)["sweeper"].get("storage") is not None
    trials = tuple((trial.state, trial.last_step) for trial in study.get_trials(deepcopy=False))
    return (shared or may_be_held(sweep.lock), summary, trials)
