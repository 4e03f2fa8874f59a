"""The journal file: written one after the other; what harms nobody is passed over; a full disk leaves it as it was."""

import errno
import json
import multiprocessing
import os
import resource
import sys
from pathlib import Path

import pytest

from inksweep.paths import SweepDir
from inksweep.sweep.study import reader
from inksweep.sweep.study.journal import JournalFile, KernelLock
from inksweep.sweep.study.notes import OWNER, REASON
from inksweep.sweep.study.reader import _Reader
from inksweep.sweep.study.storage import Address, open_study


@pytest.fixture
def address(tmp_path):
    return Address("night", None, tmp_path, heartbeat_s=60)


def begun(address: Address, trials: int = 3) -> Path:
    study = open_study(address, ["maximize"])
    for number in range(trials):
        study.tell(study.ask(), number)
    return SweepDir(address.sweep).journal


DAMAGE = {
    "blank lines": lambda whole: whole.replace(b"\n", b"\n\n  \n"),
    "a blank first line": lambda whole: b"\n" + whole,
    "line ends of Windows": lambda whole: whole.replace(b"\n", b"\r\n"),
    "a byte order mark": lambda whole: b"\xef\xbb\xbf" + whole,
    "zeros at the end": lambda whole: whole + bytes(4096),
    "zeros instead of the last line end": lambda whole: whole[:-1] + bytes(4096),
    "no line end at the end": lambda whole: whole[:-1],
    "no line end at the end, of Windows": lambda whole: whole[:-1] + b"\r",
    "a torn last line": lambda whole: whole + b'{"op_code": 4, "stu',
    "half a line end of Windows": lambda whole: whole + b"\r",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_harms_nobody_is_passed_over(address, damage):
    journal = begun(address)
    journal.write_bytes(DAMAGE[damage](journal.read_bytes()))
    damaged = journal.read_bytes()
    # Also by those that only look, who change nothing.
    seen = reader.look(address).trials
    assert journal.read_bytes() == damaged
    assert [trial.value for trial in seen][:2] == [0.0, 1.0]
    study = open_study(address, ["maximize"])
    assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0]
    other = open_study(address, ["maximize"])
    study.tell(study.ask(), 3.0)
    other.tell(other.ask(), 4.0)
    for one in (study, other, open_study(address, ["maximize"]), reader.look(address)):
        assert [trial.value for trial in one.trials] == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_another_writes_is_read_on_from_where_one_was(address):
    journal = begun(address, 1)
    one, other = open_study(address, ["maximize"]), open_study(address, ["maximize"])
    for number in (1.0, 2.0):
        one.tell(one.ask(), number)
        with journal.open("ab") as file:
            file.write(b"\n\r\n")
        assert [trial.value for trial in other.trials] == [trial.value for trial in one.trials]


def test_a_line_that_is_no_entry_is_an_error_once_another_follows(address):
    journal = begun(address, 1)
    whole, file = journal.read_bytes(), _Reader(journal)
    number = len(list(file.read_logs(0)))
    journal.write_bytes(whole + b'{"op_code": 4, "st\n')  # being written, on a file system that shows parts
    assert list(file.read_logs(number)) == []
    journal.write_bytes(whole + b'{"op_code": 4, "st\n{}\n')
    with pytest.raises(ValueError, match="line 1"):
        list(file.read_logs(number))


@pytest.mark.skipif(sys.platform != "linux", reason="how a limit on files is met")
@pytest.mark.parametrize("room", [0, 1, 20])
def test_what_does_not_fit_on_the_disk_leaves_the_journal_as_it_was(address, room):
    journal = begun(address)
    study = open_study(address, ["maximize"])
    trial = study.ask()
    before = journal.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limits[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*study\.journal'"):
            trial.set_user_attr(REASON, "long enough to be cut")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert journal.read_bytes() == before
    study.tell(trial, 5.0)
    assert open_study(address, ["maximize"]).trials[-1].value == 5.0
    assert REASON not in study.trials[-1].user_attrs


def test_what_the_disk_refuses_in_the_end_is_taken_back(address, monkeypatch):
    journal = begun(address)
    study = open_study(address, ["maximize"])
    trial = study.ask()
    before = journal.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*study\.journal'"):
            study.tell(trial, 5.0)
    assert journal.read_bytes() == before
    assert study.ask().number == 4


def test_a_trial_waits_for_the_disk_when_it_begins_to_run_and_when_it_has_ended(address, monkeypatch):
    study = open_study(address, ["maximize"])
    synced, wait = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(address.sweep), wait(file)))
    study.enqueue_trial({"x": 0.5})
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    waits = [len(synced)]
    trial.set_user_attr(OWNER, {"id": "me"})
    trial.report(0.5, 1)
    waits.append(len(synced))
    study.tell(trial, 0.5)
    # That a queued trial begins is a change of its state, too.
    assert [*waits, len(synced)] == [1, 2, 3]


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
