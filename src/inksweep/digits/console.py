"""What a run shows while it trains: a bar on a terminal or, in a log, how far it is; and a line an evaluation."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from inksweep.digits.training.loop import Plan, Progress

Item = TypeVar("Item")


def bar(items: Iterable[Item], length: int) -> Iterable[Item]:
    """Yield `items`, with a bar on a terminal that is gone when they end; elsewhere just yield them."""
    if not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, description="training", total=length, console=Console(stderr=True), transient=True)


def line(row: dict[str, float], epochs: int) -> str:
    """Return an evaluation as one line."""
    warped = f"warped {row['val/warped_accuracy']:.2%}  " if "val/warped_accuracy" in row else ""
    return (
        f"epoch {row['epoch']:5.2f}/{epochs}  train/loss {row['train/loss']:.4f}  val/loss {row['val/loss']:.4f}  "
        f"val/accuracy {row['val/accuracy']:.2%}  {warped}lr {row['lr']:.2e}  {row['seconds']:.1f} s  "
        f"{row['images_per_second']:,.0f} images/s"
    )


def how_far(step: int, plan: Plan, progress: Progress) -> str:
    """Return in a line how far a training is, after so many batches, between two evaluations."""
    value = None if progress.best is None else progress.best[progress.objective]
    best = "" if value is None else f", best {progress.objective} {value:.4f}"
    return f"epoch {step / plan.steps_per_epoch:.2f} of {plan.epochs}, batch {step:,} of {plan.total_steps:,}{best}"
