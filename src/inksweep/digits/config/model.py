"""`conf/model`: the networks, and whether a picture fits through them."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from omegaconf import MISSING

from inksweep.errors import need


class Activation(Enum):
    """Nonlinearity after each hidden layer; models.py has the same names."""

    relu = "relu"
    gelu = "gelu"
    silu = "silu"
    tanh = "tanh"


class Norm(Enum):
    """Normalisation before each nonlinearity."""

    none = "none"
    batch = "batch"
    layer = "layer"


class Pooling(Enum):
    """How a CNN block halves the picture, if it does."""

    stride = "stride"
    max = "max"
    avg = "avg"
    none = "none"


class Padding(Enum):
    """What the convolutions of a CNN see beyond the edge: zeros, which keep the size, or nothing."""

    same = "same"
    valid = "valid"


@dataclass
class ModelConfig:
    """What every model has: its schema extends this one."""

    _target_: str = MISSING

    def check_data(self, size: int, batch_size: int) -> None:
        """Raise InputError if batches of `batch_size` pictures of `size` x `size` pixels do not fit the model."""


@dataclass
class MLPConfig(ModelConfig):
    """A multilayer perceptron on the flattened picture."""

    _target_: str = "inksweep.digits.models.MLP"
    # Width of each hidden layer.
    hidden: list[int] = MISSING
    activation: Activation = MISSING
    norm: Norm = MISSING
    # Probability that a hidden unit is dropped.
    dropout: float = MISSING

    def __post_init__(self) -> None:
        need(bool(self.hidden), "model.hidden", self.hidden, "a list of at least one width, such as [256]")
        need(all(width >= 1 for width in self.hidden), "model.hidden", self.hidden, "widths of at least 1")
        need(0 <= self.dropout < 1, "model.dropout", self.dropout, "at least 0 and below 1")

    def check_data(self, size: int, batch_size: int) -> None:
        """Refuse batches of one picture where batch normalisation needs more."""
        _check_batch_norm(self.norm, batch_size)


@dataclass
class CNNConfig(ModelConfig):
    """Convolution blocks, which may halve the picture, then one linear layer."""

    _target_: str = "inksweep.digits.models.CNN"
    # Output channels of each block.
    channels: list[int] = MISSING
    # Convolutions in each block: a number, or a list of one for each. Has a value here: models stored before it was a
    # key are read too.
    convolutions: Any = 1
    # Height and width of the kernels; odd, so that a block keeps the centre.
    kernel: int = MISSING
    # Height and width of the first convolution's kernel, which then reads the picture without padding: digits have an
    # empty margin, and on a smaller picture all that follows costs less. null: as the others.
    stem_kernel: int | None = None
    # valid: each convolution leaves kernel - 1 rows and columns less, which can take the place of pooling.
    padding: Padding = Padding.same
    pooling: Pooling = MISSING
    activation: Activation = MISSING
    norm: Norm = MISSING
    # Probability that a feature is dropped before the linear layer.
    dropout: float = MISSING

    def __post_init__(self) -> None:
        need(bool(self.channels), "model.channels", self.channels, "a list of at least one number, such as [32,64]")
        need(all(n >= 1 for n in self.channels), "model.channels", self.channels, "numbers of at least 1")
        need(
            len(self.counts) == len(self.channels) and all(type(count) is int and count >= 1 for count in self.counts),
            "model.convolutions",
            self.convolutions,
            f"a number of at least 1, or a list of {len(self.channels)} of them, one for each of model.channels",
        )
        need(self.kernel >= 1 and self.kernel % 2 == 1, "model.kernel", self.kernel, "an odd number: 1, 3, 5, ...")
        need(
            self.stem_kernel is None or self.stem_kernel >= 1, "model.stem_kernel", self.stem_kernel, "null or above 0"
        )
        need(0 <= self.dropout < 1, "model.dropout", self.dropout, "at least 0 and below 1")

    @property
    def counts(self) -> list[int]:
        """The number of convolutions in each block."""
        return self.convolutions if isinstance(self.convolutions, list) else [self.convolutions] * len(self.channels)

    def check_data(self, size: int, batch_size: int) -> None:
        """Follow a picture through the blocks, and refuse blocks that leave nothing of it."""
        _check_batch_norm(self.norm, batch_size)
        stem = self.stem_kernel or 1
        need(stem <= size, "model.stem_kernel", stem, f"at most data.size={size}")
        left, less = size, 0 if self.padding is Padding.same else self.kernel - 1
        for block, count in enumerate(self.counts, start=1):
            first_less = stem - 1 if block == 1 and self.stem_kernel is not None else less
            left -= first_less + less * (count - 1)
            what = f"fewer blocks, convolutions or smaller kernels: of {size} pixels none is left after block {block}"
            need(left >= 1, "model.channels", self.channels, what)
            if self.pooling is not Pooling.none:
                what = (
                    f"fewer blocks: each halves the picture of {size} pixels, of which block {block} has only one left"
                )
                need(left >= 2, "model.channels", self.channels, what)
                left = (left + 1) // 2


# By the name of the option, a file of conf/model.
OPTIONS: dict[str, type] = {"mlp": MLPConfig, "cnn": CNNConfig}


def _check_batch_norm(norm: Norm, batch_size: int) -> None:
    allowed = "at least 2 with model.norm=batch: a batch of one has no deviation"
    need(not (norm is Norm.batch and batch_size == 1), "data.batch_size", batch_size, allowed)
