"""augment_ink.py: what each part does to a picture, how much of it, and that all of it is drawn from the generator."""

from collections.abc import Callable

import pytest
import torch
from torch import Generator, Tensor
from torch.nn import functional

from inksweep.digits.augment import Affine, Elastic
from inksweep.digits.augment_ink import Coarse, Ink, Paper, Pen, Rests

Augment = Callable[[Tensor, Generator], Tensor]
NOTHING = {
    "degrees": 0, "shear_degrees": 0, "shift_pixels": 0, "scale": 0, "aspect": 0, "elastic_pixels": 0,
    "elastic_cells": 6, "pen_pixels": 0, "pen_uneven": 0, "pen_hardness": 0, "coarse_probability": 0,
    "coarse_pixels": 1, "fade": 0, "grain": 0, "clutter": 0, "gap": 0,
}  # fmt: skip
MUCH = {
    "degrees": 15, "shear_degrees": 10, "shift_pixels": 2, "scale": 0.2, "aspect": 0.3, "elastic_pixels": 0.6,
    "elastic_cells": 6, "pen_pixels": 1.5, "pen_uneven": 0.5, "pen_hardness": 0.8, "coarse_probability": 0.5,
    "coarse_pixels": 3, "fade": 0.5, "grain": 0.1, "clutter": 0.5, "gap": 0.5,
}  # fmt: skip
ALL = [Pen(1.5, 0.5, 0.8), Coarse(0.5, 3), Paper(0.5, 0.1), Rests(0.5, 0.5), Ink(**MUCH)]
IDLE = [Coarse(0, 3), Pen(0, 0, 0), Paper(0, 0), Rests(0, 0), Ink(**NOTHING)]


def name(augment: Augment) -> str:
    return type(augment).__name__


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def rings(n: int = 16) -> Tensor:
    """Rings of ink, (n, 1, 28, 28): a stroke of three pixels."""
    rows, columns = torch.meshgrid(torch.arange(28.0) - 13.5, torch.arange(28.0) - 13.5, indexing="ij")
    ring = (1.5 - ((rows**2 + columns**2).sqrt() - 7).abs()).clamp(0, 1)
    return ring.repeat(n, 1, 1, 1)


def bar(n: int = 400) -> Tensor:
    """An upright bar three pixels wide, (n, 1, 28, 28)."""
    picture = torch.zeros(n, 1, 28, 28)
    picture[..., 12:15] = 1
    return picture


@pytest.mark.parametrize("augment", IDLE, ids=name)
def test_nothing_to_change_changes_nothing(augment: Augment) -> None:
    images = torch.rand(4, 1, 28, 20, generator=generator())
    torch.testing.assert_close(augment(images, generator()), images, atol=1e-5, rtol=0)


@pytest.mark.parametrize("augment", ALL, ids=name)
def test_all_is_drawn_from_the_generator_and_pictures_stay_pictures(augment: Augment) -> None:
    before, images = torch.get_rng_state(), rings(64)
    changed = augment(images, generator(3))
    assert torch.equal(changed, augment(images, generator(3)))
    assert not torch.equal(changed, augment(images, generator(4)))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(images, rings(64))
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-5
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 32


@pytest.mark.parametrize("augment", ALL, ids=name)
def test_pictures_need_not_be_square_nor_have_ink(augment: Augment) -> None:
    assert augment(torch.rand(4, 1, 28, 20, generator=generator()), generator()).shape == (4, 1, 28, 20)
    assert augment(torch.zeros(4, 1, 28, 28), generator()).isfinite().all()


def test_a_pen_makes_strokes_wider_than_another_pixel_and_thinner_by_half_as_much() -> None:
    width = Pen(2.0, 0, 0)(bar(), generator())[:, 0, 14].sum(dim=1)
    assert 6.5 < width.max() <= 7.01
    assert 0.9 < width.min() < 1.3


def test_an_uneven_pen_changes_a_stroke_along_its_way() -> None:
    def differs(uneven: float) -> float:
        return float(Pen(1.5, uneven, 0)(bar(), generator())[:, 0, 4:24].sum(dim=2).std(dim=1).mean())

    assert differs(0) < 1e-5
    assert differs(1) > 0.07


def test_hard_edges_leave_fewer_half_dark_pixels() -> None:
    soft = functional.avg_pool2d(bar(), 5, 1, 2)
    share = [
        ((made > 0.1) & (made < 0.9)).float().mean()
        for made in (Pen(0, 0, hardness)(soft, generator()) for hardness in (0, 0.9))
    ]
    assert share[1] < 0.9 * share[0]


def test_the_brightest_pixel_stays_as_bright_under_another_pen() -> None:
    changed = Pen(1.5, 0.5, 0.5)(bar() * 0.6, generator())
    torch.testing.assert_close(changed.amax(dim=(1, 2, 3)), torch.full((400,), 0.6))


def test_a_coarse_picture_keeps_its_ink_and_loses_its_edges() -> None:
    images = rings(400)
    changed = Coarse(0.5, 3)(images, generator())
    is_changed = (changed - images).abs().amax(dim=(1, 2, 3)) > 0.05
    assert is_changed.float().mean().item() == pytest.approx(0.48, abs=0.06)
    torch.testing.assert_close(changed.sum(dim=(1, 2, 3)), images.sum(dim=(1, 2, 3)), rtol=0.06, atol=0)
    assert changed[is_changed].amax(dim=(1, 2, 3)).mean() < 0.97


def test_ink_fades_by_at_most_so_much() -> None:
    strongest = Paper(0.5, 0)(bar(), generator()).amax(dim=(1, 2, 3))
    assert 0.5 <= strongest.min() < 0.52
    assert strongest.max() > 0.99


def test_grain_is_on_ink_and_ground_and_mostly_faint() -> None:
    made = Paper(0, 0.2)(torch.full((400, 1, 28, 28), 0.5), generator())
    deviation = made.std(dim=(1, 2, 3))
    assert 0.2 < deviation.max() < 0.4
    assert deviation.median() < 0.12


def test_clutter_is_at_the_edges_of_as_many_pictures_as_asked_for() -> None:
    made = Rests(0.3, 0)(torch.zeros(4000, 1, 28, 28), generator())  # neighbours are empty: lines alone
    has_line = made.amax(dim=(1, 2, 3)) > 0
    assert has_line.float().mean().item() == pytest.approx(0.28, abs=0.04)
    assert made[..., 6:22, 6:22].max() == 0
    # Every edge has its share.
    ink = made.mean(dim=(0, 1))
    assert min(ink[:6].sum(), ink[-6:].sum(), ink[:, :6].sum(), ink[:, -6:].sum()) > 0.5 * ink.sum() / 4


def test_a_neighbour_is_the_margin_of_the_picture_before() -> None:
    images = torch.zeros(4000, 1, 28, 28)
    images[::2, :, 10:18] = 1  # of every second, a line across the whole width
    made = Rests(0.5, 0)(images, generator())[1::2, 0, 13]
    has_one = (made[:, 0] > 0) | (made[:, -1] > 0)
    assert has_one.float().mean().item() == pytest.approx(0.5, abs=0.06)
    assert made[:, 12:16].max() == 0
    left = (made[:, 0] > 0).float().mean()
    assert 0.18 < left < 0.32


def test_a_gap_crosses_the_digit_in_as_many_pictures_as_asked_for() -> None:
    images = rings(2000)
    lost = (images - Rests(0, 0.4)(images, generator())).sum(dim=(1, 2, 3))
    assert (lost > 0.5).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert lost.max() < 0.5 * images[0].sum()


def test_ink_changes_proportions_and_keeps_the_area() -> None:
    images = functional.pad(torch.ones(400, 1, 10, 10), (9, 9, 9, 9))
    made = Ink(**NOTHING | {"aspect": 0.5})(images, generator())[:, 0]
    wide, high = made[:, 14].sum(dim=1), made[:, :, 14].sum(dim=1)
    ratio = wide / high
    assert 1.4 < ratio.max() < 1.56
    assert 1 / 1.56 < ratio.min() < 1 / 1.4
    torch.testing.assert_close(wide * high, torch.full((400,), 100.0), rtol=0.06, atol=0)


def test_ink_is_its_parts_one_after_the_other() -> None:
    images, once = rings(), generator(5)
    affine = Affine(15, 10, 2, 0.2)
    places = affine.places(images, once) + Elastic(0.6, 6).displacements(images, once)
    expected = functional.grid_sample(images, places, padding_mode="zeros", align_corners=False)
    for part in (Pen(1.5, 0.5, 0.8), Rests(0.5, 0.5), Coarse(0.5, 3), Paper(0.5, 0.1)):
        expected = part(expected, once)
    assert torch.equal(Ink(**MUCH | {"aspect": 0})(images, generator(5)), expected)
