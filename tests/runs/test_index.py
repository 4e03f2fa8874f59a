import json
import os
import sqlite3
from pathlib import Path

import pytest

from inksweep.runs import find, index, reader
from tests.runs.folders import RESULT, make


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    return [make(tmp_path / "sweep" / str(number), RESULT | {"parameters": number}) for number in range(12)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders whose files were read."""
    read: list[Path] = []
    original = reader._read
    monkeypatch.setattr(reader, "_read", lambda folder, sweep: read.append(folder) or original(folder, sweep))
    return read


def test_what_is_known_is_the_same_and_is_not_read_again(folders: list[Path], reads: list[Path]) -> None:
    first = index.load(folders)
    assert reads == folders
    reads.clear()
    assert index.load(folders) == first == reader.load(folders, {run.folder: run for run in first})
    assert not reads
    assert [run.metrics["parameters"] for run in first] == list(range(12))


def test_a_run_whose_result_or_config_changed_is_read_again(folders: list[Path], reads: list[Path]) -> None:
    index.load(folders)
    reads.clear()
    (folders[3] / "result.json").write_text(json.dumps(RESULT | {"parameters": 77}))
    config = folders[5] / ".hydra/config.yaml"
    config.write_text(config.read_text().replace("seed: 1", "seed: 8"))
    loaded = index.load(folders)
    assert reads == [folders[3], folders[5]]
    assert loaded[3].metrics["parameters"] == 77
    assert loaded[5].settings["seed"] == 8


def test_a_change_within_the_same_size_is_seen_by_its_time(folders: list[Path]) -> None:
    index.load(folders)
    path = folders[0] / "result.json"
    text, then = path.read_text(), path.stat().st_mtime_ns
    path.write_text(text.replace("0.97", "0.98"))
    os.utime(path, ns=(then + 1_000_000, then + 1_000_000))
    assert index.load(folders)[0].value == 0.98


def test_a_run_whose_options_changed_is_read_again(folders: list[Path], reads: list[Path]) -> None:
    index.load(folders)
    reads.clear()
    hydra = folders[4] / ".hydra/hydra.yaml"
    hydra.write_text(hydra.read_text().replace("model: mlp", "model: perceptron"))
    assert index.load(folders)[4].settings["model"] == "perceptron"
    assert reads == [folders[4]]


def test_a_name_that_is_no_text_is_kept_too(folders: list[Path], reads: list[Path]) -> None:
    odd = Path(os.fsdecode(os.fsencode(folders[0]) + b"\xff"))
    try:
        make(odd)
    except OSError:
        pytest.skip("folders have names in Unicode here")
    everything = [*folders, odd]
    first = index.load(everything)
    reads.clear()
    assert index.load(everything) == first
    assert not reads


def test_what_is_not_settled_is_read_each_time(tmp_path: Path, reads: list[Path]) -> None:
    unfinished, broken = make(tmp_path / "a", result=None), make(tmp_path / "b", result="{")
    (unfinished / ".lock").touch()
    for _ in range(2):
        assert [run.status for run in index.load([unfinished, broken])] == ["unfinished", "broken"]
    assert reads == [unfinished, broken] * 2


def test_a_deleted_run_is_gone(folders: list[Path]) -> None:
    index.load(folders)
    (folders[1] / "result.json").unlink()
    (folders[1] / ".hydra/config.yaml").unlink()
    assert [run.folder for run in index.load(find.find([folders[0].parent]))] == [*folders[:1], *folders[2:]]


@pytest.mark.parametrize("content", [b"no database at all, just text", b""])
def test_a_damaged_index_costs_only_time(folders: list[Path], cache: Path, content: bytes) -> None:
    expected = index.load(folders)
    for leftover in cache.iterdir():
        leftover.unlink()
    (cache / "runs.sqlite").write_bytes(content)
    assert index.load(folders) == expected
    assert index.load(folders) == expected  # begun anew


def test_rows_that_make_no_sense_are_read_anew(folders: list[Path], cache: Path) -> None:
    expected = index.load(folders)
    for nonsense in ("{", "[]", '{"started": 1, "colour": 2}', '{"started": 1}'):
        with sqlite3.connect(cache / "runs.sqlite") as database:
            database.execute("UPDATE runs SET run = ?", (nonsense,))
        assert index.load(folders) == expected


def test_the_oldest_make_room(folders: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_RUNS", 5)
    index.load(folders)
    with sqlite3.connect(cache / "runs.sqlite") as database:
        kept = [Path(os.fsdecode(folder)) for (folder,) in database.execute("SELECT folder FROM runs ORDER BY rowid")]
    assert kept == folders[-5:]


def test_where_nothing_can_be_kept_all_is_read(
    folders: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "file"))
    assert len(index.load(folders)) == 12


def test_an_index_that_another_process_writes_is_no_obstacle(folders: list[Path], cache: Path) -> None:
    index.load(folders[:3])
    other = sqlite3.connect(cache / "runs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert len(index.load(folders)) == 12
    finally:
        other.close()
