"""The winner's folder: what is in it, and that nobody sees half of it."""

import shlex
import shutil

import optuna
import pytest
from omegaconf import OmegaConf

from inksweep.paths import SweepDir
from inksweep.sweep import winner
from inksweep.sweep.marks import METRICS

ALL = ["README.md", "config.yaml", "metrics.csv", "model.pt", "predictions.npz", "result.json"]


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path / "night")


def trial(sweep, number=0, overrides=("model=mlp", "model.hidden=[128,64]"), model=b"weights"):
    run = sweep.trial(number)
    run.config.parent.mkdir(parents=True)
    run.config.write_text("model: {}\n")
    run.overrides.write_text(OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    run.result.write_text('{"metrics": {"val/accuracy": 0.91, "test/accuracy": 0.9, "val/loss": null}}')
    if model is not None:
        run.model.write_bytes(model)
        run.predictions.write_bytes(b"answers")
        run.metrics.write_text("epoch\n1\n")
    study = optuna.create_study(direction="maximize")
    for _ in range(number + 1):
        frozen = study.ask({"model.hidden": optuna.distributions.CategoricalDistribution(["[128,64]"])})
    frozen.set_user_attr(METRICS, {"val/accuracy": 0.91, "test/accuracy": 0.9})
    study.tell(frozen, 0.91)
    return study.trials[number]


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".winner.lock")


def test_the_winner_holds_what_is_needed_to_use_and_repeat_it(sweep):
    saved = winner.save(sweep, trial(sweep), "night", "train.py")
    assert names(saved.root) == ALL
    assert saved.model.read_bytes() == b"weights"
    assert saved.predictions.read_bytes() == b"answers"
    assert saved.metrics.read_text() == "epoch\n1\n"


def test_a_winner_outlives_the_folder_of_its_trial(sweep):
    frozen = trial(sweep)
    winner.save(sweep, frozen, "night", "train.py")
    shutil.rmtree(sweep.trial(0).root)
    saved = winner.save(sweep, frozen, "night", "train.py")
    assert names(saved.root) == ALL


def test_a_trial_of_another_app_leaves_out_what_it_does_not_have(sweep):
    frozen = trial(sweep, model=None)
    sweep.trial(0).result.unlink()
    saved = winner.save(sweep, frozen, "night", "app.py")
    assert names(saved.root) == ["README.md", "config.yaml"]
    assert "load_model" not in saved.card.read_text()


def test_the_card_names_the_trial_its_numbers_and_what_was_searched(sweep):
    text = winner.card(sweep, trial(sweep, number=3), "night", "train.py")
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
    command = winner.command(sweep, trial(sweep, overrides=overrides), "my train.py")
    assert shlex.split(command) == ["python", "my train.py", *overrides]


def test_a_new_winner_takes_the_place_of_the_old_one_and_leaves_nothing_behind(sweep):
    winner.save(sweep, trial(sweep, 0), "night", "train.py")
    winner.save(sweep, trial(sweep, 1, model=None), "night", "train.py")
    # No weights of the old winner beside the settings of the new one.
    assert names(sweep.winner.root) == ["README.md", "config.yaml", "result.json"]
    assert names(sweep.root) == ["0", "1", "winner"]


def test_the_same_winner_is_left_alone(sweep):
    frozen = trial(sweep)
    saved = winner.save(sweep, frozen, "night", "train.py")
    (saved.root / "mine.onnx").touch()
    winner.save(sweep, frozen, "night", "train.py")
    assert (saved.root / "mine.onnx").exists()


def test_a_copy_that_breaks_off_leaves_the_old_winner_and_is_cleared_away_later(sweep, monkeypatch):
    winner.save(sweep, trial(sweep, 0), "night", "train.py")
    better = trial(sweep, 1, model=b"better")
    with monkeypatch.context() as full:
        full.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="full"):
            winner.save(sweep, better, "night", "train.py")
    assert sweep.winner.model.read_bytes() == b"weights"
    winner.save(sweep, better, "night", "train.py")
    assert sweep.winner.model.read_bytes() == b"better"
    assert names(sweep.root) == ["0", "1", "winner"]
