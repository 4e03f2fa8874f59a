"""warped.py: other pictures of the same digits, the same bytes on every machine, framed as MNIST frames."""

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits
from inksweep.digits.data.warped import BOX, _coarse, _doubled, _framed, _means, warped
from tests.conftest import compose_config, tiny

Pictures = NDArray[np.uint8]
# Draws that change nothing: no turn, no slant, as wide as it was, no error of the frame.
STILL = np.array([0.5, 0.5, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5], np.float32).reshape(8, 1, 1, 1)


@pytest.fixture(scope="module")
def digits(prepared_root) -> Digits:
    return dataset.load(compose_config(tiny(prepared_root)).data).val


@pytest.fixture(scope="module")
def changed(digits: Digits) -> Pictures:
    return warped(digits.images.numpy())


def still(n: int) -> NDArray[np.float32]:
    return np.repeat(STILL, n, axis=1)


def bars(n: int = 1) -> Pictures:
    """A tall bar away from the middle: 16 x 4 pixels of 28."""
    pictures = np.zeros((n, 28, 28), np.uint8)
    pictures[:, 2:18, 5:9] = 255
    return pictures


def test_the_pictures_are_the_same_bytes_whoever_makes_them(changed: Pictures) -> None:
    # Of another numpy or processor, too: were these others, accuracies could not be compared.
    assert hashlib.sha256(changed.tobytes()).hexdigest()[:16] == "3815337028d3a581"


def test_a_picture_is_the_same_however_many_come_after_it(digits: Digits, changed: Pictures) -> None:
    many = np.concatenate([digits.images.numpy(), digits.images.numpy()])
    again = warped(many)
    assert np.array_equal(again[: len(changed)], changed)
    assert not np.array_equal(again[len(changed) :], changed)  # the same digit is drawn in another way


def test_they_are_pictures_of_the_same_kind_and_none_is_empty(digits: Digits, changed: Pictures) -> None:
    assert changed.shape == tuple(digits.images.shape)
    assert changed.dtype == np.uint8
    assert (changed.reshape(len(changed), -1).max(axis=1) > 80).all()
    # Background stays background: half of all pixels are nearly 0.
    assert np.median(changed) <= 12


def test_the_given_pictures_are_left_alone_and_none_make_none(digits: Digits) -> None:
    before = digits.images.clone()
    warped(digits.images.numpy())
    assert np.array_equal(digits.images.numpy(), before.numpy())
    assert warped(np.zeros((0, 28, 28), np.uint8)).shape == (0, 28, 28)


def test_labels_stay_beside_their_pictures(digits: Digits, changed: Pictures) -> None:
    made = dataset.warped_digits(digits)
    assert made.labels is digits.labels
    assert np.array_equal(made.images.numpy(), changed)


def test_a_frame_without_errors_is_that_of_mnist() -> None:
    (framed,) = _framed(bars(), still(1), 28)
    rows, columns = np.arange(28) + 0.5, np.arange(28) + 0.5
    mass = framed.sum()
    assert framed.sum(axis=1) @ rows / mass == pytest.approx(14, abs=0.05)
    assert framed.sum(axis=0) @ columns / mass == pytest.approx(14, abs=0.05)
    # The longer side of the box is 20 of 28; the other keeps its proportion, 4 of 16.
    assert framed[:, 14].sum() == pytest.approx(28 * BOX, abs=0.6)
    assert framed[14].sum() == pytest.approx(28 * BOX / 4, abs=0.6)


@pytest.mark.parametrize(("number", "value", "least"), [(0, 0.0, 0.15), (0, 1.0, 0.15), (1, 1.0, 0.15), (4, 1.0, 0.05)])
def test_a_turn_a_slant_and_an_error_of_size_change_the_frame(number: int, value: float, least: float) -> None:
    draw = still(1)
    draw[number] = value
    plain, other = _framed(bars(), still(1), 28), _framed(bars(), draw, 28)
    assert np.abs(plain - other).sum() > least * plain.sum()


def test_a_turn_is_of_fifteen_degrees_at_most() -> None:
    draw = still(1)
    draw[0] = 1.0
    (framed,) = _framed(bars(), draw, 28)
    rows, columns = np.mgrid[0:28, 0:28] - 13.5
    # The direction of the bar, by its moments.
    angle = 0.5 * np.arctan2(2 * (framed * rows * columns).sum(), (framed * (rows**2 - columns**2)).sum())
    assert abs(np.degrees(angle)) == pytest.approx(15, abs=0.5)


def test_doubling_and_taking_means_lead_back_to_a_blurred_picture_of_the_same_ink() -> None:
    pictures = bars().astype(np.float32) / 255
    large = _doubled(pictures)
    assert large.shape == (1, 56, 56)
    assert _means(large, 2).sum() == pytest.approx(pictures.sum(), rel=1e-5)
    assert np.abs(_means(large, 2) - pictures).max() < 0.5


def test_a_coarse_picture_has_few_pixels() -> None:
    large = _doubled(bars().astype(np.float32) / 255)
    # As blocks of 2 x 2 pixels: number 1 of those sides, not smoothed.
    draw = np.array([1.5 / 9, 0.9], np.float32).reshape(2, 1, 1, 1)
    (seen,) = _coarse(large, draw)
    assert np.array_equal(seen[::2], seen[1::2])
    assert np.array_equal(seen[:, ::2], seen[:, 1::2])
    fine = np.array([0.9, 0.9], np.float32).reshape(2, 1, 1, 1)
    assert np.array_equal(_coarse(large, fine), _means(large, 2))
