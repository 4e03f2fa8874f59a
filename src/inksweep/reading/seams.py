"""Where a line of ink may be cut: seams, and the segments between them.

A seam is a path from the top of a line to its foot that crosses as little ink as it can (the shortest path of Wang and
Jean, "Segmentation of merged characters by neural networks and shortest path", 1994): it winds between digits that lean
over each other, and cuts those that touch where they are thinnest. Seams through clear ground, and those through the
middle of a digit, are candidates alike; which segments are digits is decided elsewhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Columns that a seam may move from one row to the next, and what a column costs, in pixels of full ink.
REACH = 3
SIDEWAYS = 0.12
GROUND = 0.01
# Heights that a digit is broad, at most.
BROADEST = 1.7


@dataclass(frozen=True)
class Seams:
    """Seams of a line, from left to right; the first has all ink on its right, the last all ink on its left.

    columns: (seams, h); a pixel at x lies left of a seam if x < columns[seam, y].
    inks: (seams,) ink that the seam crosses, in pixels.
    """

    columns: Ints
    inks: Floats


@dataclass(frozen=True)
class Segments:
    """Ink between two seams each, (n,) of each; boxes are tight around it and half open."""

    first: Ints
    second: Ints
    left: Ints
    top: Ints
    right: Ints
    bottom: Ints
    area: Floats

    def __len__(self) -> int:
        return len(self.first)

    def only(self, kept: NDArray[np.bool_]) -> "Segments":
        """Return those that are `kept`, (n,)."""
        return Segments(*(getattr(self, name)[kept] for name in self.__dataclass_fields__))


def find(strength: Floats, parting: Floats, height: float, stroke: float) -> Seams:
    """Return the seams of a line.

    Args:
        strength: the ink of the line (h, w), 0 to 1, with ground all around.
        parting: how likely two digits meet at each pixel (h, w), 0 to 1.
        height: that of its digits, in pixels.
        stroke: breadth of its strokes, in pixels.
    """
    rows, width = strength.shape
    cost = strength * np.maximum(1 - parting, 0.05) + np.float32(GROUND)
    down = _costs(cost)
    up = _costs(cost[::-1])[::-1]
    through = down + up - cost
    middle = _middles(strength, height)
    columns = []
    for offset in (-0.25, 0.0, 0.25):
        at = np.clip(np.rint(middle + offset * height).astype(int), 0, rows - 1)
        anchors = _minima(through[at, np.arange(width)], 1)
        columns.append(_paths(cost, down, up, anchors, at[anchors]))
    candidates = np.concatenate(columns)
    inks = np.take_along_axis(cost, candidates.T, 1).sum(0)
    return _distinct(strength, candidates, inks, stroke)


def _costs(cost: Floats) -> Floats:
    """Return for each pixel the cost of the cheapest path from the first row to it, itself included.

    A path comes down from the row above, then runs sideways for at most REACH columns and pays for each.
    """
    rows, width = cost.shape
    runs = _runs(cost)
    sums = np.empty_like(cost)
    sums[0] = cost[0]
    wide = np.full(width + 2 * REACH, np.inf, np.float32)
    for row in range(1, rows):
        wide[REACH:-REACH] = sums[row - 1]
        sums[row] = (sliding_window_view(wide, width) + runs[:, row]).min(0)
    return sums


def _runs(cost: Floats) -> Floats:
    """Return the price of coming to a pixel sideways, from each of the columns in reach: (2 * REACH + 1, h, w)."""
    width = cost.shape[1]
    sums = np.pad(cumulative(cost), ((0, 0), (REACH, REACH)), mode="edge")
    here = slice(REACH, REACH + width)
    prices = [
        (sums[:, here.start + max(move, 0) + 1 :][:, :width] - sums[:, here.start + min(move, 0) :][:, :width])
        + np.float32(SIDEWAYS * abs(move))
        for move in range(-REACH, REACH + 1)
    ]
    return np.stack(prices)


def _middles(strength: Floats, height: float) -> Floats:
    """Return for each column the row in whose neighbourhood the ink is centred: lines may climb."""
    from scipy import ndimage

    rows = np.arange(strength.shape[0], dtype=np.float32)
    ink = np.stack([strength.sum(0), (strength * rows[:, None]).sum(0)])
    ink = ndimage.gaussian_filter1d(ink, height, axis=1, mode="constant", truncate=3)
    centre = float((strength.sum(1) * rows).sum() / max(strength.sum(), 1e-6))
    return np.where(ink[0] > 1e-3, ink[1] / np.maximum(ink[0], 1e-3), centre).astype(np.float32)


def _minima(values: Floats, radius: int) -> Ints:
    """Return where `values` is lowest within `radius`; of a plateau, its middle."""
    from scipy import ndimage

    low = values <= ndimage.minimum_filter1d(values, 2 * radius + 1) + 1e-4
    edges = np.flatnonzero(np.diff(np.concatenate([[False], low, [False]]).astype(np.int8)))
    return (edges[::2] + edges[1::2] - 1) // 2


def _paths(cost: Floats, down: Floats, up: Floats, anchors: Ints, at: Ints) -> Ints:
    """Return the cheapest path through each anchor: (anchors, h)."""
    rows, width = cost.shape
    paths = np.empty((len(anchors), rows), np.int64)
    paths[np.arange(len(anchors)), at] = anchors
    moves = np.arange(-REACH, REACH + 1)
    runs = _runs(cost)
    for sums, step in ((down, -1), (up, 1)):
        column = anchors.copy()
        for row in range(rows - 1, 0, -1) if step == -1 else range(rows - 1):
            # From `row`, where the path is, to the next; it starts at the row of its anchor.
            begun = row <= at if step == -1 else row >= at
            near = np.clip(column[:, None] + moves, 0, width - 1)
            chosen = (sums[row + step][near] + runs[:, row, column].T).argmin(1)
            column = np.where(begun, near[np.arange(len(column)), chosen], column)
            paths[begun, row + step] = column[begun]
    return paths


def _distinct(strength: Floats, columns: Ints, inks: Floats, stroke: float) -> Seams:
    """Return the cheaper ones of seams that part the ink alike, and not those that cut off a speck or cross a lot."""
    rows, width = strength.shape
    sums = cumulative(strength)
    lefts = np.take_along_axis(sums, columns.T, 1).T  # (seams, h)
    ends = np.stack([np.zeros(rows, np.int64), np.full(rows, width, np.int64)])
    kept: list[int] = []
    known = np.empty((len(columns) + 2, rows), np.float32)  # the ink left of the ends, and of the seams that are kept
    known[0], known[1] = 0, sums[:, -1]
    for seam in map(int, np.argsort(inks, kind="stable")):
        if inks[seam] > 3.5 * stroke:
            break
        if np.abs(known[: len(kept) + 2] - lefts[seam]).sum(1).min() > 0.3 * stroke**2:
            known[len(kept) + 2] = lefts[seam]
            kept.append(seam)
    kept.sort(key=lambda seam: float(lefts[seam].sum()))
    columns = np.concatenate([ends[:1], columns[kept], ends[1:]])
    return Seams(columns, np.concatenate([[0], inks[kept], [0]]).astype(np.float32))


def cumulative(strength: Floats) -> Floats:
    """Return the ink left of each column, row by row: (h, w + 1)."""
    return np.pad(np.cumsum(strength, 1, dtype=np.float32), ((0, 0), (1, 0)))


def between(strength: Floats, seams: Seams, height: float, stroke: float) -> Segments:
    """Return the segments that may be digits by their size."""
    rows, width = strength.shape
    sums = cumulative(strength)
    lefts = np.take_along_axis(sums, seams.columns.T, 1).T.sum(1)
    # The first column of ink at or after each, and the last before each, row by row.
    mask = strength > 0.4
    places = np.arange(width)
    after = np.minimum.accumulate(np.where(mask, places, width)[:, ::-1], 1)[:, ::-1]
    after = np.pad(after, ((0, 0), (0, 1)), constant_values=width)
    before = np.pad(np.maximum.accumulate(np.where(mask, places, -1), 1), ((0, 0), (1, 0)), constant_values=-1)
    start = np.take_along_axis(after, seams.columns.T, 1).T  # (seams, h)
    stop = np.take_along_axis(before, seams.columns.T, 1).T
    first, second = np.triu_indices(len(seams.inks), 1)
    area = lefts[second] - lefts[first]
    kept = (area > 2.5 * stroke**2) & (area > 0.3 * height * stroke)
    # Before the rows are looked at: a long line has a million pairs of seams.
    kept &= stop.max(1)[second] + 1 - start.min(1)[first] < BROADEST * height
    first, second, area = first[kept], second[kept], area[kept]
    begins, ends = start[first], stop[second]  # (n, h)
    inked = (begins < seams.columns[second]) & (ends >= seams.columns[first])
    left = np.where(inked, begins, width).min(1)
    right = np.where(inked, ends, -1).max(1) + 1
    top = inked.argmax(1)
    bottom = rows - inked[:, ::-1].argmax(1)
    segments = Segments(first, second, left, top, right, bottom, area.astype(np.float32))
    broad, tall = right - left, bottom - top
    return segments.only(inked.any(1) & (broad < BROADEST * height) & (tall > 0.35 * height) & (tall < 2.2 * height))
