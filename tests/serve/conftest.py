"""A server with a classifier that a test can foresee: the first pixel of a picture is its class."""

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from inksweep.reading.reader import Reader
from inksweep.serve.access import Access
from inksweep.serve.house import House
from inksweep.serve.limits import Limits

NAMES = list("0123456789")
AT = "http://127.0.0.1:8000"

MakeClient = Callable[..., TestClient]


def first_pixel(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return probabilities of 0.91 for the class that the first pixel of each picture names, 0.01 for the others."""
    rows = np.full((len(pixels), len(NAMES)), 0.01, np.float32)
    rows[np.arange(len(pixels)), pixels[:, 0, 0] % len(NAMES)] = 0.91
    return rows


def digits(*classes: int) -> list[list[list[int]]]:
    """Return pictures that `first_pixel` takes for these classes, as plain lists."""
    pixels = np.zeros((len(classes), 28, 28), np.uint8)
    pixels[:, 0, 0] = classes
    return pixels.tolist()


def drawing(kind: str = "PNG", size: tuple[int, int] = (120, 120)) -> bytes:
    """Return a picture of one upright stroke, black on white."""
    grey = np.full(size[::-1], 255, np.uint8)
    grey[size[1] // 6 : -size[1] // 6, size[0] // 2 - 6 : size[0] // 2 + 6] = 0
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """`make_client(access, limits, answer, names)` serves winners and returns a client of the server."""
    houses = []

    def make(
        access: Access | None = None,
        limits: Limits | None = None,
        answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = first_pixel,
        names: tuple[str, ...] = ("night",),
    ) -> TestClient:
        readers = {name: Reader(answer, NAMES, 28) for name in names}
        houses.append(House(readers, access or Access(), limits or Limits()))
        return TestClient(houses[-1].app, base_url=AT, raise_server_exceptions=False)

    yield make
    for house in houses:
        house.end()


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    """A client of a server with the default limits."""
    return make_client()
