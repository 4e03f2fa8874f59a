"""Trials whose folders are not in the sweep directory of this start: found on this disk, if they are there."""

import json
import socket
from pathlib import Path

import optuna
import pytest

from inksweep.paths import RunDir, SweepDir
from inksweep.runs import find
from inksweep.sweep.settings import WinnerConf
from inksweep.sweep.study import signposts
from inksweep.sweep.study.notes import OWNER
from inksweep.sweep.winner import choice


def ran(study: optuna.Study, folder: Path, host: str | None = None, value: float = 0.5, left: float = 0.5) -> RunDir:
    """A trial that ran in `folder` on a machine, this one if none is named, and left an objective there."""
    trial = study.ask()
    trial.set_user_attr(OWNER, {"id": "x", "host": host or socket.gethostname(), "folder": str(folder), "slot": 0})
    study.tell(trial, value)
    run = RunDir(folder / str(trial.number))
    run.root.mkdir(parents=True)
    content = {"schema_version": 1, "status": "completed", "objective": {"name": None, "value": left}}
    run.result.write_text(json.dumps(content))
    return run


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study()


def test_the_winner_of_an_earlier_start_is_found_in_its_folder(tmp_path: Path, study: optuna.Study) -> None:
    first, now = tmp_path / "logs" / "1", SweepDir(tmp_path / "logs" / "2")
    run = ran(study, first)
    signposts.put_signposts(study, now)
    assert now.trial(0).root.resolve() == run.root
    decided = choice.of_search(study, WinnerConf(), now)
    assert decided is not None
    assert decided.model.path == "../1/0"
    # A look at this start shows the trials of the study.
    now.summary.write_text("{}")
    assert find.find([now.root]) == [run.root]
    assert find.find([now.root.parent]) == [run.root]


@pytest.mark.parametrize(("left", "is_found"), [(0.5, True), (0.7, False)])
def test_a_folder_of_another_machine_is_that_trial_if_its_result_is(
    tmp_path: Path, study: optuna.Study, left: float, is_found: bool
) -> None:
    """A disk may be shared; or another machine has a folder of the same name."""
    ran(study, tmp_path / "1", host="far", left=left)
    now = SweepDir(tmp_path / "2")
    signposts.put_signposts(study, now)
    assert now.trial(0).root.is_dir() is is_found


def test_a_trial_that_lies_here_stays_the_one(tmp_path: Path, study: optuna.Study) -> None:
    """As in a sweep directory that was moved: the note names the place of before."""
    now = SweepDir(tmp_path / "second")
    ran(study, tmp_path / "first")
    now.trial(0).root.mkdir(parents=True)
    signposts.put_signposts(study, now)
    assert not now.signpost(0).exists()


def test_what_is_not_here_has_no_signpost(tmp_path: Path, study: optuna.Study) -> None:
    trial = study.ask()
    trial.set_user_attr(OWNER, {"id": "x", "host": "far", "folder": str(tmp_path / "gone")})
    study.tell(trial, 1.0)
    study.tell(study.ask(), 1.0)  # of another tool
    signposts.put_signposts(study, SweepDir(tmp_path / "now"))
    assert not (tmp_path / "now").exists()
    assert signposts.host(study.trials[1]) == "an unknown machine"
