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
    from inksweep.opening.with_torch import Model

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


def load(path: "str | Path", classes: "Mapping[str, type[nn.Module]] | None" = None) -> "Model":
    """Load a saved model: pixels in, probabilities out; or a picture in, its text out.

    >>> model = inksweep.load("multirun/night/winner")
    >>> probabilities = model(pixels)  # uint8 or float (n, 28, 28), 0..255 -> float32 (n, 10)
    >>> names = [model.classes[row] for row in probabilities.argmax(dim=1)]
    >>> model.read("photo.png").text  # needs the extra `read`

    Args:
        path: the `winner/` of a sweep, a run directory, a `model.pt`, or a `model.onnx` that `inksweep export` wrote.
        classes: model classes of your own, by the `_target_` that the model was trained with, such as
            `{"mypackage.MyNet": MyNet}`. The file itself never chooses what code runs.

    Returns:
        A `torch.nn.Module` on the CPU, in evaluation mode, that maps pixels, uint8 or float (n, size, size), 0 to 255
        with background 0, to probabilities, float32 (n, classes); its `classes` has their names, and `read` reads a
        picture, see `inksweep.reading.reader.Reader.read`. Of an ONNX file, and where torch is not installed, an object
        with the same `classes` and `read`, which maps a NumPy array to one and is no `Module`.

    Raises:
        InputError: there is no saved model, it cannot be read, its class is neither one of inksweep's nor in `classes`,
            or what runs it is not installed.
    """
    from inksweep.opening import winner

    return winner.load(path, classes)
