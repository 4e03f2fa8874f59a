"""How sure a reading is: whether the best class is right, and whether it is a digit at all.

A classifier of ten digits calls everything one of them, and letters or scribbles often with much confidence. A small
network beside it has learned to tell digits from what is none: letters, signs, scribbles, blots, two digits that touch.
`python -m benchmarks.doubt` makes its weights, doubt.npz beside this file, and measures what is refused.
"""

import functools
from collections.abc import Sequence
from importlib import resources

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Below this a piece is none of the classes, or too unsure to be named.
MIN_CONFIDENCE = 0.4
# The classes that the network knows about; of others only their own probabilities tell.
DIGITS = tuple("0123456789")
SIZE = 28
# Added to the logarithm of the odds: it has learned from as much that is none as real use never shows it.
DIGITS_ARE_LIKELIER = 2.0


def confidences(pixels: NDArray[np.uint8], probabilities: Floats, classes: Sequence[str]) -> Floats:
    """Return how sure the best class of each piece is: float32 (n,), 0 to 1.

    Args:
        pixels: uint8 (n, size, size), white on black.
        probabilities: float32 (n, classes), what the classifier answers to them.
        classes: their names.
    """
    sure: Floats = probabilities.max(axis=1)
    if tuple(classes) != DIGITS or pixels.shape[1:] != (SIZE, SIZE) or not len(pixels):
        return sure
    return sure * whole(pixels)


def whole(pixels: NDArray[np.uint8]) -> Floats:
    """Return how much speaks for one whole digit, whichever it is: float32 (n,), 0 to 1."""
    known = weights()
    values: Floats = (pixels[..., None] / 255).astype(np.float32)
    for layer in (0, 1):
        values = np.maximum(_halved(values, known[f"layer{layer}"]) + known[f"bias{layer}"], np.float32(0))
    flat = values.transpose(0, 3, 1, 2).reshape(len(values), -1)
    hidden = np.maximum(flat @ known["layer2"].T + known["bias2"], 0)
    odds = (hidden @ known["layer3"].T + known["bias3"])[:, 0] + DIGITS_ARE_LIKELIER
    likely: Floats = (1 / (1 + np.exp(-np.clip(odds, -30, 30)))).astype(np.float32)
    return likely


def _halved(values: Floats, kernel: Floats) -> Floats:
    """Return a convolution that halves height and width: (n, h, w, in) with (out, in, side, side)."""
    side = kernel.shape[2]
    margin = side // 2
    padded = np.pad(values, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    taps = sliding_window_view(padded, (side, side), axis=(1, 2))[:, ::2, ::2]  # (n, y, x, in, side, side)
    return taps.reshape(*taps.shape[:3], -1) @ kernel.reshape(len(kernel), -1).T


@functools.cache
def weights() -> dict[str, Floats]:
    """Return the weights of the network by name."""
    with resources.files("inksweep.reading").joinpath("doubt.npz").open("rb") as file, np.load(file) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}
