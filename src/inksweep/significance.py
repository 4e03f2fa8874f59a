"""How far an accuracy can be trusted: intervals, two classifiers on the same pictures, the best of many looks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Of the standard normal distribution, for two-sided 95 %.
Z = 1.959963984540054


@dataclass(frozen=True)
class Paired:
    """The pictures counted by who is right."""

    both_right: int
    only_a: int
    only_b: int
    both_wrong: int

    @classmethod
    def of(cls, a_right: npt.NDArray[np.bool_], b_right: npt.NDArray[np.bool_]) -> "Paired":
        """Count; the same place in both arrays (n,) is the same picture."""
        both, neither = int(np.sum(a_right & b_right)), int(np.sum(~a_right & ~b_right))
        return cls(both, int(a_right.sum()) - both, int(b_right.sum()) - both, neither)

    @property
    def pictures(self) -> int:
        """Return the number of pictures."""
        return self.both_right + self.only_a + self.only_b + self.both_wrong

    @property
    def difference(self) -> float:
        """Return the accuracy of B less that of A, -1..1."""
        return (self.only_b - self.only_a) / self.pictures

    @property
    def p(self) -> float:
        """Return the exact two-sided p-value of McNemar's test.

        Of equally good classifiers each is the right one of a pair in half of the cases: a binomial test on the pairs
        in which one is right. (McNemar 1947, Psychometrika 12:153; its exact conditional form: Agresti, Categorical
        Data Analysis, 10.1.)
        """
        pairs = self.only_a + self.only_b
        tail = term = 1  # whole numbers of any size: nothing is rounded before the division
        for k in range(min(self.only_a, self.only_b)):
            term = term * (pairs - k) // (k + 1)
            tail += term
        return min(1.0, float(2 * tail / 2**pairs))

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % confidence interval of the difference.

        Wilson's intervals of both accuracies, joined with regard to their correlation (Newcombe 1998, Statistics in
        Medicine 17:2635, method 10). Unlike the plain normal one it has a width where nobody disagrees. At the border
        of significance it may say otherwise than the exact test, which is the more careful one.
        """
        n = self.pictures
        b_right, a_right = self.both_right + self.only_b, self.both_right + self.only_a
        b_low, b_high = wilson(b_right, n)
        a_low, a_high = wilson(a_right, n)
        b, a, phi = b_right / n, a_right / n, self._correlation()
        down, up = (b - b_low, a_high - a), (b_high - b, a - a_low)
        below, above = (math.sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)) for x, y in (down, up))
        return max(-1.0, self.difference - below), min(1.0, self.difference + above)

    def _correlation(self) -> float:
        """Return Newcombe's phi: pulled towards 0 where it is positive, 0 where it has no value."""
        a_right, b_right = self.both_right + self.only_a, self.both_right + self.only_b
        scale = a_right * (self.pictures - a_right) * b_right * (self.pictures - b_right)
        if not scale:
            return 0.0
        product = self.both_right * self.both_wrong - self.only_a * self.only_b
        return (max(product - self.pictures / 2, 0.0) if product > 0 else product) / math.sqrt(scale)


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion, `right` of `n` (Wilson 1927)."""
    scale = n + Z * Z
    middle = (right + Z * Z / 2) / scale
    half = Z * math.sqrt(right * (n - right) / n + Z * Z / 4) / scale
    return middle - half, middle + half


def majority(
    predicted: Sequence[npt.NDArray[np.integer[Any]]], confidence: Sequence[npt.NDArray[np.floating[Any]]]
) -> npt.NDArray[np.int64]:
    """Return the class that most classifiers answer to each picture, (pictures,); of as many, the surer ones decide.

    Args:
        predicted: class numbers, (classifiers, pictures).
        confidence: probability of each answer, (classifiers, pictures).
    """
    answers = np.asarray(predicted)
    # Together the confidences weigh less than one vote.
    weights = 1 + np.asarray(confidence, dtype=np.float64) / (len(answers) + 1)
    votes = np.zeros((answers.shape[1], int(answers.max()) + 1))
    pictures = np.broadcast_to(np.arange(answers.shape[1]), answers.shape)
    np.add.at(votes, (pictures, answers), weights)
    winners: npt.NDArray[np.int64] = votes.argmax(axis=1)
    return winners


def bootstrap_mean(
    correct: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_], resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the mean accuracy of trainings that differ in their seed alone.

    Seeds and pictures are both drawn anew: another training, judged by other pictures. The pictures are the same for
    all seeds of a draw, as they were in truth. (Percentile bootstrap of crossed factors: Owen 2007, Annals of Applied
    Statistics 1:386. With few seeds it is somewhat too narrow; where every answer is right it has no width.)

    Args:
        correct: which answers are right, (seeds, pictures).
        resamples: how many draws.
        seed: of the draws.

    Returns:
        The lower and the upper end.
    """
    return _middle(*_drawn([np.asarray(correct)], resamples, seed))


def bootstrap_difference(
    a: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_],
    b: Sequence[npt.NDArray[np.bool_]] | npt.NDArray[np.bool_],
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % interval of the mean accuracy of `b` less that of `a`, two configurations of several seeds each.

    As `bootstrap_mean`: the same pictures are drawn for both, the seeds of each apart. Unlike a test on the majority of
    the seeds it knows that other seeds would have come out otherwise.

    Args:
        a: which answers of the one are right, (seeds, pictures).
        b: the same of the other, which may have more or fewer seeds; the same column is the same picture.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        The lower and the upper end.
    """
    of_a, of_b = _drawn([np.asarray(a), np.asarray(b)], resamples, seed)
    return _middle(of_b - of_a)


def _drawn(groups: Sequence[npt.NDArray[np.bool_]], resamples: int, seed: int) -> list[npt.NDArray[np.floating[Any]]]:
    """Return the mean accuracy of each group of trainings, (seeds, pictures), in each draw, (resamples,)."""
    pictures = groups[0].shape[1]
    # Pictures that the same seeds got right are alike, and nearly all were got right by all: a few kinds to draw.
    kinds, counts = np.unique(np.concatenate(groups), axis=1, return_counts=True)  # (seeds of all, kinds)
    generator = np.random.default_rng(seed)
    drawn_pictures = generator.multinomial(pictures, counts / pictures, size=resamples)  # (resamples, kinds)
    means: list[npt.NDArray[np.floating[Any]]] = []
    first = 0
    for seeds in (len(group) for group in groups):
        drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)  # (resamples, seeds)
        right = (drawn_seeds @ kinds[first : first + seeds].astype(np.int64) * drawn_pictures).sum(axis=1)
        means.append(right / (seeds * pictures))
        first += seeds
    return means


def _middle(drawn: npt.NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return between which values 95 % of the draws lie."""
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def expected_optimism(looks: int, accuracy: float, n: int) -> float:
    """Return by how much the largest of `looks` accuracies, measured on the same pictures, exceeds the truth at most.

    The mean of the largest of as many independent normal deviates, in standard deviations of an accuracy. Looks at the
    same pictures are not independent: the truth is less (Slepian 1962, Bell System Technical Journal 41:463).

    Args:
        looks: how many were compared.
        accuracy: of each, 0..1.
        n: number of pictures.
    """
    if looks <= 1:
        return 0.0
    # The mean of a variable is what its distribution leaves above 0, less what it has below.
    places = np.linspace(0.0, 10.0, 4001)
    below = np.array([0.5 * math.erfc(-place / math.sqrt(2)) for place in places])
    largest = np.trapezoid(1 - below**looks, places) - np.trapezoid((1 - below) ** looks, places)
    return float(largest) * math.sqrt(accuracy * (1 - accuracy) / n)
