"""What the report says equals what the study and the folders hold."""

import json
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.files import held
from inksweep.report.facts import facts
from inksweep.sweep.study import reader
from inksweep.sweep.study.notes import COPIES, LOST, METRICS, OWNER, REPEATS, RETRIED
from tests.report.sweeps import make, read

X = {"x": FloatDistribution(0, 1)}
TARGET = {"metric": "test/accuracy", "value": 0.98, "direction": None}


def test_numbers_of_the_study_are_the_numbers_of_the_report(tmp_path):
    made = make(tmp_path, target=TARGET)
    made.trial(0.95, params={"x": 0.1}, space=X, metrics={"test/accuracy": 0.94}, begin=0, end=12)
    made.trial(0.97, params={"x": 0.3}, space=X, metrics={"test/accuracy": 0.985}, begin=12, end=20)
    made.prune(begin=20, end=25, reports=[0.5, 0.6])
    made.prune("diverged", begin=25, end=26)
    made.prune("stopped", begin=26, end=27)
    made.fail("ValueError: no", begin=27, end=30)
    made.trial(None, TrialState.FAIL, begin=30, end=31, **{LOST: True, "inksweep:reason": "interrupted"})
    made.trial(0.95, begin=31, end=31, owner=None, **{COPIES: 0})
    made.end("target")
    found = read(tmp_path)
    assert found.counted == {"complete": 3, "pruned": 1, "diverged": 1, "stopped": 1, "failed": 1, "lost": 1}
    assert found.finished == 7
    assert found.trials_s == 12 + 8 + 5 + 1 + 1 + 3 + 1
    assert found.best.number == 1
    assert found.targeted == 0.985
    assert found.target.reached(found.targeted)
    assert found.timeline.wall_s == 31
    assert found.trials[2].curve == [(1, 0.5), (2, 0.6)]
    assert found.trials[7].seconds is None
    assert found.status == facts.ENDED
    assert "test accuracy 98.50 %, above 98.00 %" in found.sentence


def test_a_missed_target_is_said_with_both_numbers(tmp_path):
    made = make(tmp_path, target=TARGET, n_trials=1)
    made.trial(0.95, metrics={"test/accuracy": 0.94})
    made.end("n_trials")
    said = read(tmp_path).sentence
    assert said == (
        "It ended because all 1 trials are done. The target, test accuracy above 98.00 %, is not reached: the best "
        "trial has 94.00 %."
    )


def test_a_search_that_ran_out_of_patience_says_so(tmp_path):
    made = make(tmp_path, target=TARGET, patience_trials=2)
    for value in (0.95, 0.94, 0.93):
        made.trial(value, metrics={"test/accuracy": value})
    made.end("patience_trials")
    assert read(tmp_path).sentence == (
        "It ended because 2 trials in a row brought nothing better, with 3 of 5 trials done. The target, test accuracy "
        "above 98.00 %, is not reached: the best trial has 95.00 %."
    )


def test_two_processes_of_one_machine_do_not_share_a_slot(tmp_path):
    made = make(tmp_path)
    for owner, begin, end in (("a", 0, 4), ("a", 6, 10), ("b", 5, 8), ("b", 13, 15)):
        made.trial(0.5, owner=owner, begin=begin, end=end)
    line = read(tmp_path).timeline
    assert line.available == {"box, slot 0": 10, "box, slot 0, process 2": 10}
    assert line.idle_share == pytest.approx(0.35)


def test_a_clock_that_was_set_back_stops_nothing(tmp_path):
    made = make(tmp_path)
    made.trial(0.5, begin=20, end=10)
    made.trial(None, TrialState.RUNNING, begin=3e9, end=None, owner="b")  # begun in the far future
    found = read(tmp_path)
    assert [bar.seconds for bar in found.timeline.bars] == [0, 0]
    assert found.timeline.idle_share == 0


def test_notes_that_are_not_ours_cost_themselves_only(tmp_path):
    made = make(tmp_path)
    made.trial(0.5, owner=None, **{OWNER: "me", METRICS: {"a": None, "b": "x", "test/accuracy": 0.4}})
    made.trial(0.4, owner=None, **{OWNER: ["me"], METRICS: 3})
    first, second = read(tmp_path).trials
    assert (first.metrics, first.owner) == ({"test/accuracy": 0.4}, None)
    assert (second.metrics, second.owner) == ({}, None)


@pytest.mark.parametrize(
    "harm, unreadable",
    [
        ({"n_trials": "many"}, ["n_trials=many"]),
        ({"target": {"value": "x"}}, ["target.value=x"]),
        ({"target": 0.98}, ["target=0.98"]),
        ({"target": {"metric": 5, "value": "0.98"}}, []),
        ({"target": None, "n_trials": None}, []),
        ({"command": "python app.py it's"}, []),
    ],
)
def test_settings_that_were_broken_by_hand_are_unknown(tmp_path, harm, unreadable):
    made = make(tmp_path, **harm)
    made.trial(0.5)
    made.folder(0, {})
    found = read(tmp_path)
    assert found.unreadable == unreadable
    assert found.winner.commands == (["python app.py"] if "command" in harm else found.winner.commands)
    assert (found.n_trials, found.target is not None) == (
        None if "n_trials" in harm else 5,
        harm.get("target") == {"metric": 5, "value": "0.98"},
    )


def test_a_sweep_runs_while_its_lock_is_held_and_was_killed_if_nobody_holds_it(tmp_path):
    made = make(tmp_path)
    made.trial(None, TrialState.RUNNING, end=None)
    made.end(None)
    with held(made.sweep.lock, "taken"):
        assert read(tmp_path).status == facts.RUNNING
    assert read(tmp_path).status == facts.KILLED


def test_a_trial_whose_process_died_ends_at_its_last_sign_of_life(tmp_path):
    # Only the next start, a night later, told the study that it is lost.
    made = make(tmp_path)
    night = 40_000
    made.trial(0.9, begin=0, end=30, owner="a", slot=0)
    notes = {LOST: True, "inksweep:reason": "its process died"}
    made.trial(None, TrialState.FAIL, begin=5, end=night, owner="a", slot=1, **notes)
    made.trial(0.91, begin=night, end=night + 10, owner="b", **{REPEATS: 1})
    made.end("n_trials")
    found = read(tmp_path)
    assert found.trials[1].seconds == 25
    assert not found.trials[1].end_is_known
    assert found.timeline.wall_s == 40
    assert found.timeline.idle_share < 0.15
    assert found.trials[2].note == "repeats trial 1"


def test_curves_are_over_epochs_where_all_trials_left_them_else_over_reports(tmp_path):
    made = make(tmp_path)
    for number in range(2):
        made.trial(0.9, reports=[0.8, 0.9])
        rows = [{"epoch": 0.5, "val/accuracy": 0.8}, {"epoch": 1.0, "val/accuracy": 0.9}]
        made.folder(number, {"objective": {"name": "val/accuracy", "value": 0.9}}, rows)
    found = read(tmp_path)
    assert found.curve_axis == "epoch"
    assert found.trials[1].curve == [(0.5, 0.8), (1.0, 0.9)]
    made.sweep.trial(1).metrics.unlink()
    found = read(tmp_path)
    assert found.curve_axis == "report"
    assert found.trials[1].curve == [(1, 0.8), (2, 0.9)]


def test_the_winner_has_its_confusion_matrix_and_the_command_that_trains_it_again(tmp_path):
    made = make(tmp_path)
    made.trial(0.9)
    folder = made.folder(
        0, {"command": "python train.py model=cnn", "objective": {"name": "val/accuracy", "value": 0.9}}
    )
    made.answers(0, [0, 1, 2, 2], [0, 2, 2, 2])
    winner = read(tmp_path).winner
    assert winner.confusion == [[1, 0, 0], [0, 0, 1], [0, 0, 2]]
    assert winner.commands == ["python train.py model=cnn"]
    assert winner.folder == folder


def test_broken_or_missing_predictions_cost_the_matrix_and_say_so(tmp_path):
    made = make(tmp_path)
    made.trial(0.9)
    assert "not on this machine" in read(tmp_path).winner.no_confusion
    made.folder(0, {})
    assert "no predictions.npz" in read(tmp_path).winner.no_confusion
    made.sweep.trial(0).predictions.write_bytes(b"broken")
    winner = read(tmp_path).winner
    assert winner.confusion is None
    assert "cannot be read" in winner.no_confusion


def test_a_traceback_is_taken_from_the_trials_folder(tmp_path):
    made = make(tmp_path)
    made.fail("ValueError: no", **{RETRIED: True})
    made.folder(0, {"status": "failed", "error": {"type": "ValueError", "message": "no", "traceback": "File x\nno"}})
    (trial,) = read(tmp_path).trials
    assert (trial.state, trial.traceback) == ("lost", "File x\nno")


def test_several_objectives_have_their_names_and_front(tmp_path):
    made = make(tmp_path, ("maximize", "minimize"))
    for accuracy, size in ((0.9, 10), (0.95, 20), (0.85, 30)):
        made.trial([accuracy, size])
    made.folder(0, {"objectives": [{"name": "val/accuracy", "value": 0.9}, {"name": "parameters", "value": 10}]})
    found = read(tmp_path)
    assert [quantity.name for quantity in found.objectives] == ["val/accuracy", "parameters"]
    assert sorted(trial.number for trial in found.front) == [0, 1]
    assert found.best.number == 1


def test_reading_changes_no_byte_of_the_sweep(tmp_path):
    made = make(tmp_path)
    made.trial(0.9)
    with made.sweep.journal.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')  # a worker is in the middle of a line
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(read(tmp_path).trials) == 1
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_database_is_found_again_and_asks_for_its_password(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'studies.db'}"
    made = make(tmp_path / "night", storage=url)
    made.trial(0.9)
    assert read(tmp_path / "night").best.values == (0.9,)
    text = made.sweep.config.read_text().replace(url, "postgresql://me:***@host/db")
    made.sweep.config.write_text(text)
    with pytest.raises(InputError, match=r"password of its database was not kept .* --storage"):
        read(tmp_path / "night")
    assert read(tmp_path / "night", url).best.values == (0.9,)
    monkeypatch.setenv(reader.STORAGE_VARIABLE, url)
    assert read(tmp_path / "night").best.values == (0.9,)


def test_a_relative_database_is_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make(tmp_path / "multirun" / "night", storage="sqlite:///studies.db")
    made.trial(0.9)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert read(tmp_path / "multirun" / "night").best.values == (0.9,)


def no_sweep(root: Path) -> None:
    root.joinpath("sweep.yaml").unlink()


def no_journal(root: Path) -> None:
    root.joinpath("study.journal").unlink()


def broken_settings(root: Path) -> None:
    root.joinpath("sweep.yaml").write_text("a: [")


def broken_journal(root: Path) -> None:
    root.joinpath("study.journal").write_text(json.dumps({"op_code": 99}) + "\n" * 2)


@pytest.mark.parametrize(
    "harm, said",
    [
        (no_sweep, "no sweep directory"),
        (no_journal, r"no study in it \(no study.journal\)"),
        (broken_settings, "sweep.yaml: cannot be read"),
        (broken_journal, "study.journal: is no journal"),
    ],
)
def test_what_is_no_sweep_is_said_in_one_line(tmp_path, harm, said):
    make(tmp_path).trial(0.9)
    harm(tmp_path)
    with pytest.raises(InputError, match=said):
        read(tmp_path)
