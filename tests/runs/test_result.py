import json
from pathlib import Path

from inksweep.paths import RunDir
from inksweep.runs import provenance, result


def test_numbers_that_json_does_not_have_become_null(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    result.write_result(run, {"metrics": {"val/loss": 0.5, "test/loss": float("inf")}, "objective": float("nan")})
    told = json.loads(run.result.read_text())
    assert told["metrics"] == {"val/loss": 0.5, "test/loss": None}
    assert told["objective"] is None


def test_an_error_keeps_type_message_and_traceback() -> None:
    try:
        _ = {}["missing"]
    except KeyError as error:
        told = result.describe_error(error)
    assert (told["type"], told["message"]) == ("KeyError", "'missing'")
    assert "test_result.py" in told["traceback"]


def test_git_state_is_none_outside_a_repository(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) is None
