"""How many threads a training computes with: by the network's work, and no more than may be used."""

import pytest
import torch
from torch import nn

from inksweep.digits.models import CNN, MLP
from inksweep.digits.training import device, threads


def mlp(hidden):
    return MLP(size=28, classes=10, hidden=hidden, activation="relu", norm="batch", dropout=0.5)


def cnn(channels, **others):
    values = {"kernel": 3, "pooling": "max", "activation": "relu", "norm": "batch", "dropout": 0.0} | others
    return CNN(size=28, classes=10, channels=channels, **values)


def test_multiplications_are_counted_layer_by_layer():
    assert threads.multiplications(mlp([256]), 28) == 784 * 256 + 256 * 10
    # Two blocks on 28 x 28 and 14 x 14 places, the linear layer on 7 x 7.
    expected = 28 * 28 * 9 * 8 + 14 * 14 * 9 * 8 * 16 + 7 * 7 * 16 * 10
    assert threads.multiplications(cnn([8, 16]), 28) == expected


def test_counting_leaves_the_model_and_the_random_numbers_as_they_were():
    model = cnn([4], dropout=0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    threads.multiplications(model, 28)
    assert torch.rand(1) == expected
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_small_networks_are_worth_one_thread_and_large_ones_more():
    small, large = mlp([64, 128, 64]), cnn([64, 128], convolutions=2)
    assert threads.worthwhile(small, 28, 64) == threads.worthwhile(mlp([256]), 28, 128) == 1
    assert threads.worthwhile(large, 28, 128) > threads.worthwhile(large, 28, 16) > 1


def test_what_a_model_of_other_layers_is_worth_is_not_known():
    class Pixels(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(784, 10))

        def forward(self, images):
            return images.flatten(1) @ self.weight

    assert threads.worthwhile(Pixels(), 28, 128) is None


@pytest.mark.parametrize(
    ("asked", "worth", "expected"), [(None, None, 3), (None, 2, 2), (None, 8, 3), (2, None, 2), (2, 1, 2), (4, 1, 4)]
)
def test_threads_are_those_asked_for_or_what_the_work_is_worth_of_the_usable_ones(monkeypatch, asked, worth, expected):
    monkeypatch.setattr(device, "threads_per_process", lambda: 3)
    before = torch.get_num_threads()
    try:
        assert device.set_threads(asked, worth) == expected
    finally:
        torch.set_num_threads(before)
