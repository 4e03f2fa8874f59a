"""rows.py: which settings get a column, and what a key means."""

import csv
import io
import json
import re
from pathlib import Path
from typing import ClassVar

import pytest

from tests.compare.folders import make, names, refused, result, rows, say


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
