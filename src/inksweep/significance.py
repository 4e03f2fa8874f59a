"""Two classifiers on the same pictures: how often which of them is right, and whether the difference may be chance."""

import math
from dataclasses import dataclass

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
        b_low, b_high = _wilson(b_right, n)
        a_low, a_high = _wilson(a_right, n)
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


def _wilson(right: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a proportion (Wilson 1927)."""
    scale = n + Z * Z
    middle = (right + Z * Z / 2) / scale
    half = Z * math.sqrt(right * (n - right) / n + Z * Z / 4) / scale
    return middle - half, middle + half
