import json
from pathlib import Path
from typing import Any

import pytest

from inksweep.errors import InputError
from inksweep.runs import selection
from tests.runs.selections import CANDIDATE, SELECTION, trainings

FULL = SELECTION | {
    "rule": "seeds",
    "stop_rule": {"metric": "test/accuracy", "value": 0.9, "looks": 3, "reached": True},
    "candidates": [
        CANDIDATE | {"runs": trainings(2, 3), "interval": [0.93, 0.95]},
        CANDIDATE
        | {"trial": 1, "rank": 2, "p": 0.5, "difference": {"mean": -0.01, "interval": [-0.02, 0.0]}, "lost": 1},
    ],
    "members": ["finalists/2", "finalists/3"],
    "calibrate_on": ["finalists/4", "finalists/5"],
}


def test_what_was_read_is_written_again_to_the_letter(tmp_path: Path) -> None:
    (tmp_path / "selection.json").write_text(json.dumps(FULL))
    found = selection.read(tmp_path / "selection.json")
    assert json.loads(json.dumps(found.content())) == FULL
    assert list(found.content()) == list(FULL)
    assert (found.candidates[0].interval, found.candidates[1].difference.mean) == ((0.93, 0.95), -0.01)
    assert (found.stop_rule.looks, found.objective.direction) == (3, "maximize")


def test_what_a_file_does_not_say_is_not_known() -> None:
    left_out = ("stop_rule", "interim", "retrained_with", "calibrate_on", "export")
    found = selection.parse({key: value for key, value in SELECTION.items() if key not in left_out}, "")
    assert found.content() == SELECTION


@pytest.mark.parametrize(
    ("changes", "is_final"),
    [({}, False), ({"rule": "seeds"}, True), ({"full_data": True}, True), ({"members": ["0", "1"]}, False)],
)
def test_a_final_stage_ranked_or_trained_it(changes: dict[str, Any], is_final: bool) -> None:
    assert selection.parse(SELECTION | changes, "").is_final == is_final


@pytest.mark.parametrize(("named", "runs"), [(None, []), ("4", ["4"]), (["4", "5"], ["4", "5"])])
def test_one_run_or_several_calibrate_a_model(named: object, runs: list[str]) -> None:
    assert selection.parse(SELECTION | {"calibrate_on": named}, "").calibrators == runs


# What is missing or of another type is named with its place.
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema_version": 2}, r"of a kind not known here \(schema_version 2\)"),
        ({"study": None}, r"cannot be used \(it lacks study\)"),
        ({"trial": "3"}, r"it lacks trial\)"),
        ({"trial": True}, r"it lacks trial\)"),
        ({"full_data": 1}, r"it lacks full_data\)"),
        ({"model": "0"}, r"it lacks model\)"),
        ({"model": {}}, r"it lacks model\.path\)"),
        ({"trials": {"complete": None}}, r"it lacks trials\.complete\)"),
        ({"stop_rule": {}}, r"it lacks stop_rule\.metric\)"),
        ({"members": [0]}, r"it lacks members\)"),
        ({"calibrate_on": 3}, r"it lacks calibrate_on\)"),
        ({"searched": []}, r"it lacks searched\)"),
        ({"candidates": {}}, r"it lacks candidates\)"),
        ({"candidates": [CANDIDATE | {"mean": None}]}, r"it lacks candidates\.mean\)"),
        ({"candidates": [CANDIDATE | {"interval": [1]}]}, r"it lacks candidates\.interval\)"),
        ({"candidates": [CANDIDATE | {"difference": {"mean": 1}}]}, r"it lacks candidates\.difference\.interval\)"),
        ({"candidates": [CANDIDATE | {"runs": [{}]}]}, r"it lacks candidates\.runs\.path\)"),
    ],
)
def test_what_is_lacking_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    path = tmp_path / "selection.json"
    path.write_text(json.dumps(SELECTION | changes))
    with pytest.raises(InputError, match=rf"selection\.json: .*{said}"):
        selection.read(path)
    assert selection.read_if_whole(path) is None


def test_what_a_card_has_kept_is_compared_by_what_it_says() -> None:
    known = selection.parse(FULL, "")
    assert selection.is_of(FULL, known)
    assert selection.is_of({key: value for key, value in FULL.items() if key != "interim"}, known)
    for other in (FULL | {"trial": 5}, FULL | {"members": None}, {}, None, "text"):
        assert not selection.is_of(other, known)
