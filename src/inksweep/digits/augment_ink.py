"""Random changes as real ink has them: other pens, coarse sources, faded ink, grain, rests of lines and neighbours.

As in augment.py, each class is a callable `(images, generator) -> images` on float pictures (n, 1, h, w) in 0..1 with
background 0. Nothing depends on what was drawn but the values, so that a step with them can be a CUDA graph.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from inksweep.digits.augment import Affine, Elastic, read

# Grid points along each side of what varies slowly over a picture: the pressure of a pen, stains of paper.
CELLS = 4
# A coarse source has pixels of a whole picture's size at most: as many of them as the picture has.
TINY = 1e-6


@dataclass(frozen=True)
class Pen:
    """Other pens: strokes thicker or thinner by more than a pixel, unevenly along their way, with soft or hard edges.

    Args:
        pixels: largest change, in pixels more on each side of a stroke; thinner by at most half of it.
        uneven: how much the change differs within a picture, 0 to 1.
        hardness: largest, 0 to below 1, as edges `1 / (1 - hardness)` times as steep.
    """

    pixels: float
    uneven: float
    hardness: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape, within 0..1; the brightest pixel stays as bright."""
        draw = _draw(4, images, generator)
        # -0.5 to 1 times `pixels`: MNIST's strokes are about three pixels wide, so little is left of thinner ones.
        change = (draw[0] * 1.5 - 0.5) * self.pixels
        pressure = 1 - self.uneven * draw[1] * (3 * _slow(images, generator)).sigmoid()
        sign, amount = 1.0 - 2.0 * (change < 0), change.abs() * pressure
        changed = images * sign
        for whole in range(math.ceil(self.pixels)):
            changed = torch.lerp(changed, _largest(changed), (amount - whole).clamp(0, 1))
        changed = changed * sign
        brightest = changed.amax(dim=(2, 3), keepdim=True).clamp(min=TINY)
        changed = changed / brightest
        # Where an edge lies: a lower level makes a stroke a little thicker.
        level = 0.35 + 0.3 * draw[2]
        steep = 1 / (1 - self.hardness * draw[3])
        edged = ((changed - level) * steep + level).clamp(0, 1)
        return edged * images.amax(dim=(2, 3), keepdim=True)


@dataclass(frozen=True)
class Coarse:
    """Pictures that were small, 8 x 8 or 16 x 16, and were enlarged: means over larger pixels, interpolated.

    Args:
        probability: of a picture to be coarse.
        pixels: largest side of the source's pixels, in pixels of the picture.
    """

    probability: float
    pixels: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape."""
        draw = _draw(4, images, generator).view(4, -1)
        is_coarse = (draw[0] < self.probability).float()
        side = 1 + is_coarse * draw[1] * (self.pixels - 1)
        height, width = images.shape[-2:]
        rows = _through_grid(height, side, draw[2] * is_coarse)
        columns = _through_grid(width, side, draw[3] * is_coarse)
        return (rows @ images.squeeze(1) @ columns.transpose(1, 2)).unsqueeze(1).clamp(0, 1)


@dataclass(frozen=True)
class Paper:
    """Ink that is not quite black, and ground that is not quite clean.

    Args:
        fade: largest share of its strength that the ink of a picture loses.
        grain: largest deviation of a pixel, from pixel to pixel, and of the ground, slowly over the picture.
    """

    fade: float
    grain: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape, within 0..1."""
        draw = _draw(3, images, generator).square()  # most pictures are nearly clean
        noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images.device)
        ground = draw[1] * noise + draw[2] * _slow(images, generator)
        return (images * (1 - self.fade * draw[0]) + self.grain * ground).clamp(0, 1)


@dataclass(frozen=True)
class Rests:
    """What belongs to no digit, and what a digit has lost.

    Args:
        clutter: probability of a piece of a line at an edge, and of a neighbour's margin.
        gap: probability of a line across the digit where the ink is missing.
    """

    clutter: float
    gap: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape, within 0..1."""
        height, width = images.shape[-2:]
        draw = _draw(13, images, generator)
        row = torch.arange(height, device=images.device).view(1, 1, height, 1) + 0.5
        column = torch.arange(width, device=images.device).view(1, 1, 1, width) + 0.5
        angle, off = draw[0] * math.pi, (draw[1] - 0.5) * 12
        across = ((column - width / 2) * torch.cos(angle) + (row - height / 2) * torch.sin(angle) - off).abs()
        lost = (1.2 + 0.6 * draw[2] - across).clamp(0, 1) * (draw[3] < self.gap) * (0.5 + 0.5 * draw[4])
        left = torch.maximum(images * (1 - lost), self._line(draw[5:10], row, column, height, width))
        return torch.maximum(left, self._neighbour(images, draw[10:13]))

    def _line(self, draw: Tensor, row: Tensor, column: Tensor, height: int, width: int) -> Tensor:
        """Return a piece of a line, one to two pixels wide, near one of the four edges: (n, 1, h, w)."""
        # Which edge, by a number from 0 to 4, and how far from it.
        edge = (draw[0] * 4).floor()
        from_edge = torch.where(
            edge < 2, torch.where(edge < 1, row, height - row), torch.where(edge < 3, column, width - column)
        )
        along = torch.where(edge < 2, column / width, row / height)
        thick = (0.6 + 0.5 * draw[3] - (from_edge - draw[1] * 3.5).abs()).clamp(0, 1) / 0.6
        begins = draw[2] * 1.6 - 0.6
        is_there = (draw[4] < self.clutter) & (along > begins) & (along < begins + 0.8)
        return thick.clamp(0, 1) * is_there

    def _neighbour(self, images: Tensor, draw: Tensor) -> Tensor:
        """Return the margin of another digit of the batch, left or right of each: (n, 1, h, w)."""
        width = images.shape[-1]
        to_right = draw[0] < 0.5
        steps = (width * (0.6 + 0.2 * draw[1])).long()
        source = torch.arange(width, device=images.device).view(1, 1, 1, width) + torch.where(to_right, -steps, steps)
        is_inside = (source >= 0) & (source < width) & (draw[2] < self.clutter)
        other = images.roll(1, 0).gather(3, source.clamp(0, width - 1).expand_as(images))
        return other * is_inside


@dataclass(frozen=True)
class Ink:
    """Handwriting on real paper: affine and elastic in one resampling, then pen, lost and foreign ink, coarse, paper.

    Args: those of `Affine`, of `Elastic`, `Pen` and `Coarse` after their name, of `Paper` and of `Rests`; and aspect:
        largest relative change of width to height, either way. 0 leaves a part out.
    """

    degrees: float
    shear_degrees: float
    shift_pixels: float
    scale: float
    aspect: float
    elastic_pixels: float
    elastic_cells: int
    pen_pixels: float
    pen_uneven: float
    pen_hardness: float
    coarse_probability: float
    coarse_pixels: float
    fade: float
    grain: float
    clutter: float
    gap: float

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        """(n, 1, h, w) in 0..1 -> the same shape, within 0..1."""
        images = read(images, self._places(images, generator))
        if self.pen_pixels > 0 or self.pen_hardness > 0:
            images = Pen(self.pen_pixels, self.pen_uneven, self.pen_hardness)(images, generator)
        if self.clutter > 0 or self.gap > 0:
            images = Rests(self.clutter, self.gap)(images, generator)
        if self.coarse_probability > 0:
            images = Coarse(self.coarse_probability, self.coarse_pixels)(images, generator)
        if self.fade > 0 or self.grain > 0:
            images = Paper(self.fade, self.grain)(images, generator)
        return images

    def _places(self, images: Tensor, generator: Generator) -> Tensor:
        affine = Affine(self.degrees, self.shear_degrees, self.shift_pixels, self.scale)
        matrices = affine.matrices(images, generator)
        if self.aspect > 0:
            # The width by the square root of the change, the height by its inverse: the area stays.
            half = 0.5 * math.log1p(self.aspect) * (2 * _draw(1, images, generator).view(-1, 1, 1) - 1)
            matrices = matrices * torch.cat([half, -half, torch.zeros_like(half)], dim=2).exp()
        places = functional.affine_grid(matrices, list(images.shape), align_corners=False)
        if self.elastic_pixels > 0:
            places = places + Elastic(self.elastic_pixels, self.elastic_cells).displacements(images, generator)
        return places


def _draw(numbers: int, images: Tensor, generator: Generator) -> Tensor:
    """Return (numbers, n, 1, 1, 1) in 0..1."""
    drawn = torch.rand(numbers, len(images), 1, 1, 1, generator=generator, device=generator.device)
    return drawn.to(images.device)


def _slow(images: Tensor, generator: Generator) -> Tensor:
    """Return (n, 1, h, w) of mean 0 and deviation near 1 that varies slowly over each picture."""
    coarse = torch.randn(len(images), 1, CELLS, CELLS, generator=generator, device=generator.device)
    size = (images.shape[2], images.shape[3])
    return functional.interpolate(coarse.to(images.device), size=size, mode="bilinear", align_corners=True)


def _largest(images: Tensor) -> Tensor:
    """Return the largest of each pixel and its eight neighbours, (n, 1, h, w)."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    across = torch.maximum(torch.maximum(padded[..., :-2], padded[..., 1:-1]), padded[..., 2:])
    return torch.maximum(torch.maximum(across[..., :-2, :], across[..., 1:-1, :]), across[..., 2:, :])


def _through_grid(length: int, side: Tensor, phase: Tensor) -> Tensor:
    """Return (n, length, length): what a row becomes as means over pixels of `side` (n,), interpolated linearly.

    With a side of 1 and a phase of 0 it is the row itself.
    """
    places = torch.arange(length, device=side.device)
    side = side.view(-1, 1, 1)
    # Centres of the larger pixels, from one before the picture to behind it: (n, 1, length + 2).
    centres = (torch.arange(-1, length + 1, device=side.device) + phase.view(-1, 1, 1)) * side
    covered = (side / 2 + 0.5 - (centres.transpose(1, 2) - places).abs()).clamp(min=0)
    covered = torch.minimum(covered, torch.ones_like(covered)) / side  # (n, length + 2, length)
    weights = (1 - (places.view(1, -1, 1) - centres).abs() / side).clamp(min=0)
    return weights @ covered
