"""storage.py: which study a sweep directory holds, also where the directory was renamed or moved."""

from pathlib import Path

import optuna
import pytest

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.study.journal import open_journal, study_names
from inksweep.sweep.study.storage import Address, open_study, resolved


def held(folder: Path, *names: str) -> Path:
    """Make a journal in a sweep directory with studies of these names."""
    folder.mkdir()
    for name in names:
        open_study(Address(name, None, folder, 60), ["minimize"])
    return SweepDir(folder).journal


@pytest.mark.parametrize("word", ["first", "second"])
def test_the_one_study_of_a_journal_goes_on_whatever_its_folder_is_called(tmp_path: Path, word: str) -> None:
    journal = held(tmp_path / "second", "first")
    before = journal.read_bytes()
    address = Address(word, None, tmp_path / "second", 60)
    assert resolved(address).study == "first"
    assert journal.read_bytes() == before


def test_of_several_studies_none_is_guessed(tmp_path: Path) -> None:
    journal = held(tmp_path / "s", "a", "b")
    assert resolved(Address("b", None, tmp_path / "s", 60)).study == "b"
    with pytest.raises(InputError, match=r"study_name=c: \S*study.journal holds other studies \(a, b\); give the name"):
        resolved(Address("c", None, tmp_path / "s", 60))
    optuna.delete_study(study_name="a", storage=open_journal(journal))
    assert study_names(journal) == ["b"]
    assert resolved(Address("c", None, tmp_path / "s", 60)).study == "b"


def test_a_new_folder_gets_a_study_of_the_name_that_was_typed(tmp_path: Path) -> None:
    assert resolved(Address("new", None, tmp_path / "new", 60)).study == "new"
    (tmp_path / "odd").mkdir()
    SweepDir(tmp_path / "odd").journal.write_text("no journal\n")
    assert resolved(Address("new", None, tmp_path / "odd", 60)).study == "new"  # opening it says what is wrong


@pytest.mark.parametrize(("place", "study"), [("second/study.db", "first"), ("study.db", "second")])
def test_a_database_file_is_of_the_sweep_in_whose_folder_it_lies(tmp_path: Path, place: str, study: str) -> None:
    (tmp_path / "second").mkdir()
    url = f"sqlite:///{tmp_path / place}"
    for name in ("first", "first.finalists"):
        optuna.create_study(study_name=name, storage=url)
    assert resolved(Address("second", url, tmp_path / "second", 60)).study == study
