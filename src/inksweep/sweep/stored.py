"""The study of a sweep directory, opened to be looked at: also while the sweep runs, which notices nothing of it."""

import os
from pathlib import Path
from typing import Any

import optuna
import yaml
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study

from inksweep.errors import InputError, last_line, without_password
from inksweep.paths import SweepDir
from inksweep.sweep.storage import Address

# URL of the database, for those who do not want its password among the words of a command.
STORAGE_VARIABLE = "INKSWEEP_STORAGE"


def settings(folder: Path) -> dict[str, Any]:
    """Return what `sweep.yaml` holds: `command`, `overrides`, `sweeper`.

    Raises:
        InputError: `folder` is no sweep directory, or the file is broken.
    """
    path = SweepDir(folder).config
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder}: no sweep directory (it has no {path.name}); give one, as multirun/night") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read ({last_line(error)}); restore it") from error
    if not isinstance(found, dict) or not isinstance(found.get("sweeper"), dict):
        raise InputError(f"{path}: cannot be read (it holds no settings of a sweep); restore it")
    return found


def find(folder: Path, storage: str | None = None) -> Address:
    """Return where the study of the sweep directory `folder` is kept.

    Args:
        folder: the sweep directory.
        storage: URL of its database; None: the variable INKSWEEP_STORAGE, else what sweep.yaml says.

    Raises:
        InputError: it is no sweep directory, there is no study, or only its database's password is missing.
    """
    sweeper = settings(folder)["sweeper"]
    recorded = sweeper.get("storage")
    url = storage or (os.environ.get(STORAGE_VARIABLE) if recorded else None) or recorded
    name = str(sweeper.get("study_name") or folder.resolve().name)
    journal = SweepDir(folder).journal
    if url is None and not journal.is_file():
        raise InputError(f"{folder}: there is no study in it (no {journal.name}); start the sweep first")
    if url is not None and "***" in url:
        raise InputError(
            f"{folder}: the password of its database was not kept ({url}); give the whole URL with --storage or "
            f"{STORAGE_VARIABLE}"
        )
    return Address(name, None if url is None else _located(str(url), folder), folder.resolve(), 60)


def look(address: Address) -> Study:
    """Open the study for reading; nothing is created, repaired or locked.

    Raises:
        InputError: it cannot be opened, or is not there.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = _journal(SweepDir(address.sweep).journal) if address.url is None else _database(address.url)
    names = [study.study_name for study in storage.get_all_studies()]
    # The folder may have been renamed since; its journal holds one study.
    name = names[0] if address.url is None and len(names) == 1 else address.study
    if name not in names:
        place = SweepDir(address.sweep).journal if address.url is None else without_password(address.url)
        raise InputError(f"{place}: the study {name} is not in it (there are: {', '.join(names) or 'none'})")
    return optuna.load_study(study_name=name, storage=storage)


def _journal(path: Path) -> JournalStorage:
    try:
        return JournalStorage(_Reader(str(path)))
    except (OSError, KeyError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise InputError(f"{path}: is no journal of a study, or is damaged ({last_line(repr(error))})") from error


class _Reader(JournalFileBackend):
    """A journal that a sweep may be writing: read as it grows, without its lock; a half written line waits."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse: whoever looks has nothing to say."""
        raise PermissionError("this study is only looked at")


def _database(url: str) -> BaseStorage:
    try:
        # Nobody else's database gets tables because we look into it.
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True}, skip_table_creation=True)
    except Exception as error:  # whatever a database driver raises
        shown, reason = without_password(url), without_password(str(error).partition("\n")[0]) or type(error).__name__
        raise InputError(f"{shown}: cannot be opened ({reason}); give the URL with --storage") from error


def _located(url: str, folder: Path) -> str:
    """Return `url`; a relative path of SQLite, which the sweep found from its own start, is looked for from here up."""
    scheme, separator, path = url.partition(":///")
    if not scheme.startswith("sqlite") or not separator or path in ("", ":memory:"):
        return url
    bare, _, options = path.partition("?")
    for home in (Path.cwd(), *folder.resolve().parents):
        if (home / bare).is_file():
            return f"{scheme}:///{home / bare}" + (f"?{options}" if options else "")
    raise InputError(f"{url}: there is no such file; give its whole path with --storage sqlite:////...")
