"""What is the machine's fault and no trial's, by what was raised; and how such a fault goes through a sweep."""

import errno
import os
import pickle
from pathlib import Path

import cloudpickle
import pytest

from inksweep.errors import InputError
from inksweep.sweep import faults
from inksweep.sweep.faults import MachineFault, fault_of, has_died, in_one_line, note_on, of_a_kill, of_folder
from inksweep.sweep.job.job import WorkerDied
from inksweep.sweep.study.database import DatabaseAway

ROOT = Path("/home/me/night")
TORCH_SAVE = (
    "[enforce fail at inline_container.cc:626] . PytorchStreamWriter failed writing file data/0: file write failed"
)
HDF5 = "Can't synchronously write data (file write failed: errno = 28, error message = 'No space left on device')"


def os_error(number, path=None):
    return OSError(number, os.strerror(number), path)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (os_error(errno.ENOSPC, "/d/x"), "/d/x: No space left on device; make room"),
        (os_error(errno.ENOSPC), "No space left on device; make room"),
        (os_error(errno.EDQUOT, "/d/x"), "/d/x: Disk quota exceeded; make room"),
        (os_error(errno.EFBIG, "/d/x"), "/d/x: File too large; raise the limit (ulimit -f)"),
        (os_error(errno.EIO, "/d/x"), "/d/x: Input/output error; see that its file system can be reached"),
        (os_error(errno.ESTALE, "/d/x"), "/d/x: Stale file handle; see that its file system can be reached"),
        (RuntimeError(TORCH_SAVE), f"{TORCH_SAVE}; make room"),
        (OSError(HDF5), f"{HDF5}; make room"),
        (
            InputError("/d/x: No space left on device; give permission"),
            "/d/x: No space left on device; give permission",
        ),
        (WorkerDied("OSError: [Errno 122] Disk quota exceeded"), "OSError: [Errno 122] Disk quota exceeded; make room"),
        (DatabaseAway("hydra.sweeper.storage=x: away"), "hydra.sweeper.storage=x: away; see that it runs"),
        (RuntimeError("CUDA error: out of memory\nCompile with ..."), "CUDA error: out of memory; free the device"),
        # What is not: the trial's own, of the network, of a terminal.
        (os_error(errno.ENOENT, "/d/x"), None),
        (os_error(errno.EACCES, "/d/x"), None),
        (os_error(errno.EMFILE, "/d/x"), None),
        (os_error(errno.EIO), None),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), None),
        (os_error(errno.ENOTCONN), None),
        (MemoryError(), None),
        (ValueError("x"), None),
    ],
)
def test_what_is_the_machines_fault(error, line):
    known = fault_of(error)
    assert known is None if line is None else str(known).startswith(line)


def raised(outer, inner):
    outer.__cause__ = inner
    return outer


def test_a_cause_is_known_and_survives_the_way_to_the_sweep():
    error = raised(RuntimeError("could not save"), os_error(errno.ENOSPC, "/d/x"))
    assert fault_of(error).text == "/d/x: No space left on device"
    assert fault_of(pickle.loads(cloudpickle.dumps(error))) is None, "causes do not travel"
    note_on(error)
    assert fault_of(pickle.loads(cloudpickle.dumps(error))).text == "/d/x: No space left on device"


def test_what_a_trial_has_coped_with_is_not_what_it_failed_by():
    error = ValueError("mine")
    error.__context__, error.__suppress_context__ = os_error(errno.ENOSPC), True
    assert fault_of(error) is None


FULL = (
    "CUDA out of memory. Tried to allocate {asked} GiB. GPU 0 has a total capacity of 79.11 GiB of which {free} GiB is "
    "free. {others}Including non-PyTorch memory, this process has {own} GiB memory in use. Of the allocated memory "
    "{torch} GiB is allocated by PyTorch, and 0.50 GiB is reserved by PyTorch but unallocated. If reserved but ..."
)


@pytest.mark.parametrize(
    ("asked", "free", "own", "torch", "others", "line"),
    [
        # A neighbour holds most of it.
        (
            "2.00",
            "1.00",
            "8.00",
            "7.00",
            "Process 4711 has 70.11 GiB memory in use. ",
            "process 4711 held 70.1 of 79.1",
        ),
        # The neighbour is not seen, as in a container, nor what this process has.
        ("2.00", "1.00", "17179869184.00", "7.00", "", "other processes held 70.6 of 79.1"),
        # Alone on the device, and too big for it.
        ("40.00", "20.00", "59.00", "58.00", "", None),
        # It would be too big without the neighbour too.
        ("70.00", "10.00", "9.00", "8.00", "Process 4711 has 60.00 GiB memory in use. ", None),
        ("2.00", "0.10", "78.00", "77.00", "Process 4711 has 1.00 GiB memory in use. ", None),
    ],
)
def test_a_device_that_others_fill_is_told_from_a_trial_that_is_too_big(asked, free, own, torch, others, line):
    full = type("OutOfMemoryError", (RuntimeError,), {})
    text = FULL.format(asked=asked, free=free, own=own, torch=torch, others=others)
    known = fault_of(full(text))
    if line is None:
        assert known is None
    else:
        assert line in known.text
        assert "free the device" in known.remedy


@pytest.mark.parametrize(
    ("error", "died"),
    [
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed. "), True),
        (RuntimeError("DataLoader worker (pid(s) 7, 8) exited unexpectedly"), True),
        (type("BrokenProcessPool", (RuntimeError,), {})("a child process terminated abruptly"), True),
        (type("CalledProcessError", (Exception,), {"returncode": -9})("train.sh"), True),
        (type("CalledProcessError", (Exception,), {"returncode": 1})("train.sh"), False),
        (RuntimeError("DataLoader worker (pid 7) is killed by signal: Segmentation fault. "), False),
        (ValueError("x"), False),
    ],
)
def test_a_process_of_a_trial_that_somebody_ended(error, died):
    assert has_died(error) == died
    assert has_died(raised(RuntimeError("in between"), error)) == died


def test_a_kill_says_what_it_may_have_been():
    less = "fewer hydra.sweeper.n_jobs, or a smaller model or batch, need less"
    assert (
        of_a_kill("ended by SIGKILL", 2)
        == f"ended by SIGKILL, most likely (the kernel ended 2 for it) for lack of memory: {less}"
    )
    assert of_a_kill("ended by SIGKILL", None) == f"ended by SIGKILL, perhaps for lack of memory: {less}"
    assert of_a_kill("ended by SIGKILL", 0) == "ended by SIGKILL"
    assert of_a_kill("ended by SIGSEGV", 1) == "ended by SIGSEGV"
    assert of_a_kill("in the state OUT_OF_MEMORY", 0) == f"in the state OUT_OF_MEMORY: {less}"
    assert of_a_kill("OutOfMemoryError: killed", 0) == f"OutOfMemoryError: killed: {less}"


def test_a_folder_is_tried_by_writing_into_it(tmp_path, monkeypatch):
    assert of_folder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []

    def full(descriptor):
        raise os_error(errno.ENOSPC)

    monkeypatch.setattr(os, "fsync", full)
    assert str(of_folder(tmp_path)) == f"{tmp_path}: No space left on device; make room"
    assert list(tmp_path.iterdir()) == []


def test_only_what_is_the_machines_fault_becomes_a_line():
    line = r"^/d/x: No space left on device; make room; the same command goes on$"
    with pytest.raises(MachineFault, match=line), in_one_line(ROOT):
        raise os_error(errno.ENOSPC, "/d/x")
    with pytest.raises(InputError, match=r"^x=1: must be 2$"), in_one_line(ROOT):
        raise InputError("x=1: must be 2")
    with pytest.raises(ZeroDivisionError), in_one_line(ROOT):
        raise ZeroDivisionError


def test_of_several_faults_the_first_is_the_line():
    # What tidies up on a full disk fails too.
    def tidy_up():
        try:
            raise os_error(errno.ENOSPC, "/d/x")
        finally:
            raise os_error(errno.ENOSPC, "/d/winner")

    with pytest.raises(MachineFault, match=r"^/d/x"), in_one_line(ROOT):
        tidy_up()


@pytest.mark.parametrize(
    ("path", "is_a_line"),
    [
        ("/home/me/night", True),
        ("/home/me", True),
        ("/home/me/night/study.journal", True),
        ("/home/me/night/.owners/a", True),
        # Of a trial, whose traceback says more.
        ("/home/me/night/3/data.csv", False),
        ("/data/x.csv", False),
        (None, False),
    ],
)
def test_a_file_of_the_sweep_that_cannot_be_used_is_a_line(path, is_a_line):
    with pytest.raises(InputError if is_a_line else PermissionError, match="Permission denied"), in_one_line(ROOT):
        raise os_error(errno.EACCES, path)


def test_the_count_of_kills_is_that_since_the_last_look(monkeypatch):
    counts = iter([3, 3, 5, None])
    monkeypatch.setattr(faults, "_kills", lambda: next(counts))
    kills = faults.OutOfMemoryKills()
    assert [kills.look() for _ in range(3)] == [0, 2, None]
