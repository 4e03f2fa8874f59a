"""Idle time of slots, units, and the ends of axes."""

from datetime import datetime, timedelta

import pytest

from inksweep.report.facts.quantity import duration, quantity
from inksweep.report.facts.timeline import Stretch, timeline
from inksweep.report.plots.axis import outside, span

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


def test_two_processes_on_one_machine_have_a_row_each_while_both_are_at_work():
    line = timeline([
        stretch("a", "x", 0, 0, 4), stretch("a", "x", 1, 6, 10),
        stretch("b", "x", 2, 5, 8), stretch("b", "x", 3, 13, 15), stretch("b", "y", 4, 5, 10),
        # The first one again: it may have its row back.
        stretch("c", "x", 5, 20, 25),
    ])  # fmt: skip
    assert list(line.available) == ["x", "x, process 2", "y, process 2"]
    assert line.available == {"x": 10 + 5, "x, process 2": 10, "y, process 2": 10}
    assert line.busy == {"x": 8 + 5, "x, process 2": 5, "y, process 2": 5}
    assert line.idle_share == pytest.approx(1 - 23 / 35)
    assert {bar.number: bar.slot for bar in line.bars} == {
        0: "x", 1: "x", 5: "x", 2: "x, process 2", 3: "x, process 2", 4: "y, process 2"
    }  # fmt: skip
    assert line.wall_s == 15 + 5


def test_a_slot_is_never_busy_for_longer_than_it_was_there():
    line = timeline([stretch("a", "x", 0, 0, 10), stretch("a", "x", 1, 5, 10)])
    assert (line.busy, line.idle_s("x")) == ({"x": 10}, 0)


def test_a_trial_that_ends_before_it_begins_took_no_time():
    line = timeline([stretch("a", "x", 0, 0, 10), stretch("a", "x", 1, 20, 12), stretch("b", "y", 2, 90, 30)])
    assert [(bar.number, bar.at, bar.seconds) for bar in line.bars] == [(0, 0, 10), (1, 20, 0), (2, 20, 0)]
    assert (line.busy, line.available) == ({"x": 10, "y": 0}, {"x": 20, "y": 0})


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
    warped = quantity("val/warped_accuracy", [0.875])
    assert (warped.axis, warped.text(0.875)) == ("validation accuracy, warped (%)", "87.50 %")


SQUASHED = [0.1, *(0.98 + number / 1000 for number in range(12))]


@pytest.mark.parametrize(
    "values, maximize, low, high",
    [(SQUASHED, True, 0.9, 1.0), ([-value for value in SQUASHED], False, -1.0, -0.9)],
)
def test_an_axis_ends_where_good_trials_differ(values, maximize, low, high):
    ends = span(values, maximize)
    assert low < ends[0] < ends[1] < high
    assert outside(values, ends) == 1
    # The bad one would be a good one, and is to be seen.
    assert span(values, not maximize) is None


@pytest.mark.parametrize("values", [[], [0.1, 0.98, 0.981], [0.5] * 20, [number / 20 for number in range(20)]])
def test_an_axis_shows_all_where_nothing_is_squashed(values):
    assert span(values, True) is None
