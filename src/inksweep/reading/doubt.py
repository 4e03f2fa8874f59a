"""How sure a reading is."""

import numpy as np
from numpy.typing import NDArray

from inksweep.reading.cut import Answer

# Below this a piece is none of the classes, or too unsure to be named.
MIN_CONFIDENCE = 0.5


def confidences(pixels: NDArray[np.uint8], probabilities: NDArray[np.float32], answer: Answer) -> NDArray[np.float32]:
    """Return how sure the best class of each piece is: float32 (n,), 0 to 1.

    Args:
        pixels: uint8 (n, size, size), white on black.
        probabilities: float32 (n, classes), what the classifier answers to them.
        answer: the classifier.
    """
    sure: NDArray[np.float32] = probabilities.max(axis=1)
    return sure
