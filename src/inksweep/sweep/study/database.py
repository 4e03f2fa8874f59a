"""A database that holds a study: which URLs can be used, and a storage that waits for one that is away for a while."""

import functools
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from inksweep.errors import InputError, need_extra, without_password
from inksweep.silence import QUIET_S

log = logging.getLogger(__name__)

# A process that has been silent for so many heartbeats is taken for dead; so long is a database waited for, too.
SILENT_BEATS = 3
# Seconds until a server that does not answer cannot be reached.
CONNECT_S = 10
# The first and the longest pause between two attempts, in seconds.
PAUSES_S = (0.2, 5.0)
# What databases say to all but one of the processes that make the tables at the same moment.
OF_A_RACE = ("already exists", "UniqueViolation", "UNIQUE constraint")
# What they say when waiting does not help.
LASTING = ("disk is full", "No space left", "readonly database", "no such table", "is not a database")
# The package of a driver, where it is not called as the driver is.
PACKAGES = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient", "mysql": "mysql-connector-python"}
# A connection that was cut without a word shows after about a minute, not after two hours.
OF_LIBPQ = {
    "connect_timeout": CONNECT_S,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
LIMITS = {
    "psycopg": OF_LIBPQ,
    "psycopg2": OF_LIBPQ,
    "pymysql": {"connect_timeout": CONNECT_S},
    "mysqldb": {"connect_timeout": CONNECT_S},
    "mysqlconnector": {"connection_timeout": CONNECT_S},
}
# What a storage is asked while a sweep runs, by Optuna's names.
METHODS = (
    "create_new_study",
    "set_study_user_attr",
    "set_study_system_attr",
    "get_study_id_from_name",
    "get_study_name_from_id",
    "get_study_directions",
    "get_study_user_attrs",
    "get_study_system_attrs",
    "get_all_studies",
    "_create_new_trial",
    "_set_trial_param",
    "_get_best_trial_id",
    "get_trial_id_from_study_id_trial_number",
    "set_trial_state_values",
    "set_trial_intermediate_value",
    "set_trial_user_attr",
    "set_trial_system_attr",
    "get_trial",
    "_get_trials",
    "record_heartbeat",
    "_get_stale_trial_ids",
)


class DatabaseAway(InputError):
    """The database of a study did not answer for so long that it is waited for no more."""

    def __init__(self, fact: str):
        super().__init__(f"{fact}; once it can be used, the same command goes on")
        self.fact = fact


class PatientStorage(RDBStorage):
    """Optuna's storage in a database, which tries again what failed because the database could not be reached.

    Args:
        url: of the database.
        heartbeat_s: between two heartbeats; the database is waited for `SILENT_BEATS` times as long.

    Raises:
        DatabaseAway: by every method, when the database has been away for longer.
    """

    def __init__(self, url: str, heartbeat_s: int):
        self._place = _place(url)
        self._patience_s = SILENT_BEATS * heartbeat_s
        self._away_since: float | None = None
        self._said = 0.0
        self._is_waiting = self._is_given_up = self.is_hasty = False
        # When it answered again after it had been away, by `time.monotonic()`.
        self.back_at: float | None = None
        # What it logs of a connection that is cut, on many lines, is said here in one.
        logging.getLogger(RDBStorage.__module__).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # that heartbeats may change in Optuna
            super().__init__(
                url,
                # A connection may have been closed while a trial was silent.
                engine_kwargs={"pool_pre_ping": True, "connect_args": _limits(url)},
                heartbeat_interval=heartbeat_s,
                grace_period=SILENT_BEATS * heartbeat_s,
            )

    def set_trial_state_values(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Put a trial into a state; False if it was to begin, and another process has begun it."""
        if self.engine.dialect.name == "sqlite":
            # Optuna looks whether the trial waits, then writes. It locks the row meanwhile; SQLite has no such lock:
            # two processes would begin the same trial, in the same folder.
            from sqlalchemy import text

            self.scoped_session().execute(text("BEGIN IMMEDIATE"))
        return super().set_trial_state_values(trial_id, state, values)

    def patiently(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of Optuna's storage until the database answers."""
        pause = PAUSES_S[0]
        is_repeated = False
        while True:
            try:
                answer = method(self, *args, **kwargs)
            except UpdateFinishedTrialError:
                # The first attempt may have been carried out, and only its answer lost.
                if is_repeated and _has_state(self, method.__name__, args, kwargs):
                    return True
                raise
            except Exception as error:
                if (reason := why_away(error)) is None:
                    raise
                self.scoped_session.remove()
                if self.is_hasty:
                    raise DatabaseAway(f"{self._place}: does not answer ({reason})") from error
                self._wait(pause, reason, error)
                pause, is_repeated = min(2 * pause, PAUSES_S[1]), True
                continue
            if self._away_since is not None and self._is_waiting:
                log.warning("%s: answers again, after %.0f s", self._place, time.monotonic() - self._away_since)
            if self._away_since is not None:
                self._away_since, self.back_at, self._is_given_up = None, time.monotonic(), False
            return answer

    def _wait(self, pause: float, reason: str, error: Exception) -> None:
        """Wait before the next attempt.

        Raises:
            DatabaseAway: the time is over, or waiting does not help.
        """
        now, lasts = time.monotonic(), any(sign in reason for sign in LASTING)
        if self._away_since is None:
            self._away_since = self._said = now
            self._is_waiting = not lasts
            if self._is_waiting:
                log.warning("%s: does not answer (%s); trying again for %g s", self._place, reason, self._patience_s)
        away = now - self._away_since
        if lasts or self._is_given_up or away >= self._patience_s:
            self._is_given_up = True
            raise DatabaseAway(f"{self._place}: did not answer for {away:.0f} s ({reason})") from error
        if now - self._said >= QUIET_S:
            self._said = now
            log.warning("%s: has not answered for %.0f of %g s", self._place, away, self._patience_s)
        time.sleep(min(pause, self._patience_s - away))


def _patient(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def patient(self: PatientStorage, *args: Any, **kwargs: Any) -> Any:
        return self.patiently(method, *args, **kwargs)

    return patient


for _name in METHODS:
    setattr(PatientStorage, _name, _patient(getattr(PatientStorage, _name)))


def _has_state(storage: PatientStorage, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a trial is in the state that `set_trial_state_values` was to put it into."""
    if method != "set_trial_state_values":
        return False
    given = dict(zip(("trial_id", "state", "values"), args, strict=False)) | kwargs
    trial, values = storage.get_trial(given["trial_id"]), given.get("values")
    state: TrialState = given["state"]
    return trial.state is state and (values is None or trial.values == list(values))


def seconds_since_away(storage: BaseStorage) -> float | None:
    """Return since when a database answers again; None: it was never away, or the storage is no database."""
    # Optuna puts a cache around a database, and has no public name for what it caches. Without it, trials of
    # processes that could not beat while the database was away would be taken for lost.
    back_at = getattr(getattr(storage, "_backend", storage), "back_at", None)
    return None if back_at is None else time.monotonic() - back_at


@contextmanager
def hasty(storage: BaseStorage) -> Iterator[None]:
    """Let a database that does not answer raise DatabaseAway at once during the block, without a word in the log."""
    # See `seconds_since_away`. Without the name a look between two reports would wait as long as a report.
    patient = getattr(storage, "_backend", storage)
    if not isinstance(patient, PatientStorage):
        yield
        return
    patient.is_hasty = True
    try:
        yield
    finally:
        patient.is_hasty = False


def why_away(error: BaseException) -> str | None:
    """Return in a line why a database could not be used; None: the error is of another kind."""
    from sqlalchemy import exc

    for link in _chain(error):
        if isinstance(link, exc.OperationalError | exc.InterfaceError | exc.TimeoutError | exc.DisconnectionError):
            return _reason(link)
        if isinstance(link, exc.DBAPIError) and link.connection_invalidated:
            return _reason(link)
    return None


def open_database(url: str, heartbeat_s: int, wait_s: float = 0.0) -> BaseStorage:
    """Open a database, or make its tables.

    Args:
        url: of the database.
        heartbeat_s: see PatientStorage.
        wait_s: so many seconds a database that cannot be reached is waited for.

    Raises:
        DatabaseAway: it cannot be reached.
        InputError: it cannot be opened.
    """
    _parsed(url)  # its driver is installed
    started, pause, races = time.monotonic(), PAUSES_S[0], 0
    while True:
        try:
            return PatientStorage(url, heartbeat_s)
        except Exception as error:  # whatever a database driver raises
            is_race, is_away = any(sign in str(error) for sign in OF_A_RACE), why_away(error) is not None
            races += is_race
            if not (is_race and races <= 3) and not (is_away and time.monotonic() + pause <= started + wait_s):
                kind = DatabaseAway if is_away else InputError
                raise kind(f"{_place(url)}: cannot be opened ({_reason(error)})") from error
        time.sleep(pause)
        pause = min(2 * pause, PAUSES_S[1])


def check(url: str) -> None:
    """See whether a study can be kept at `url`; nothing is written.

    Raises:
        InputError: it cannot.
    """
    from sqlalchemy import create_engine

    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        _check_sqlite(url, parsed)
        return
    engine = create_engine(url, connect_args=_limits(url))
    try:
        engine.connect().close()
    except Exception as error:  # whatever a database driver raises
        raise InputError(
            f"{_place(url)}: cannot be reached ({_reason(error)}); start it, or correct the URL"
        ) from error
    finally:
        engine.dispose()


def _parsed(url: str) -> Any:
    """Return `url` as SQLAlchemy reads it; its driver is installed.

    Raises:
        InputError: it is no URL of a database that Optuna can use.
    """
    from sqlalchemy import exc, make_url

    if url.startswith("postgresql+psycopg:"):
        need_extra(_place(url), "cluster", ["psycopg"])
    known = "sqlite:///a.db, postgresql+psycopg://user@host/name and mysql+pymysql://user@host/name"
    try:
        parsed = make_url(url)
        dialect = parsed.get_dialect()
        dialect.import_dbapi()
    except (exc.NoSuchModuleError, exc.ArgumentError, ValueError) as error:
        hint = "; it is called postgresql" if url.startswith("postgres:") else ""
        raise InputError(f"{_place(url)}: no URL of a database ({_reason(error)}){hint}; such are {known}") from error
    except ImportError as error:
        name = str(error.name or "").partition(".")[0]
        other = "; or postgresql+psycopg://, whose driver the extra cluster brings" if name == "psycopg2" else ""
        package = PACKAGES.get(name, name)
        raise InputError(f"{_place(url)}: needs the package {package}; pip install {package}{other}") from error
    if dialect.is_async:
        raise InputError(f"{_place(url)}: {dialect.driver} is an asynchronous driver, which Optuna cannot use")
    return parsed


def _check_sqlite(url: str, parsed: Any) -> None:
    if is_in_memory(parsed.database, parsed.query):
        raise InputError(
            f"{_place(url)}: a database in memory, which the processes of the trials do not see, and which is gone "
            "with the sweep; null keeps the study in the sweep directory, sqlite:///study.db in a file"
        )
    path = Path(parsed.database.removeprefix("file:"))

    def need(good: bool, fact: str) -> None:
        if not good:
            raise InputError(f"{_place(url)}: {fact}")

    need(path.parent.is_dir(), f"there is no folder {path.parent}; make it first")
    need(not path.is_dir(), f"{path} is a folder; name a file in it")
    # SQLite writes a file of its own beside it, too.
    need(os.access(path.parent, os.W_OK), f"{path.parent} cannot be written to; name a file in another folder")
    if not path.exists():
        return
    need(os.access(path, os.W_OK), f"{path} cannot be written to; give permission, or name another file")
    with path.open("rb") as file:
        need(file.read(16) in (b"", b"SQLite format 3\0"), f"{path} is no SQLite database; name another file")


def is_in_memory(database: str | None, query: Any) -> bool:
    """Whether a URL of SQLite names no file, in whichever of its spellings."""
    return not database or ":memory:" in database or "memory" in query.get("mode", ()) or "mode=memory" in database


def absolute(url: str, home: Path) -> str:
    """Return `url` with a relative path of SQLite below `home`: a job may have another working directory."""
    scheme, separator, path = url.partition(":///")
    prefix, path = ("file:", path.removeprefix("file:")) if path.startswith("file:") else ("", path)
    if not scheme.startswith("sqlite") or not separator or path[:1] in ("", "/", ":", "?"):
        return url
    return f"{scheme}:///{prefix}{home / path}"


def _limits(url: str) -> dict[str, Any]:
    """Return how long a driver waits for its server; what the URL says itself is left to it."""
    from sqlalchemy import make_url

    parsed = make_url(url)
    return {
        name: limit for name, limit in LIMITS.get(parsed.get_dialect().driver, {}).items() if name not in parsed.query
    }


def _place(url: str) -> str:
    return f"hydra.sweeper.storage={without_password(url)}"


def _reason(error: BaseException) -> str:
    """Return the first line of what a driver says."""
    text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    return without_password(text.partition("\n")[0].strip())


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(20):  # an error may be its own cause
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__
