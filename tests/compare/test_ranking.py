"""ranking.py: the order of the runs, and which is best."""

import json
from pathlib import Path

import pytest

from tests.compare.folders import ON_ALL, make, names, result, rows, say


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
