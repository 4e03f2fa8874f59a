"""`conf/optimizer`: torch's optimizers."""

import math
from dataclasses import dataclass

from omegaconf import MISSING

from inksweep.errors import need


@dataclass
class OptimizerConfig:
    """What every optimizer has: its schema extends this one."""

    _target_: str = MISSING
    # Learning rate; the schedule multiplies it.
    lr: float = MISSING
    # Decay of weight matrices and kernels; biases and normalisation parameters are never decayed.
    weight_decay: float = MISSING

    def __post_init__(self) -> None:
        need(math.isfinite(self.lr) and self.lr > 0, "optimizer.lr", self.lr, "above 0")
        need(
            math.isfinite(self.weight_decay) and self.weight_decay >= 0,
            "optimizer.weight_decay",
            self.weight_decay,
            "0 or above",
        )


@dataclass
class SGDConfig(OptimizerConfig):
    """torch.optim.SGD."""

    _target_: str = "torch.optim.SGD"
    momentum: float = MISSING
    nesterov: bool = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        need(0 <= self.momentum < 1, "optimizer.momentum", self.momentum, "at least 0 and below 1")
        need(
            not (self.nesterov and self.momentum == 0),
            "optimizer.nesterov",
            self.nesterov,
            "false while optimizer.momentum=0",
        )


@dataclass
class AdamConfig(OptimizerConfig):
    """torch.optim.Adam: weight decay is added to the gradient."""

    _target_: str = "torch.optim.Adam"
    # Decay rates of the running means of the gradient and its square.
    betas: list[float] = MISSING
    eps: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        need(good, "optimizer.betas", self.betas, "two numbers, each at least 0 and below 1")
        need(math.isfinite(self.eps) and self.eps > 0, "optimizer.eps", self.eps, "above 0")


@dataclass
class AdamWConfig(AdamConfig):
    """torch.optim.AdamW: weight decay is applied to the weights (arXiv 1711.05101)."""

    _target_: str = "torch.optim.AdamW"


# By the name of the option, a file of conf/optimizer.
OPTIONS: dict[str, type] = {"sgd": SGDConfig, "adam": AdamConfig, "adamw": AdamWConfig}
