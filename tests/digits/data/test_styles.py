"""styles.py: some ones have a flag, some sevens a bar; all else stays as it was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inksweep.digits.data import dataset
from inksweep.digits.data.styles import styled
from tests.conftest import compose_config, tiny

Pictures = NDArray[np.uint8]
CLASSES = [str(digit) for digit in range(10)]


def one() -> Pictures:
    """An upright stroke, 20 pixels tall and 2 wide, in the middle."""
    picture = np.zeros((28, 28), np.uint8)
    picture[4:24, 13:15] = 255
    return picture


def seven() -> Pictures:
    picture = np.zeros((28, 28), np.uint8)
    picture[4:6, 8:20] = 255
    for row in range(6, 24):
        left = 18 - (row - 6) // 4
        picture[row, left : left + 2] = 255
    return picture


def many(picture: Pictures, label: int, n: int = 200) -> tuple[Pictures, NDArray[np.int64]]:
    return np.repeat(picture[None], n, axis=0), np.full(n, label, np.int64)


def middle(picture: Pictures) -> tuple[float, float]:
    y, x = np.mgrid[:28, :28]
    return float((picture * y).sum() / picture.sum()), float((picture * x).sum() / picture.sum())


def test_a_one_gets_a_flag_to_the_left_of_its_top_and_keeps_its_stroke() -> None:
    images, labels = many(one(), 1)
    made = styled(images, labels, CLASSES, 1.0).astype(int)
    for picture in made:
        stroke = np.flatnonzero((picture > 200).sum(axis=0) >= 19)
        assert len(stroke) >= 2  # the old stroke, wherever the digit was moved to
        left, right = picture[:14, : stroke[0]], picture[:14, stroke[-1] + 1 :]
        assert (left > 127).sum() >= 3
        assert (right > 127).sum() <= 4  # the round end of the flag
    feet = [(picture[-9:] > 127).sum() - (images[0][-9:] > 127).sum() > 4 for picture in made]
    assert 0.15 < np.mean(feet) < 0.5


def test_a_seven_gets_a_bar_across_its_stem() -> None:
    images, labels = many(seven(), 7)
    made = styled(images, labels, CLASSES, 1.0)
    for picture in made:
        widths = (picture > 127).sum(axis=1)
        rows = np.flatnonzero(picture.any(axis=1))
        lower = widths[rows[0] + 5 : rows[-1] - 3]
        assert 4 <= lower.max() <= 16
        assert lower.min() <= 3  # a bar, and no block


@pytest.mark.parametrize(("picture", "label"), [(one(), 1), (seven(), 7)])
def test_the_mass_stays_in_the_middle(picture: Pictures, label: int) -> None:
    images, labels = many(picture, label, 50)
    for made in styled(images, labels, CLASSES, 1.0):
        assert np.abs(np.subtract(middle(made), 13.5)).max() <= 0.75


def test_a_share_of_ones_and_sevens_is_changed_and_nothing_else() -> None:
    images = np.concatenate([many(one(), 1)[0], many(seven(), 7)[0]])
    labels = np.concatenate([np.arange(200) % 10, np.arange(200) % 10])
    before = images.copy()
    made = styled(images, labels, CLASSES, 0.5)
    assert np.array_equal(images, before)
    changed = (made != images).any(axis=(1, 2))
    assert set(labels[changed]) == {1, 7}
    assert 0.25 < changed[np.isin(labels, [1, 7])].mean() < 0.75
    assert np.array_equal(made, styled(images, labels, CLASSES, 0.5))
    assert not (styled(images, labels, CLASSES, 0.0) != images).any()


def test_odd_pictures_are_drawn_on_without_a_fault() -> None:
    images = np.zeros((4, 28, 28), np.uint8)
    images[1, 14, 14] = 255  # a dot
    images[2, 14, 2:26] = 255  # a stroke that lies
    images[3] = 255
    for label in (1, 7):
        made = styled(images, np.full(4, label), CLASSES, 1.0)
        assert made.shape == images.shape
        assert made.dtype == np.uint8


def test_only_training_pictures_are_changed(prepared_root) -> None:
    plain = dataset.load(compose_config(tiny(prepared_root)).data)
    some = dataset.load(compose_config([*tiny(prepared_root), "data.styles=1"]).data)
    changed = (some.train.images != plain.train.images).flatten(1).any(dim=1)
    assert set(plain.train.labels[changed].tolist()) == {1, 7}
    assert (some.val.images == plain.val.images).all()
    assert (some.test.images == plain.test.images).all()
