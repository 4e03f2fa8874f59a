"""Ink -> digits in reading order: lines from top to bottom, digits from left to right, each as the network sees it.

A line may be cut at any of its seams (seams.py). Of all ways to cut it, the one is taken whose segments are together
the likeliest digits: as judge.py sees them, and as sure as the classifier is of each.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inksweep.reading import judge, seams
from inksweep.reading.ink import Ink, frame
from inksweep.reading.parts import Part, height_of, lines, stroke_of
from inksweep.reading.seams import Seams, Segments

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
# Pixels uint8 (n, size, size), white on black -> probabilities float32 (n, classes).
Answer = Callable[[Pixels], Floats]

# What a segment must be worth to be asked about at all, and how much its best probability counts beside that.
WORTH_ASKING = -4.0
CLASSIFIER = 2.0
# What each further digit costs; less than nothing: what the judge takes for one digit is sometimes two.
DIGIT = -1.0
# What ink that belongs to no digit costs.
LEFT_OUT = 3.0
# Ground around a line, in pixels at the height of judge.py.
MARGIN = 4


@dataclass(frozen=True)
class Piece:
    """One digit: where it stands, what the network sees of it, and what it answers."""

    # x, y, width, height in pixels of the ink.
    box: tuple[int, int, int, int]
    # uint8 (size, size), white on black.
    pixels: Pixels
    # float32 (classes,).
    probabilities: Floats


@dataclass(frozen=True)
class _Line:
    """A line at the height that judge.py was taught, and the segments of it that may be digits."""

    strength: Floats
    # Pixels of the line per pixel of the ink, and where the line's box begins in the ink.
    scale: float
    left: int
    top: int
    # The line's own ink, as it was found: its strength and mask.
    ink: Floats
    mask: NDArray[np.bool_]
    seams: Seams
    segments: Segments
    worth: Floats


def read_lines(ink: Ink, answer: Answer, size: int = 28) -> list[list[Piece]]:
    """Return the digits of `ink`, line after line; no ink, no lines.

    Args:
        answer: the classifier; it is asked twice, of all segments that may be digits and of those that are.
        size: sides of the pictures that it takes.
    """
    labels, found = lines(ink.mask)
    prepared = [_prepared(ink, labels, parts) for parts in found]
    asked = [_seen(line, size) for line in prepared]
    if not sum(map(len, asked)):
        return []
    best = answer(np.concatenate(asked)).max(1)
    cuts, start = [], 0
    for line, pixels in zip(prepared, asked, strict=True):
        cuts.append(_best_path(line, best[start : start + len(pixels)]))
        start += len(pixels)
    framed = [[_framed(line, segment, size) for segment in chosen] for line, chosen in zip(prepared, cuts, strict=True)]
    flat = [one for line in framed for one in line]
    answers = iter(answer(np.stack([pixels for _, pixels in flat]))) if flat else iter(())
    read = [[Piece(box, pixels, next(answers)) for box, pixels in line] for line in framed]
    return [line for line in read if line]


def _prepared(ink: Ink, labels: NDArray[np.int32], parts: list[Part]) -> _Line:
    """Return a line alone, its neighbours' ink left out, at the height that judge.py was taught."""
    from PIL import Image

    left, top = min(part.left for part in parts), min(part.top for part in parts)
    right, bottom = max(part.right for part in parts), max(part.bottom for part in parts)
    window = slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1)
    here = labels[window]
    own = np.zeros(labels.max() + 1, bool)
    own[[part.label for part in parts]] = True
    mask = own[here]
    own[0] = True  # the soft edge of the ink is outside of its mask
    strength = np.where(own[here], ink.strength[window], 0).astype(np.float32)
    scale = judge.HEIGHT / height_of(mask)
    rows, columns = (max(1, round(side * scale)) for side in mask.shape)
    resized = np.asarray(Image.fromarray(strength).resize((columns, rows), Image.Resampling.BILINEAR))
    # Strokes thinner than a pixel here are faint now: as full as others again.
    full = float(np.percentile(resized[resized > 0.05], 90)) if (resized > 0.05).any() else 1.0
    small = np.pad(np.clip(resized / np.clip(full, 0.15, 1), 0, 1), MARGIN).astype(np.float32)
    stroke = stroke_of(small > 0.5)
    cuts = seams.find(small, judge.parting(small), judge.HEIGHT, stroke)
    segments = seams.between(small, cuts, judge.HEIGHT, stroke)
    worth = judge.wholeness(small, cuts, segments, stroke) if len(segments) else np.zeros(0, np.float32)
    kept = worth > min(WORTH_ASKING, worth.max(initial=WORTH_ASKING))
    return _Line(small, scale, window[1].start, window[0].start, strength, mask, cuts, segments.only(kept), worth[kept])


def _seen(line: _Line, size: int) -> Pixels:
    """Return what the network sees of each segment of a line: (n, size, size)."""
    mask = line.strength > 0.4
    places = np.arange(line.strength.shape[1])
    pixels = np.zeros((len(line.segments), size, size), np.uint8)
    columns = line.seams.columns
    found = line.segments
    for number in range(len(found)):
        window = slice(found.top[number], found.bottom[number]), slice(found.left[number], found.right[number])
        first, second = columns[found.first[number], window[0]], columns[found.second[number], window[0]]
        inside = (places[window[1]] >= first[:, None]) & (places[window[1]] < second[:, None])
        pixels[number] = frame(line.strength[window] * inside, mask[window] & inside, size)
    return pixels


def _best_path(line: _Line, sure: Floats) -> list[tuple[int, int]]:
    """Return the seams around each digit, from left to right, of the best way to cut a line."""
    count = len(line.seams.inks)
    value = np.clip(line.worth, -8, 8) + CLASSIFIER * np.log(np.maximum(sure, 1e-3)) - DIGIT
    edges: dict[int, list[tuple[int, float, bool]]] = {seam: [] for seam in range(count)}
    for first, second, worth in zip(line.segments.first, line.segments.second, value, strict=True):
        edges[int(second)].append((int(first), float(worth), True))
    for seam in range(1, count):
        edges[seam].append((seam - 1, -LEFT_OUT, False))
    best = np.full(count, -np.inf)
    best[0] = 0
    came: list[tuple[int, bool]] = [(0, False)] * count
    for seam in range(1, count):
        for first, worth, digit in edges[seam]:
            if best[first] + worth > best[seam]:
                best[seam] = best[first] + worth
                came[seam] = first, digit
    path = []
    seam = count - 1
    while seam:
        first, digit = came[seam]
        if digit:
            path.append((first, seam))
        seam = first
    return path[::-1] or [(0, count - 1)]


def _framed(line: _Line, cut: tuple[int, int], size: int) -> tuple[tuple[int, int, int, int], Pixels]:
    """Return the box of a digit in the ink, and the digit as the network sees it, out of the ink as it was found."""
    rows = ((np.arange(line.mask.shape[0]) + 0.5) * line.scale).astype(int) + MARGIN
    rows = np.minimum(rows, line.strength.shape[0] - 1)
    first, second = ((line.seams.columns[seam, rows, None] - MARGIN) / line.scale for seam in cut)
    places = np.arange(line.mask.shape[1]) + 0.5
    inside = (places >= first) & (places < second)
    mask = line.mask & inside
    down, across = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = (int(down[0]), int(across[0])) if len(down) else (0, 0)
    bottom, right = (int(down[-1]) + 1, int(across[-1]) + 1) if len(down) else mask.shape
    box = (line.left + left, line.top + top, right - left, bottom - top)
    return box, frame(line.ink * inside, mask, size)
