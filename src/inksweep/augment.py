"""Random changes to a batch of pictures during training.

Each class is a callable `(images, generator) -> images` on float pictures (n, 1, h, w) in 0..1 with background 0,
drawing from the generator it is given and from nothing else.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Identity:
    """The pictures as they are."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) -> the same tensor."""
        return images


@dataclass(frozen=True)
class Affine:
    """Rotate, shear, scale and shift each picture about its centre, in one resampling.

    Args:
        degrees: largest rotation, either way.
        shear_degrees: largest slant, either way.
        shift_pixels: largest shift of rows and of columns, either way.
        scale: largest relative change of size, either way.
    """

    degrees: float
    shear_degrees: float
    shift_pixels: float
    scale: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape; what comes in from outside is background."""
        grid = functional.affine_grid(self.matrices(images, generator), list(images.shape), align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def matrices(self, images: Tensor, generator: Generator) -> Tensor:
        """Return (n, 2, 3): for each output place, in -1..1, the input place its value is read from."""
        n, _, height, width = images.shape
        # (5, n) in -1..1
        draw = torch.rand(5, n, generator=generator, device=generator.device).to(images.device) * 2 - 1
        angle = draw[0] * math.radians(self.degrees)
        slant = torch.tan(draw[1] * math.radians(self.shear_degrees))
        zoom = 1 / (1 + draw[2] * self.scale)
        cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
        # A shift of one pixel is 2 / width in the coordinates of affine_grid.
        shift_x, shift_y = draw[3] * (2 * self.shift_pixels / width), draw[4] * (2 * self.shift_pixels / height)
        rows = [cos, cos * slant - sin, shift_x, sin, sin * slant + cos, shift_y]
        return torch.stack(rows, dim=1).view(n, 2, 3)
