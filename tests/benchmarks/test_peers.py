"""Each peer's script runs, on a few hundred digits or a few trials."""

import os
import sys
import time

import pytest
from benchmarks.commands import PEERS, Ended, NotReached, Place, folder, json_lines, seconds_of
from benchmarks.searches import SPACE

from tests.conftest import DIGITS

WORDS = Place(DIGITS)


@pytest.fixture
def training(tmp_path, monkeypatch):
    """The file in which a training notes that it is good enough: any of these is."""
    reached = tmp_path / "reached.txt"
    for name, value in {"DATA": DIGITS, "REACHED": reached, "LIMIT": 300, "WANTED": 0}.items():
        monkeypatch.setenv(f"BENCH_{name}", str(value))
    return reached


@pytest.mark.full
def test_the_pytorch_example_says_how_long_an_epoch_takes_and_how_good_it_is(tmp_path):
    words = WORDS.peer("pytorch_mnist.py", "--data", DIGITS, "--epochs", 2, "--limit", 128)
    whole = seconds_of(words, cwd=tmp_path)
    first, second = json_lines(tmp_path / "output.txt")
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert 0 < first["seconds"] < whole
    assert 0 <= second["test/accuracy"] <= 1


@pytest.mark.full
def test_the_template_says_how_long_an_epoch_takes(tmp_path):
    pytest.importorskip("lightning")
    seconds_of(WORDS.peer("lightning_mnist.py", "--data", DIGITS, "--epochs", 2, "--limit", 300), cwd=tmp_path)
    assert [row["epoch"] for row in json_lines(tmp_path / "output.txt")] == [1, 2]


@pytest.mark.full
def test_the_search_runs_under_our_sweeper(tmp_path, training):
    words = [sys.executable, str(PEERS / "hydra_search.py"), "-m", "hydra/sweeper=inksweep", *SPACE]
    words += ["hydra.sweeper.n_trials=2", "hydra.launcher.threads=1", "hydra.sweep.dir=sweep"]
    seconds_of(words, cwd=tmp_path)
    assert len(training.read_text().splitlines()) == 2 * 4


@pytest.mark.full
def test_the_search_runs_under_optuna_in_two_processes(tmp_path, training):
    words = WORDS.peer("optuna_search.py", "--trials", 1, "--seed")
    seconds_of([*words, "1"], cwd=tmp_path, beside=[*words, "2"])
    assert len(training.read_text().splitlines()) == 2 * 4


@pytest.mark.full
def test_the_search_runs_under_the_stock_sweeper(tmp_path, training):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = [sys.executable, str(PEERS / "hydra_search.py"), "-m", "hydra/sweeper=optuna", *SPACE]
    words += ["hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2", "hydra/launcher=joblib", "hydra.sweep.dir=sweep"]
    seconds_of(words, cwd=tmp_path)
    assert len(training.read_text().splitlines()) == 2 * 4


@pytest.mark.full
def test_the_search_runs_under_ray_and_ends_with_all_that_it_started(tmp_path, training):
    pytest.importorskip("ray.tune")
    words = WORDS.peer("ray_search.py", "--trials", 1, "--seed", 1)
    seconds_of(words, cwd=tmp_path, until=training.exists, limit_s=120)
    assert training.exists()


def test_empty_trials_run_under_optuna_in_two_processes(tmp_path):
    words = WORDS.peer("optuna_empty.py", "--trials", 1, "--pause", 0, "--seed")
    seconds_of([*words, "1"], cwd=tmp_path, beside=[*words, "2"])
    assert (tmp_path / "study.journal").read_text().count('"op_code":4') == 2  # as many were created


def test_a_command_that_fails_is_shown_with_its_last_lines(tmp_path):
    with pytest.raises(Ended, match="no such peer"):
        seconds_of([sys.executable, "-c", "raise SystemExit('no such peer')"], cwd=tmp_path)


def test_a_command_that_ends_before_what_was_waited_for_says_after_how_long(tmp_path):
    with pytest.raises(NotReached, match=r"^ended after 0 s without what was waited for$"):
        seconds_of(["true"], cwd=tmp_path, until=lambda: False)


def test_a_command_is_ended_with_its_children_once_what_was_waited_for_is_there(tmp_path):
    code = "import subprocess, time; p = subprocess.Popen(['sleep', '60']); open('pid', 'w').write(str(p.pid) + ' ')\n"
    pid = tmp_path / "pid"
    seconds_of(
        [sys.executable, "-c", code + "time.sleep(60)"], cwd=tmp_path, until=lambda: pid.exists() and pid.read_text()
    )
    for _ in range(100):
        try:
            os.kill(int(pid.read_text()), 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child still runs")


def test_a_folder_is_gone_afterwards():
    with folder() as path:
        (path / "file").touch()
    assert not path.exists()
