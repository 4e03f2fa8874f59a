"""Numbers written with MNIST's digits on made paper, and how many of them are read as a whole.

    python -m benchmarks.strings WINNER [--split test] [--count 200] [--seed 1] [--data FOLDER] [--show FOLDER]

Every picture follows from the seed: digits, their sizes and strokes, how far they stand apart, paper, colours, light,
noise, rotation to 10 degrees, JPEG of quality 40. `--split train` is for tuning, `--split test` for what is reported.
"""

import argparse
import io
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import inksweep
from benchmarks.commands import ROOT

Grey = NDArray[np.float32]
# How the digits of a number stand: each has some 20 to 60 pixels of height.
#   apart     clear ground between the columns of two digits
#   close     a gap of one to three strokes' breadth, columns may overlap
#   mixed     every second pair or so touches, the others are close
#   touching  each digit touches the one before
SPACINGS = ("apart", "close", "mixed", "touching")


@dataclass(frozen=True)
class Drawn:
    """A made picture, uint8 (h, w, 3), and the number in it."""

    picture: NDArray[np.uint8]
    text: str


def numbers(
    images: NDArray[np.uint8], labels: NDArray[np.integer], count: int, length: int, spacing: str, seed: int
) -> Iterator[Drawn]:
    """Yield `count` pictures of numbers with `length` digits; the same arguments, the same pictures.

    Args:
        images: digits, uint8 (n, 28, 28), white on black.
        labels: their values, (n,).
        spacing: one of SPACINGS.
    """
    for number in range(count):
        rng = np.random.default_rng([seed, length, SPACINGS.index(spacing), number])
        chosen = rng.integers(len(images), size=length)
        layers = turned(written([images[one] for one in chosen], spacing, rng), rng)
        yield Drawn(photographed(layers.max(0), rng), "".join(str(labels[one]) for one in chosen))


def written(digits: Sequence[NDArray[np.uint8]], spacing: str, rng: np.random.Generator) -> Grey:
    """Return the ink of a number, 0 to 1, each digit by itself on the same ground: (digits, h, w)."""
    height = rng.uniform(24, 60)
    inks = [sized(digit, height * rng.uniform(0.88, 1.12), rng) for digit in digits]
    rise = height * 0.08
    tall = int(max(ink.shape[0] for ink in inks) + 2 * rise + 4)
    wide = sum(ink.shape[1] for ink in inks) + int(height * (len(inks) + 2))
    ground = np.zeros((tall, wide), np.float32)
    layers: list[Grey] = []
    right = 0
    for ink in inks:
        top = int(np.clip((tall - ink.shape[0]) / 2 + rng.uniform(-rise, rise), 0, tall - ink.shape[0]))
        layer = np.zeros_like(ground)
        here = slice(top, top + ink.shape[0])
        left = _left(ground[here], ink, right, height, spacing, rng) if layers else int(height / 3)
        layer[here, left : left + ink.shape[1]] = ink
        ground = np.maximum(ground, layer)
        layers.append(layer)
        right = max(right, left + ink.shape[1])
    columns = slice(max(int(layers[0].any(0).argmax()) - 1, 0), right + 1)
    return np.stack([layer[:, columns] for layer in layers])


def _left(band: Grey, ink: Grey, right: int, height: float, spacing: str, rng: np.random.Generator) -> int:
    """Return the column where `ink` begins, beside the ink in `band` that ends before column `right`."""
    if spacing == "apart":
        return int(right + height * rng.uniform(0.1, 0.5))
    # Slide it to the left until ink meets ink: how much ground is between the two in each row, and the least of them.
    old, new = band[:, :right] > 0.4, ink > 0.4
    rows = old.any(1) & new.any(1)
    if rows.any():
        last = right - 1 - old[:, ::-1].argmax(1)
        meets = int((last - new.argmax(1))[rows].max()) + 1
    else:
        meets = right
    meets = max(meets, right - int(0.6 * ink.shape[1]))
    stroke = max(1.0, height / 10)
    touches = spacing == "touching" or (spacing == "mixed" and rng.random() < 0.5)
    return round(meets - rng.uniform(0.15, 0.5) * stroke if touches else meets + rng.uniform(1, 3) * stroke)


def sized(digit: NDArray[np.uint8], height: float, rng: np.random.Generator) -> Grey:
    """Return a digit out of its frame, in the given size (longest side), its strokes thinner or thicker."""
    rows, columns = np.nonzero(digit > 40)
    ink = digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].astype(np.float32) / 255
    zoom = height / max(ink.shape)
    ink = ndimage.zoom(np.pad(ink, 1), zoom, order=3)
    # A sharp edge, moved outwards or inwards by up to a tenth of a stroke.
    level = rng.uniform(0.35, 0.55)
    ink = np.clip((ndimage.gaussian_filter(ink, zoom / 4) - level) * zoom * 1.5 + 0.5, 0, 1).astype(np.float32)
    rows, columns = np.nonzero(ink > 0.3)
    if not len(rows):
        return sized(digit, height, rng)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def turned(layers: Grey, rng: np.random.Generator) -> Grey:
    """Return the same ink with ground around it, turned by up to ten degrees: (digits, h, w)."""
    margin = int(layers.shape[1] * rng.uniform(0.3, 1.2))
    layers = np.pad(layers, ((0, 0), (margin, margin), (margin, margin)))
    return ndimage.rotate(layers, rng.uniform(-10, 10), axes=(2, 1), order=1, mode="constant")


def photographed(ink: Grey, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return `ink` (h, w) as it comes from a camera, a scan or a canvas: uint8 (h, w, 3)."""
    height, width = ink.shape
    paper, pen = _colours(rng)
    light = np.ones((height, width), np.float32)
    if rng.random() < 0.7:
        down, across = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
        angle = rng.uniform(0, 2 * np.pi)
        slope = np.cos(angle) * across + np.sin(angle) * down
        light = (1 - rng.uniform(0, 0.4) * (0.5 + 0.5 * slope)).astype(np.float32)
    grain = ndimage.gaussian_filter(rng.normal(0, 1, (height, width)), rng.uniform(0.5, 2))
    grain *= rng.uniform(0, 0.03) / max(grain.std(), 1e-6)
    strength = (ink * rng.uniform(0.75, 1) * (1 + 3 * grain))[..., None].clip(0, 1)
    picture = (paper * (1 - strength) + pen * strength) * light[..., None] + grain[..., None]
    picture = ndimage.gaussian_filter(picture, (blur := rng.uniform(0, 0.8), blur, 0))
    picture += rng.normal(0, rng.uniform(0, 0.03), picture.shape)
    image = Image.fromarray((picture.clip(0, 1) * 255).astype(np.uint8))
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=40)
    return np.asarray(Image.open(stored).convert("RGB"))


def _colours(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the colours of paper and pen: every fourth picture light on dark."""
    light = rng.uniform(0.72, 1) - rng.uniform(0, 0.12, 3)
    dark = rng.uniform(0, 0.3) + rng.uniform(0, 0.15, 3)
    return (dark, light) if rng.random() < 0.25 else (light, dark)


def main() -> None:
    """Print a table: numbers read as a whole by spacing, and how long one takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.strings", description=__doc__.splitlines()[0])
    parser.add_argument("winner", help="the folder of a winner, or its model.onnx")
    parser.add_argument("--split", choices=("train", "test"), default="test", help="whose digits (default: test)")
    parser.add_argument("--count", type=int, default=200, help="pictures of each kind (default: 200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=ROOT / "data", help="where the prepared data set lies")
    parser.add_argument("--show", type=Path, help="write the pictures that are misread into this folder")
    typed = parser.parse_args()
    images, labels = prepared(typed.data, typed.split)
    reader = inksweep.load(typed.winner)
    print("| numbers | pictures | whole | digits | median ms |\n|---|---|---|---|---|")
    for length, spacing in ((1, "apart"), *((5, spacing) for spacing in SPACINGS)):
        drawn = list(numbers(images, labels, typed.count, length, spacing, typed.seed))
        texts, seconds = [], []
        for one in drawn:
            began = time.perf_counter()
            texts.append(reader.read(one.picture).text)
            seconds.append(time.perf_counter() - began)
        whole = [text == one.text for text, one in zip(texts, drawn, strict=True)]
        lost = sum(min(length, edits(text, one.text)) for text, one in zip(texts, drawn, strict=True))
        name = "single digit" if length == 1 else f"{length} digits, {spacing}"
        share = 1 - lost / (length * len(drawn))
        milliseconds = 1000 * statistics.median(seconds)
        print(f"| {name} | {len(drawn)} | {np.mean(whole):.1%} | {share:.1%} | {milliseconds:.0f} |", flush=True)
        if typed.show:
            typed.show.mkdir(parents=True, exist_ok=True)
            for number, (text, one) in enumerate(zip(texts, drawn, strict=True)):
                if text != one.text:
                    file = f"{spacing}_{number}_{one.text}_read_{text.replace('?', 'x')}.png"
                    Image.fromarray(one.picture).save(typed.show / file)


def prepared(root: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.integer]]:
    """Return MNIST's digits (n, 28, 28) and their labels (n,) from the prepared data set below `root`."""
    folders = sorted(root.glob("prepared/mnist-*/manifest.json"))
    if not folders:
        sys.exit(f"no prepared MNIST below {root}: run `python train.py --cfg job` or name its folder with --data")
    folder = folders[0].parent
    return np.load(folder / f"{split}-images.npy"), np.load(folder / f"{split}-labels.npy")


def edits(one: str, other: str) -> int:
    """Return how many characters must be put in, taken out or replaced to make one text of the other."""
    row = list(range(len(other) + 1))
    for number, left in enumerate(one, 1):
        before, row = row, [number]
        for place, right in enumerate(other, 1):
            row.append(min(before[place] + 1, row[-1] + 1, before[place - 1] + (left != right)))
    return row[-1]


if __name__ == "__main__":
    main()
