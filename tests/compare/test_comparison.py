"""compare.py, rows.py, tables.py: the table of some runs. Expected numbers are computed from the files anew."""

import csv
import io
import json
import math
import os
import pty
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from inksweep import cli
from inksweep.files import held

MODELS = {"mlp": {"hidden": [256], "norm": "none"}, "cnn": {"channels": [16, 32], "norm": "batch"}}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def make(
    folder: Path, model: str | None = "mlp", accuracy: float | None = 0.9, status: str | None = "completed", **more: Any
) -> Path:
    """Write a run directory; `more` are settings (lr, seed, data, ...) or `reason`, `metrics`, `objective`.

    Without a model it is one of an app without config groups.
    """
    metrics = more.pop("metrics", None)
    if metrics is None:
        metrics = {} if accuracy is None else {"val/loss": 1 - accuracy, "val/accuracy": accuracy}
        metrics |= {"test/accuracy": accuracy + 0.001} if status == "completed" and accuracy is not None else {}
    objective = more.pop("objective", "val/accuracy")
    reason = more.pop("reason", None)
    seconds = more.pop("seconds", 12.25)
    settings = {
        "data": {"name": "mnist", "root": str(folder), "mean": 0.1307, "batch_size": 128} | more.pop("data", {}),
        "model": MODELS[model or "mlp"] | more.pop("values", {}),
        "optimizer": {"_target_": "torch.optim.SGD", "lr": more.pop("lr", 0.1)},
        "trainer": {"clip_norm": more.pop("clip_norm", None), "resume": str(folder)},
        "objective": objective,
        "seed": more.pop("seed", 1),
        **more.pop("settings", {}),
    }
    choices = {"model": model, "data": settings["data"]["name"]} if model else {}
    assert not more
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / ".hydra/hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    (folder / ".lock").touch()
    if status is not None:
        result = {
            "schema_version": 1,
            "status": status,
            "reason": reason,
            "objective": {"name": objective, "value": metrics.get(objective)},
            "metrics": metrics,
            "seconds": {"train": seconds - 1, "total": seconds},
            "parameters": 227466,
            "device": "cpu",
            "git": {"sha": "abc"},
            "error": None,
        }
        (folder / "result.json").write_text(json.dumps(result))
    return folder


@pytest.fixture
def sweep(place: Path) -> Path:
    """Ten trials: two models, five seeds, one of them pruned and one failed."""
    folder = place / "multirun" / "night"
    for number in range(10):
        model, seed = ("mlp", "cnn")[number % 2], number // 2
        status = {6: "pruned", 7: "failed"}.get(number, "completed")
        accuracy = {7: None}.get(number, 0.9 + number * 0.00713)
        reason = {6: "pruned", 7: "oom: out of memory"}.get(number)
        make(folder / str(number), model, accuracy, status, seed=seed, lr=0.1 / (1 + number // 4), reason=reason,
             seconds=10 + number / 3)  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"direction": "maximize"}))
    return folder


def say(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    cli.main(["compare", *words])
    return capsys.readouterr().out


def rows(*words: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(say(*words, "--format", "csv", capsys=capsys))))


def names(*words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [row["run"].rpartition("/")[2] for row in rows(*words, capsys=capsys)]


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line that a mistake costs."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", *words])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    return said.err


def test_csv_and_json_hold_every_number_as_it_is_in_the_folders(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = rows("multirun", capsys=capsys)
    listed = json.loads(say("multirun", "--format", "json", capsys=capsys))
    assert len(table) == len(listed) == 10
    for line, entry in zip(table, listed, strict=True):
        folder = Path(line["run"])
        stored = result(folder)
        config = yaml.safe_load((folder / ".hydra/config.yaml").read_text())
        assert folder == Path("multirun/night") / folder.name == Path(entry["run"])
        assert entry["status"] == line["status"] == stored["status"]
        assert (line["reason"] or None) == entry.get("reason") == stored["reason"]
        for name in ("val/accuracy", "test/accuracy"):
            assert entry.get(name) == stored["metrics"].get(name)
            assert line[name] == ("" if entry.get(name) is None else repr(stored["metrics"][name]))
        assert float(line["seconds"]) == entry["seconds"] == stored["seconds"]["total"]
        assert float(line["optimizer.lr"]) == entry["optimizer.lr"] == config["optimizer"]["lr"]
        assert int(line["seed"]) == entry["seed"] == config["seed"]


def test_the_table_holds_them_rounded_with_the_best_first(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say("multirun", capsys=capsys).splitlines()
    ordered = sorted(
        (str(n) for n in range(10) if n != 7), key=lambda name: -result(sweep / name)["metrics"]["val/accuracy"]
    )
    lines = [line for line in said if re.match(r"[★ ] \d+ ", line)]
    assert said[0] == "multirun/night"
    assert [line[2:].split()[0] for line in lines] == [*ordered, "7"]
    for line in lines:
        stored = result(sweep / line[2:].split()[0])
        assert line.endswith(f" {stored['seconds']['total']:.1f}")
        for value in stored["metrics"].values():
            assert f" {100 * value:.2f}" in line or value == stored["metrics"]["val/loss"]
    assert lines[0].startswith("★ 9")
    assert not any(line.startswith("★") for line in lines[1:])
    assert "failed: oom " in lines[-1]
    assert "pruned " in lines[2]
    assert said[-2:] == [
        "10 runs: 8 completed, 1 pruned, 1 failed",
        "★ 9: best of the completed runs by val/accuracy (more is better)",
    ]


def test_only_what_differs_gets_a_column(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def settings(*words: str) -> list[str]:
        listed = list(rows("multirun", *words, capsys=capsys)[0])
        return listed[listed.index("reason") + 1 : listed.index("val/accuracy")]

    # `hidden` and `channels` are the same wherever they exist; where the data lies says nothing.
    assert settings() == ["model", "model.norm", "optimizer.lr", "seed"]
    assert settings("--where", "model=cnn") == ["optimizer.lr", "seed"]
    assert settings("--where", "run=3") == []
    assert settings("--top", "1") == ["model", "model.norm", "optimizer.lr", "seed"]
    make(sweep / "10", values={"hidden": [256, 128]}, clip_norm=1.0, seed=0)
    # In the order of the configs, groups first.
    assert settings() == ["model", "model.hidden", "model.norm", "optimizer.lr", "trainer.clip_norm", "seed"]


def test_what_a_shell_makes_of_a_pattern_may_hold_files_and_empty_folders(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "figures").mkdir()
    everything = [str(path.relative_to(Path.cwd())) for path in sweep.iterdir()]
    assert sorted(names(*everything, capsys=capsys)) == list("0123456789")
    assert "figures: there is no run in it" in refused("multirun/night/figures", capsys=capsys)


def test_true_and_one_are_different(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("a", True), ("b", 1)):
        make(place / name, clip_norm=value)
    assert [row["trainer.clip_norm"] for row in rows(".", capsys=capsys)] == ["true", "1"]


def test_the_data_set_stands_for_its_facts(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(place / "a")
    make(place / "b", data={"name": "kmnist", "mean": 0.19})
    header = list(rows(".", capsys=capsys)[0])
    assert "data" in header
    assert not {"data.mean", "data.name", "data.root", "trainer.resume"} & set(header)
    make(place / "c", data={"mean": 0.5})
    assert "data.mean" in rows(".", capsys=capsys)[0]


def test_a_class_is_shown_unless_an_option_says_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(place / "a", values={"_target_": "mine.MLP"}, accuracy=0.9)
    make(place / "b", "cnn", values={"_target_": "mine.CNN"})
    assert "model._target_" not in rows(".", capsys=capsys)[0]
    make(place / "c", values={"_target_": "mine.Other"}, accuracy=0.8)
    targets = {row["run"]: row["model._target_"] for row in rows(".", capsys=capsys)}
    assert targets == {"a": "mine.MLP", "b": "mine.CNN", "c": "mine.Other"}
    table = rows("a", "c", "--group-by", "config", capsys=capsys)
    assert [(row["model._target_"], row["n"]) for row in table] == [("mine.MLP", "1"), ("mine.Other", "1")]


def test_without_options_classes_and_data_sets_are_told_apart(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(place / "a", None, values={"_target_": "mine.First"})
    make(place / "b", None, values={"_target_": "mine.Second"})
    make(place / "c", None, values={"_target_": "mine.First"}, data={"name": "kmnist", "mean": 0.19})
    table = rows(".", "--group-by", "config", capsys=capsys)
    assert sorted((row["data.name"], row["model._target_"], row["n"]) for row in table) == [
        ("kmnist", "mine.First", "1"), ("mnist", "mine.First", "1"), ("mnist", "mine.Second", "1"),
    ]  # fmt: skip
    assert "data.mean" not in table[0]  # the name says it


class TestWordsOfTheTable:
    """Settings and metrics that are called as the table's own columns."""

    WORDS: ClassVar = ["run", "status", "reason", "study", "seconds", "started", "best", "config", "n", "failed"]

    @pytest.fixture
    def two(self, place: Path) -> Path:
        for number, name in enumerate("ab"):
            settings = dict.fromkeys([*self.WORDS, "label"], f"mine {number}")
            make(place / name, accuracy=0.9 + number / 100, settings=settings)
        return place

    def test_each_has_a_column_of_its_own(self, two: Path, capsys: pytest.CaptureFixture[str]) -> None:
        header, *lines = csv.reader(io.StringIO(say(".", "--format", "csv", capsys=capsys)))
        assert len(set(header)) == len(header)
        best = dict(zip(header, lines[0], strict=True))
        assert (best["run"], best["status"], best["seconds"], best["best"]) == ("b", "completed", "12.25", "true")
        assert {best[key] for key in ["label", *(f"config.{word}" for word in self.WORDS)]} == {"mine 1"}
        said = say(".", "--columns", "run,label", capsys=capsys)
        assert re.search(r"^★ b +mine 1$", said, re.MULTILINE)

    @pytest.mark.parametrize("word", WORDS)
    def test_they_sort_choose_and_group(self, two: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert names(".", "--sort", f"config.{word}:asc", capsys=capsys) == ["a", "b"]
        assert names(".", "--where", f"config.{word}='mine 0'", capsys=capsys) == ["a"]
        table = rows(".", "--group-by", f"config.{word}", capsys=capsys)
        assert [(row[f"config.{word}"], row["n"], row["seconds mean"]) for row in table] == [
            ("mine 1", "1", "12.25"), ("mine 0", "1", "12.25"),
        ]  # fmt: skip

    def test_the_plain_word_leads_to_it(self, two: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert "did you mean 'config.n'?" in refused(".", "--where", "n=1", capsys=capsys)

    def test_metrics_too(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name, value in (("a", 3.0), ("b", 5.0)):
            make(place / name, metrics={"n": value, "best": value}, objective="n")
        make(place / "c", metrics={}, objective="n", status="failed")
        table = rows(".", capsys=capsys)
        assert [(row["run"], row["metrics.n"], row["best"]) for row in table] == [
            ("b", "5.0", "true"), ("a", "3.0", "false"), ("c", "", "false"),
        ]  # fmt: skip
        (group,) = rows(".", "--group-by", "model", "--metric", "metrics.best,metrics.n", capsys=capsys)
        assert (group["n"], group["metrics.n mean"], group["metrics.best mean"]) == ("2", "4.0", "4.0")

    def test_what_is_grouped_by_is_no_mean(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name, seconds in (("a", 3.5), ("b", 3.5), ("c", 8.0)):
            make(place / name, seconds=seconds)
        table = rows(".", "--group-by", "seconds", capsys=capsys)
        assert [(row["seconds"], row["n"]) for row in table] == [("3.5", "2"), ("8.0", "1")]
        assert not any("Spread" in line for line in say(".", "--group-by", "seconds", capsys=capsys).splitlines())
        table = rows(".", "--group-by", "val/accuracy", capsys=capsys)
        assert [(row["val/accuracy"], row["n"], row["best"]) for row in table] == [("0.9", "3", "true")]


def test_numbers_near_the_largest_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, loss in (("a", 1.7e308), ("b", 1.5e308), ("c", 1.6e308)):
        make(place / name, metrics={"val/accuracy": 0.9, "val/loss": loss}, seconds=loss)
    words = (".", "--group-by", "model", "--metric", "val/loss")
    (row,) = rows(*words, capsys=capsys)
    assert float(row["val/loss mean"]) == pytest.approx(1.6e308)
    assert float(row["val/loss sd"]) == pytest.approx(1e307)
    assert max(map(len, say(*words, capsys=capsys).splitlines())) < 130
    assert "1.7e+308" in say(".", "--metric", "val/loss", capsys=capsys)
    # A deviation beyond all numbers is a word to JSON.
    make(place / "d", metrics={"val/accuracy": 0.9, "val/loss": -1.7e308})
    (row,) = json.loads(say("a", "d", *words[1:], "--format", "json", capsys=capsys), parse_constant=pytest.fail)
    assert (row["val/loss mean"], row["val/loss sd"]) == (0, "inf")


def test_json_has_no_numbers_that_json_does_not_know(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, bounds in (("a", [math.nan, math.inf]), ("b", [math.nan, 1.0]), ("c", {"x": [{1: -math.inf}]})):
        make(place / name, settings={"bounds": bounds, "low": math.nan})
    words = [".", "--sort", "run", "--format", "json"]
    listed = json.loads(say(*words, "--columns", "bounds,bounds.x", capsys=capsys), parse_constant=pytest.fail)
    assert [row.get("bounds") for row in listed] == [["nan", "inf"], ["nan", 1.0], None]
    assert listed[2]["bounds.x"] == [{"1": "-inf"}]
    assert "low" not in json.loads(say(*words, capsys=capsys))[0]  # it does not differ
    assert names(".", "--where", "low=nan", "--sort", "run", capsys=capsys) == ["a", "b", "c"]


def test_names_with_controls_are_shown_escaped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "night\x1b[31m"
    make(place / odd / "a\nb", settings={"note\x1b[1m": "x\x1b]0;title\x07"})
    make(place / odd / "c", accuracy=0.8, settings={"note\x1b[1m": "y"})
    (place / odd / "d\n").mkdir()
    (place / odd / "d\n" / "result.json").write_text("{")
    for words in ([], ["--columns", "run,note\x1b[1m"], ["--format", "markdown"]):
        said = say(".", *words, capsys=capsys)
        assert "\x1b" not in said
        assert "\x07" not in said
        assert r"broken: night\x1b[31m/d\n: result.json" in said
    lines = say(".", capsys=capsys).splitlines()
    assert lines[0] == r"night\x1b[31m"
    assert any(line.startswith(r"★ a\nb ") for line in lines)
    # A program gets them as they are.
    assert rows(".", capsys=capsys)[0]["run"] == f"{odd}/a\nb"


def test_null_is_a_value_and_what_a_run_lacks_is_not(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(place / "a", clip_norm=1.5)
    make(place / "b")
    make(place / "c", "cnn", values={"channels": [8]})
    make(place / "d", "cnn")
    table = rows(".", "--sort", "run", capsys=capsys)
    assert [row["trainer.clip_norm"] for row in table] == ["1.5", "null", "null", "null"]
    assert [row["model.channels"] for row in table] == ["", "", "[8]", "[16,32]"]
    listed = json.loads(say(".", "--sort", "run", "--format", "json", capsys=capsys))
    assert listed[1]["trainer.clip_norm"] is None
    assert "model.channels" not in listed[0]


class TestSorting:
    def test_metrics_go_best_first_by_their_nature(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        by_loss = sorted(
            (str(n) for n in range(10) if n != 7), key=lambda name: result(sweep / name)["metrics"]["val/loss"]
        )
        assert names("multirun", "--sort", "val/loss", capsys=capsys) == [*by_loss, "7"]
        # Those without the value are last either way.
        assert names("multirun", "--sort", "val/loss:desc", capsys=capsys) == [*by_loss[::-1], "7"]
        assert "val/loss" in rows("multirun", "--sort", "val/loss", capsys=capsys)[0]

    def test_settings_and_numbers_of_runs_ascend(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make(sweep / "10", seed=1, lr=0.01)
        assert names("multirun", "--sort", "run", capsys=capsys) == list(map(str, range(11)))
        assert names("multirun", "--sort", "model:desc,seed", capsys=capsys)[:4] == ["0", "2", "10", "4"]

    def test_equal_ones_stay_in_order_and_the_first_is_the_best(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(3):
            make(place / str(number), accuracy=0.95, seed=number)
        table = rows(".", capsys=capsys)
        assert [(row["run"], row["best"]) for row in table] == [("0", "true"), ("1", "false"), ("2", "false")]


class TestBest:
    def best(self, *words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
        return [row["run"] for row in rows(*words, capsys=capsys) if row["best"] == "true"]

    def test_only_completed_runs_and_only_validation_count(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make(place / "chosen", accuracy=0.95)
        make(place / "pruned", accuracy=0.99, status="pruned")
        make(place / "tested", metrics={"val/accuracy": 0.94, "test/accuracy": 0.999})
        assert self.best(".", capsys=capsys) == ["chosen"]
        assert self.best(".", "--sort", "test/accuracy", capsys=capsys) == ["chosen"]
        assert self.best(".", "--metric", "test/accuracy", capsys=capsys) == ["chosen"]

    def test_a_sweep_says_in_which_direction(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (sweep / "summary.json").write_text(json.dumps({"direction": "minimize"}))
        assert self.best("multirun", capsys=capsys) == ["multirun/night/0"]
        assert names("multirun", capsys=capsys)[0] == "0"
        assert "(less is better)" in say("multirun", capsys=capsys)

    def test_a_loss_is_better_if_it_is_less(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        for name, accuracy in (("a", 0.9), ("b", 0.95)):
            make(place / name, accuracy=accuracy, objective="val/loss")
        assert self.best(".", capsys=capsys) == ["b"]

    def test_different_objectives_have_no_best(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make(place / "a")
        make(place / "b", objective="val/loss")
        assert self.best(".", capsys=capsys) == []
        said = say(".", capsys=capsys)
        assert "no best is marked: the runs have different objectives, val/accuracy (maximized), val/loss" in said
        assert "★" not in said

    def test_it_is_named_when_it_is_not_among_the_first(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        said = say("multirun", "--sort", "run", "--top", "2", capsys=capsys)
        assert "the first 2 of 10 rows" in said
        assert "★ 9: best" in said

    def test_the_test_split_chooses_nothing(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make(place / "a", objective="test/accuracy")
        assert self.best(".", capsys=capsys) == []
        assert "test split" in say(".", capsys=capsys)


def test_a_metric_with_the_name_of_a_setting(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(place / "a")
    stored = result(make(place / "b", accuracy=0.8))
    stored["objective"] = {"name": None, "value": 3.5}  # as the app of someone else
    (place / "b" / "result.json").write_text(json.dumps(stored))
    table = {row["run"]: row for row in rows(".", capsys=capsys)}
    assert (table["b"]["objective"], table["a"]["objective"]) == ("3.5", "")
    assert re.search(r"^b +completed .* 3\.500 ", say(".", capsys=capsys), re.MULTILINE)
    (row,) = rows(".", "--group-by", "model", capsys=capsys)
    assert (row["objective mean"], row["objective n"]) == ("3.5", "1")


class TestGroups:
    def test_mean_and_deviation_are_of_the_completed_runs(
        self, sweep: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = rows("multirun", "--group-by", "model", capsys=capsys)
        assert [row["model"] for row in table] == ["cnn", "mlp"]  # the better mean first
        said = say("multirun", "--group-by", "model", capsys=capsys)
        for row in table:
            stored = [result(sweep / str(n)) for n in range(row["model"] == "cnn", 10, 2)]
            completed = [one for one in stored if one["status"] == "completed"]
            assert int(row["n"]) == len(completed) == 4
            for status in ("pruned", "failed"):
                assert int(row[status] or 0) == sum(one["status"] == status for one in stored)
            for name in ("val/accuracy", "test/accuracy"):
                values = [one["metrics"][name] for one in completed]
                mean, sd = sum(values) / len(values), statistics.stdev(values)
                assert float(row[f"{name} mean"]) == pytest.approx(mean, rel=1e-12)
                assert float(row[f"{name} sd"]) == pytest.approx(sd, rel=1e-12)
                assert row[f"{name} n"] == "4"
                assert f"{100 * mean:.2f} ± {100 * sd:.2f}" in said
            seconds = [one["seconds"]["total"] for one in completed]
            assert float(row["seconds mean"]) == pytest.approx(sum(seconds) / 4, rel=1e-12)
        assert [row["best"] for row in table] == ["true", "false"]
        assert "n: completed runs; metrics: their mean ± sample standard deviation" in said
        assert "within a group these differ: optimizer.lr, seed" in said

    def test_config_is_all_that_differs_but_the_seed(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        table = rows("multirun", "--group-by", "config", capsys=capsys)
        keys = [(row["model"], float(row["optimizer.lr"])) for row in table]
        assert sorted(keys) == sorted((m, lr) for m in ("mlp", "cnn") for lr in (0.1, 0.1 / 2, 0.1 / 3))
        assert "seed" not in table[0]
        # One completed run has no deviation.
        assert {row["n"]: bool(row["val/accuracy sd"]) for row in table} == {"1": False, "2": True}

    def test_runs_that_only_have_different_seeds_are_one_row(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for seed in range(3):
            make(place / str(seed), accuracy=0.9 + seed / 100, seed=seed)
        (row,) = rows(".", "--group-by", "config", capsys=capsys)
        assert row["n"] == "3"
        assert float(row["val/accuracy mean"]) == pytest.approx(0.91)
        assert float(row["val/accuracy sd"]) == pytest.approx(0.01)

    def test_a_metric_that_some_runs_lack_says_of_how_many_it_is(
        self, place: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make(place / "0")
        make(place / "1", metrics={"val/accuracy": 0.92}, seed=2)
        (row,) = rows(".", "--group-by", "model", capsys=capsys)
        assert (row["val/accuracy n"], row["test/accuracy n"]) == ("2", "1")
        assert "not all of them have each metric" in say(".", "--group-by", "model", capsys=capsys)

    def test_null_and_nothing_are_two_groups(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make(place / "0")
        make(place / "1", clip_norm=1.0)
        (place / "foreign").mkdir()
        (place / "foreign" / "result.json").write_text("{}")
        table = rows(".", "--group-by", "trainer.clip_norm", capsys=capsys)
        assert [(row["trainer.clip_norm"], row["n"], row["foreign"]) for row in table] == [
            ("null", "1", ""), ("1.0", "1", ""), ("", "0", "1"),
        ]  # fmt: skip

    def test_columns_and_sorting(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ["multirun", "--group-by", "model", "--columns", "val/loss,n,model", "--sort", "model:desc"]
        table = rows(*words, capsys=capsys)
        assert list(table[0]) == ["val/loss mean", "val/loss sd", "val/loss n", "n", "model"]
        assert [row["model"] for row in table] == ["mlp", "cnn"]


class TestWhere:
    def test_it_chooses_runs(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        wanted = {str(n) for n in range(1, 10, 2) if result(sweep / str(n))["metrics"].get("val/accuracy", 0) > 0.93}
        assert set(names("multirun", "--where", "model=cnn and val/accuracy>93%", capsys=capsys)) == wanted != set()
        assert names("multirun", "--where", "status=failed or reason=pruned", capsys=capsys) == ["6", "7"]
        assert names("multirun", "--where", "study=night and run>8", capsys=capsys) == ["9"]
        assert names("multirun", "--where", "device=cpu and git.sha=abc and run<1", capsys=capsys) == ["0"]
        assert "5 of 10 runs: 4 completed" in say("multirun", "--where", "model=cnn", capsys=capsys)

    def test_none_is_said(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lines = "none of the 10 runs fits --where 'seed>99'\nseed is from 0 to 4\n"
        assert say("multirun", "--where", "seed>99", capsys=capsys) == lines
        assert "model is mlp, cnn\n" in say("multirun", "--where", "model=cn", capsys=capsys)
        assert say("multirun", "--where", "seed>99", "--format", "json", capsys=capsys) == "[]\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--metric", "val/los"], "--metric val/los: none of these runs has such a metric; did you mean 'val/loss'?"),
        (["--columns", "run,sead"], "--columns sead: none of these runs has such a setting"),
        (["--sort", "optimizer.lrr"], "did you mean 'optimizer.lr'?"),
        (["--sort", "seed:down"], "--sort seed:down: must be KEY, KEY:asc or KEY:desc"),
        (["--group-by", "modle"], "--group-by modle: none of these runs has such a"),
        (["--group-by", "model", "--columns", "seed"], "seed: is no column with --group-by"),
        (["--group-by", "model", "--sort", "seed"], "seed: is no column with --group-by"),
        (["--where", "modle=cnn"], "--where modle: none of these runs has such a setting"),
        (["--where", "model=cnn adn"], "cannot be read from 'adn' on"),
        (["--top", "0"], "--top=0: must be at least 1"),
        (["nowhere"], "nowhere: there is no such folder"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(sweep: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert line in refused("multirun", *words, capsys=capsys)


def test_metrics_and_columns_are_those_asked_for(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metric", "val/loss", "--metric", "parameters,seconds/train"]
    header = list(rows("multirun", *words, capsys=capsys)[0])
    assert header[-5:] == ["val/loss", "parameters", "seconds/train", "seconds", "best"]
    assert "val/accuracy" not in header
    assert "sorted by val/accuracy" in say("multirun", *words, capsys=capsys)
    (row, *_) = rows("multirun", "--columns", "seed,run,data.root,git.sha,best", capsys=capsys)
    assert list(row) == ["seed", "run", "data.root", "git.sha", "best"]
    assert (row["run"], row["git.sha"], row["best"]) == ("multirun/night/9", "abc", "true")


def test_several_objectives_are_all_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(place / "a")
    stored = result(folder)
    stored["objectives"] = [{"name": "val/accuracy", "value": 0.9}, {"name": "parameters", "value": 227466}]
    (folder / "result.json").write_text(json.dumps(stored))
    config = (folder / ".hydra/config.yaml").read_text()
    (folder / ".hydra/config.yaml").write_text(
        config.replace("objective: val/accuracy", "objective: [val/accuracy, parameters]")
    )
    (row,) = rows(".", capsys=capsys)
    assert float(row["parameters"]) == 227466
    assert "227,466" in say(".", capsys=capsys)


def test_folders_that_cannot_be_read_are_listed_last_and_stop_nothing(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "1" / "result.json").write_text('{"schema_version": 1, "status"')
    (sweep / "2" / ".hydra" / "config.yaml").write_text("a: [1\nb: }")
    other = sweep.parent / "early"
    make(other / "20", status=None).joinpath(".lock").unlink()
    (other / "21" / ".hydra").mkdir(parents=True)
    (other / "21" / ".hydra" / "config.yaml").write_text("db: {driver: mysql}\n")
    (sweep / "22").mkdir()
    (sweep / "22" / "result.json").write_text('{"schema_version": 99, "status": "great", "when": 2}')
    (sweep / "23").mkdir()
    (sweep / "23" / "result.json").write_bytes(b"\xff\xfe\x00")
    odd = {"schema_version": 1, "status": "completed", "objectives": 5, "metrics": [], "reason": {"a": 1}}
    make(sweep / "24").joinpath("result.json").write_text(json.dumps(odd))
    (sweep / "25").mkdir()  # empty: no run at all
    for order in ([], ["--sort", "run"], ["--sort", "val/loss:desc"]):
        table = rows("multirun", *order, capsys=capsys)
        ended = {row["run"].rpartition("/")[2]: row["status"] for row in table[-7:]}
        broken, foreign = ("1", "2", "23", "24"), ("20", "21", "22")
        assert ended == dict.fromkeys(broken, "broken") | dict.fromkeys(foreign, "foreign")
        assert len(table) == 15
        assert not any("db" in key for key in table[0])
    said = say("multirun", capsys=capsys)
    assert "15 runs: 6 completed, 4 broken, 3 foreign, 1 pruned, 1 failed" in said
    assert "broken: multirun/night/1: result.json: cannot be read" in said
    assert "foreign: multirun/early/20: no result.json" in said
    assert "... and 2 more foreign or broken ones" in said


def test_foreign_folders_alone_are_a_table_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, driver in (("a", "mysql"), ("b", "sqlite")):
        (place / name / ".hydra").mkdir(parents=True)
        (place / name / ".hydra" / "config.yaml").write_text(f"db: {{driver: {driver}, since: 2020-01-01}}\n")
    for _ in range(2):  # read, then from the index
        assert [row["db.driver"] for row in rows(".", capsys=capsys)] == ["mysql", "sqlite"]
        (row, _other) = rows(".", "--columns", "db.since", capsys=capsys)
        assert row["db.since"] == "2020-01-01"


def test_runs_at_work_show_what_they_have_so_far(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("at_work", "killed"):
        folder = make(place / name, status=None)
        (folder / "metrics.csv").write_text("epoch,val/accuracy,seconds\n1.0,0.5,3.5\n2.0,0.75,7.5\n")
    holding = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    )
    words = [sys.executable, "-c", holding, str(place / "at_work" / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        table = {row["run"]: row for row in rows(".", capsys=capsys)}
        process.communicate(b"\n", timeout=300)
    assert table["at_work"]["status"] == "running"
    assert (table["at_work"]["val/accuracy"], table["at_work"]["seconds"]) == ("0.75", "7.5")
    assert table["killed"]["status"] == "unfinished"
    assert {row["best"] for row in table.values()} == {"false"}


def test_markdown_has_full_numbers_and_whole_cells(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = result(sweep / "9") | {"reason": "a|b\nc"}
    (sweep / "9" / "result.json").write_text(json.dumps(stored))
    lines = say("multirun", "--format", "markdown", "--top", "2", capsys=capsys).splitlines()
    assert lines[0].startswith("| run | status | reason | model |")
    assert set(lines[1]) == set("| -")
    assert r"| a\|b c |" in lines[2]
    assert f"| {stored['metrics']['val/accuracy']!r} |" in lines[2]
    assert lines[2].endswith("| true |")
    assert lines[3].endswith("| false |")
    assert "10 runs: 8 completed" in "\n".join(lines[4:])


def shown_on_a_terminal(columns: int, *words: str) -> str:
    """Return what `inksweep compare` prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    code = "import sys; from inksweep.cli import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, "compare", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, env=env | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
    ):  # fmt: skip
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # how a terminal ends
            pass
    os.close(ours)
    return text.decode()


def test_a_narrow_terminal_leaves_columns_out_and_says_which(sweep: Path) -> None:
    for number in range(10):
        config = sweep / str(number) / ".hydra/config.yaml"
        config.write_text(config.read_text().replace("clip_norm: null", f"clip_norm: {number}"))
    coloured = shown_on_a_terminal(70, "multirun")
    assert "\x1b[1m★ " in coloured  # the best is bold
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 70
    # What the model settles goes first; the objective stays.
    assert "left out for want of room: model.norm" in plain
    assert "98.5" not in plain.splitlines()[0]
    assert f"{100 * result(sweep / '9')['metrics']['val/accuracy']:.2f}" in plain
    wide = re.sub(r"\x1b\[[0-9;]*m", "", shown_on_a_terminal(160, "multirun"))
    assert "left out" not in wide
    assert "norm" in wide
    # What was asked for stays, whatever the width.
    chosen = re.sub(r"\x1b\[[0-9;]*m", "", shown_on_a_terminal(20, "multirun", "--columns", "run,data.root,val/loss"))
    assert str(sweep / "9") in chosen.replace("\r\n", "")


def test_a_pipe_gets_all_columns_and_may_be_closed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "norm" in say("multirun", capsys=capsys)
    code = "import sys; from inksweep.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "compare", "multirun"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the table is there
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_terminal_without_unicode_gets_plain_marks(sweep: Path) -> None:
    code = "import sys; from inksweep.cli import main; main(['compare', 'multirun', '--group-by', 'model'])"
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True, timeout=300)
    assert b"* best mean" in done.stdout
    assert b"\\u" not in done.stdout


def test_it_imports_nothing_heavy(sweep: Path) -> None:
    code = (
        "import sys; from inksweep.cli import main\n"
        "main(['compare', 'multirun', '--group-by', 'model', '--where', 'seed>=0'])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    loaded = set(done.stderr.split())
    assert "pyparsing" in loaded
    assert not {"torch", "hydra", "optuna", "omegaconf", "numpy", "matplotlib"} & loaded
    done = subprocess.run(
        [sys.executable, "-c", code.replace(", '--where', 'seed>=0'", "")],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert "pyparsing" not in done.stderr.split()


def test_the_lock_of_a_run_is_looked_at_and_left(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(place / "a", status=None)
    say(".", capsys=capsys)
    with held(folder / ".lock", "held by the look"):
        pass


def test_a_setting_that_no_row_shown_has_takes_no_room(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (model, width) in enumerate((("cnn", 1), ("mlp", 8), ("mlp", 9))):
        make(place / "runs" / str(number), model, 0.9 - number / 10, values={} if model == "cnn" else {"hidden": width})
    assert "hidden" in say("runs", capsys=capsys)
    assert "hidden" not in say("runs", "--top", "1", capsys=capsys)
    assert "hidden" in say("runs", "--top", "1", "--columns", "run,model.hidden", capsys=capsys)
    assert "model.hidden" in rows("runs", "--top", "1", capsys=capsys)[0]


@pytest.fixture
def finals(sweep: Path) -> Path:
    """The final stage of the sweep: two configurations on two seeds each, then the better one on all data."""
    for number in range(6):
        lr, seed, full = (0.1, 0.05, 0.1)[number // 2], 7 + number % 2, number > 3
        folder = make(sweep / "finalists" / str(number), accuracy=0.95 + number / 1000, lr=lr, seed=seed,
                      data={"train_on_all": full})  # fmt: skip
        (folder / "result.json").write_text(json.dumps(result(folder) | {"trained_on_validation": full}))
    (sweep / "finalists" / "summary.json").write_text(json.dumps({"direction": "maximize"}))
    return sweep / "finalists"


ON_ALL = "2 runs trained on the validation pictures (data.train_on_all): their val/... measure nothing"


def test_a_sweep_is_its_trials_and_says_where_its_final_stage_is(
    finals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "not in here: 6 runs of the final stage (inksweep compare multirun/night/finalists --group-by config)"
    everything = [str(path.relative_to(Path.cwd())) for path in finals.parent.iterdir()]
    for words in (["multirun/night"], ["multirun"], everything, ["multirun", "--where", "status=completed"]):
        said = say(*words, capsys=capsys)
        assert hint in said.splitlines()
        assert "★ 9: best of the completed runs" in said
        assert ON_ALL not in said
    assert sorted(names("multirun", capsys=capsys)) == list("0123456789")
    for words in (["multirun/night/3", "multirun/night/4"], ["multirun/night/finalists"],
                  ["multirun/night", "multirun/night/finalists"]):  # fmt: skip
        assert "not in here" not in say(*words, capsys=capsys)
    of = [row["study"] for row in rows("multirun/night/finalists/1", "--columns", "study", capsys=capsys)]
    assert of == ["night/finalists"]


def test_who_trained_on_validation_is_never_best_and_stands_behind(
    finals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = "multirun/night/finalists"
    said = say(folder, capsys=capsys)
    assert "★ 3: best of the completed runs" in said
    assert ON_ALL in said.splitlines()
    assert names(folder, capsys=capsys) == ["3", "2", "1", "0", "5", "4"]
    assert names(folder, "--sort", "val/accuracy:asc", capsys=capsys) == ["0", "1", "2", "3", "4", "5"]
    assert names(folder, "--sort", "val/loss", capsys=capsys) == ["3", "2", "1", "0", "5", "4"]
    assert names(folder, "--sort", "test/accuracy", capsys=capsys)[:2] == ["5", "4"]
    alone = say(f"{folder}/4", f"{folder}/5", capsys=capsys)
    assert "★" not in alone
    assert ON_ALL in alone
    assert "1 run trained on the validation pictures (data.train_on_all): its val/... measure nothing" in say(
        f"{folder}/0", f"{folder}/4", capsys=capsys
    )


def test_in_groups_they_are_in_no_mean_of_validation(finals: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "multirun/night/finalists"
    by_config = rows(folder, "--group-by", "config", capsys=capsys)
    assert [(row["data.train_on_all"], row["n"], row["best"]) for row in by_config] == [
        ("false", "2", "true"), ("false", "2", "false"), ("true", "2", "false"),
    ]  # fmt: skip
    assert [row["val/accuracy mean"] != "" for row in by_config] == [True, True, False]
    assert float(by_config[2]["test/accuracy mean"]) == pytest.approx(0.9555)
    # Of the others in the same group.
    (by_model,) = rows(folder, "--group-by", "model", capsys=capsys)
    assert (by_model["n"], by_model["val/accuracy n"]) == ("6", "4")
    assert float(by_model["val/accuracy mean"]) == pytest.approx(0.9515)
    assert f"{ON_ALL} and are in no mean" in say(folder, "--group-by", "model", capsys=capsys).splitlines()
