"""The study of a sweep directory, opened only to be looked at: by report, dashboard and warm start.

Nothing is created, repaired or locked: the sweep may be running, and may be somebody else's.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.study import Study

from inksweep.errors import InputError, last_line, without_password
from inksweep.paths import SweepDir
from inksweep.sweep.study.journal import PlainFile
from inksweep.sweep.study.storage import Address

# The environment variable with the URL of the database: its password then does not stand in a command.
STORAGE_VARIABLE = "INKSWEEP_STORAGE"


class Unreadable(InputError):
    """A study cannot be looked at. What is wrong and where; the remedy is that of a command that has `--storage`."""

    def __init__(self, place: str | Path, fact: str, remedy: str):
        super().__init__(f"{place}: {fact}; {remedy}")
        self.fact = f"{place}: {fact}"


def settings(folder: Path) -> dict[str, Any]:
    """Return what `sweep.yaml` holds: `command`, `overrides`, `sweeper`.

    Raises:
        InputError: `folder` is no sweep directory, or the file is broken.
    """
    path = SweepDir(folder).config
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise Unreadable(folder, f"no sweep directory (it has no {path.name})", "give one, as multirun/night") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Unreadable(path, f"cannot be read ({last_line(error)})", "restore it") from error
    if not isinstance(content, dict) or not isinstance(content.get("sweeper"), dict):
        raise Unreadable(path, "cannot be read (it holds no settings of a sweep)", "restore it")
    return content


def recorded_storage(sweeper: Mapping[str, Any]) -> str | None:
    """Return the URL of a sweep's database, without its password; None: a journal.

    Args:
        sweeper: of its `settings`.
    """
    url = sweeper.get("storage")
    return None if url is None else str(url)


def find(folder: Path, storage: str | None = None, sweeper: Mapping[str, Any] | None = None) -> Address:
    """Return where the study of the sweep directory `folder` is kept.

    Args:
        folder: the sweep directory.
        storage: URL of its database; None: the variable INKSWEEP_STORAGE, else what sweep.yaml says.
        sweeper: of its `settings`; None: they are read.

    Raises:
        InputError: it is no sweep directory, there is no study, or only its database's password is missing.
    """
    if sweeper is None:
        sweeper = settings(folder)["sweeper"]
    recorded = recorded_storage(sweeper)
    url = storage or (os.environ.get(STORAGE_VARIABLE) if recorded else None) or recorded
    name = str(sweeper.get("study_name") or folder.resolve().name)
    journal = SweepDir(folder).journal
    if url is None and not journal.is_file():
        raise Unreadable(folder, f"there is no study in it (no {journal.name})", "start the sweep first")
    if url is not None and "***" in url:
        fact = f"the password of its database was not kept ({url})"
        raise Unreadable(folder, fact, f"give the whole URL with --storage or {STORAGE_VARIABLE}")
    return Address(name, None if url is None else _located(url, folder), folder.resolve(), 60)


def look(address: Address) -> Study:
    """Open the study for reading.

    Raises:
        InputError: it cannot be opened, or is not there.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = SweepDir(address.sweep).journal
    storage, names = _journal(journal) if address.url is None else _database(address.url)
    # The folder may have been renamed since; its journal holds one study.
    name = names[0] if address.url is None and len(names) == 1 else address.study
    if name not in names:
        place = journal if address.url is None else without_password(address.url)
        fact = f"the study {name} is not in it (there are: {', '.join(names) or 'none'})"
        raise Unreadable(place, fact, "name the sweep directory of one of these")
    return optuna.load_study(study_name=name, storage=storage)


def _names(storage: BaseStorage) -> list[str]:
    return [study.study_name for study in storage.get_all_studies()]


def _journal(path: Path) -> tuple[BaseStorage, list[str]]:
    try:
        storage = JournalStorage(_Reader(path))
        return storage, _names(storage)
    except (OSError, KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        fact = f"is no journal of a study, or is damaged ({last_line(repr(error))})"
        raise Unreadable(path, fact, "restore it") from error


class _Reader(PlainFile):
    """A journal that a sweep may be writing: read as it grows, without its lock; a half written line waits."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to write."""
        raise PermissionError("this study is only looked at")


def _database(url: str) -> tuple[BaseStorage, list[str]]:
    try:
        # Without tables of Optuna it is no database of a sweep; it gets none because we look into it.
        storage = RDBStorage(url, engine_kwargs={"pool_pre_ping": True}, skip_table_creation=True)
        return storage, _names(storage)
    except Exception as error:  # whatever a database driver raises
        reason = without_password(str(error).partition("\n")[0]) or type(error).__name__
        fact = f"cannot be opened ({reason})"
        raise Unreadable(without_password(url), fact, "give the URL with --storage") from error


def _located(url: str, folder: Path) -> str:
    """Return `url`; a relative path of SQLite, which the sweep found from its own start, is looked for from here up."""
    scheme, separator, path = url.partition(":///")
    if not scheme.startswith("sqlite") or not separator or path in ("", ":memory:"):
        return url
    bare, _, options = path.partition("?")
    for home in (Path.cwd(), *folder.resolve().parents):
        if (home / bare).is_file():
            return f"{scheme}:///{home / bare}" + (f"?{options}" if options else "")
    raise Unreadable(url, "there is no such file", "give its whole path with --storage sqlite:////...")
