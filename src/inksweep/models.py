"""The classifiers. Each is built from plain values and maps pictures (n, 1, size, size) to logits (n, classes)."""

from itertools import pairwise

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
    """Blocks of convolutions, each -> norm -> activation, and halving the picture; then dropout and a linear layer.

    Args:
        size: height and width of the pictures, in pixels.
        classes: number of classes.
        channels: output channels of each block.
        convolutions: number of convolutions in each block.
        kernel: height and width of the kernels, odd.
        pooling: how a block halves the picture: `stride` in its last convolution, or `max` or `avg` after it.
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
        convolutions: int = 1,  # models saved before there was a choice have one
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for channels_in, channels_out in pairwise([1, *channels]):
            for number in range(1, convolutions + 1):
                last = number == convolutions
                stride = 2 if last and pooling == "stride" else 1
                width_in = channels_in if number == 1 else channels_out
                blocks.append(
                    nn.Conv2d(width_in, channels_out, kernel, stride, padding=kernel // 2, bias=norm == "none")
                )
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
            size = (size + 1) // 2
        self.blocks = nn.Sequential(*blocks)
        head = [nn.Flatten(), *([nn.Dropout(dropout)] if dropout > 0 else [])]
        self.head = nn.Sequential(*head, nn.Linear(channels[-1] * size * size, classes))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 1, size, size) -> (n, classes)."""
        logits: Tensor = self.head(self.blocks(images))
        return logits


# What a saved model may name; anything else is code that its reader must hand over.
BUILT_IN: dict[str, type[nn.Module]] = {"inksweep.models.MLP": MLP, "inksweep.models.CNN": CNN}


def parameter_count(model: nn.Module) -> int:
    """Return the number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
