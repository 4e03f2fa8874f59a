"""The winner's folder: what is in it, and that nobody sees half of it."""

import json
import shlex
import shutil
import subprocess

import optuna
import pytest
from omegaconf import OmegaConf

from inksweep.paths import SweepDir
from inksweep.sweep import choice, page, winner
from inksweep.sweep.marks import METRICS
from inksweep.sweep.settings import WinnerConf

ALL = ["README.md", "config.yaml", "metrics.csv", "model.pt", "predictions.npz", "result.json", "selection.json"]


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path / "night")


def save(sweep, study, program="train.py"):
    """Save what the search decides, as at the end of a sweep."""
    decided = choice.of_search(study, WinnerConf(), sweep)
    return winner.save(sweep, decided, selected(sweep, study), program)


def selected(sweep, study):
    decided = choice.of_search(study, WinnerConf(), sweep)
    return choice.selection(decided, study, sweep, WinnerConf(), None)


def card(sweep, study):
    return winner.card(sweep, choice.of_search(study, WinnerConf(), sweep), {**selected(sweep, study), "commands": []})


def ran(sweep, number=0, overrides=("model=mlp", "model.hidden=[128,64]"), model=b"weights"):
    run = sweep.trial(number)
    run.config.parent.mkdir(parents=True)
    run.config.write_text("model: {}\n")
    run.overrides.write_text(OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    run.result.write_text('{"metrics": {"val/accuracy": 0.91, "test/accuracy": 0.9, "val/loss": null}}')
    if model is not None:
        run.model.write_bytes(model)
        run.predictions.write_bytes(b"answers")
        run.metrics.write_text("epoch\n1\n")
    study = optuna.create_study(direction="maximize", study_name="night")
    for _ in range(number + 1):
        frozen = study.ask({"model.hidden": optuna.distributions.CategoricalDistribution(["[128,64]"])})
    frozen.set_user_attr(METRICS, {"val/accuracy": 0.91, "test/accuracy": 0.9})
    study.tell(frozen, 0.91)
    return study


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".winner.lock")


def test_the_winner_holds_what_is_needed_to_use_and_repeat_it(sweep):
    saved = save(sweep, ran(sweep))
    assert names(saved.root) == ALL
    assert saved.model.read_bytes() == b"weights"
    assert saved.predictions.read_bytes() == b"answers"
    assert saved.metrics.read_text() == "epoch\n1\n"


def test_a_winner_outlives_the_folder_of_its_trial(sweep):
    frozen = ran(sweep)
    save(sweep, frozen)
    shutil.rmtree(sweep.trial(0).root)
    saved = save(sweep, frozen)
    assert names(saved.root) == ALL


def test_a_trial_of_another_app_leaves_out_what_it_does_not_have(sweep):
    frozen = ran(sweep, model=None)
    sweep.trial(0).result.unlink()
    saved = save(sweep, frozen)
    assert names(saved.root) == ["README.md", "config.yaml", "selection.json"]
    assert "load_model" not in saved.card.read_text()


def test_the_card_names_the_trial_its_numbers_and_what_was_searched(sweep):
    text = card(sweep, ran(sweep, number=3))
    for part in (
        "# Winner of night",
        "Trial 3",
        "| test/accuracy | 0.9 |",
        "| model.hidden | [128,64] |",
        "optimistic",
    ):
        assert part in text


def test_the_command_survives_a_shell(sweep):
    overrides = ["model.hidden=[128,64]", "name='a b'", "+note=it's"]
    command = winner.command(sweep, ran(sweep, overrides=overrides).best_trial, "my train.py")
    assert shlex.split(command) == ["python", "my train.py", *overrides]


def test_a_new_winner_takes_the_place_of_the_old_one_and_leaves_nothing_behind(sweep):
    save(sweep, ran(sweep, 0))
    save(sweep, ran(sweep, 1, model=None))
    # No weights of the old winner beside the settings of the new one.
    assert names(sweep.winner.root) == ["README.md", "config.yaml", "result.json", "selection.json"]
    assert names(sweep.root) == ["0", "1", "winner"]


def test_the_same_winner_is_left_alone(sweep):
    frozen = ran(sweep)
    saved = save(sweep, frozen)
    (saved.root / "mine.onnx").touch()
    save(sweep, frozen)
    assert (saved.root / "mine.onnx").exists()


def test_a_copy_that_breaks_off_leaves_the_old_winner_and_is_cleared_away_later(sweep, monkeypatch):
    save(sweep, ran(sweep, 0))
    better = ran(sweep, 1, model=b"better")
    with monkeypatch.context() as full:
        full.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="full"):
            save(sweep, better)
    assert sweep.winner.model.read_bytes() == b"weights"
    save(sweep, better)
    assert sweep.winner.model.read_bytes() == b"better"
    assert names(sweep.root) == ["0", "1", "winner"]


def test_a_winner_chosen_in_another_way_is_saved_anew(sweep):
    study = ran(sweep)
    saved = save(sweep, study)
    (saved.root / "card.json").touch()
    # More trials have been seen; the best is the same.
    study.tell(study.ask(), 0.5)
    assert names(save(sweep, study).root) == ALL
    assert json.loads(saved.selection.read_text())["trials"]["complete"] == 2


def test_incumbents_are_counted_in_the_order_of_their_end(sweep):
    study = optuna.create_study(direction="maximize")
    first, second, third = (study.ask() for _ in range(3))
    study.tell(third, 0.5)
    study.tell(first, 0.9)
    study.tell(second, 0.7)
    assert [trial.number for trial in choice.incumbents(study)] == [2, 0]


@pytest.mark.parametrize(
    ("recorded", "config", "threads", "command"),
    [
        ("python train.py model=cnn", "trainer: {threads: null}", 1, "python train.py model=cnn trainer.threads=1"),
        ("python train.py 'a=b c'", "trainer: {threads: 2}", 4, "python train.py 'a=b c' trainer.threads=4"),
        ("python train.py trainer.threads=2", "trainer: {threads: 2}", 2, "python train.py trainer.threads=2"),
        ("python train.py ++trainer.threads=2", "trainer: {threads: 2}", 2, "python train.py ++trainer.threads=2"),
        # Another app may have no such key, an older run may not have noted them.
        ("python train.py", "trainer: {epochs: 3}", 1, "python train.py"),
        ("python train.py", "model: {}", 1, "python train.py"),
        ("python train.py", "trainer: {threads: null}", None, "python train.py"),
        ("python train.py 'a", "trainer: {threads: null}", 1, "python train.py 'a"),
    ],
)
def test_the_command_repeats_the_threads_of_the_slot(sweep, recorded, config, threads, command):
    best = ran(sweep).best_trial
    sweep.trial(0).config.write_text(config)
    sweep.trial(0).result.write_text(json.dumps({"command": recorded, "threads": threads}))
    assert winner.command(sweep, best, "train.py") == command


@pytest.fixture
def carded(sweep, monkeypatch):
    """A winner of ours, and the commands that were called to complete its card."""
    study, calls = ran(sweep), []
    sweep.trial(0).result.write_text('{"versions": {}}')
    save(sweep, study)

    def run(command, timeout, **_):
        calls.append((command, timeout))
        made = {"selection": json.loads(sweep.winner.selection.read_text())}
        sweep.winner.card_facts.write_text(json.dumps(made))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(page.subprocess, "run", run)
    return study, calls


def test_the_card_is_completed_once_for_each_choice(sweep, carded):
    study, calls = carded
    page.write_card(sweep)
    page.write_card(sweep)
    ((command, seconds),) = calls
    assert (command[1:], seconds) == (["-P", "-m", "inksweep", "card", str(sweep.winner.root)], 600)
    # Saving the same leaves it; another choice is another card.
    save(sweep, study)
    page.write_card(sweep)
    assert len(calls) == 1
    study.tell(study.ask(), 0.5)
    save(sweep, study)
    page.write_card(sweep)
    assert len(calls) == 2


def test_a_card_that_fails_is_a_line_that_says_how_to_get_it(sweep, carded, monkeypatch, caplog):
    for failure, words in (
        (subprocess.CompletedProcess([], 2, "", "error: data.root=x: is not there\n"), "error: data.root=x"),
        (subprocess.TimeoutExpired("", 600), "it took more than 600 s"),
    ):
        monkeypatch.setattr(page.subprocess, "run", lambda *_, made=failure, **__: raised_or(made))
        page.write_card(sweep)
        assert words in caplog.text
    assert f"inksweep card {sweep.winner.root}" in caplog.text


def raised_or(made):
    if isinstance(made, Exception):
        raise made
    return made


@pytest.mark.parametrize("is_there", ["model", "result"])
def test_a_winner_of_another_app_has_the_plain_card_only(sweep, carded, is_there):
    # Either no model.pt, or a result that is not of our run.
    if is_there == "model":
        sweep.winner.result.write_text("{}")
    else:
        sweep.winner.model.unlink()
    page.write_card(sweep)
    assert carded[1] == []
