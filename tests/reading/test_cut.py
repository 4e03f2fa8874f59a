"""Several digits: in lines, from left to right, touching ones apart, none in two, and what is no digit left out."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import strings
from inksweep.reading.cut import Piece, read_lines
from inksweep.reading.ink import Ink, find, frame

RAW = Path(__file__).parent.parent / "tiny_mnist" / "MNIST" / "raw"
Box = tuple[int, int, int, int]


@cache
def digits() -> NDArray[np.uint8]:
    """MNIST's first 150 test digits, (150, 28, 28)."""
    return np.fromfile(RAW / "t10k-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 28, 28)


def always_sure(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A classifier that is no help: every piece is a zero for sure."""
    return np.tile(np.float32([0.99, *[0.01 / 9] * 9]), (len(pixels), 1))


def ink_of(strength: NDArray[np.float32]) -> Ink:
    return Ink(strength, strength > 0.4, {})


def number(seed: int, length: int, spacing: str) -> NDArray[np.float32]:
    """The ink of a number, each digit by itself: (digits, h, w)."""
    rng = np.random.default_rng(seed)
    chosen = digits()[rng.integers(len(digits()), size=length)]
    return strings.turned(strings.written(list(chosen), spacing, rng), rng)


def read(strength: NDArray[np.float32]) -> list[list[Piece]]:
    return read_lines(ink_of(strength), always_sure)


def box_of(layer: NDArray[np.float32]) -> Box:
    rows, columns = np.nonzero(layer > 0.4)
    return columns.min(), rows.min(), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def alike(one: Box, other: Box) -> float:
    """Area that two boxes share, as a part of that which they cover together."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(across, 0) * max(down, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def cut_right(layers: NDArray[np.float32]) -> bool:
    """Whether there is one line, with a piece for each digit, where the digit is."""
    lines = read(layers.max(0))
    if [len(line) for line in lines] != [len(layers)]:
        return False
    return all(alike(piece.box, box_of(layer)) > 0.7 for piece, layer in zip(lines[0], layers, strict=True))


@pytest.mark.parametrize(("spacing", "least"), [("apart", 18), ("close", 17), ("mixed", 12), ("touching", 9)])
def test_a_number_is_cut_into_its_digits(spacing: str, least: int) -> None:
    assert sum(cut_right(number(seed, 4, spacing)) for seed in range(20)) >= least


def test_touching_digits_are_one_stroke_of_ink() -> None:
    from scipy import ndimage

    parts = [ndimage.label(number(seed, 4, "touching").max(0) > 0.4)[1] for seed in range(20)]
    assert np.median(parts) == 1  # a broken digit is more


def test_a_single_digit_is_not_cut() -> None:
    rng = np.random.default_rng(0)
    ones = [strings.turned(strings.written([digit], "apart", rng), rng)[0] for digit in digits()[:80]]
    assert sum([len(line) for line in read(one)] == [1] for one in ones) >= 79


def test_a_digit_is_read_at_any_size() -> None:
    from PIL import Image

    digit = np.pad(digits()[1], 4)
    for side in (12, 28, 60, 300):
        strength = np.asarray(Image.fromarray(digit).resize((side, side)), np.float32) / 255
        ((piece,),) = read(strength)
        assert alike(piece.box, box_of(strength)) > 0.8


def test_a_thin_stroke_of_a_large_digit_is_ink() -> None:
    strength = np.zeros((300, 300), np.float32)
    turn = np.linspace(0, 2 * np.pi, 3000)
    strength[np.rint(150 + 110 * np.sin(turn)).astype(int), np.rint(150 + 110 * np.cos(turn)).astype(int)] = 1
    lines = read(strength)
    assert [[piece.box for piece in line] for line in lines] == [[(40, 40, 221, 221)]]


def test_no_ink_has_no_lines() -> None:
    assert read(np.zeros((60, 60), np.float32)) == []


def test_lines_are_read_from_top_to_bottom() -> None:
    upper, lower = number(1, 3, "apart"), number(2, 4, "close")
    page = np.zeros((upper.shape[1] + lower.shape[1], max(upper.shape[2], lower.shape[2])), np.float32)
    page[: upper.shape[1], : upper.shape[2]] = upper.max(0)
    page[upper.shape[1] :, : lower.shape[2]] = lower.max(0)
    lines = read(page)
    assert [len(line) for line in lines] == [3, 4]
    assert all(piece.box[1] < upper.shape[1] for piece in lines[0])
    assert all(line == sorted(line, key=lambda piece: piece.box[0]) for line in lines)


def bars(*boxes: Box) -> NDArray[np.float32]:
    """Upright strokes, 8 x 60 each, where three digits stand, and further ink: x, y, width, height."""
    strength = np.zeros((140, 300), np.float32)
    for x, y, width, height in ((50, 40, 8, 60), (140, 40, 8, 60), (230, 40, 8, 60), *boxes):
        strength[y : y + height, x : x + width] = 1
    return strength


@pytest.mark.parametrize(
    "further",
    [
        pytest.param([], id="nothing"),
        pytest.param([(95, 94, 8, 8)], id="a dot"),
        pytest.param([(95, 92, 7, 16)], id="a comma"),
        pytest.param([(85, 66, 26, 7)], id="a dash"),
        pytest.param([(10, 10, 2, 2), (200, 70, 2, 2)], id="specks"),
        pytest.param([(20, 115, 250, 4)], id="a rule below"),
        pytest.param([(10, 10, 280, 3), (10, 120, 280, 3), (10, 10, 3, 113), (287, 10, 3, 113)], id="a frame"),
    ],
)
def test_what_is_no_digit_is_left_out(further: list[Box]) -> None:
    (line,) = read(bars(*further))
    assert [piece.box for piece in line] == [(50, 40, 8, 60), (140, 40, 8, 60), (230, 40, 8, 60)]


def test_the_loose_bar_of_a_five_belongs_to_it() -> None:
    five = digits()[np.array([15])][0]  # a five
    layers = strings.written([five], "apart", np.random.default_rng(3))
    strength = np.pad(layers[0], 12)
    x, y, width, height = box_of(strength)
    strength[y + height // 4 : y + height // 4 + 3, x + width // 2 :] = 0  # the bar comes off
    lines = read(strength)
    assert [len(line) for line in lines] == [1]
    assert alike(lines[0][0].box, (x, y, width, height)) > 0.8


def test_a_piece_is_framed_out_of_the_ink_as_it_was_found() -> None:
    layers = number(4, 3, "apart")
    (line,) = read(layers.max(0))
    for piece, layer in zip(line, layers, strict=True):
        alone = frame(layer, layer > 0.4).astype(int)
        assert np.abs(piece.pixels.astype(int) - alone).mean() < 3


def test_the_classifier_is_asked_twice_however_many_digits_there_are() -> None:
    asked: list[int] = []

    def answer(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        asked.append(len(pixels))
        return always_sure(pixels)

    read_lines(ink_of(number(5, 5, "touching").max(0)), answer)
    assert len(asked) == 2
    assert max(asked) < 150


def test_a_made_photo_follows_from_its_seed() -> None:
    labels = np.zeros(len(digits()), int)
    one, other = (next(strings.numbers(digits(), labels, 1, 3, "close", 7)) for _ in range(2))
    np.testing.assert_array_equal(one.picture, other.picture)
    assert one.text == "000"
    grey = one.picture.astype(np.float32).mean(2) / 255
    assert [len(line) for line in read_lines(find(grey), always_sure)] == [3]
