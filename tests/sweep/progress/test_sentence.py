"""The line that a log gets while a sweep runs."""

from dataclasses import replace

import pytest

from inksweep.sweep.progress.sentence import sentence
from inksweep.sweep.progress.view import RunningTrial
from inksweep.sweep.progress.wording import last_printed
from tests.sweep import apps
from tests.sweep.progress.test_screen import VIEW


def test_how_far_what_runs_the_best_and_the_time():
    assert sentence(VIEW) == (
        "7 of 20 trials done, 3 running (trial 9: step 3 of 8; trial 11: nothing reported yet; trial 12: step 40), "
        "best 0.9912 (trial 7), test/accuracy 0.9908, up to 11m40s left, 1h03m so far"
    )


def test_what_is_not_known_yet_and_what_a_trial_does_until_it_reports():
    running = [RunningTrial(0, 0, "x=1", 3, doing="importing torch")]
    view = replace(VIEW, finished=0, running=running, best=None, seconds_left=None, seconds=16)
    assert sentence(view) == "0 of 20 trials done, 1 running (trial 0: importing torch), no result yet, 16s so far"


def test_at_most_four_trials_are_named_and_none_is_said():
    running = [RunningTrial(i, i, "", 1, step=1, total=2) for i in range(6)]
    assert "6 running (trial 0: step 1 of 2; " in sentence(replace(VIEW, running=running))
    assert "trial 3: step 1 of 2; ...), best" in sentence(replace(VIEW, running=running))
    assert "done, none running, best" in sentence(replace(VIEW, running=[]))


def test_a_sweep_that_ends_says_why_instead_of_how_long():
    text = sentence(replace(VIEW, stopping="the target is reached", trials="trainings of the final stage"))
    assert text.startswith("7 of 20 trainings of the final stage done, ")
    assert ", the target is reached, 1h03m so far" in text
    assert "left" not in text


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", None),
        ("\n \n", None),
        ("first\nmnist: fetching it\n\n", "mnist: fetching it"),
        ("[2030-01-31 12:00:00,000][__main__][INFO] - epoch 1\n", "epoch 1"),
        ("x" * 9999, "x" * 59 + "…"),
        ("[1/10] a bar", "a bar"),
    ],
)
def test_the_last_that_a_trial_printed(tmp_path, content, line):
    (tmp_path / "output.log").write_text(content)
    assert last_printed(tmp_path / "output.log") == line


CODE = """
import time
import hydra
from inksweep import silence, trial

silence.QUIET_S = 0.3

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    for step in (1, 2):
        trial.report(step, cfg.x, total=2)
        time.sleep(0.8)
    return cfg.x

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 0.0
hydra:
  sweep: {dir: night}
  sweeper: {n_trials: 2, params: {x: "interval(0,1)"}, winner: {card: false}}
"""


@pytest.mark.parametrize("launcher", ["slots", "basic"])
def test_a_log_says_what_runs_also_while_the_sweep_itself_waits_in_a_trial(tmp_path, launcher):
    app = apps.write(tmp_path / "app", CODE, CONFIG)
    done = app.run(f"hydra/launcher={launcher}", "hydra.sweeper.n_jobs=1")
    assert done.returncode == 0, done.stderr
    assert "0 of 2 trials done, 1 running (trial 0: step 1 of 2), no result yet, " in done.stdout
    assert "1 of 2 trials done, 1 running (trial 1: step 2 of 2), best 0." in done.stdout


def test_hydras_own_grid_in_slots_says_how_far_it_is(tmp_path):
    app = apps.write(tmp_path / "app", CODE, "defaults: [_self_, override hydra/launcher: slots]\nx: 0.0\n")
    done = app.run("x=1,2,3", "hydra.launcher.n_jobs=2")
    assert done.returncode == 0, done.stderr
    assert "0 of 3 jobs done, 2 running" in done.stdout
