"""What a run's saved model made of every picture of the validation and the test split: `predictions.npz`.

Two runs are compared picture by picture with it, without a model, a data set or torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inksweep.errors import InputError
from inksweep.files import replacing

SPLITS = ("val", "test")


@dataclass(frozen=True)
class Predictions:
    """The answers to the pictures of one split, in the split's own order."""

    # What is right, and what was answered: class numbers, (n,).
    labels: npt.NDArray[np.integer[Any]]
    predicted: npt.NDArray[np.integer[Any]]
    # Probability of the answer, (n,), 0..1.
    confidence: npt.NDArray[np.floating[Any]]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> npt.NDArray[np.bool_]:
        """Which answers are right, (n,)."""
        correct: npt.NDArray[np.bool_] = self.predicted == self.labels
        return correct

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return float(np.mean(self.correct))

    def confusion(self, classes: int) -> npt.NDArray[np.int64]:
        """Return how often class `row` was answered with class `column`, (classes, classes)."""
        pairs = self.labels.astype(np.int64) * classes + self.predicted
        return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def save(path: Path, splits: Mapping[str, Predictions]) -> None:
    """Write the predictions of each split; some 30 KB for 15,000 pictures."""
    arrays = {
        f"{split}/{name}": values.astype(kind)
        for split, answers in splits.items()
        for name, values, kind in (
            ("labels", answers.labels, np.uint16),
            ("predicted", answers.predicted, np.uint16),
            ("confidence", answers.confidence, np.float32),
        )
    }
    with replacing(path, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # numpy types its option among the arrays


def load(path: Path) -> dict[str, Predictions]:
    """Read `predictions.npz`.

    Returns:
        The predictions by split, `val` and `test`; without a file, none.

    Raises:
        InputError: the file is broken.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {
                split: Predictions(*(arrays[f"{split}/{name}"] for name in ("labels", "predicted", "confidence")))
                for split in SPLITS
            }
    except FileNotFoundError:
        return {}
    except Exception as error:  # whatever zip, zlib and numpy make of a broken file
        raise InputError(f"{path}: cannot be read ({error})") from error
    for split, answers in found.items():
        if not _are_answers(answers):
            raise InputError(f"{path}: cannot be used (its {split} arrays are no answers to pictures)")
    return found


def _are_answers(read: Predictions) -> bool:
    """Whether arrays from a file are what they should be: numbers of classes, and how sure each answer is."""
    arrays = (read.labels, read.predicted, read.confidence)
    if any(array.ndim != 1 or len(array) != len(read) for array in arrays) or not len(read):
        return False
    kinds = (np.integer, np.integer, np.floating)
    return all(np.issubdtype(array.dtype, kind) for array, kind in zip(arrays, kinds, strict=True)) and bool(
        min(read.labels.min(), read.predicted.min()) >= 0 and np.all((read.confidence >= 0) & (read.confidence <= 1))
    )
