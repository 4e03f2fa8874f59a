"""bodies.py: which JSON is taken for pictures, and the line for what is not."""

import base64
import json
from typing import Any

import numpy as np
import pytest
from starlette.exceptions import HTTPException

from inksweep.serve import bodies
from tests.serve.conftest import digits

ONE = digits(7)


def with_first(value: Any) -> list[Any]:
    """One picture whose first pixel is `value`."""
    changed = json.loads(json.dumps(ONE))
    changed[0][0][0] = value
    return changed


def refused(body: bytes | Any, most: int = 10) -> tuple[int, str]:
    with pytest.raises(HTTPException) as caught:
        bodies.digits(body if isinstance(body, bytes) else json.dumps(body).encode(), 28, most)
    assert "\n" not in caught.value.detail
    return caught.value.status_code, caught.value.detail


def test_lists_and_base64_are_the_same_pictures() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 28, 28)).astype(np.uint8)
    text = base64.b64encode(pixels.tobytes()).decode()
    for value in (pixels.tolist(), text):
        taken = bodies.digits(json.dumps({"pixels": value}).encode(), 28, 3)
        assert taken.dtype == np.uint8
        assert np.array_equal(taken, pixels)


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert bodies.digits(json.dumps({"pixels": with_first(12.0)}).encode(), 28, 1)[0, 0, 0] == 12


@pytest.mark.parametrize("body", [b"", b"x", b"{", b"\xff\xfe", b'{"pixels": NaN}', b"[" * 100_000])
def test_what_is_no_json_is_400(body: bytes) -> None:
    status, line = refused(body)
    assert status in (400, 422)
    assert line.startswith(("the body is no JSON", "pixels: must be", "the body must be an object"))


@pytest.mark.parametrize("body", [[], 1, None, {}, {"pixel": ONE}, {"pixels": ONE, "winner": "a"}])
def test_what_is_no_object_with_pixels_is_422(body: Any) -> None:
    assert refused(body) == (422, 'the body must be an object with the key "pixels" and no other')


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        {},
        ONE[0],  # one picture instead of a list of them
        [ONE],
        [[[]]],
        [[row[:27] for row in ONE[0]]],
        [[*ONE[0][:27], [0]]],  # a row that is shorter
        with_first(-1),
        with_first(256),
        with_first(0.5),
        with_first(True),
        with_first(None),
        with_first("7"),
        with_first([7]),
        with_first(10**30),
        with_first(1e308),
    ],
)
def test_what_is_no_list_of_pictures_is_422(value: Any) -> None:
    status, line = refused({"pixels": value})
    assert status == 422
    assert line == "pixels: must be lists of shape (n, 28, 28) of whole numbers from 0 to 255"


def test_other_ends_of_what_can_be_sent() -> None:
    assert refused({"pixels": []}) == (422, "pixels: must hold at least one picture")
    assert refused({"pixels": ""}) == (422, "pixels: must hold at least one picture")
    assert refused({"pixels": digits(1, 2, 3)}, most=2) == (413, "pixels: 3 pictures; at most 2 a request")
    assert refused({"pixels": "AAAA"})[1] == "pixels: 3 bytes; must be a multiple of 28 * 28"
    assert refused({"pixels": "not base64!"})[1].startswith("pixels: no base64")


def test_the_best_class_its_probability_and_all_of_them_are_answered() -> None:
    rows = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]], np.float32)
    answered = json.loads(bodies.encoded(["a", "b", "c"], rows))["digits"]
    assert answered[0] == {"digit": "b", "confidence": 0.7, "probabilities": [0.1, 0.7, 0.2]}
    assert [each["digit"] for each in answered] == ["b", "a"]
