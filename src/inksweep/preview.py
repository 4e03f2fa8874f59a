"""What `inksweep data` shows of a data set: digits as stored, as the network sees them, and augmented."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from inksweep.data import scaled, to_input
from inksweep.figures import Panel


def one_of_each(labels: Tensor, classes: int, rounds: int) -> Tensor:
    """Return row numbers of the first `rounds` digits of each class: one of every class, then one more of each."""
    rows = [(labels == label).nonzero().flatten()[:rounds] for label in range(classes)]
    return torch.cat([row[turn : turn + 1] for turn in range(rounds) for row in rows])


def panels(
    images: Tensor,
    names: Sequence[str],
    mean: float,
    std: float,
    augment: Callable[[Tensor, Generator], Tensor] | None,
) -> list[Panel]:
    """Show digits, uint8 (n, h, w), as stored, as the network sees them, and augmented (unless `augment` is None).

    What a network is given is turned back into ink before it is shown: whoever looks can see that nothing got lost.
    `names` (n) are those of their classes.
    """
    stored = scaled(images)
    given = to_input(images, mean, std)
    restored = given * std + mean
    error = float((restored - stored).abs().max()) * 255
    shown = [
        ("As stored: 0 (background) to 255 (ink)", stored),
        (
            f"As the network sees them: {float(given.min()):.2f} to {float(given.max()):.2f}; with that undone, "
            f"they differ from the stored by at most {error:.4f}",
            restored,
        ),
    ]
    if augment is not None:
        changed = augment(stored, torch.Generator().manual_seed(0))
        shown.append((f"Augmented, as an epoch may show them: {augment}", changed))
    return [Panel(title, pictures.squeeze(1).numpy(), names) for title, pictures in shown]
