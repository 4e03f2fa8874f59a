"""Whole commands on the full MNIST, each in a process of its own, as a user types them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.full

# Where MNIST lies or is fetched to; the checkout's own data folder unless told otherwise.
DATA = f"data.root={os.environ.get('INKSWEEP_DATA', REPOSITORY / 'data')}"


def train(folder: Path, *words: str) -> str:
    """Type `python train.py ...` in `folder`; return what it printed."""
    command = [sys.executable, str(REPOSITORY / "train.py"), *words, DATA]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def inksweep(folder: Path, *words: str) -> str:
    command = [str(Path(sys.executable).with_name("inksweep")), *words, DATA]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def result(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "result.json").read_text())


def only_run(folder: Path) -> Path:
    (run,) = folder.glob("outputs/*/*")
    return run


def test_the_defaults_reach_97_5_percent(tmp_path: Path) -> None:
    train(tmp_path)
    run = only_run(tmp_path)
    assert result(run)["metrics"]["test/accuracy"] >= 0.975
    assert torch.load(run / "model.pt", weights_only=True)["classes"] == list("0123456789")
    # Loaded again it measures what was recorded, to the digit; the command ends with code 1 otherwise.
    recorded = result(run)["metrics"]["test/accuracy"]
    assert f"test/accuracy {recorded:.4f} on 10,000 images, recorded {recorded:.4f}" in inksweep(
        tmp_path, "evaluate", str(run)
    )


def test_the_cnn_reaches_99_percent(tmp_path: Path) -> None:
    train(tmp_path, "model=cnn", "trainer.epochs=2")  # of the default three
    assert result(only_run(tmp_path))["metrics"]["test/accuracy"] >= 0.99


def test_the_sweep_stops_above_90_percent_and_saves_a_winner(tmp_path: Path) -> None:
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=first", "hydra.sweeper.winner.card=false"]
    said = train(tmp_path, *words, "trainer.epochs=1")
    study = tmp_path / "multirun" / "first"
    summary = json.loads((study / "summary.json").read_text())
    assert summary["stop_reason"] == "target"
    best = summary["incumbent"]
    assert best["metrics"]["test/accuracy"] > 0.9
    # The winner is the incumbent by validation: its weights, its settings, its metrics.
    assert result(study / "winner")["metrics"] == result(study / str(best["number"]))["metrics"] == best["metrics"]
    assert f"recorded {best['metrics']['test/accuracy']:.4f}" in inksweep(tmp_path, "evaluate", str(study / "winner"))
    assert "train it again: python" in said


def test_a_sweep_typed_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=night", "hydra.sweeper.target=null"]
    words += ["hydra.sweeper.winner.card=false"]
    small = ["experiment=quick", "model=mlp"]
    train(tmp_path, *words, *small, "hydra.sweeper.n_trials=2")
    study = tmp_path / "multirun" / "night"
    before = [(study / str(number) / "model.pt").read_bytes() for number in range(2)]
    train(tmp_path, *words, *small, "hydra.sweeper.n_trials=3")
    assert sorted(path.name for path in study.iterdir() if path.name.isdigit()) == ["0", "1", "2"]
    assert [(study / str(number) / "model.pt").read_bytes() for number in range(2)] == before


def test_data_mnist_shows_what_is_there(tmp_path: Path) -> None:
    said = inksweep(tmp_path, "data", "mnist")
    for expected in ("55,000 x 28 x 28", "5,000 x 28 x 28", "10,000 x 28 x 28", "uint8", "0.1307", "0.3082"):
        assert expected in said
    assert (tmp_path / "outputs" / "mnist.png").stat().st_size > 10_000
