"""Two small networks, learned on numbers that were put together from MNIST's training digits: where digits meet, and
whether a segment is one whole digit.

Both see ink as it lies in its line, and know nothing of which digit it is. `python -m benchmarks.cuts` makes their
weights, cuts.npz beside this file, with the very functions that are below.
"""

import functools
from importlib import resources

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from inksweep.reading.seams import Seams, Segments, cumulative

Floats = NDArray[np.float32]

# The height of digits, in pixels, that the networks were taught.
HEIGHT = 32
# The first network's layers: how far apart its kernels reach, after a first one that halves the size.
DILATIONS = (1, 1, 2, 4, 1)
# A segment is seen in GRID x GRID cells, its longest side in BOX of them: what is around it is seen, too.
GRID, BOX = 24, 16


@functools.cache
def weights() -> dict[str, Floats]:
    """Return the weights of both networks by name."""
    with resources.files("inksweep.reading").joinpath("cuts.npz").open("rb") as file, np.load(file) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def parting(strength: Floats) -> Floats:
    """Return how likely two digits meet at each pixel of a line (h, w), 0 to 1; its digits are HEIGHT tall."""
    from scipy import ndimage

    known = weights()
    height, width = strength.shape
    values = np.pad(strength, ((0, height % 2), (0, width % 2)))[..., None]
    for layer, dilation in enumerate(DILATIONS):
        values = _convolved(values, known[f"meet{layer}"], dilation) + known[f"meet{layer}_bias"]
        if layer < len(DILATIONS) - 1:
            values = np.maximum(values, 0)
        if layer == 0:
            values = values[::2, ::2]
    small = _sigmoid(values[..., 0])
    large: Floats = ndimage.zoom(small, 2, order=1, grid_mode=True, mode="nearest")[:height, :width]
    return large


def _convolved(values: Floats, kernel: Floats, dilation: int) -> Floats:
    """Return a convolution that keeps height and width: (h, w, in) with (side, side, in, out)."""
    side = kernel.shape[0]
    margin = side // 2 * dilation
    height, width, _ = values.shape
    padded = np.pad(values, ((margin, margin), (margin, margin), (0, 0)))
    steps = range(0, side * dilation, dilation)
    taps = np.concatenate([padded[y : y + height, x : x + width] for y in steps for x in steps], axis=-1)
    out: Floats = taps @ kernel.reshape(-1, kernel.shape[-1])
    return out


def wholeness(strength: Floats, seams: Seams, segments: Segments, stroke: float) -> Floats:
    """Return for each segment how much speaks for one whole digit (n,): the logarithm of the odds."""
    known = weights()
    values = cells(strength, seams, segments)  # (n, GRID, GRID, 2)
    for layer in range(3):
        kernel = known[f"whole{layer}"]  # (side, side, in, out)
        side = kernel.shape[0]
        margin = side // 2
        padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        taps = sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::2, ::2]  # (n, y, x, in, side, side)
        flat = taps.transpose(0, 1, 2, 4, 5, 3).reshape(*taps.shape[:3], -1)
        values = np.maximum(flat @ kernel.reshape(-1, kernel.shape[-1]) + known[f"whole{layer}_bias"], 0)
    flat = np.concatenate([values.reshape(len(values), -1), facts(seams, segments, stroke)], 1)
    hidden = np.maximum(flat @ known["whole3"] + known["whole3_bias"], 0)
    odds: Floats = (hidden @ known["whole4"] + known["whole4_bias"])[:, 0]
    return odds


def facts(seams: Seams, segments: Segments, stroke: float) -> Floats:
    """Return what the cells do not tell of each segment: (n, 5)."""
    return np.stack(
        [
            (segments.bottom - segments.top) / HEIGHT,
            (segments.right - segments.left) / HEIGHT,
            np.minimum(seams.inks[segments.first] / stroke, 3),
            np.minimum(seams.inks[segments.second] / stroke, 3),
            np.full(len(segments), stroke / HEIGHT * 5),
        ],
        axis=1,
    ).astype(np.float32)


def cells(strength: Floats, seams: Seams, segments: Segments) -> Floats:
    """Return each segment, and what is around it, in a grid with its box in the middle: (n, GRID, GRID, 2), 0 to 1."""
    rows, width = strength.shape
    sums = cumulative(strength)
    side = np.maximum(segments.right - segments.left, segments.bottom - segments.top).astype(np.float32) / BOX
    middle = (segments.left + segments.right)[:, None] / 2, (segments.top + segments.bottom)[:, None] / 2
    # Two rows of pixels stand for each row of cells.
    down = middle[1] + (np.arange(2 * GRID) + 0.5 - GRID) / 2 * side[:, None]  # (n, 2 * GRID)
    across = middle[0] + (np.arange(GRID + 1) - GRID / 2) * side[:, None]  # (n, GRID + 1)
    row = np.clip(down.astype(int), 0, rows - 1)
    inside = (down >= 0) & (down < rows)
    first = np.where(inside, seams.columns[segments.first[:, None], row], 0)[:, :, None]
    second = np.where(inside, seams.columns[segments.second[:, None], row], 0)[:, :, None]
    edges = np.clip(across, 0, width)[:, None, :]

    def ink(places: NDArray[np.floating]) -> Floats:
        """Return the ink from each place to the next, (n, GRID, GRID), a share of what there could be."""
        low = np.minimum(places.astype(np.int64), width - 1)
        upto = sums[row[:, :, None], low]
        upto = upto + (places - low) * (sums[row[:, :, None], low + 1] - upto)
        between = np.diff(upto, axis=2) * inside[:, :, None] / side[:, None, None]
        halves = between.reshape(len(between), GRID, 2, GRID)
        share: Floats = halves.mean(2, dtype=np.float32)
        return share

    own = ink(np.clip(edges, first, second))
    everything = ink(np.broadcast_to(edges, (len(segments), 2 * GRID, GRID + 1)))
    return np.stack([own, np.maximum(everything - own, 0)], axis=-1, dtype=np.float32)


def _sigmoid(values: Floats) -> Floats:
    share: Floats = np.reciprocal(1 + np.exp(-np.clip(values, -30, 30)), dtype=np.float32)
    return share
