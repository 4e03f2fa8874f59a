"""reader.py: what a reading says, with a classifier that knows rings from bars."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from inksweep.errors import InputError
from inksweep.reading import cut, doubt
from inksweep.reading.reader import Reader, Reading

PAPER, PEN = 235, 30


def answer(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Say 0 of what is empty in the middle, 1 of the rest; 8 is next best."""
    middle = pixels.shape[1] // 2
    empty = pixels[:, middle - 1 : middle + 1, middle - 1 : middle + 1].max(axis=(1, 2)) < 60
    probabilities = np.zeros((len(pixels), 10), np.float32)
    probabilities[np.arange(len(pixels)), np.where(empty, 0, 1)] = 0.96
    probabilities[:, 8] = 0.04
    return probabilities


def drawn(*lines: str, scale: int = 1) -> Image.Image:
    """Return a page with rings for 0 and bars for 1, 60 pixels apart."""
    page = Image.new("L", (60 * max(map(len, lines)) + 40, 110 * len(lines) + 10), PAPER)
    pen = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        for column, digit in enumerate(line):
            x, y = 30 + 60 * column, 20 + 110 * row
            if digit == "0":
                pen.ellipse((x, y, x + 44, y + 70), outline=PEN, width=7)
            elif digit == "1":
                pen.rectangle((x + 16, y, x + 23, y + 70), fill=PEN)
    return page.resize((page.width * scale, page.height * scale), Image.Resampling.NEAREST)


def read(page: Image.Image, classes: Sequence[str] = "0123456789", **asked: Any) -> Reading:
    return Reader(answer, list(classes)).read(np.asarray(page), **asked)


def test_lines_of_digits_become_text_boxes_and_confidence() -> None:
    reading = read(drawn("101", "0"), name="page.png")
    assert (reading.text, reading.texts, reading.note) == ("101\n0", ["101", "0"], None)
    said = json.loads(json.dumps(reading.as_json()))
    assert list(said) == ["picture", "text", "confidence", "lines", "digits"]
    assert (said["picture"], said["text"], said["lines"]) == ("page.png", "101\n0", ["101", "0"])
    assert [digit["digit"] for digit in said["digits"]] == ["1", "0", "1", "0"]
    assert list(said["digits"][0]) == ["digit", "confidence", "box", "others"]
    assert said["digits"][0]["others"][0] == {"digit": "8", "confidence": 0.04}
    # The box of the ring in the first line.
    np.testing.assert_allclose(said["digits"][1]["box"], [90, 20, 45, 71], atol=3)
    # The whole is right if each is.
    assert said["confidence"] == pytest.approx(np.prod([digit.confidence for digit in reading.digits]), abs=1e-3)


def test_a_large_picture_has_its_boxes_in_its_own_pixels() -> None:
    large = drawn("01", scale=20)  # 3,200 pixels wide: worked on at a smaller size
    (ring, bar) = read(large).digits
    np.testing.assert_allclose(ring.box, [600, 400, 900, 1420], atol=30)
    np.testing.assert_allclose(bar.box, [2120, 400, 160, 1420], atol=30)
    assert all(type(number) is int for number in ring.box)


def test_no_ink_is_said() -> None:
    said = read(drawn("   ")).as_json()
    assert said == {"picture": "picture", "text": "", "confidence": 0.0, "lines": [], "digits": [], "note": "no ink"}


def test_ink_without_a_digit_is_not_called_no_ink(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cut, "read_lines", lambda ink, answer, size: [])
    assert read(drawn("1")).as_json()["note"] == "no digit"


def test_what_is_too_unsure_is_a_question_mark_with_all_it_may_be() -> None:
    reading = read(drawn("10"), min_confidence=1.0, top=2)
    assert (reading.text, reading.note) == ("??", None)
    first = reading.as_json()["digits"][0]
    assert first["digit"] == "?"
    assert [other["digit"] for other in first["others"]] == ["1", "8"]
    assert read(drawn("10"), min_confidence=0.0).text == "10"
    assert read(drawn("10")).text == "10"
    assert 0 < doubt.MIN_CONFIDENCE < 0.96


@pytest.mark.parametrize(("top", "others"), [(1, []), (2, ["8"]), (3, ["8", "0"]), (99, list("802345679"))])
def test_top_is_how_many_classes_are_named(top: int, others: list[str]) -> None:
    (digit,) = read(drawn("1"), top=top).digits
    assert [name for name, _ in digit.others] == others


def test_pixels_are_given_when_they_are_wanted() -> None:
    reading = read(drawn("1"))
    (digit,) = reading.as_json(pixels=True)["digits"]
    np.testing.assert_array_equal(digit["pixels"], reading.digits[0].pixels)
    assert reading.digits[0].pixels.shape == (28, 28)
    assert "pixels" not in reading.as_json()["digits"][0]


def test_names_longer_than_a_letter_are_kept_apart() -> None:
    assert read(drawn("101"), classes=["bag", "coat", *"23456789"]).text == "coat bag coat"
    assert read(drawn("101"), classes=["a", "b", *"23456789"]).text == "bab"


def test_the_size_of_the_frames_is_that_of_the_classifier() -> None:
    reading = Reader(answer, list("0123456789"), size=20).read(np.asarray(drawn("10")))
    assert reading.text == "10"
    assert reading.digits[0].pixels.shape == (20, 20)


def test_a_picture_is_a_path_bytes_or_pixels(tmp_path: Path) -> None:
    page, reader = drawn("10"), Reader(answer, list("0123456789"))
    page.save(tmp_path / "page.png")
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    grey = np.asarray(page)
    readings = [
        reader.read(tmp_path / "page.png"),
        reader.read(str(tmp_path / "page.png")),
        reader.read(buffer.getvalue()),
        reader.read(grey),
        reader.read(grey / 255),
        reader.read(np.stack([grey] * 3, axis=2)),
        reader.read(grey > 128),
        reader.read(torch.tensor(grey)),
        reader.read(bytearray(buffer.getvalue())),
        reader.read(page),
        reader.read(page.convert("P")),
        reader.read(page.convert("CMYK")),
        reader.read(page.convert("F")),
    ]
    assert {reading.text for reading in readings} == {"10"}
    assert [reading.name for reading in readings[:4]] == [str(tmp_path / "page.png")] * 2 + ["picture"] * 2


@pytest.mark.parametrize(
    ("pixels", "line"),
    [
        (np.zeros((2, 3, 2), np.uint8), r"pixels of shape \(2, 3, 2\): must be \(h, w\), or \(h, w, 3 or 4\)"),
        (np.zeros(5, np.uint8), r"pixels of shape \(5,\)"),
        (np.zeros((0, 5), np.uint8), r"pixels of shape \(0, 5\)"),
        (np.full((4, 4), 255.0), r"pixels of type float64 must be from 0 to 1; as uint8 from 0 to 255"),
        (np.full((4, 4), np.nan), r"pixels of type float64 must be from 0 to 1"),
        (np.zeros((4, 4), np.int64), r"pixels of type int64: must be uint8, or float from 0 to 1"),
    ],
)
def test_pixels_that_are_none_are_one_line(pixels: NDArray[Any], line: str) -> None:
    with pytest.raises(InputError, match=f"^page: {line}"):
        Reader(answer, list("0123456789")).read(pixels, name="page")


def test_an_image_of_pillow_is_read_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side
    drawn("10").rotate(90, expand=True).save(tmp_path / "page.jpg", exif=exif)
    reader = Reader(answer, list("0123456789"))
    assert reader.read(Image.open(tmp_path / "page.jpg")).text == reader.read(tmp_path / "page.jpg").text == "10"


@pytest.mark.parametrize("source", [None, 3, [1, 2], {"a": 1}])
def test_what_is_no_source_is_one_line(source: object) -> None:
    with pytest.raises(InputError, match=f"^page: a {type(source).__name__} is no picture; give a path"):
        Reader(answer, list("0123456789")).read(source, name="page")


@pytest.mark.parametrize(("asked", "line"), [({"top": 0}, "top=0"), ({"min_confidence": 1.5}, "min_confidence=1.5")])
def test_a_value_that_cannot_be_used_is_one_line(asked: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=line):
        read(drawn("1"), **asked)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.png"):
        Reader(answer, list("0123456789")).read(tmp_path / "notes.png")
