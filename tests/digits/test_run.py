"""`python train.py ...` on the tiny digits, in this process: what lands in the run directory."""

import csv
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import yaml
from filelock import FileLock

from inksweep import cli, command, silence, trial
from inksweep.digits import checkpoint
from inksweep.digits.data import dataset
from inksweep.digits.training import evaluation
from inksweep.digits.training.learner import Learner
from inksweep.paths import RunDir
from inksweep.runs import predictions
from tests.conftest import REPOSITORY, TINY, tiny

QUICK = ["trainer.epochs=3", "model.hidden=[16]", "model.norm=none", "trainer.threads=1", "trainer.device=cpu"]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class App:
    """train.py, typed in a folder of its own."""

    def __init__(self, folder: Path, root: Path, monkeypatch, capfd) -> None:
        self.folder, self.root, self.monkeypatch, self.capfd = folder, root, monkeypatch, capfd
        self.entry = REPOSITORY / "train.py"

    def __call__(self, *overrides: str) -> Ended:
        """Run with the tiny digits and small settings; `overrides` come last."""
        return self.plain(*tiny(self.root), *QUICK, *overrides)

    def plain(self, *words: str) -> Ended:
        """Run with `words` and nothing else."""
        self.monkeypatch.setattr(sys, "argv", ["train.py", *words])
        self.capfd.readouterr()
        code = 0
        try:
            runpy.run_path(str(self.entry), run_name="__main__")
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = self.capfd.readouterr()
        return Ended(code, said.out, said.err)

    def runs(self) -> list[RunDir]:
        return [RunDir(path) for path in sorted(self.folder.glob("outputs/*/*"))]


def result(run: RunDir) -> dict[str, Any]:
    return json.loads(run.result.read_text())


def weights(run: RunDir) -> dict[str, torch.Tensor]:
    return checkpoint.load(run.model)["state_dict"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def app(tmp_path: Path, prepared_root: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> App:
    monkeypatch.chdir(tmp_path)
    return App(tmp_path, prepared_root, monkeypatch, capfd)


def test_a_completed_run_leaves_what_the_format_says(app: App) -> None:
    ended = app("seed=7")
    assert ended.code == 0, ended.err
    (run,) = app.runs()
    assert run.config.is_file()
    assert run.overrides.is_file()
    assert (run.root / "train.log").read_text().count("epoch ") >= 3
    assert not run.checkpoint.exists()

    told = result(run)
    assert told["schema_version"] == 1
    assert (told["status"], told["reason"], told["error"]) == ("completed", None, None)
    assert told["objective"] == {"name": "val/accuracy", "value": told["metrics"]["val/accuracy"]}
    assert set(told["metrics"]) == {"val/loss", "val/accuracy", "test/loss", "test/accuracy"}
    assert set(told["seconds"]) == {"startup", "data", "train", "evaluate", "total"}
    assert told["parameters"] == 784 * 16 + 16 + 16 * 10 + 10
    assert (told["seed"], told["threads"]) == (7, 1)
    assert "seed=7" in told["command"]
    assert told["versions"]["torch"] == torch.__version__.split("+")[0]


def test_metrics_csv_has_a_row_an_evaluation_in_the_documented_columns(app: App) -> None:
    app("trainer.evaluate_every_epochs=0.5")
    with app.runs()[0].metrics.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "epoch", "step", "samples", "train/loss", "val/loss", "val/accuracy", "lr", "seconds", "images_per_second",
    ]  # fmt: skip
    assert [float(row["epoch"]) for row in rows] == [0.5, 1, 1.5, 2, 2.5, 3]
    assert rows[-1]["samples"] == "900"


@pytest.mark.parametrize("asked", ["data.warped_validation=true", "objective=[val/accuracy,val/warped_accuracy]"])
def test_the_warped_validation_digits_are_measured_where_that_is_asked_for(app: App, asked: str) -> None:
    ended = app("trainer.keep=last", asked)
    assert ended.code == 0, ended.err
    (run,) = app.runs()
    with run.metrics.open() as file:
        curve = [float(row["val/warped_accuracy"]) for row in csv.DictReader(file)]
    told = result(run)
    assert told["metrics"]["val/warped_accuracy"] == curve[-1]
    assert 0 < curve[-1] < told["metrics"]["val/accuracy"]  # trained on digits as they are
    assert f"warped {curve[-1]:.2%}" in (run.root / "train.log").read_text()
    assert "test/warped_accuracy" not in told["metrics"]


def test_the_weights_kept_can_be_the_best_on_warped_digits(app: App) -> None:
    ended = app("objective=val/warped_accuracy", "optimizer.lr=0.05", "trainer.epochs=6")
    assert ended.code == 0, ended.err
    (run,) = app.runs()
    with run.metrics.open() as file:
        curve = [float(row["val/warped_accuracy"]) for row in csv.DictReader(file)]
    assert result(run)["objective"] == {"name": "val/warped_accuracy", "value": max(curve)}


def test_the_saved_model_gives_the_recorded_metrics_again(app: App, compose: Callable) -> None:
    app()
    (run,) = app.runs()
    model, content = checkpoint.load_model(run.model)
    conf = compose(tiny(app.root))
    preprocess = content["preprocess"]

    def to_input(images: torch.Tensor) -> torch.Tensor:
        return dataset.to_input(images, preprocess["mean"], preprocess["std"])

    splits = dataset.load(conf.data)
    for name, digits in (("val", splits.val), ("test", splits.test)):
        measured = evaluation.metrics(evaluation.infer(model, digits.images, to_input, 64), digits.labels)
        assert (
            measured["accuracy"] == content["metrics"][f"{name}/accuracy"] == result(run)["metrics"][f"{name}/accuracy"]
        )


def test_the_stored_predictions_are_those_of_the_saved_model(app: App) -> None:
    app()
    (run,) = app.runs()
    stored = predictions.load(run.predictions)
    assert {split: len(answers) for split, answers in stored.items()} == {"val": 100, "test": 150}
    for split, answers in stored.items():
        assert answers.accuracy == result(run)["metrics"][f"{split}/accuracy"]


def test_keep_best_scores_the_weights_it_saves_and_keep_last_the_last(app: App) -> None:
    # a learning rate that ruins the later epochs
    wild = ["optimizer=sgd", "scheduler=none", "optimizer.lr=1.5", "trainer.epochs=6"]
    app(*wild, "trainer.keep=best")
    app(*wild, "trainer.keep=last")
    best, last = app.runs()
    with best.metrics.open() as file:
        accuracies = [float(row["val/accuracy"]) for row in csv.DictReader(file)]
    assert max(accuracies) > accuracies[-1], "the case is not wild enough to tell the two apart"
    assert result(best)["metrics"]["val/accuracy"] == max(accuracies)
    assert result(last)["metrics"]["val/accuracy"] == accuracies[-1]


class Sweep:
    """A sweep that listens, and says `word` from report number `after` on, or in the middle of the next stretch."""

    def __init__(self, word: str = "", after: int = 99, in_the_middle: bool = False) -> None:
        self.word, self.after, self.in_the_middle, self.heard, self.batches = word, after, in_the_middle, [], 0

    def report(self, step: int, value: float, total: int | None) -> None:
        self.heard.append((step, value, total))

    def should_stop(self) -> str | None:
        return self.word if len(self.heard) >= self.after and not self.in_the_middle else None

    def called_off(self) -> str | None:
        self.batches += len(self.heard) >= self.after
        return self.word if self.in_the_middle and self.batches > 2 else None


def column(run: RunDir, name: str) -> list[float]:
    with run.metrics.open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("objective, name", [("val/accuracy",) * 2, ("[val/loss,parameters]", "val/loss")])
def test_a_sweep_hears_each_evaluation_by_the_first_objective(app: App, objective: str, name: str) -> None:
    with trial.watched_by(sweep := Sweep()):
        ended = app(f"objective={objective}")
    assert ended.code == 0, ended.err
    (run,) = app.runs()
    assert sweep.heard == [(number, value, 3) for number, value in enumerate(column(run, name), start=1)]
    assert result(run)["status"] == "completed"


@pytest.mark.parametrize(
    "word, status, reason",
    [
        ("pruned", "pruned", "pruned"),
        ("trial_timeout", "failed", "timeout"),
        ("target", "stopped", "target"),
        ("interrupted", "stopped", "interrupted"),
    ],
)
@pytest.mark.parametrize("in_the_middle", [False, True], ids=["after an evaluation", "in the middle of a stretch"])
def test_a_run_that_its_sweep_ends_leaves_at_once(
    app: App, monkeypatch: pytest.MonkeyPatch, word: str, status: str, reason: str, in_the_middle: bool
) -> None:
    scored = []
    metrics = evaluation.metrics
    monkeypatch.setattr(
        "inksweep.digits.training.evaluation.metrics", lambda *given: scored.append(len(given[1])) or metrics(*given)
    )
    with trial.watched_by(Sweep(word, 2, in_the_middle)):
        ended = app()
    assert ended.code == 0, ended.err
    assert f"{status} ({reason}) after epoch 2 of 3" in ended.out
    (run,) = app.runs()
    told = result(run)
    assert (told["status"], told["reason"], told["error"]) == (status, reason, None)
    # the last evaluation is what is known; the test split was not looked at
    last = {name: column(run, name)[-1] for name in ("val/loss", "val/accuracy")}
    assert told["metrics"] == last
    assert told["objective"] == {"name": "val/accuracy", "value": last["val/accuracy"]}
    assert scored == [100, 100]  # the validation pictures, twice
    assert column(run, "epoch") == [1, 2]
    assert checkpoint.load(run.checkpoint)["progress"]["rows"][-1]["epoch"] == 2
    assert not run.model.exists()


def test_in_a_log_a_run_says_between_its_evaluations_how_far_it_is(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "QUIET_S", 0.02)

    def slowly(task: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*given: Any, **named: Any) -> Any:
            time.sleep(0.05)
            return task(*given, **named)

        return slow

    monkeypatch.setattr(Learner, "learn", slowly(Learner.learn))
    monkeypatch.setattr(dataset, "load", slowly(dataset.load))
    ended = app("trainer.epochs=2")
    assert ended.code == 0, ended.err
    assert "preparing data and network: 0s so far" in ended.out
    assert re.search(r"^epoch 0\.\d\d of 2, batch \d+ of \d+$", ended.out, re.MULTILINE)
    assert re.search(r"^epoch 1\.\d\d of 2, batch \d+ of \d+, best val/accuracy 0\.\d{4}$", ended.out, re.MULTILINE)


def test_a_run_that_is_to_end_before_it_begins_says_so(app: App) -> None:
    with trial.watched_by(Sweep("target", after=0)):
        ended = app("objective=[val/loss,parameters,seconds/train]")
    assert ended.code == 0, ended.err
    told = result(app.runs()[0])
    assert (told["status"], told["reason"], told["metrics"]) == ("stopped", "target", {})
    assert [each["value"] for each in told["objectives"]] == [None, 784 * 16 + 16 + 16 * 10 + 10, None]


def test_a_word_after_the_last_evaluation_comes_too_late(app: App) -> None:
    with trial.watched_by(Sweep("target", after=3)):
        app()
    (run,) = app.runs()
    assert (result(run)["status"], result(run)["reason"]) == ("completed", None)
    assert run.model.is_file()
    assert "test/accuracy" in result(run)["metrics"]


def test_several_objectives_are_all_in_the_result(app: App) -> None:
    app("objective=[val/loss,parameters,seconds/train]")
    (run,) = app.runs()
    told = result(run)
    assert told["objective"] == {"name": "val/loss", "value": min(column(run, "val/loss"))}
    assert told["objectives"] == [
        told["objective"],
        {"name": "parameters", "value": 784 * 16 + 16 + 16 * 10 + 10},
        {"name": "seconds/train", "value": pytest.approx(told["seconds"]["train"], abs=1e-3)},
    ]


def test_a_list_of_one_objective_is_the_name(app: App) -> None:
    app("objective=[val/loss]", "trainer.epochs=1")
    told = result(app.runs()[0])
    assert told["objective"] == {"name": "val/loss", "value": told["metrics"]["val/loss"]}
    assert "objectives" not in told


def test_a_resumed_run_keeps_its_several_objectives(app: App) -> None:
    killed(app, "SIGKILL", 2, "objective=[val/loss,parameters]")
    (run,) = app.runs()
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    assert [each["name"] for each in result(run)["objectives"]] == ["val/loss", "parameters"]
    # the weights kept are those of the least loss
    assert result(run)["objective"]["value"] == min(column(run, "val/loss"))


def test_the_same_seed_gives_equal_weights_and_another_does_not(app: App) -> None:
    app("seed=1", "augment=affine")
    app("seed=1", "augment=affine")
    app("seed=2", "augment=affine")
    first, again, other = app.runs()
    assert same(weights(first), weights(again))
    assert not same(weights(first), weights(other))


def test_two_runs_in_the_same_second_have_folders_of_their_own(app: App) -> None:
    # The clock stands still to the second: only what is finer tells the two folders apart.
    class Clock(datetime):
        microseconds = iter(range(1, 100))

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 1, 2, 3, 4, 5, next(cls.microseconds))

    app.monkeypatch.setattr("hydra.core.utils.datetime", Clock)
    app("trainer.epochs=1")
    app("trainer.epochs=1")
    first, second = (run.root.name for run in app.runs())
    assert first != second
    assert first[:8] == second[:8] == "03-04-05"


# Dies by a signal right after a checkpoint, or in the middle of an epoch, whichever is asked for.
KILL_AFTER = """
import os, signal, sys
from inksweep.digits import checkpoint
from inksweep.digits.training.learner import Learner
save, learn, count = checkpoint.save, Learner.learn, 0
def counted():
    global count
    count += 1
    if count == {count}:
        os.kill(os.getpid(), signal.{signal})
def saving(path, content):
    save(path, content)
    path.name == "checkpoint.pt" and counted()
def learning(self, *batch, **epoch):
    counted()
    return learn(self, *batch, **epoch)
if {at!r} == "learn":
    Learner.learn = learning
else:
    checkpoint.save = saving
sys.path.insert(0, {repository!r})
import runpy
sys.argv[0] = "train.py"
runpy.run_path({repository!r} + "/train.py", run_name="__main__")
"""


def killed(
    app: App, number: str, count: int, *overrides: str, at: str = "checkpoint"
) -> subprocess.CompletedProcess[str]:
    """Run in a process of its own that gets signal `number` right after its `count`-th checkpoint, or at that batch."""
    code = KILL_AFTER.format(count=count, signal=number, at=at, repository=str(REPOSITORY))
    words = [*tiny(app.root), *QUICK, *overrides]
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=app.folder, capture_output=True, text=True, timeout=120
    )


def test_killed_and_resumed_equals_uninterrupted(app: App) -> None:
    # dropout, augmentation and averaged weights all carry state; the second checkpoint lies in the middle of the run
    settings = ["trainer.epochs=4", "model.dropout=0.3", "trainer.ema_decay=0.9", "augment=affine"]
    settings += ["trainer.evaluate_every_epochs=0.5"]
    dead = killed(app, "SIGKILL", 3, *settings)
    assert dead.returncode == -9, dead.stderr
    (run,) = app.runs()
    assert not run.result.exists()
    stored = run.config.read_text()

    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    assert "going on after epoch" in ended.out
    assert app.runs() == [run]  # in the same folder
    assert run.config.read_text() == stored
    app(*settings)
    _, whole = app.runs() if app.runs()[0] == run else reversed(app.runs())
    assert same(weights(run), weights(whole))
    for name in ("val/loss", "val/accuracy", "test/accuracy"):
        assert result(run)["metrics"][name] == result(whole)["metrics"][name]
    timeless = ["epoch", "step", "samples", "train/loss", "val/loss", "val/accuracy", "lr"]
    tables = []
    for each in (run, whole):
        with each.metrics.open() as file:
            tables.append([[row[name] for name in timeless] for row in csv.DictReader(file)])
    assert tables[0] == tables[1]
    assert not run.checkpoint.exists()


def test_killed_between_checkpoints_with_batch_norm_and_patience(app: App) -> None:
    # 7 batches an epoch, killed in the 18th: the third epoch has begun; the best epoch may lie behind.
    settings = ["trainer.epochs=6", "trainer.patience=2", "model.norm=batch", "data.batch_size=40"]
    settings += ["optimizer.lr=0.8", "scheduler=none"]
    dead = killed(app, "SIGKILL", 18, *settings, at="learn")
    assert dead.returncode == -9, dead.stderr
    (run,) = app.runs()
    assert app.plain(f"trainer.resume={run.root}").code == 0
    app(*settings)
    whole = next(other for other in app.runs() if other != run)
    assert same(weights(run), weights(whole))
    for name in ("reason", "metrics"):
        assert result(run)[name] == result(whole)[name]


def test_a_resumed_run_counts_its_seconds_on_and_finds_its_data(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    (app.folder / "near").symlink_to(app.root)
    killed(app, "SIGKILL", 2, "data.root=near")
    (run,) = app.runs()
    first = run.metrics.stat().st_mtime
    elsewhere = app.folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    assert not (elsewhere / "near").exists()
    # It began when it was begun.
    assert datetime.fromisoformat(result(run)["started"]).timestamp() <= first
    seconds = result(run)["seconds"]
    parts = seconds["startup"] + seconds["data"] + seconds["train"] + seconds["evaluate"]
    assert seconds["total"] == pytest.approx(parts, abs=2)
    assert seconds["total"] >= parts - 0.01


def test_a_run_that_is_being_written_is_not_resumed_by_another(app: App) -> None:
    app("trainer.epochs=1", "trainer.keep_checkpoint=true")
    (run,) = app.runs()
    run.result.unlink()
    with FileLock(run.lock):
        ended = app.plain(f"trainer.resume={run.root}")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "another process is writing this run" in ended.err


def test_an_interrupted_run_says_so_and_how_to_go_on(app: App) -> None:
    ended = killed(app, "SIGINT", 1)
    (run,) = app.runs()
    assert ended.returncode == 130
    assert f"python {app.entry} trainer.resume={run.root.relative_to(app.folder)}\n" in ended.stdout
    assert (result(run)["status"], result(run)["reason"]) == ("stopped", "interrupted")
    assert run.checkpoint.is_file()
    assert app.plain(f"trainer.resume={run.root}").code == 0
    assert result(run)["status"] == "completed"


def test_the_command_that_goes_on_can_be_typed(app: App) -> None:
    """The name of a folder may be no word to Hydra's grammar, nor to a shell."""
    run = RunDir(app.folder / "it's model=cnn,seed=2 é")
    ended = killed(app, "SIGINT", 1, "hydra.run.dir='it\\'s model=cnn,seed=2 é'")
    line = ended.stdout.partition("go on with: ")[2].partition("\n")[0]
    assert app.plain(*shlex.split(line)[2:]).code == 0
    assert result(run)["status"] == "completed"


def test_a_run_killed_before_its_first_checkpoint_begins_anew(app: App) -> None:
    app("trainer.epochs=1", "trainer.keep_checkpoint=true")
    (run,) = app.runs()
    run.checkpoint.unlink()
    run.result.unlink()
    before = weights(run)
    ended = app.plain(f"trainer.resume={run.root}")
    assert "beginning anew" in ended.out
    assert same(weights(run), before)


def test_what_cannot_be_resumed_is_refused_in_one_line(app: App) -> None:
    app("trainer.epochs=1", "trainer.keep_checkpoint=true")
    (run,) = app.runs()
    for words, message in [
        ([f"trainer.resume={run.root}"], "this run is complete; nothing is left to do"),
        (["trainer.resume=outputs/nowhere"], "trainer.resume=outputs/nowhere: no run directory"),
    ]:
        ended = app.plain(*words)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert message in ended.err
    assert not (app.folder / "outputs" / "nowhere").exists()

    run.result.unlink()
    ended = app.plain(f"trainer.resume={run.root}", "model=cnn")
    assert ended.code == 2
    assert "keeps its own settings; leave out model=cnn" in ended.err
    run.result.write_text('{"status": "comp')
    ended = app.plain(f"trainer.resume={run.root}")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "result.json: cannot be read" in ended.err
    run.result.unlink()
    run.checkpoint.write_bytes(run.checkpoint.read_bytes()[:500])
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 2
    assert "checkpoint.pt: cannot be read" in ended.err


def test_a_diverged_run_is_told_as_such(app: App) -> None:
    ended = app("optimizer=sgd", "optimizer.lr=1e20", "scheduler=none")
    assert ended.code == 1
    assert ended.err.startswith("error: training diverged: train/loss is")
    told = result(app.runs()[0])
    assert (told["status"], told["reason"]) == ("pruned", "diverged")
    assert told["objective"]["value"] is None


def test_a_failed_run_keeps_its_reason_and_traceback(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("inksweep.digits.training.evaluation.metrics", broken)
    with pytest.raises(RuntimeError, match="the sky fell"):
        app()
    told = result(app.runs()[0])
    assert (told["status"], told["reason"]) == ("failed", "RuntimeError")
    assert told["error"]["message"] == "the sky fell"
    assert "Traceback" in told["error"]["traceback"]


def test_out_of_memory_is_told_from_other_failures(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def hungry(*arguments: object) -> None:
        torch.empty(2**55)

    monkeypatch.setattr("inksweep.digits.training.evaluation.metrics", hungry)
    with pytest.raises(RuntimeError):
        app()
    assert result(app.runs()[0])["reason"] == "oom"


@pytest.mark.parametrize(
    "words, message",
    [
        (["optimizer.lr=-1"], "optimizer.lr=-1.0: must be above 0"),
        (["trainer.epochs=0"], "trainer.epochs=0: must be at least 1"),
        (["optimizer.lrr=1"], "Did you mean: 'lr'?"),
        (["model=cnnn"], "did you mean 'cnn'?"),
        (["data.batch_size=100000"], "data.batch_size=100000: must be at most"),
    ],
)
def test_a_bad_value_costs_one_line_and_leaves_nothing(app: App, words: list[str], message: str) -> None:
    ended = app(*words)
    assert (ended.code, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert message in ended.err
    assert app.runs() == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device that the test says is missing")
def test_a_device_that_is_not_there_is_refused(app: App) -> None:
    ended = app("trainer.device=cuda")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "trainer.device=cuda: this machine has no such device that torch can use; it has: cpu" in ended.err


def test_an_output_folder_that_cannot_be_written_is_named(app: App) -> None:
    (app.folder / "outputs").write_text("a file is in the way")
    ended = app()
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "outputs" in ended.err


def test_code_that_is_not_trusted_is_refused_with_the_way_to_trust_it(app: App) -> None:
    (app.folder / "extra" / "model").mkdir(parents=True)
    (app.folder / "extra/model/evil.yaml").write_text("_target_: os.getcwd\n")
    words = [word for word in [*tiny(app.root), *QUICK] if not word.startswith("model.")]
    ended = app.plain("--config-dir", "extra", "model=evil", *words)
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "model: os.getcwd cannot be built" in ended.err
    assert "TRUSTED in train.py" in ended.err


OWN = """
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, *, size, classes, bias=True):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(size * size, classes, bias=bias))
    def forward(self, images):
        return self.layers(images)

class Adam(torch.optim.Adam):
    pass

class Stripes:
    def __init__(self, root, train, download):
        count = 200 if train else 100
        torch.rand(3)  # preparing may draw random numbers; training must not notice
        self.targets = np.arange(count) % 2
        self.data = np.zeros((count, 28, 28), np.uint8)
        self.data[self.targets == 1, ::2] = 255
"""


def test_model_optimizer_and_data_of_ones_own_as_the_readme_says(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    # train.py with the one line changed, conf/ with three files more
    shutil.copytree(REPOSITORY / "conf", app.folder / "conf")
    entry = (REPOSITORY / "train.py").read_text()
    changed = entry.replace("TRUSTED = schema.TRUSTED", 'TRUSTED = (*schema.TRUSTED, "ownpackage.*")')
    assert changed != entry
    (app.folder / "train.py").write_text(changed)
    (app.folder / "ownpackage.py").write_text(OWN)
    (app.folder / "conf/model/own.yaml").write_text("_target_: ownpackage.Net\nbias: false\n")
    (app.folder / "conf/optimizer/own.yaml").write_text("_target_: ownpackage.Adam\nlr: 0.01\nweight_decay: 0.0\n")
    data_file = yaml.safe_load((REPOSITORY / "conf/data/mnist.yaml").read_text())
    data_file |= {"name": "stripes", "source": {"_target_": "ownpackage.Stripes"}, "npm": None, "checksums": None}
    data_file |= {"train_images": 200, "test_images": 100, "val_size": 50, "classes": ["plain", "striped"]}
    (app.folder / "conf/data/stripes.yaml").write_text(yaml.safe_dump(data_file | {"batch_size": 50}))
    monkeypatch.syspath_prepend(str(app.folder))
    app.entry = app.folder / "train.py"

    words = ["model=own", "optimizer=own", "data=stripes", "trainer.epochs=4", "trainer.threads=1"]
    for _ in range(2):
        ended = app.plain(*words)
        assert ended.code == 0, ended.err
    first, again = app.runs()
    assert result(first)["metrics"]["test/accuracy"] == 1.0
    # The first run prepared the data, the second found them prepared.
    assert same(weights(first), weights(again))

    ended = app.plain(*words, "+model.foo=1")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "model: ownpackage.Net cannot be built" in ended.err


def test_an_optimizer_without_a_fused_kernel_works(app: App) -> None:
    (app.folder / "extra" / "optimizer").mkdir(parents=True)
    (app.folder / "extra/optimizer/rms.yaml").write_text("_target_: torch.optim.RMSprop\nlr: 0.001\n")
    ended = app("--config-dir", "extra", "optimizer=rms", "trainer.epochs=1")
    assert ended.code == 0, ended.err
    # The command that a result names is whole.
    command = shlex.split(result(app.runs()[0])["command"])
    assert command[:4] == ["python", str(app.entry), "--config-dir", str(app.folder / "extra")]
    assert app.plain(*command[2:]).code == 0


def test_a_bad_value_under_a_sweep_leaves_nothing(app: App) -> None:
    ended = app("-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=bad", "trainer.epochs=0")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "trainer.epochs=0: must be at least 1" in ended.err
    assert not (app.folder / "multirun" / "bad").exists()


def test_a_bad_value_in_a_grid_is_in_its_result(app: App) -> None:
    ended = app("-m", "optimizer.lr=-1,0.1", "trainer.epochs=1")
    assert ended.code == 2
    assert "optimizer.lr=-1.0: must be above 0" in ended.err
    bad, good = (json.loads(path.read_text()) for path in sorted(app.folder.glob("multirun/*/*/*/result.json")))
    assert (bad["status"], bad["reason"]) == ("failed", "InputError")
    assert good["status"] == "completed"


@pytest.mark.parametrize("objective", ["[]", "null", "parameters"])
def test_a_bad_objective_in_a_grid_is_in_its_result(app: App, objective: str) -> None:
    ended = app("-m", f"objective={objective}", "trainer.epochs=1")
    assert ended.code == 2
    (told,) = (json.loads(path.read_text()) for path in app.folder.glob("multirun/*/*/*/result.json"))
    assert (told["status"], told["reason"], told["objective"]["value"]) == ("failed", "InputError", None)


def test_a_grid_runs_every_combination(app: App) -> None:
    ended = app("-m", "optimizer=sgd,adam", "seed=1,2", "trainer.epochs=1")
    assert ended.code == 0, ended.err
    folders = sorted(app.folder.glob("multirun/*/*/*/result.json"))
    assert [path.parent.name for path in folders] == ["0", "1", "2", "3"]
    assert [json.loads(path.read_text())["seed"] for path in folders] == [1, 2, 1, 2]


@pytest.mark.parametrize("objective, direction", [("val/accuracy", "maximize"), ("val/loss", "minimize")])
def test_a_sweep_moves_its_objective_the_right_way(app: App, objective: str, direction: str) -> None:
    ended = app(
        "-m", "hydra/sweeper=optuna", "hydra/sweeper/space=none", "hydra.sweeper.study_name=way",
        "hydra.sweeper.n_trials=2", "hydra.sweeper.target=null", "optimizer.lr=choice(0.0001,0.1)",
        "hydra/sweeper/sampler=grid", "hydra.sweeper.winner.card=false", f"objective={objective}",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    study = app.folder / "multirun" / "way"
    summary = json.loads((study / "summary.json").read_text())
    assert summary["direction"] == direction
    # a thousand times the learning rate is the better one, by either measure
    best = yaml.safe_load((study / "winner" / "config.yaml").read_text())
    assert best["optimizer"]["lr"] == 0.1


def test_the_search_of_the_lightning_hydra_template_runs(app: App) -> None:
    words = [word for word in [*tiny(app.root), "trainer.threads=1"] if not word.startswith("data.batch_size=")]
    ended = app.plain(
        "-m", "hydra/sweeper=optuna", "hydra/sweeper/space=lht_mnist", "hydra/sweeper/sampler=tpe",
        "hydra.sweeper.study_name=lht", "hydra.sweeper.sampler.seed=1234", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.target=null", "hydra.sweeper.winner.card=false", *words, "trainer.epochs=1",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    study = app.folder / "multirun" / "lht"
    for number in (0, 1):
        made_of = yaml.safe_load((study / str(number) / ".hydra" / "config.yaml").read_text())
        assert made_of["model"]["norm"] == "batch"  # the experiment reached the trial
        first, second, third = made_of["model"]["hidden"]
        assert {first, second} <= {64, 128, 256}
        assert third in {32, 64, 128, 256}
        assert made_of["data"]["batch_size"] in {32, 64, 128, 256}
        assert 1e-4 <= made_of["optimizer"]["lr"] <= 0.1
        assert made_of["trainer"]["epochs"] == 1  # what is typed wins over the experiment
        assert json.loads((study / str(number) / "result.json").read_text())["status"] == "completed"


@pytest.mark.parametrize("words", [["--help"], ["--cfg", "job"], ["-sc", "query=bash"]])
def test_help_config_and_completion_import_no_torch(words: list[str]) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['train.py', *{words!r}]\n"
        "try:\n"
        f"    runpy.run_path({str(REPOSITORY / 'train.py')!r}, run_name='__main__')\n"
        "except SystemExit as ended:\n"
        "    assert not ended.code, ended.code\n"
        "heavy = {'torch', 'torchvision', 'optuna', 'matplotlib', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {**os.environ, "COMP_LINE": "python train.py mod", "COMP_POINT": "19"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "model" in done.stdout


def test_a_verified_data_set_costs_no_import_of_torchvision(app: App) -> None:
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['train.py', *{[*tiny(app.root), *QUICK]!r}]\n"
        f"runpy.run_path({str(REPOSITORY / 'train.py')!r}, run_name='__main__')\n"
        "assert 'torch' in sys.modules\n"
        "assert 'torchvision' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=app.folder, timeout=300)
    assert done.returncode == 0, done.stderr


def test_a_run_on_all_data_says_that_validation_measures_nothing(app: App) -> None:
    said = "of pictures that it was trained on (data.train_on_all): it measures nothing"
    assert said not in app("trainer.epochs=1").out
    ended = app("trainer.epochs=1", "data.train_on_all=true", "trainer.keep=last", "trainer.patience=null",
                "hydra.run.dir=all", "figures=true")  # fmt: skip
    assert ended.code == 0
    assert said in ended.out
    assert result(RunDir(app.folder / "all"))["trained_on_validation"] is True
    assert result(app.runs()[0])["trained_on_validation"] is False


# Paths, odd and other.


@pytest.fixture
def here(app: App, prepared_root: Path) -> App:
    """The app, with the digits in its folder's own data/, and in the `digits` of a home folder."""
    for place in ("data", "home/digits"):
        shutil.copytree(prepared_root, app.folder / place)
    app.monkeypatch.setenv("HOME", str(app.folder / "home"))
    return app


def test_a_relative_path_means_where_it_was_typed_also_with_chdir(here: App) -> None:
    small = [*tiny("data"), *QUICK, "hydra.job.chdir=true"]
    ended = here.plain(*small, "hydra.run.dir=run")
    assert ended.code == 0, ended.err
    assert ended.out.endswith("-> run/model.pt\n")
    assert not (here.folder / "run" / "data").exists()
    # nothing was prepared anew, nor fetched
    assert "prepared in" not in ended.out
    killed(here, "SIGTERM", 1, "hydra.job.chdir=true", "data.root=data", "hydra.run.dir=ended")
    ended = here.plain("trainer.resume=ended", "hydra.job.chdir=true")
    assert ended.code == 0, ended.err
    assert "ended: going on after epoch 1" in ended.out
    ended = here.plain("-m", *small, "seed=1,2", "hydra.sweep.dir=grid")
    assert ended.code == 0, ended.err
    assert (here.folder / "grid" / "1" / "model.pt").is_file()


def test_a_home_folder_in_a_key_is_found(here: App) -> None:
    killed(here, "SIGTERM", 1, 'data.root="~/digits"', "hydra.run.dir=home/run")
    ended = here.plain('trainer.resume="~/run"')
    assert ended.code == 0, ended.err
    cli.main(["evaluate", "home/run", "data.root=~/digits"])
    cli.main(["evaluate", "~/run"])
    assert not (here.folder / "~").exists()
    ended = here.plain('data.root="~nobody-knows/digits"')
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "data.root=~nobody-knows/digits: the home folder is not known" in ended.err


# One folder, one run.


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(app: App, *words: str) -> str:
    """Start with `words`, which must be refused in one line and change no file; return the line."""
    before = content(app.folder)
    ended = app(*words)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert content(app.folder) == before
    return ended.err


def test_a_run_is_not_begun_in_the_folder_of_another(app: App) -> None:
    app("trainer.epochs=1", "hydra.run.dir=same")
    assert "hydra.run.dir=same: holds a run (completed) already; name another folder, or delete" in refused(
        app, "hydra.run.dir=same"
    )
    assert "outputs" not in {path.name for path in app.folder.iterdir()}
    app("optimizer=sgd", "optimizer.lr=1e20", "scheduler=none", "hydra.run.dir=diverged")
    assert "holds a run (pruned) already" in refused(app, "hydra.run.dir=diverged")
    # A run that Hydra described, of which nothing else is known.
    (app.folder / "other" / ".hydra").mkdir(parents=True)
    (app.folder / "other" / ".hydra" / "config.yaml").write_text("x: 1\n")
    assert "holds a run that did not end already" in refused(app, "hydra.run.dir=other")
    (app.folder / "night").mkdir()
    (app.folder / "night" / "sweep.yaml").write_text("")
    assert "holds a sweep already" in refused(app, "hydra.run.dir=night")


def test_a_killed_run_can_be_gone_on_with_and_not_written_over(app: App) -> None:
    killed(app, "SIGKILL", 1, "hydra.run.dir=ended")
    assert "go on with it (trainer.resume=ended), or name another" in refused(app, "hydra.run.dir=ended")
    ended = app.plain("trainer.resume=ended", "hydra.run.dir=elsewhere")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "hydra.run.dir=elsewhere: must be left out with trainer.resume=ended" in ended.err
    ended = app.plain("trainer.resume=ended", "hydra.output_subdir=.hydra")
    assert "hydra.output_subdir=.hydra: must be left out with trainer.resume" in ended.err
    ended = app.plain("trainer.resume=ended", "hydra.run.dir=ended")
    assert ended.code == 0, ended.err


def test_a_folder_with_other_files_is_no_run(app: App) -> None:
    (app.folder / "notes").mkdir()
    (app.folder / "notes" / "config.yaml").write_text("mine")
    ended = app("trainer.epochs=1", "hydra.run.dir=notes")
    assert ended.code == 0, ended.err
    assert (app.folder / "notes" / "config.yaml").read_text() == "mine"


def test_two_runs_that_begin_at_once_do_not_share_a_folder(app: App) -> None:
    (app.folder / "same").mkdir()
    with FileLock(app.folder / "same" / ".lock"):
        assert "same: another process is writing this run" in refused(app, "hydra.run.dir=same")
    assert [path.name for path in (app.folder / "same").iterdir()] == [".lock"]
    assert app("trainer.epochs=1", "hydra.run.dir=same").code == 0


def test_what_is_refused_leaves_a_folder_that_was_typed_as_it_was(app: App) -> None:
    assert "trainer.epochs=0: must be at least 1" in refused(app, "trainer.epochs=0", "hydra.run.dir=run")
    assert "hydra.run.dir=~/run: must be written out" in refused(app, 'hydra.run.dir="~/run"')
    assert list(app.folder.iterdir()) == []


def test_a_name_that_hydra_cannot_write_down_is_refused(app: App) -> None:
    for words in (["hydra.run.dir='bad\udcff'"], ["hydra.run.dir=run", "data.root='bad\udcff'"]):
        assert "must be UTF-8, or Hydra cannot write it down" in refused(app, *words)
    assert list(app.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["a b, c=d", 'it\'s "quoted"', "数字 ü", "[x]{y}$", "100%"])
def test_a_folder_may_be_called_anything_else(here: App, name: str) -> None:
    (here.folder / "data").rename(here.folder / name)
    words = [command.override(key, value) for key, value in (("data.root", name), ("hydra.run.dir", f"{name}/run"))]
    ended = here.plain(*TINY, *QUICK, *words, "trainer.epochs=1")
    assert ended.code == 0, ended.err
    assert f"-> {name}/run/model.pt" in ended.out
    cli.main(["evaluate", f"{name}/run"])
    cli.main(["evaluate", f"{name}/run", f"data.root={name}"])


def test_the_jobs_of_a_grid_do_not_share_a_folder(app: App) -> None:
    ended = app("-m", "trainer.epochs=1", "seed=1,2", "hydra.sweep.dir=grid", "hydra.sweep.subdir=same")
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "grid/same: holds a run (completed) already; give each job a folder of its own" in ended.err
    run = RunDir(app.folder / "grid" / "same")
    assert result(run)["seed"] == 1
    assert yaml.safe_load(run.config.read_text())["seed"] == 1


@pytest.mark.parametrize("subdir", ["null", "cfg"])
def test_a_run_is_described_wherever_hydra_writes_its_own_files(app: App, subdir: str) -> None:
    ended = app("trainer.epochs=1", "hydra.run.dir=run", f"hydra.output_subdir={subdir}")
    assert ended.code == 0, ended.err
    run = RunDir(app.folder / "run")
    assert yaml.safe_load(run.config.read_text())["trainer"]["epochs"] == 1
    assert "trainer.epochs=1" in yaml.safe_load(run.overrides.read_text())
    assert yaml.safe_load(run.hydra.read_text())["hydra"]["runtime"]["cwd"] == str(app.folder)
    cli.main(["evaluate", "run"])
