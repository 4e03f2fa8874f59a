"""The command that goes on after a target: read, and typed."""

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from inksweep import command
from inksweep.paths import SweepDir
from inksweep.sweep import next_step
from inksweep.sweep.stopping import Rules, Target, harder_target
from tests.sweep import apps
from tests.sweep.test_stopping import standing

RULES = Rules(n_trials=3, target=Target(None, 0.9), next_target=0.995)
DATED = {"has_dated_folder": True, "names_its_folder": False}
NAMED_BY_TIME = {"has_dated_folder": True, "names_its_folder": True}
FIXED = {"has_dated_folder": False, "names_its_folder": False}


@pytest.fixture
def said(tmp_path, monkeypatch, caplog):
    """Return what is said after a search of `values`, started by `words` in a kind of folder."""
    caplog.set_level("INFO")
    monkeypatch.setattr(command, "program", lambda: command.Program(("python", str(tmp_path / "app.py"))))
    monkeypatch.chdir(tmp_path)

    def said(words, folder, *values, rules=RULES):
        monkeypatch.setattr(sys, "argv", ["app.py", *words])
        now = standing(SweepDir(tmp_path / "multirun/a b"), *values, rules=rules)
        next_step.say(SimpleNamespace(**folder), now)
        return caplog.messages[-1].replace(now.ledger.study.study_name, "STUDY")

    return said


def test_the_words_that_were_typed_stay_and_the_target_is_replaced(said):
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.target.value=0.9", "name='a b'"]
    expected = "go on with a harder target: python app.py -m hydra/sweeper=optuna " + shlex.join(["name='a b'"])
    assert said(words, FIXED, 0.95) == f"{expected} hydra.sweeper.target.value=0.995"


def test_a_study_that_is_called_by_the_time_is_named(said):
    assert said(["-m"], NAMED_BY_TIME, 0.95) == (
        "go on with a harder target: python app.py -m hydra.sweeper.study_name=STUDY hydra.sweeper.target.value=0.995"
    )


def test_any_other_folder_that_is_called_by_the_time_is_given(said):
    words = ["-m", "hydra.sweep.dir=multirun/${now:%H}"]
    folder = shlex.quote('hydra.sweep.dir="multirun/a b"')
    assert f"python app.py -m {folder} hydra.sweeper.target.value=0.995" in said(words, DATED, 0.95).replace(
        "'hydra.sweep.dir=multirun/a b'", folder
    )


def test_a_search_whose_trials_are_all_done_is_given_more(said):
    line = said(["-m", "hydra.sweeper.n_trials=3"], FIXED, 0.1, 0.2, 0.95)
    assert line.endswith("app.py -m hydra.sweeper.target.value=0.995 hydra.sweeper.n_trials=6")


@pytest.mark.parametrize(
    ("value", "target", "harder", "known"),
    [
        (0.95, Target(None, 0.9), 0.995, 0.995),
        (0.95, Target(None, 0.9), None, None),
        (0.999, Target(None, 0.9), 0.995, None),  # it has that already
        (0.997, Target(None, 0.996), 0.995, None),  # no harder one
        (0.2, Target(None, 0.3, maximize=False), 0.1, 0.1),
        (0.2, Target(None, 0.3, maximize=False), 0.4, None),
    ],
)
def test_a_harder_target_is_one_that_the_best_does_not_have(tmp_path, value, target, harder, known):
    now = standing(SweepDir(tmp_path), value, rules=replace(RULES, target=target, next_target=harder))
    assert harder_target(now) == known


def test_where_none_is_known_the_search_goes_on_without(said):
    words = ["-m", "hydra.sweeper.target.metric=null", "hydra.sweeper.target.value=0.9"]
    assert said(words, FIXED, 0.95, rules=replace(RULES, next_target=None)) == (
        "go on without a target, up to hydra.sweeper.n_trials: python app.py -m hydra.sweeper.target=null"
    )


CODE = """
import hydra

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    return 0.1 * cfg.x

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep, override hydra/launcher: basic]
x: 0
hydra: {sweeper: {params: {x: "range(6,9)"}, direction: maximize, target: {value: 0.5, next: 0.85},
        enqueue: [{x: 6}, {x: 7}], n_trials: 4}}
"""


def test_the_command_typed_goes_on_in_the_same_study(tmp_path):
    app = apps.write(tmp_path / "app", CODE, CONFIG)
    done = app.run()
    assert done.returncode == 0, done.stderr
    assert "target is reached: objective 0.6 > 0.5 (trial 0, the first point of the search)" in done.stdout
    last = done.stdout.splitlines()[-1]
    typed = re.search(r"go on with a harder target: python (app\.py -m hydra\.sweeper\.study_name=\S+ \S+)$", last)[1]
    again = subprocess.run(
        [sys.executable, *shlex.split(typed)], cwd=app.root, capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 0, again.stderr
    (sweep,) = (app.root / "multirun").iterdir()
    assert (sweep / "1").is_dir()
    assert "1 of 4 trials are done" in again.stdout
