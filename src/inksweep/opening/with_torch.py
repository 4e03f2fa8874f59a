"""A classifier out of a model.pt, run by torch: a module that also reads pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inksweep.digits import classifier
from inksweep.digits.classifier import Classifier
from inksweep.digits.models import BUILT_IN
from inksweep.errors import need_extra
from inksweep.opening import READING

if TYPE_CHECKING:
    from inksweep.reading.reader import Reader, Reading, Source


class Model(Classifier):
    """A saved model: pixels in, probabilities out (`forward`), and what reads pictures with it."""

    @property
    def reader(self) -> "Reader":
        """What reads pictures with it."""
        from inksweep.reading.reader import Reader

        return Reader(self._answer, self.classes, self.size)

    def read(self, source: "Source", **asked: Any) -> "Reading":
        """Read one picture; arguments, result and errors are those of `Reader.read`.

        >>> inksweep.load("multirun/night/winner").read("photo.png").text
        """
        need_extra("inksweep.load(...).read", "read", READING)
        return self.reader.read(source, **asked)

    @torch.inference_mode()
    def _answer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities: NDArray[np.float32] = self(torch.from_numpy(np.ascontiguousarray(pixels))).numpy()
        return probabilities


def load(path: Path, classes: Mapping[str, type[nn.Module]] = BUILT_IN) -> Model:
    """Return the model of a `model.pt`, or of the folder that it lies in; see `classifier.load`."""
    return classifier.load_as(Model, path, classes)
