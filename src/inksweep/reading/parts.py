"""Connected parts of ink: which of them are digits or pieces of one, and in which lines they stand.

Left out are specks, dots, commas, dashes, rules below a number and frames around it. What remains may still be half a
digit, or several in one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Parts that are looked at: a written page has some hundreds.
MOST = 1000


@dataclass(frozen=True)
class Part:
    """Connected ink: its number in the labelled picture, its box (half open) and how many pixels it has."""

    label: int
    left: int
    top: int
    right: int
    bottom: int
    area: int

    @property
    def width(self) -> int:
        """Columns that it takes."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows that it takes."""
        return self.bottom - self.top


def lines(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[list[Part]]]:
    """Return the picture with its parts numbered from 1, and the parts of each line, from the topmost line on."""
    from scipy import ndimage

    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    areas = np.bincount(labels.ravel())
    parts = [
        Part(number, box[1].start, box[0].start, box[1].stop, box[0].stop, int(areas[number]))
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    # The largest, so that a picture of grain or print is answered in bounded time.
    parts = sorted(parts, key=lambda part: -part.area)[:MOST]
    parts = [part for part in parts if not _frame(part, parts, labels)]
    if not parts:
        return labels, []
    tall = _typical(parts)
    parts = [part for part in parts if not (part.height < 0.25 * tall and part.width > 2.5 * tall)]
    large = [part for part in parts if part.height >= 0.45 * tall]
    found = _chained(large)
    for part in parts:
        if part.height < 0.45 * tall:
            line = _line_of(part, found, tall)
            if line is not None and not _punctuation(part, large, tall):
                line.append(part)
    found = [sorted(line, key=lambda part: part.left) for line in found]
    return labels, sorted(found, key=lambda line: float(np.mean([part.top + part.bottom for part in line])))


def _typical(parts: list[Part]) -> float:
    """Return the height of a digit: that which most of the ink belongs to."""
    heights = np.array([part.height for part in parts], float)
    weights = np.array([part.area for part in parts], float)
    order = np.argsort(heights)
    upto = np.cumsum(weights[order])
    return float(heights[order][np.searchsorted(upto, 0.6 * upto[-1])])


def _frame(part: Part, parts: list[Part], labels: NDArray[np.int32]) -> bool:
    """Whether a part is a box drawn around others: ink along most of its own box, and parts of some size inside."""
    inside = [
        other
        for other in parts
        if other is not part
        and part.left < other.left
        and part.top < other.top
        and other.right < part.right
        and other.bottom < part.bottom
        and other.height > 0.25 * part.height
    ]
    if not inside:
        return False
    own = labels[part.top : part.bottom, part.left : part.right] == part.label
    down, across = max(1, part.height // 8), max(1, part.width // 8)
    sides = [own[:down].any(0), own[-down:].any(0), own[:, :across].any(1), own[:, -across:].any(1)]
    return sum(float(side.mean()) > 0.8 for side in sides) >= 3


def _chained(parts: list[Part]) -> list[list[Part]]:
    """Group parts whose rows overlap with those of the nearest on their left: so a line may climb."""
    found: list[list[Part]] = []
    for part in sorted(parts, key=lambda part: part.left + part.right):
        shares = [_shared_rows(max(line[-2:], key=lambda other: other.height), part) for line in found]
        best = int(np.argmax(shares)) if shares else -1
        if best >= 0 and shares[best] > 0.3:
            found[best].append(part)
        else:
            found.append([part])
    return found


def _shared_rows(one: Part, other: Part) -> float:
    return (min(one.bottom, other.bottom) - max(one.top, other.top)) / min(one.height, other.height)


def _line_of(part: Part, found: list[list[Part]], tall: float) -> list[Part] | None:
    """Return the line with the part nearest to a small one, if it is near enough to belong to it."""
    best, nearest = None, 0.5 * tall
    for line in found:
        for other in line:
            across = max(part.left - other.right, other.left - part.right, 0)
            down = max(part.top - other.bottom, other.top - part.bottom, 0)
            if max(across, down) < nearest:
                best, nearest = line, max(across, down)
    return best


def _punctuation(part: Part, large: list[Part], tall: float) -> bool:
    """Whether a small part is a speck, dot, comma or dash: not over, under or inside a digit, and not its upper bar."""
    if max(part.height, part.width) < 0.06 * tall:
        return True
    beside = max(large, key=lambda other: -abs(part.left + part.right - other.left - other.right), default=None)
    if beside is None:
        return True
    over = max((min(part.right, other.right) - max(part.left, other.left)) / part.width for other in large)
    if over > 0.35:
        return False
    middle = ((part.top + part.bottom) / 2 - beside.top) / beside.height
    low = middle > 0.7 and part.width < 0.45 * tall
    dash = 0.3 < middle < 0.75 and part.height < 0.3 * tall and part.width > 1.3 * part.height
    return low or dash


def height_of(mask: NDArray[np.bool_]) -> float:
    """Return how tall the digits of a line are, in pixels, however much the line climbs: (h, w) in one line."""
    from scipy import ndimage

    columns = mask.any(0)
    rows = mask.shape[0]
    top = np.where(columns, mask.argmax(0), rows)
    bottom = np.where(columns, rows - mask[::-1].argmax(0), 0)
    used = mask.any(1)
    height = float(np.ptp(np.flatnonzero(used)) + 1) if used.any() else 1.0
    for _ in range(3):
        window = max(3, int(0.7 * height) | 1)
        spans = ndimage.maximum_filter1d(bottom, window) - ndimage.minimum_filter1d(top, window)
        height = min(height, float(np.percentile(spans[columns], 65))) if columns.any() else height
    return height


def stroke_of(mask: NDArray[np.bool_]) -> float:
    """Return the breadth of the strokes in pixels, from the mean way from their pixels to the ground."""
    from scipy import ndimage

    ways = ndimage.distance_transform_edt(np.pad(mask, 1))
    return max(1.0, 4 * float(ways[ways > 0].mean()) - 2) if mask.any() else 1.0
