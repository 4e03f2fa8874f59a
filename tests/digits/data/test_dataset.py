"""dataset.py: splits that share nothing, orders that can be told from seed and epoch, batches that are one gather."""

from pathlib import Path

import numpy as np
import pytest
import torch

from inksweep.digits import shown
from inksweep.digits.config.data import DataConfig
from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits, IndexBatches, Splits
from tests.conftest import compose_config, tiny


@pytest.fixture(scope="session")
def conf(prepared_root: Path) -> DataConfig:
    return compose_config(tiny(prepared_root)).data


@pytest.fixture(scope="session")
def splits(conf: DataConfig) -> Splits:
    return dataset.load(conf)


def pictures(digits: Digits) -> set[bytes]:
    return {image.numpy().tobytes() for image in digits.images}


# Splits.


def test_sizes_and_types_are_those_of_the_config(splits: Splits) -> None:
    assert [len(splits.train), len(splits.val), len(splits.test)] == [300, 100, 150]
    assert splits.train.images.shape == (300, 28, 28)
    assert splits.train.images.dtype == torch.uint8
    assert splits.train.labels.dtype == torch.int64


def test_no_picture_is_in_two_splits(splits: Splits) -> None:
    train, val, test = pictures(splits.train), pictures(splits.val), pictures(splits.test)
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)


def test_train_and_val_are_all_of_the_training_file(splits: Splits, prepared_root: Path) -> None:
    raw = (prepared_root / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()[16:]
    everything = {raw[start : start + 784] for start in range(0, len(raw), 784)}
    assert pictures(splits.train) | pictures(splits.val) == everything


def test_the_split_is_the_same_whatever_the_training_seed(prepared_root: Path, splits: Splits) -> None:
    torch.manual_seed(1234)
    again = dataset.load(compose_config([*tiny(prepared_root), "seed=77"]).data)
    assert torch.equal(again.val.images, splits.val.images)


def test_another_split_seed_is_another_split_of_the_same_pictures(tiny_root: Path, splits: Splits) -> None:
    other = dataset.load(compose_config([*tiny(tiny_root), "data.split_seed=1"]).data)
    assert pictures(other.val) != pictures(splits.val)
    assert torch.equal(other.test.images, splits.test.images)


def test_train_limit_takes_the_first_of_the_split_and_leaves_val_alone(prepared_root: Path, splits: Splits) -> None:
    limited = dataset.load(compose_config([*tiny(prepared_root), "data.train_limit=60"]).data)
    assert torch.equal(limited.train.images, splits.train.images[:60])
    assert torch.equal(limited.val.images, splits.val.images)


def test_train_on_all_adds_the_validation_pictures_and_leaves_them_what_they_were(
    prepared_root: Path, splits: Splits
) -> None:
    words = ["data.train_on_all=true", "trainer.keep=last", "trainer.patience=null"]
    everything = dataset.load(compose_config([*tiny(prepared_root), *words]).data)
    assert len(everything.train) == 400
    assert pictures(everything.train) == pictures(splits.train) | pictures(splits.val)
    assert torch.equal(everything.val.images, splits.val.images)
    assert pictures(everything.train).isdisjoint(pictures(everything.test))


def test_splits_are_views_of_the_mapped_files_and_a_write_stays_here(conf: DataConfig, splits: Splits) -> None:
    mine = dataset.load(conf)
    # Train and validation are parts of one mapping, not copies.
    assert mine.train.images.untyped_storage().data_ptr() == mine.val.images.untyped_storage().data_ptr()
    mine.train.images.zero_()
    assert dataset.load(conf).train.images.any()


# Digits.


def test_a_batch_is_the_rows_asked_for() -> None:
    digits = Digits(torch.arange(5 * 4, dtype=torch.uint8).view(5, 2, 2), torch.arange(5) * 10)
    images, labels = digits[torch.tensor([3, 0])]
    assert images.tolist() == [[[12, 13], [14, 15]], [[0, 1], [2, 3]]]
    assert labels.tolist() == [30, 0]


def test_a_subset_is_a_view_of_a_slice_and_a_copy_of_rows() -> None:
    digits = Digits(torch.zeros(5, 2, 2, dtype=torch.uint8), torch.arange(5))
    assert digits.subset(slice(1, 3)).labels.tolist() == [1, 2]
    assert digits.subset(torch.tensor([4, 0])).labels.tolist() == [4, 0]
    digits.subset(slice(1, 3)).images.fill_(7)
    assert digits.images[1:3].eq(7).all()


def test_to_the_device_where_they_are_copies_nothing(splits: Splits) -> None:
    assert splits.train.to("cpu").images.data_ptr() == splits.train.images.data_ptr()


# Orders.


def epoch_order(batches: IndexBatches, epoch: int, skip: int = 0) -> list[list[int]]:
    batches.set_epoch(epoch, skip)
    return [rows.tolist() for rows in batches]


def test_an_epoch_visits_every_row_once() -> None:
    visited = [row for rows in epoch_order(IndexBatches(100, 10, seed=1), 0) for row in rows]
    assert sorted(visited) == list(range(100))
    assert visited != list(range(100))


def test_a_smaller_last_batch_is_left_out() -> None:
    batches = IndexBatches(103, 10, seed=1)
    assert [len(rows) for rows in epoch_order(batches, 0)] == [10] * 10 == [10] * len(batches)


def test_the_order_is_a_function_of_seed_and_epoch_and_of_nothing_else() -> None:
    first = epoch_order(IndexBatches(50, 10, seed=3), 2)
    later = IndexBatches(50, 10, seed=3)
    epoch_order(later, 0)
    torch.manual_seed(99)
    assert epoch_order(later, 2) == first
    # Another epoch, another seed, and the two swapped: other orders.
    others = [epoch_order(IndexBatches(50, 10, seed=seed), epoch) for seed, epoch in ((3, 3), (4, 2), (2, 3))]
    assert first not in others


@pytest.mark.parametrize("skip", [0, 3, 5])
def test_going_on_in_the_middle_of_an_epoch_gives_its_tail(skip: int) -> None:
    batches = IndexBatches(57, 10, seed=3)
    whole = epoch_order(batches, 4)
    assert epoch_order(batches, 4, skip) == whole[skip:]


def test_the_batches_of_a_whole_epoch_are_those_that_it_yields() -> None:
    batches = IndexBatches(57, 10, seed=3)
    assert batches.whole(2).tolist() == epoch_order(batches, 2)
    batches.set_epoch(0)
    assert batches.whole(2).tolist() == epoch_order(batches, 2)


def test_the_largest_seed_a_config_may_hold_works() -> None:
    assert len(epoch_order(IndexBatches(20, 10, seed=2**63 - 1), 0)) == 2


# Batches.


def test_the_loader_yields_the_batches_of_the_order(splits: Splits) -> None:
    batches = IndexBatches(len(splits.train), 50, seed=1)
    batches.set_epoch(1, skip_batches=4)
    expected = [(splits.train.images[rows], splits.train.labels[rows]) for rows in batches]
    loaded = list(dataset.Loader(splits.train, batches))
    assert len(loaded) == len(expected) == 2
    for (images, labels), (expected_images, expected_labels) in zip(loaded, expected, strict=True):
        assert torch.equal(images, expected_images)
        assert torch.equal(labels, expected_labels)


def test_the_loader_draws_nothing_from_the_global_random_numbers(splits: Splits) -> None:
    before = torch.get_rng_state()
    list(dataset.Loader(splits.train, IndexBatches(len(splits.train), 50, seed=1)))
    assert torch.equal(torch.get_rng_state(), before)


# Numbers.


def test_scaled_pictures_are_floats_from_0_to_1() -> None:
    pictures = dataset.scaled(torch.tensor([[[0, 255], [51, 102]]], dtype=torch.uint8))
    assert pictures.shape == (1, 1, 2, 2)
    assert pictures.dtype == torch.float32
    torch.testing.assert_close(pictures.flatten(), torch.tensor([0.0, 1.0, 0.2, 0.4]))


def test_network_input_is_the_scaled_picture_normalised(splits: Splits) -> None:
    images = splits.train.images[:20]
    expected = (dataset.scaled(images) - 0.1307) / 0.3081
    torch.testing.assert_close(dataset.to_input(images, 0.1307, 0.3081), expected)
    # The stored pictures are left as they were.
    assert images.dtype == torch.uint8
    assert int(images.max()) == 255


def test_facts_are_what_numpy_measures(splits: Splits, conf: DataConfig) -> None:
    facts = shown.facts("train", splits.train, conf)
    pixels = splits.train.images.numpy() / 255
    normal = (pixels - conf.mean) / conf.std
    assert (facts.shape, facts.dtype, facts.stored_range) == ((300, 28, 28), "uint8", (0, 255))
    assert (facts.mean, facts.std) == pytest.approx((pixels.mean(), pixels.std()))
    assert (facts.input_mean, facts.input_std) == pytest.approx((normal.mean(), normal.std()))
    assert facts.input_range == pytest.approx((normal.min(), normal.max()))
    assert facts.class_counts == np.bincount(splits.train.labels.numpy(), minlength=10).tolist()
