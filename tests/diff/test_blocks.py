"""blocks.py: curves and pictures out of characters."""

import numpy as np
import pytest

from inksweep.diff.blocks import BARS, PLAIN_BARS, picture, sparkline


def test_a_line_rises_from_the_lowest_to_the_highest_bar() -> None:
    assert sparkline([(0, 0), (7, 7)], 8, (0, 7), (0, 7)) == BARS
    assert sparkline([(0, 7), (7, 0)], 8, (0, 7), (0, 7)) == BARS[::-1]
    assert sparkline([(0, 0), (7, 7)], 8, (0, 7), (0, 7), PLAIN_BARS) == PLAIN_BARS


def test_it_is_blank_before_the_first_and_after_the_last_point() -> None:
    assert sparkline([(2, 1), (4, 1)], 7, (0, 6), (0, 1)) == "  ███  "


def test_between_points_it_is_straight() -> None:
    assert sparkline([(0, 0), (4, 4)], 5, (0, 4), (0, 7))[2] == BARS[2]


@pytest.mark.parametrize(
    ("points", "across", "up", "line"),
    [
        ([], (0, 1), (0, 1), "    "),
        ([(1, 5)], (1, 1), (5, 5), "▁   "),  # one evaluation
        ([(0, 5), (3, 5)], (0, 3), (5, 5), "▁▁▁▁"),  # nothing changes
        ([(0, -9), (3, 99)], (0, 3), (0, 1), "▁███"),  # beyond the scale
    ],
)
def test_it_draws_what_has_no_extent(
    points: list[tuple[float, float]], across: tuple[float, float], up: tuple[float, float], line: str
) -> None:
    assert sparkline(points, 4, across, up) == line


@pytest.mark.parametrize("rows", [3, 4])
def test_two_rows_of_pixels_make_a_line(rows: int) -> None:
    pixels = np.arange(rows * 2).reshape(rows, 2)
    lines = picture(pixels)
    assert [line.plain for line in lines] == ["▀▀", "▀▀"]
    assert str(lines[0].spans[1].style) == "rgb(1,1,1) on rgb(3,3,3)"
    # Below the last row it is dark.
    below = pixels[3, 0] if rows == 4 else 0
    assert str(lines[1].spans[0].style) == f"rgb(4,4,4) on rgb({below},{below},{below})"
