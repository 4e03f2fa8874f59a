import pytest
import torch
from torch import nn

from inksweep.models import BUILT_IN, CNN, MLP, parameter_count

MLP_VALUES = {"hidden": [32, 16], "activation": "relu", "norm": "none", "dropout": 0.0}
CNN_VALUES = {
    "channels": [4, 8],
    "kernel": 3,
    "pooling": "stride",
    "activation": "relu",
    "norm": "batch",
    "dropout": 0.0,
}


def test_mlp_has_the_parameters_its_widths_imply() -> None:
    model = MLP(size=28, classes=10, **MLP_VALUES)
    assert parameter_count(model) == 784 * 32 + 32 + 32 * 16 + 16 + 16 * 10 + 10


def test_cnn_halves_the_picture_in_every_block_rounding_up() -> None:
    # 7 -> 4 -> 2 pixels, whichever way a block halves
    for pooling in ("stride", "max", "avg"):
        model = CNN(size=7, classes=3, **CNN_VALUES | {"pooling": pooling})
        assert model.blocks(torch.rand(2, 1, 7, 7)).shape == (2, 8, 2, 2), pooling


def test_a_block_may_have_several_convolutions_and_still_halves_once() -> None:
    for pooling in ("stride", "max", "avg"):
        model = CNN(size=7, classes=3, **CNN_VALUES | {"pooling": pooling, "convolutions": 3})
        assert model.blocks(torch.rand(2, 1, 7, 7)).shape == (2, 8, 2, 2), pooling
        widths = [(c.in_channels, c.out_channels) for c in model.blocks if isinstance(c, nn.Conv2d)]
        assert widths == [(1, 4), (4, 4), (4, 4), (4, 8), (8, 8), (8, 8)]


@pytest.mark.parametrize("model_class, values", [(MLP, MLP_VALUES), (CNN, CNN_VALUES)])
@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "tanh"])
def test_every_choice_gives_logits_and_a_gradient_to_every_parameter(
    model_class: type[nn.Module], values: dict[str, object], norm: str, activation: str
) -> None:
    torch.manual_seed(0)
    model = model_class(size=28, classes=10, **values | {"norm": norm, "activation": activation, "dropout": 0.3})
    logits = model(torch.rand(5, 1, 28, 28))
    assert logits.shape == (5, 10)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_norm_and_dropout_are_there_when_asked_for_and_only_then() -> None:
    kinds = [type(module) for module in MLP(size=4, classes=2, **MLP_VALUES).modules()]
    assert nn.BatchNorm1d not in kinds
    assert nn.Dropout not in kinds
    kinds = [
        type(module) for module in MLP(size=4, classes=2, **MLP_VALUES | {"norm": "batch", "dropout": 0.5}).modules()
    ]
    assert kinds.count(nn.BatchNorm1d) == kinds.count(nn.Dropout) == 2


def test_built_in_names_are_where_the_classes_live() -> None:
    for name, model_class in BUILT_IN.items():
        assert f"{model_class.__module__}.{model_class.__qualname__}" == name
