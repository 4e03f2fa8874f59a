"""Requests that nobody means well: pictures that are damaged, huge or none."""

import io
import struct
import zlib
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFile
from starlette.testclient import TestClient

from tests.serve.conftest import drawing

KINDS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF")


def png(width: int, height: int, rows: bytes = b"") -> bytes:
    """Return a PNG that says that it is of this size; its rows may be fewer."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def animated() -> bytes:
    frames = [Image.fromarray(np.full((60, 60), shade, np.uint8)) for shade in (255, 0, 128)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(
    "body, statuses",
    [
        (png(20_000, 20_000), {413}),
        (png(2**31 - 1, 2**31 - 1), {413, 422}),
        (png(7_000, 7_000), {413, 422}),  # within the limit of pixels, and cut short
        (png(0, 0), {422}),
        (animated(), {200}),  # its first frame counts
        (b"GIF89a" + b"\xff" * 1000, {413, 422}),
        (b"\x00" * 10_000, {422}),
        (b"%PDF-1.7", {422}),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'></svg>", {422}),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", {422}),
        (b"P6 99999 99999 255\n", {413, 422}),
    ],
)
def test_hostile_pictures_are_refused(client: TestClient, body: bytes, statuses: set[int]) -> None:
    answer = client.post("/v1/read", content=body)
    assert answer.status_code in statuses, answer.text
    assert "\n" not in answer.text


def test_a_bomb_is_refused_before_anything_of_it_is_unpacked(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = png(8_000, 8_000, b"\x00" * (8_001 * 8_000))  # 64 million pixels in 62 kB
    assert len(bomb) < 100_000

    def unpack(*_: object) -> None:
        raise AssertionError("unpacked")

    monkeypatch.setattr(ImageFile.ImageFile, "load", unpack)
    answer = client.post("/v1/read", content=bomb)
    assert (answer.status_code, answer.json()["error"]) == (
        413,
        "picture: more than 50 million pixels; make it smaller",
    )


def mutated(seed: int, count: int) -> Iterator[bytes]:
    """Yield pictures of all kinds in which bytes are changed, cut out, doubled or missing at the end."""
    random = Random(seed)
    whole = [drawing(kind) for kind in KINDS]
    for number in range(count):
        content = bytearray(whole[number % len(whole)])
        for _ in range(random.randint(1, 8)):
            at = random.randrange(len(content))
            end = min(len(content), at + random.randint(1, 40))
            change = random.randrange(5)
            if change == 0:
                content[at] = random.randrange(256)
            elif change == 1 and len(content) > 100:
                del content[at:end]
            elif change == 2:
                content[at:at] = content[at:end]
            elif change == 3:
                content[at:end] = random.randbytes(end - at)
            elif len(content) > 100:
                del content[max(50, at) :]
        yield bytes(content)


def test_mutated_pictures_are_read_or_refused_in_a_line(client: TestClient) -> None:
    for content in mutated(seed=7, count=120):
        answer = client.post("/v1/read", content=content)
        assert answer.status_code in (200, 413, 422), (answer.status_code, answer.text, content.hex())
        assert answer.status_code == 200 or list(answer.json()) == ["error"]
