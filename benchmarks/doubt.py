"""What is no digit: makes the weights of reading/doubt.py, and measures what it refuses.

    python -m benchmarks.doubt learn --data FOLDER              # writes src/inksweep/reading/doubt.npz
    python -m benchmarks.doubt measure WINNER --data FOLDER     # a table: share refused, of digits and of what is none

Digits are MNIST's, on made paper (strings.py): the training pictures to learn from, the test pictures to measure with.
What is none is drawn: letters and signs of fonts that matplotlib brings, bent; scribbles; blots; two digits that touch.
Letters that look like digits (O, l, S, ...) are not learned from. Everything follows from the seed.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from benchmarks import strings
from inksweep.reading import ink

if TYPE_CHECKING:
    from torch import Tensor

Grey = NDArray[np.float32]
Pixels = NDArray[np.uint8]

FONTS = (
    "DejaVuSans",
    "DejaVuSerif",
    "DejaVuSansMono",
    "DejaVuSans-Oblique",
    "STIXGeneral",
    "STIXGeneralItalic",
    "cmr10",
)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# A person could not tell these from a digit either, without the word around them.
LIKE_DIGITS = "OoQDlIiJjSsZzBGgqbyTtVvC"
SIGNS = "&%#@?!+=*$<>{}~^"
TALL = 60


def digit(images: Pixels, rng: np.random.Generator) -> Grey:
    """Return the ink of one digit."""
    return strings.sized(images[rng.integers(len(images))], rng.uniform(24, TALL), rng)


def pair(images: Pixels, rng: np.random.Generator) -> Grey:
    """Return the ink of two digits that touch."""
    height = rng.uniform(28, TALL)
    chosen = [images[rng.integers(len(images))] for _ in range(2)]
    one, two = (strings.sized(each, height, rng) for each in chosen)
    tall = max(one.shape[0], two.shape[0])
    one, two = (np.pad(each, ((0, tall - each.shape[0]), (0, 0))) for each in (one, two))
    lap = int(rng.integers(1, max(2, min(one.shape[1], two.shape[1]) // 3)))
    both = np.zeros((tall, one.shape[1] + two.shape[1] - lap), np.float32)
    both[:, : one.shape[1]] = one
    both[:, one.shape[1] - lap :] = np.maximum(both[:, one.shape[1] - lap :], two)
    return both


def letter(text: str, rng: np.random.Generator) -> Grey:
    """Return the ink of a letter or a sign, bent as a hand might."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font = ImageFont.truetype(folder / f"{FONTS[rng.integers(len(FONTS))]}.ttf", int(rng.integers(40, 70)))
    sheet = Image.new("L", (120, 120), 0)
    ImageDraw.Draw(sheet).text((20, 15), text, 255, font)
    return bent(np.asarray(sheet, np.float32) / 255, rng)


def bent(drawn: Grey, rng: np.random.Generator) -> Grey:
    """Return ink moved about smoothly."""
    moved = [ndimage.gaussian_filter(rng.normal(0, 1, drawn.shape), 9) * rng.uniform(0, 22) for _ in range(2)]
    places = np.mgrid[0 : drawn.shape[0], 0 : drawn.shape[1]] + np.stack(moved)
    return trimmed(ndimage.map_coordinates(drawn, places, order=1))


def scribble(rng: np.random.Generator) -> Grey:
    """Return the ink of a line that goes nowhere."""
    count = int(rng.integers(3, 10))
    points = rng.uniform(10, 110, (count, 2))
    along = np.linspace(0, count - 1, 200)
    soft = rng.uniform(3, 14)
    x, y = (ndimage.gaussian_filter1d(np.interp(along, range(count), points[:, axis]), soft) for axis in (0, 1))
    sheet = Image.new("L", (120, 120), 0)
    line = list(zip(x.tolist(), y.tolist(), strict=True))
    ImageDraw.Draw(sheet).line(line, 255, int(rng.integers(4, 9)), joint="curve")
    return trimmed(np.asarray(sheet, np.float32) / 255)


def blot(rng: np.random.Generator) -> Grey:
    """Return a blot of ink."""
    cloud = ndimage.gaussian_filter(rng.normal(0, 1, (90, 90)), rng.uniform(3, 12))
    labels, _ = ndimage.label(cloud > np.quantile(cloud, rng.uniform(0.6, 0.9)))
    return trimmed((labels == 1 + np.bincount(labels.ravel())[1:].argmax()).astype(np.float32))


def trimmed(drawn: Grey) -> Grey:
    """Return ink without the ground around it."""
    rows, columns = np.nonzero(drawn > 0.3)
    return drawn[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] if len(rows) else drawn


def seen(drawn: Grey, rng: np.random.Generator) -> Pixels | None:
    """Return what a network sees of ink, uint8 (28, 28): every second as drawn on a canvas, the others on made paper.

    None: no ink is found on it.
    """
    sheet = np.pad(drawn, int(drawn.shape[0] * rng.uniform(0.4, 0.9)) + 4)
    sheet = ndimage.rotate(sheet, rng.uniform(-10, 10), order=1)
    if rng.random() < 0.5:
        return ink.frame(sheet.clip(0, 1), sheet > 0.5)
    photo = strings.photographed(sheet.astype(np.float32), rng)
    grey = np.asarray(Image.fromarray(photo).convert("L"), np.float32) / 255
    found = ink.find(grey)
    return ink.frame(found.strength, found.mask) if found.mask.any() else None


def many(draw: Callable[[np.random.Generator], Grey], count: int, seed: int) -> Pixels:
    """Return what is seen of `count` drawings: (n, 28, 28), less those without ink."""
    pictures = (seen(draw(rng), rng) for rng in (np.random.default_rng([seed, number]) for number in range(count)))
    return np.stack([picture for picture in pictures if picture is not None])


def none_of_these(images: Pixels, count: int, seed: int, letters: str) -> Iterator[tuple[str, Pixels]]:
    """Yield what is no digit, by kind."""
    yield "letters", many(lambda rng: letter(str(rng.choice(list(letters))), rng), count, seed)
    yield "signs", many(lambda rng: letter(str(rng.choice(list(SIGNS))), rng), count // 3, seed + 1)
    yield "scribbles", many(scribble, count, seed + 2)
    yield "blots", many(blot, count // 2, seed + 3)
    yield "two digits that touch", many(lambda rng: pair(images, rng), count // 2, seed + 4)


def read_raw(folder: Path, name: str) -> Pixels:
    """Return the pictures of one of MNIST's raw files."""
    return np.frombuffer((folder / "MNIST" / "raw" / name).read_bytes(), np.uint8)[16:].reshape(-1, 28, 28)


def learn(folder: Path, out: Path, seed: int = 1) -> None:
    """Learn to tell digits from what is none, and write the weights."""
    import torch
    from torch import nn

    images = read_raw(folder, "train-images-idx3-ubyte")
    unlike = "".join(sorted(set(LETTERS) - set(LIKE_DIGITS)))
    real = np.concatenate([many(lambda rng: digit(images, rng), 6_000, seed), images[::4]])
    others = np.concatenate([pixels for _, pixels in none_of_these(images, 3_000, seed + 10, unlike)])
    pixels = torch.tensor(np.concatenate([real, others]), dtype=torch.float32).unsqueeze(1) / 255
    wanted = torch.cat([torch.ones(len(real)), torch.zeros(len(others))])
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.ReLU(),
        nn.Conv2d(12, 24, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(24 * 7 * 7, 40), nn.ReLU(), nn.Dropout(0.2), nn.Linear(40, 1),
    )  # fmt: skip
    epochs, batch = 12, 256
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * (len(pixels) // batch))
    for _ in range(epochs):
        order = torch.randperm(len(pixels))
        for rows in order[: len(pixels) // batch * batch].split(batch):
            loss = nn.functional.binary_cross_entropy_with_logits(net(moved(pixels[rows]))[:, 0], wanted[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"loss {loss.item():.4f}", flush=True)
    layers = [net[0], net[2], net[6], net[9]]
    weights = {}
    for number, layer in enumerate(layers):
        weights[f"layer{number}"] = layer.weight.detach().numpy().astype(np.float16)
        weights[f"bias{number}"] = layer.bias.detach().numpy().astype(np.float16)
    np.savez_compressed(out, **weights)


def moved(pixels: "Tensor") -> "Tensor":
    """Return pictures turned, sized and moved a little, (n, 1, 28, 28)."""
    import torch
    from torch.nn import functional

    count = len(pixels)
    angle, size = (torch.rand(count) - 0.5) * 0.35, 1 + (torch.rand(count) - 0.5) * 0.25
    shift = (torch.rand(count, 2) - 0.5) * 0.14
    rows = [torch.cos(angle) * size, -torch.sin(angle) * size, shift[:, 0]]
    rows += [torch.sin(angle) * size, torch.cos(angle) * size, shift[:, 1]]
    grid = functional.affine_grid(torch.stack(rows, 1).view(count, 2, 3), list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, align_corners=False)


def measure(winner: Path, folder: Path, count: int, seed: int = 1000) -> None:
    """Print how many of each kind a winner refuses to name."""
    from inksweep.opening import winner as opening
    from inksweep.reading import doubt

    reader = opening.reader(winner, "benchmarks.doubt")
    images = read_raw(folder, "t10k-images-idx3-ubyte")
    unlike = "".join(sorted(set(LETTERS) - set(LIKE_DIGITS)))
    kinds = [
        ("MNIST's test digits as they are", images),
        ("digits on paper", many(lambda rng: digit(images, rng), count, seed)),
    ]
    kinds += none_of_these(images, count, seed + 10, unlike)
    kinds.append(
        ("letters like digits", many(lambda rng: letter(str(rng.choice(list(LIKE_DIGITS))), rng), count, seed + 20))
    )
    for name, pixels in kinds:
        sure = doubt.confidences(pixels, reader.answer(pixels), reader.classes)
        print(f"{name:34s}{len(pixels):7,}  refused {np.mean(sure < doubt.MIN_CONFIDENCE):6.1%}", flush=True)


def main() -> None:
    """Learn or measure, as typed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["learn", "measure"])
    parser.add_argument("winner", nargs="?", type=Path)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--out", type=Path, default=Path("src/inksweep/reading/doubt.npz"))
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.what == "learn":
        learn(arguments.data, arguments.out)
    else:
        measure(arguments.winner, arguments.data, arguments.count)


if __name__ == "__main__":
    main()
