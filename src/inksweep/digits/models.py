"""The classifiers. Each is built from plain values and maps pictures (n, 1, size, size) to logits (n, classes)."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """Hidden layers on the flattened picture, each linear -> norm -> activation -> dropout.

    Args:
        size: height and width of the pictures, in pixels.
        classes: number of classes.
        hidden: width of each hidden layer.
        activation: `relu`, `gelu`, `silu` or `tanh`.
        norm: `none`, `batch` or `layer`.
        dropout: probability that a hidden unit is dropped.
    """

    def __init__(
        self, *, size: int, classes: int, hidden: list[int], activation: str, norm: str, dropout: float
    ) -> None:
        super().__init__()
        widths = [size * size, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for width_in, width_out in pairwise(widths):
            layers.append(nn.Linear(width_in, width_out, bias=norm == "none"))
            if norm == "batch":
                layers.append(nn.BatchNorm1d(width_out))
            elif norm == "layer":
                layers.append(nn.LayerNorm(width_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, size, size) -> (n, classes)."""
        logits: Tensor = self.layers(images)
        return logits


class CNN(nn.Module):
    """Blocks of convolutions, each -> norm -> activation, that may halve the picture; then dropout and a linear layer.

    Args:
        size: height and width of the pictures, in pixels.
        classes: number of classes.
        channels: output channels of each block.
        convolutions: number of convolutions in each block, one number for all or one for each.
        kernel: height and width of the kernels, odd.
        stem_kernel: height and width of the first convolution's kernel, which then reads the picture without padding:
            all that follows has `stem_kernel - 1` rows and columns less; None: as the others.
        padding: `same`: zeros around the picture keep its size; `valid`: none, each convolution leaves `kernel - 1`
            rows and columns less.
        pooling: how a block halves the picture: `stride` in its last convolution, `max` or `avg` after it, or `none`:
            not at all.
        activation: `relu`, `gelu`, `silu` or `tanh`.
        norm: `none`, `batch` or `layer` (one group over channels and places, arXiv 1803.08494).
        dropout: probability that a feature is dropped before the linear layer.
    """

    def __init__(
        self,
        *,
        size: int,
        classes: int,
        channels: list[int],
        kernel: int,
        pooling: str,
        activation: str,
        norm: str,
        dropout: float,
        # Models saved before there was a choice have these.
        convolutions: int | list[int] = 1,
        stem_kernel: int | None = None,
        padding: str = "same",
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        counts = [convolutions] * len(channels) if isinstance(convolutions, int) else convolutions
        for (channels_in, channels_out), count in zip(pairwise([1, *channels]), counts, strict=True):
            for number in range(1, count + 1):
                last = number == count
                stride = 2 if last and pooling == "stride" else 1
                width_in = channels_in if number == 1 else channels_out
                side, around = kernel, kernel // 2 if padding == "same" else 0
                if not blocks and stem_kernel is not None:
                    side, around = stem_kernel, 0
                size -= side - 1 - 2 * around
                blocks.append(nn.Conv2d(width_in, channels_out, side, stride, around, bias=norm == "none"))
                # Pooling first: norm and activation then work on a quarter of the places.
                if last and pooling == "max":
                    blocks.append(nn.MaxPool2d(2, ceil_mode=True))
                elif last and pooling == "avg":
                    blocks.append(nn.AvgPool2d(2, ceil_mode=True))
                if norm == "batch":
                    blocks.append(nn.BatchNorm2d(channels_out))
                elif norm == "layer":
                    blocks.append(nn.GroupNorm(1, channels_out))
                blocks.append(ACTIVATIONS[activation]())
            size = size if pooling == "none" else (size + 1) // 2
        self.blocks = nn.Sequential(*blocks)
        head = [nn.Flatten(), *([nn.Dropout(dropout)] if dropout > 0 else [])]
        self.head = nn.Sequential(*head, nn.Linear(channels[-1] * size * size, classes))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, size, size) -> (n, classes)."""
        logits: Tensor = self.head(self.blocks(images))
        return logits


class Ensemble(nn.Module):
    """Several models that answer together: the class probabilities are the mean of theirs.

    Args:
        size: height and width of the pictures, in pixels.
        classes: number of classes.
        members: plain config of each model, with its `_target_`.
        known: which class each `_target_` stands for; by default the built-in ones.
    """

    def __init__(
        self,
        *,
        size: int,
        classes: int,
        members: Sequence[Mapping[str, Any]],
        known: Mapping[str, type[nn.Module]] | None = None,
    ) -> None:
        super().__init__()
        if not members:
            raise ValueError("an ensemble needs at least one member")
        table = BUILT_IN if known is None else known
        self.members = nn.ModuleList(build(member, size=size, classes=classes, known=table) for member in members)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, size, size) -> (n, classes): the logarithm of the mean probabilities, to be used like logits."""
        logarithms = torch.stack([member(images).log_softmax(dim=1) for member in self.members])
        return logarithms.logsumexp(dim=0) - math.log(len(self.members))


# What a saved model may name; anything else is code that its reader must hand over.
BUILT_IN: dict[str, type[nn.Module]] = {
    "inksweep.digits.models.MLP": MLP,
    "inksweep.digits.models.CNN": CNN,
    "inksweep.digits.models.Ensemble": Ensemble,
}


class UnknownModel(LookupError):
    """A plain config names a class that the table given does not hold; the message is that name."""


def build(described: Mapping[str, Any], *, size: int, classes: int, known: Mapping[str, type[nn.Module]]) -> nn.Module:
    """Build the model of a plain config; its `_target_` is looked up in a table and never imported.

    Args:
        described: `_target_` and the values of the model.
        size: height and width of the pictures, in pixels.
        classes: number of classes.
        known: which class each `_target_` stands for.

    Raises:
        UnknownModel: `known` lacks the `_target_`.
    """
    values = dict(described)
    name = str(values.pop("_target_", None))
    if name not in known:
        raise UnknownModel(name)
    if known[name] is Ensemble:
        values["known"] = known
    return known[name](size=size, classes=classes, **values)


def ensemble_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the state of an `Ensemble` whose members have these states."""
    return {f"members.{row}.{name}": tensor for row, state in enumerate(states) for name, tensor in state.items()}


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
