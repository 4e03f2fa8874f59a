"""reader.py: the study of a sweep, opened to be looked at."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import BaseStorage, RDBStorage

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.study import reader
from tests.sweep.study.small import names, settings_only, two_trials


@pytest.fixture
def sweep(tmp_path: Path) -> SweepDir:
    """A sweep of two trials in a journal."""
    return two_trials(tmp_path / "night")


def opened(sweep: SweepDir, storage: str | None = None) -> tuple[BaseStorage, int]:
    study = reader.look(reader.find(sweep.root, storage))
    return study._storage, study._study_id


def test_a_journal_is_opened_without_touching_it(sweep: SweepDir) -> None:
    before, files = sweep.journal.read_bytes(), names(sweep.root)
    storage, number = opened(sweep)
    assert [trial.number for trial in storage.get_all_trials(number)] == [0, 1]
    with pytest.raises(PermissionError):
        storage.set_study_user_attr(number, "note", "mine")
    assert (sweep.journal.read_bytes(), names(sweep.root)) == (before, files)


def test_a_line_that_is_being_written_waits_and_is_then_read(sweep: SweepDir) -> None:
    whole = sweep.journal.read_bytes()
    # The last line sets the value of the last trial; the sweep is in the middle of it.
    sweep.journal.write_bytes(whole[:-10])
    storage, number = opened(sweep)
    assert storage.get_trial(1).value is None
    assert sweep.journal.read_bytes() == whole[:-10]
    sweep.journal.write_bytes(whole)
    assert [trial.value is not None for trial in storage.get_all_trials(number)] == [True, True]


def test_a_folder_that_was_renamed_is_found(sweep: SweepDir) -> None:
    moved = SweepDir(sweep.root.rename(sweep.root.with_name("day")))
    settings_only(moved.root, name="day")
    storage, number = opened(moved)
    assert storage.get_study_name_from_id(number) == "night"


def test_a_study_in_a_database_is_opened_and_others_there_are_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path}/all.db")
    for name in ("other", "night"):
        optuna.create_study(storage=storage, study_name=name)
    # A relative path is that of where the sweep was typed, above its folder.
    sweep = settings_only(tmp_path / "multirun" / "night", "sqlite:///all.db")
    opened_storage, number = opened(sweep)
    assert opened_storage.get_study_name_from_id(number) == "night"
    with pytest.raises(InputError, match=r"the study day is not in it \(there are: other, night\)"):
        opened(settings_only(tmp_path / "multirun" / "day", "sqlite:///all.db", "day"))


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_the_whole_url_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    optuna.create_study(storage=f"sqlite:///{tmp_path}/all.db", study_name="night")
    sweep = settings_only(tmp_path / "night", "postgresql://me:***@host/db")
    url = f"sqlite:///{tmp_path}/all.db"
    if how == "variable":
        monkeypatch.setenv(reader.STORAGE_VARIABLE, url)
    _, number = opened(sweep, url if how == "argument" else None)
    assert number == 1


def test_a_journal_alone_is_no_sweep_directory_but_can_be_looked_at(sweep: SweepDir) -> None:
    sweep.config.unlink()
    with pytest.raises(InputError, match=r"no sweep directory \(it has no sweep\.yaml\)"):
        reader.find(sweep.root)
    assert len(reader.look(reader.find(sweep.root, sweeper={})).trials) == 2


@pytest.mark.parametrize("database", ["empty.db", "missing.db"])
def test_a_file_that_is_no_database_of_a_sweep_is_named_and_left_alone(tmp_path: Path, database: str) -> None:
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError, match=rf"^sqlite:///{tmp_path}/{database}: .*; give .*--storage"):
        opened(settings_only(tmp_path / "night", f"sqlite:///{tmp_path}/{database}"))
    assert [path.stat().st_size for path in tmp_path.glob("*.db")] == [0]


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no sweep directory"), ("sweeper: [", "restore"), ("a: 1", "no settings")]
)
def test_settings_that_cannot_be_read_are_named(tmp_path: Path, content: str | None, reason: str) -> None:
    sweep = SweepDir(tmp_path)
    if content is not None:
        sweep.config.write_text(content)
    with pytest.raises(InputError, match=reason):
        reader.find(tmp_path)
