"""A study in a database: URLs that cannot be used, and a database that is away for a while."""

import sqlite3
import threading

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.storages._rdb.models import TrialModel
from optuna.trial import TrialState
from sqlalchemy import event, exc

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.study import database
from inksweep.sweep.study.database import DatabaseAway, PatientStorage, absolute, check, hasty
from inksweep.sweep.study.notes import REASON
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.storage import Address, open_study

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # made for Study.optimize


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(database, "PAUSES_S", (0.01, 0.05))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite://",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file::memory:?cache=shared&uri=true",
        "sqlite:///file:study?mode=memory&cache=shared&uri=true",
        "sqlite:///?timeout=5",
    ],
)
def test_a_database_in_memory_is_refused_in_whichever_spelling(url, tmp_path):
    with pytest.raises(InputError, match="in memory"):
        check(absolute(url, tmp_path))


@pytest.mark.parametrize(
    ("url", "fact"),
    [
        ("sqlite:///nowhere/study.db", "there is no folder .*nowhere; make it first"),
        ("sqlite:///folder", "folder is a folder; name a file in it"),
        ("sqlite:///notes.txt", "notes.txt is no SQLite database"),
        ("redis://host/0", "no URL of a database .*sqlalchemy.dialects:redis.*; such are sqlite:///a.db"),
        ("postgres://me:secret@host/name", "no URL of a database.*it is called postgresql;"),
        ("postgresql+nonsense://host/name", "no URL of a database"),
        ("postgresql://host:port/name", "no URL of a database"),
        ("postgresql+asyncpg://host/name", "pip install asyncpg"),
        ("sqlite+aiosqlite:///a.db", "pip install aiosqlite"),
        ("postgresql+psycopg2://host/name", r"pip install psycopg2-binary; or postgresql\+psycopg://"),
        ("mysql://me@host/name", "pip install mysqlclient"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/name", "cannot be reached .*refused"),
    ],
)
def test_what_cannot_hold_a_study_is_one_line(url, fact, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "notes.txt").write_text("no database, though it has more than sixteen bytes")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=fact) as refused:
        check(absolute(url, tmp_path))
    text = str(refused.value)
    assert text.startswith("hydra.sweeper.storage=")
    assert "\n" not in text
    assert "secret" not in text
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("sqlite:///a.db", "sqlite:////home/a.db"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("sqlite+pysqlite:///a.db?timeout=5", "sqlite+pysqlite:////home/a.db?timeout=5"),
        ("sqlite:///file:a.db?uri=true", "sqlite:///file:/home/a.db?uri=true"),
        ("postgresql+psycopg:///a", "postgresql+psycopg:///a"),
    ],
)
def test_a_relative_path_is_below_the_folder_of_the_start(url, where, tmp_path):
    assert absolute(url, tmp_path) == where.replace("/home", str(tmp_path))


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:///file:a.db?uri=true", "sqlite+pysqlite:///b.db"])
def test_a_file_of_sqlite_can_be_used_and_looked_at_again(url, tmp_path):
    url = absolute(url, tmp_path)
    check(url)
    assert list(tmp_path.iterdir()) == []
    open_study(Address("night", url, tmp_path, 60), ["maximize"])
    check(url)


class Cut:
    """The connection of a study: `times` statements that begin as `statement` find it cut."""

    def __init__(self, study):
        self.times, self.statement, self.tried = 0, "", 0
        event.listen(study._storage._backend.engine, "before_cursor_execute", self)

    def __call__(self, connection, cursor, statement, *rest):
        if self.times and statement.startswith(self.statement):
            self.times -= 1
            self.tried += 1
            reason = sqlite3.OperationalError("server closed the connection unexpectedly")
            raise exc.OperationalError(statement, None, reason)


@pytest.fixture
def address(tmp_path):
    return Address("night", f"sqlite:///{tmp_path}/study.db", tmp_path, heartbeat_s=1)


@pytest.fixture
def study(address):
    return open_study(address, ["maximize"])


def test_of_two_processes_that_look_at_the_same_moment_one_begins_a_trial(address, study, monkeypatch):
    study.enqueue_trial({"x": 1})
    one, two = (PatientStorage(address.url, address.heartbeat_s) for _ in range(2))
    look, begun = TrialModel.find_or_raise_by_id, []
    other = threading.Thread(target=lambda: begun.append(two.set_trial_state_values(1, TrialState.RUNNING)))

    def look_then_dawdle(*args, **kwargs):
        monkeypatch.setattr(TrialModel, "find_or_raise_by_id", look)
        trial = look(*args, **kwargs)
        other.start()
        other.join(0.3)
        return trial

    monkeypatch.setattr(TrialModel, "find_or_raise_by_id", look_then_dawdle)
    begun.append(one.set_trial_state_values(1, TrialState.RUNNING))
    other.join()
    assert sorted(begun) == [False, True]


@pytest.mark.parametrize("statement", ["SELECT", "INSERT", "UPDATE"])
def test_a_connection_that_is_cut_costs_no_trial(study, statement, caplog):
    cut = Cut(study)
    cut.statement = statement
    for number in range(3):
        trial = study.ask()  # not here: Optuna tries this five times, with pauses of up to two seconds
        cut.times = 2
        trial.suggest_float("x", 0, 1)
        trial.report(0.5, 1)
        trial.set_user_attr(REASON, "none")
        study._storage.record_heartbeat(trial._trial_id)
        study.tell(trial, number)
    assert cut.tried == 6
    assert [trial.value for trial in study.trials] == [0.0, 1.0, 2.0]
    assert [trial.intermediate_values for trial in study.trials] == [{1: 0.5}] * 3
    assert "does not answer (server closed the connection unexpectedly); trying again for 3 s" in caplog.text
    assert "answers again" in caplog.text


def test_a_database_that_stays_away_ends_in_one_line_and_is_then_not_waited_for_again(study, monkeypatch):
    cut = Cut(study)
    monkeypatch.setattr(study._storage._backend, "_patience_s", 0.2)
    cut.times = 10_000
    line = r"study.db: did not answer for \d+ s \(server closed .*\); once it can be used, the same command goes on"
    with pytest.raises(DatabaseAway, match=line):
        study.set_user_attr("a", 1)
    tried = cut.tried
    with pytest.raises(DatabaseAway):
        study.set_user_attr("a", 1)
    assert cut.tried == tried + 1
    cut.times = 0
    assert study.ask().number == 0


def test_who_is_in_haste_waits_for_no_database(study, caplog):
    cut = Cut(study)
    cut.times = 1
    with hasty(study._storage), pytest.raises(DatabaseAway, match="does not answer"):
        study.set_user_attr("a", 1)
    assert caplog.text == ""
    cut.times = 1
    study.set_user_attr("a", 1)  # tried again, as ever
    assert study.user_attrs == {"a": 1}
    with hasty(InMemoryStorage()):
        pass  # which is never away


def test_a_database_that_is_waited_for_is_named_again_and_again(study, monkeypatch, caplog):
    monkeypatch.setattr(study._storage._backend, "_patience_s", 0.4)
    monkeypatch.setattr(database, "QUIET_S", 0.1)
    Cut(study).times = 10_000
    with pytest.raises(DatabaseAway):
        study.set_user_attr("a", 1)
    assert "study.db: has not answered for 0 of 0.4 s" in caplog.text


@pytest.mark.parametrize("lasting", ["database or disk is full", "attempt to write a readonly database"])
def test_what_waiting_does_not_help_is_not_waited_for(study, lasting):
    def full(*_):
        raise sqlite3.OperationalError(lasting)

    event.listen(study._storage._backend.engine, "before_cursor_execute", full)
    with pytest.raises(DatabaseAway, match=rf"for 0 s \({lasting}\)"):
        study.set_user_attr("a", 1)


def test_an_answer_that_was_lost_is_no_trial_that_another_process_has_ended(study):
    storage: PatientStorage = study._storage._backend
    first = study.ask()
    second = study.ask()
    left = [True]

    def set_trial_state_values(self, *args, **kwargs):
        done = optuna.storages.RDBStorage.set_trial_state_values(self, *args, **kwargs)
        if left.pop() if left else False:
            raise exc.OperationalError("COMMIT", None, Exception("connection reset"))
        return done

    assert storage.patiently(set_trial_state_values, first._trial_id, TrialState.COMPLETE, [0.5]) is True
    assert study.trials[0].value == 0.5
    # Of one that has ended otherwise it is said.
    study.tell(second, state=TrialState.FAIL)
    left.append(True)
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.patiently(set_trial_state_values, second._trial_id, TrialState.COMPLETE, [0.5])


def test_a_locked_file_of_sqlite_is_waited_for(study, tmp_path, monkeypatch):
    # Another process that writes for longer than SQLite itself waits.
    storage = study._storage._backend
    other = sqlite3.connect(tmp_path / "study.db")
    other.execute("BEGIN IMMEDIATE")
    storage.engine.dispose()
    event.listen(storage.engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout = 10"))
    waited = []

    def let_go(*arguments):
        waited.append(arguments)
        other.rollback()

    monkeypatch.setattr(storage, "_wait", let_go)
    study.set_user_attr("a", 1)
    assert "database is locked" in waited[0][1]


def test_who_could_not_beat_while_the_database_was_away_is_not_taken_for_dead(study, address, tmp_path, monkeypatch):
    elsewhere, here = Owner(study, SweepDir(tmp_path), address), Owner(study, SweepDir(tmp_path), address)
    trial = study.ask()
    elsewhere.begins(trial)
    trial.set_user_attr("inksweep:owner", elsewhere.name(0))  # its lock lies on another machine
    monkeypatch.setattr(study._storage._backend, "_get_stale_trial_ids", lambda study_id: [trial._trial_id])
    assert [orphan.number for orphan in here.orphans()] == [0]
    cut = Cut(study)
    cut.times = 1
    study.set_user_attr("a", 1)
    assert here.orphans() == []
    study._storage._backend.back_at -= 4
    assert [orphan.number for orphan in here.orphans()] == [0]
