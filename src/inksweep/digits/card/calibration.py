"""Whether a model is as often right as it says: temperature scaling, and the calibration error in bins."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

Numbers = npt.NDArray[np.floating[Any]]

BINS = 15
# The range that is searched: useful models lie well inside it, and those that guess would have no finite group.
LEAST, GREATEST = 1 / 16, 16.0
# Halvings of the range that holds the temperature: more than float64 can tell apart.
HALVINGS = 60


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Return the temperature T > 0 for which softmax(logits / T) has the least cross-entropy (arXiv 1706.04599).

    In 1 / T the cross-entropy is convex, so that halving the range on the sign of its slope finds the one minimum, and
    always the same. If every answer is right there is none, only ever more confidence: T stays 1.

    Args:
        logits: (n, classes), of pictures that the model was not trained on.
        labels: (n,).
    """
    logits = logits.double()
    if bool((logits.argmax(dim=1) == labels).all()):
        return 1.0
    given = float(logits.gather(1, labels.unsqueeze(1)).mean())
    # In NumPy, which uses one thread: for so little, torch's threads would wait for each other most of the time.
    below = (logits - logits.amax(dim=1, keepdim=True)).numpy()
    greatest = float(logits.amax(dim=1).mean())

    def slope(inverse: float) -> float:
        """Return the derivative of the mean cross-entropy by 1 / T."""
        weights = np.exp(below * inverse)
        expected = (weights * below).sum(axis=1) / weights.sum(axis=1)
        return float(expected.mean()) + greatest - given

    low, high = 1 / GREATEST, 1 / LEAST
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        if slope(middle) < 0:
            low = middle
        else:
            high = middle
    return float(1 / (low * high) ** 0.5)


@dataclass(frozen=True)
class Bin:
    """Answers of about the same confidence."""

    count: int
    right: int
    # Mean confidence, and the mean of its distance from 1, which a float near 1 would round away.
    confidence: float
    doubt: float


@dataclass(frozen=True)
class Answers:
    """What a model at one temperature answers to the pictures of a split."""

    # Class numbers, (n,).
    predicted: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    # Sum of the other classes' probabilities, (n,): 1 - confidence, exact also where that is tiny.
    doubt: Numbers
    # Mean cross-entropy, nats.
    nll: float

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, temperature: float) -> "Answers":
        """Return the answers of logits (n, classes) to pictures with `labels` (n,)."""
        scaled = logits.double() / temperature
        probabilities = scaled.softmax(dim=1)
        # Of the logits themselves: dividing may round two of them to one number.
        predicted = logits.argmax(dim=1, keepdim=True)
        doubt = probabilities.scatter(1, predicted, 0.0).sum(dim=1)
        nll = functional.cross_entropy(scaled, labels).item()
        answered = predicted.squeeze(1)
        return cls(answered.numpy(), (answered == labels).numpy(), doubt.numpy(), nll)

    @property
    def confidence(self) -> Numbers:
        """Return the probability of each answer, (n,)."""
        confidence: Numbers = 1 - self.doubt
        return confidence

    def equal_width(self) -> list[Bin]:
        """Return bins of the same width in confidence; those without an answer are left out."""
        which = np.clip(np.ceil(self.confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        return [self._bin(np.flatnonzero(which == number)) for number in range(BINS) if (which == number).any()]

    def equal_mass(self) -> list[Bin]:
        """Return bins of nearly the same number of answers, from the most doubtful to the surest."""
        order = np.argsort(-self.doubt, kind="stable")
        return [self._bin(rows) for rows in np.array_split(order, BINS) if len(rows)]

    def _bin(self, rows: npt.NDArray[np.intp]) -> Bin:
        doubt = float(self.doubt[rows].mean())
        return Bin(len(rows), int(self.correct[rows].sum()), 1 - doubt, doubt)


def error(bins: Sequence[Bin]) -> float:
    """Return the expected calibration error: the mean distance of confidence and accuracy over bins (Naeini 2015)."""
    total = sum(group.count for group in bins)
    return sum(group.count / total * abs(group.right / group.count - group.confidence) for group in bins)


def summary(answers: Answers) -> dict[str, float]:
    """Return cross-entropy and both calibration errors; the equal bins tell more where nearly all answers are sure."""
    return {
        "nll": answers.nll,
        "ece": error(answers.equal_width()),
        "ece_equal_mass": error(answers.equal_mass()),
    }
