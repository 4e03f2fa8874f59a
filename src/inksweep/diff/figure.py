"""Two runs side by side as one picture: their curves, and digits on which they disagree."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

from inksweep import figures
from inksweep.diff import difference
from inksweep.diff.difference import Diff, Disagreements
from inksweep.errors import Unavailable
from inksweep.figures import Panel
from inksweep.files import replacing

# RGB from 0 to 1, (h, w, 3).
Pixels = npt.NDArray[np.floating[Any]]

DIGITS, BESIDE = 30, 6
DPI = 150
# White around each part, in pixels.
GAP = 15


def save(diff: Diff, path: Path) -> str | None:
    """Write the picture as PNG; if it has no digits, say why."""
    names = [
        f"{who}: {run.name}{', trained on validation too' if run.trained_on_validation else ''}"
        for who, run in (("A", diff.a), ("B", diff.b))
    ]
    curves = dict(zip(names, diff.curves, strict=True))
    kept = {
        name: row["epoch"]
        for name, run, rows in zip(names, (diff.a, diff.b), diff.curves, strict=True)
        if (row := difference.kept(run, rows)) is not None
    }
    drawn, why = [figures.learning_curves(curves, kept)], None
    try:
        drawn.append(_digits(diff))
    except Unavailable as reason:
        why = str(reason)
    whole = BytesIO()
    imsave(whole, _stacked([_pixels(figure) for figure in drawn]), format="png", dpi=DPI)
    with replacing(path, "wb") as file:
        file.write(whole.getvalue())
    return why


def _digits(diff: Diff) -> Figure:
    answers = diff.disagreements
    if isinstance(answers, str):
        raise Unavailable(answers)
    rows = answers.rows[:DIGITS].tolist()
    pictures = difference.images(diff, rows) / 255 if rows else np.zeros((0, 1, 1))
    count = len(answers.rows)
    some = f"{len(rows)} of {count:,}" if count > len(rows) else f"{count:,}"
    title = f"Pictures on which they disagree: {some} ({diff.split} split of {len(answers.a):,})"
    none = "None: A and B give the same answer to each picture."
    return figures.digits(title, [Panel("", pictures, captions(answers, rows))], BESIDE, none)


def captions(answers: Disagreements, rows: Sequence[int]) -> list[str]:
    """Say of each row what it is, and what A and B took it for how surely."""

    def caption(row: int) -> str:
        lines = [
            f"{who}: {answers.name(int(of.predicted[row]))} ({of.confidence[row]:.1%})"
            for who, of in (("A", answers.a), ("B", answers.b))
        ]
        return "\n".join([f"row {row}, true: {answers.name(int(answers.a.labels[row]))}", *lines])

    return [caption(row) for row in rows]


def _pixels(figure: Figure) -> Pixels:
    drawn = BytesIO()
    figure.savefig(drawn, format="png", dpi=DPI)
    drawn.seek(0)
    return np.asarray(imread(drawn, format="png"))[..., :3]


def _stacked(parts: Sequence[Pixels]) -> Pixels:
    """Put pictures (h, w, 3) above each other, the narrower ones in the middle, on white."""
    width = max(part.shape[1] for part in parts)
    padded = []
    for part in parts:
        left = (width - part.shape[1]) // 2
        sides = ((GAP, GAP), (GAP + left, GAP + width - part.shape[1] - left), (0, 0))
        padded.append(np.pad(part, sides, constant_values=1.0))
    return np.concatenate(padded)
