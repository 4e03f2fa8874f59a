"""The study of a sweep directory, opened to be looked at: also while the sweep runs, which notices nothing of it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import yaml
from omegaconf import OmegaConf
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend
from optuna.study import Study

from inksweep.errors import InputError, last_line, without_password
from inksweep.paths import SweepDir
from inksweep.sweep.study.storage import Address

# URL of the database, for those who do not want its password among the words of a command.
STORAGE_VARIABLE = "INKSWEEP_STORAGE"
# The key that names another sweep.
WARM_START = "hydra.sweeper.warm_start"


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


def load(sweep: SweepDir, storage: str | None) -> Study:
    """Open the study of another sweep to read it."""
    place = f"{WARM_START}={sweep.root}"
    settings = read_yaml(sweep.config, {})
    sweeper = settings.get("sweeper") if isinstance(settings, dict) else None
    sweeper = sweeper if isinstance(sweeper, dict) else {}
    # A sweep without a name in its settings was given one.
    url, name = sweeper.get("storage"), sweeper.get("study_name") or _told_name(sweep)
    try:
        opened = (
            _told_database(place, url, storage)
            if isinstance(url, str) and "://" in url
            else _told_journal(place, sweep)
        )
        names = optuna.get_all_study_names(opened)
        # The folder may have been renamed since; its journal holds one study.
        name = name if name in names or len(names) != 1 else names[0]
        if name not in names:
            raise InputError(
                f"{place}: its study ({name or 'without a name'}) is not in its storage; name another sweep"
            )
        return optuna.load_study(study_name=name, storage=opened)
    except InputError:
        raise
    except Exception as error:  # whatever a database driver raises
        reason = without_password(str(error).partition("\n")[0]) or type(error).__name__
        raise InputError(f"{place}: its study cannot be read ({reason}); name another sweep directory") from error


def _told_name(sweep: SweepDir) -> str | None:
    """Return the name of a study according to the summary of its sweep."""
    summary = read_yaml(sweep.summary, {})
    return summary.get("study") if isinstance(summary, dict) else None


def _told_database(place: str, url: str, storage: str | None) -> BaseStorage:
    if "***" in url:
        if storage is None or without_password(storage) != url:
            raise InputError(
                f"{place}: its study is in a database whose password was not kept ({url}); use this database as "
                "hydra.sweeper.storage, or give the points in hydra.sweeper.enqueue"
            )
        url = storage
    # Nobody else's database gets tables because we look into it.
    return RDBStorage(url, skip_table_creation=True)


def _told_journal(place: str, sweep: SweepDir) -> BaseStorage:
    if not sweep.journal.is_file():
        raise InputError(f"{place}: there is no study in this directory; name one that holds {sweep.journal.name}")
    return JournalStorage(_Snapshot(sweep.journal))


class _Snapshot(BaseJournalBackend):
    """What a journal holds at this moment. Takes no lock and writes nothing: it may be somebody else's."""

    def __init__(self, path: Path):
        # The last line may be half written.
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        self._logs = [json.loads(line) for line in whole.splitlines()]

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the entries from this one on."""
        yield from self._logs[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse: a reader has nothing to say."""
        raise NotImplementedError


def read_yaml(path: Path, missing: Any) -> Any:
    """Return what a YAML file of another sweep holds."""
    if not path.is_file():
        return missing
    try:
        return OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # whatever YAML or OmegaConf makes of a broken file
        raise InputError(f"{path}: cannot be read ({last_line(error)}); restore or remove it") from error
