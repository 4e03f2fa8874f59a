"""journal.py: processes write one after the other, also where the file system has no locks."""

import errno
import json
import multiprocessing
from pathlib import Path

import pytest

from inksweep.sweep.study.journal import JournalFile, KernelLock


def write(path: Path, name: str) -> None:
    journal = JournalFile(path, KernelLock(path))
    for number in range(50):
        journal.append_logs([{"op_code": 0, "who": name, "number": number}])


def test_processes_write_whole_lines_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    path, context = tmp_path / "study.journal", multiprocessing.get_context("fork")
    writers = [context.Process(target=write, args=(path, name)) for name in ("a", "b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for name in ("a", "b"):
        assert [entry["number"] for entry in entries if entry["who"] == name] == list(range(50))
    assert list(tmp_path.iterdir()) == [path]
