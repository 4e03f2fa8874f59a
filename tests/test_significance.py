"""paired.py: counts, McNemar's exact test, the interval of the difference."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from inksweep.diff.paired import Paired


def test_pictures_are_counted_by_who_is_right() -> None:
    a = np.array([True, True, True, False, False, False])
    b = np.array([True, False, False, True, False, False])
    paired = Paired.of(a, b)
    assert paired == Paired(both_right=1, only_a=2, only_b=1, both_wrong=2)
    assert paired.pictures == 6
    assert paired.difference == pytest.approx(b.mean() - a.mean())


@pytest.mark.parametrize("pairs", range(1, 13))
def test_p_is_the_share_of_all_outcomes_that_are_as_extreme(pairs: int) -> None:
    # Every way in which fair coins may fall, weighed alike: those at least as far from the middle as what was seen.
    for only_a in range(pairs + 1):
        far = abs(2 * only_a - pairs)
        extreme = sum(Fraction(comb(pairs, k), 2**pairs) for k in range(pairs + 1) if abs(2 * k - pairs) >= far)
        assert Paired(5, only_a, pairs - only_a, 7).p == pytest.approx(float(extreme), abs=1e-15)


@pytest.mark.parametrize(
    ("counts", "p"),
    [
        # Agresti's approval ratings: 150 of 236 one way (Categorical Data Analysis, 10.1).
        ((794, 150, 86, 570), 3.716e-05),
        # Bentur et al. 2009, airway hyper-responsiveness (in Fagerland, Lydersen and Laake 2014): exact 0.070.
        ((1, 1, 7, 12), 2 * (1 + 8) / 2**8),
        ((10, 0, 5, 3), 2 / 2**5),
    ],
)
def test_p_is_that_of_the_textbook(counts: tuple[int, int, int, int], p: float) -> None:
    assert Paired(*counts).p == pytest.approx(p, rel=1e-3)


@pytest.mark.parametrize("counts", [(10, 0, 0, 2), (10, 3, 3, 2), (0, 1, 0, 0)])
def test_p_is_1_without_a_sign_of_a_difference(counts: tuple[int, int, int, int]) -> None:
    assert Paired(*counts).p == 1


def test_p_knows_no_order() -> None:
    assert Paired(50, 3, 12, 5).p == Paired(50, 12, 3, 5).p


def test_p_of_many_pictures_is_a_number() -> None:
    # 2 ** 6000 is no float.
    assert 0.2 < Paired(0, 2950, 3050, 0).p < 0.21
    assert Paired(0, 0, 6000, 0).p == 0


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        # Newcombe 1998, table II, method 10; there A less B.
        ((36, 12, 2, 0), (-0.3404, -0.0569)),
        # Bentur et al. 2009, the square-and-add interval.
        ((1, 1, 7, 12), (0.026, 0.507)),
    ],
)
def test_the_interval_is_the_published_one(counts: tuple[int, int, int, int], interval: tuple[float, float]) -> None:
    assert Paired(*counts).interval == pytest.approx(interval, abs=5e-4)


def test_the_interval_turns_with_the_two() -> None:
    low, high = Paired(900, 30, 50, 20).interval
    assert Paired(900, 50, 30, 20).interval == pytest.approx((-high, -low))
    assert low < 0.02 < high


@pytest.mark.parametrize("counts", [(100, 0, 0, 0), (0, 0, 0, 9), (0, 10, 0, 0), (0, 0, 1, 0), (5000, 0, 0, 1)])
def test_the_interval_has_a_width_where_nobody_disagrees_and_stays_in_range(
    counts: tuple[int, int, int, int],
) -> None:
    low, high = Paired(*counts).interval
    assert -1 <= low <= Paired(*counts).difference <= high <= 1
    assert low < high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    # 400 pairs of equally good classifiers: 0 lies inside of about 95 % of the intervals.
    rng = np.random.default_rng(0)
    counts = rng.multinomial(2000, [0.95, 0.015, 0.015, 0.02], size=400)
    inside = [low <= 0 <= high for low, high in (Paired(*map(int, row)).interval for row in counts)]
    assert 0.92 < np.mean(inside) < 0.985
