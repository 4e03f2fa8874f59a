"""doubt.py: what is a digit is believed, what is none is not."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from inksweep.reading import doubt
from inksweep.reading.ink import frame
from tests.conftest import DIGITS

CLASSES = list("0123456789")


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """MNIST test digits, (150, 28, 28)."""
    raw = (DIGITS / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()
    return np.frombuffer(raw, np.uint8)[16:].reshape(-1, 28, 28)


def sure(count: int, probability: float = 1.0, classes: int = 10) -> NDArray[np.float32]:
    """Return answers that are as sure as `probability` of the first class."""
    rest = (1 - probability) / (classes - 1)
    return np.tile(np.array([probability] + [rest] * (classes - 1), np.float32), (count, 1))


def test_digits_are_believed_as_far_as_the_classifier_is_sure(digits: NDArray[np.uint8]) -> None:
    found = doubt.confidences(digits, sure(len(digits)), CLASSES)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert (found >= doubt.MIN_CONFIDENCE).mean() > 0.98
    assert np.median(found) > 0.99
    np.testing.assert_allclose(doubt.confidences(digits, sure(len(digits), 0.4), CLASSES), 0.4 * found, rtol=1e-5)


def test_what_is_no_digit_is_not_believed() -> None:
    none = [np.full((28, 28), 255, np.uint8)]
    for letter in "AEFHKMNRWX":
        sheet = Image.new("L", (60, 60))
        ImageDraw.Draw(sheet).text((30, 30), letter, 255, ImageFont.load_default(40), anchor="mm")
        ink = np.asarray(sheet, np.float32) / 255
        none.append(frame(ink, ink > 0.5))
    found = doubt.confidences(np.stack(none), sure(len(none)), CLASSES)
    assert (found < doubt.MIN_CONFIDENCE).mean() > 0.8


def test_of_other_classes_and_sizes_only_the_classifier_is_asked() -> None:
    full = np.full((2, 28, 28), 255, np.uint8)
    letters = [chr(ord("a") + number) for number in range(10)]
    np.testing.assert_array_equal(doubt.confidences(full, sure(2, 0.9), letters), np.float32(0.9))
    np.testing.assert_array_equal(doubt.confidences(full[:, :20, :20], sure(2, 0.9), CLASSES), np.float32(0.9))


def test_no_piece_is_no_confidence() -> None:
    assert doubt.confidences(np.zeros((0, 28, 28), np.uint8), sure(0), CLASSES).shape == (0,)


def test_the_convolution_is_that_of_torch() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(3, 28, 28, 2)).astype(np.float32)
    kernel = rng.normal(size=(5, 2, 3, 3)).astype(np.float32)
    theirs = torch.nn.functional.conv2d(
        torch.tensor(values).permute(0, 3, 1, 2), torch.tensor(kernel), stride=2, padding=1
    )
    np.testing.assert_allclose(doubt._halved(values, kernel), theirs.permute(0, 2, 3, 1).numpy(), atol=1e-4)
