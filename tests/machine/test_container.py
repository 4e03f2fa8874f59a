"""Whole commands as a user without name or home, in a container: the project and the data may only be read."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import DIGITS, REPOSITORY, TINY

CONTAINER = Path(__file__).with_name("container.sh")
NOT_HERE = 77
# Where groups of processes have a quota of processor time: version 1, version 2.
TREES = [Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup")]
QUICK = ["data.root=/mnt/data", *TINY, "model.hidden=[8]", "trainer.epochs=1", "trainer.device=cpu"]
TRAIN = "umask 027; $PY train.py " + shlex.join(QUICK)

Stranger = Callable[[str], "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def quota() -> Iterator[str]:
    """The folder of a group with a quota of half a core; nothing where none can be made."""
    tree = next((tree for tree in TREES if tree.is_dir()), Path("/sys/fs/cgroup"))
    group = tree / f"inksweep-container-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield ""
        return
    try:
        if (group / "cpu.cfs_quota_us").exists():
            (group / "cpu.cfs_period_us").write_text("1000000")
            (group / "cpu.cfs_quota_us").write_text("1000000")
        elif (group / "cpu.max").exists():
            (group / "cpu.max").write_text("1000000 1000000")
        yield str(group)
    finally:
        group.rmdir()


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The only folder in which the stranger may write, /mnt/out in the container."""
    folder = tmp_path_factory.mktemp("out")
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, out: Path, quota: str) -> Stranger:
    """Runs a script in the container; skips where this machine allows none, with what it says."""
    if sys.platform != "linux" or not shutil.which("unshare"):
        pytest.skip("a container needs Linux and unshare")
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(DIGITS / "MNIST", data / "MNIST")
    subprocess.run(["chmod", "-R", "a+rX", data], check=True)
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    folders = [sys.base_prefix, os.path.realpath(sys.prefix), REPOSITORY, data, out, quota]

    def run(script: str) -> "subprocess.CompletedProcess[str]":
        command = ["unshare", *root, "--mount", "--net", "bash", CONTAINER, *folders, script]
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        if done.returncode == NOT_HERE or done.stderr.startswith("unshare:"):
            pytest.skip(f"no container on this machine: {done.stderr.strip().splitlines()[-1]}")
        return done

    if (looked := run("$PY -c 'import torch' && id -un")).returncode == 0:
        pytest.skip("the user of the container has a name on this machine")
    if "cannot find name" not in looked.stderr:
        pytest.skip(f"this Python is not to be used by another user: {looked.stderr.strip()[-200:]}")
    return run


@pytest.fixture(scope="module")
def trained(stranger: Stranger, out: Path) -> Path:
    """A run of the stranger's."""
    done = stranger(f"{TRAIN} hydra.run.dir=/mnt/out/run figures=true")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return out / "run"


def test_a_run_trains_on_data_that_may_only_be_read(trained: Path, quota: str) -> None:
    result = json.loads((trained / "result.json").read_text())
    assert result["status"] == "completed"
    assert (trained / "figures" / "confusion.png").is_file()
    if not quota:
        pytest.skip("trained, but this machine lets nobody set a quota")
    assert result["threads"] == 1


def test_the_files_of_a_run_are_for_those_whom_the_umask_says(trained: Path) -> None:
    modes = {path.relative_to(trained): path.stat().st_mode & 0o777 for path in trained.rglob("*")}
    assert {path: mode for path, mode in modes.items() if mode not in (0o640, 0o750)} == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("evaluate /mnt/out/run", 0, "test/accuracy"),
        ("compare /mnt/out/run", 0, "completed"),
        ("card /mnt/out/run", 0, "card: /mnt/out/run/card/README.md"),
        # What cannot be written is one line that names it.
        ("data mnist " + shlex.join(QUICK[: 1 + len(TINY)]), 2, "error: outputs"),
        ("init /mnt/project/mine", 2, "error: /mnt/project/mine: Read-only file system"),
    ],
)
@pytest.mark.usefixtures("trained")
def test_what_reads_a_run_works(words: str, code: int, said: str, stranger: Stranger) -> None:
    done = stranger(f"$PY -m inksweep {words}")
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_run_whose_folder_cannot_be_made_is_one_line(stranger: Stranger) -> None:
    done = stranger(TRAIN)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: /mnt/project/outputs/")
    assert "Read-only file system" in line


def test_a_sweep_with_its_report_runs_where_tmpdir_is_long(stranger: Stranger, out: Path) -> None:
    long = f"export TMPDIR=/tmp/{'job' * 40}; mkdir $TMPDIR; "
    sweep = (
        "-m hydra/sweeper=optuna hydra/sweeper/space=none 'optimizer.lr=choice(0.01,0.02)' hydra.sweeper.target=null"
    )
    limits = "hydra.sweeper.target=null hydra.sweeper.n_trials=2 hydra.sweeper.n_jobs=2 hydra.sweeper.report=true"
    done = stranger(f"{long}{TRAIN} {sweep} {limits} hydra.sweep.dir=/mnt/out/night")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    night = out / "night"
    assert json.loads((night / "summary.json").read_text())["stop_reason"] == "n_trials"
    assert (night / "winner" / "model.pt").stat().st_mode & 0o777 == 0o640
    assert (night / "winner").stat().st_mode & 0o777 == 0o750
    assert (night / "winner" / "card.json").is_file()
    assert (night / "report.html").is_file()
    for words in ("compare /mnt/out/night", "evaluate /mnt/out/night/winner", "report /mnt/out/night --png"):
        done = stranger(f"{long}$PY -m inksweep {words}")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
