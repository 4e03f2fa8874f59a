"""`inksweep data`: the numbers of a data set, and digits as stored, as the network sees them, and augmented."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from inksweep import figures
from inksweep.digits.augment import Identity
from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import compose
from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits, scaled, to_input
from inksweep.digits.training import device
from inksweep.digits.training.build import build
from inksweep.figures import Panel

if TYPE_CHECKING:
    from rich.table import Table

    from inksweep.digits.config.schema import Config


def run(name: str, overrides: Sequence[str] = (), augment: str | None = None, out: Path | None = None) -> None:
    """Fetch and verify a data set, print shapes and ranges, draw digits before and after preprocessing.

    Args:
        name: a file of conf/data, such as `mnist`.
        overrides: settings, such as `data.root=/elsewhere`.
        augment: a file of conf/augment, shown too.
        out: the picture; None: `outputs/NAME.png`, or `outputs/NAME-AUGMENT.png`.

    Raises:
        InputError: there is no such file, a setting cannot be used, or the data set cannot be had.
    """
    from rich.console import Console

    chosen = [f"augment={augment}"] if augment else []
    conf = compose([f"data={name}", *chosen, *overrides])
    device.set_threads(conf.trainer.threads)
    splits = dataset.load(conf.data)
    measured = [facts(split, getattr(splits, split), conf.data) for split in ("train", "val", "test")]
    Console().print(table(conf, measured))

    classes = conf.data.classes
    digits = splits.train.subset(one_of_each(splits.train.labels, len(classes), rounds=2))
    names = [classes[label] for label in digits.labels.tolist()]
    built = build("augment", conf.augment)
    change = None if isinstance(built, Identity) else built
    drawn = panels(digits.images, names, conf.data.mean, conf.data.std, change)
    path = out or Path("outputs") / f"{'-'.join([conf.data.name, *([augment] if augment else [])])}.png"
    figures.save(figures.digits(f"{conf.data.name}: training digits", drawn, len(classes)), path)
    print(f"picture: {path}")


@dataclass(frozen=True)
class Facts:
    """What is in one split, on the scale 0..1, and after normalisation as the network sees it."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    # Least and greatest value, mean and standard deviation of the pixels.
    stored_range: tuple[int, int]
    mean: float
    std: float
    input_range: tuple[float, float]
    input_mean: float
    input_std: float
    # Pictures of each class, in the order of the labels.
    class_counts: list[int]


def facts(name: str, digits: Digits, conf: DataConfig) -> Facts:
    """Measure a split; exact, as the 256 possible values are counted."""
    counts = torch.bincount(digits.images.flatten(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts / counts.sum()
    mean = float(share @ values)
    std = float((share @ (values - mean).square()).sqrt())
    present = counts.nonzero().flatten()
    low, high = int(present[0]), int(present[-1])
    return Facts(
        name=name,
        shape=tuple(digits.images.shape),
        dtype=str(digits.images.dtype).removeprefix("torch."),
        stored_range=(low, high),
        mean=mean,
        std=std,
        input_range=((low / 255 - conf.mean) / conf.std, (high / 255 - conf.mean) / conf.std),
        input_mean=(mean - conf.mean) / conf.std,
        input_std=std / conf.std,
        class_counts=torch.bincount(digits.labels, minlength=len(conf.classes)).tolist(),
    )


def table(conf: "Config", measured: "Sequence[Facts]") -> "Table":
    """Return what `inksweep data` prints of a data set."""
    from rich.table import Table

    table = Table(title=f"{conf.data.name}, verified", title_justify="left")
    for heading in ("", *(part.name for part in measured)):
        table.add_column(heading, justify="right" if heading else "left")

    def row(name: str, cells: list[str], *, last: bool = False) -> None:
        table.add_row(name, *cells, end_section=last)

    row("shape", [" x ".join(f"{length:,}" for length in part.shape) for part in measured])
    row("type", [part.dtype for part in measured])
    row("stored values", ["{} to {}".format(*part.stored_range) for part in measured])
    row("mean (of 0 to 1)", [f"{part.mean:.4f}" for part in measured])
    row("std (of 0 to 1)", [f"{part.std:.4f}" for part in measured], last=True)
    row("normalised values", ["{:.3f} to {:.3f}".format(*part.input_range) for part in measured])
    # + 0.0: no minus before a zero
    row("normalised mean", [f"{round(part.input_mean, 4) + 0.0:.4f}" for part in measured])
    row("normalised std", [f"{part.input_std:.4f}" for part in measured], last=True)
    for label, name in enumerate(conf.data.classes):
        row(f"class {name}", [f"{part.class_counts[label]:,}" for part in measured])
    return table


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
    """Return digits as stored, as the network sees them, and augmented, a panel each.

    What a network is given is turned back into ink before it is drawn, to show that normalising loses nothing.

    Args:
        images: uint8 (n, h, w).
        names: of their classes, (n,).
        mean: of the training pixels, on a scale of 0 to 1.
        std: their standard deviation.
        augment: float pictures (n, 1, h, w) in 0..1 and a generator -> the same shape; None: not drawn.
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
