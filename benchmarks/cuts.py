"""Makes src/inksweep/reading/cuts.npz: the two small networks that say where a line of ink is cut (reading/judge.py).

    python -m benchmarks.cuts OUTPUT [--strings 6000] [--minutes 4] [--data FOLDER]

Both learn on numbers of one to five digits, put together from MNIST's *training* digits by benchmarks/strings.py: what
is in the digits at which pixel is known there. The first learns at which pixels two digits meet; the second which of
the segments, between seams that the first has led to, is one whole digit. `--minutes` is for each of the two.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from benchmarks import strings
from benchmarks.commands import ROOT
from inksweep.reading import judge, seams
from inksweep.reading.parts import height_of, stroke_of

Floats = NDArray[np.float32]
# Windows of lines that the first network learns on, rows and columns.
WINDOW = 56, 96


class Meet(nn.Module):
    """Where digits meet: logits at half the size of the line."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        first, *others, last = judge.DILATIONS
        self.layers = nn.ModuleList(
            [
                nn.Conv2d(1, channels, 5, stride=2, padding=2 * first),
                *(nn.Conv2d(channels, channels, 3, padding=far, dilation=far) for far in others),
                nn.Conv2d(channels, 1, 3, padding=last),
            ]
        )

    def forward(self, ink: Tensor) -> Tensor:
        """Map (n, 1, h, w) to (n, h / 2, w / 2)."""
        for layer in self.layers[:-1]:
            ink = torch.relu(layer(ink))
        return self.layers[-1](ink)[:, 0]


class Whole(nn.Module):
    """Whether a segment is one whole digit, from its cells and facts: a logit."""

    def __init__(self, channels: tuple[int, ...] = (2, 12, 24, 32), hidden: int = 32) -> None:
        super().__init__()
        sides = (5, 3, 3)
        self.layers = nn.ModuleList(
            nn.Conv2d(before, after, side, stride=2, padding=side // 2)
            for before, after, side in zip(channels, channels[1:], sides, strict=False)
        )
        self.dense = nn.ModuleList([nn.Linear((judge.GRID // 8) ** 2 * channels[-1] + 5, hidden), nn.Linear(hidden, 1)])

    def forward(self, cells: Tensor, facts: Tensor) -> Tensor:
        """Map (n, 2, GRID, GRID) and (n, 5) to (n,)."""
        for layer in self.layers:
            cells = torch.relu(layer(cells))
        seen = torch.cat([cells.permute(0, 2, 3, 1).flatten(1), facts], 1)
        return self.dense[1](torch.relu(self.dense[0](seen)))[:, 0]


def main() -> None:
    """Make the strings, train one network after the other, write both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cuts", description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--strings", type=int, default=6000, help="numbers to learn on (default: 6000)")
    parser.add_argument("--minutes", type=float, default=4, help="training of each network (default: 4)")
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="where the prepared data set lies")
    typed = parser.parse_args()
    torch.manual_seed(0)
    images, _ = strings.prepared(typed.data, "train")
    lines = [line(images, np.random.default_rng([77, number])) for number in range(typed.strings)]
    inks = [as_found(layers.max(0), np.random.default_rng([78, number])) for number, layers in enumerate(lines)]
    stored: dict[str, NDArray[np.float16]] = {}
    stored |= weights("meet", taught_to_meet(lines, inks, typed.minutes * 60).layers)
    # The second learns on the segments that the first leads to.
    judge.weights = lambda: {name: values.astype(np.float32) for name, values in stored.items()}
    whole = taught_whole(lines, inks, typed.minutes * 60)
    stored |= weights("whole", [*whole.layers, *whole.dense])
    np.savez_compressed(typed.output, **stored)


def line(images: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """Return a number as judge.py sees one, each digit by itself: (digits, h, w), some HEIGHT tall, 0 to 1."""
    length = rng.choice([1, 2, 3, 4, 5], p=[0.15, 0.25, 0.25, 0.2, 0.15])
    spacing = str(rng.choice(strings.SPACINGS, p=[0.1, 0.2, 0.3, 0.4]))
    chosen = images[rng.integers(len(images), size=length)]
    layers = strings.turned(strings.written(list(chosen), spacing, rng), rng)
    rows, columns = np.nonzero(layers.max(0) > 0.3)
    layers = layers[:, max(rows.min() - 2, 0) : rows.max() + 3, max(columns.min() - 4, 0) : columns.max() + 5]
    scale = judge.HEIGHT / height_of(layers.max(0) > 0.5) * rng.uniform(0.9, 1.1)
    height, width = (max(8, round(side * scale)) for side in layers.shape[1:])
    small = [Image.fromarray(layer).resize((width, height), Image.Resampling.BILINEAR) for layer in layers]
    return np.pad(np.clip(np.stack([np.asarray(one) for one in small]), 0, 1), ((0, 0), (3, 3), (4, 4)))


def as_found(ink: Floats, rng: np.random.Generator) -> Floats:
    """Return clean ink as it might be found in a picture: softer or harder, with grain."""
    if rng.random() < 0.7:
        ink = ndimage.gaussian_filter(ink, rng.uniform(0.2, 0.9))
    ink = np.clip((ink - rng.uniform(0, 0.15)) * rng.uniform(1, 1.5), 0, 1)
    ink = ink + rng.normal(0, rng.uniform(0, 0.06), ink.shape) * (ink > 0.02)
    return ink.clip(0, 1).astype(np.float32)


def taught_to_meet(lines: list[Floats], inks: list[Floats], seconds: float) -> Meet:
    """Return the first network: two digits meet where both are within two pixels."""
    seen, wanted = [], []
    for layers, ink in zip(lines, inks, strict=True):
        near = np.stack([ndimage.distance_transform_edt(layer < 0.5) <= 2 for layer in layers]).sum(0) > 1
        for left in range(0, max(1, ink.shape[1] - WINDOW[1] // 2), WINDOW[1]):
            part = slice(left, left + WINDOW[1])
            rows = np.flatnonzero(ink[:, part].any(1))
            top = max(0, int(rows[0] + rows[-1]) // 2 - WINDOW[0] // 2) if len(rows) else 0
            here = slice(top, top + WINDOW[0]), part
            pad = [(0, side - length) for side, length in zip(WINDOW, ink[here].shape, strict=True)]
            seen.append(np.pad(ink[here], pad))
            wanted.append(np.pad(near[here], pad).reshape(WINDOW[0] // 2, 2, WINDOW[1] // 2, 2).mean((1, 3)))
    ink, met = torch.from_numpy(np.stack(seen)), torch.from_numpy(np.stack(wanted)).float()
    network = Meet()
    for rows in batches(network, len(ink), 32, seconds):
        loss = cross_entropy(network(ink[rows, None]), met[rows], weight=1 + 3 * met[rows])
        loss.backward()
    return network


def taught_whole(lines: list[Floats], inks: list[Floats], seconds: float) -> Whole:
    """Return the second network, taught on the segments of all lines."""
    every = [segments_of(layers, ink) for layers, ink in zip(lines, inks, strict=True)]
    cells, facts, whole = (torch.from_numpy(np.concatenate(column)) for column in zip(*every, strict=True))
    network = Whole()
    for rows in batches(network, len(cells), 128, seconds):
        shaken = facts[rows] * (1 + 0.03 * torch.randn(facts[rows].shape))
        loss = cross_entropy(network(cells[rows].permute(0, 3, 1, 2).float() / 255, shaken), whole[rows])
        loss.backward()
    return network


def segments_of(layers: Floats, ink: Floats) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """Return cells and facts of each segment of a line, and how far it is one whole digit, 0 to 1."""
    stroke = stroke_of(ink > 0.5)
    cuts = seams.find(ink, judge.parting(ink), judge.HEIGHT, stroke)
    found = seams.between(ink, cuts, judge.HEIGHT, stroke)

    def inside(values: Floats) -> Floats:
        upto = np.take_along_axis(seams.cumulative(values), cuts.columns.T, 1).sum(0)
        return upto[found.second] - upto[found.first]

    own = np.stack([inside(layer) for layer in layers], 1)  # (n, digits)
    total = layers.sum((1, 2))
    alike = own / (inside(layers.max(0))[:, None] + total - own)
    share = own / total
    rows, best = np.arange(len(own)), alike.argmax(1)
    others = share.copy()
    others[rows, best] = 0
    # Most of one digit, and not much of another: a slim one has little ink, but is one.
    whole = np.clip((alike[rows, best] - 0.6) / 0.25, 0, 1) * np.clip((share[rows, best] - 0.6) / 0.25, 0, 1)
    whole = whole * np.clip((0.6 - others.max(1, initial=0)) / 0.25, 0, 1)
    seen = (judge.cells(ink, cuts, found) * 255).clip(0, 255).astype(np.uint8)
    return seen, judge.facts(cuts, found, stroke), whole.astype(np.float32)


def batches(network: nn.Module, count: int, size: int, seconds: float) -> Iterator[Tensor]:
    """Yield rows to learn from, and take a step after each, until the time is over."""
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    began, steps = time.monotonic(), 0
    while True:
        for rows in torch.randperm(count).split(size):
            done = (time.monotonic() - began) / seconds
            if done >= 1:
                print(f"{type(network).__name__}: {steps} steps on {count} samples", file=sys.stderr)
                return
            for group in optimizer.param_groups:
                group["lr"] = 3e-3 * min(1, 0.05 + steps / 100) * (1 - done) + 1e-5
            optimizer.zero_grad()
            yield rows
            optimizer.step()
            steps += 1


def weights(name: str, layers: "nn.ModuleList | list[nn.Module]") -> dict[str, NDArray[np.float16]]:
    """Return the weights of layers as judge.py wants them: the channels that come out last."""
    stored = {}
    for number, layer in enumerate(layers):
        weight = layer.weight.detach()
        turned = weight.permute(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        stored[f"{name}{number}"] = turned.numpy().astype(np.float16)
        stored[f"{name}{number}_bias"] = layer.bias.detach().numpy().astype(np.float16)
    return stored


if __name__ == "__main__":
    main()
