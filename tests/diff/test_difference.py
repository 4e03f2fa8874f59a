"""diff: two runs side by side, from their folders alone."""

import csv
import io
import json
import math
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from matplotlib.image import imread
from rich.console import Console

from inksweep import cli
from inksweep.diff import difference, pictures
from inksweep.diff import text as diff_text
from inksweep.diff.difference import ABSENT
from inksweep.errors import Unavailable
from inksweep.paths import RunDir, SweepDir
from inksweep.runs import predictions
from inksweep.runs.predictions import Predictions
from inksweep.runs.reader import visible
from inksweep.significance import Paired

SETTINGS: dict[str, Any] = {
    "data": {
        "name": "mnist", "root": "data", "classes": [*"0123456789"], "train_images": 400, "test_images": 150,
        "val_size": 100, "split_seed": 0, "size": 28, "transpose": False, "fit": None, "batch_size": 50,
    },
    "model": {"_target_": "inksweep.digits.models.MLP", "hidden": [16]},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1, "momentum": None},
    "objective": "val/accuracy",
    "seed": 1,
}  # fmt: skip
COLUMNS = ("epoch", "step", "samples", "train/loss", "val/loss", "val/accuracy", "lr", "seconds", "images_per_second")


def answers(labels: np.ndarray, wrong: Mapping[int, int], sure: Mapping[int, float] | None = None) -> Predictions:
    """Return answers that are right but for the rows in `wrong`; 99 % sure but for those in `sure`."""
    predicted, confidence = labels.copy(), np.full(len(labels), 0.99, dtype=np.float32)
    for row, answer in wrong.items():
        predicted[row] = answer
    for row, value in (sure or {}).items():
        confidence[row] = value
    return Predictions(labels, predicted, confidence)


LABELS = {"val": np.arange(100) % 10, "test": np.arange(150) % 7}
# A: wrong in rows 3 and 5; B: wrong in 5 (another answer) and 8.
A_TEST = answers(LABELS["test"], {3: 9, 5: 9}, {3: 0.5, 5: 0.8, 8: 0.9})
B_TEST = answers(LABELS["test"], {5: 8, 8: 9}, {3: 0.97, 5: 0.7, 8: 0.95})
A = {"val": answers(LABELS["val"], {}), "test": A_TEST}
B = {"val": answers(LABELS["val"], dict.fromkeys(range(1, 7), 0)), "test": B_TEST}


def make(
    folder: Path,
    splits: Mapping[str, Predictions] | None = None,
    settings: Mapping[str, Any] | None = None,
    choices: Mapping[str, str] | None = None,
    cwd: Path | str = "/nowhere",
    **result: Any,
) -> Path:
    """Write a completed run."""
    run = RunDir(folder)
    run.config.parent.mkdir(parents=True)
    run.config.write_text(yaml.safe_dump({**SETTINGS, **(settings or {})}))
    runtime = {"version": "1.4.0", "cwd": str(cwd), "choices": {"model": "mlp", "optimizer": "sgd", **(choices or {})}}
    run.hydra.write_text(yaml.safe_dump({"hydra": {"job": {"num": 0}, "runtime": runtime}}, sort_keys=False))
    run.lock.touch()
    splits = A if splits is None else splits
    metrics = {"val/loss": 0.25}
    for name, of_split in splits.items():
        metrics[f"{name}/accuracy"] = of_split.accuracy
    seconds = {"train": 8.0, "total": 10.0}
    known = {"device": "cpu (x86_64)", "threads": 1, "git": {"sha": "a" * 40}, "versions": {"torch": "2.15.0"}}
    content = {
        "schema_version": 1, "status": "completed", "metrics": metrics, "parameters": 1000, "seconds": seconds,
        "objective": {"name": "val/accuracy", "value": metrics.get("val/accuracy")}, **known, **result,
    }  # fmt: skip
    run.result.write_text(json.dumps(content))
    rows = [[1.0, 8, 400, 1.5, 0.5, 0.9, 0.1, 2.0, 100.0], [2.0, 16, 800, 0.5, 0.25, 0.95, 0.0, 4.0, 100.0]]
    with run.metrics.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    if splits:
        predictions.save(run.predictions, splits)
    return folder


def text(found: difference.Diff, width: int = 100, images: int = 6, **console: Any) -> str:
    to = Console(file=io.StringIO(), width=width, **console)
    diff_text.show(found, to, images)
    written = to.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    optimizer = {**SETTINGS["optimizer"], "lr": 0.01, "nesterov": True}
    b = make(tmp_path / "b", B, {"optimizer": optimizer, "seed": 2}, parameters=1200)
    return make(tmp_path / "a"), b


def test_settings_that_differ_are_all_there_also_those_of_one(two: tuple[Path, Path]) -> None:
    found = difference.compare(*two)
    assert found.settings == {"optimizer.lr": (0.1, 0.01), "optimizer.nesterov": (ABSENT, True), "seed": (1, 2)}
    said = text(found)
    assert "optimizer.nesterov  -    true" in said
    assert "data.batch_size" not in said


def test_settings_that_change_nothing_learnt_are_left_out(tmp_path: Path) -> None:
    a = make(tmp_path / "a", settings={"figures": False})
    b = make(tmp_path / "b", settings={"figures": True, "data": {**SETTINGS["data"], "root": "/elsewhere"}})
    found = difference.compare(a, b)
    assert found.settings == {}
    assert "Settings that differ\nnone" in text(found)


def test_classes_that_no_option_tells_apart_are_shown(tmp_path: Path) -> None:
    first, second = ({"model": {"_target_": target}} for target in ("mine.First", "mine.Second"))
    a, b = make(tmp_path / "a", settings=first), make(tmp_path / "b", settings=second)
    expected = {"model._target_": ("mine.First", "mine.Second")}
    assert difference.compare(a, b).settings == expected
    # Where the options differ they say it; where one has none, the classes do.
    c = make(tmp_path / "c", settings=second, choices={"model": "second"})
    assert difference.compare(a, c).settings == {"model": ("mlp", "second")}
    RunDir(c).hydra.write_text("hydra: {runtime: {choices: {optimizer: sgd}}}")
    assert difference.compare(a, c).settings == {"model": ("mlp", ABSENT)} | expected


def test_what_is_not_a_number_does_not_differ_from_itself(tmp_path: Path) -> None:
    a, b = (make(tmp_path / name, settings={"low": math.nan, "range": [math.nan, 1.0]}) for name in "ab")
    assert difference.compare(a, b).settings == {}


def test_a_difference_beyond_all_numbers_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, loss in (("a", 1.7e308), ("b", -1.7e308)):
        make(tmp_path / name, metrics={"val/loss": loss})
    cli.main(["diff", str(tmp_path / "a"), str(tmp_path / "b")])
    assert "-inf" in capsys.readouterr().out
    cli.main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "json"])
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["metrics"]["val/loss"]["difference"] == "-inf"


def test_settings_that_look_the_same_when_shortened_are_shown_in_full(tmp_path: Path) -> None:
    a = make(tmp_path / "a", settings={"seed": 0.12345678})
    b = make(tmp_path / "b", settings={"seed": 0.12345679})
    said = text(difference.compare(a, b))
    assert "0.12345678  0.12345679" in said


def test_a_winner_is_compared_with_a_run_though_it_knows_no_choices(tmp_path: Path) -> None:
    trial = make(tmp_path / "study" / "0")
    other = make(tmp_path / "study" / "1", settings={"model": {"_target_": "inksweep.digits.models.CNN"}},
                 choices={"model": "cnn"})  # fmt: skip
    SweepDir(tmp_path / "study").summary.write_text(json.dumps({"direction": "maximize"}))
    winner = SweepDir(tmp_path / "study").winner
    winner.root.mkdir()
    for source, target in (
        (RunDir(trial).config, winner.config),
        (RunDir(trial).result, winner.result),
        (RunDir(trial).predictions, winner.predictions),
    ):
        shutil.copy(source, target)
    assert difference.compare(trial, winner.root).settings == {}
    assert difference.compare(winner.root, other).settings == {
        "model._target_": ("inksweep.digits.models.MLP", "inksweep.digits.models.CNN"),
        "model.hidden": ([16], ABSENT),
    }
    same = difference.compare(trial, winner.root)
    assert same.tests["test"] == Paired(148, 0, 0, 2)
    assert "none: they give the same answer to each" in text(same)


def test_metrics_are_those_of_the_files(two: tuple[Path, Path]) -> None:
    results = [json.loads(RunDir(folder).result.read_text()) for folder in two]
    found = {metric.name: metric for metric in difference.compare(*two).metrics}
    assert list(found) == ["val/loss", "val/accuracy", "test/accuracy", "parameters", "seconds/train", "seconds/total"]
    for name in ("val/loss", "val/accuracy", "test/accuracy"):
        a, b = (result["metrics"][name] for result in results)
        assert (found[name].a, found[name].b, found[name].difference) == (a, b, b - a)
    # More accuracy is better, fewer parameters are; of equals neither is.
    better = {name: metric.better for name, metric in found.items()}
    assert better == {"val/loss": None, "val/accuracy": "A", "test/accuracy": None, "parameters": "A",
                      "seconds/train": None, "seconds/total": None}  # fmt: skip


def test_metrics_are_shown_with_sign_and_unit(two: tuple[Path, Path]) -> None:
    lines = {line.split()[0]: line.split() for line in text(difference.compare(*two)).splitlines() if line.strip()}
    assert lines["parameters"] == ["parameters", "1,000", "1,200", "+200", "A"]
    assert lines["test/accuracy"] == ["test/accuracy", "98.67%", "98.67%", "0"]
    assert ["val/accuracy", "100.00%", "94.00%", "-6.00", "points", "A"] in [
        line.split() for line in text(difference.compare(*two)).splitlines()
    ]


def test_an_objective_is_better_as_its_sweep_says(tmp_path: Path) -> None:
    # `score` does not say by its name that less of it is better.
    SweepDir(tmp_path).summary.write_text(json.dumps({"direction": "minimize"}))
    a, b = (make(tmp_path / str(n), metrics={}, objective={"name": "score", "value": n}) for n in (1, 2))
    (score,) = (metric for metric in difference.compare(a, b).metrics if metric.name == "score")
    assert score.better == "A"


def test_the_test_is_that_of_the_stored_predictions(two: tuple[Path, Path]) -> None:
    found = difference.compare(*two)
    # Recounted from the arrays, one picture at a time.
    for split in ("val", "test"):
        stored = [np.load(RunDir(folder).predictions) for folder in two]
        right = [list(arrays[f"{split}/predicted"] == arrays[f"{split}/labels"]) for arrays in stored]
        pairs = list(zip(*right, strict=True))
        counts = [pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))]
        assert found.tests[split] == Paired(*counts)
    assert found.tests["test"] == Paired(147, 1, 1, 1)
    assert found.tests["val"] == Paired(94, 6, 0, 0)


def test_the_verdict_is_said_in_words(two: tuple[Path, Path]) -> None:
    said = text(difference.compare(*two))
    # 6 to 0: twice 1/64.
    assert "val: A is significantly better; chance alone gives such a gap in 3.1% of cases" in said
    assert "test: no difference: only A is right as often as only B" in said


@pytest.mark.parametrize(
    ("paired", "words"),
    [
        (Paired(90, 0, 0, 10), "no difference: there is no picture that only one of them gets right"),
        (Paired(90, 2, 3, 10), "no significant difference; chance alone gives such a gap in 100% of cases"),
        (Paired(90, 5, 2, 10), "no significant difference; chance alone gives such a gap in 45% of cases"),
        (Paired(90, 1, 9, 10), "B is significantly better; chance alone gives such a gap in 2.1% of cases"),
        (Paired(90, 0, 900, 1), "B is significantly better; chance alone gives such a gap in less than 0.01% of cases"),
    ],
)
def test_verdicts(paired: Paired, words: str) -> None:
    assert diff_text.verdict(paired) == words


def test_other_labels_refuse_the_test_of_that_split_alone(two: tuple[Path, Path]) -> None:
    moved = {"val": answers(np.roll(LABELS["val"], 1), {}), "test": B_TEST}
    predictions.save(RunDir(two[1]).predictions, moved)
    found = difference.compare(*two, split="val")
    assert isinstance(found.tests["test"], Paired)
    assert "the val pictures of A and B are not the same ones" in str(found.tests["val"])
    said = text(found)
    assert "val: no test: the val pictures" in said
    assert "98.67%" in said


def test_predictions_of_other_lengths_are_not_paired(two: tuple[Path, Path]) -> None:
    predictions.save(RunDir(two[1]).predictions, {"val": B["val"], "test": answers(LABELS["test"][:9], {})})
    assert "not the same ones" in str(difference.compare(*two).tests["test"])


def flip(path: Path, place: int) -> None:
    """Damage one byte of what is compressed: the archive itself is whole."""
    content = bytearray(path.read_bytes())
    content[place] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "B: no predictions.npz (made before predictions were stored, or removed)"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "predictions.npz: cannot be read"),
        (lambda path: flip(path, 64), "predictions.npz: cannot be read"),
        (
            lambda path: predictions.save(path, {**B, "test": replace(B_TEST, confidence=np.zeros(3))}),
            "predictions.npz: cannot be used (its test arrays are no answers to pictures)",
        ),
        (
            lambda path: predictions.save(path, {**B, "test": answers(np.zeros(0, dtype=int), {})}),
            "predictions.npz: cannot be used (its test arrays are no answers to pictures)",
        ),
    ],
)
def test_without_predictions_the_rest_is_compared(two: tuple[Path, Path], damage: Any, said: str) -> None:
    damage(RunDir(two[1]).predictions)
    found = difference.compare(*two)
    assert said in str(found.tests["val"])
    assert said in str(found.disagreements)
    assert found.settings
    assert "val and test: no test: B: " in text(found)


def test_predictions_of_another_model_are_noted(two: tuple[Path, Path]) -> None:
    predictions.save(RunDir(two[0]).predictions, B)
    (note,) = difference.compare(*two).notes
    assert note == "A: its predictions.npz is of another model: val/accuracy 0.9400 by it, 1.0000 in result.json"


def test_disagreements_are_the_rows_with_other_answers_the_surest_first(two: tuple[Path, Path]) -> None:
    found = difference.compare(*two).disagreements
    assert not isinstance(found, str)
    # The less sure of the two: 0.9 in row 8, 0.7 in row 5, 0.5 in row 3.
    assert found.rows.tolist() == [8, 5, 3]
    assert [found.right(row) for row in (8, 5, 3)] == ["A", None, "B"]
    assert found.counts() == (1, 1, 1)
    lines = [line.split() for line in text(difference.compare(*two)).splitlines()]
    assert ["8", "1", "1", "90.0%", "9", "95.0%", "A"] in lines
    assert ["5", "5", "9", "80.0%", "8", "70.0%", "neither"] in lines


def test_classes_have_their_names(tmp_path: Path) -> None:
    data = {**SETTINGS["data"], "classes": ["t-shirt", "trouser", *"23456789"]}
    a, b = (make(tmp_path / name, splits, {"data": data}) for name, splits in (("a", A), ("b", B)))
    assert "  8  trouser  trouser  90.0%  9  95.0%  A" in text(difference.compare(a, b))


def test_a_list_is_cut_and_says_so(tmp_path: Path) -> None:
    wrong = answers(LABELS["test"], dict.fromkeys(range(40), 9))
    right = answers(LABELS["test"], {})
    a, b = (make(tmp_path / name, {"val": A["val"], "test": of}) for name, of in (("a", right), ("b", wrong)))
    found = difference.compare(a, b)
    assert "and 30 more" in text(found, images=0)
    assert "and 25 more" in text(found, images=15)
    assert "more:" not in text(found, images=99)


def test_curves_are_those_of_metrics_csv(two: tuple[Path, Path]) -> None:
    found = difference.compare(*two)
    for folder, rows in zip(two, found.curves, strict=True):
        with RunDir(folder).metrics.open() as file:
            assert [dict(row) for row in rows] == [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
    said = text(found)
    assert "val/accuracy  A  ▁" in said
    assert "90.00%  95.00%         2  95.00%" in said


def test_without_evaluations_there_are_no_curves(two: tuple[Path, Path]) -> None:
    for folder in two:
        RunDir(folder).metrics.unlink()
    assert "neither has any evaluation" in text(difference.compare(*two))


def test_one_evaluation_of_one_run_is_drawn(two: tuple[Path, Path]) -> None:
    RunDir(two[0]).metrics.unlink()
    lines = RunDir(two[1]).metrics.read_text().splitlines()[:2]
    RunDir(two[1]).metrics.write_text("\n".join(lines))
    said = text(difference.compare(*two))
    assert "val/accuracy  A  none" in said
    assert "Curves from epoch 1 to 1" in said


def test_notes_say_what_makes_two_runs_hard_to_compare(tmp_path: Path) -> None:
    other = {**SETTINGS["data"], "name": "kmnist", "split_seed": 3, "val_size": 50}
    a = make(tmp_path / "a")
    b = make(
        tmp_path / "b", B, {"data": other}, threads=2, git={"sha": "b" * 40}, versions={"torch": "2.16.0"},
        objective={"name": "val/loss", "value": 0.25}, status="stopped", reason="target",
    )  # fmt: skip
    assert difference.compare(a, b).notes == [
        "B is stopped (target): what it lacks is missing below",
        "other data: data.name mnist | kmnist",
        "other validation split: data.split_seed 0 | 3, data.val_size 100 | 50; their val/ metrics are of other "
        "pictures",
        "other objective: val/accuracy | val/loss; it chose the weights that were kept",
        "other machine: threads 1 | 2; their seconds say little",
        "other code: git aaaaaaa | bbbbbbb",
        "other versions: torch 2.15.0 | 2.16.0",
    ]


def test_seconds_are_no_merit_of_a_run_that_was_not_let_finish(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a"), make(tmp_path / "b", status="pruned", seconds={"total": 1.0})
    (seconds,) = (metric for metric in difference.compare(a, b).metrics if metric.name == "seconds/total")
    assert (seconds.difference, seconds.better) == (-9.0, None)


def broken_result(folder: Path) -> None:
    RunDir(folder).result.write_text("{")


def broken_config(folder: Path) -> None:
    RunDir(folder).config.write_text("{[")


def broken_curve(folder: Path) -> None:
    RunDir(folder).metrics.write_bytes(b"epoch\n\xff")


def foreign(folder: Path) -> None:
    for path in (RunDir(folder).result, RunDir(folder).lock, RunDir(folder).predictions):
        path.unlink()


def killed(folder: Path) -> None:
    RunDir(folder).result.unlink()
    RunDir(folder).predictions.unlink()


def other_version(folder: Path) -> None:
    RunDir(folder).result.write_text('{"schema_version": 99}')


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (broken_result, "is broken ("),
        (broken_config, "is broken ("),
        (broken_curve, "metrics.csv: cannot be read"),
        (foreign, "is foreign (no result.json"),
        (killed, "is unfinished: what it lacks is missing below"),
        (other_version, "is foreign (result.json is not of a kind known here"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_a_spoilt_run_is_said_to_be_and_the_other_is_shown(
    two: tuple[Path, Path], spoil: Any, note: str, which: int, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(two[which])
    for format_ in ("table", "json"):
        cli.main(["diff", *map(str, two), "--format", format_])
        said = " ".join(capsys.readouterr().out.split())
        assert note in said
        # Before it stands which of the two it is, and for a file also its path.
        assert f"{'AB'[which]}: " in said or f"{'AB'[which]} {note}" in said
        assert str(1200 if which == 0 else 1000) in said.replace(",", "")


def test_two_spoilt_runs_are_a_table_too(two: tuple[Path, Path]) -> None:
    for folder in two:
        broken_config(folder)
        RunDir(folder).metrics.unlink()
        RunDir(folder).predictions.unlink()
    said = text(difference.compare(*two))
    assert "no test: A and B: no predictions.npz (it is broken: only a completed run has one)" in said
    assert "the settings of A and B are not known" in said
    assert "neither has any\n" in said


def test_folders_with_markup_in_their_names_are_shown_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = make(tmp_path / "[red]a[/red]"), make(tmp_path / "b[/]", settings={"model": {"hidden": [32, 16]}})
    said = text(difference.compare(a, b))
    assert "[red]a[/red]" in said
    assert "[32,16]" in said


def test_names_with_controls_are_shown_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = make(tmp_path / "a\nb\x1b[31m"), make(tmp_path / "b", settings={"note": "x\x1b]0;title"})
    RunDir(a).metrics.write_bytes(b"\xff")
    said = text(difference.compare(a, b))
    assert "\x1b" not in said
    assert r"a\nb\x1b[31m" in said
    assert r"x\x1b]0;title" in said
    assert f"note: A: {visible(str(RunDir(a).metrics))}: cannot be read" in said


def test_a_terminal_without_unicode_gets_plain_characters(two: tuple[Path, Path]) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    diff_text.show(difference.compare(*two), Console(file=file, width=100), 6)
    file.seek(0)
    assert "val/accuracy |A |___" in file.read()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(two: tuple[Path, Path], width: int) -> None:
    assert max(map(len, text(difference.compare(*two), width=width).splitlines())) <= width


def test_json_is_all_of_it_unrounded(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["diff", *map(str, two), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    results = [json.loads(RunDir(folder).result.read_text()) for folder in two]
    assert found["a"]["folder"] == "a"
    assert found["settings"]["optimizer.nesterov"] == {"b": True}
    for who, result in zip("ab", results, strict=True):
        assert {name: values[who] for name, values in found["metrics"].items()} == {
            **result["metrics"], "parameters": result["parameters"],
            **{f"seconds/{phase}": seconds for phase, seconds in result["seconds"].items()},
        }  # fmt: skip
    paired = Paired(94, 6, 0, 0)
    assert found["tests"]["val"] == {
        "pictures": 100, "both_right": 94, "only_a": 6, "only_b": 0, "both_wrong": 0,
        "difference": -0.06, "interval": list(paired.interval), "p": 2 / 64,
    }  # fmt: skip
    assert found["disagreements"]["split"] == "test"
    first = found["disagreements"]["rows"][0]
    assert (first["row"], first["label"], first["b"]["answer"]) == (8, "1", "9")
    assert first["a"]["confidence"] == np.float32(0.9)
    assert len(found["curves"]["a"]) == 2


def test_json_holds_what_json_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = make(tmp_path / "a", settings={"seed": math.inf, "day": [yaml.safe_load("2026-01-02")]})
    cli.main(["diff", str(a), str(make(tmp_path / "b")), "--format", "json"])
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert found["settings"] == {"day": {"a": ["2026-01-02"]}, "seed": {"a": "inf", "b": 1}}


@pytest.mark.parametrize(
    ("paths", "line"),
    [
        (["a", "missing"], "missing: there is no such folder"),
        (["a", "empty"], "empty: is no run"),
        (["a", "a/result.json"], "a/result.json: is no run"),
        (["study", "a"], "study: is a sweep; diff takes two runs, such as study/0"),
        (["a", "a/../a"], "are the same run: name two"),
    ],
)
def test_what_is_no_pair_of_runs_is_one_line_and_exit_code_2(
    two: tuple[Path, Path], tmp_path: Path, paths: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "study").mkdir()
    SweepDir(tmp_path / "study").summary.write_text("{}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", *paths])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert line in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [["a"], ["a", "b", "c"], ["a", "b", "--images", "-1"], ["a", "b", "--split", "x"]])
def test_mistyped_words_are_refused(
    two: tuple[Path, Path], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["diff", *words])
    assert ended.value.code == 2
    assert "usage: inksweep" in capsys.readouterr().err


@pytest.fixture
def real(prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two runs over the tiny digits, each split with its own labels, started in the folder above the data."""
    (prepared,) = (prepared_root / "prepared").iterdir()
    labels = {"val": np.load(prepared / "train-labels.npy")[300:], "test": np.load(prepared / "test-labels.npy")}
    a = {name: answers(of_split, {}) for name, of_split in labels.items()}
    b = {name: answers(of_split, {7: 0 if of_split[7] else 1}) for name, of_split in labels.items()}
    # The tiny digits are under the name of their folder: `data.root` is relative to where a run was started.
    settings = {"data": {**SETTINGS["data"], "root": prepared_root.name}}
    monkeypatch.chdir(tmp_path)
    runs = [make(tmp_path / name, splits, settings, cwd=prepared_root.parent) for name, splits in (("a", a), ("b", b))]
    return runs[0], runs[1]


@pytest.mark.parametrize(("split", "part", "row"), [("test", "test", 7), ("val", "train", 307)])
def test_the_pictures_are_those_of_the_rows(
    real: tuple[Path, Path], prepared_root: Path, split: str, part: str, row: int
) -> None:
    (prepared,) = (prepared_root / "prepared").iterdir()
    found = difference.images(difference.compare(*real, split=split), [7])
    assert np.array_equal(found[0], np.load(prepared / f"{part}-images.npy")[row])


def test_pictures_are_drawn_where_there_are_greys(real: tuple[Path, Path]) -> None:
    found = difference.compare(*real)
    colours: dict[str, Any] = {"force_terminal": True, "color_system": "truecolor"}
    drawn = text(found, **colours)
    assert "▀" in drawn
    # 28 rows of pixels, two a line.
    assert sum("▀" in line for line in drawn.splitlines()) == 14
    for unfit in ({}, {"force_terminal": True, "color_system": "standard"}, {**colours, "no_color": True}):
        assert "▀" not in text(found, **unfit)
    assert "▀" not in text(found, images=0, **colours)
    assert "no pictures: they are 28 " in text(found, width=27, **colours)


def test_without_the_data_set_one_line_says_so(two: tuple[Path, Path]) -> None:
    said = text(difference.compare(*two), force_terminal=True, color_system="truecolor", width=200)
    assert (
        "no pictures: the data set is not there (looked for its prepared test pictures in /nowhere/data, data)" in said
    )
    assert "▀" not in said


def test_pictures_with_other_labels_are_not_those(real: tuple[Path, Path]) -> None:
    for folder in real:
        predictions.save(
            RunDir(folder).predictions, {name: replace(of, labels=of.labels[::-1]) for name, of in A.items()}
        )
    labels = A["test"].labels[::-1]
    with pytest.raises(Unavailable, match="the data set is not there"):
        pictures.find([difference.compare(*real).a], "test", labels)


def test_a_damaged_data_set_is_as_good_as_none(real: tuple[Path, Path], prepared_root: Path, tmp_path: Path) -> None:
    root = tmp_path / prepared_root.name
    shutil.copytree(prepared_root, root)
    for folder in real:
        text_ = RunDir(folder).hydra.read_text().replace(str(prepared_root.parent), str(tmp_path))
        RunDir(folder).hydra.write_text(text_)
    found = difference.compare(*real)
    assert len(difference.images(found, [7])) == 1
    (prepared,) = (root / "prepared").iterdir()
    (prepared / "test-images.npy").write_bytes(b"")
    with pytest.raises(Unavailable):
        difference.images(found, [7])


def test_the_data_set_is_looked_for_here_too(real: tuple[Path, Path], prepared_root: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    for folder in real:
        RunDir(folder).hydra.unlink()
    with pytest.raises(Unavailable):
        difference.images(difference.compare(*real), [7])
    monkeypatch.chdir(prepared_root.parent)
    assert len(difference.images(difference.compare(*real), [7])) == 1


def test_a_winner_was_started_where_its_trials_were(tmp_path: Path) -> None:
    make(tmp_path / "study" / "0", cwd="/some/place: with marks")
    (tmp_path / "study" / "winner").mkdir()
    assert pictures.started_from(tmp_path / "study" / "winner") == Path("/some/place: with marks")
    assert pictures.started_from(tmp_path / "elsewhere" / "winner") is None


def test_a_png_shows_curves_and_digits(real: tuple[Path, Path], tmp_path: Path) -> None:
    cli.main(["diff", *map(str, real), "--png", "out/it.png"])
    with_digits = imread(tmp_path / "out" / "it.png")
    cli.main(["diff", *map(str, real), "--png", "none.png", "--split", "val"])
    for folder in real:
        RunDir(folder).predictions.unlink()
    cli.main(["diff", *map(str, real), "--png", "curves.png"])
    assert with_digits.shape[0] > imread(tmp_path / "curves.png").shape[0]


def test_a_png_without_digits_says_why(two: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["diff", *map(str, two), "--png", "it.png", "--format", "json"])
    said = capsys.readouterr()
    json.loads(said.out)
    assert said.err.startswith("picture: it.png (without digits: the data set is not there")


def test_the_kept_evaluation_is_the_one_of_the_result(two: tuple[Path, Path]) -> None:
    found = difference.compare(*two)
    assert difference.kept(found.a, found.curves[0]) is None  # accuracy 1.0 is none of the rows
    rows = [
        {**row, "val/accuracy": 1.0, "val/loss": loss} for row, loss in zip(found.curves[0], (0.3, 0.25), strict=True)
    ]
    assert difference.kept(found.a, rows) == rows[1]


def test_it_loads_neither_torch_nor_hydra_nor_matplotlib(real: tuple[Path, Path]) -> None:
    # On a terminal with colours, so that pictures are drawn too.
    parent, child = pty.openpty()
    code = "import sys, inksweep.cli\ninksweep.cli.main(sys.argv[1:])\nprint(*sorted(sys.modules), file=sys.stderr)"
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    started = subprocess.Popen(
        [sys.executable, "-c", code, "diff", *map(str, real)], stdout=child, stderr=subprocess.PIPE, env=environment
    )
    os.close(child)
    drawn = b""
    while True:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # how the end looks on Linux
            break
        if not piece:
            break
        drawn += piece
    _, modules = started.communicate(timeout=300)
    os.close(parent)
    assert started.returncode == 0
    assert "▀".encode() in drawn
    assert not {"torch", "hydra", "omegaconf", "optuna", "matplotlib"} & set(modules.decode().split())


def test_who_trained_on_validation_gets_no_verdict_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    a, b = make(tmp_path / "a", A), make(tmp_path / "b", B, trained_on_validation=True)
    for found, who in ((difference.compare(a, b), "B"), (difference.compare(b, a), "A")):
        assert found.notes == [f"{who} trained on the validation pictures (data.train_on_all): no verdict by val/..."]
        better = {metric.name: metric.better for metric in found.metrics if metric.difference}
        assert better["val/accuracy"] is None
        assert found.tests["val"] == f"{who} trained on these pictures (data.train_on_all)"
        assert isinstance(found.tests["test"], Paired)
        said = text(found)
        assert f"val: no test: {who} trained on these pictures" in said
        assert f"no verdict by validation: {who} trained on these pictures (data.train_on_all)" in said
    assert "val/accuracy" in {metric.name for metric in found.metrics if metric.difference}
    # Not where they disagree on test.
    shown = text(difference.compare(a, b)), text(difference.compare(a, b, "val"))
    assert [said.count("no verdict by validation") for said in shown] == [1, 2]
    both = difference.compare(b, make(tmp_path / "c", A, trained_on_validation=True))
    assert both.notes[0].startswith("A and B trained on the validation pictures")


def test_an_ensemble_is_read_as_any_other(tmp_path: Path) -> None:
    # As a card leaves it: answers and metrics of the ensemble, the evaluations of one of its models.
    a = make(tmp_path / "a", A)
    b = make(tmp_path / "b", B, ensemble=["finalists/0", "finalists/1", "finalists/2"], parameters=3000)
    found = difference.compare(a, b)
    assert found.notes == ["B: is an ensemble of 3 models; the curve is that of one of them"]
    RunDir(b).metrics.unlink()
    assert difference.compare(a, b).notes == []
