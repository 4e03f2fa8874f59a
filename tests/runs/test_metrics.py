from pathlib import Path

import pytest

from inksweep.errors import InputError
from inksweep.paths import RunDir
from inksweep.runs import metrics
from tests.runs.folders import make


def test_a_row_that_was_cut_short_is_left_out_of_the_curve(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    (folder / "metrics.csv").write_text("epoch,val/loss,val/accuracy\n1,0.5,0.8\n2,0.4,0.9\n3,0.")
    assert metrics.curve(folder) == [
        {"epoch": 1, "val/loss": 0.5, "val/accuracy": 0.8},
        {"epoch": 2, "val/loss": 0.4, "val/accuracy": 0.9},
    ]


def test_a_curve_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    assert metrics.curve(folder) == []
    (folder / "metrics.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"metrics\.csv: cannot be read"):
        metrics.curve(folder)


def test_what_is_measured_where_it_is_asked_for_has_a_column_behind_the_others(tmp_path: Path) -> None:
    row = dict.fromkeys(metrics.COLUMNS, 1.0)
    metrics.write_metrics(RunDir(tmp_path), [row | {"val/warped_accuracy": 0.9}])
    assert RunDir(tmp_path).metrics.read_text().splitlines()[0].split(",") == [*metrics.COLUMNS, "val/warped_accuracy"]
    (read,) = metrics.curve(tmp_path)
    assert read["val/warped_accuracy"] == 0.9


def test_metrics_know_where_they_should_go() -> None:
    assert metrics.is_better_greater("test/accuracy")
    assert not any(map(metrics.is_better_greater, ("val/loss", "seconds/train", "parameters")))
