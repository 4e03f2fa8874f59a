"""Where the axis of an objective ends, if a few bad trials would squash the good ones."""

from collections.abc import Sequence

# Of fewer values, all are shown.
ENOUGH = 8


def span(values: Sequence[float], maximize: bool) -> tuple[float, float] | None:
    """Return the ends of an axis on which good trials differ; None: all values may be shown."""
    ordered = sorted(values)
    if len(ordered) < ENOUGH:
        return None
    low, high, at = ordered[0], ordered[-1], len(ordered) // 4
    if maximize and high - low > 4 * (high - ordered[at]) > 0:
        bound = ordered[at] - 0.5 * (high - ordered[at])
        return bound, high + 0.06 * (high - bound)
    if not maximize and high - low > 4 * (ordered[-1 - at] - low) > 0:
        bound = ordered[-1 - at] + 0.5 * (ordered[-1 - at] - low)
        return low - 0.06 * (bound - low), bound
    return None


def outside(values: Sequence[float], ends: tuple[float, float]) -> int:
    """Return how many of `values` lie beyond the ends of an axis."""
    return sum(not ends[0] <= value <= ends[1] for value in values)
