"""shown.py: what `inksweep data` measures and draws."""

import numpy as np
import torch
from torch import Generator, Tensor

from inksweep.digits import shown

IMAGES = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NAMES = ["3", "1", "4", "1"]


def brighter(pictures: Tensor, generator: Generator) -> Tensor:
    return (pictures + torch.rand(1, generator=generator)).clamp(max=1)


def test_one_of_each_takes_the_classes_in_turn() -> None:
    labels = torch.tensor([1, 1, 0, 2, 0, 1, 0])
    # Class 2 has one digit only: the second turn goes without it.
    assert shown.one_of_each(labels, classes=3, rounds=2).tolist() == [2, 0, 3, 4, 1]


def test_undoing_the_normalisation_gives_the_stored_digits() -> None:
    stored, seen = shown.panels(IMAGES, NAMES, 0.13, 0.31, augment=None)
    np.testing.assert_allclose(seen.pictures, stored.pictures, atol=1e-6)
    np.testing.assert_allclose(stored.pictures, IMAGES.numpy() / 255, atol=1e-6)
    assert stored.captions == seen.captions == NAMES


def test_the_range_the_network_sees_is_in_the_title() -> None:
    _, seen = shown.panels(torch.tensor([[[0, 255]]], dtype=torch.uint8), ["3"], 0.5, 0.25, augment=None)
    assert "-2.00 to 2.00" in seen.title


def test_augmented_digits_are_a_panel_of_their_own_and_the_same_each_time() -> None:
    *_, augmented = shown.panels(IMAGES, NAMES, 0.13, 0.31, brighter)
    *_, again = shown.panels(IMAGES, NAMES, 0.13, 0.31, brighter)
    assert augmented.pictures.shape == (4, 28, 28)
    assert (augmented.pictures >= IMAGES.numpy() / 255 - 1e-6).all()
    assert np.array_equal(augmented.pictures, again.pictures)
