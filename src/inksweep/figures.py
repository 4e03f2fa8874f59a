"""Pictures for people: plain data in, a matplotlib figure out. Nothing else imports matplotlib."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure, SubFigure
from torch import Generator, Tensor

from inksweep.data import scaled, to_input
from inksweep.paths import replacing

DIGIT_INCHES = 0.85
TITLE_INCHES = 0.55


@dataclass(frozen=True)
class Panel:
    """A block of digits under one title."""

    title: str
    # float (n, h, w), background 0, ink 1.
    pictures: Tensor


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whatever the name says."""
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png", dpi=150)


def one_of_each(labels: Tensor, classes: int, rounds: int) -> Tensor:
    """Return row numbers of the first `rounds` digits of each class: one of every class, then one more of each."""
    rows = [(labels == label).nonzero().flatten()[:rounds] for label in range(classes)]
    return torch.cat([row[turn : turn + 1] for turn in range(rounds) for row in rows])


def digit_panels(
    images: Tensor, mean: float, std: float, augment: Callable[[Tensor, Generator], Tensor] | None
) -> list[Panel]:
    """Show digits, uint8 (n, h, w), as stored, as the network sees them, and augmented (unless `augment` is None).

    What a network is given is turned back into ink before it is shown: whoever looks can see that nothing got lost.
    """
    stored = scaled(images)
    given = to_input(images, mean, std)
    restored = given * std + mean
    error = float((restored - stored).abs().max()) * 255
    panels = [
        Panel("As stored: 0 (background) to 255 (ink)", stored.squeeze(1)),
        Panel(
            f"As the network sees them: {float(given.min()):.2f} to {float(given.max()):.2f}; with that undone, "
            f"they differ from the stored by at most {error:.4f}",
            restored.squeeze(1),
        ),
    ]
    if augment is not None:
        changed = augment(stored, torch.Generator().manual_seed(0))
        panels.append(Panel(f"Augmented, as an epoch may show them: {augment}", changed.squeeze(1)))
    return panels


def digits_grid(title: str, panels: list[Panel], names: list[str], columns: int) -> Figure:
    """Draw each panel as a grid of `columns` digits with their class `names` (n) above them."""
    rows = -(-len(names) // columns)
    heights = (TITLE_INCHES + rows * (DIGIT_INCHES + 0.25)) * len(panels)
    figure = Figure(figsize=(columns * (DIGIT_INCHES + 0.1), heights + TITLE_INCHES), layout="constrained")
    figure.suptitle(title, fontsize=13, fontweight="bold")
    for part, panel in zip(figure.subfigures(len(panels), squeeze=False)[:, 0], panels, strict=True):
        _draw_panel(part, panel, names, rows, columns)
    return figure


def _draw_panel(figure: SubFigure, panel: Panel, names: list[str], rows: int, columns: int) -> None:
    figure.suptitle(panel.title, fontsize=10, x=0.01, horizontalalignment="left", wrap=True)
    cells = figure.subplots(rows, columns, squeeze=False).flat
    size = 10 if max(map(len, names)) < 8 else 7
    for cell, picture, name in zip(cells, panel.pictures, names, strict=False):
        cell.imshow(picture.numpy(), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        cell.set_title(name, fontsize=size, pad=2)
    for cell in figure.axes:
        cell.set(xticks=[], yticks=[])
        # A faint frame shows where a shifted digit lies in its picture; an empty cell has none.
        cell.spines[:].set(color="0.8", visible=bool(cell.images))
