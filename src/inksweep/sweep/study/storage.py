"""Where a study is kept, and how it is opened to be run; the config of a sweep for jobs of another study."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from omegaconf import DictConfig, OmegaConf, open_dict
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.space.written import written
from inksweep.sweep.study import database
from inksweep.sweep.study.database import absolute
from inksweep.sweep.study.journal import open_journal, study_names


def moved(config: DictConfig, folder: Path, sweeper: Mapping[str, str | None]) -> DictConfig:
    """Return the config of the same sweep with its jobs in `folder`.

    Args:
        config: what Hydra composed for the sweep.
        folder: absolute.
        sweeper: keys of `hydra.sweeper` with their new values.
    """
    copy = config.copy()
    for node in (copy.hydra.sweep, copy.hydra.sweeper, copy.hydra.overrides.hydra):
        OmegaConf.set_readonly(node, False)
    changes = {"hydra.sweep.dir": str(folder), **{f"hydra.sweeper.{key}": value for key, value in sweeper.items()}}
    with open_dict(copy):
        for key, value in changes.items():
            OmegaConf.update(copy, key, value)
            copy.hydra.overrides.hydra.append(f"{key}={written(value)}")  # for the jobs
    OmegaConf.copy_cache(from_config=config, to_config=copy)
    return copy


@dataclass(frozen=True)
class Address:
    """How every process of a sweep finds its study; hashable, so that a worker can keep it open."""

    study: str
    # URL of a database; None: the journal in `sweep`.
    url: str | None
    # The sweep directory, absolute.
    sweep: Path
    heartbeat_s: int

    @property
    def exclusive(self) -> bool:
        """Whether one process alone runs the sweep: a journal's."""
        return self.url is None


def address(hydra: DictConfig) -> Address:
    """Read the address from Hydra's settings; the same in the sweep and in its jobs."""
    home, directory = Path(str(hydra.runtime.cwd)), str(hydra.sweep.dir)
    sweep, url, name = home / directory, hydra.sweeper.storage, hydra.sweeper.study_name
    heartbeat_s = int(hydra.sweeper.get("heartbeat_s", 60))
    if url is None:
        return Address(name or sweep.name, None, sweep, heartbeat_s)
    # In a database that other sweeps use, the last part of a folder's name may not be enough.
    return Address(name or str(sweep), absolute(url, home), sweep, heartbeat_s)


def check(address: Address) -> None:
    """See whether the study can be kept there; nothing is written.

    Raises:
        InputError: it cannot.
    """
    if address.url is not None:
        database.check(address.url)


def resolved(address: Address) -> Address:
    """Return the address of the study that the sweep directory holds, also where that was renamed or moved.

    A journal, or a database of SQLite in the sweep directory, that holds one study is of this sweep, whatever the
    study is called. Nothing is written.

    Raises:
        InputError: it holds several, and none of this name.
    """
    file, names = _own_file(address)
    # The final stage of a search has a study of its own beside it in a database.
    searches = [name for name in names if not name.endswith(FINALISTS)]
    if address.study in names or not searches:
        return address
    if len(searches) > 1:
        raise InputError(
            f"hydra.sweeper.study_name={address.study}: {file} holds other studies ({', '.join(searches)}); "
            "give the name of one of them, or another folder (hydra.sweep.dir)"
        )
    return replace(address, study=searches[0])


# How the name ends of the study of a final stage.
FINALISTS = ".finalists"


def _own_file(address: Address) -> tuple[Path, list[str]]:
    """Return the file in the sweep directory that holds its study, and the names of the studies in it."""
    journal = SweepDir(address.sweep).journal
    if address.url is None:
        return journal, study_names(journal)
    scheme, _, place = address.url.partition(":///")
    path = Path(os.path.abspath(place.partition("?")[0]))  # noqa: PTH100  as typed
    if not scheme.startswith("sqlite") or not path.is_relative_to(os.path.abspath(address.sweep)):  # noqa: PTH100
        return path, []
    return path, _names_in_sqlite(path)


def _names_in_sqlite(path: Path) -> list[str]:
    import sqlite3

    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as opened:
            return [str(name) for (name,) in opened.execute("SELECT study_name FROM studies")]
    except sqlite3.Error:  # there is none yet, or opening it will say what is wrong
        return []


def open_storage(address: Address, wait_s: float = 0.0) -> BaseStorage:
    """Open the storage, or begin it.

    Args:
        address: where it is.
        wait_s: so many seconds a database that cannot be reached is waited for.

    Raises:
        InputError: it cannot be opened.
    """
    if address.url is None:
        return open_journal(SweepDir(address.sweep).journal)
    return database.open_database(address.url, address.heartbeat_s, wait_s)


def open_study(address: Address, directions: Sequence[str]) -> Study:
    """Open the study, or begin it.

    Args:
        address: where it is kept, and its name.
        directions: `minimize` or `maximize`, one an objective.

    Raises:
        InputError: the storage cannot be opened, or the study has other directions.
    """
    # Optuna's own lines about each study and trial would come on top of ours.
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    wanted = [StudyDirection[direction.upper()] for direction in directions]
    storage = open_storage(address)
    try:
        # Before it is begun: a journal notes also that a study was to be begun which is there.
        study = optuna.load_study(study_name=address.study, storage=storage)
    except KeyError:
        study = optuna.create_study(study_name=address.study, storage=storage, directions=wanted, load_if_exists=True)
    if study.directions != wanted:
        names = [direction.name.lower() for direction in study.directions]
        raise InputError(
            f"hydra.sweeper.direction={_one_or_all(directions)}: study {study.study_name} has direction "
            f"{_one_or_all(names)}; begin a new one (hydra.sweeper.study_name)"
        )
    return study


def _one_or_all(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"[{','.join(names)}]"
