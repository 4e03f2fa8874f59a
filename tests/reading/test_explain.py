"""explain.py: every step of a reading is in its picture."""

import dataclasses

import numpy as np
import pytest

from inksweep.reading import explain
from tests.reading.test_reader import drawn, read


def has(sheet: np.ndarray, colour: str) -> int:
    """Return how many pixels of a sheet have a colour."""
    return int((sheet == [int(colour[start : start + 2], 16) for start in (1, 3, 5)]).all(axis=2).sum())


def test_every_step_and_every_digit_is_drawn() -> None:
    reading = read(drawn("1010"), name="page.png")
    sheet = np.asarray(explain.draw(reading))
    assert sheet.shape[1] == explain.WIDTH
    # What the network saw stands in it, enlarged, once a digit.
    times = explain.SEEN // 28
    for number, digit in enumerate(reading.digits):
        left = explain.MARGIN + number * (explain.CARD + explain.GAP)
        columns = sheet[:, left : left + explain.SEEN, 0]
        enlarged = np.kron(digit.pixels, np.ones((times, times), np.uint8))
        tops = range(len(columns) - explain.SEEN)
        assert any(np.array_equal(columns[top : top + explain.SEEN], enlarged) for top in tops)
    # More digits than stand in a row make it taller.
    assert explain.draw(read(drawn("10101010"))).height > len(sheet)


def test_a_doubtful_digit_has_another_colour() -> None:
    sure, unsure = (np.asarray(explain.draw(read(drawn("1"), min_confidence=least))) for least in (0, 1))
    assert (has(sure, explain.SURE) > 500, has(sure, explain.DOUBTFUL)) == (True, 0)
    assert (has(unsure, explain.SURE), has(unsure, explain.DOUBTFUL) > 500) == (0, True)


def test_boxes_stand_around_the_digits() -> None:
    page = drawn("1 0")
    reading = read(page)
    *_, panel = explain._panels(reading)
    assert [number for _, number, _ in panel.boxes] == ["1", "2"]
    (x, y, width, height), _, _ = panel.boxes[0]
    ink = np.argwhere(np.asarray(page)[:, :80] < 128)
    np.testing.assert_allclose([y, x], ink.min(axis=0) / np.array(page.size)[::-1], atol=0.02)
    np.testing.assert_allclose([y + height, x + width], (ink.max(axis=0) + 1) / np.array(page.size)[::-1], atol=0.02)


@pytest.mark.parametrize("name", ["a" * 500 + ".png", "line\nbreak\x1b[31m.png", "", "\udcff.png"])
def test_any_name_can_be_drawn(name: str) -> None:
    assert explain.draw(read(drawn("1"), name=name or "x")).width == explain.WIDTH


def test_no_ink_is_drawn_too() -> None:
    sheet = np.asarray(explain.draw(read(drawn("  "))))
    assert has(sheet, explain.DOUBTFUL) > 100


def test_a_page_of_noise_makes_no_endless_picture() -> None:
    reading = read(drawn("10"))
    many = dataclasses.replace(reading, lines=[reading.digits * 1000])
    assert explain.draw(many).height < 7000


def test_stages_of_any_type_are_drawn() -> None:
    reading = read(drawn("1"))
    stages = {"truth": np.eye(9, dtype=bool), "numbers": np.full((5, 500), np.nan), "bytes": np.zeros((3, 3), np.uint8)}
    sheet = explain.draw(dataclasses.replace(reading, ink=dataclasses.replace(reading.ink, stages=stages)))
    assert sheet.width == explain.WIDTH
