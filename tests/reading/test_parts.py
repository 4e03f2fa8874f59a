"""parts.py and seams.py: a picture of grain or a long line is looked at in bounded time and memory."""

import numpy as np

from inksweep.reading import parts, seams


def test_of_thousands_of_parts_the_largest_are_looked_at() -> None:
    mask = np.kron(np.indices((60, 60)).sum(0) % 2 == 0, np.ones((6, 6), bool))
    mask[5::6], mask[:, 5::6] = False, False
    mask[100:200, 100:140] = True
    _, lines = parts.lines(mask)
    found = [part for line in lines for part in line]
    assert len(found) <= parts.MOST
    assert max(part.height for part in found) >= 100


def test_segments_of_a_long_line_are_those_that_may_be_digits_by_their_size() -> None:
    rng = np.random.default_rng(0)
    strength = np.pad((rng.random((32, 300)) > 0.75).astype(np.float32), 4)
    found = seams.find(strength, np.zeros_like(strength), 32, 2.0)
    segments = seams.between(strength, found, 32, 2.0)
    assert len(segments) < 60 * len(found.inks)
    # Each pair of seams again, by itself.
    mask = strength > 0.4
    places = np.arange(strength.shape[1])
    chosen = set(zip(segments.first.tolist(), segments.second.tolist(), strict=True))
    pairs = rng.integers(0, len(found.inks), (300, 2))
    for first, second in pairs[pairs[:, 0] < pairs[:, 1]]:
        left, right = (found.columns[seam][:, None] for seam in (first, second))
        own = mask & (places >= left) & (places < right)
        columns = np.flatnonzero(own.any(0))
        if columns.size and np.ptp(columns) + 1 >= seams.BROADEST * 32:
            assert (first, second) not in chosen
        elif (strength * own).sum() > 30 and np.ptp(np.flatnonzero(own.any(1))) + 1 > 0.35 * 32:
            assert (first, second) in chosen
