"""Ink is found on any ground, nothing is found where there is none, and a piece is framed as MNIST's digits are."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

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


@pytest.mark.parametrize("size", [8, 12, 16, 20, 28, 64])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_digit_that_fills_a_small_picture_is_told_from_its_ground(size: int, inverted: bool) -> None:
    drawn = Image.fromarray(seven()[22:98, 22:68]).resize((size, size), Image.Resampling.BOX)
    grey = np.asarray(drawn, np.float32)
    found = find(1 - grey if inverted else grey)
    dark = grey < 0.5
    assert (found.mask & dark).sum() > 0.9 * dark.sum()
    assert (found.mask & (grey > 0.8)).sum() == 0


@pytest.mark.parametrize("light", ["left", "corner", "shadow"])
def test_uneven_light_is_ground(light: str) -> None:
    grey = np.pad(seven(), 60, constant_values=0.9)
    down, across = np.mgrid[0 : 1 : grey.shape[0] * 1j, 0 : 1 : grey.shape[1] * 1j]
    lit = {
        "left": 1 - 0.5 * across,
        "corner": 1 - 0.6 * across * down,
        "shadow": 1 - 0.4 / (1 + np.exp(-20 * (across - 0.8))),
    }
    noise = np.random.default_rng(3).normal(0, 0.01, grey.shape)
    found = find((grey * lit[light] + noise).astype(np.float32))
    drawn = grey < 0.5
    assert (found.mask & drawn).sum() > 0.97 * drawn.sum()
    assert (found.mask & ~drawn).sum() < 0.12 * drawn.sum()


@pytest.mark.parametrize("kind", ["grain", "vignette", "ramp", "jpeg"])
def test_paper_without_ink_has_none(kind: str) -> None:
    rng = np.random.default_rng(1)
    down, across = np.mgrid[-1:1:300j, -1:1:400j]
    paper = {
        "grain": 0.85 + rng.normal(0, 0.03, down.shape),
        "vignette": 0.9 - 0.25 * np.hypot(down, across) + rng.normal(0, 0.02, down.shape),
        "ramp": 0.7 + 0.25 * across,
        "jpeg": 0.8 + 0.1 * down + rng.normal(0, 0.01, down.shape),
    }[kind]
    if kind == "jpeg":
        file = io.BytesIO()
        Image.fromarray((paper * 255).astype(np.uint8)).save(file, "JPEG", quality=30)
        paper = np.asarray(Image.open(file), np.float32) / 255
    assert not find(np.clip(paper, 0, 1).astype(np.float32)).mask.any()


@pytest.mark.parametrize("pen", [1, 3, 12, 40])
def test_strokes_of_any_pen_become_about_as_wide_as_those_of_mnist(pen: int) -> None:
    picture = Image.new("L", (400, 500), 255)
    ImageDraw.Draw(picture).line([(90, 90), (310, 90), (160, 420)], fill=0, width=pen, joint="curve")
    found = find(np.asarray(picture, np.float32) / 255)
    pixels = frame(found.strength, found.mask) / 255
    assert pixels.max() == 1
    widths = pixels[12:22].sum(axis=1)  # across the long stroke, which leans a little
    assert 1.5 < np.median(widths) < 4.5


def test_the_edge_of_a_table_is_no_ink_and_a_digit_at_the_edge_is() -> None:
    grey = np.pad(seven(), 40, constant_values=0.9)
    grey[:, :12] = 0.2
    found = find(grey)
    assert not found.mask[:, :12].any()
    assert found.mask[:, 60:].any()
    at_edge = seven()[25:]
    assert find(at_edge).mask[0, 30:60].all()


@pytest.mark.parametrize("times", [3, 8, 20])
def test_a_framed_piece_that_is_enlarged_is_framed_as_it_was(times: int) -> None:
    found = find(seven())
    once = frame(found.strength, found.mask)
    larger = Image.fromarray(once).resize((28 * times, 28 * times), Image.Resampling.BICUBIC)
    again = find(np.asarray(larger, np.float32) / 255)
    twice = frame(again.strength, again.mask)
    assert np.abs(once.astype(int) - twice).mean() < 8
    assert np.corrcoef(once.ravel(), twice.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("squared", [False, True])
def test_lines_of_ruled_paper_are_no_ink_and_the_digit_that_crosses_them_is_whole(squared: bool) -> None:
    plain = np.pad(seven(), 60, constant_values=0.9)
    grey = plain.copy()
    grey[20::48] = grey[21::48] = 0.4
    if squared:
        grey[:, 20::48] = grey[:, 21::48] = 0.4
    grey = np.minimum(grey, plain)
    found, wanted = find(grey), plain < 0.5
    assert (found.mask & wanted).sum() > 0.93 * wanted.sum()
    assert (found.mask & ~wanted).sum() < 0.1 * wanted.sum()


def number(digits: str, width: int = 150, height: int = 76) -> np.ndarray:
    """Zeros and ones side by side, 50 pixels tall, dark on light."""
    picture = Image.new("L", (width, height), 220)
    draw = ImageDraw.Draw(picture)
    for place, digit in enumerate(digits):
        left = 14 + 32 * place
        if digit == "0":
            draw.ellipse((left, 14, left + 24, 63), outline=30, width=4)
        else:
            draw.line((left + 12, 14, left + 12, 63), fill=30, width=4)
    return np.asarray(picture, np.float32) / 255


@pytest.mark.parametrize("lines", [[(0, 64, 150, 58), (4, 0, 8, 76)], [(40, 67, 150, 65)]], ids=str)
def test_lines_that_a_number_stands_on_are_no_ink(lines: list[tuple[int, int, int, int]]) -> None:
    plain = number("0100")
    picture = Image.fromarray(np.rint(plain * 255).astype(np.uint8))
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill=60, width=2)
    # A descender of the number above, which the picture was cut through.
    ImageDraw.Draw(picture).line((120, 0, 121, 3), fill=60, width=2)
    found, wanted = find(np.asarray(picture, np.float32) / 255), plain < 0.5
    assert (found.mask & wanted).sum() > 0.93 * wanted.sum()
    assert (found.mask & ~wanted).sum() < 0.05 * wanted.sum()


def test_a_1_that_is_as_tall_as_the_picture_is_ink_beside_digits_as_tall() -> None:
    tight = np.kron(number("1000")[14:64, 20:], np.ones((2, 2), np.float32))
    assert find(tight).mask[:, 8:18].mean() > 0.5
