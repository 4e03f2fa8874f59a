"""Digits as they are once a photo or drawing was cut out and framed: what a network sees that reads real ink.

A reader of photos frames the ink as MNIST's makers did: the longer side of its box 20 of 28 pixels, its centre of mass
in the middle. What is still unlike MNIST then is made here from digits of the data set: rotation to 15 degrees, slant
and other proportions, errors of the frame, other pens, hard and soft edges, sources of a few pixels, faded ink, grain,
light, a rest of a line or of a neighbour at the edge, broken strokes.

All of it is drawn from one seed and computed pixel by pixel in numpy, each sum in a fixed order: the pictures are the
same bytes on every machine. It shares no code with the augmentations (augment_ink.py), which it measures.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]
Rows = NDArray[np.intp]

# Of all draws. Another one makes other pictures, and accuracies that cannot be compared.
SEED = 17
# Strokes are drawn on pictures twice as large, in pieces of so many pictures.
FINE, PIECE = 2, 100
# Ink is what is darker than this share of full ink: the box of a digit is that of its ink.
INK = 0.25
# What the darkest ink of a digit must still be under another pen.
INK_LEFT = 0.9
# The longer side of a digit's box, as a share of the picture's: MNIST's 20 of 28.
BOX = 20 / 28
# Numbers drawn for each picture.
DRAWS = 25


def warped(images: Pictures) -> Pictures:
    """Return other pictures of the same digits, uint8 (n, h, w), background 0.

    Args:
        images: uint8 (n, h, w), h and w the same; each has some ink.
    """
    made = [
        _piece(images[start : start + PIECE], np.random.default_rng((SEED, start)))
        for start in range(0, len(images), PIECE)
    ]
    return np.concatenate(made) if made else images


def _piece(images: Pictures, random: np.random.Generator) -> Pictures:
    n, size = len(images), images.shape[1]
    # (DRAWS, n, 1, 1) in 0..1
    draw = random.random((DRAWS, n, 1, 1), dtype=np.float32)
    fine = _penned(_framed(images, draw[:8], size), draw[8:13], random)
    for some, change in ((draw[13] < 0.1, _broken), (draw[14] < 0.1, _with_neighbour), (draw[15] < 0.1, _with_line)):
        rows = np.flatnonzero(some)
        fine[rows] = change(fine, rows, draw[16:20, rows])
    seen = _photographed(_coarse(fine, draw[20:22]), draw[22:25], random)
    return (seen * 255 + np.float32(0.5)).astype(np.uint8)


def _framed(images: Pictures, draw: Floats, size: int) -> Floats:
    """Turn, slant and stretch digits, then frame them, not quite exactly; (n, size, size) in 0..1."""
    across, down = _linear(draw)
    n, old = len(images), images.shape[1]
    row, column = np.mgrid[0:old, 0:old].astype(np.float32)
    # The centre of mass, in whole numbers: exact.
    mass = images.reshape(n, -1).sum(axis=1, dtype=np.int64).clip(1)
    middle = [
        ((images.sum(axis=axis, dtype=np.int64) * np.arange(old)).sum(axis=1) / mass).astype(np.float32)
        for axis in (2, 1)
    ]
    y, x = row - middle[0].reshape(n, 1, 1), column - middle[1].reshape(n, 1, 1)
    has_ink = images >= INK * 255
    extents = []
    for turned in (across[0] * x + across[1] * y, down[0] * x + down[1] * y):
        high = np.where(has_ink, turned, -np.inf).max(axis=(1, 2))
        extents.append(high - np.where(has_ink, turned, np.inf).min(axis=(1, 2)) + 1)
    longer = np.maximum(*extents).clip(1, 4 * old).astype(np.float32).reshape(n, 1, 1)
    # The frame's errors: 10% of size, 1.2 pixels of 28 of place, either way.
    scale = longer / (BOX * size * (0.9 + 0.2 * draw[4]))
    off = [(each - 0.5) * (2.4 / 28 * size) for each in draw[5:7]]
    row, column = (each - size / 2 for each in _places(size))
    u, v = (column - off[0]) * scale, (row - off[1]) * scale
    # From a place in the frame back to one in the digit.
    determinant = across[0] * down[1] - across[1] * down[0]
    x = (down[1] * u - across[1] * v) / determinant + middle[1].reshape(n, 1, 1)
    y = (across[0] * v - down[0] * u) / determinant + middle[0].reshape(n, 1, 1)
    return _read(images, y, x)


def _linear(draw: Floats) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Return what is to the right and what is down after the digit was stretched, slanted and turned."""
    angle = (draw[0].astype(np.float64) * 2 - 1) * math.radians(15)
    slant = (draw[1].astype(np.float64) * 2 - 1) * 0.25
    # A digit is made a fifth narrower to a third wider: much more would make another digit of some.
    wide = 0.8 + 0.5 * draw[2].astype(np.float64)
    cos, sin = np.cos(angle), np.sin(angle)
    right = (cos * wide, cos * slant - sin)
    down = (sin * wide, sin * slant + cos)
    return (right[0].astype(np.float32), right[1].astype(np.float32)), (
        down[0].astype(np.float32),
        down[1].astype(np.float32),
    )


def _read(images: Pictures, y: Floats, x: Floats) -> Floats:
    """Return the pictures' values at places (n, size, size), interpolated linearly; 0 outside; in 0..1."""
    n, old = len(images), images.shape[1]
    padded = np.zeros((n, old + 3, old + 3), np.float32)
    padded[:, 1 : old + 1, 1 : old + 1] = images * np.float32(1 / 255)
    y, x = (y + 1).clip(0, old + 1), (x + 1).clip(0, old + 1)
    top, left = y.astype(np.int32), x.astype(np.int32)
    y, x = y - top, x - left
    first = (np.arange(n, dtype=np.int32).reshape(n, 1, 1) * (old + 3) + top) * (old + 3) + left
    flat = padded.ravel()
    above = flat[first] * (1 - x) + flat[first + 1] * x
    below = flat[first + old + 3] * (1 - x) + flat[first + old + 4] * x
    made: Floats = (above * (1 - y) + below * y).astype(np.float32)
    return made


def _penned(framed: Floats, draw: Floats, random: np.random.Generator) -> Floats:
    """Draw most strokes with another pen: thicker or thinner, unevenly, with softer or harder edges.

    Returns:
        (n, 2 h, 2 w) in 0..1.
    """
    fine = _doubled(framed)
    rows = np.flatnonzero(draw[0] < 0.75)
    draw, blurred = draw[:, rows], _blurred(framed[rows])
    soft = np.flatnonzero(draw[1] < 0.4)
    blurred[soft] = _blurred(blurred[soft])
    uneven = _slow(len(rows), fine.shape[1], random)
    # What is above a level of the blurred digit is ink: a low level makes thick strokes, a high one thin ones.
    level = np.float32(0.62) - 0.47 * draw[2] * (0.4 + 0.6 * draw[2]) + 0.12 * draw[3] * uneven
    steep = 2.5 + 10 * draw[4] * draw[4]
    pen = ((_doubled(blurred) - level) * steep + np.float32(0.5)).clip(0, 1)
    # A pen too thin for a digit would leave nothing of it.
    left = pen.max(axis=(1, 2)) >= INK_LEFT
    fine[rows[left]] = pen[left]
    return fine


def _broken(fine: Floats, rows: Rows, draw: Floats) -> Floats:
    """Return the digits of `rows` with the ink off a line across each."""
    size = fine.shape[1]
    row, column = (each - size / 2 for each in _places(size))
    angle = draw[0].astype(np.float64) * math.pi
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    away = np.abs(column * cos + row * sin - (draw[1] - 0.5) * (0.4 * size))
    made: Floats = fine[rows] * (1 - (size * (0.02 + 0.02 * draw[2]) - away + np.float32(0.5)).clip(0, 1))
    return made


def _with_line(fine: Floats, rows: Rows, draw: Floats) -> Floats:
    """Return the pictures of `rows` with a piece of a line near an edge of each."""
    size = fine.shape[1]
    row, column = _places(size)
    edge = (draw[0] * 4).astype(np.int32)
    inward = np.where(edge == 0, row, np.where(edge == 1, size - row, np.where(edge == 2, column, size - column)))
    along = np.where(edge < 2, column, row) / size
    begins = 1.4 * draw[1] - 0.7
    away = np.abs(inward - draw[2] * (0.12 * size))
    ink = (size * (0.015 + 0.02 * draw[3]) - away + np.float32(0.5)).clip(0, 1)
    made: Floats = np.maximum(fine[rows], ink * ((along > begins) & (along < begins + 0.7)))
    return made


def _with_neighbour(fine: Floats, rows: Rows, draw: Floats) -> Floats:
    """Return the digits of `rows` with the margin of the digit before, left or right of each."""
    size = fine.shape[1]
    steps = (size * (0.62 + 0.2 * draw[0])).astype(np.int32)
    source = np.arange(size) + np.where(draw[1] < 0.5, steps, -steps)
    other = np.take_along_axis(fine[rows - 1], source.clip(0, size - 1), axis=2)
    made: Floats = np.maximum(fine[rows], other * ((source >= 0) & (source < size)))
    return made


def _coarse(fine: Floats, draw: Floats) -> Floats:
    """Bring the pictures to their size, a third of them by way of one with larger pixels; (n, size, size)."""
    seen = _means(fine, FINE)
    for number, side in enumerate((3, 4, 5)):  # of the larger pixels, in fine ones: 1.5 to 2.5 of the picture's
        for is_smooth in (False, True):
            here = (draw[0] * 9).astype(np.int32) == number
            rows = np.flatnonzero(here & ((draw[1] < 0.7) == is_smooth))
            means = _means(fine[rows], side)
            blocks = np.repeat(np.repeat(means, side, axis=1), side, axis=2)[:, : fine.shape[1], : fine.shape[1]]
            for _ in range(side * is_smooth):
                blocks = _blurred(blocks)
            seen[rows] = _means(blocks, FINE)
    return seen


def _photographed(seen: Floats, draw: Floats, random: np.random.Generator) -> Floats:
    """Fade the ink, add grain and the rest of an uneven light; in 0..1."""
    noise = random.random(seen.shape, dtype=np.float32) + random.random(seen.shape, dtype=np.float32) - 1
    light = _slow(len(seen), seen.shape[1], random)
    faded = seen * (1 - 0.55 * draw[0] * draw[0])
    # The brightest noise is twice its deviation and more: to 0.25 of full ink, in few pictures.
    made: Floats = (faded + 0.25 * draw[1] * draw[1] * noise + 0.12 * draw[2] * draw[2] * light).clip(0, 1)
    return made


def _blurred(pictures: Floats) -> Floats:
    """Return (n, h, w) with each pixel the mean, 1 2 1, of itself and its neighbours, down and across; outside is 0."""
    for axis in (1, 2):
        moved = np.moveaxis(pictures, axis, 0)
        quarter = moved * np.float32(0.25)
        mean = quarter + quarter
        mean[1:] += quarter[:-1]
        mean[:-1] += quarter[1:]
        pictures = np.moveaxis(mean, 0, axis)
    return pictures


def _doubled(pictures: Floats) -> Floats:
    """Return pictures twice as large, interpolated linearly."""
    for axis in (1, 2):
        last = pictures.shape[axis] - 1
        before = pictures.take([0, *range(last)], axis)
        after = pictures.take([*range(1, last + 1), last], axis)
        both = [pictures * np.float32(0.75) + other * np.float32(0.25) for other in (before, after)]
        shape = list(pictures.shape)
        shape[axis] *= 2
        pictures = np.stack(both, axis=axis + 1).reshape(shape)
    return pictures


def _means(pictures: Floats, side: int) -> Floats:
    """Return the means of squares of `side` pixels, what is over at the end filled up with 0."""
    missing = -pictures.shape[1] % side
    padded = np.pad(pictures, ((0, 0), (0, missing), (0, missing)))
    total = np.zeros_like(padded[:, ::side, ::side])
    for row in range(side):
        for column in range(side):
            total = total + padded[:, row::side, column::side]
    return total * np.float32(1 / side**2)


def _places(size: int) -> Floats:
    """Return the middle of each pixel, (2, size, size): rows and columns."""
    return np.mgrid[0:size, 0:size].astype(np.float32) + np.float32(0.5)


def _slow(n: int, size: int, random: np.random.Generator) -> Floats:
    """Return (n, size, size) in -1..1 that varies slowly over each picture: four numbers a side, interpolated."""
    points = random.random((n, 4, 4), dtype=np.float32) * 2 - 1
    place = np.linspace(0, 3, size, dtype=np.float32)
    left = place.astype(np.int32).clip(0, 2)
    part = place - left
    for axis in (1, 2):
        parts = part.reshape((size, 1) if axis == 1 else size)
        points = points.take(left, axis) * (1 - parts) + points.take(left + 1, axis) * parts
    return points
