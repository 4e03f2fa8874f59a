"""What of a picture is ground (paper, canvas, blackboard): whether it is lighter than the ink, and its light."""

import numpy as np

SMALL = 128  # pixels, at most, of the longest side at which the ground is looked at
LARGE = 64  # pixels of the shorter side from which on shadows and the edges of the paper are looked for


def small_copy(grey: np.ndarray) -> np.ndarray:
    """The means of blocks, so that the longest side has at most SMALL pixels."""
    from PIL import Image

    height, width = grey.shape
    longest = max(height, width)
    if longest <= SMALL:
        return grey
    sides = max(1, round(width * SMALL / longest)), max(1, round(height * SMALL / longest))
    return np.asarray(Image.fromarray(grey).resize(sides, Image.Resampling.BOX))


def otsu(values: np.ndarray) -> float:
    """The level that parts values into two classes with the least variance inside them (Otsu, 1979)."""
    least, greatest = float(values.min()), float(values.max())
    if greatest - least < 1e-3:
        return least
    counts, edges = np.histogram(values, 256, (least, greatest))
    middles = (edges[:-1] + edges[1:]) / 2
    below, moments = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (moments / below - (moments[-1] - moments) / above) ** 2
    return float(edges[1 + int(np.nanargmax(between[:-1]))])


def is_light(small: np.ndarray) -> bool:
    """Whether the ground is lighter than the ink: it covers more, lies along the edges, and ink is thin."""
    return float(evidence(small) @ WEIGHTS) >= 0


# Fitted by logistic regression on MNIST's training digits in frames of 8 to 96 pixels, tight and wide, blurred, with
# noise, shaded and black and white, dark on light and light on dark.
# Of 1,000 others 0.1% are taken for the wrong kind.
WEIGHTS = np.array([0.0, 2.7, 3.9, 1.6, 3.7])


def evidence(small: np.ndarray) -> np.ndarray:
    """How much speaks for a light ground, each number 0 if nothing does: (5,)."""
    from scipy import ndimage

    light = small > otsu(small)
    if light.all() or not light.any():
        return np.zeros(5)
    ring = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]])
    corners = light[[0, 0, -1, -1], [0, -1, 0, -1]]
    framed = [ndimage.distance_transform_edt(np.pad(part, 1, mode="edge"))[1:-1, 1:-1] for part in (light, ~light)]
    means = [float(distances[distances > 0].mean()) for distances in framed]
    middle = ndimage.uniform_filter(small, max(3, min(small.shape) // 3), mode="nearest")
    rest = small - middle
    dark, bright = float((np.minimum(rest, 0) ** 2).sum()), float((np.maximum(rest, 0) ** 2).sum())
    skew = (dark - bright) / (dark + bright + 1e-6)
    return np.array([2 * light.mean() - 1, 2 * ring.mean() - 1, corners.mean() * 2 - 1,
                     np.log(means[0] / means[1]), skew])  # fmt: skip


def light_of(level: np.ndarray) -> np.ndarray:
    """The ground of a picture whose ink is darker, as if the ink were not there: (height, width).

    A surface of second degree for light that falls off; where wide dark parts reach the edge (a shadow, a table), a
    closing that follows them, if the picture is large enough to tell these from strokes.
    """
    from PIL import Image
    from scipy import ndimage

    small = small_copy(level)
    ground = _surface(small)
    shorter = min(small.shape)
    if min(level.shape) >= LARGE:
        ink = small < ground - max(0.06, 0.4 * float(np.max(ground - small)))
        stroke, shadow = _widths(ink)
        side = None
        if shadow > max(1.5 * stroke, shorter / 10):
            side = max(shorter // 5, 3)
        elif 0 < stroke < shorter / 9:
            side = max(int(3 * stroke), shorter // 6, 3)
        if side:
            calm = ndimage.gaussian_filter(small, 0.7)
            closed = ndimage.grey_closing(calm, (side, side), mode="nearest")
            ground = ndimage.gaussian_filter(closed, side / 4, mode="nearest")
            # Smoothing must not lift the ground over an edge of light and shadow by more than it lies there.
            ground = np.minimum(ground, ndimage.maximum_filter(closed, 3))
    if ground.shape != level.shape:
        height, width = level.shape
        ground = np.asarray(
            Image.fromarray(ground.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        )
    clipped: np.ndarray = np.clip(ground, 0, 1).astype(np.float32)
    return clipped


def _widths(ink: np.ndarray) -> tuple[float, float]:
    """The width of the widest stroke inside a picture, and of the widest dark part that reaches its edge."""
    from scipy import ndimage

    labels, count = ndimage.label(ink, np.ones((3, 3)))
    if not count:
        return 0.0, 0.0
    wide = 2 * ndimage.distance_transform_edt(np.pad(ink, 1, mode="edge"))[1:-1, 1:-1]
    widths = np.asarray(ndimage.maximum(wide, labels, np.arange(1, count + 1)))
    at_edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    outer = np.isin(np.arange(1, count + 1), at_edge)
    return float(widths[~outer].max(initial=0)), float(widths[outer].max(initial=0))


def _surface(small: np.ndarray) -> np.ndarray:
    """A surface of second degree through the lighter class, fitted again and again to what lies near it."""
    chosen = small > otsu(small) if np.ptp(small) > 0.02 else np.ones(small.shape, bool)
    if chosen.sum() < 24 or min(small.shape) < 8:
        return np.full(small.shape, float(np.median(small[chosen])) if chosen.any() else float(small.mean()))
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in small.shape), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(-1, 6)
    flat, weights = small.ravel().astype(np.float64), chosen.ravel().astype(np.float64)
    surface = flat
    for _ in range(5):
        weighted = terms * weights[:, None]
        # The small sum on the diagonal keeps bent terms out where few points could bear them.
        found = np.linalg.solve(weighted.T @ terms + np.diag([0, *[1e-3 * len(flat)] * 5]), weighted.T @ flat)
        surface = terms @ found
        rest = np.abs(flat - surface)
        near = max(2.5 * float(np.median(rest[chosen.ravel()])), 0.02)
        weights = 1 / (1 + (rest / near) ** 4)
    return surface.reshape(small.shape)
