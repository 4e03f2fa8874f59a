"""When a final stage begins, while other processes still run trials of the search."""

import logging
import math
import time
from contextlib import ExitStack

import pytest

from inksweep.paths import SweepDir
from inksweep.sweep.context import Context
from inksweep.sweep.stopping import Rules
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import OWNER
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.winner import final_stage
from inksweep.sweep.winner.final_stage import wait_for_others

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")  # made for Study.optimize


@pytest.fixture
def context(tmp_path):
    address = Address("night", f"sqlite:///{tmp_path}/study.db", tmp_path, heartbeat_s=60)
    study, sweep = open_study(address, ["maximize"]), SweepDir(tmp_path)
    return Context(Ledger(study), sweep, address, Owner(study, sweep, address), Rules(n_trials=4))


@pytest.fixture
def other(context):
    """Another process, by its heartbeat and lock."""
    return Owner(context.study, context.sweep, context.address)


def begin(owner, study):
    trial = study.ask()
    owner.begins(trial)
    trial.set_user_attr(OWNER, owner.name(0))
    return trial


class Waits(list):
    """Stands for `time.sleep`: what happens during each wait."""

    def __call__(self, seconds):
        self.pop(0)()


@pytest.fixture
def waits(monkeypatch):
    waits = Waits()
    monkeypatch.setattr(final_stage.time, "sleep", waits)
    return waits


def test_it_waits_until_the_trials_of_a_living_process_have_ended(context, other, waits, caplog):
    caplog.set_level(logging.INFO)
    study = context.study
    with other.alive():
        first, second = begin(other, study), begin(other, study)
        waits += [lambda: study.tell(second, 0.5), lambda: None, lambda: study.tell(first, 0.7)]
        wait_for_others(context, math.inf)
    assert waits == []
    assert context.ledger.best.number == 0
    assert "waiting for the trials of the search that other processes still run (0, 1)" in caplog.text


def test_it_does_not_wait_for_what_begins_meanwhile(context, other, waits):
    study = context.study
    with other.alive():
        trial = begin(other, study)
        waits += [lambda: begin(other, study), lambda: study.tell(trial, 0.5)]
        wait_for_others(context, math.inf)
        assert [trial.number for trial in context.ledger.running] == [1]
    assert waits == []


def test_a_process_that_dies_does_not_hold_it_up(context, other, waits):
    alive = ExitStack()
    alive.enter_context(other.alive())
    begin(other, context.study)

    def die():
        alive.close()
        context.sweep.owner_lock(other.id).touch()  # what a kill leaves: the file, and a lock that nobody holds

    waits.append(die)
    wait_for_others(context, math.inf)
    assert (waits, context.ledger.states["lost"]) == ([], 1)


def test_it_waits_no_longer_than_the_time_of_this_start(context, other, waits):
    with other.alive():
        begin(other, context.study)
        wait_for_others(context, time.monotonic() - 1)
