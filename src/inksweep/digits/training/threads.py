"""How many CPU threads a training computes with: a fixed function of the network, so that a command repeats its bits.

A step of a small network is some dozens of operations of microseconds each, after each of which all threads wait for
the last. Where another process has taken the core of one of them, all wait until the kernel gives it back: such a step
takes ten to a hundred times as long, while one thread takes as long as ever. So a small network is given one thread.
The measurements are in docs/speed.md.
"""

import math

import torch
from torch import Tensor, nn

# Multiplications in the forward pass of a batch from which on a further thread saves more time than its waiting costs.
WORTH_A_THREAD = 60e6


def worthwhile(model: nn.Module, size: int, batch_size: int) -> int | None:
    """Return the number of threads that `model` is worth, however many cores there are; None: it cannot be told.

    Args:
        model: maps pictures (n, 1, size, size) to logits; it is run once, on a blank picture, and left as it was.
        size: height and width of the pictures, in pixels.
        batch_size: pictures a step.
    """
    count = multiplications(model, size)
    return max(1, math.floor(count * batch_size / WORTH_A_THREAD)) if count else None


@torch.no_grad()
def multiplications(model: nn.Module, size: int) -> int:
    """Return how often the linear layers and convolutions of `model` multiply for a picture (1, 1, size, size)."""
    # torch.utils.flop_counter counts more kinds of layers, but imports torch's compiler: more than a second.
    count = 0

    def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal count
        assert isinstance(layer.weight, Tensor)  # (outputs, ...)
        count += layer.weight.numel() * output.numel() // len(layer.weight)

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = model.training
    try:
        model.eval()(torch.zeros(1, 1, size, size, device=next(model.parameters()).device))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return count
