import torch
from torch import Generator, Tensor

from inksweep.augment import Affine, Identity

STILL = {"degrees": 0, "shear_degrees": 0, "shift_pixels": 0, "scale": 0}


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


def test_nothing_to_change_changes_nothing() -> None:
    images = torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(Affine(**STILL)(images, generator()), images, atol=1e-5, rtol=0)


def test_the_same_generator_state_gives_the_same_pictures_and_another_gives_others() -> None:
    images, augment = torch.rand(4, 1, 28, 28), Affine(15, 5, 2, 0.1)
    assert torch.equal(augment(images, generator(3)), augment(images, generator(3)))
    assert not torch.equal(augment(images, generator(3)), augment(images, generator(4)))


def test_the_global_random_numbers_are_left_alone() -> None:
    before = torch.get_rng_state()
    Affine(15, 5, 2, 0.1)(torch.rand(4, 1, 28, 28, generator=generator()), generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_every_picture_of_a_batch_is_changed_in_its_own_way() -> None:
    same = picture().repeat(8, 1, 1, 1)
    moved = Affine(**STILL | {"shift_pixels": 2})(same, generator())
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 8


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
