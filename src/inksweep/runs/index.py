"""Remembers what runs were read to hold, for a quick look at thousands: a SQLite file in the user's cache.

It is only ever a shortcut: a run whose files have changed is read again, and without the file all still works.
"""

import json
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inksweep.paths import RunDir, cache
from inksweep.runs import reader
from inksweep.runs.reader import Run
from inksweep.runs.result import ENDED, Status

# Raise it when reader.py reads the same files into something else.
FORMAT = 4
# What a run is read from, as names in its folder; the first is there once it has ended.
FILES = [str(path) for path in (RunDir(Path()).result, RunDir(Path()).config, RunDir(Path()).hydra)]
# Some 3 KB each.
MOST_RUNS = 50_000


def load(folders: Sequence[Path]) -> list[Run]:
    """Return the runs in `folders`, reading only those that are not known as they are now."""
    with _opened() as database:
        if database is None:
            return reader.load(folders)
        prints = {folder: fingerprint(folder) for folder in folders}
        known = dict(_known(database, prints))
        read = reader.load(folders, known)
        _remember(database, (run for run in read if run.folder not in known), prints)
        return read


def fingerprint(folder: Path) -> str | None:
    """Return what changes when a run's files do; None while it has no result, as nothing is settled then."""
    stats = []
    for name in FILES:
        try:
            status = os.stat(f"{folder}/{name}")  # noqa: PTH116  thousands of times
        except OSError:
            if name == FILES[0]:
                return None
            stats.append("-")
        else:
            stats.append(f"{status.st_mtime_ns}:{status.st_size}")
    return " ".join([str(FORMAT), *stats])


def location() -> Path:
    """Return the path of the file, in the user's cache.

    Raises:
        FileNotFoundError: the user has none.
    """
    folder = cache()
    if folder is None:
        raise FileNotFoundError("no cache folder")
    return folder / "runs.sqlite"


@contextmanager
def _opened() -> Iterator[sqlite3.Connection | None]:
    """Open the file, or begin it; None if that cannot be done."""
    try:
        path = location()
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=1)
    except (OSError, RuntimeError, sqlite3.Error):  # a home that cannot be written, or none
        yield None
        return
    with closing(connection) as database:
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE IF NOT EXISTS runs (folder BLOB PRIMARY KEY, fingerprint TEXT, run TEXT)")
        except sqlite3.DatabaseError as error:
            if "not a database" in str(error) or "malformed" in str(error):
                path.unlink(missing_ok=True)  # the next look begins it anew
            yield None
        else:
            yield database


def _known(database: sqlite3.Connection, prints: dict[Path, str | None]) -> Iterator[tuple[Path, Run]]:
    """Yield the runs that are as they were when they were last read."""
    wanted = {os.fsencode(folder): text for folder, text in prints.items() if text is not None}
    if not wanted:
        return
    try:
        rows = database.execute(
            "SELECT folder, fingerprint, run FROM runs WHERE folder BETWEEN ? AND ?", (min(wanted), max(wanted))
        )
        for name, fingerprint, content in rows:
            if wanted.get(name) == fingerprint:
                folder = Path(os.fsdecode(name))
                yield folder, _unpacked(folder, json.loads(content))
    except (sqlite3.Error, ValueError, TypeError):  # damaged, or locked for long: all is read anew
        return


def _remember(database: sqlite3.Connection, read: Iterable[Run], prints: dict[Path, str | None]) -> None:
    # As bytes: the name of a folder need not be UTF-8.
    rows = [
        (os.fsencode(run.folder), fingerprint, json.dumps(_packed(run), default=str))
        for run in read
        if run.status in (*ENDED, Status.FOREIGN) and (fingerprint := prints[run.folder])
    ]
    try:
        with database:
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", rows)
            # A folder that was deleted is not noticed: the rows that were written first make room.
            database.execute("DELETE FROM runs WHERE rowid <= (SELECT max(rowid) FROM runs) - ?", (MOST_RUNS,))
    except sqlite3.Error:  # another one writes, or the disk is full
        return


def _packed(run: Run) -> dict[str, Any]:
    packed = asdict(run)
    del packed["folder"]
    return packed


def _unpacked(folder: Path, packed: dict[str, Any]) -> Run:
    started, status = packed.pop("started"), Status(packed.pop("status", None))
    return Run(folder, status, started=math.nan if started is None else started, **packed)
