"""significance.py: intervals, McNemar's exact test, the best of many looks."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from inksweep.significance import Paired, bootstrap_difference, bootstrap_mean, expected_optimism, majority, wilson


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


@pytest.mark.parametrize(
    ("right", "n", "interval"),
    # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (1, 29, (0.0061, 0.1718))],
)
def test_wilsons_interval_is_the_published_one(right: int, n: int, interval: tuple[float, float]) -> None:
    assert wilson(right, n) == pytest.approx(interval, abs=5e-5)


def test_the_bootstrap_of_one_seed_is_that_of_a_proportion() -> None:
    correct = np.arange(5000) >= 60
    assert bootstrap_mean(correct[None]) == pytest.approx(wilson(4940, 5000), abs=5e-4)
    assert bootstrap_mean(correct[None]) == bootstrap_mean(correct[None])


def test_the_bootstrap_knows_both_kinds_of_chance() -> None:
    rng = np.random.default_rng(0)
    # Seeds that agree on every picture tell no more than one.
    one = rng.random(2000) < 0.95
    low, high = bootstrap_mean(np.stack([one] * 5))
    assert (low, high) == pytest.approx(bootstrap_mean(one[None]), abs=2e-3)
    # Independent answers tell more; seeds of very different quality tell less.
    narrow = bootstrap_mean(rng.random((5, 2000)) < 0.95)
    wide = bootstrap_mean(rng.random((5, 2000)) < np.array([[0.99], [0.97], [0.95], [0.93], [0.91]]))
    assert narrow[1] - narrow[0] < high - low < wide[1] - wide[0]


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for draw in range(200):
        quality = 0.95 + 0.01 * rng.standard_normal((10, 1))
        low, high = bootstrap_mean(rng.random((10, 1000)) < quality, resamples=1000, seed=draw)
        inside += low <= 0.95 <= high
    assert 0.88 < inside / 200 <= 0.99


def test_the_bootstrap_of_answers_that_are_all_right_is_a_point() -> None:
    assert bootstrap_mean(np.ones((3, 10), dtype=bool)) == (1, 1)


def test_the_bootstrap_of_a_difference_pairs_the_pictures_and_not_the_seeds() -> None:
    rng = np.random.default_rng(0)
    easy = rng.random(2000)
    # The same pictures are hard for both: the difference is surer than either.
    a, b = (np.stack([easy < quality + 0.001 * seed for seed in range(5)]) for quality in (0.95, 0.96))
    low, high = bootstrap_difference(a, b)
    assert low < b.mean() - a.mean() < high
    assert low > 0
    of_a = bootstrap_mean(a)
    assert high - low < of_a[1] - of_a[0]
    # It turns with the two.
    assert bootstrap_difference(b, a) == pytest.approx((-high, -low), abs=5e-4)
    # Seeds that differ make it less sure: with the same means, and the same majorities.
    spread = np.stack([easy < quality for quality in (0.93, 0.945, 0.962, 0.97, 0.983)])
    wide = bootstrap_difference(a, spread)
    assert wide[1] - wide[0] > 2 * (high - low)
    assert bootstrap_difference(a, a[:2]) == bootstrap_difference(a, a[:2])


def test_the_bootstrap_of_a_difference_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for draw in range(200):
        hard = rng.random(1000) * 0.04
        # Two configurations, as good as each other, of seven and ten seeds.
        a, b = (rng.random((n, 1000)) < 0.97 - hard + 0.01 * rng.standard_normal((n, 1)) for n in (7, 10))
        low, high = bootstrap_difference(a, b, resamples=1000, seed=draw)
        inside += low <= 0 <= high
    assert 0.88 < inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("looks", "largest"),
    # The mean of the largest of n normal deviates (Harter 1961, Biometrika 48:151).
    [(1, 0.0), (2, 0.56419), (3, 0.84628), (5, 1.16296), (10, 1.53875), (100, 2.50759)],
)
def test_the_largest_of_many_looks_is_that_of_the_tables(looks: int, largest: float) -> None:
    assert expected_optimism(looks, 0.9, 10_000) == pytest.approx(largest * 0.003, abs=1e-7)


def test_one_look_at_a_perfect_score_and_none_are_not_optimistic() -> None:
    assert expected_optimism(0, 0.9, 100) == expected_optimism(5, 1.0, 100) == 0


def test_the_majority_decides_and_the_surer_ones_where_there_is_none() -> None:
    predicted = np.array([[1, 1, 2, 0], [1, 2, 3, 5], [0, 2, 3, 5], [0, 1, 2, 5]])
    confidence = np.array([[0.9, 0.9, 0.5, 1.0], [0.9, 0.1, 0.7, 0.1], [0.7, 0.1, 0.7, 0.1], [0.7, 0.9, 0.5, 0.1]])
    assert majority(predicted, confidence).tolist() == [1, 1, 3, 5]
    assert majority(predicted[:1], confidence[:1]).tolist() == predicted[0].tolist()
