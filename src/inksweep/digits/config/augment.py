"""`conf/augment`: random changes to training pictures."""

from dataclasses import dataclass

from omegaconf import MISSING

from inksweep.errors import need

# Least and greatest value: of a displacement in pixels, of grid points along a side, of a share.
PIXELS, CELLS, SHARE = (0, 10), (2, 28), (0, 1)
# Of a change of a stroke on each side, of the side of a coarse source's pixels, in pixels.
PEN, COARSE = (0, 3), (1, 7)


@dataclass
class IdentityConfig:
    """No augmentation."""

    _target_: str = "inksweep.digits.augment.Identity"


@dataclass
class AffineConfig:
    """A random rotation, shift, scale and shear of each picture."""

    _target_: str = "inksweep.digits.augment.Affine"
    # Largest rotation and shear, in degrees, either way.
    degrees: float = MISSING
    shear_degrees: float = MISSING
    # Largest shift in pixels, either way, of rows and of columns.
    shift_pixels: float = MISSING
    # Largest relative change of size, either way.
    scale: float = MISSING

    def __post_init__(self) -> None:
        need(0 <= self.degrees <= 180, "augment.degrees", self.degrees, "from 0 to 180")
        need(0 <= self.shear_degrees < 90, "augment.shear_degrees", self.shear_degrees, "at least 0 and below 90")
        need(self.shift_pixels >= 0, "augment.shift_pixels", self.shift_pixels, "0 or above")
        need(0 <= self.scale < 1, "augment.scale", self.scale, "at least 0 and below 1")


@dataclass
class ElasticConfig:
    """A random bending of each picture."""

    _target_: str = "inksweep.digits.augment.Elastic"
    # Standard deviation of the displacement at a grid point, in pixels.
    pixels: float = MISSING
    # Grid points along each side.
    cells: int = MISSING

    def __post_init__(self) -> None:
        _need_within(self, pixels=PIXELS, cells=CELLS)


@dataclass
class StrokeConfig:
    """Thicker or thinner strokes."""

    _target_: str = "inksweep.digits.augment.Stroke"
    # Largest change, either way: 1 is a pixel more or less on each side of a stroke.
    amount: float = MISSING

    def __post_init__(self) -> None:
        _need_within(self, amount=SHARE)


@dataclass
class ErasingConfig:
    """A rectangle of some pictures made background."""

    _target_: str = "inksweep.digits.augment.Erasing"
    # Probability that a picture loses a rectangle.
    probability: float = MISSING
    # Largest height and width of the rectangle, as a fraction of the picture's.
    size: float = MISSING

    def __post_init__(self) -> None:
        _need_within(self, probability=SHARE)
        need(0 < self.size <= 1, "augment.size", self.size, "above 0 and at most 1")


@dataclass
class HandwritingConfig(AffineConfig):
    """All augmentations together; affine and elastic are one resampling. 0 leaves a part out."""

    _target_: str = "inksweep.digits.augment.Handwriting"
    # As in `elastic`, `stroke` and `erasing`.
    elastic_pixels: float = MISSING
    elastic_cells: int = MISSING
    stroke_amount: float = MISSING
    erasing_probability: float = MISSING
    erasing_size: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_within(self, elastic_pixels=PIXELS, elastic_cells=CELLS)
        _need_within(self, stroke_amount=SHARE, erasing_probability=SHARE)
        need(0 < self.erasing_size <= 1, "augment.erasing_size", self.erasing_size, "above 0 and at most 1")


@dataclass
class InkConfig(AffineConfig):
    """Handwriting as real pens, paper and cameras have it. 0 leaves a part out."""

    _target_: str = "inksweep.digits.augment_ink.Ink"
    # Largest relative change of width to height, either way.
    aspect: float = MISSING
    # As in `elastic`.
    elastic_pixels: float = MISSING
    elastic_cells: int = MISSING
    # Largest change of a stroke, in pixels more on each side, thinner by at most half of it; how much it differs within
    # a picture; and how hard edges are at most: 1 / (1 - hardness) times as steep.
    pen_pixels: float = MISSING
    pen_uneven: float = MISSING
    pen_hardness: float = MISSING
    # Probability that a picture was a small one, enlarged, and the largest side of its pixels in pixels of the picture.
    coarse_probability: float = MISSING
    coarse_pixels: float = MISSING
    # Largest share of its strength that ink loses, and largest deviation of ink and ground.
    fade: float = MISSING
    grain: float = MISSING
    # Probability of a piece of a line at an edge, and of a neighbour's margin; of a line across where ink is missing.
    clutter: float = MISSING
    gap: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_within(self, elastic_pixels=PIXELS, elastic_cells=CELLS, aspect=SHARE, pen_pixels=PEN, pen_uneven=SHARE)
        need(0 <= self.pen_hardness < 1, "augment.pen_hardness", self.pen_hardness, "at least 0 and below 1")
        _need_within(self, coarse_probability=SHARE, coarse_pixels=COARSE, fade=SHARE, grain=SHARE)
        _need_within(self, clutter=SHARE, gap=SHARE)


# By the name of the option, a file of conf/augment.
OPTIONS: dict[str, type] = {
    "none": IdentityConfig,
    "affine": AffineConfig,
    "elastic": ElasticConfig,
    "stroke": StrokeConfig,
    "erasing": ErasingConfig,
    "handwriting": HandwritingConfig,
    "ink": InkConfig,
}


def _need_within(node: object, **limits: tuple[float, float]) -> None:
    """Refuse a value of `node` that is outside its limits, both of which are allowed."""
    for key, (low, high) in limits.items():
        value = getattr(node, key)
        need(low <= value <= high, f"augment.{key}", value, f"from {low} to {high}")
