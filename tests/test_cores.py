"""cores.py: a quota of processor time counts as fewer cores, wherever in the tree of groups it is set."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inksweep import cores
from inksweep.cores import quotas, threads_per_process, usable_cores


def machine(folder: Path, groups: str, mounts: list[str], files: dict[str, str]) -> Path:
    """Write what /proc/self says of groups, and the trees of groups; `{}` in a mount stands for the folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    shown = str(folder).replace(" ", r"\040")
    (folder / "cgroup").write_text(groups)
    (folder / "mountinfo").write_text("".join(f"{line.format(shown)}\n" for line in mounts))
    return folder


V2 = "35 24 0:30 / {}/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "32 31 0:29 / {}/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
OTHER = "33 31 0:31 / {}/memory rw,relatime - cgroup cgroup rw,memory"
DISK = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard"


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "expected"),
    [
        # Version 2: quota and period in microseconds.
        ("0::/a", [DISK, V2], {"unified/a/cpu.max": "150000 100000\n"}, [1.5]),
        ("0::/a", [V2], {"unified/a/cpu.max": "max 100000\n"}, []),
        # A container with a namespace of groups sees its own as the top.
        ("0::/", [V2], {"unified/cpu.max": "50000 100000\n"}, [0.5]),
        # Groups above count as well; one without the controller has no file.
        (
            "0::/a/b/c",
            [V2],
            {"unified/a/cpu.max": "100000 100000", "unified/a/b/c/cpu.max": "400000 100000"},
            [4.0, 1.0],
        ),
        # Version 1: two files, -1 for no limit; other trees of groups do not count.
        (
            "4:memory:/m\n3:cpu,cpuacct:/a\n",
            [OTHER, V1],
            {"cpu/a/cpu.cfs_quota_us": "200000", "cpu/a/cpu.cfs_period_us": "100000", "memory/m/cpu.max": "1 1"},
            [2.0],
        ),
        ("3:cpu:/a", [V1], {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, []),
        # A container without a namespace: the path is that outside, and its own group is mounted at the top.
        (
            "3:cpu:/docker/1f",
            ["32 31 0:29 /docker/1f {}/cpu ro - cgroup cgroup rw,cpu"],
            {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"},
            [3.0],
        ),
        # A path that is not below what is mounted.
        ("0::/../other", [V2], {"unified/cpu.max": "100000 50000"}, [2.0]),
        # Both versions at once, as systemd mounts them: the second has no controllers.
        (
            "3:cpu:/a\n0::/a",
            [V1, V2],
            {"cpu/a/cpu.cfs_quota_us": "50000", "cpu/a/cpu.cfs_period_us": "50000", "unified/a/cgroup.procs": ""},
            [1.0],
        ),
        # No groups at all.
        ("", [DISK], {}, []),
    ],
)
def test_a_quota_is_found(
    groups: str, mounts: list[str], files: dict[str, str], expected: list[float], tmp_path: Path
) -> None:
    folder = tmp_path / "with a space"
    folder.mkdir()
    assert quotas(machine(folder, groups, mounts, files)) == expected


def test_a_system_without_proc_has_no_quota(tmp_path: Path) -> None:
    assert quotas(tmp_path / "none") == []


@pytest.mark.parametrize(("limits", "expected"), [([], 8), ([1.5], 2), ([0.1], 1), ([100.0, 3.0], 3), ([2.0, 9.0], 2)])
def test_the_smallest_limit_holds_rounded_up(
    limits: list[float], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "quotas", lambda: limits)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert usable_cores() == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [("3", 3), ("9", 9), ("4,2", 4), ("", 8), ("0", 8), ("many", 8), ("²", 8)],
)
def test_who_sets_the_threads_of_openmp_is_heard(given: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(cores, "usable_cores", lambda: 8)
    assert threads_per_process() == expected


@pytest.fixture
def half_a_core() -> Iterator[Path]:
    """A group of this machine with a quota of half a core."""
    group = next((top / f"inksweep-test-{os.getpid()}" for top in TREES if top.is_dir()), None)
    if group is None:
        pytest.skip("this machine has no groups of processes")
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no group with a quota can be made here ({error.strerror})")
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_quota_us").write_text("50000")
        elif (group / "cpu.max").exists():
            (group / "cpu.max").write_text("50000 100000")
        else:
            pytest.skip("groups of this machine have no quotas")
        yield group
    finally:
        group.rmdir()


TREES = [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup")]


def test_a_real_quota_is_one_thread(half_a_core: Path) -> None:
    enter = 'echo $$ >"$0/cgroup.procs" && unset OMP_NUM_THREADS && exec "$@"'
    code = "import inksweep.cores as cores; print(cores.usable_cores(), cores.threads_per_process())"
    done = subprocess.run(
        ["bash", "-c", enter, str(half_a_core), sys.executable, "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("1 1\n", "")
