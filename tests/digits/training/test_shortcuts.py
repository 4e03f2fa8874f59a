"""The shorter ways into torch: the same bits as its own, which are taken where the shorter ones are not to be had."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from inksweep.digits import optim
from inksweep.digits.training import shortcuts
from inksweep.digits.training.build import build_learner
from tests.digits.training.problem import composed

CPU = torch.device("cpu")
Kind = Callable[..., Optimizer]


class Network(nn.Module):
    """Two layers, of which the second is used only when it is asked for, and a weight that never is."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.unused = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(1, 1)
        self.deep = False

    def forward(self, values: Tensor) -> Tensor:
        hidden: Tensor = self.first(values).tanh()
        return self.second(hidden) if self.deep else hidden


def groups(model: Network) -> list[dict]:
    return optim.parameter_groups(model, weight_decay=0.1)


def is_light(optimizer: Optimizer) -> bool:
    return "step" in vars(optimizer)


def trained(model: Network, optimizer: Optimizer, steps: range) -> list[Tensor]:
    """Train with another learning rate in each step, all layers from the third step on."""
    for step in steps:
        model.deep = step >= 2
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (1 + step)
        optimizer.zero_grad()
        model(torch.arange(8.0).view(2, 4)).square().mean().backward()
        optimizer.step()
    return [each.detach().clone() for each in model.parameters()]


@pytest.mark.parametrize("kind", [partial(Adam, fused=True), partial(AdamW, fused=True, betas=(0.8, 0.95), eps=1e-6)])
def test_light_steps_change_weights_and_state_to_the_same_bits(kind: Kind) -> None:
    models = Network(), Network()
    light, torchs = (kind(groups(model)) for model in models)
    shortcuts.lighten(light)
    assert is_light(light)
    assert not is_light(torchs)
    for one, other in zip(trained(models[0], light, range(6)), trained(models[1], torchs, range(6)), strict=True):
        assert torch.equal(one, other)
    states = light.state_dict()["state"], torchs.state_dict()["state"]
    assert states[0].keys() == states[1].keys()
    for number, state in states[0].items():
        assert {name: value.tolist() for name, value in state.items()} == {
            name: value.tolist() for name, value in states[1][number].items()
        }


@pytest.mark.parametrize("light_first", [True, False])
def test_steps_go_on_from_the_state_that_the_other_way_has_left(light_first: bool) -> None:
    whole, first, second = Network(), Network(), Network()
    expected = trained(whole, AdamW(groups(whole), fused=True), range(6))
    before, after = AdamW(groups(first), fused=True), AdamW(groups(second), fused=True)
    shortcuts.lighten(before if light_first else after)
    trained(first, before, range(3))
    second.load_state_dict(first.state_dict())
    after.load_state_dict(before.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(trained(second, after, range(3, 6)), expected, strict=True))


@pytest.mark.parametrize(
    "kind",
    [
        partial(SGD, fused=True),
        RMSprop,
        Adam,
        partial(AdamW, fused=True, amsgrad=True),
        partial(AdamW, fused=True, maximize=True),
    ],
)
def test_optimizers_and_options_that_it_does_not_know_are_left_alone(kind: Kind) -> None:
    optimizer = kind(groups(Network()), lr=0.1)
    shortcuts.lighten(optimizer)
    assert not is_light(optimizer)


def test_the_gradients_are_those_of_torch_and_added_to_those_that_are_there() -> None:
    weight = torch.tensor([0.3, 0.7], requires_grad=True)
    loss = weight.exp().sum()
    shortcuts.backward_of(loss)(loss)
    assert weight.grad is not None
    assert torch.equal(weight.grad, weight.detach().exp())
    shortcuts.backward_of(loss)(weight.sum())
    assert torch.equal(weight.grad, weight.detach().exp() + 1)


def test_a_torch_of_other_names_has_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortcuts, "KERNELS", {AdamW: "renamed"})
    monkeypatch.setattr(shortcuts, "ENGINE", object())
    optimizer = AdamW(groups(Network()), fused=True)
    shortcuts.lighten(optimizer)
    assert not is_light(optimizer)
    assert shortcuts.backward_of(torch.zeros(())) is Tensor.backward


def test_the_private_names_of_torch_are_still_these() -> None:
    """Should it fail with a new torch: nothing is wrong but that a small network's step takes a fifth longer."""
    assert hasattr(shortcuts.ENGINE, "run_backward")
    assert all(hasattr(torch, name) for name in shortcuts.KERNELS.values())


def test_a_training_on_the_cpu_takes_them() -> None:
    learning = build_learner(composed("optimizer=adam"), CPU)
    assert is_light(learning.optimizer)
    assert learning.backward is not Tensor.backward


def test_with_float16_torch_scales_the_gradients_in_its_own_step() -> None:
    assert not is_light(build_learner(composed("trainer.precision=float16"), CPU).optimizer)


def test_the_schedule_is_the_function_itself_not_what_hydra_makes_of_it() -> None:
    schedule = build_learner(composed("scheduler=onecycle", "trainer.epochs=4"), CPU).schedule
    assert isinstance(schedule, partial)
    assert schedule.func is optim.onecycle
    assert schedule(0.0) == pytest.approx(schedule.keywords["start_factor"])
