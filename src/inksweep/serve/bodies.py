"""Bodies of requests: the picture or the digits in them. Nothing of them is written to disk."""

import base64
import binascii
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from inksweep.reading.picture import FORMATS

# The form field that holds the picture.
FIELD = "picture"
# What a picture is called whose request names none.
NAMELESS = "picture"


def _json_reader() -> Callable[[bytes], Any]:
    try:  # in a fifth of the time
        import orjson
    except ModuleNotFoundError:
        return json.loads
    return orjson.loads  # type: ignore[no-any-return, unused-ignore]


_loads = _json_reader()


class _InMemory(MultiPartParser):
    """Keeps files in memory, which the limit of a body bounds; otherwise those above 1 MiB would go to the disk."""

    spool_max_size = 2**62


async def picture(request: Request) -> tuple[bytes, str]:
    """Return the picture in a request, as its bytes, and its name: a form with the field `picture`, or the body.

    Raises:
        HTTPException: there is none (400).
    """
    name = NAMELESS
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        content, name = await _of_form(request)
    else:
        content = await request.body()
    if not content:
        raise HTTPException(400, f"{name}: there is no picture in the request (0 bytes)")
    return content, name


async def _of_form(request: Request) -> tuple[bytes, str]:
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=8).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the form cannot be read: {error.message}") from None
    try:
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise HTTPException(400, f"the form has no file in its field `{FIELD}`")
        return await file.read(), _cleaned(file.filename)
    finally:
        await form.close()


def _cleaned(name: str | None) -> str:
    """Return the name of an uploaded file so that it fits into a line."""
    return "".join(sign for sign in name or "" if sign.isprintable())[:200] or NAMELESS


def pixels_of(content: bytes, name: str, most: int) -> int:
    """Return how many pixels a picture says that it has; nothing is unpacked for that.

    0 of what is no picture, or a damaged one: reading says what is wrong.

    Raises:
        HTTPException: more than `most` (413).
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
            pixels = opened.width * opened.height
    except Image.DecompressionBombError:
        pixels = most + 1
    except Exception:
        return 0
    if pixels > most:
        raise HTTPException(413, f"{name}: more than {most / 1e6:g} million pixels; make it smaller")
    return pixels


def digits(body: bytes, size: int, most: int) -> NDArray[np.uint8]:
    """Return the pictures in the JSON of a request, uint8 (n, size, size).

    Args:
        body: `{"pixels": ...}`: lists of n pictures of `size` rows of `size` whole numbers from 0 to 255, or base64 of
            n * size * size bytes.
        size: height and width of a picture.
        most: the largest n.

    Raises:
        HTTPException: it is no such JSON (400, 422), or holds too many (413).
    """
    try:
        asked = _loads(body)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise HTTPException(400, f"the body is no JSON: {reason}") from None
    if not isinstance(asked, dict) or set(asked) != {"pixels"}:
        raise HTTPException(422, 'the body must be an object with the key "pixels" and no other')
    value = asked["pixels"]
    pixels = _of_base64(value, size) if isinstance(value, str) else _of_lists(value, size, body)
    if not len(pixels):
        raise HTTPException(422, "pixels: must hold at least one picture")
    if len(pixels) > most:
        raise HTTPException(413, f"pixels: {len(pixels)} pictures; at most {most} a request")
    return pixels


def _of_base64(text: str, size: int) -> NDArray[np.uint8]:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise HTTPException(422, f"pixels: no base64 ({error})") from None
    if len(content) % (size * size):
        raise HTTPException(422, f"pixels: {len(content)} bytes; must be a multiple of {size} * {size}")
    return np.frombuffer(content, np.uint8).reshape(-1, size, size)


def _of_lists(value: Any, size: int, body: bytes) -> NDArray[np.uint8]:
    wrong = HTTPException(422, f"pixels: must be lists of shape (n, {size}, {size}) of whole numbers from 0 to 255")
    # numpy takes true for 1 where there are numbers beside it. In this body nothing else is spelt like that.
    if not isinstance(value, list) or b"true" in body or b"false" in body:
        raise wrong
    if not value:
        return np.zeros((0, size, size), np.uint8)
    try:
        numbers = np.array(value)
    except (ValueError, OverflowError):  # of lists that are not of the same length, for one
        raise wrong from None
    if numbers.dtype.kind not in "iuf" or numbers.ndim != 3 or numbers.shape[1:] != (size, size):
        raise wrong
    if not (numbers.min() >= 0 and numbers.max() <= 255):  # also of NaN
        raise wrong
    pixels = numbers.astype(np.uint8)
    if numbers.dtype.kind == "f" and not (pixels == numbers).all():
        raise wrong
    return pixels


def encoded(names: list[str], probabilities: NDArray[np.float32]) -> bytes:
    """Return the answer to digits as JSON."""
    best = probabilities.argmax(axis=1).tolist()
    rows = np.round(probabilities.astype(np.float64), 6).tolist()
    found = [
        {"digit": names[index], "confidence": row[index], "probabilities": row}
        for index, row in zip(best, rows, strict=True)
    ]
    return as_json({"digits": found})


def as_json(value: Any) -> bytes:
    """Return plain values as JSON; a number that JSON does not have would be our fault."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
