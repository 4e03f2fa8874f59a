"""Ways of writing a digit that are common on paper and rare in MNIST: a 1 with a flag, and a foot; a 7 with a bar.

MNIST's writers made their 1 a plain stroke nearly always, so that a network takes one with a flag for a 7, and a 7 with
a bar for a 2. The strokes are drawn into training pictures, as wide as the digit's own.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]

# Of all draws: the same pictures in every run.
SEED = 23
# Ink is what is darker than this share of full ink.
INK = 0.5
# Of flagged ones: the part that has a foot as well.
FEET = 0.3


def styled(images: Pictures, labels: NDArray[np.int64], classes: list[str], share: float) -> Pictures:
    """Return pictures of which some ones have a flag, and some sevens a bar; the others are as they were.

    Args:
        images: uint8 (n, h, w), background 0.
        labels: (n,), rows of `classes`.
        classes: names, of which "1" and "7" are looked for.
        share: of the ones, and of the sevens, that get them, 0 to 1.
    """
    made = images.copy()
    random = np.random.default_rng(SEED)
    for name, strokes in (("1", _flag), ("7", _bar)):
        # One draw for each picture, so that a greater share changes those of a smaller one and others.
        chosen = (random.random(len(labels)) < share) & (labels == classes.index(name))
        rows = np.flatnonzero(chosen)
        made[rows] = _with(images[rows], *strokes(images[rows], random))
    return made


def _flag(images: Pictures, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Segments (n, 2, 4) of a flag and a foot, and their widths (n,)."""
    top, bottom, width = _ends(images)
    tall = bottom[:, 1] - top[:, 1]
    draw = random.random((4, len(images)), dtype=np.float32)
    # To the left of the stroke that it hangs from; from 60 degrees on it would be the bar of a 7.
    lean = np.arctan2(top[:, 0] - bottom[:, 0], tall)
    angle = np.minimum(lean + np.radians(25 + 30 * draw[0]), np.radians(58))
    length = tall * (0.25 + 0.25 * draw[1])
    tip = top + length[:, None] * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    flag = np.concatenate([top, tip], axis=1)
    # A foot of no length lies inside the stroke.
    half = np.where(draw[2] < FEET, tall * (0.12 + 0.15 * draw[3]), 0)[:, None] * np.array([[1, 0]], np.float32)
    foot = np.concatenate([bottom - half, bottom + half], axis=1)
    return np.stack([flag, foot], axis=1), width


def _bar(images: Pictures, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Segments (n, 1, 4) of a bar across the stem, and their widths (n,)."""
    top, bottom, width = _ends(images)
    tall = bottom[:, 1] - top[:, 1]
    draw = random.random((4, len(images)), dtype=np.float32)
    row = np.rint(top[:, 1] + tall * (0.42 + 0.28 * draw[0])).astype(np.intp)
    middle = np.stack([_middles(images[np.arange(len(images)), row] / np.float32(255)), row.astype(np.float32)], axis=1)
    tilt = np.radians(20) * (draw[1] - 0.7)
    along = np.stack([np.cos(tilt), np.sin(tilt)], axis=1)
    left, right = (tall * part for part in (0.18 + 0.2 * draw[2], 0.3 * draw[3]))
    return np.concatenate([middle - left[:, None] * along, middle + right[:, None] * along], axis=1)[:, None], width


def _ends(images: Pictures) -> tuple[Floats, Floats, Floats]:
    """Where the ink of each picture begins and ends, x and y, (n, 2) each, and the width of its stroke, (n,)."""
    ink = np.asarray(images >= INK * 255)
    rows = np.asarray(ink.any(axis=2))
    first = rows.argmax(axis=1)
    last = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    each = np.arange(len(images))
    # Inside of the ink by half a stroke, or nearly.
    ends = [
        np.stack([_middles(ink[each, row].astype(np.float32)), row.astype(np.float32)], axis=1)
        for row in (np.minimum(first + 1, last), np.maximum(last - 1, first))
    ]
    # Of the lower half, where also a 7 is one stroke; across it, and not along the row.
    row = np.arange(rows.shape[1])
    lower = (row >= (first + last)[:, None] / 2) & (row <= last[:, None])
    across = np.nanmedian(np.where(lower, ink.sum(axis=2), np.nan), axis=1)
    (dx, dy), upright = (ends[1] - ends[0]).T, np.float32(1e-3)
    width = np.clip(across * np.abs(dy) / np.hypot(dx, np.maximum(dy, upright)), 1.5, 4).astype(np.float32)
    return ends[0], ends[1], width


def _middles(lines: Floats) -> Floats:
    """The mean place of the ink in each line of pixels (n, w); the middle of a line without any."""
    places = np.arange(lines.shape[1], dtype=np.float32)
    total = lines.sum(axis=1)
    middles: Floats = np.where(total > 0, (lines * places).sum(axis=1) / np.maximum(total, 1e-6), places.mean())
    return middles


def _with(images: Pictures, segments: Floats, widths: Floats) -> Pictures:
    """Draw segments (n, k, 4), x, y to x, y, into pictures, and move each so that its mass is in the middle again."""
    _, height, width = images.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    made = images.astype(np.float32)
    for part in segments.transpose(1, 0, 2):
        x0, y0, x1, y1 = (value[:, None, None] for value in part.T)
        square = (x1 - x0) ** 2 + (y1 - y0) ** 2
        along = np.clip(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / np.maximum(square, 1e-6), 0, 1)
        away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
        drawn = np.where(square > 0, np.clip(widths[:, None, None] / 2 + 0.5 - away, 0, 1), 0)
        made = np.maximum(made, drawn * 255)
    return np.stack([_centred(picture) for picture in made]) if len(made) else images


def _centred(picture: Floats) -> Pictures:
    """Move a picture by whole pixels, so that its centre of mass is in the middle and no ink is moved out of it."""
    for axis, side in ((0, picture.shape[0]), (1, picture.shape[1])):
        mass = picture.sum(axis=1 - axis)
        there = np.flatnonzero(mass)
        if there.size:
            wanted = round((side - 1) / 2 - float((mass * np.arange(side)).sum() / mass.sum()))
            picture = np.roll(picture, min(max(wanted, -int(there[0])), side - 1 - int(there[-1])), axis=axis)
    return np.rint(picture).astype(np.uint8)
