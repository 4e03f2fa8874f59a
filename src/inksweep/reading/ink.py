"""Finds the ink of a picture: what stands out of its ground against the noise, dark on light or light on dark."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inksweep.reading import ground
from inksweep.reading.framing import frame
from inksweep.reading.ruled import without_lines

__all__ = ["Ink", "find", "frame"]

FAINTEST = 0.06  # of the ground's light: what differs less is no ink
NOISES = 5.0  # standard deviations of the noise that ink must differ
GRAIN = 0.012  # noise from which on a picture is smoothed before ink is looked for
LEAST = 0.33  # of full ink: where ink ends
FULL = 0.6  # of full ink: what a part must reach somewhere, or it is a ruled line, a shadow, or shines through


@dataclass(frozen=True)
class Ink:
    """The ink of a picture.

    Attributes:
        strength: float32 (height, width), 0 ground to 1 full ink.
        mask: bool (height, width), where ink is; nothing True: there is none.
        stages: pictures of the steps on the way, by name, 0 to 1.
    """

    strength: np.ndarray
    mask: np.ndarray
    stages: Mapping[str, np.ndarray]


def find(grey: np.ndarray) -> Ink:
    """Find the ink of a picture.

    Args:
        grey: (height, width), 0 black to 1 white.
    """
    from scipy import ndimage

    grey = np.asarray(grey, np.float32)
    level = grey if ground.is_light(ground.small_copy(grey)) else 1 - grey
    light = ground.light_of(level)
    depth, usual, noise = _depth(level, light)
    if noise > GRAIN and min(grey.shape) >= ground.LARGE:
        level = ndimage.gaussian_filter(level, 1.0)
        depth, usual, noise = _depth(level, light)
    stages = {"ground": light if level is grey else 1 - light, "depth": np.clip(depth, 0, 1)}
    floor = usual + max(NOISES * noise, FAINTEST)
    above = depth[depth > floor]
    if not above.size:
        return Ink(np.zeros_like(depth), np.zeros(depth.shape, bool), stages)
    full = float(np.median(above[above >= ground.otsu(above)]))
    mask = _parts(depth, usual, max(floor, usual + LEAST * (full - usual)), usual + FULL * (full - usual), noise)
    start = usual + 2 * noise
    strength = np.clip((depth - start) / max(full - start, 1e-3), 0, 1)
    strength = np.where(ndimage.maximum_filter(mask, 3), strength, 0).astype(np.float32)
    return Ink(strength, mask, {**stages, "ink": strength})


def _depth(level: np.ndarray, light: np.ndarray) -> tuple[np.ndarray, float, float]:
    """How far each pixel is below the ground, what that is where nothing is drawn, and the noise around it.

    Ink lies on one side only: the noise is what the other side shows.
    """
    depth = (light - level) / np.maximum(light, 0.25)
    some = depth.ravel()[:: max(1, depth.size // 60_000)]
    likely = some[some < FAINTEST + 2 * float(np.abs(np.minimum(some, 0)).mean())]
    if likely.size < 0.1 * some.size:
        return depth, 0.0, 0.0
    usual = float(np.median(likely))
    brighter = np.minimum(usual - some[some <= usual], 0.1)
    # A ground that follows light closely lies on the crests of the grain: their spread alone would be too little.
    spread = 1.4826 * float(np.median(np.abs(likely - usual)))
    return depth, usual, max(spread, float(np.sqrt(np.mean(brighter**2))) if brighter.size > 8 else 0.0)


def _parts(depth: np.ndarray, usual: float, low: float, high: float, noise: float) -> np.ndarray:
    """Connected parts above `low` that reach `high` somewhere, without specks and what frames the picture."""
    from scipy import ndimage

    there = depth > low
    if min(depth.shape) >= ground.LARGE:
        there = without_lines(there)
    labels, count = ndimage.label(there, np.ones((3, 3)))
    if not count:
        return np.zeros(depth.shape, bool)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    kept = np.bincount(labels[depth >= high], minlength=count + 1) > 0
    kept[0] = False
    boxes = ndimage.find_objects(labels)
    if min(depth.shape) >= ground.LARGE:
        kept[1:] &= ~_around(labels, boxes, sizes[1:], kept[1:])
        # A few pixels that noise has thrown together; in a large noisy picture there are larger ones.
        kept &= sizes >= max(12 if noise > 0.003 else 4, depth.size // 60_000)
        if noise > 0.003:
            kept &= _edged(depth - usual, labels, count)
    if not kept.any():
        return np.zeros(depth.shape, bool)
    kept &= sizes >= 0.01 * sizes[kept].max()
    found: np.ndarray = kept[labels]
    return found


def _edged(depth: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """Which parts end within a few pixels, as strokes do also where they are blurred, and unlike shading."""
    from scipy import ndimage

    near = max(3, min(depth.shape) // 60)
    around = np.where(labels == 0, ndimage.maximum_filter(labels, 2 * near + 1), 0)
    inner, outer = (_means(depth, where, count) for where in (labels, around))
    edged: np.ndarray = outer <= 0.5 * inner
    return edged


def _means(depth: np.ndarray, where: np.ndarray, count: int) -> np.ndarray:
    """The mean depth of each part, by its number; 0 where there is none of it."""
    there = where > 0
    numbers = where[there]
    sums = np.bincount(numbers, depth[there], count + 1)
    means: np.ndarray = sums / np.maximum(np.bincount(numbers, minlength=count + 1), 1)
    return means


def _around(labels: np.ndarray, boxes: list[tuple[slice, slice]], sizes: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Which parts are no strokes: the edge of a table, a shadow, a drawn frame. Never all: one that is alone stays."""
    height, width = labels.shape
    odd = np.zeros(len(boxes), bool)
    for number, (rows, columns) in enumerate(boxes):
        tall, wide = rows.stop - rows.start, columns.stop - columns.start
        touches = (rows.start == 0) + (rows.stop == height) + (columns.start == 0) + (columns.stop == width)
        along = tall > 0.9 * height or wide > 0.9 * width
        filled = sizes[number] / (tall * wide)
        slim = min(tall / height, wide / width) < 0.12
        strip = touches >= 1 and slim and along
        if strip and tall > wide:
            # A 1 between digits as tall as it touches the upper and the lower edge, and no side.
            sides = [(labels[:, side] == number + 1).sum() for side in (0, -1)]
            strip = max(sides) > 0.5 * tall or not _as_tall(boxes, kept, number)
        framed = tall > 0.8 * height and wide > 0.8 * width and filled < 0.25 and touches != 1
        solid = touches >= 2 and filled > 0.5 and along and not slim
        odd[number] = strip or (framed and touches != 0) or solid
    inside = kept & ~odd
    # What is left must be worth looking at: at least a tenth of the picture's height or width.
    large = any(
        max((rows.stop - rows.start) / height, (columns.stop - columns.start) / width) > 0.1
        for number, (rows, columns) in enumerate(boxes)
        if inside[number]
    )
    return odd if large else np.zeros(len(boxes), bool)


def _as_tall(boxes: list[tuple[slice, slice]], kept: np.ndarray, number: int) -> bool:
    """Whether another part is about as tall as this one, and wider."""
    rows, columns = boxes[number]
    tall, wide = rows.stop - rows.start, columns.stop - columns.start
    return any(
        other.stop - other.start > 0.65 * tall and across.stop - across.start > wide
        for index, (other, across) in enumerate(boxes)
        if kept[index] and index != number
    )
