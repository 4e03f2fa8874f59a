"""Hydra-configured hyperparameter sweeps for handwritten-digit classifiers.

    import inksweep

    model = inksweep.load("multirun/STUDY/winner")

Importing this loads nothing heavy. An app tells its sweep how it goes through `from inksweep import trial`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inksweep.digits.classifier import Classifier

__all__ = ["load"]


def load(path: str | Path) -> "Classifier":
    """Load a saved model: pixels in, probabilities out.

    Args:
        path: the `winner/` of a sweep, a run directory, or a `model.pt`.

    Returns:
        A `torch.nn.Module` that maps pixels, uint8 or float (n, size, size), 0 to 255 with background 0, to
        probabilities, float32 (n, classes); `classes` has their names.

    Raises:
        InputError: there is no saved model, or it cannot be read.
    """
    from inksweep.digits.classifier import load as load_classifier

    return load_classifier(path)
