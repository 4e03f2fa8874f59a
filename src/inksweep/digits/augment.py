"""Random changes to a batch of pictures during training.

Each class is a callable `(images, generator) -> images` on float pictures (n, 1, h, w) in 0..1 with background 0,
drawing from the generator it is given and from nothing else.
"""

import math
from dataclasses import dataclass
from functools import cache

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
        return read(images, self.places(images, generator))

    def places(self, images: Tensor, generator: Generator) -> Tensor:
        """Return (n, h, w, 2): for each pixel the place, x and y in -1..1, that its value is read from."""
        return functional.affine_grid(self.matrices(images, generator), list(images.shape), align_corners=False)

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


@dataclass(frozen=True)
class Elastic:
    """Bend each picture: every pixel is read from a place a little off, near ones off in nearly the same way.

    Simard, Steinkraus, Platt (ICDAR 2003) blur one random displacement for each pixel; here a coarse grid of
    them is interpolated, which bends alike at a fraction of the time.

    Args:
        pixels: standard deviation of the displacement at a grid point, in pixels.
        cells: grid points along each side; more bend finer parts.
    """

    pixels: float
    cells: int

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape; what comes in from outside is background."""
        still = torch.eye(2, 3, device=images.device).expand(len(images), 2, 3)
        places = functional.affine_grid(still, list(images.shape), align_corners=False)
        return read(images, places + self.displacements(images, generator))

    def displacements(self, images: Tensor, generator: Generator) -> Tensor:
        """Return (n, h, w, 2): how far, in x and y, each pixel's place is moved; a picture is 2 wide and high."""
        n, _, height, width = images.shape
        draw = torch.randn(n, 2, self.cells, self.cells, generator=generator, device=generator.device)
        coarse = draw.to(images.device) * (_pixel(height, width, images.device) * self.pixels)
        rows, columns = (_bicubic(length, self.cells, images.device) for length in (height, width))
        return (rows @ coarse @ columns.T).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class Stroke:
    """Make the strokes of each picture thicker or thinner, as by another pen.

    Args:
        amount: largest change, either way, as a fraction of one pixel more or less on each side of a stroke.
    """

    amount: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape, within 0..1."""
        draw = torch.rand(len(images), 1, 1, 1, generator=generator, device=generator.device) * 2 - 1
        change = draw.to(images.device) * self.amount
        # The largest neighbour makes thicker, the smallest, which is the largest of the negative, thinner.
        sign = change.sign()
        padded = functional.pad(images * sign, (1, 1, 1, 1), mode="replicate")
        across = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
        extreme = torch.maximum(torch.maximum(across[..., :-2, :], across[..., 1:-1, :]), across[..., 2:, :])
        return torch.lerp(images, extreme * sign, change.abs())


@dataclass(frozen=True)
class Erasing:
    """Make a rectangle of some pictures background (arXiv 1708.04896), so that no single part of a digit decides.

    Args:
        probability: of a picture to lose a rectangle.
        size: largest height and width of the rectangle, as a fraction of the picture's.
    """

    probability: float
    size: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) -> the same shape, with rectangles of 0."""
        n, _, height, width = images.shape
        # (5, n, 1, 1) in 0..1
        draw = torch.rand(5, n, 1, 1, generator=generator, device=generator.device).to(images.device)
        high, wide = draw[0] * self.size * height, draw[1] * self.size * width
        top, left = draw[2] * (height - high), draw[3] * (width - wide)
        # The middle of each row and column.
        row = torch.arange(height, device=images.device).view(1, height, 1) + 0.5
        column = torch.arange(width, device=images.device).view(1, 1, width) + 0.5
        inside = (row >= top) & (row < top + high) & (column >= left) & (column < left + wide)
        erased = inside & (draw[4] < self.probability)
        return images.masked_fill(erased.unsqueeze(1), 0)


@dataclass(frozen=True)
class Handwriting:
    """All of them: affine and elastic in one resampling, then another pen, then a rectangle erased.

    Args: those of `Affine`, and those of `Elastic`, `Stroke` and `Erasing` after their name. 0 leaves a part out.
    """

    degrees: float
    shear_degrees: float
    shift_pixels: float
    scale: float
    elastic_pixels: float
    elastic_cells: int
    stroke_amount: float
    erasing_probability: float
    erasing_size: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape."""
        affine = Affine(self.degrees, self.shear_degrees, self.shift_pixels, self.scale)
        places = affine.places(images, generator)
        if self.elastic_pixels > 0:
            places = places + Elastic(self.elastic_pixels, self.elastic_cells).displacements(images, generator)
        images = read(images, places)
        if self.stroke_amount > 0:
            images = Stroke(self.stroke_amount)(images, generator)
        if self.erasing_probability > 0:
            images = Erasing(self.erasing_probability, self.erasing_size)(images, generator)
        return images


def read(images: Tensor, places: Tensor) -> Tensor:
    """Return pictures whose pixels are read from `places` (n, h, w, 2) of `images`; outside is background."""
    return functional.grid_sample(images, places, mode="bilinear", padding_mode="zeros", align_corners=False)


# Both are made once: a step that copies numbers from the host to a GPU waits for it, and cannot be a CUDA graph.
@cache
def _pixel(height: int, width: int, device: torch.device) -> Tensor:
    """Return (1, 2, 1, 1): how far a pixel is, in x and y, in the coordinates of grid_sample."""
    return torch.tensor([2 / width, 2 / height], device=device).view(1, 2, 1, 1)


@cache
def _bicubic(length: int, cells: int, device: torch.device) -> Tensor:
    """Return (length, cells): what bicubic interpolation makes of a value at each grid point, at each pixel."""
    points = torch.eye(cells, device=device).view(1, 1, cells, cells)
    weights = functional.interpolate(points, size=(length, cells), mode="bicubic", align_corners=True)
    return weights.view(length, cells)
