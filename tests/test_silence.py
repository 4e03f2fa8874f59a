"""A log that would else be silent: what is said, when, and what is left behind."""

import logging
import os
import sys
import threading
import time

import pytest

from inksweep import silence
from inksweep.silence import saying, shown_meanwhile, taken


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(silence, "QUIET_S", 0.1)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records if record.name == "inksweep.silence"]


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_what_takes_long_is_said_again_and_again(said):
    with saying("preparing the data"):
        wait_for(lambda: len(said()) >= 2)
    assert said()[0] == "preparing the data: 0s so far"


def test_the_innermost_speaks_and_then_the_outer_one_again(said):
    with saying(lambda: "outer"):
        with saying(lambda: "inner"):
            wait_for(said)
        wait_for(lambda: "outer" in said())
    assert said()[0] == "inner"


def test_whoever_logs_all_the_time_is_not_interrupted(said, monkeypatch):
    monkeypatch.setattr(silence, "QUIET_S", 2.0)  # a busy machine may let the lines come late
    with saying("training"):
        for _ in range(60):
            logging.getLogger("app").info("a line")
            time.sleep(0.05)
    assert said() == []


def test_what_cannot_be_said_now_is_said_later(said):
    known = []
    with saying(lambda: known[0]):
        time.sleep(0.3)
        known.append("now it is known")
        wait_for(said)
    assert set(said()) == {"now it is known"}


def test_a_line_is_said_though_the_handlers_were_replaced(said, caplog):
    with saying(lambda: "training"):
        logging.root.handlers[:] = [caplog.handler]  # as Hydra does at the start of each job
        wait_for(lambda: len(said()) >= 2)
        assert silence._heard in logging.root.handlers


def test_nothing_stays_behind(said):
    before = list(logging.root.handlers)
    with pytest.raises(ValueError, match="broken"), saying("a"), saying("b"):
        raise ValueError("broken")
    assert logging.root.handlers == before
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name == "silence"])
    time.sleep(0.3)
    assert said() == []


def test_on_a_terminal_nothing_is_said(said, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with saying("training"):
        assert "silence" not in [thread.name for thread in threading.enumerate()]


def test_a_passing_line_is_gone_after_the_block(said, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with shown_meanwhile("starting"):
        assert capsys.readouterr().out == "starting\r"
    assert capsys.readouterr().out == "        \r"


def test_a_passing_line_is_a_line_in_a_log(said, capsys):
    with shown_meanwhile("starting"):
        wait_for(said)
    assert (said()[0], capsys.readouterr().out) == ("starting: 0s so far", "")


def test_a_warning_is_still_shown_where_nothing_is_set_up_for_logging(monkeypatch):
    # Python shows it itself as long as there is no handler.
    monkeypatch.setattr(logging.root, "handlers", [])
    with saying("training"):
        assert logging.root.handlers == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_begins_anew():
    with saying("training"):
        pid = os.fork()
        if pid == 0:
            os._exit(len(silence._under_way) + (silence._heard in logging.root.handlers))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(silence._under_way) == 1


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0s"), (59.9, "59s"), (100, "1m40s"), (7500, "2h05m")])
def test_a_time_in_short(seconds, text):
    assert taken(seconds) == text
