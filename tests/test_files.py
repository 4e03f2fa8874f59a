"""files.py: whatever is killed or fails, a reader finds a whole file, and a lock is held by a living process only."""

import errno
import fcntl
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch

import inksweep
from inksweep import files
from inksweep.errors import InputError
from inksweep.files import (
    as_json,
    copy_folder,
    flush,
    has_locks,
    held,
    is_held,
    json_text,
    may_be_held,
    new_folder,
    recover,
    replacing,
    write_json,
)


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(TypeError), replacing(target) as file:
        file.writelines(["half of the new", None])
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught, replacing(tmp_path / "model.pt") as file:
        file.write("x")
    assert caught.value.filename == str(tmp_path / "model.pt")
    assert list(tmp_path.iterdir()) == []


def test_the_new_file_appears_only_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "metrics.csv"
    with replacing(target) as file:
        file.write("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


def test_a_reader_never_meets_half_a_file(tmp_path: Path) -> None:
    target, stop, seen = tmp_path / "summary.json", threading.Event(), set()
    target.write_text("a" * 100_000)

    def read() -> None:
        while not stop.is_set():
            text = target.read_text()
            seen.add((len(text), len(set(text))))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "bcdefghij":
        with replacing(target) as file:
            for _ in range(100):
                file.write(letter * 1_000)
    stop.set()
    reader.join()
    assert seen == {(100_000, 1)}


def test_the_permissions_are_those_of_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with replacing(tmp_path / "replaced", "wb") as file:
        file.write(b"")
    assert (tmp_path / "replaced").stat().st_mode == (tmp_path / "plain").stat().st_mode


HOLD = """
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from inksweep.files import held
with held(Path(sys.argv[1]), "taken"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_holds_a_lock_and_a_killed_one_no_longer(tmp_path: Path) -> None:
    lock = tmp_path / "night" / ".lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InputError, match="taken"), held(lock, "taken"):
            pass
        assert is_held(lock) is True
    finally:
        holder.kill()
        holder.communicate()
    assert is_held(lock) is False
    with held(lock, "taken"):
        pass


def test_whether_a_lock_is_held_is_seen_without_writing(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    assert is_held(lock) is None
    assert not lock.exists()
    lock.write_text("kept")
    lock.chmod(0o400)
    with held_elsewhere(lock):
        assert is_held(lock) is True
    assert is_held(lock) is False
    assert lock.read_text() == "kept"


# What flock says where a file system has no locks; the last two are what it says of a held one, too.
NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EIO, errno.EACCES, errno.EAGAIN]


@pytest.fixture
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(file: object, operation: int) -> None:
        raise OSError(request.param, "no")

    monkeypatch.setattr("fcntl.flock", refuse)
    monkeypatch.setattr(files, "_warned", set())


@pytest.mark.usefixtures("no_locks")
@pytest.mark.parametrize("no_locks", NO_LOCKS, indirect=True)
def test_a_file_system_without_locks_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lock = tmp_path / "run" / ".lock"
    with held(lock, "taken"), held(tmp_path / "other" / ".lock", None):
        assert lock.is_file()
        assert is_held(lock) in (None, True)
        assert may_be_held(lock)
    (warning,) = caplog.messages
    assert warning.startswith(f"{lock.parent}: its file system has no locks; one process at a time is safe")
    assert [path.name for path in lock.parent.iterdir()] == [".lock"]


def test_a_file_system_is_seen_to_have_locks_without_a_trace(tmp_path: Path) -> None:
    assert has_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    # What is wrong with a folder is said by whoever writes there.
    assert has_locks(tmp_path / "missing")
    assert not may_be_held(tmp_path / ".lock")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_flush_is_not_asked_to(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, "no")

    monkeypatch.setattr("os.fsync", refuse)
    with replacing(tmp_path / "model.pt") as file:
        file.write("whole")
    assert (tmp_path / "model.pt").read_text() == "whole"
    with (tmp_path / "journal").open("w") as file:
        file.write("line")
        flush(file)
        assert (tmp_path / "journal").read_text() == "line"


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_new_folder_is_for_those_whom_the_umask_says(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        folder = new_folder(tmp_path, ".winner-")
    finally:
        os.umask(before)
    assert folder.name.startswith(".winner-")
    assert folder.stat().st_mode & 0o777 == 0o777 & ~umask


def test_a_folder_is_copied_where_permissions_cannot_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, copy = tmp_path / "winner", tmp_path / "copy"
    (source / "more" / "empty").mkdir(parents=True)
    (source / "model.pt").write_text("weights")
    (source / "more" / "link").symlink_to("../model.pt")
    copy.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("os.chmod", refuse)
    copy_folder(source, copy)
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == sorted(
        path.relative_to(source) for path in source.rglob("*")
    )
    assert (copy / "more" / "link").is_symlink()
    assert (copy / "more" / "link").read_text() == "weights"


@pytest.mark.parametrize("name", [".winner-ab12.old", ".card-ab12.old"])
def test_a_folder_that_was_moved_aside_by_a_killed_process_is_put_back(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "model.pt").write_text("old")
    recover(tmp_path / "winner")
    assert [(path.name, path.is_dir()) for path in tmp_path.iterdir()] == [("winner", True)]
    assert (tmp_path / "winner/model.pt").read_text() == "old"
    # One that is there is not touched, and where there is nothing nothing happens.
    (tmp_path / name).mkdir()
    recover(tmp_path / "winner")
    assert (tmp_path / "winner/model.pt").read_text() == "old"
    recover(tmp_path / "elsewhere/winner")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_a_kill_at_any_moment_of_put_folder_leaves_a_whole_folder(tmp_path: Path, renames: int) -> None:
    new, old = tmp_path / ".winner-ab12", tmp_path / "winner"
    for folder in (new, old):
        folder.mkdir()
        for part in ("model.pt", "result.json"):
            (folder / part).write_text(folder.name)
    done = subprocess.run([sys.executable, "-c", KILLED, new, old, str(renames)], check=False)
    assert done.returncode == -signal.SIGKILL
    recover(old)
    assert {path.read_text() for path in old.iterdir()} == {"winner" if renames == 1 else ".winner-ab12"}
    assert len(list(old.iterdir())) == 2
    # Also if somebody then removes the folder: what is half taken apart does not come back.
    if renames == 3:
        shutil.rmtree(old)
        recover(old)
        assert not old.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from inksweep.files import put_folder
new, old, most = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
replace, done = Path.replace, []
def counted(self, target):
    replace(self, target)
    done.append(target)
    if len(done) == most:
        for part in list(Path(target).iterdir())[:1] if most == 3 else []:
            part.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
Path.replace = counted
put_folder(new, old)
"""


@contextmanager
def held_elsewhere(lock: Path) -> Iterator[None]:
    """Hold a lock by a file that was opened for reading alone."""
    with lock.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Level(IntEnum):
    HIGH = 3


class Kind(Enum):
    DATE = datetime(2026, 1, 2, tzinfo=UTC)


@dataclass
class Odd:
    """Has the names of a numeric library, and is none."""

    def tolist(self) -> None:
        raise RuntimeError

    item = 5

    def __str__(self) -> str:
        return "odd"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (math.nan, None),
        ([1, -math.inf, (True, None)], [1, None, [True, None]]),
        ({"a": {"b": {math.inf}}}, {"a": {"b": [None]}}),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([0.5, math.inf]), [0.5, None]),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (torch.tensor(0.25), 0.25),
        (torch.tensor([1.0, math.nan]), [1.0, None]),
        (Decimal("0.5"), 0.5),
        (Decimal("Infinity"), None),
        (Fraction(1, 4), 0.25),
        (1 + 2j, "(1+2j)"),
        (PurePosixPath("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00"),
        (b"a\xff", "a\\xff"),
        (Level.HIGH, 3),
        (Kind.DATE, "2026-01-02 00:00:00+00:00"),
        (10**30, 10**30),
        (Odd(), "odd"),
        ({2: 1, None: 2, True: 3, (1, "a"): 4, 0.5: 5}, {"2": 1, "null": 2, "true": 3, "1,a": 4, "0.5": 5}),
        ({math.nan: 6, PurePosixPath("a/b"): 7}, {"nan": 6, "a/b": 7}),
    ],
)
def test_any_value_has_something_that_json_can_hold(value: object, plain: object) -> None:
    assert as_json(value) == plain
    if not isinstance(value, dict):
        assert type(as_json(value)) is type(plain)
    assert json.loads(json_text(value), parse_constant=pytest.fail) == plain


def test_json_is_written_as_a_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"loss": math.nan})
    assert (tmp_path / "a.json").read_text() == '{\n  "loss": null\n}\n'


def test_no_room_writes_a_json_file_by_itself() -> None:
    source = Path(inksweep.__file__).parent
    assert [str(path) for path in source.rglob("*.py") if "json.dump(" in path.read_text(encoding="utf-8")] == []
