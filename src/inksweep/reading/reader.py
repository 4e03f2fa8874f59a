"""A picture in, its text out: picture -> ink -> pieces -> the classifier's answers -> text, boxes and confidence."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from inksweep.errors import InputError, need
from inksweep.reading import cut, doubt, ink, picture
from inksweep.reading.cut import Answer, Piece
from inksweep.reading.ink import Ink
from inksweep.reading.picture import Picture

if TYPE_CHECKING:
    from PIL import Image

    # A file, or its bytes; pixels: (h, w) or (h, w, 3 or 4), uint8, or float from 0 to 1; or an image of Pillow.
    Source = Path | str | bytes | NDArray[Any] | Image.Image

# What a PNG can hold of Pillow's modes.
PNG_MODES = ("1", "L", "LA", "I", "I;16", "P", "RGB", "RGBA")
# What stands in the text for a piece that is none of the classes, or of which the classifier is too unsure.
UNSURE = "?"
# Why there is no text.
NO_INK, NO_DIGIT = "no ink", "no digit"
# How many classes are named for a digit, its own among them.
TOP = 3


@dataclass(frozen=True)
class Digit:
    """What one piece of ink was read as."""

    # Name of the class, or `UNSURE`.
    name: str
    # Of the best class, 0 to 1, also where it is not named because this is too low.
    confidence: float
    # x, y, width, height in pixels of the original, upright.
    box: tuple[int, int, int, int]
    # The best classes with their probabilities, the best first: `top` of them.
    answers: list[tuple[str, float]]
    # uint8 (size, size), white on black: what the network saw.
    pixels: NDArray[np.uint8] = field(repr=False)
    # float32 (classes,)
    probabilities: NDArray[np.float32] = field(repr=False)

    @property
    def others(self) -> list[tuple[str, float]]:
        """The runners-up: the best classes without the one it was read as; of an unsure one, all of them."""
        return self.answers if self.name == UNSURE else self.answers[1:]

    def as_json(self, *, pixels: bool = False) -> dict[str, Any]:
        """Return it as plain values; with its pixels, as rows, if wanted."""
        return {
            "digit": self.name,
            "confidence": round(self.confidence, 4),
            "box": list(self.box),
            "others": [{"digit": name, "confidence": round(value, 4)} for name, value in self.others],
            **({"pixels": self.pixels.tolist()} if pixels else {}),
        }


@dataclass(frozen=True)
class Reading:
    """What was read from one picture."""

    # What the picture is called.
    name: str
    # Lines from top to bottom, digits from left to right; empty: `note` says why.
    lines: list[list[Digit]]
    # What it was read from.
    picture: Picture = field(repr=False)
    ink: Ink = field(repr=False)

    @property
    def digits(self) -> list[Digit]:
        """All digits, line after line."""
        return [digit for line in self.lines for digit in line]

    @property
    def texts(self) -> list[str]:
        """Return the text of each line: names of one letter stand together, longer ones are kept apart by spaces."""
        return [_joined([digit.name for digit in line]) for line in self.lines]

    @property
    def text(self) -> str:
        """The lines, with a newline between them; "" if there is none."""
        return "\n".join(self.texts)

    @property
    def confidence(self) -> float:
        """How sure it is that the whole text is right: the product of the digits' confidences; 0 if there is none.

        As if digits were misread independently of each other.
        """
        return math.prod(digit.confidence for digit in self.digits) if self.digits else 0.0

    @property
    def note(self) -> str | None:
        """Why there is no text; None if there is one. Dots and dashes are ink, but no digits."""
        if self.digits:
            return None
        return NO_DIGIT if self.ink.mask.any() else NO_INK

    def as_json(self, *, pixels: bool = False) -> dict[str, Any]:
        """Return it as plain values.

        Args:
            pixels: with what the network saw of each digit, as rows of 0 to 255.
        """
        return {
            "picture": self.name,
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "lines": self.texts,
            "digits": [digit.as_json(pixels=pixels) for digit in self.digits],
            **({"note": self.note} if self.note else {}),
        }


def _joined(names: Sequence[str]) -> str:
    return ("" if all(len(name) == 1 for name in names) else " ").join(names)


class Reader:
    """Reads pictures with one classifier.

    Args:
        answer: maps pixels, uint8 (n, size, size), white on black, to probabilities, float32 (n, classes).
        classes: their names.
        size: height and width of what the classifier sees, in pixels.
    """

    def __init__(self, answer: Answer, classes: Sequence[str], size: int = 28) -> None:
        self.answer = answer
        self.classes = list(classes)
        self.size = size

    def read(
        self,
        source: "Source",
        *,
        name: str = "",
        top: int = TOP,
        min_confidence: float | None = None,
    ) -> Reading:
        """Read one picture.

        Args:
            source: a file, or its bytes; pixels: (h, w) or (h, w, 3 or 4), uint8, or float from 0 to 1; or an image of
                Pillow.
            name: what the picture is called, in the reading and in messages; by default its path.
            top: how many classes are named for a digit, its own among them.
            min_confidence: a digit of which it is less sure is `?`; None: `doubt.MIN_CONFIDENCE`.

        Raises:
            InputError: it is no picture, or too large a one; the message names it. Or a value cannot be used.
        """
        least = doubt.MIN_CONFIDENCE if min_confidence is None else min_confidence
        need(top >= 1, "top", top, "at least 1")
        need(0 <= least <= 1, "min_confidence", least, "from 0 to 1")
        name = name or (str(source) if isinstance(source, Path | str) else "picture")
        seen = picture.open_picture(_plain(source, name), name)
        found = ink.find(seen.grey)
        lines = cut.read_lines(found, self.answer, self.size) if found.mask.any() else []
        sure = iter(self._confidences([piece for line in lines for piece in line]))
        return Reading(
            name,
            [[self._digit(piece, next(sure), seen, top, least) for piece in line] for line in lines if line],
            seen,
            found,
        )

    def _confidences(self, pieces: Sequence[Piece]) -> list[float]:
        if not pieces:
            return []
        pixels = np.stack([piece.pixels for piece in pieces])
        probabilities = np.stack([piece.probabilities for piece in pieces])
        return [float(value) for value in doubt.confidences(pixels, probabilities, self.classes)]

    def _digit(self, piece: Piece, sure: float, seen: Picture, top: int, least: float) -> Digit:
        best = np.argsort(-piece.probabilities, kind="stable")[:top]
        answers = [(self.classes[index], float(piece.probabilities[index])) for index in best]
        name = answers[0][0] if sure >= least else UNSURE
        return Digit(name, sure, _in_original(piece.box, seen), answers, piece.pixels, piece.probabilities)


def _in_original(box: tuple[int, int, int, int], seen: Picture) -> tuple[int, int, int, int]:
    """Return a box in pixels of the original: the whole pixels that hold it."""
    x, y, width, height = box
    left, top = math.floor(x * seen.scale), math.floor(y * seen.scale)
    right = min(math.ceil((x + width) * seen.scale), seen.size[0])
    bottom = min(math.ceil((y + height) * seen.scale), seen.size[1])
    return left, top, max(1, right - left), max(1, bottom - top)


def _plain(source: Any, name: str) -> Path | bytes:
    """Return what `open_picture` takes."""
    from PIL import Image, ImageOps

    if isinstance(source, str | Path):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source)
    if isinstance(source, Image.Image):
        upright = ImageOps.exif_transpose(source)
        return _as_file(upright)
    if hasattr(source, "__array__"):
        return _as_file(Image.fromarray(_pixels(np.asarray(source), name)))
    kind = type(source).__name__
    raise InputError(f"{name}: a {kind} is no picture; give a path, the bytes of a file, an array or a Pillow image")


def _pixels(pixels: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """Return pixels as a picture holds them; InputError if they are none."""
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] not in (3, 4)) or not pixels.size:
        raise InputError(f"{name}: pixels of shape {pixels.shape}: must be (h, w), or (h, w, 3 or 4)")
    if pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            raise InputError(f"{name}: pixels of type {pixels.dtype} must be from 0 to 1; as uint8 from 0 to 255")
        pixels = np.rint(pixels * 255).astype(np.uint8)
    elif pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * 255
    elif pixels.dtype != np.uint8:
        raise InputError(f"{name}: pixels of type {pixels.dtype}: must be uint8, or float from 0 to 1")
    return np.ascontiguousarray(pixels)


def _as_file(image: Any) -> bytes:
    """Return an image of Pillow as the bytes of a file."""
    buffer = io.BytesIO()
    if image.mode in PNG_MODES:
        image.save(buffer, "PNG", compress_level=1)
    else:
        image.save(buffer, "TIFF")
    return buffer.getvalue()
