"""The 15 digits of MNIST's test split whose given label people do not agree with.

Found by Northcutt, Athalye and Mueller (arXiv 2103.14749; cleanlab/label-errors on GitHub). Five people looked at each.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

# By row of the test split: what the majority read; None: no majority for any digit.
MAJORITY: dict[int, int | None] = {
    947: 9,
    1621: 6,
    1901: 4,
    2130: None,
    2462: 0,
    2597: 3,
    2654: None,
    3520: None,
    3558: 0,
    5937: 3,
    6651: 6,
    6783: 6,
    8527: None,
    9679: None,
    9729: 6,
}
TEST_IMAGES = 10_000

Labels = npt.NDArray[np.integer[Any]]


def are_known(data: str, test_images: int) -> bool:
    """Whether the list is about this test split."""
    return data == "mnist" and test_images == TEST_IMAGES


def corrected(labels: Labels) -> tuple[Labels, npt.NDArray[np.bool_]]:
    """Return the labels with those of the majority, and which rows count: those without a majority do not, (n,)."""
    better, counted = labels.copy(), np.ones(len(labels), dtype=np.bool_)
    for row, majority in MAJORITY.items():
        if majority is None:
            counted[row] = False
        else:
            better[row] = majority
    return better, counted
