"""Whole commands: what becomes of a trial, as the table in docs/sweep.md, "What happens to a trial", says."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from optuna.trial import TrialState

from tests.sweep import apps
from tests.sweep.apps import App, wait_for

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL

CODE = """
import json, os, subprocess, sys, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import one_line_errors

class OutOfMemoryError(RuntimeError):  # as torch's: known by its name
    pass

def raises(error):
    raise error

def dies():
    os.kill(os.getpid(), 9)

def dies_once():
    if not Path("died").exists():
        Path("died").touch()
        dies()
    return 2.0

def beside_a_death():
    while not Path("died").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    return 3.0

def reports(value, seconds=0.0):
    for step in range(1, 1 + max(3, int(seconds / 0.05))):
        trial.report(step, value)
        if trial.should_stop():
            return float("nan")  # no result
        time.sleep(seconds and 0.05)
    return value

def hangs():
    if sys.platform == "linux":
        subprocess.Popen(["sleep", "60"])
    time.sleep(60)

def again():
    if Path("quick").exists():
        return reports(1.0)
    return reports(0.0, 60) if Path("talks").exists() else hangs()

KINDS = {
    "good": lambda: reports(1.0),
    "worse": lambda: reports(-1.0),
    "beside": beside_a_death,
    "dies_once": dies_once,
    "dies": dies,
    "diverges": lambda: float("nan"),
    "raises": lambda: raises(ValueError("this is why")),
    "exits": lambda: sys.exit(3),
    "memory": lambda: bytearray(1 << 60),
    "cuda": lambda: raises(OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    "allocator": lambda: raises(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")),
    "silent": hangs,
    "overdue": lambda: reports(0.0, 60),
    "again": again,
}

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    with open("ran.txt", "a") as file:
        print(HydraConfig.get().job.num, cfg.x, file=file)
    return KINDS[cfg.kind]()

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 0
kind: good
hydra:
  sweep: {dir: night}
  launcher: {preload: [inksweep.sweep.job.watcher]}
  sweeper:
    direction: maximize
    n_jobs: 2
    params: {x: "range(0,100)", kind: "choice(%s)"}
    pruner: {n_startup_trials: 1}
"""
# The kinds of trials that one sweep runs in this order. The first two let two workers begin, and know what is good.
TABLE = [
    *("good", "good", "beside", "dies_once", "dies", "diverges", "raises", "exits", "memory", "cuda", "allocator"),
    "worse",
]


def write(root: Path) -> App:
    return apps.write(root, CODE, CONFIG % ",".join(sorted({*TABLE, "again", "silent", "overdue"})))


def points(*kinds: str) -> list[str]:
    """Return arguments for a sweep of trials of these kinds, in this order, whose x is their number."""
    enqueue = ", ".join(f"{{x: {x}, kind: {kind}}}" for x, kind in enumerate(kinds))
    return [f"hydra.sweeper.enqueue=[{enqueue}]", f"hydra.sweeper.n_trials={len(kinds)}"]


@pytest.fixture
def app(tmp_path):
    return write(tmp_path / "app")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A sweep that has run a trial of every kind."""
    app = write(tmp_path_factory.mktemp("table") / "app")
    done = app.run(*points(*TABLE), "hydra.sweeper.max_failures=20")
    assert done.returncode == 0, done.stderr
    return app


def of_kind(app, kind):
    return [trial for trial in app.trials() if trial.params["kind"] == kind]


def reason(trial):
    return trial.user_attrs.get("inksweep:reason")


@pytest.mark.parametrize(
    ("kind", "state", "why", "status"),
    [
        ("good", COMPLETE, None, "completed"),
        ("worse", PRUNED, "pruned", "pruned"),
        ("diverges", PRUNED, "diverged", "pruned"),
        ("raises", FAIL, "ValueError: this is why", "failed"),
        ("exits", FAIL, "RuntimeError: the job called sys.exit(3)", "failed"),
        ("memory", FAIL, "oom", "failed"),
        ("cuda", FAIL, "oom", "failed"),
        ("allocator", FAIL, "oom", "failed"),
    ],
)
def test_what_a_trial_comes_to(table, kind, state, why, status):
    trial = of_kind(table, kind)[0]
    assert (trial.state, reason(trial)) == (state, why)
    # Whatever it came to, its folder says so, too; none of these is tried again.
    assert table.result(trial.number)["status"] == status
    assert [number for number, x in table.ran() if x == str(trial.params["x"])] == [trial.number]


def test_an_exception_is_kept_with_its_reason_and_its_traceback(table):
    (trial,) = of_kind(table, "raises")
    assert table.result(trial.number)["reason"] == "ValueError: this is why"
    assert "Traceback" in table.log(trial.number)
    assert "in raises" in table.log(trial.number)


def test_a_trial_whose_worker_was_killed_is_repeated_with_the_same_parameters(table):
    first, second = of_kind(table, "dies_once")
    assert (first.state, reason(first)) == (FAIL, "worker died: its process was ended by SIGKILL")
    assert (second.state, second.value, second.params) == (COMPLETE, 2.0, first.params)
    assert second.number > first.number
    assert second.user_attrs["inksweep:repeats"] == first.number


def test_the_trial_beside_it_does_not_notice(table):
    (beside,) = of_kind(table, "beside")
    (died, _) = of_kind(table, "dies_once")
    assert (beside.state, beside.value) == (COMPLETE, 3.0)
    assert beside.datetime_start < died.datetime_complete < beside.datetime_complete
    assert [number for number, _ in table.ran()].count(beside.number) == 1


def test_a_trial_whose_worker_dies_again_fails_for_good(table):
    first, second = of_kind(table, "dies")
    assert (first.state, second.state) == (FAIL, FAIL)
    assert second.params == first.params
    assert table.summary()["trials"] == {
        **{"complete": 4, "pruned": 2, "fail": 6, "running": 0, "waiting": 0},
        "lost": 2,  # the first death of each
    }


def test_no_process_is_left_of_a_sweep_that_is_done(table):
    assert table.leaves_nothing()


def test_a_trial_that_takes_too_long_is_ended_whether_it_reports_or_not(app):
    done = app.run(*points("silent", "overdue"), "hydra.sweeper.max_failures=2", "hydra.sweeper.trial_timeout_s=1.5")
    assert done.returncode == 0, done.stderr
    assert [(t.state, reason(t)) for t in app.trials()] == [(FAIL, "timeout")] * 2
    assert [(app.result(n)["status"], app.result(n)["reason"]) for n in (0, 1)] == [("failed", "timeout")] * 2
    assert app.summary()["trials"] | {"fail": 2, "lost": 0} == app.summary()["trials"]
    # Nor is the child left that the silent one had.
    assert app.leaves_nothing()


def test_the_budget_of_failures_ends_a_sweep_and_what_ran_beside_is_repeated(app):
    (app.root / "talks").touch()
    done = app.run(*points("again", "raises", "raises", "good"), "hydra.sweeper.max_failures=1")
    assert done.returncode == 1
    assert "ValueError: this is why" in done.stderr
    assert "hydra.sweeper.max_failure_rate, max_failures" in done.stdout
    beside = app.trials()[0]
    assert (beside.state, reason(beside), app.result(0)["status"]) == (FAIL, "failures", "stopped")
    assert app.summary()["stop_reason"] == "failures"
    assert app.summary()["trials"]["lost"] == 1
    assert len(app.ran()) == 3
    assert app.leaves_nothing()

    (app.root / "quick").touch()
    done = app.run(*points("again", "raises", "raises", "good"), "hydra.sweeper.max_failures=1")
    assert done.returncode == 0, done.stderr  # a budget is of one start
    assert sorted(app.ran()[3:]) == [(3, "3"), (4, "0")]
    assert app.summary()["trials"]["complete"] == 2


def test_the_target_ends_those_that_still_run(app):
    # Not to be pruned in the moment before it is told to stop.
    words = ["hydra.sweeper.target={value: 0.5}", "hydra.sweeper.pruner.n_startup_trials=9"]
    done = app.run(*points("overdue", "good"), "hydra.sweeper.n_trials=9", *words)
    assert done.returncode == 0, done.stderr
    beside, best = app.trials()
    assert (best.state, best.value) == (COMPLETE, 1.0)
    assert (beside.state, reason(beside), app.result(0)["status"]) == (PRUNED, "stopped", "stopped")
    assert app.summary()["stop_reason"] == "target"
    assert app.leaves_nothing()


def test_the_budget_of_time_ends_a_sweep_and_what_ran_is_repeated(app):
    (app.root / "talks").touch()
    done = app.run(*points("again"), "hydra.sweeper.timeout_s=0.5")
    assert done.returncode == 0, done.stderr
    assert "0.5 s are over (hydra.sweeper.timeout_s); the same command goes on" in done.stdout
    assert [(t.state, reason(t)) for t in app.trials()] == [(FAIL, "timeout")]
    assert app.summary()["stop_reason"] == "timeout"
    assert app.leaves_nothing()

    (app.root / "quick").touch()
    assert app.run(*points("again"), "hydra.sweeper.timeout_s=60").returncode == 0
    assert app.trials()[1].params == app.trials()[0].params
    assert app.summary()["trials"] | {"complete": 1, "lost": 1, "waiting": 0} == app.summary()["trials"]


def test_what_ends_a_sweep_early_costs_no_trial(app):
    """One sweep of two trials, ended again and again; each start repeats both, the last one to their end."""
    arguments = points("again", "again")

    def expect(start: int, code: int, returncode: int) -> None:
        assert returncode == code
        assert app.leaves_nothing()
        trials = app.trials()
        assert [(t.state, reason(t)) for t in trials[2 * start :]] == [(FAIL, "interrupted")] * 2, trials
        assert [t.params["x"] for t in trials] == [0, 1] * (start + 1)
        assert app.summary()["stop_reason"] == "interrupted"
        assert app.summary()["trials"]["lost"] == 2 * (start + 1)

    def both_run(start: int) -> bool:
        return len(app.ran()) == 2 * (start + 1)

    # Once: running trials end at their next report.
    (app.root / "talks").touch()
    for start, number in enumerate((signal.SIGINT, signal.SIGTERM)):
        with app.started(*arguments) as sweep:
            wait_for(lambda start=start: both_run(start))
            os.killpg(sweep.pid, number)  # as a terminal does it, and a scheduler
            expect(start, 128 + number, sweep.wait(timeout=120))
        assert [app.result(n)["status"] for n in (2 * start, 2 * start + 1)] == ["stopped", "stopped"]

    # A trial that does not report: the first Ctrl-C waits for it, the second does not.
    (app.root / "talks").unlink()
    with app.started(*arguments) as sweep:
        wait_for(lambda: both_run(2))
        os.killpg(sweep.pid, signal.SIGINT)
        time.sleep(0.7)
        assert sweep.poll() is None
        os.killpg(sweep.pid, signal.SIGINT)
        asked = time.monotonic()
        expect(2, 130, sweep.wait(timeout=120))
        assert time.monotonic() - asked < 20

    # What leaves no time to tell anybody: the next start tells.
    with app.started(*arguments) as sweep:
        wait_for(lambda: both_run(3))
        sweep.kill()
        sweep.wait()
        assert app.leaves_nothing()
    assert [t.state for t in app.trials()[6:]] == [TrialState.RUNNING] * 2

    (app.root / "quick").touch()
    done = app.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("was lost with its process; it is repeated under a new number") == 2
    trials = app.trials()
    assert [(t.state, reason(t)) for t in trials[6:8]] == [(FAIL, "its process died")] * 2
    assert [(t.state, t.params["x"]) for t in trials[8:]] == [(COMPLETE, 0), (COMPLETE, 1)]
    # Each number was one job's, and each job had its own folder.
    assert [number for number, _ in sorted(app.ran())] == list(range(10))
    assert app.leaves_nothing()


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_these_tests_would_see_a_process_that_is_left(app):
    with app.started(*points("again")):
        wait_for(app.ran)
        # The sweep, the process that workers are forked from, its tracker of resources, two workers' children at most.
        assert len(app.processes()) >= 4
        assert not app.leaves_nothing(seconds=0.1)
    assert app.leaves_nothing()
