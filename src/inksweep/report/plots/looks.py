"""Colours, marks and strokes of trials by their state; told apart by the colour-blind too."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Look:
    """How trials of one state are drawn: never by colour alone."""

    colour: str
    # Mark, stroke and filling of bars, as plotly calls them.
    symbol: str
    dash: str
    pattern: str
    # Of what is written on a bar.
    text: str = "white"


# Colours of Okabe and Ito (2008).
LOOKS: Mapping[str, Look] = {
    "complete": Look("#0072B2", "circle", "solid", ""),
    "all-data": Look("#5B4B8A", "hexagon-open", "longdash", "|"),
    "pruned": Look("#E69F00", "x-thin-open", "dot", "/", "black"),
    "diverged": Look("#CC79A7", "triangle-down", "dash", "\\", "black"),
    "stopped": Look("#7A7A7A", "square-open", "dashdot", "."),
    "failed": Look("#D55E00", "cross-thin-open", "dash", "x"),
    "lost": Look("#56B4E9", "diamond-open", "dash", "-", "black"),
    "running": Look("#009E73", "circle-open", "solid", "+"),
}
WINNER = "#000000"
TARGET = "#D55E00"
TARGET_METRIC = "#009E73"
# From worse to better, or from earlier to later; even in brightness, and the same for the colour-blind.
SCALE = "Cividis"
INK, FAINT, GRID = "#1b1f24", "#5b636d", "#e4e7eb"
FONT = (
    'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif'
)
