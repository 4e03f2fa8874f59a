from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor

from inksweep.digits.augment import Affine, Elastic, Erasing, Handwriting, Identity, Stroke

STILL = {"degrees": 0, "shear_degrees": 0, "shift_pixels": 0, "scale": 0}
ALL = {
    "elastic_pixels": 1.0,
    "elastic_cells": 6,
    "stroke_amount": 0.5,
    "erasing_probability": 0.5,
    "erasing_size": 0.4,
}
NOTHING = ALL | {"elastic_pixels": 0, "stroke_amount": 0, "erasing_probability": 0}

Augment = Callable[[Tensor, Generator], Tensor]
STRONG = [
    Affine(15, 5, 2, 0.1),
    Elastic(1.0, 6),
    Stroke(1.0),
    Erasing(0.5, 0.4),
    Handwriting(degrees=15, shear_degrees=5, shift_pixels=2, scale=0.1, **ALL),
]
IDLE = [
    Affine(**STILL),
    Elastic(0.0, 6),
    Stroke(0.0),
    Erasing(0.0, 0.4),
    Handwriting(**STILL, **NOTHING),
]


def name(augment: Augment) -> str:
    return type(augment).__name__


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def picture() -> Tensor:
    """One bright pixel right of and above the centre, (1, 1, 9, 9)."""
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 2, 6] = 1.0
    return image


def test_identity_gives_back_the_same_tensor() -> None:
    images = torch.rand(3, 1, 8, 8)
    assert Identity()(images, generator()) is images


def digits(n: int = 16) -> Tensor:
    """Rings of ink, (n, 1, 28, 28): a stroke of some pixels, background around it."""
    rows, columns = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    ring = (1.5 - ((rows**2 + columns**2).sqrt() - 7).abs()).clamp(0, 1)
    return ring.repeat(n, 1, 1, 1)


@pytest.mark.parametrize("augment", IDLE, ids=name)
def test_nothing_to_change_changes_nothing(augment: Augment) -> None:
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(augment(images, generator()), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("augment", STRONG, ids=name)
def test_the_same_generator_state_gives_the_same_pictures_and_another_gives_others(augment: Augment) -> None:
    images = digits()
    assert torch.equal(augment(images, generator(3)), augment(images, generator(3)))
    assert not torch.equal(augment(images, generator(3)), augment(images, generator(4)))


@pytest.mark.parametrize("augment", STRONG, ids=name)
def test_the_global_random_numbers_and_the_given_pictures_are_left_alone(augment: Augment) -> None:
    before, images = torch.get_rng_state(), digits()
    augment(images, generator())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, digits())


@pytest.mark.parametrize("augment", STRONG, ids=name)
def test_pictures_stay_pictures(augment: Augment) -> None:
    changed = augment(torch.rand(64, 1, 28, 20, generator=generator()), generator(1))
    assert changed.shape == (64, 1, 28, 20)
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-5


@pytest.mark.parametrize("augment", [a for a in STRONG if not isinstance(a, Erasing)], ids=name)
def test_every_picture_of_a_batch_is_changed_in_its_own_way(augment: Augment) -> None:
    changed = augment(digits(8), generator())
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 8


def centre(image: Tensor) -> Tensor:
    """Centre of mass of a picture (h, w) as (row, column)."""
    rows, columns = torch.arange(image.shape[0]).float(), torch.arange(image.shape[1]).float()
    return torch.stack([image.sum(1) @ rows, image.sum(0) @ columns]) / image.sum()


def test_shifts_stay_within_the_limit_and_use_it() -> None:
    block = torch.zeros(200, 1, 28, 28)
    block[:, :, 12:16, 12:16] = 1.0
    moved = Affine(**STILL | {"shift_pixels": 3})(block, generator())
    offsets = torch.stack([centre(image[0]) for image in moved]) - centre(block[0, 0])
    assert offsets.abs().max() <= 3.01
    assert offsets.abs().max() > 2.7


def test_a_turn_keeps_the_distance_from_the_centre() -> None:
    spot = torch.zeros(200, 1, 29, 29)
    spot[:, :, 3:6, 13:16] = 1.0  # 10 pixels above the centre
    turned = Affine(**STILL | {"degrees": 30})(spot, generator())
    offsets = torch.stack([centre(image[0]) for image in turned]) - 14
    angles = torch.atan2(offsets[:, 1], -offsets[:, 0]).rad2deg()
    assert (offsets.norm(dim=1) - 10).abs().max() < 0.3
    assert 25 < angles.abs().max() <= 31


def test_what_comes_in_from_outside_is_background() -> None:
    full = torch.ones(50, 1, 28, 28)
    moved = Affine(**STILL | {"shift_pixels": 4})(full, generator())
    assert moved.min() == 0
    assert moved.max() <= 1 + 1e-5


def test_bending_moves_pixels_by_as_much_as_it_says_and_neighbours_alike() -> None:
    moved = Elastic(1.0, 6).displacements(torch.zeros(2000, 1, 28, 28), generator()) * 14  # in pixels
    assert moved.shape == (2000, 28, 28, 2)
    # At a grid point what was drawn, here in the corner.
    assert moved[:, 0, 0].std().item() == pytest.approx(1.0, rel=0.05)
    assert moved.mean().abs() < 0.05
    neighbours = (moved[:, :, 1:] - moved[:, :, :-1]).square().mean().sqrt()
    assert neighbours < 0.4


def test_bending_is_bicubic_interpolation_of_the_grid() -> None:
    drawn = torch.randn(3, 2, 5, 5, generator=generator(7))
    expected = torch.nn.functional.interpolate(drawn, size=(28, 28), mode="bicubic", align_corners=True)
    moved = Elastic(2.0, 5).displacements(torch.zeros(3, 1, 28, 28), generator(7))
    torch.testing.assert_close(moved, (expected * 2.0 * 2 / 28).permute(0, 2, 3, 1), atol=1e-5, rtol=0)


def test_a_pen_makes_thicker_and_thinner_by_at_most_a_pixel_on_each_side() -> None:
    bar = torch.zeros(400, 1, 15, 15)
    bar[:, :, :, 6:9] = 1.0
    ink = Stroke(1.0)(bar, generator()).mean(dim=2).sum(dim=2).flatten()  # width of the bar
    assert ink.min() >= 1
    assert ink.max() <= 5
    assert ink.min() < 1.1
    assert ink.max() > 4.9
    assert ink.mean().item() == pytest.approx(3, abs=0.2)
    half = Stroke(0.5)(bar, generator()).mean(dim=2).sum(dim=2)
    assert 1.9 < half.min() < 2.1
    assert 3.9 < half.max() < 4.1


def test_a_rectangle_is_erased_in_as_many_pictures_as_asked_for() -> None:
    erased = Erasing(0.25, 0.5)(torch.ones(4000, 1, 20, 20), generator()).squeeze(1) == 0
    hit = erased.flatten(1).any(dim=1)
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.03)
    high, wide = erased.any(dim=2).sum(dim=1), erased.any(dim=1).sum(dim=1)
    assert torch.equal(high * wide, erased.sum(dim=(1, 2)))  # it is a rectangle
    assert high.max() == wide.max() == 10
    # The border included.
    assert erased.any(dim=0)[[0, -1]].any(dim=1).all()
    assert erased.any(dim=0)[:, [0, -1]].any(dim=0).all()


def test_handwriting_is_its_parts_one_after_the_other() -> None:
    images, once = digits(), generator(5)
    places = Affine(15, 5, 2, 0.1).places(images, once) + Elastic(1.0, 6).displacements(images, once)
    bent = torch.nn.functional.grid_sample(images, places, padding_mode="zeros", align_corners=False)
    expected = Erasing(0.5, 0.4)(Stroke(0.5)(bent, once), once)
    assert torch.equal(STRONG[-1](images, generator(5)), expected)
