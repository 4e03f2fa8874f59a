"""Who runs a trial, and whether it is alive: several processes on one database."""

import pytest
from filelock import FileLock

from inksweep.paths import SweepDir
from inksweep.sweep.study.notes import OWNER
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.storage import Address, open_study


@pytest.fixture
def shared(tmp_path):
    address = Address("night", f"sqlite:///{tmp_path}/study.db", tmp_path, heartbeat_s=60)
    return open_study(address, ["maximize"]), SweepDir(tmp_path), address


@pytest.fixture(autouse=True)
def no_warnings(recwarn):
    """Optuna warns that heartbeats are made for Study.optimize."""


def ask(owner, study, slot=0):
    trial = study.ask()
    owner.begins(trial)
    trial.set_user_attr(OWNER, owner.name(slot))
    return trial


def test_all_trials_of_a_dead_process_are_known_at_once(shared):
    study, sweep, _ = shared
    dead, alive = Owner(*shared), Owner(*shared)
    with dead.alive():
        trials = [ask(dead, study, slot) for slot in (0, 1)]
        assert alive.orphans() == []
    # What a kill leaves: the file, and a lock that nobody holds.
    lock = sweep.owner_lock(dead.id)
    with FileLock(lock):
        pass
    lock.touch()
    with alive.alive():
        for _ in range(2):
            assert [trial.number for trial in alive.orphans()] == [trial.number for trial in trials]


def test_a_process_that_could_not_tell_of_its_trials_is_known_to_be_gone(shared):
    # Its database was away, or the disk full, when it ended.
    study, _, _ = shared
    gone, alive = Owner(*shared), Owner(*shared)

    def ends_badly():
        with gone.alive():
            ask(gone, study)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ends_badly()
    with alive.alive():
        assert [trial.number for trial in alive.orphans()] == [0]


def test_own_trials_and_those_of_the_living_are_no_orphans(shared):
    study, _, _ = shared
    one, other = Owner(*shared), Owner(*shared)
    with one.alive(), other.alive():
        ask(one, study)
        ask(other, study)
        assert one.orphans() == other.orphans() == []


def test_a_process_on_another_machine_is_believed_until_its_heartbeat_stops(shared):
    study, _, _ = shared
    elsewhere, here = Owner(*shared), Owner(*shared)
    ask(elsewhere, study)  # its lock lies on another machine
    assert here.orphans() == []


def test_with_a_journal_whatever_runs_and_is_not_ours_is_lost(tmp_path):
    address = Address("night", None, tmp_path, heartbeat_s=60)
    study = open_study(address, ["maximize"])
    trial = study.ask()
    assert [found.number for found in Owner(study, SweepDir(tmp_path), address).orphans()] == [trial.number]
