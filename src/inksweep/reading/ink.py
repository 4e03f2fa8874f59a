"""Finds the ink of a picture, and frames a piece of it as MNIST's digits are framed.

The ground (paper, canvas, blackboard) is what most of the picture shows, dark or light and unevenly lit. What stands
out of it, against the noise, is ink. Framing follows how MNIST was made (LeCun et al., 1998: the digit's box scaled to
20 x 20 with its aspect kept, smoothed, its centre of mass in the middle of 28 x 28).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

SMALL = 200  # the longest side, in pixels, at which the ground is estimated
BOX = 20 / 28  # of the frame: the digit's longest side


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
    """Find the ink of a picture, dark on light or light on dark.

    Args:
        grey: (height, width), 0 black to 1 white.
    """
    from scipy import ndimage

    grey = np.asarray(grey, np.float32)
    ground = _ground(grey)
    dark = _dark_ink(grey, ground)
    level, under = (grey, ground) if dark else (1 - grey, 1 - ground)
    depth = np.clip((under - level) / np.maximum(under, 0.25), 0, 1)
    noise = _noise(grey, depth)
    floor = max(5 * noise, 0.06)
    above = depth[depth > floor]
    stages = {"ground": ground, "depth": depth}
    nothing = Ink(np.zeros_like(depth), np.zeros(depth.shape, bool), stages)
    if above.size < 3:
        return nothing
    middle = _otsu(above)
    full = float(np.median(above[above >= middle]))
    low = max(floor, 0.35 * full)
    labels, count = ndimage.label(depth > low, np.ones((3, 3)))
    if not count:
        return nothing
    sizes = np.bincount(labels.ravel())
    peaks = ndimage.maximum(depth, labels, np.arange(count + 1))
    kept = (peaks >= 0.6 * full) & (sizes >= max(8 if noise > 0.004 else 2, 0.02 * sizes[1:].max()))
    kept[0] = False
    mask = kept[labels]
    near = ndimage.binary_dilation(mask, np.ones((3, 3)))
    strength = np.where(near, np.clip((depth - noise) / max(full - noise, 1e-6), 0, 1), 0).astype(np.float32)
    return Ink(strength, mask, {**stages, "ink": strength})


def frame(strength: np.ndarray, mask: np.ndarray, size: int = 28) -> np.ndarray:
    """Frame a piece of ink as MNIST's digits are: uint8 (size, size), white on black.

    Args:
        strength: (height, width), 0 ground to 1 full ink.
        mask: (height, width), which pixels belong to the piece. Nothing True: an empty frame.
        size: sides of the frame.
    """
    from PIL import Image
    from scipy import ndimage

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return np.zeros((size, size), np.uint8)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    piece = np.where(mask, strength, 0)[top:bottom, left:right].astype(np.float32)
    longest = max(piece.shape)
    box = round(BOX * size)
    height, width = (max(1, round(side * box / longest)) for side in piece.shape)
    small = np.asarray(Image.fromarray(piece).resize((width, height), Image.Resampling.HAMMING))
    small = np.clip(small / max(float(np.percentile(small, 95)), 0.5), 0, 1)
    down, across = ndimage.center_of_mass(small)
    out = np.zeros((size, size), np.float32)
    y = int(np.clip(round(size / 2 - 0.5 - down), 0, size - height))
    x = int(np.clip(round(size / 2 - 0.5 - across), 0, size - width))
    out[y : y + height, x : x + width] = small
    return np.rint(out * 255).astype(np.uint8)


def _ground(grey: np.ndarray) -> np.ndarray:
    """The ground as a smooth surface of second degree, fitted again and again to what lies near it."""
    height, width = grey.shape
    step = max(1, -(-max(height, width) // 64))
    points = grey[step // 2 :: step, step // 2 :: step]
    terms = _terms(points.shape)
    ring = np.zeros(points.shape, bool)
    ring[[0, -1]] = ring[:, [0, -1]] = True
    cut = _otsu(points.ravel())
    light = points > cut
    share = light.mean() + light[ring].mean()
    chosen = light if share >= 1 else ~light
    flat, fitted = points.ravel(), terms.reshape(-1, terms.shape[-1])
    weights = chosen.ravel().astype(np.float32)
    surface = np.full(flat.shape, np.median(flat[chosen.ravel()]) if chosen.any() else flat.mean())
    for _ in range(6):
        if weights.sum() < 12:
            break
        scaled = fitted * weights[:, None]
        found = np.linalg.lstsq(scaled.T @ fitted + 1e-3 * np.eye(fitted.shape[1]), scaled.T @ flat, rcond=None)[0]
        surface = fitted @ found
        rest = np.abs(flat - surface)
        near = max(2.5 * float(np.median(rest[chosen.ravel()])), 0.02)
        weights = 1 / (1 + (rest / near) ** 4)
    else:
        fitting: np.ndarray = np.clip(_terms(grey.shape) @ found, 0, 1).astype(np.float32)
        return fitting
    return np.full(grey.shape, surface.mean(), np.float32)


def _terms(shape: tuple[int, ...]) -> np.ndarray:
    y, x = np.meshgrid(*(np.linspace(-1, 1, side, dtype=np.float32) for side in shape), indexing="ij")
    terms: np.ndarray = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    return terms


def _dark_ink(grey: np.ndarray, ground: np.ndarray) -> bool:
    rest = grey - ground
    return float(np.sum(rest[rest < 0] ** 2)) >= float(np.sum(rest[rest > 0] ** 2))


def _noise(grey: np.ndarray, depth: np.ndarray) -> float:
    """Standard deviation of the noise, from the differences of neighbours where most of the picture is."""
    if min(grey.shape) < 3:
        return 0.0
    across = np.abs(grey[:, 1:] - grey[:, :-1])
    return float(np.median(across)) / 0.954


def _otsu(values: np.ndarray) -> float:
    """The level that parts values into two classes with the least variance inside them (Otsu, 1979)."""
    least, greatest = float(values.min()), float(values.max())
    if greatest - least < 1e-3:
        return least
    counts, edges = np.histogram(values, 256, (least, greatest))
    middles = (edges[:-1] + edges[1:]) / 2
    below, moments = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moments / below - (moments[-1] - moments) / above) ** 2
    best = between[:-1]
    return float(edges[1 + int(np.nanargmax(best))])
