"""Ink is found on any ground, nothing is found where there is none, and a piece is framed as MNIST's digits are."""

import numpy as np
import pytest

from inksweep.reading.ink import find, frame


def seven(height: int = 120, width: int = 90, ground: float = 0.9, ink: float = 0.15) -> np.ndarray:
    grey = np.full((height, width), ground, np.float32)
    grey[25:33, 25:65] = ink
    for row in range(33, 95):
        middle = 60 - (row - 33) * 25 // 62
        grey[row, middle - 4 : middle + 4] = ink
    return grey


@pytest.mark.parametrize(("ground", "ink"), [(0.9, 0.15), (0.1, 1.0), (0.6, 0.4)])
def test_ink_is_found_dark_on_light_and_light_on_dark(ground: float, ink: float) -> None:
    grey = seven(ground=ground, ink=ink)
    found = find(grey)
    np.testing.assert_array_equal(found.mask, np.abs(grey - ground) > 0.05)


def test_no_ink_is_found_where_there_is_none() -> None:
    grain = np.random.default_rng(0).normal(0.85, 0.02, (200, 200)).astype(np.float32)
    for grey in (np.ones((50, 50), np.float32), np.zeros((1, 1), np.float32), grain):
        found = find(grey)
        assert not found.mask.any()
        assert not frame(found.strength, found.mask).any()


def test_a_piece_fills_20_pixels_and_lies_in_the_middle() -> None:
    found = find(seven())
    pixels = frame(found.strength, found.mask)
    assert (pixels.shape, pixels.dtype, pixels.max()) == ((28, 28), np.uint8, 255)
    rows = np.flatnonzero(pixels.max(axis=1) > 40)
    assert rows[-1] - rows[0] + 1 in (19, 20, 21)
    total = pixels.sum()
    down, across = np.indices(pixels.shape)
    assert (down * pixels).sum() / total == pytest.approx(13.5, abs=0.75)
    assert (across * pixels).sum() / total == pytest.approx(13.5, abs=0.75)
