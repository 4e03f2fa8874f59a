import json
import os
from pathlib import Path

import pytest
from filelock import FileLock

from inksweep.runs import reader
from inksweep.runs.reader import Run
from inksweep.runs.result import Status
from tests.runs.folders import CONFIG, RESULT, make


def test_a_run_is_read_as_it_would_be_typed(tmp_path: Path) -> None:
    run = reader.read(make(tmp_path / "run"))
    assert (run.status, run.reason, run.study) == ("completed", None, None)
    # Hydra's own groups and those without an option are no settings
    assert run.settings == {
        "model": "mlp", "model._target_": "inksweep.digits.models.MLP", "model.hidden": [256, 128],
        "optimizer": "sgd", "optimizer._target_": "torch.optim.SGD", "optimizer.lr": 1e-05,
        "objective": "val/accuracy", "seed": 1,
    }  # fmt: skip
    assert run.metrics == {
        "val/accuracy": 0.97, "test/accuracy": 0.96, "parameters": 1000, "seconds/train": 4.0, "seconds/total": 5.5,
    }  # fmt: skip
    assert (run.objective, run.value, run.maximize) == ("val/accuracy", 0.97, True)
    assert run.facts["threads"] == 2


def test_text_for_a_terminal_has_no_controls() -> None:
    assert reader.visible("plain, grün ±1 ★") == "plain, grün ±1 ★"
    assert reader.visible("a\nb\x1b[31m\\n") == r"a\nb\x1b[31m\n"
    assert reader.visible("\udcff").isascii()


def test_several_objectives_are_metrics_and_the_first_is_the_objective(tmp_path: Path) -> None:
    several = [{"name": "val/loss", "value": 0.1}, {"name": "parameters", "value": 7}]
    run = reader.read(make(tmp_path / "run", RESULT | {"objectives": several}))
    assert (run.objective, run.value, run.maximize) == ("val/loss", 0.1, False)
    assert run.metrics["parameters"] == 7


def test_an_objective_without_a_name_is_called_objective_and_its_sweep_says_where_it_goes(tmp_path: Path) -> None:
    anonymous = RESULT | {"objective": {"name": None, "value": 3.5}}
    for direction, maximize in (("minimize", False), ("maximize", True), (["maximize", "minimize"], True)):
        sweep = tmp_path / str(direction)
        folder = make(sweep / "0", anonymous)
        (sweep / "summary.json").write_text(json.dumps({"direction": direction}))
        run = reader.read(folder)
        assert (run.objective, run.value, run.maximize, run.study) == ("objective", 3.5, maximize, sweep.name)


def test_a_trial_is_of_its_sweep_however_deep_its_folder_is(tmp_path: Path) -> None:
    sweep, deep = tmp_path / "night", "graph_er/alpha_0.1_3"
    folder = make(sweep / deep, RESULT | {"objective": {"name": None, "value": 3.5}})
    other = make(sweep / "outputs/day/0")  # a run that the app makes in the folder in which it swept
    running = make(sweep / "graph_er/alpha_0.2_4", None)
    (sweep / "summary.json").write_text(json.dumps({"direction": "minimize"}))
    (sweep / ".trials").mkdir()
    (sweep / ".trials/3").write_text(deep)
    (sweep / ".trials/4").write_text("graph_er/alpha_0.2_4")
    read = reader.load([folder, other, folder])
    assert [(run.folder, run.maximize, run.study) for run in read] == [
        (folder, False, "night"), (other, True, None), (folder, False, "night"),
    ]  # fmt: skip
    assert reader.read(running).status is Status.UNFINISHED
    with FileLock(sweep / ".lock"):
        assert reader.read(running).status is Status.RUNNING


@pytest.mark.parametrize(
    "error, expected",
    [
        ({"type": "ValueError", "message": "no\nsuch", "traceback": "..."}, "ValueError: no"),
        (None, "ValueError"),
    ],
)
def test_a_failed_run_says_why_in_a_line(tmp_path: Path, error: object, expected: str) -> None:
    failed = RESULT | {"status": "failed", "reason": "ValueError", "error": error, "metrics": {}}
    run = reader.read(make(tmp_path / "run", failed))
    assert (run.status, run.reason) == ("failed", expected)


def test_numbers_that_are_none_are_no_metrics(tmp_path: Path) -> None:
    odd = RESULT | {"metrics": {"a": None, "b": "x", "c": float("nan"), "d": True, "e": 2}, "seconds": None}
    run = reader.read(make(tmp_path / "run", odd))
    assert run.metrics == {"e": 2, "parameters": 1000, "val/accuracy": 0.97}


# What is wrong with a folder is its status; the message names the file.
@pytest.mark.parametrize(
    "files, status, said",
    [
        ({"result": "{"}, "broken", "result.json: cannot be read"),
        ({"result": ""}, "broken", "result.json: cannot be read"),
        ({"result": [1]}, "broken", "result.json: cannot be read (it holds no keys)"),
        ({"config": "a: [1"}, "broken", "config.yaml: cannot be read"),
        ({"config": "just words"}, "broken", "config.yaml: is no config"),
        ({"hydra": "a: [1"}, "broken", "hydra.yaml: cannot be read"),
        ({"result": {"accuracy": 0.9}}, "foreign", "schema_version None"),
        ({"result": RESULT | {"schema_version": 99}}, "foreign", "schema_version 99"),
        ({"result": RESULT | {"schema_version": 99, "objectives": 5}}, "foreign", "schema_version 99"),
        ({"result": RESULT | {"status": "great"}}, "foreign", "'great'"),
        ({"result": None}, "foreign", "no result.json"),
    ],
)
def test_broken_and_foreign_folders_have_a_status(tmp_path: Path, files: dict, status: str, said: str) -> None:
    run = reader.read(make(tmp_path / "run", **files))
    assert run.status == status
    assert said in run.reason


def test_an_unreadable_file_is_broken(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    (folder / "result.json").unlink()
    (folder / "result.json").symlink_to(tmp_path)  # a folder where a file should be
    assert reader.read(folder).status in ("broken", "foreign")
    (folder / "result.json").unlink()
    (folder / "result.json").write_bytes(b"\xff\xfe\x00")
    assert reader.read(folder).status == "broken"


def test_without_a_result_the_lock_tells_a_running_run_from_a_killed_one(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", result=None)
    (folder / ".lock").touch()
    (folder / "metrics.csv").write_text("epoch,val/accuracy\n1,0.8\n2,0.9\n3,0.")
    assert reader.read(folder).status == "unfinished"
    with FileLock(folder / ".lock"):
        running = reader.read(folder)
    assert (running.status, running.objective) == ("running", "val/accuracy")
    assert running.metrics["val/accuracy"] == 0.0  # the last row as it stands: 0.


def test_a_trial_of_another_app_is_as_alive_as_its_sweep(tmp_path: Path) -> None:
    folder = make(tmp_path / "night" / "3", result=None)
    assert reader.read(folder).status == "foreign"
    (tmp_path / "night" / "sweep.yaml").write_text("{}")
    assert (reader.read(folder).status, reader.read(folder).reason) == ("unfinished", None)  # a database: no lock
    with FileLock(tmp_path / "night" / ".lock"):
        assert reader.read(folder).status == "running"
    assert (reader.read(folder).status, reader.read(folder).reason) == ("unfinished", None)


def test_where_a_lock_says_nothing_this_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "run", result=None)
    (folder / ".lock").touch()
    monkeypatch.setattr(reader, "is_held", lambda lock: None)
    run = reader.read(folder)
    assert (run.status, run.reason) == ("unfinished", "whether it still runs cannot be told")


@pytest.mark.parametrize(
    ("said", "began"),
    [
        ("2026-01-02T03:04:05+00:00", 1767323045.0),
        ("2026-01-02T04:04:05+01:00", 1767323045.0),
        (None, None),
        ("yesterday", None),
        (5, None),
    ],
)
def test_a_run_began_when_it_says_or_when_its_config_was_written(
    tmp_path: Path, said: object, began: float | None
) -> None:
    folder = make(tmp_path / "run", RESULT | {"started": said})
    os.utime(folder / ".hydra/config.yaml", (1000, 1000))
    assert reader.read(folder).started == (1000 if began is None else began)


def test_a_run_on_all_data_is_judged_by_nothing_of_validation(tmp_path: Path) -> None:
    data = {"data": {"train_on_all": True}}
    by_result = reader.read(make(tmp_path / "a", RESULT | {"trained_on_validation": True}))
    by_config = reader.read(make(tmp_path / "b", None, CONFIG | data))
    for run in (by_result, by_config):
        assert run.trained_on_validation
        assert not run.is_judged_by("val/accuracy")
        assert not run.is_judged_by("val/loss")
        assert run.is_judged_by("test/accuracy")
    result = RESULT | {"trained_on_validation": True, "objective": {"name": "score", "value": 1}}
    assert not reader.read(make(tmp_path / "c", result)).is_judged_by("score")
    for number, said in enumerate((False, None, "yes")):
        run = reader.read(make(tmp_path / str(number), RESULT | {"trained_on_validation": said}))
        assert run.is_judged_by("val/accuracy")


def test_a_run_without_an_objective_has_no_value() -> None:
    assert Run(Path("x"), Status.FOREIGN).value is None


def test_in_a_sweep_whose_summary_is_broken_the_name_of_the_objective_decides(tmp_path: Path) -> None:
    folder = make(tmp_path / "night/0")
    (tmp_path / "night/summary.json").write_text("{")
    run = reader.read(folder)
    assert (run.study, run.maximize) == ("night", True)
