"""Opens a picture of any usual kind as grey levels, upright. Whatever cannot be opened is one line."""

import io
import os
import stat
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inksweep.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

# Others that Pillow knows are not opened: some start programs (EPS), none holds photos or drawings of digits.
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
NAMED = "PNG, JPEG, BMP, WebP, TIFF or GIF"
WORK = 1600  # the longest side, in pixels, that is worked on
MAX_PIXELS = 50_000_000  # decoded at once: 200 MB at four bytes each
MAX_SIDE = 60_000
MAX_BYTES = 100_000_000
FLAT = 0.12  # a picture whose lightest and darkest grey lie nearer than this shows nothing

# How other files begin that are given as pictures, and what to do with them.
ELSE = {
    b"%PDF": "is a PDF; save the page as PNG or JPEG",
    b"<svg": "is an SVG drawing; save it as PNG",
    b"<?xml": "is XML (an SVG drawing?); save it as PNG",
    b"<html": "is a web page; save the picture itself",
    b"<!doc": "is a web page; save the picture itself",
    b"\x00\x00\x00": "is a HEIC or AVIF picture or a video; save it as JPEG or PNG",
}

_filters = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as it is worked on.

    Attributes:
        grey: float32 (height, width), 0 black to 1 white, upright, on a ground where it was transparent. Its longest
            side is at most WORK.
        size: width and height of the original in pixels, upright.
        scale: pixels of the original per pixel of `grey`.
    """

    grey: np.ndarray
    size: tuple[int, int]
    scale: float


def open_picture(source: Path | bytes, name: str) -> Picture:
    """Open a picture; of an animated one or one of several pages, the first.

    Args:
        source: where its file is, or the bytes of one.
        name: what it is called in errors.

    Raises:
        InputError: it cannot be read, is no picture, is damaged, or has more than MAX_PIXELS pixels.
    """
    data = source if isinstance(source, bytes) else _read(source, name)
    if not data:
        raise InputError(f"{name}: empty; a picture has {NAMED} in it")
    try:
        return _decode(data, name)
    except InputError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to, MemoryError too
        raise InputError(f"{name}: damaged or cut short ({_line(error)}); save or send it again") from None


def _read(path: Path, name: str) -> bytes:
    """Return the bytes of a file, without waiting for what is no file (a pipe, a terminal)."""
    try:
        # O_NONBLOCK: opening a pipe that nobody writes to would wait for ever. Windows has no such pipes in folders.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except IsADirectoryError:
        raise InputError(f"{name}: a folder, not a picture") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise InputError(f"{name}: cannot be read ({_line(error)})") from None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{name}: a folder, not a picture")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{name}: not a file (a pipe or a device); send a picture on standard input instead")
        if found.st_size > MAX_BYTES:
            raise InputError(f"{name}: {found.st_size:,} bytes; pictures may have up to {MAX_BYTES:,}; make it smaller")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({_line(error)})") from None
    finally:
        os.close(descriptor)


def _line(error: Exception) -> str:
    """What a library says, as the part of a line."""
    says = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(says.split())[:120]


def _decode(data: bytes, name: str) -> Picture:
    from PIL import Image, UnidentifiedImageError

    _no_warnings()
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise InputError(f"{name}: {_what(data)}") from None
    except Image.DecompressionBombError:
        raise InputError(f"{name}: more than {MAX_PIXELS:,} pixels; make it smaller") from None
    with image:
        width, height = image.size
        if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
            raise InputError(
                f"{name}: {width} x {height} pixels; pictures may have up to {MAX_PIXELS:,}, and {MAX_SIDE:,} on a "
                "side; make it smaller"
            )
        orientation = _orientation(image)
        image.draft(None, (min(width, WORK), min(height, WORK)))  # JPEG: decodes 1/2, 1/4 or 1/8 of each side
        factor = -(-max(image.size) // WORK)
        grey = _grey(image, factor)
    grey = _upright(grey, orientation)
    upright = (height, width) if orientation >= 5 else (width, height)
    return Picture(np.ascontiguousarray(grey), upright, max(upright) / max(grey.shape))


def _no_warnings() -> None:
    """Keep Pillow's warnings about damaged and huge pictures off the terminal: they are refused in words here.

    `warnings.catch_warnings` would change the filters of all threads for as long as one picture is decoded.
    """
    with _filters:
        ours = ("ignore", None, Warning)
        if not any((found[0], found[1], found[2]) == ours and _of_pillow(found[3]) for found in warnings.filters):
            warnings.filterwarnings("ignore", module=r"PIL\.")


def _of_pillow(module: object) -> bool:
    return getattr(module, "pattern", module) == r"PIL\."


def _what(data: bytes) -> str:
    """What a file is that is no picture, and what to do."""
    start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n")[:16].lower()
    for begins, sentence in ELSE.items():
        if start.startswith(begins.lower()):
            return sentence
    return f"not a picture that is known here; save it as {NAMED}"


def _orientation(image: "Image.Image") -> int:
    """How a camera was held: EXIF's tag 274, 1 (upright) to 8; 1 if it says nothing that can be read."""
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # a damaged EXIF block must not cost a picture that is whole
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _upright(grey: np.ndarray, orientation: int) -> np.ndarray:
    if orientation >= 5:
        grey = grey.T
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return grey


def _grey(image: "Image.Image", factor: int) -> np.ndarray:
    """Grey levels of a picture whose sides are divided by a whole factor, 0 to 1."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _deep(image, factor)
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _on_a_ground(image.convert("RGBA").reduce(factor))
    if image.mode == "1":
        image = image.convert("L")
    if image.mode == "L":
        return _levels(image.reduce(factor))
    if image.mode not in ("RGB", "CMYK"):
        image = image.convert("RGB")
    image = image.reduce(factor)
    return _of_colours(image if image.mode == "RGB" else image.convert("RGB"))


def _levels(image: "Image.Image") -> np.ndarray:
    levels: np.ndarray = np.asarray(image, np.float32) / np.float32(255)
    return levels


def _deep(image: "Image.Image", factor: int) -> np.ndarray:
    """Pictures of more than 8 bits: by the range that their greatest value fits in, others by what they hold."""
    values = np.nan_to_num(np.asarray(image, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if factor > 1:
        height, width = (side // factor * factor or side for side in values.shape)
        steps = (min(factor, height), min(factor, width))
        values = values[:height, :width].reshape(height // steps[0], steps[0], width // steps[1], steps[1])
        values = values.mean(axis=(1, 3))
    least, greatest = float(values.min()), float(values.max())
    if least >= 0:
        ends = (1.0, 255.0, 4095.0, 65535.0) if image.mode == "F" else (255.0, 4095.0, 65535.0)
        least, greatest = 0.0, next((end for end in ends if greatest <= end), greatest)
    levels: np.ndarray = np.clip((values - least) / max(greatest - least, 1e-12), 0, 1).astype(np.float32)
    return levels


def _on_a_ground(image: "Image.Image") -> np.ndarray:
    """On white, unless that hides what is drawn: then on black."""
    from PIL import Image

    white, black = (Image.new("RGBA", image.size, (level,) * 3 + (255,)) for level in (255, 0))
    white.alpha_composite(image)
    black.alpha_composite(image)
    on_white, on_black = (_of_colours(ground.convert("RGB")) for ground in (white, black))
    return on_black if np.ptp(on_white) < FLAT < np.ptp(on_black) else on_white


def _of_colours(image: "Image.Image") -> np.ndarray:
    """Luminance, or the one of red, green and blue in which ink stands out much more (yellow on white: blue)."""
    luminance = _levels(image.convert("L"))
    small = np.asarray(image.resize((min(image.width, 160), min(image.height, 160))), np.float32) / 255
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    contrasts = [_contrast(small @ weights), *(_contrast(small[:, :, channel]) for channel in range(3))]
    best = int(np.argmax(contrasts))
    if best == 0 or contrasts[best] < 1.5 * contrasts[0] + 0.1:
        return luminance
    return _levels(image.getchannel(best - 1))


def _contrast(levels: np.ndarray) -> float:
    """How far the rarer levels lie from the middle one."""
    low, middle, high = np.percentile(levels, (0.5, 50, 99.5))
    return float(max(high - middle, middle - low))
