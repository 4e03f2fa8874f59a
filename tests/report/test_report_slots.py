"""Idle time of slots: a pause between two starts of a sweep is none."""

from datetime import datetime, timedelta

import pytest

from inksweep.report.quantity import duration, quantity
from inksweep.report.slots import Stretch, timeline

BEGIN = datetime(2026, 3, 1, 12)


def stretch(owner, slot, number, begin, end):
    return Stretch(owner, slot, number, BEGIN + timedelta(seconds=begin), BEGIN + timedelta(seconds=end))


def test_a_slot_is_idle_between_its_trials_and_after_its_last_while_another_works():
    line = timeline([stretch("a", "x", 0, 0, 4), stretch("a", "x", 1, 6, 10), stretch("a", "y", 2, 0, 5)])
    assert line.wall_s == 10
    assert (line.busy, line.available) == ({"x": 8, "y": 5}, {"x": 10, "y": 10})
    assert line.idle("x") == pytest.approx(0.2)
    assert line.idle("y") == pytest.approx(0.5)
    assert line.idle_share == pytest.approx(0.35)


def test_a_night_between_two_starts_is_cut_out():
    night = 36_000
    line = timeline([stretch("a", "x", 0, 0, 10), stretch("b", "x", 1, night, night + 10)])
    assert line.wall_s == 20
    assert line.idle_share == 0
    assert [bar.at for bar in line.bars] == [0, 10]
    assert len(line.periods) == 2


def test_two_machines_at_work_at_the_same_time_are_one_period():
    line = timeline([stretch("a", "x", 0, 0, 10), stretch("b", "y", 1, 5, 20)])
    assert len(line.periods) == 1
    # Each slot is measured against its own process.
    assert line.available == {"x": 10, "y": 15}
    assert line.idle_share == 0


def test_without_trials_there_is_nothing():
    line = timeline([])
    assert (line.wall_s, line.bars, line.idle_share) == (0, [], 0)


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.42, "0.42 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_time_reads_as_one_says_it(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "name, value, text, axis",
    [
        ("val/accuracy", 0.98244, "98.24 %", "validation accuracy (%)"),
        ("test/loss", 0.07179, "0.07179 nats", "test loss (nats)"),
        ("parameters", 74874.0, "74,874", "parameters"),
        ("seconds/train", 107.872, "1 min 48 s", "time, train (s)"),
        ("objective", 3.0, "3", "objective"),
    ],
)
def test_a_metric_has_its_unit(name, value, text, axis):
    found = quantity(name, [value])
    assert (found.text(value), found.axis) == (text, axis)


def test_an_accuracy_that_is_no_fraction_stays_as_it_is():
    assert quantity("val/accuracy", [0.5, 98.2]).text(98.2) == "98.2"
