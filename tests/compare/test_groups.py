"""groups.py: means and deviations over runs."""

import statistics
from pathlib import Path

import pytest

from tests.compare.folders import ON_ALL, make, result, rows, say


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
