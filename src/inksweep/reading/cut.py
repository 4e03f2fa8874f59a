"""Ink -> digits in reading order: lines from top to bottom, digits from left to right, each as the network sees it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inksweep.reading.ink import Ink, frame

# Pixels uint8 (n, size, size), white on black -> probabilities float32 (n, classes).
Answer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class Piece:
    """One digit: where it stands, what the network sees of it, and what it answers."""

    # x, y, width, height in pixels of the ink.
    box: tuple[int, int, int, int]
    # uint8 (size, size), white on black.
    pixels: NDArray[np.uint8]
    # float32 (classes,).
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """Connected ink, or several of them that belong together: the labels, and the box that holds them all."""

    labels: tuple[int, ...]
    left: int
    top: int
    right: int
    bottom: int
    area: int

    @property
    def width(self) -> int:
        """Of the box, in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Of the box, in pixels."""
        return self.bottom - self.top

    def joined(self, other: "Part") -> "Part":
        """Return both as one."""
        return Part(
            self.labels + other.labels,
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.area + other.area,
        )


def read_lines(ink: Ink, answer: Answer, size: int = 28) -> list[list[Piece]]:
    """Return the digits of `ink`, line after line; no ink, no lines."""
    from scipy import ndimage

    labels, _ = ndimage.label(ink.mask, np.ones((3, 3)))
    lines = [_joined(line) for line in _lines(_parts(labels))]
    flat = [part for line in lines for part in line]
    if not flat:
        return []
    pixels = np.stack([_framed(ink, labels, part, size) for part in flat])
    pieces = iter(
        Piece((part.left, part.top, part.width, part.height), seen, probabilities)
        for part, seen, probabilities in zip(flat, pixels, answer(pixels), strict=True)
    )
    return [[next(pieces) for _ in line] for line in lines]


def _parts(labels: NDArray[np.int32]) -> list[Part]:
    from scipy import ndimage

    areas = np.bincount(labels.ravel())
    parts = [
        Part((number,), box[1].start, box[0].start, box[1].stop, box[0].stop, int(areas[number]))
        for number, box in enumerate(ndimage.find_objects(labels), start=1)
    ]
    tallest = max((part.height for part in parts), default=0)
    return [part for part in parts if max(part.height, part.width) > 0.15 * tallest]


def _lines(parts: list[Part]) -> list[list[Part]]:
    """Group parts whose heights overlap with those of a neighbour: so a line may climb."""
    lines: list[list[Part]] = []
    for part in sorted(parts, key=lambda part: part.left):

        def shared(line: list[Part], part: Part = part) -> float:
            last = max(line[-3:], key=lambda other: other.height)
            return (min(last.bottom, part.bottom) - max(last.top, part.top)) / min(last.height, part.height)

        best = max(lines, key=shared, default=None)
        if best is not None and shared(best) > 0.3:
            best.append(part)
        else:
            lines.append([part])
    return sorted(lines, key=lambda line: float(np.mean([part.top + part.bottom for part in line])))


def _joined(line: list[Part]) -> list[Part]:
    """Join parts that stand above each other, and drop what is too low for a digit."""
    done: list[Part] = []
    for part in sorted(line, key=lambda part: part.left):
        last = done[-1] if done else None
        if last and min(last.right, part.right) - part.left > 0.5 * min(last.width, part.width):
            done[-1] = last.joined(part)
        else:
            done.append(part)
    tallest = max(part.height for part in done)
    return [part for part in done if part.height > 0.4 * tallest]


def _framed(ink: Ink, labels: NDArray[np.int32], part: Part, size: int) -> NDArray[np.uint8]:
    """Return the part alone as the network sees it: the soft edge of its ink, and nothing of its neighbours."""
    margin = 2
    window = (
        slice(max(part.top - margin, 0), part.bottom + margin),
        slice(max(part.left - margin, 0), part.right + margin),
    )
    here = labels[window]
    own = np.isin(here, part.labels)
    return frame(np.where(own | (here == 0), ink.strength[window], 0), own, size)
