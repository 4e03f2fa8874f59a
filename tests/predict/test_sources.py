"""sources.py: which pictures the words after WINNER mean."""

import io
import os
import sys
from pathlib import Path

import pytest

from inksweep.errors import InputError
from inksweep.predict import sources
from inksweep.predict.sources import find


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files that are called as pictures, and others; it is the current one."""
    for name in (
        "b.png",
        "a.JPG",
        "notes.txt",
        ".hidden.png",
        "deep/c.webp",
        "deep/.git/d.png",
        "more/e.tiff",
        "[1].png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*words: str) -> list[str]:
    """Return the names of the pictures; of a word that is refused, its line."""
    return [str(source.refused or source.name) for source in find(words)]


def test_a_file_is_taken_whatever_it_is_called(here: Path) -> None:
    assert names("notes.txt", ".hidden.png", str(here / "b.png")) == ["notes.txt", ".hidden.png", str(here / "b.png")]
    # A file that is called as a pattern is the file.
    assert names("[1].png") == ["[1].png"]


def test_a_folder_is_its_pictures_and_those_below_by_name(here: Path) -> None:
    assert names("deep", "more/") == ["deep/c.webp", "more/e.tiff"]
    assert names(".") == ["[1].png", "a.JPG", "b.png", "deep/c.webp", "more/e.tiff"]
    # What is hidden is left out below, not where it was named.
    assert names("deep/.git") == ["deep/.git/d.png"]


def test_a_link_to_a_folder_above_does_not_go_round(here: Path) -> None:
    (here / "deep" / "up").symlink_to(here, target_is_directory=True)
    assert names("deep") == ["deep/c.webp"]


def test_a_pattern_is_the_files_that_it_fits(here: Path) -> None:
    assert names("*.png") == ["[1].png", "b.png"]
    assert names("**/*.webp", "m*") == ["deep/c.webp", "m*: no file is called so"]
    assert names("*/*") == ["deep/c.webp", "more/e.tiff"]


def test_a_picture_that_is_meant_twice_is_kept_once(here: Path) -> None:
    assert names("b.png", "./b.png", str(here / "b.png"), "*.png", ".")[:2] == ["b.png", "[1].png"]
    assert len(names("b.png", ".")) == 5
    assert names("-", "-") == ["-"]


def test_a_home_folder_is_found(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    assert names("~/b.png") == [str(here / "b.png")]


def test_a_word_without_a_picture_is_one_line_and_the_others_are_found(here: Path) -> None:
    assert names("missing.png", "empty", "b.png", "*.bmp") == [
        "missing.png: no such file",
        "empty: there is no picture in it (.png, .jpg, .jpeg, .bmp, .gif, .webp, .tif, .tiff)",
        "b.png",
        "*.bmp: no file is called so",
    ]


def test_a_broken_link_is_left_to_be_said_when_it_is_read(here: Path) -> None:
    (here / "gone.png").symlink_to("nowhere.png")
    assert names("gone.png") == ["gone.png"]


def test_standard_input_is_its_bytes_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    (source,) = find(["-"])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG")))
    assert source.content() == b"\x89PNG"
    monkeypatch.setattr(sources, "MAX_BYTES", 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG")))
    with pytest.raises(InputError, match="standard input: more than 3 bytes"):
        source.content()


def test_a_folder_that_may_not_be_read_is_one_line_and_the_rest_is_found(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("more"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names("more") == ["more: cannot be read (Permission denied)"]
    assert names(".")[-2:] == ["deep/c.webp", "./more: cannot be read (Permission denied)"]
