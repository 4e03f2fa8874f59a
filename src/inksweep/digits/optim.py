"""Learning-rate schedules as pure functions of the epoch, and which parameters are decayed.

A schedule is `(epoch, epochs, **values) -> factor`: the learning rate at `epoch` (a fraction: 1.5 is the middle of the
second pass) of `epochs` is the optimizer's `lr` times that factor. Having no state, it needs none to be resumed.
"""

import math
from typing import Any

from torch import nn


def constant(epoch: float, epochs: float) -> float:
    """Return 1: the learning rate stays."""
    return 1.0


def step(epoch: float, epochs: float, *, every_epochs: float, factor: float) -> float:
    """Multiply by `factor` after every `every_epochs`."""
    return float(factor ** math.floor(epoch / every_epochs))


def cosine(epoch: float, epochs: float, *, warmup_epochs: float, final_factor: float) -> float:
    """Rise linearly for `warmup_epochs`, then fall to `final_factor` along half a cosine (arXiv 1608.03983)."""
    if epoch < warmup_epochs:
        return epoch / warmup_epochs
    return _half_cosine(1.0, final_factor, (epoch - warmup_epochs) / (epochs - warmup_epochs))


def onecycle(epoch: float, epochs: float, *, peak_at: float, start_factor: float, final_factor: float) -> float:
    """Rise from `start_factor` to 1 at `peak_at` of the training, fall to `final_factor` (arXiv 1708.07120)."""
    peak = peak_at * epochs
    if epoch < peak:
        return _half_cosine(start_factor, 1.0, epoch / peak)
    return _half_cosine(1.0, final_factor, (epoch - peak) / (epochs - peak))


def _half_cosine(start: float, end: float, progress: float) -> float:
    """From `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return optimizer groups in which only matrices and kernels are decayed.

    Biases and the gains of normalisation layers are few and set the scale; decaying them only hurts
    (arXiv 1812.01187, section 3.1).
    """
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
