"""What the OpenAPI description says of requests and answers. Nothing is checked by these: bodies.py does that."""

import math
from typing import Any

from pydantic import BaseModel, Field

from inksweep.serve.bodies import FIELD


class Error(BaseModel):
    """Why a request is refused."""

    error: str = Field(description="One line.")


class Winner(BaseModel):
    """A winner that is served."""

    name: str
    classes: list[str] = Field(description="Their names, in the order of probabilities.")
    size: int = Field(description="Height and width, in pixels, of what the classifier sees.")


class Winners(BaseModel):
    """All that are served."""

    winners: list[Winner] = Field(description="The first is the default.")


class Guess(BaseModel):
    """A class with its probability."""

    digit: str
    confidence: float


class ReadDigit(BaseModel):
    """One digit in a picture."""

    digit: str = Field(description="`?`: no digit, or too unsure.")
    confidence: float
    box: list[int] = Field(description="x, y, width, height in pixels of the picture, upright.")
    others: list[Guess] = Field(description="The next best classes, the best first.")
    pixels: list[list[int]] | None = Field(default=None, description="Only with `pixels=true`: what the network saw.")


class ReadPicture(BaseModel):
    """What was read from a picture."""

    picture: str = Field(description="The name of its file, if it came with one.")
    text: str
    confidence: float = Field(description="That the whole text is right.")
    lines: list[str] = Field(description="The text, line by line.")
    digits: list[ReadDigit] = Field(description="Lines from top to bottom, digits from left to right.")
    note: str | None = Field(default=None, description="Why there is no text.")


class ClassifiedDigit(BaseModel):
    """What one array of pixels shows."""

    digit: str
    confidence: float
    probabilities: list[float] = Field(description="Of all classes, in the order of the winner's `classes`.")


class Classified(BaseModel):
    """What the arrays of a request show, in their order."""

    digits: list[ClassifiedDigit]


class State(BaseModel):
    """How the server is."""

    status: str


REASONS = {
    400: "The request cannot be taken apart.",
    401: "No API key, or a wrong one.",
    403: "A foreign Host or Origin.",
    404: "No such winner.",
    408: "The request did not arrive in time.",
    413: "Too many bytes, pixels or digits.",
    415: "A compressed body (Content-Encoding).",
    422: "A value cannot be used, or the picture cannot be read.",
    503: "Too much to do, or it took too long; see `Retry-After`.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the description of answers with these statuses."""
    return {status: {"model": Error, "description": REASONS[status]} for status in statuses}


def picture_body() -> dict[str, Any]:
    """Return the description of a body with a picture."""
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "required": [FIELD], "properties": {FIELD: binary}}
    about = "PNG, JPEG, BMP, WebP, TIFF or GIF: the body itself, or a form's field."
    content = {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": binary}}
    return {"requestBody": {"required": True, "description": about, "content": content}}


def digits_body(size: int, most: int) -> dict[str, Any]:
    """Return the description of a body with arrays of pixels."""
    pixel = {"type": "integer", "minimum": 0, "maximum": 255}
    row = {"type": "array", "minItems": size, "maxItems": size, "items": pixel}
    picture = {"type": "array", "minItems": size, "maxItems": size, "items": row}
    lists = {"type": "array", "minItems": 1, "maxItems": most, "items": picture}
    text = {
        "type": "string",
        "contentEncoding": "base64",
        "minLength": 4 * math.ceil(size * size / 3),
        "pattern": "^[A-Za-z0-9+/]+={0,2}$",
        "description": f"n * {size} * {size} bytes, a pixel each.",
    }
    schema = {
        "type": "object",
        "required": ["pixels"],
        "additionalProperties": False,
        "properties": {"pixels": {"oneOf": [lists, text]}},
    }
    about = "White ink on black: 0 is the ground, 255 full ink."
    return {
        "requestBody": {"required": True, "description": about, "content": {"application/json": {"schema": schema}}}
    }
