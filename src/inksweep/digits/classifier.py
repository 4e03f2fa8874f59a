"""A saved model with all that belongs to it: pixels in, probabilities out. It knows neither data sets nor configs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from inksweep.digits import checkpoint
from inksweep.digits.models import BUILT_IN
from inksweep.errors import InputError
from inksweep.paths import RunDir

Kind = TypeVar("Kind", bound="Classifier")


class Classifier(nn.Module):
    """A model with all that belongs before and behind it: scaling, normalisation, temperature, softmax.

    Args:
        model: maps (n, 1, size, size), normalised, to logits (n, classes).
        classes: names of the classes, in the order of the logits.
        size: height and width of the pictures, in pixels.
        mean: of the training pixels, on a scale of 0 to 1.
        std: their standard deviation.
        temperature: what the logits are divided by, so that the model is as often right as it says.
    """

    def __init__(
        self, model: nn.Module, classes: Sequence[str], *, size: int, mean: float, std: float, temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.model = model
        self.classes = list(classes)
        self.size = size
        self.temperature = temperature
        # As `data.to_input` computes, so that the model sees the bits it was measured with.
        self.factor = 1 / (255 * std)
        self.register_buffer("offset", torch.tensor(-mean / std), persistent=False)
        self.offset: Tensor

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the probabilities of the classes.

        Args:
            pixels: (n, size, size), uint8 or float, 0..255 with background 0.

        Returns:
            float32 (n, classes); each row adds up to 1.
        """
        return (self.logits(pixels) / self.temperature).softmax(dim=1)

    def logits(self, pixels: Tensor) -> Tensor:
        """(n, size, size) as for `forward` -> (n, classes), before they are divided by the temperature."""
        if not isinstance(pixels, Tensor):
            kind = type(pixels).__name__
            raise InputError(f"pictures as a {kind}: must be a torch tensor; torch.as_tensor makes one")
        if pixels.ndim != 3 or pixels.shape[1:] != (self.size, self.size):
            raise InputError(f"pictures of shape {tuple(pixels.shape)}: must be (n, {self.size}, {self.size})")
        numbers = pixels.to(torch.float32).unsqueeze(1)
        logits: Tensor = self.model(torch.add(self.offset, numbers, alpha=self.factor))
        return logits


def load(path: Path | str, classes: Mapping[str, type[nn.Module]] = BUILT_IN) -> Classifier:
    """Return the classifier of a `model.pt`, in evaluation mode, on the CPU.

    >>> digits = load("multirun/night/winner")
    >>> probabilities = digits(pixels)  # uint8 or float (n, 28, 28), 0..255 -> float32 (n, 10)
    >>> names = [digits.classes[row] for row in probabilities.argmax(dim=1)]

    Args:
        path: the file, or the folder that it lies in: a run directory or a winner.
        classes: as for `checkpoint.load_model`.

    Raises:
        InputError: there is no such file, it is broken, or its model is of a class that is not in `classes`.
    """
    return load_as(Classifier, path, classes)


def load_as(kind: type[Kind], path: Path | str, classes: Mapping[str, type[nn.Module]] = BUILT_IN) -> Kind:
    """Return what `load` does, as an object of `kind`, a class that can do more."""
    file = RunDir(Path(path)).model if Path(path).is_dir() else Path(path)
    model, about = checkpoint.load_model(file, classes)
    preprocess = about["preprocess"]
    try:
        mean, std = float(preprocess["mean"]), float(preprocess["std"])
        temperature = float(about.get("temperature", 1.0))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: does not say how pictures are prepared ({error!r})") from None
    for name, value in (("preprocess.std", std), ("temperature", temperature)):
        if not 0 < value < math.inf:
            raise InputError(f"{file}: its {name} is {value}; it must be above 0")
    size, names = preprocess["size"], about["classes"]
    classifier = kind(model, names, size=size, mean=mean, std=std, temperature=temperature)
    return classifier.eval().requires_grad_(False)
