"""tables.py: CSV, JSON and Markdown hold every number in full. Expected numbers are computed from the files anew."""

import json
import math
from pathlib import Path

import pytest
import yaml

from tests.compare.folders import make, names, result, rows, say


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


def test_json_has_no_numbers_that_json_does_not_know(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, bounds in (("a", [math.nan, math.inf]), ("b", [math.nan, 1.0]), ("c", {"x": [{1: -math.inf}]})):
        make(place / name, settings={"bounds": bounds, "low": math.nan})
    words = [".", "--sort", "run", "--format", "json"]
    listed = json.loads(say(*words, "--columns", "bounds,bounds.x", capsys=capsys), parse_constant=pytest.fail)
    assert [row.get("bounds") for row in listed] == [["nan", "inf"], ["nan", 1.0], None]
    assert listed[2]["bounds.x"] == [{"1": "-inf"}]
    assert "low" not in json.loads(say(*words, capsys=capsys))[0]  # it does not differ
    assert names(".", "--where", "low=nan", "--sort", "run", capsys=capsys) == ["a", "b", "c"]


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
