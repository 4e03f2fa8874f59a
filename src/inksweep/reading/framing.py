"""A piece of ink in the frame that MNIST's digits have: 28 x 28, white on black, with strokes about as wide."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

BOX = 20 / 28  # of the frame: the digit's longest side
WORK = 100  # pixels, at least, of the longest side of what is worked on
LARGEST = 20  # times, at most, that a piece of a few pixels is enlarged
HALF = 0.5  # of full ink: where a stroke ends
# Widths of strokes when the longest side is 20. MNIST's lie between 1.4 and 4.8 (1 in 100 below, 1 in 100 above) around
# 2.5; what is outside of these is brought to the nearer one.
THINNEST, WIDEST = 1.9, 3.8


def frame(strength: Floats, mask: Bools, size: int = 28) -> NDArray[np.uint8]:
    """Frame a piece of ink as MNIST's digits are (LeCun et al., 1998): uint8 (size, size), white on black.

    The piece is scaled until its longest side is 20 of 28 pixels, with its aspect kept and smoothed, and laid so that
    its centre of mass is in the middle. Strokes far thinner or wider than MNIST's are made wider or thinner before.

    Args:
        strength: (height, width), 0 ground to 1 full ink.
        mask: (height, width), which pixels belong to the piece. Nothing True: an empty frame.
        size: sides of the frame.
    """
    from PIL import Image

    rows, columns = _span(mask)
    if rows.stop == 0:
        return np.zeros((size, size), np.uint8)
    soft = _stroked(_work_size(np.where(mask, strength, 0)[rows, columns].astype(np.float32)))
    rows, columns = _span(soft > HALF)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    box = max(4, round(BOX * size))
    unit = max(height, width) / box
    # One pixel more at each side, for what smoothing leaves there.
    sides = max(1, round(width / unit)) + 2, max(1, round(height / unit)) + 2
    edge = int(np.ceil(unit)) + 1
    soft = np.pad(soft, edge)
    left, top = columns.start + edge - unit, rows.start + edge - unit
    around = (left, top, left + width + 2 * unit, top + height + 2 * unit)
    small = np.asarray(Image.fromarray(soft).resize(sides, Image.Resampling.BILINEAR, box=around))
    small = np.clip(small / max(float(np.percentile(small[small > 0.1], 90)), HALF), 0, 1)
    pixels: NDArray[np.uint8] = np.rint(_centred(small, size) * 255).astype(np.uint8)
    return pixels


def _span(mask: Bools) -> tuple[slice, slice]:
    """The rows and columns of the box around what is True; both empty where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _work_size(piece: Floats) -> Floats:
    """Scale a piece until its longest side has 100 to 200 pixels, with a margin."""
    from PIL import Image

    longest = max(piece.shape)
    if longest > 2 * WORK:
        step = longest // WORK
        height, width = (-(-side // step) for side in piece.shape)
        whole = np.zeros((height * step, width * step), np.float32)
        whole[: piece.shape[0], : piece.shape[1]] = piece
        # The greatest of each block: a pen of one pixel on a large picture would fade in their mean.
        blocks: Floats = whole.reshape(height, step, width, step).max(axis=(1, 3))
        return np.pad(blocks, 2)
    factor = min(-(-WORK // longest), LARGEST)
    padded = np.pad(piece, 2)
    height, width = (side * factor for side in padded.shape)
    larger = np.asarray(Image.fromarray(padded).resize((width, height), Image.Resampling.BICUBIC))
    clipped: Floats = np.clip(larger, 0, 1)
    return clipped


def _stroked(work: Floats) -> Floats:
    """Give a piece full ink everywhere, and strokes about as wide as MNIST's.

    The width of a stroke is four times the mean distance of its ink from its edge; edges are moved along the distance
    from them.
    """
    from scipy import ndimage

    full = work / np.maximum(ndimage.maximum_filter(work, 9), 0.35)
    ink = full > HALF
    if not ink.any():
        ink = work >= work.max()
    rows, columns = _span(ink)
    unit = max(rows.stop - rows.start, columns.stop - columns.start) / 20
    inside = ndimage.distance_transform_edt(ink)
    width = 4 * (float(inside[ink].mean()) - 0.5) / unit
    wanted = min(max(width, THINNEST), WIDEST)
    if wanted == width:
        return np.where(ink | (full > 0.1), full, 0).astype(np.float32)
    # The box grows with its strokes: width * unit + 2 * move = wanted * (20 * unit + 2 * move) / 20.
    move = (wanted - width) * unit / (2 - wanted / 10)
    more = int(np.ceil(max(move, 0))) + 2
    ink = np.pad(ink, more)
    distance = np.where(ink, ndimage.distance_transform_edt(ink) - 0.5, 0.5 - ndimage.distance_transform_edt(~ink))
    moved = distance + move
    if move < 0:  # the thin strokes of a piece that has wide ones as well must not vanish
        middle = (distance > 0) & (distance >= ndimage.maximum_filter(distance, 3))
        moved = np.where(middle, np.maximum(moved, HALF), moved)
    soft: Floats = np.clip(HALF + moved, 0, 1).astype(np.float32)
    return soft


def _centred(small: Floats, size: int) -> Floats:
    from scipy import ndimage

    out = np.zeros((size, size), np.float32)
    places = []
    for middle, side in zip(ndimage.center_of_mass(small), small.shape, strict=True):
        places.append(min(max(round(size / 2 - middle), 0), size - side))
    down, across = places
    out[down : down + small.shape[0], across : across + small.shape[1]] = small
    return out
