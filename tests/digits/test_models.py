import pytest
import torch
from torch import nn

from inksweep.digits.models import BUILT_IN, CNN, MLP, Ensemble, UnknownModel, build, ensemble_state, parameter_count

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
        model = CNN(size=7, classes=3, **CNN_VALUES | {"pooling": pooling, "convolutions": [1, 2]})
        assert model.blocks(torch.rand(2, 1, 7, 7)).shape == (2, 8, 2, 2), pooling
        widths = [(c.in_channels, c.out_channels) for c in model.blocks if isinstance(c, nn.Conv2d)]
        assert widths == [(1, 4), (4, 8), (8, 8)]


def test_a_stem_reads_the_picture_without_padding() -> None:
    # 9 -> 5 -> 3 -> 2 pixels, whichever way a block halves, also where the stem is all of the first block
    for pooling in ("stride", "max", "avg"):
        for convolutions in (1, [2, 1]):
            values = CNN_VALUES | {"pooling": pooling, "convolutions": convolutions, "stem_kernel": 5}
            model = CNN(size=9, classes=3, **values)
            assert model.blocks(torch.rand(2, 1, 9, 9)).shape == (2, 8, 2, 2), pooling
            assert model(torch.rand(2, 1, 9, 9)).shape == (2, 3)
            kernels = [(c.kernel_size, c.padding) for c in model.blocks if isinstance(c, nn.Conv2d)]
            assert kernels[0] == ((5, 5), (0, 0))
            assert set(kernels[1:]) == {((3, 3), (1, 1))}


def test_without_padding_each_convolution_takes_its_edge_and_pooling_may_be_left_out() -> None:
    # 11 -> 9 -> 7 and -> 5 -> 3 pixels; halved after each block: 11 -> 7 -> 4 -> nothing, so 15 -> 11 -> 6 -> 2 -> 1
    values = CNN_VALUES | {"convolutions": 2, "padding": "valid"}
    model = CNN(size=11, classes=3, **values | {"pooling": "none"})
    assert model.blocks(torch.rand(2, 1, 11, 11)).shape == (2, 8, 3, 3)
    assert model(torch.rand(2, 1, 11, 11)).shape == (2, 3)
    for pooling in ("stride", "max", "avg"):
        model = CNN(size=15, classes=3, **values | {"pooling": pooling})
        assert model.blocks(torch.rand(2, 1, 15, 15)).shape == (2, 8, 1, 1), pooling
        assert model(torch.rand(2, 1, 15, 15)).shape == (2, 3)
    # A stem of its own size, then the others'; with padding and no pooling nothing is lost.
    model = CNN(size=11, classes=3, **values | {"pooling": "none", "stem_kernel": 5})
    assert model.blocks(torch.rand(2, 1, 11, 11)).shape == (2, 8, 1, 1)
    model = CNN(size=11, classes=3, **CNN_VALUES | {"pooling": "none"})
    assert model.blocks(torch.rand(2, 1, 11, 11)).shape == (2, 8, 11, 11)


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


MLP_DESCRIBED = {"_target_": "inksweep.digits.models.MLP", **MLP_VALUES}
CNN_DESCRIBED = {"_target_": "inksweep.digits.models.CNN", **CNN_VALUES}


def test_an_ensemble_answers_with_the_mean_of_its_members_probabilities() -> None:
    torch.manual_seed(0)
    members = [build(one, size=7, classes=3, known=BUILT_IN).eval() for one in (MLP_DESCRIBED, CNN_DESCRIBED)]
    ensemble = Ensemble(size=7, classes=3, members=[MLP_DESCRIBED, CNN_DESCRIBED]).eval()
    ensemble.load_state_dict(ensemble_state([member.state_dict() for member in members]))
    images = torch.randn(5, 1, 7, 7)
    logits = ensemble(images)
    mean = (members[0](images).softmax(dim=1) + members[1](images).softmax(dim=1)) / 2
    torch.testing.assert_close(logits.exp(), mean)
    torch.testing.assert_close(logits.softmax(dim=1), mean)  # so that it is used like logits


def test_an_ensemble_stays_finite_where_a_member_is_sure() -> None:
    ensemble = Ensemble(size=2, classes=2, members=[MLP_DESCRIBED | {"hidden": []}] * 2).eval()
    for member, sign in zip(ensemble.members, (1, -1), strict=True):
        nn.init.zeros_(member.layers[-1].weight)
        member.layers[-1].bias.data = torch.tensor([sign * 500.0, sign * -500.0])
    torch.testing.assert_close(ensemble(torch.zeros(1, 1, 2, 2)), torch.tensor([[0.5, 0.5]]).log())


def test_an_ensemble_builds_its_members_from_the_table_only() -> None:
    own = {"_target_": "mine.Own"}
    with pytest.raises(UnknownModel, match=r"^mine\.Own$"):
        Ensemble(size=7, classes=3, members=[MLP_DESCRIBED, own])

    class Own(nn.Linear):
        def __init__(self, *, size: int, classes: int) -> None:
            super().__init__(size, classes)

    described = {"_target_": "inksweep.digits.models.Ensemble", "members": [MLP_DESCRIBED, own]}
    built = build(described, size=7, classes=3, known={**BUILT_IN, "mine.Own": Own})
    assert [type(member) for member in built.members] == [MLP, Own]
    with pytest.raises(ValueError, match="at least one member"):
        Ensemble(size=7, classes=3, members=[])
