"""Where a study is kept, and how it is opened: by the sweep, and by each job that reports."""

import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage, RDBStorage

from inksweep.errors import InputError, without_password
from inksweep.paths import SweepDir
from inksweep.sweep.journal import open_journal

# A process that has been silent for so many heartbeats is taken for dead.
SILENT_BEATS = 3
# What databases say to all but one of the processes that make the tables at the same moment.
OF_A_RACE = ("already exists", "UniqueViolation", "UNIQUE constraint")


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
    return Address(name or str(sweep), _absolute(url, home), sweep, heartbeat_s)


def open_storage(address: Address) -> BaseStorage:
    """Open the storage, or begin it.

    Raises:
        InputError: it cannot be opened.
    """
    if address.url is None:
        return open_journal(SweepDir(address.sweep).journal)
    for pause in (0.5, 1.0, 2.0):
        try:
            return _open_database(address)
        except Exception as error:  # whatever a database driver raises
            is_race = any(sign in str(error) for sign in OF_A_RACE)
            if not is_race or pause == 2.0:
                reason = str(error).partition("\n")[0]
                place = f"hydra.sweeper.storage={without_password(address.url)}"
                raise InputError(f"{place}: cannot be opened ({reason})") from error
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _open_database(address: Address) -> BaseStorage:
    assert address.url is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # that heartbeats may change in Optuna
        return RDBStorage(
            address.url,
            engine_kwargs={"pool_pre_ping": True},  # a connection may have been closed while a trial was silent
            heartbeat_interval=address.heartbeat_s,
            grace_period=SILENT_BEATS * address.heartbeat_s,
        )


def _absolute(url: str, home: Path) -> str:
    """Return `url` with a relative path of SQLite below `home`: a job may have another working directory."""
    scheme, separator, path = url.partition(":///")
    if not scheme.startswith("sqlite") or not separator or path.startswith("/") or path in ("", ":memory:"):
        return url
    return f"{scheme}:///{home / path}"
