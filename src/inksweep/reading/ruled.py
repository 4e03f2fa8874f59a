"""Lines of ruled and squared paper, taken out of ink without breaking the digits that cross them."""

import numpy as np


def without_lines(mask: np.ndarray) -> np.ndarray:
    """Leave out straight thin lines that run from edge to edge, unless nothing else is there: bool (height, width)."""
    lines = _across(mask) | _across(mask.T).T
    rest: np.ndarray = mask & ~lines
    if not lines.any() or not rest.any():
        return mask
    rows, columns = np.flatnonzero(rest.any(axis=1)), np.flatnonzero(rest.any(axis=0))
    # Strokes of a digit that fills the picture reach from edge to edge too.
    if (rows[-1] - rows[0] > 0.8 * mask.shape[0]) and (columns[-1] - columns[0] > 0.8 * mask.shape[1]):
        return mask
    return rest


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
        if columns.stop - columns.start >= 0.95 * width and part.sum(axis=0).mean() <= thick + 2:
            lines[rows, columns] |= part
    if not lines.any():
        return lines
    lines &= mask
    free = mask & ~lines
    above = ndimage.maximum_filter1d(free, 2 * thick + 1, axis=0, origin=thick)
    below = ndimage.maximum_filter1d(free, 2 * thick + 1, axis=0, origin=-thick)
    crossed: np.ndarray = lines & ~(above & below)
    return crossed
