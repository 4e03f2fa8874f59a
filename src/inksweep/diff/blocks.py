"""Pictures and curves out of block characters, for a terminal."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
# Where a terminal knows only ASCII.
PLAIN_BARS = "_.-=+*%#"
# Two pixels above each other in one character: the upper one in its colour, the lower one behind it.
HALF = "▀"


def sparkline(
    points: Sequence[tuple[float, float]],
    width: int,
    across: tuple[float, float],
    up: tuple[float, float],
    bars: str = BARS,
) -> str:
    """Draw a line through `points`, a character a column; before its first and after its last point it is blank.

    Args:
        points: (x, y), x rising.
        width: characters.
        across: the x of the left and the right edge.
        up: the y of the lowest and the highest bar.
        bars: from low to high.
    """
    if not points:
        return " " * width
    xs, ys = np.array(points, dtype=float).T
    left, right = across
    columns = np.linspace(left, right, width) if right > left else np.full(width, left)
    # A point lies somewhere in the half column around it.
    reach = (right - left) / (width - 1) / 2 if width > 1 else math.inf
    drawn = (columns >= xs[0] - reach) & (columns <= xs[-1] + reach)
    if right <= left:
        drawn = np.arange(width) == 0
    low, high = up
    share = (np.interp(columns, xs, ys) - low) / (high - low) if high > low else np.zeros(width)
    heights = np.clip(np.rint(share * (len(bars) - 1)), 0, len(bars) - 1).astype(int)
    return "".join(bars[height] if here else " " for height, here in zip(heights, drawn, strict=True))


def picture(pixels: npt.NDArray[np.integer[Any]]) -> list[Text]:
    """Draw a grey picture (h, w), 0 to 255, light on dark: half as many lines as it has rows."""
    height, width = pixels.shape
    padded = np.zeros((height + height % 2, width), dtype=int)
    padded[:height] = pixels
    lines = []
    for upper, lower in zip(padded[0::2], padded[1::2], strict=True):
        line = Text(no_wrap=True)
        for over, under in zip(upper.tolist(), lower.tolist(), strict=True):
            line.append(HALF, f"rgb({over},{over},{over}) on rgb({under},{under},{under})")
        lines.append(line)
    return lines
