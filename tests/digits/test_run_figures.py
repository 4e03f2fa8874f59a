"""run_figures.py: which figures a run has, and what is in them; `figures=true` as a user types it."""

import errno
import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from inksweep import figures, trial
from inksweep.digits import run_figures
from inksweep.digits.config import parse
from inksweep.digits.config.schema import Config
from inksweep.paths import RunDir
from inksweep.runs import predictions
from inksweep.runs.metrics import curve
from inksweep.runs.predictions import Predictions
from tests.conftest import REPOSITORY, tiny

ALL = {"learning_curve.png", "confusion.png", "mistakes.png", "first_layer.png"}


def some_answers() -> Predictions:
    return Predictions(np.array([0, 1, 2, 2, 1]), np.array([0, 2, 1, 0, 1]), np.array([0.9, 0.4, 0.8, 0.8, 1.0]))


def test_the_worst_mistakes_are_the_most_confident_wrong_answers() -> None:
    # The right answers 0 and 4 are none; of equals the first comes first.
    assert run_figures.worst(some_answers(), 10).tolist() == [2, 3, 1]
    assert run_figures.worst(some_answers(), 1).tolist() == [2]
    right = Predictions(np.array([1]), np.array([1]), np.array([1.0]))
    assert run_figures.worst(right, 10).tolist() == []


def test_a_caption_says_what_it_is_and_what_was_answered() -> None:
    assert run_figures.captions(some_answers(), np.array([2, 1]), ["zero", "one", "two"]) == [
        "true: two\nanswer: one\n80.0%",
        "true: one\nanswer: two\n40.0%",
    ]


@pytest.mark.parametrize(
    "settings, epoch",
    [([], 2), (["objective=val/loss"], 3), (["trainer.keep=last"], 4), (["objective=[val/loss,parameters]"], 3)],
)
def test_the_epoch_kept_is_the_first_of_the_best_or_the_last(
    compose: Callable[[list[str]], Config], settings: list[str], epoch: float
) -> None:
    losses, accuracies = [0.5, 0.4, 0.3, 0.3], [0.8, 0.9, 0.9, 0.7]
    rows = [
        {"epoch": number, "val/loss": loss, "val/accuracy": accuracy}
        for number, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1)
    ]
    assert run_figures.kept_epoch(rows, compose(settings)) == epoch


def test_the_first_weights_are_shown_if_they_are_pictures() -> None:
    bias, linear = np.zeros(4), np.arange(4 * 9.0).reshape(4, 9)
    kernels, later = np.ones((8, 1, 5, 5)), np.ones((16, 8, 5, 5))
    name, found = run_figures.pictures_in({"bias": bias, "fc": linear, "head": np.ones((10, 4))}, size=3)
    assert (name, found.shape) == ("fc", (4, 3, 3))
    assert found[1].tolist() == [[9, 10, 11], [12, 13, 14], [15, 16, 17]]
    name, found = run_figures.pictures_in({"conv": kernels, "later": later}, size=28)
    assert (name, found.shape) == ("conv", (8, 5, 5))
    # A first layer that sees no picture: not the second one in its place.
    assert run_figures.pictures_in({"embedding": np.ones((7, 3)), "conv": kernels}, size=28) is None
    assert run_figures.pictures_in({"conv": np.ones((8, 2, 5, 5)), "depthwise": kernels}, size=28) is None
    assert run_figures.pictures_in({"bias": bias}, size=28) is None


@pytest.fixture
def train(tmp_path: Path, prepared_root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunDir]:
    """`train("model=cnn", ...) -> RunDir`: a short run with `figures=true` in the folder `run`."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> RunDir:
        quick = ["trainer.epochs=2", "trainer.threads=1", "trainer.device=cpu", "hydra.run.dir=run", "figures=true"]
        monkeypatch.setattr(sys, "argv", ["train.py", *tiny(prepared_root), *quick, *words])
        runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
        return RunDir(tmp_path / "run")

    return run


def drawn(run: RunDir) -> set[str]:
    return {path.name for path in run.figures.iterdir()} if run.figures.is_dir() else set()


@pytest.mark.parametrize("model", [["model=mlp", "model.hidden=[80]"], ["model=cnn", "model.channels=[4,4]"]])
def test_a_run_is_drawn(train: Callable[..., RunDir], model: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    run = train(*model)
    assert drawn(run) == ALL
    assert all(imread(path).std() > 0.05 for path in run.figures.iterdir())
    assert "figures: learning_curve, confusion, mistakes, first_layer -> run/figures" in capfd.readouterr().out


def test_a_run_is_drawn_only_if_asked(train: Callable[..., RunDir]) -> None:
    run = train("figures=false", "model.hidden=[8]")
    assert drawn(run) == set()
    assert run.model.is_file()


def test_the_figures_say_what_the_run_recorded(train: Callable[..., RunDir]) -> None:
    run = train("model.hidden=[8]", "trainer.epochs=3", "optimizer.lr=1.5", "scheduler=none")
    conf = parse.parse(parse.stored(run))
    metrics = json.loads(run.result.read_text())["metrics"]
    rows = curve(run.root)
    (kept,) = [row for row in rows if row["epoch"] == run_figures.kept_epoch(rows, conf)]
    assert kept["val/accuracy"] == metrics["val/accuracy"]
    assert f"{metrics['test/accuracy']:.2%} right" in run_figures.confusion(run, conf).get_suptitle()
    wrong = round(150 * (1 - metrics["test/accuracy"]))
    assert f"{wrong} wrong (150 test digits)" in run_figures.mistakes(run, conf).get_suptitle()


def test_fewer_mistakes_than_places_and_none_at_all_are_drawn(train: Callable[..., RunDir]) -> None:
    run = train("model.hidden=[8]", "trainer.epochs=1")
    conf = parse.parse(parse.stored(run))
    answers = predictions.load(run.predictions)
    labels = answers["test"].labels
    few = labels.copy()
    few[[3, 5]] = (few[[3, 5]] + 1) % 10
    for predicted, count in ((few, 2), (labels, 0)):
        test = Predictions(labels, predicted, answers["test"].confidence)
        predictions.save(run.predictions, {"val": answers["val"], "test": test})
        figure = run_figures.mistakes(run, conf)
        assert figure.get_suptitle() == f"Worst mistakes: {count} wrong (150 test digits)"
        (axes,) = figure.subfigs[0].axes
        assert len(axes.images) == count
        if not count:
            (text,) = axes.texts
            assert text.get_text() == "No mistake: all 150 answers are right."


class Pruner:
    """A sweep that ends its trial at the first report."""

    def report(self, step: int, value: float, total: int | None) -> None:
        pass

    def should_stop(self) -> str | None:
        self.asked = getattr(self, "asked", 0) + 1
        return "pruned" if self.asked > 1 else None

    def called_off(self) -> str | None:
        return None


def test_a_pruned_run_has_a_learning_curve_alone(train: Callable[..., RunDir]) -> None:
    with trial.watched_by(Pruner()):
        run = train("model.hidden=[8]")
    assert json.loads(run.result.read_text())["status"] == "pruned"
    assert drawn(run) == {"learning_curve.png"}


def test_a_full_disk_costs_the_figures_and_not_the_run(
    train: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(figure: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(figures, "save", full)
    run = train("model.hidden=[8]")
    said = capfd.readouterr().out
    assert said.count("is not drawn ([Errno 28] No space left on device") == 4
    assert json.loads(run.result.read_text())["status"] == "completed"
    assert run.model.is_file()


def test_what_cannot_be_drawn_does_not_keep_the_others(
    train: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_figures.predictions, "load", lambda path: {})
    assert drawn(train("model.hidden=[8]")) == {"learning_curve.png", "first_layer.png"}


def test_without_matplotlib_the_run_is_whole(
    train: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "inksweep.digits.run_figures", None)
    monkeypatch.delattr("inksweep.digits.run_figures")
    run = train("model.hidden=[8]")
    assert "no figures: matplotlib cannot be imported" in capfd.readouterr().out
    assert json.loads(run.result.read_text())["status"] == "completed"


def test_a_model_whose_first_weights_are_no_pictures_is_left_out(
    train: Callable[..., RunDir], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_figures, "pictures_in", lambda state, size: None)
    run = train("model.hidden=[8]")
    assert drawn(run) == ALL - {"first_layer.png"}
    assert "first_layer: the first weights of this model are no pictures; left out" in capfd.readouterr().out


def test_the_trials_of_a_grid_are_drawn_too(train: Callable[..., RunDir], tmp_path: Path) -> None:
    train("-m", "hydra.sweep.dir=grid", "seed=1,2", "model.hidden=[8]", "trainer.epochs=1")
    assert all(drawn(RunDir(tmp_path / "grid" / number)) == ALL for number in "01")
