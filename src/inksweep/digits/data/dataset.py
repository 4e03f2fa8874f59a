"""Digits as tensors: splits, batches in an order of their own, and the step from stored pixels to network input.

Pictures stay uint8 and memory-mapped, so that several processes on a machine share one copy; they become numbers
around zero a batch at a time. Pictures are asked for by a tensor of row numbers, in one gather.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from inksweep.digits.config.data import DataConfig
from inksweep.digits.data.arrays import prepare
from inksweep.digits.data.styles import styled
from inksweep.digits.data.warped import warped

Batch = tuple[Tensor, Tensor]

# Pictures that are gathered at once, to be cut into batches: what a gather costs besides the copying is shared by them.
GATHERED = 1024


class Digits(Dataset[Batch]):
    """Pictures and labels side by side.

    Args:
        images: uint8 (n, h, w).
        labels: int64 (n,).
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: Tensor) -> Batch:
        # index_select is several times faster here than images[rows].
        return self.images.index_select(0, rows), self.labels.index_select(0, rows)

    def to(self, device: torch.device | str) -> "Digits":
        """Return the same digits on `device`; no copy is made when they are there already."""
        return Digits(self.images.to(device), self.labels.to(device))

    def subset(self, rows: slice | Tensor) -> "Digits":
        """Return some of the digits: of a slice, a view; of a tensor of row numbers, a copy."""
        return Digits(self.images[rows], self.labels[rows])


@dataclass(frozen=True)
class Splits:
    """Three sets of digits that share none; with `data.train_on_all` validation is a part of training."""

    train: Digits
    val: Digits
    test: Digits


def load(conf: DataConfig) -> Splits:
    """Return the splits of a verified data set, fetching and preparing it first where needed.

    The prepared training rows lie in the order of `data.split_seed`: validation is their last `val_size`, training
    those before (the first `train_limit` of them), or with `train_on_all` all rows. So the validation split is the same
    for every run, and every part is a view; but with `styles` training is a copy, some of it written otherwise.

    Raises:
        InputError: the data set cannot be had or does not fit the config.
    """
    prepared = prepare(conf)
    whole = Digits(_mapped(prepared.images("train")), _mapped(prepared.labels("train")))
    train = whole.subset(slice(0, conf.train_size))
    if conf.styles:
        images = styled(train.images.numpy(), train.labels.numpy(), conf.classes, conf.styles)
        train = Digits(torch.from_numpy(images), train.labels)
    return Splits(
        train=train,
        val=whole.subset(slice(conf.train_images - conf.val_size, conf.train_images)),
        test=Digits(_mapped(prepared.images("test")), _mapped(prepared.labels("test"))),
    )


def warped_digits(digits: Digits) -> Digits:
    """Return the same digits as they come from photos and drawings, made anew: for 5,000 that takes about a second."""
    return Digits(torch.from_numpy(warped(digits.images.numpy())), digits.labels)


def _mapped(path: Path) -> Tensor:
    # "c", copy on write: torch knows no read-only tensors, and a write must never reach the file.
    return torch.from_numpy(np.load(path, mmap_mode="c", allow_pickle=False))


class IndexBatches(Sampler[Tensor]):
    """Row numbers of the batches of an epoch, in an order that is a pure function of seed and epoch.

    Nothing has to be saved to go on in the middle of an epoch: `set_epoch(epoch, skip_batches)` leads there. A last,
    smaller batch is left out: it would upset batch normalisation, and as each epoch has another order, the pictures
    left out are other ones each time.

    Args:
        size: number of rows to draw from.
        batch_size: rows a batch, at most `size`.
        seed: of the order.
        device: where the row numbers are wanted: moved there once an epoch.
    """

    def __init__(self, size: int, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.epoch = 0
        self.skip_batches = 0

    def set_epoch(self, epoch: int, skip_batches: int = 0) -> None:
        """Let the next pass be that of `epoch` (from 0), without its first `skip_batches`."""
        self.epoch = epoch
        self.skip_batches = skip_batches

    def __len__(self) -> int:
        """Return the number of batches of a whole epoch."""
        return self.size // self.batch_size

    def whole(self, epoch: int) -> Tensor:
        """Return the row numbers of all batches of `epoch`, (batches, batch_size) int64, on the CPU."""
        return self._order(epoch)[: len(self) * self.batch_size].view(len(self), self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        return self.pieces(1)

    def pieces(self, batches: int) -> Iterator[Tensor]:
        """Yield the row numbers of so many batches at a time, (batches * batch_size,) int64; the last may be fewer."""
        order = self._order(self.epoch).to(self.device)
        rows = order[self.skip_batches * self.batch_size : len(self) * self.batch_size]
        # split() of nothing would still give one, empty, piece.
        return iter(rows.split(batches * self.batch_size)) if len(rows) else iter(())

    def _order(self, epoch: int) -> Tensor:
        """Return all rows in the order of an epoch, (size,) int64."""
        # SeedSequence mixes seed and epoch, so that (1, 2) and (2, 1), or neighbours, give unrelated orders.
        mixed = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1, np.uint64)[0])
        return torch.randperm(self.size, generator=torch.Generator().manual_seed(mixed))


class Loader:
    """The batches of an order, again and again: images (b, h, w) uint8 and labels (b,) int64, gathered without workers.

    It draws nothing from the global random numbers.

    Args:
        digits: what the row numbers are of.
        order: which rows; its `set_epoch` says of which epoch the next pass is.
    """

    def __init__(self, digits: Digits, order: IndexBatches) -> None:
        self._batch_size = order.batch_size
        sampler = _Pieces(order, max(1, GATHERED // order.batch_size))
        options: dict[str, Any] = {"collate_fn": _as_it_is, "generator": torch.Generator()}
        self._loader = DataLoader(digits, batch_size=None, sampler=sampler, **options)

    def __iter__(self) -> Iterator[Batch]:
        for images, labels in self._loader:
            yield from zip(images.split(self._batch_size), labels.split(self._batch_size), strict=True)


class _Pieces(Sampler[Tensor]):
    """Row numbers of several batches of an order at a time."""

    def __init__(self, order: IndexBatches, batches: int) -> None:
        self._order, self._batches = order, batches

    def __iter__(self) -> Iterator[Tensor]:
        return self._order.pieces(self._batches)


def _as_it_is(batch: Any) -> Any:
    """Take the place of DataLoader's default, which looks into every batch for numpy arrays to convert."""
    return batch


def scaled(images: Tensor) -> Tensor:
    """Turn stored pictures, uint8 (b, h, w), into float32 (b, 1, h, w) in 0..1: what an augmentation changes."""
    return images.unsqueeze(1) * (1 / 255)


def to_input(images: Tensor, mean: float, std: float) -> Tensor:
    """Turn stored pictures into the network's input: `(scaled(images) - mean) / std`, in one pass over memory.

    Args:
        images: uint8 (b, h, w).
        mean: of the training pixels, on a scale of 0 to 1.
        std: their standard deviation.

    Returns:
        float32 (b, 1, h, w).
    """
    # Its float type decides that of the sum. On whichever device the images are: a kernel takes it as a number.
    offset = torch.full((), -mean / std)
    return torch.add(offset, images.unsqueeze(1), alpha=1 / (255 * std))
