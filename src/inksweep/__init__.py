"""Hyperparameter sweeps for any Hydra app, and a classifier of handwritten digits to sweep.

    import inksweep

    model = inksweep.load("multirun/STUDY/winner")

Importing this loads nothing heavy: torch is imported by the first `load`. An app of your own tells its sweep how a
trial goes through `from inksweep import trial`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from inksweep import trial
    from inksweep.digits.classifier import Classifier

    __version__: str
else:

    def __getattr__(name: str):
        """Look up the version, and import `trial`, when it is asked for."""
        import importlib

        if name == "__version__":
            return importlib.import_module("importlib.metadata").version("inksweep")
        if name == "trial":
            return importlib.import_module("inksweep.trial")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["__version__", "load", "trial"]


def load(path: "str | Path", classes: "Mapping[str, type[nn.Module]] | None" = None) -> "Classifier":
    """Load a saved model: pixels in, probabilities out.

    >>> model = inksweep.load("multirun/night/winner")
    >>> probabilities = model(pixels)  # uint8 or float (n, 28, 28), 0..255 -> float32 (n, 10)
    >>> names = [model.classes[row] for row in probabilities.argmax(dim=1)]

    Args:
        path: the `winner/` of a sweep, a run directory, or a `model.pt`.
        classes: model classes of your own, by the `_target_` that the model was trained with, such as
            `{"mypackage.MyNet": MyNet}`. The file itself never chooses what code runs.

    Returns:
        A `torch.nn.Module` on the CPU, in evaluation mode, that maps pixels, uint8 or float (n, size, size), 0 to 255
        with background 0, to probabilities, float32 (n, classes); its `classes` has their names.

    Raises:
        InputError: there is no saved model, it cannot be read, its class is neither one of inksweep's nor in `classes`,
            or torch is not installed.
    """
    from inksweep.errors import need_extra

    need_extra("inksweep.load", "digits", ["torch"])
    from inksweep.digits import classifier, models

    return classifier.load(path, {**models.BUILT_IN, **(classes or {})})
