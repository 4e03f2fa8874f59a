import json
import math
from pathlib import Path

import pytest

from inksweep.errors import InputError
from inksweep.paths import RunDir
from inksweep.runs import reader, result
from inksweep.runs.result import Objective, Result, Status
from tests.runs.folders import RESULT, make

OURS = {"versions": {"python": "3.11"}, "command": "python train.py"}


def held(path: Path) -> dict:
    return json.loads(path.read_text())


# What a trial is told, or what its training says of itself; a sweep that ends has words of its own.
@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        (None, "completed", None),
        ("patience", "completed", "patience"),
        ("pruned", "pruned", "pruned"),
        ("diverged", "pruned", "diverged"),
        ("trial_timeout", "failed", "timeout"),
        ("target", "stopped", "target"),
        ("timeout", "stopped", "timeout"),
        ("interrupted", "stopped", "interrupted"),
        ("a word of tomorrow", "stopped", "a word of tomorrow"),
    ],
)
def test_the_word_that_ended_a_run_gives_its_status(word: str | None, status: str, reason: str | None) -> None:
    assert result.ending(word) == (Status(status), reason)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Result(
        Status.COMPLETED,
        "patience",
        [Objective("val/loss", 0.5), Objective("parameters", 7.0)],
        {"val/loss": 0.5, "val/accuracy": 0.9},
        {"train": 1.5, "total": 2.25},
        parameters=7, seed=1, threads=2, device="cpu", started="2026-01-02T03:04:05+00:00",
        git={"sha": "abc", "dirty": False}, trained_on_validation=False, rest={"mine": [1, 2]}, **OURS,
    )  # fmt: skip
    result.write(tmp_path / "result.json", written)
    assert result.read(tmp_path / "result.json") == written


def test_the_objectives_of_a_run_are_what_it_measured_under_their_names() -> None:
    metrics = {"val/loss": 0.5, "val/accuracy": 0.9}
    one = Result(objectives=[Objective("val/loss")], metrics=metrics)
    names = ("val/accuracy", "parameters", "seconds/train")
    several = Result(objectives=[Objective(name) for name in names], metrics=metrics, parameters=7)
    assert one.objective == 0.5
    assert one.content()["objective"] == {"name": "val/loss", "value": 0.5}
    assert "objectives" not in one.content()
    assert several.objective[:2] == [0.9, 7.0]
    assert all(isinstance(value, float) for value in several.objective)
    # What was not measured is no number, in its place.
    assert math.isnan(several.objective[2])
    assert [each["value"] for each in several.content()["objectives"]] == [0.9, 7, None]
    assert math.isnan(Result(objectives=[Objective("val/loss")]).objective)


def test_a_run_of_ours_has_its_keys_also_where_it_failed_before_they_were_known() -> None:
    ours = {"parameters", "seed", "threads", "device", "started", "command", "git", "versions", "error"}
    shared = {"schema_version", "status", "reason", "objective", "metrics", "seconds"}
    assert set(Result(**OURS).content()) == shared | ours
    assert set(Result().content()) == shared
    assert Result(**OURS).is_ours
    assert not Result().is_ours


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    path, infinite = tmp_path / "result.json", Objective("val/loss", math.inf)
    result.write(path, Result(objectives=[infinite, infinite], metrics={"val/loss": 0.5, "test/loss": math.nan}))
    assert held(path)["metrics"] == {"val/loss": 0.5, "test/loss": None}
    assert held(path)["objective"] == {"name": "val/loss", "value": None}
    assert [each["value"] for each in held(path)["objectives"]] == [None, None]


@pytest.mark.parametrize("content", ["{", "[1]", None, json.dumps(RESULT | {"objectives": 5})])
def test_a_file_that_cannot_be_read_is_named_or_says_nothing(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=r"result\.json: (cannot be read|holds what no run writes)"):
        result.read(path)
    assert result.read_or_empty(path) == Result(Status.BROKEN)


def test_of_an_app_that_writes_its_own_what_it_measured_is_read() -> None:
    odd = {"good": True, "name": "x", "text": "0.5", "none": "nan", "nan": math.nan, "huge": 10**400}
    foreign = Result.of({"metrics": {"seconds": 1.2, "steps": 3, **odd}, "about": "mine"})
    assert foreign.status is Status.FOREIGN
    assert (foreign.metrics, foreign.rest) == ({"seconds": 1.2, "steps": 3.0}, {"about": "mine"})


@pytest.mark.parametrize(("written", "count"), [(1.5e6, 1_500_000), (0.5, 0.5), (7, 7), ("7", None), (math.inf, None)])
def test_another_app_may_write_its_parameters_as_a_fraction(written: object, count: float | None) -> None:
    read = Result.of(RESULT | {"parameters": written}).parameters
    assert (read, type(read)) == (count, type(count))


def test_metrics_of_an_app_that_no_sweep_ran_are_read_and_its_end_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"metrics": {"f1": 0.5}}')
    run = reader.read(tmp_path)
    assert (run.status, run.metrics) == (Status.FOREIGN, {"f1": 0.5})
    assert run.reason == "its result.json does not say how it ended (it has no status)"


def test_a_version_that_is_not_known_here_is_foreign_whatever_its_objectives_are(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(RESULT | {"schema_version": 99, "objectives": {"val/loss": "less"}}))
    foreign = result.read_or_empty(path)
    assert (foreign.status, foreign.objectives) == (Status.FOREIGN, [])
    assert foreign.metrics == {"val/accuracy": 0.97, "test/accuracy": 0.96}


def test_values_of_a_wrong_type_are_not_known() -> None:
    odd = {"seed": "1", "command": 5, "versions": [], "objective": "val/loss", "metrics": [1], "error": "no"}
    assert Result.of(RESULT | odd) == Result(Status.COMPLETED, parameters=1000, threads=2,
                                             seconds={"train": 4.0, "total": 5.5})  # fmt: skip


class TestLeave:
    """What is written for a trial that has written none itself."""

    def test_a_value_without_a_name(self, tmp_path: Path) -> None:
        result.leave(RunDir(tmp_path), Status.COMPLETED, None, 1.23456, 3)
        assert held(tmp_path / "result.json") == {
            "schema_version": 1,
            "status": "completed",
            "reason": None,
            "objective": {"name": None, "value": 3.0},
            "metrics": {},
            "seconds": {"total": 1.235},
        }
        assert reader.read(tmp_path).value == 3.0

    @pytest.mark.parametrize("value", [math.nan, [1.0, math.inf]])
    def test_a_value_that_is_not_finite_means_diverged(self, tmp_path: Path, value: object) -> None:
        result.leave(RunDir(tmp_path), Status.COMPLETED, None, 1.0, value)
        assert (held(tmp_path / "result.json")["status"], held(tmp_path / "result.json")["reason"]) == (
            "pruned", "diverged",
        )  # fmt: skip

    def test_what_a_trial_has_written_itself_stays(self, tmp_path: Path) -> None:
        folder = make(tmp_path / "run")
        result.leave(RunDir(folder), Status.FAILED, "timeout", 1.0)
        assert held(folder / "result.json") == RESULT

    @pytest.mark.parametrize("value", [0.5, [0.5, 2]])
    def test_what_an_app_has_measured_is_kept(self, tmp_path: Path, value: object) -> None:
        own = {"metrics": {"f1": 0.25, "auc": math.nan}, "seconds": {"train": 1.0}, "about": {"a": math.inf}, "seed": 3}
        (tmp_path / "result.json").write_text(json.dumps(own))
        known = {"command": "python app.py", "git": {"sha": "a", "dirty": False}, "seed": 4}
        result.leave(RunDir(tmp_path), Status.COMPLETED, None, 2.5, value, known)
        now = held(tmp_path / "result.json")
        assert (now["status"], now["objective"], now["seed"]) == ("completed", {"name": None, "value": 0.5}, 3)
        assert (now["metrics"], now["seconds"]) == ({"f1": 0.25}, {"total": 2.5, "train": 1.0})
        assert (now["about"], now["command"], "remark" in now) == ({"a": None}, "python app.py", False)
        run = reader.read(tmp_path)
        assert (run.status, run.value, run.metrics["f1"]) == ("completed", 0.5, 0.25)

    # What an app may have got wrong.
    @pytest.mark.parametrize(
        ("text", "remark"),
        [
            ('{"metrics": {"f1": 0.5, "name": "x", "good": true}}', "metrics.name='x', metrics.good=True: no number"),
            ('{"metrics": [0.5]}', "metrics=[0.5]: must be a mapping of names to numbers"),
            ('{"metrics": {"f1": ', "cannot be read (Expecting value: line 1 column 20 (char 19)); it is "),
            ("[1]", "cannot be read (it holds no keys); it is result.json.unreadable now"),
            ('{"objectives": 5, "schema_version": 1, "status": "completed"}', "objectives: 5 is no list; it is "),
        ],
    )
    def test_what_an_app_got_wrong_is_said_and_hides_nothing(self, tmp_path: Path, text: str, remark: str) -> None:
        (tmp_path / "result.json").write_text(text)
        result.leave(RunDir(tmp_path), Status.COMPLETED, None, 1.0, 0.5)
        assert remark in held(tmp_path / "result.json")["remark"]
        run = reader.read(tmp_path)
        assert (run.status, run.value) == ("completed", 0.5)
        aside = tmp_path / "result.json.unreadable"
        assert aside.is_file() is ("it is" in remark)
        assert not aside.is_file() or aside.read_text() == text

    def test_words_of_an_app_for_how_it_ended_are_not_those_of_the_sweep(self, tmp_path: Path) -> None:
        (tmp_path / "result.json").write_text('{"status": "ok", "objective": {"name": "auc", "value": 7}}')
        result.leave(RunDir(tmp_path), Status.FAILED, "SIGKILL", 1.0)
        now = held(tmp_path / "result.json")
        assert (now["status"], now["reason"], now["app"]) == ("failed", "SIGKILL", {"status": "ok"})
        assert now["objective"] == {"name": "auc", "value": None}

    def test_a_folder_on_another_machine_is_not_made(self, tmp_path: Path) -> None:
        result.leave(RunDir(tmp_path / "far"), Status.FAILED, "timeout", 1.0)
        assert not (tmp_path / "far").exists()


def test_an_error_keeps_type_message_and_traceback() -> None:
    try:
        _ = {}["missing"]
    except KeyError as error:
        described = result.describe_error(error)
    assert (described["type"], described["message"]) == ("KeyError", "'missing'")
    assert "test_result.py" in described["traceback"]
