"""How a measured number is called and written: label, unit, decimals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

SPLITS = {"val": "validation", "test": "test", "train": "training"}
NATS = ("val/loss", "test/loss", "train/loss")


@dataclass(frozen=True)
class Quantity:
    """Something measured: an objective, or a metric."""

    # As in result.json: `val/accuracy`, `parameters`, `seconds/train`.
    name: str
    # In words, for titles and axes.
    label: str
    unit: str = ""
    # Of what is shown to what is stored: accuracies are stored as fractions.
    scale: float = 1.0

    @property
    def axis(self) -> str:
        """Return the title of its axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def text(self, value: float | None) -> str:
        """Return a value as text, with its unit."""
        if value is None or not math.isfinite(value):
            return "-"
        number, space = value * self.scale, " " if self.unit else ""
        if self.unit == "%":
            return f"{number:.2f} %"
        if self.unit == "s":
            return duration(number)
        whole = number == int(number) and abs(number) >= 10
        return f"{number:,.0f}{space}{self.unit}" if whole else f"{number:.4g}{space}{self.unit}"


def quantity(name: str, values: Iterable[float] = ()) -> Quantity:
    """Return how the metric `name` is written; `values` are some of it, to see whether it is a fraction."""
    split, _, kind = name.rpartition("/")
    of = SPLITS.get(split, split)
    if kind == "accuracy" and all(0 <= value <= 1 for value in values):
        return Quantity(name, f"{of} accuracy".strip(), "%", 100.0)
    if kind == "warped_accuracy" and all(0 <= value <= 1 for value in values):
        return Quantity(name, f"{of} accuracy, warped".strip(), "%", 100.0)
    if name in NATS:
        return Quantity(name, f"{of} loss", "nats")
    if split == "seconds" or name == "seconds":
        return Quantity(name, f"time, {kind}" if split else "time", "s")
    return Quantity(name, name)


def duration(seconds: float) -> str:
    """Return a time as text: `0.42 s`, `12.3 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 1:
        return f"{seconds:.2g} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, part, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            count, rest = divmod(whole, size)
            return f"{count} {unit} {rest // part} {small}" if rest // part else f"{count} {unit}"
    raise AssertionError("a minute or more")
