"""`inksweep card`, on real trainings of a second each: what is in the folder, and that it is never half."""

import ast
import contextlib
import errno
import io
import json
import re
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from matplotlib.image import imread

from inksweep import cli
from inksweep.digits import checkpoint, classifier, export
from inksweep.digits.card import command, source
from inksweep.digits.config.schema import Config
from inksweep.digits.data import dataset
from inksweep.digits.models import Ensemble
from inksweep.errors import InputError
from inksweep.files import put_folder
from inksweep.runs import predictions, reader
from tests.conftest import REPOSITORY, compose_config, tiny
from tests.runs import selections

NIGHT = Path("multirun") / "night"
# Folder and seed of each training.
TRAININGS = {"0": 1, "finalists/0": 2, "finalists/1": 3}
SELECTION: dict[str, Any] = selections.SELECTION | {
    "trials": {"complete": 10, "pruned": 37, "failed": 1},
    "stop_rule": {"metric": "test/accuracy", "value": 0.9, "looks": 3, "reached": True},
    "searched": {"model.dropout": 0.30000000000000004, "model.hidden": "[16]"},
    "commands": ["python train.py model=mlp trainer.threads=1"],
}
MEMBERS = {"model": {"path": "finalists/0", "seed": 2}, "members": ["finalists/0", "finalists/1"]}
FULL = {"full_data": True, "calibrate_on": "finalists/1"}
PICTURES = ["confusion.png", "mistakes.png", "reliability.png"]
WRITTEN = ["README.md", "card.json", "model.pt", "predictions.npz", *PICTURES]
# What may differ from one time to the next.
TIMES = re.compile(r"\d+\.\d+ ms")

Winner = Callable[..., Path]


@pytest.fixture(scope="session")
def trainings(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where all was started, with the trainings in it: read it, never change it."""
    base = tmp_path_factory.mktemp("trainings")
    for folder, seed in TRAININGS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(base)
            words = [*tiny(prepared_root), "trainer.epochs=2", "model.hidden=[16]", "trainer.threads=1"]
            words += [f"seed={seed}", f"hydra.run.dir={NIGHT / folder}"]
            patch.setattr(sys, "argv", ["train.py", *words])
            runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    return base


@pytest.fixture
def started(trainings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that a test may change, as if all had been started there; it is the current folder."""
    base = tmp_path / "base"
    shutil.copytree(trainings, base)
    for hydra in base.rglob("hydra.yaml"):
        hydra.write_text(hydra.read_text().replace(str(trainings), str(base)))
    monkeypatch.chdir(base)
    return base


@pytest.fixture
def winner(started: Path) -> Winner:
    """`winner(full_data=True, ...) -> folder`: the winner of the sweep, with these changes to its selection.json."""

    def save(**changes: object) -> Path:
        selection = SELECTION | changes
        folder, run = NIGHT / "winner", NIGHT / selection["model"]["path"]
        folder.mkdir()
        for name in ("model.pt", "predictions.npz", "result.json", "metrics.csv"):
            shutil.copyfile(run / name, folder / name)
        shutil.copyfile(run / ".hydra" / "config.yaml", folder / "config.yaml")
        (folder / "selection.json").write_text(json.dumps(selection))
        return folder

    return save


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time."""
    monkeypatch.setattr(command.pictures, "draw", lambda *_: None)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "card.json").read_text())


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.parent.iterdir() if path.is_dir() and path.name.startswith(".")]


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Give the command; return its one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["card", *map(str, words)])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    return said


def test_a_winner_is_completed_in_place(
    winner: Winner, prepared_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner()
    before, state = content(folder), checkpoint.load(folder / "model.pt")["state_dict"]
    cli.main(["card", str(folder)])
    assert "card: multirun/night/winner/README.md" in capsys.readouterr().out
    after = content(folder)
    assert set(after) == {*before, *WRITTEN}
    assert {name for name in before if before[name] != after[name]} == {"model.pt", "predictions.npz"}
    assert leftovers(folder) == []
    # The weights are the same bits, beside them the temperature; its probabilities are those of the file.
    saved = checkpoint.load(folder / "model.pt")
    assert all(torch.equal(saved["state_dict"][name], state[name]) for name in state)
    card = facts(folder)
    assert saved["temperature"] == card["calibration"]["temperature"] != 1.0
    digits = dataset.load(compose_config(tiny(prepared_root)).data).test
    with torch.inference_mode():
        probabilities = classifier.load(folder)(digits.images)
    answered = probabilities.argmax(dim=1)
    wrong = answered != digits.labels
    assert card["accuracy"]["test"]["errors"] == int(wrong.sum()) > 0
    stored = predictions.load(folder / "predictions.npz")["test"]
    assert stored.predicted.tolist() == answered.tolist()
    assert np.allclose(stored.confidence, probabilities.max(dim=1).values.numpy(), atol=1e-6)
    # The mistakes are the surest of the wrong ones.
    surest = probabilities.max(dim=1).values[wrong].sort(descending=True).values[:30]
    assert [one["confidence"] for one in card["mistakes"]] == pytest.approx(surest.tolist(), abs=1e-6)
    assert all(one["given"] != one["answer"] for one in card["mistakes"])
    assert card["selection"] == json.loads(before["selection.json"])
    # Below the clean digits, the same ones warped.
    warped = dataset.warped_digits(dataset.load(compose_config(tiny(prepared_root)).data).val)
    right = int((classifier.load(folder)(warped.images).argmax(dim=1) == warped.labels).sum())
    assert (card["warped"]["split"], card["warped"]["n"], card["warped"]["right"]) == ("val", 100, right)
    assert card["accuracy"]["test_corrected"] is None  # 150 pictures are not MNIST's test split
    for picture in PICTURES:
        assert imread(folder / picture).ndim == 3


def test_the_card_has_its_parts_in_order_and_its_pictures_beside_it(winner: Winner, no_pictures: None) -> None:
    folder = winner()
    cli.main(["card", str(folder)])
    text = (folder / "README.md").read_text()
    assert re.findall(r"^#+ (.*)", text, re.MULTILINE) == [
        "The winner of night",
        "How it was chosen",
        "Accuracy",
        "What the search saw of the test split, and what that costs",
        "Class by class",
        "Its most confident mistakes",
        "Is it as often right as it says?",
        "Size and speed",
        "Load it",
        "Train it again",
        "Where it comes from",
        "Limits",
    ]
    assert re.findall(r"!\[.*\]\((.*)\)", text) == PICTURES
    assert "48 trials (10 trained to the end, 37 given up early, 1 failed)" in text
    assert "`model.dropout=0.3`, `model.hidden=[16]`" in text
    # Again: the same, but for the time that a picture takes.
    before = content(folder)
    cli.main(["card", str(folder)])
    after = content(folder)
    assert TIMES.sub("", after.pop("README.md").decode()) == TIMES.sub("", before.pop("README.md").decode())
    assert {name for name in after if after[name] != before[name]} <= {"card.json"}


def test_the_five_lines_run_as_typed_where_the_sweep_was_started(
    winner: Winner, started: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    folder = winner()
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(started / "multirun")
        cli.main(["card", "night/winner"])
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert len(code.splitlines()) == 5
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, {})
    shares = ast.literal_eval(said.getvalue())
    assert list(shares) == list("0123456789")
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_a_single_run_gets_a_folder_and_stays_as_it_is(started: Path, no_pictures: None) -> None:
    run = NIGHT / "0"
    before = content(run)
    for _ in range(2):
        cli.main(["card", str(run)])
        (run / "card").rename(run / ".card-killed.old")  # between the two renames
        (run / ".card-half").mkdir()
        cli.main(["card", str(run)])
        after = content(run)
        assert {name: after[name] for name in before} == before
        assert {name for name in after if name not in before} == {
            f"card/{name}" for name in WRITTEN if name not in PICTURES
        } | {".card.lock"}
    text = (run / "card" / "README.md").read_text()
    assert "# The run multirun/night/0" in text
    assert "This is a single run" in text
    assert 'inksweep.load("multirun/night/0/card")' in text
    assert json.loads((run / "result.json").read_text())["command"] in text


def test_an_ensemble_is_built_of_its_members(winner: Winner, prepared_root: Path, no_pictures: None) -> None:
    folder = winner(**MEMBERS)
    cli.main(["card", str(folder)])
    model, about = checkpoint.load_model(folder / "model.pt")
    assert isinstance(model, Ensemble)
    # By hand: the mean of both, then the temperature.
    digits = dataset.load(compose_config(tiny(prepared_root)).data).test
    with torch.inference_mode():
        both = [classifier.load(NIGHT / path)(digits.images) for path in MEMBERS["members"]]
        mean = torch.stack(both).mean(dim=0)
        scaled = (mean.log() / about["temperature"]).softmax(dim=1)
        assert torch.allclose(classifier.load(folder)(digits.images), scaled, atol=1e-5)
    right = int((mean.argmax(dim=1) == digits.labels).sum())
    card = facts(folder)
    assert card["accuracy"]["test"]["right"] == right
    assert about["metrics"]["test/accuracy"] == right / 150
    assert predictions.load(folder / "predictions.npz")["test"].correct.sum() == right
    assert card["model"]["parameters"] == 2 * json.loads((NIGHT / "finalists/0/result.json").read_text())["parameters"]
    assert "2 MLPs with" in (folder / "README.md").read_text()
    # Whole by itself from now on.
    temperature, saved = about["temperature"], content(folder)
    shutil.rmtree(NIGHT / "finalists")
    cli.main(["card", str(folder), f"data.root={prepared_root}"])
    assert {name: content(folder)[name] for name in ("model.pt", "result.json")} == {
        name: saved[name] for name in ("model.pt", "result.json")
    }
    assert facts(folder)["calibration"]["temperature"] == temperature
    assert facts(folder)["training"] == card["training"]


def test_runs_that_merely_have_the_names_of_its_members_are_not_taken_for_them(
    winner: Winner, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner(**MEMBERS)
    first, second = (NIGHT / path / "model.pt" for path in MEMBERS["members"])
    own = first.read_bytes()
    shutil.copyfile(second, first)
    assert "is not the model that" in refusal(capsys, folder)
    # Once made, it is not made again.
    first.write_bytes(own)
    cli.main(["card", str(folder)])
    made = (folder / "model.pt").read_bytes()
    shutil.copyfile(second, first)
    cli.main(["card", str(folder)])
    assert (folder / "model.pt").read_bytes() == made


def test_an_ensemble_has_a_result_of_its_own(
    winner: Winner, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    commands = ["python train.py seed=2", "python train.py seed=3"]
    folder = winner(**MEMBERS, commands=commands)
    members = [reader.read(NIGHT / path) for path in MEMBERS["members"]]
    cli.main(["card", str(folder)])
    about, found = checkpoint.load(folder / "model.pt"), reader.read(folder)
    assert found.status == "completed"
    assert {name: found.metrics[name] for name in about["metrics"]} == about["metrics"]
    assert found.value == about["metrics"]["val/accuracy"]
    for name in ("parameters", "seconds/train", "seconds/total"):
        assert found.metrics[name] == pytest.approx(sum(member.metrics[name] for member in members), abs=1e-3)
    assert (found.facts["ensemble"], found.facts["command"]) == (MEMBERS["members"], None)
    assert found.facts["commands"] == commands
    assert found.facts["versions"] == members[0].facts["versions"]
    # Whoever measures or reads it agrees.
    capsys.readouterr()
    cli.main(["evaluate", str(folder)])
    assert f"val/accuracy {found.value:.4f} on 100 images, recorded {found.value:.4f}" in capsys.readouterr().out
    cli.main(["compare", str(folder), "--format", "json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["val/accuracy"], row["test/accuracy"]) == (found.value, about["metrics"]["test/accuracy"])
    text = (folder / "README.md").read_text()
    assert ", seeds 2, 3 |" in text
    assert "| members | `finalists/0`, `finalists/1` |" in text
    assert "| command |" not in text
    assert "These commands give the same weights" in text


def test_a_model_of_all_data_is_not_measured_on_what_it_has_seen(winner: Winner, no_pictures: None) -> None:
    folder = winner(**FULL)
    cli.main(["card", str(folder)])
    card, text = facts(folder), (folder / "README.md").read_text()
    assert card["accuracy"]["val"] is None
    assert not any(name.startswith("val/") for name in card["measured"])
    assert "There is no validation row: this model was trained on those pictures." in text
    assert "| validation |" not in text
    # Warped digits are of the test split then.
    assert (card["warped"]["split"], card["warped"]["n"]) == ("test", 150)
    assert "| test, warped |" in text
    # The temperature is that of the run which has not seen them.
    cli.main(["card", str(NIGHT / "finalists" / "1")])
    other = facts(NIGHT / "finalists" / "1" / "card")["calibration"]
    assert card["calibration"]["temperature"] == other["temperature"]
    assert card["calibration"]["val"] == other["val"]
    assert card["calibration"]["fitted_on"] == ["finalists/1"]


def test_an_ensemble_of_all_data_has_the_temperature_of_an_ensemble_that_has_not_seen_them(
    winner: Winner, no_pictures: None
) -> None:
    members = MEMBERS["members"]
    folder = winner(**MEMBERS, full_data=True, calibrate_on=members)
    cli.main(["card", str(folder)])
    shutil.move(folder, NIGHT / "all")
    other = winner(**MEMBERS)
    cli.main(["card", str(other)])
    card = facts(NIGHT / "all")["calibration"]
    assert card["temperature"] == pytest.approx(facts(other)["calibration"]["temperature"], rel=1e-6)
    assert card["val"]["after"] == pytest.approx(facts(other)["calibration"]["val"]["after"], rel=1e-4)
    assert card["fitted_on"] == members
    text = (NIGHT / "all" / "README.md").read_text()
    assert "fitted on the answers of 2 runs of the same configuration that had not seen them" in text
    assert "This is that model." not in text


@pytest.mark.parametrize("calibrate_on", ["finalists/1", ["finalists/1", "finalists/0"]])
def test_a_model_of_all_data_keeps_its_temperature_when_the_other_runs_are_gone(
    winner: Winner, prepared_root: Path, no_pictures: None, calibrate_on: object, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner(full_data=True, calibrate_on=calibrate_on)
    cli.main(["card", str(folder)])
    known, weights = facts(folder), content(folder)["model.pt"]
    shutil.rmtree(NIGHT / "finalists" / "1")
    for trials in (11, 12):  # and the search goes on, which changes nothing of the model
        told = json.loads((folder / "selection.json").read_text())
        (folder / "selection.json").write_text(json.dumps(told | {"trials": {"complete": trials}}))
        cli.main(["card", str(folder)])
        assert content(folder)["model.pt"] == weights
        assert facts(folder)["calibration"] == known["calibration"] | {"kept": True}
    assert "are those of the card before" in (folder / "README.md").read_text()
    # Also without that card; its rows are not made up.
    (folder / "card.json").unlink()
    cli.main(["card", str(folder)])
    assert facts(folder)["calibration"]["temperature"] == known["calibration"]["temperature"]
    assert facts(folder)["calibration"]["val"] is None
    text = (folder / "README.md").read_text()
    assert "the temperature is that of the card before" in text
    assert "No temperature was fitted" not in text
    # Only what was never fitted is refused.
    shutil.copyfile(NIGHT / "0" / "model.pt", folder / "model.pt")
    assert "the temperature is to be fitted on that run" in refusal(capsys, folder)


def test_a_run_on_all_data_without_another_gets_no_temperature(started: Path, no_pictures: None) -> None:
    run = NIGHT / "0"
    cli.main(["card", str(run), "data.train_on_all=true", "trainer.keep=last", "trainer.patience=null"])
    card = facts(run / "card")
    assert (card["calibration"]["temperature"], card["calibration"]["val"]) == (1.0, None)
    said = (run / "card" / "README.md").read_text()
    assert "No temperature was fitted" in said
    assert "| test | " in said  # one row: there is no before and after
    assert "test, before" not in said


def test_the_labels_of_the_test_split_decide_nothing(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    folder = winner()
    cli.main(["card", str(folder)])
    weights, known = content(folder)["model.pt"], facts(folder)
    load = dataset.load

    def shuffled(conf: Any) -> dataset.Splits:
        splits = load(conf)
        return dataset.Splits(splits.train, splits.val, dataset.Digits(splits.test.images, splits.test.labels.flip(0)))

    monkeypatch.setattr(dataset, "load", shuffled)
    cli.main(["card", str(folder)])
    assert facts(folder)["accuracy"]["test"] != known["accuracy"]["test"]
    assert facts(folder)["accuracy"]["val"] == known["accuracy"]["val"]
    assert content(folder)["model.pt"] == weights


def test_a_folder_that_is_none_is_named(started: Path, winner: Winner, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere: there is no such folder" in refusal(capsys, "nowhere")
    assert "no winner or run directory" in refusal(capsys, started)
    winner()
    assert "did you mean multirun/night/winner?" in refusal(capsys, NIGHT)


@pytest.mark.parametrize(
    ("changes", "file", "text", "line"),
    [
        ({}, "selection.json", "{", r"selection\.json: cannot be read"),
        ({}, "selection.json", "[]", r"selection\.json: cannot be read \(it holds no keys\)"),
        ({"schema_version": 2}, None, None, r"selection\.json: of a kind not known here \(schema_version 2\)"),
        ({"members": None}, None, None, r"selection\.json: cannot be used \(it lacks members\)"),
        ({"calibrate_on": 3}, None, None, r"selection\.json: cannot be used \(it lacks calibrate_on\)"),
        ({"stop_rule": {}}, None, None, r"selection\.json: cannot be used \(it lacks stop_rule\.metric\)"),
        ({"candidates": [{"trial": 1, "rank": 1}]}, None, None, r"\(it lacks candidates\.searched_objective\)"),
        ({}, "result.json", "{", r"result\.json: cannot be read"),
        ({}, "model.pt", "no weights", r"model\.pt: cannot be read as saved weights"),
        ({"members": ["finalists/0", "finalists/7"]}, None, None, r"finalists/7/model\.pt: there is no such file"),
        (FULL | {"calibrate_on": "finalists/7"}, None, None, r"finalists/7/model\.pt: there is no such file"),
    ],
)
def test_what_is_broken_is_one_line_and_the_winner_stays(
    winner: Winner,
    changes: dict[str, Any],
    file: str | None,
    text: str,
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = winner(**changes)
    if file:
        (folder / file).write_text(text)
    before = content(folder)
    assert re.search(line, refusal(capsys, folder))
    assert content(folder) == before
    assert leftovers(folder) == []


def test_a_setting_that_does_not_fit_is_one_line(
    winner: Winner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner()
    assert "data.rot" in refusal(capsys, folder, f"data.rot={tmp_path}")
    assert "its classes or picture size are not those of" in refusal(
        capsys, folder, "data.classes=[a,b,c,d,e,f,g,h,i,j]"
    )


def test_a_failure_on_the_way_leaves_the_old_winner(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner()
    before = content(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "mistakes.png")

    monkeypatch.setattr(command.pictures, "draw", full)
    assert "mistakes.png: No space left on device" in refusal(capsys, folder)
    assert content(folder) == before
    assert leftovers(folder) == []


def test_a_winner_that_changes_meanwhile_is_left_alone(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner()
    other = json.dumps(SELECTION | {"trial": 5})
    monkeypatch.setattr(command.pictures, "draw", lambda *_: (folder / "selection.json").write_text(other))
    assert "the winner was changed meanwhile" in refusal(capsys, folder)
    assert (folder / "selection.json").read_text() == other
    assert not (folder / "card.json").exists()
    # Or while it is being copied.
    with monkeypatch.context() as patch:
        gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "model.pt")
        patch.setattr(shutil, "copyfile", lambda *_, **__: (_ for _ in ()).throw(gone))
        assert "the winner was changed meanwhile" in refusal(capsys, folder)
    # And one that is being saved is waited for, but not for ever.
    monkeypatch.setattr(command, "PATIENCE_S", 0.1)
    monkeypatch.setattr(command.pictures, "draw", lambda *_: None)
    with FileLock(NIGHT / ".winner.lock"):
        assert "another process is saving the winner" in refusal(capsys, folder)


def test_two_at_once_do_not_mix(winner: Winner, capsys: pytest.CaptureFixture[str]) -> None:
    folder = winner()
    with FileLock(NIGHT / ".card.lock"):
        assert "another process writes its card or exports it" in refusal(capsys, folder)


def test_what_a_killed_one_left_is_cleared_away(winner: Winner, no_pictures: None) -> None:
    folder = winner()
    (folder.parent / ".card-abc" / "x").mkdir(parents=True)
    cli.main(["card", str(folder)])
    assert leftovers(folder) == []


def fake_export(folder: Path, formats: list[str], conf: Config) -> dict[str, Any]:
    """Stands for the exporters: writes a file and says so, or lacks a package."""
    (name,) = formats
    if name == "onnx":
        raise InputError("inksweep export: onnx is not installed")
    assert "temperature" in checkpoint.load(folder / "model.pt")
    assert Path(conf.data.root).is_absolute()
    (folder / "model.pt2").write_bytes(b"exported")
    entry = {
        "file": "model.pt2",
        "bytes": 8,
        "model_sha256": command.sha256(folder / "model.pt"),
        "checked": {"pictures": 150, "same_class": 150, "largest_difference": 3e-7},
        "latency_ms": {"batch_1": {"torch.export": 0.25, "torch": 0.5, "threads": 1, "repetitions": 300}},
    }
    export.record(folder, {name: entry})
    return {name: entry}


def test_exports_are_made_of_the_finished_model_and_what_cannot_be_is_a_warning(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, no_pictures: None
) -> None:
    monkeypatch.setattr(export, "make", fake_export)
    folder = winner(export=["torch-export", "onnx"])
    cli.main(["card", str(folder)])
    assert (folder / "model.pt2").read_bytes() == b"exported"
    assert "not exported as onnx: inksweep export: onnx is not installed" in caplog.text
    text = (folder / "README.md").read_text()
    assert "| model.pt2 | 8 bytes; the same answer on 150 of 150 test pictures, probabilities within 3e-07 |" in text
    assert "| one picture, torch.export | 0.250 ms" in text
    assert "| onnx | not exported: inksweep export: onnx is not installed |" in text


def test_an_export_is_made_again_only_where_it_is_of_another_model(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    made: list[str] = []

    def make(folder: Path, formats: list[str], conf: Config) -> dict[str, Any]:
        made.append(*formats)
        return fake_export(folder, formats, conf)

    monkeypatch.setattr(export, "make", make)
    folder = winner()
    # By hand, before there was a temperature.
    (folder / "model.pt2").write_bytes(b"old")
    (folder / "export.json").write_text(json.dumps({"torch-export": {"file": "model.pt2", "model_sha256": "old"}}))
    for _ in range(2):
        cli.main(["card", str(folder)])
        assert (folder / "model.pt2").read_bytes() == b"exported"
        assert "torch-export" in facts(folder)["exports"]
    assert made == ["torch-export"]


def test_an_export_of_another_model_that_cannot_be_made_again_is_removed(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, no_pictures: None
) -> None:
    monkeypatch.setattr(export, "make", fake_export)
    folder = winner()
    (folder / "model.onnx").write_bytes(b"old")
    others = {"torch-export": {"file": "/elsewhere/digits.pt2"}}
    stale = {"onnx": {"file": "model.onnx", "model_sha256": "old"}}
    (folder / "export.json").write_text(json.dumps(others | stale))
    cli.main(["card", str(folder)])
    assert not (folder / "model.onnx").exists()
    assert json.loads((folder / "export.json").read_text()) == others
    assert "not exported" in (folder / "README.md").read_text()


@pytest.mark.parametrize("file", ["../../digits.onnx", "{base}/digits.onnx", "../winner/model.onnx", "metrics.csv", 3])
def test_a_file_that_was_exported_elsewhere_is_not_the_winners(
    winner: Winner, started: Path, monkeypatch: pytest.MonkeyPatch, no_pictures: None, file: object
) -> None:
    monkeypatch.setattr(export, "make", lambda *_: pytest.fail("nothing is to be exported"))
    folder = winner()
    elsewhere = [started / "digits.onnx", folder / "model.onnx", folder.parent.parent / "digits.onnx"]
    for path in elsewhere:
        path.write_bytes(b"theirs")
    file = file.format(base=started) if isinstance(file, str) else file
    told = {"onnx": {"file": file, "model_sha256": "old"}}
    (folder / "export.json").write_text(json.dumps(told))
    before = (folder / "metrics.csv").read_bytes()
    cli.main(["card", str(folder)])
    assert all(path.read_bytes() == b"theirs" for path in elsewhere)
    assert (folder / "metrics.csv").read_bytes() == before
    assert json.loads((folder / "export.json").read_text()) == told
    assert facts(folder)["exports"] == {}


def test_a_winner_is_not_exported_while_its_card_is_written(
    winner: Winner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = winner()
    said: list[str] = []

    def typed_meanwhile(*_: object) -> None:
        with pytest.raises(InputError) as refused:
            export.export(folder, ["torch-export"])
        said.append(str(refused.value))

    monkeypatch.setattr(command.pictures, "draw", typed_meanwhile)
    cli.main(["card", str(folder)])
    assert said == ["multirun/night/winner: another process writes its card or exports it; wait for it or stop it"]


def test_a_winner_without_a_selection_says_so(winner: Winner, prepared_root: Path, no_pictures: None) -> None:
    folder = winner()
    (folder / "selection.json").unlink()
    cli.main(["card", str(folder), f"data.root={prepared_root}"])
    text = (folder / "README.md").read_text()
    assert "# The winner of night" in text
    assert "Not known: this winner has no selection.json." in text


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, old = tmp_path / ".new", tmp_path / "old"
    for folder in (new, old):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    replace = Path.replace

    def busy(self: Path, target: Path) -> Path:
        if self == new:
            raise OSError("busy")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", busy)
        with pytest.raises(OSError, match="busy"):
            put_folder(new, old)
    assert (old / "name").read_text() == "old"
    put_folder(new, old)
    assert (old / "name").read_text() == ".new"
    assert list(tmp_path.iterdir()) == [old]


def test_settings_are_those_of_the_run_wherever_it_is_typed(
    winner: Winner, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = winner().absolute()
    monkeypatch.chdir(started.parent)
    assert source.find(folder, []).shown == "multirun/night/winner"


@pytest.mark.parametrize("words", [["card"], ["evaluate"], ["export", "--format", "torch-export"]])
def test_a_relative_data_root_of_a_winner_is_that_of_its_run(
    winner: Winner,
    started: Path,
    prepared_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_pictures: None,
    words: list[str],
) -> None:
    (started / "digits").symlink_to(prepared_root)
    for config in (NIGHT / "0").rglob("config.yaml"):
        config.write_text(config.read_text().replace(f"root: {prepared_root}", "root: digits"))
        assert "root: digits" in config.read_text()
    folder = winner().absolute()
    monkeypatch.setattr(export, "make", lambda folder, formats, conf, out: (_ for _ in ()).throw(Found(conf.data.root)))
    monkeypatch.chdir(started.parent)
    command, *options = words
    if command == "export":
        with pytest.raises(Found, match=str(started / "digits")):
            cli.main([command, str(folder), *options])
    else:
        cli.main([command, str(folder), *options])


class Found(Exception):
    """What was to be found out."""


@pytest.mark.parametrize("typed", ["card", "evaluate", "export"])
@pytest.mark.parametrize("word", ["a=[1", "data.root=${", "data=[1]", "nonsense", "=3", "a.b.c=1"])
def test_a_word_that_cannot_be_read_is_one_line(
    winner: Winner, capsys: pytest.CaptureFixture[str], typed: str, word: str
) -> None:
    folder = winner()
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main([typed, str(folder), word])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert word.partition(".")[0].partition("=")[0] in said


def test_a_winner_that_a_killed_process_moved_aside_is_put_back(winner: Winner, no_pictures: None) -> None:
    folder = winner()
    before = content(folder)
    folder.rename(NIGHT / ".card-abc.old")
    cli.main(["card", str(folder)])
    assert content(folder)["result.json"] == before["result.json"]
    assert leftovers(folder) == []
