"""Lines of ruled and squared paper, taken out of ink without breaking the digits that cross them."""

import numpy as np

FILLED = 0.75  # of a side: from here on a digit may reach from edge to edge
WIDE = 1.5  # heights: no stroke of a digit is as long as a picture that is so wide


def without_lines(mask: np.ndarray) -> np.ndarray:
    """Leave out straight thin lines that run from edge to edge, or long ones that end at an edge: bool (height, width).

    Nothing is left out where nothing else is there.
    """
    level, upright = _across(mask), _across(mask.T).T
    rest = mask & ~(level | upright)
    if not rest.any():
        return mask
    # Strokes of a digit that fills the picture reach from edge to edge too; a few specks do not make it full.
    if _spans(rest.sum(axis=1)) > FILLED:
        upright[:] = False
    if _spans(rest.sum(axis=0)) > FILLED and mask.shape[1] < WIDE * mask.shape[0]:
        level[:] = False
    without: np.ndarray = mask & ~(level | upright)
    return without


def _spans(counts: np.ndarray) -> float:
    """Part of a side along which ink lies, but for the outermost hundredths of the ink."""
    shares = np.cumsum(counts) / counts.sum()
    return float(np.searchsorted(shares, 0.98) - np.searchsorted(shares, 0.02) + 1) / len(counts)


def _across(mask: np.ndarray) -> np.ndarray:
    """The pixels of lines from the left edge to the right, but for those where ink goes on above and below."""
    from scipy import ndimage

    height, width = mask.shape
    thick = max(3, height // 60)
    # A line that is a little askew steps from row to row.
    grown = ndimage.maximum_filter1d(mask, 3, axis=0)
    length = max(width // 6, 9)
    eroded = ndimage.minimum_filter1d(grown.astype(np.uint8), length, axis=1)
    labels, _ = ndimage.label(ndimage.maximum_filter1d(eroded, length, axis=1))
    lines = np.zeros(mask.shape, bool)
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), 1):
        part = labels[rows, columns] == number
        span = columns.stop - columns.start
        at_edge = columns.start == 0 or columns.stop == width
        # Longer than the strokes of a digit as tall as the picture.
        is_long = span >= 0.95 * width or (at_edge and span >= max(0.3 * width, 0.9 * height))
        if is_long and part.sum(axis=0).mean() <= thick + 2:
            lines[rows, columns] |= part
    if not lines.any():
        return lines
    lines &= mask
    free = mask & ~lines
    above = ndimage.maximum_filter1d(free, 2 * thick + 1, axis=0, origin=thick)
    below = ndimage.maximum_filter1d(free, 2 * thick + 1, axis=0, origin=-thick)
    crossed: np.ndarray = lines & ~(above & below)
    return crossed
