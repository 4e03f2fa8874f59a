"""Numbers, nouns and tables as a card writes them, in Markdown."""

import json
from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> str:
    """Return a table; of its columns, the `right` ones after the first are numbers."""
    rule = ["---:" if 1 <= column <= right else "---" for column in range(len(heading))]
    lines = [heading, rule, *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def with_article(noun: str) -> str:
    """Return a noun behind its article."""
    # The letters M, L, N, ... are spoken with a vowel first.
    return f"An {noun}" if noun[0] in "AEFHILMNORSX" else f"A {noun}"


def percent(share: float, digits: int = 2) -> str:
    """Return a share, 0..1, as percent."""
    return f"{100 * share:.{digits}f}%"


def interval(ends: Sequence[float]) -> str:
    """Return an interval of shares, as percent."""
    return f"{percent(ends[0])} to {percent(ends[1])}"


def points(share: float) -> str:
    """Return a difference of shares in points, without a sign."""
    return f"{100 * share:.2f} points"


def metric(name: str, value: float | None) -> str:
    """Return the value of the metric `name`: an accuracy as percent."""
    if value is None:
        return "-"
    return percent(value) if name.endswith("accuracy") else f"{value:.4g}"


def deviation(name: str, value: float) -> str:
    """Return a standard deviation of the metric `name`: of an accuracy in points."""
    return f"{100 * value:.2f}" if name.endswith("accuracy") else f"{value:.2g}"


def setting(value: object) -> str:
    """Return the value of a setting about as one types it."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace(" ", "")


def count(number: int, noun: str) -> str:
    """Return a number and its noun, singular or plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    """Return how many times, in words."""
    return {0: "not once", 1: "once", 2: "twice"}.get(number, f"{number} times")


def duration(seconds: float) -> str:
    """Return a time in seconds or minutes."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} minutes"


def size(count: int) -> str:
    """Return a size in bytes, kB or MB."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
