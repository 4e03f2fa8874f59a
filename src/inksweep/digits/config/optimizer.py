"""`conf/optimizer` and `conf/scheduler`."""

from dataclasses import dataclass

from omegaconf import MISSING

from inksweep.errors import finite, need


@dataclass
class OptimizerConfig:
    """What every optimizer has."""

    _target_: str = MISSING
    # Learning rate; the schedule multiplies it.
    lr: float = MISSING
    # Decay of weight matrices and kernels; biases and normalisation parameters are never decayed.
    weight_decay: float = MISSING

    def __post_init__(self) -> None:
        need(finite(self.lr) and self.lr > 0, "optimizer.lr", self.lr, "above 0")
        need(
            finite(self.weight_decay) and self.weight_decay >= 0,
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
        need(finite(self.eps) and self.eps > 0, "optimizer.eps", self.eps, "above 0")


@dataclass
class AdamWConfig(AdamConfig):
    """torch.optim.AdamW: weight decay is applied to the weights (arXiv 1711.05101)."""

    _target_: str = "torch.optim.AdamW"


@dataclass
class ConstantConfig:
    """The same learning rate throughout."""

    _target_: str = "inksweep.digits.optim.constant"


@dataclass
class StepConfig:
    """Multiply the learning rate by `factor` every `every_epochs`."""

    _target_: str = "inksweep.digits.optim.step"
    every_epochs: float = MISSING
    factor: float = MISSING

    def __post_init__(self) -> None:
        need(self.every_epochs > 0, "scheduler.every_epochs", self.every_epochs, "above 0")
        need(0 < self.factor <= 1, "scheduler.factor", self.factor, "above 0 and at most 1")


@dataclass
class CosineConfig:
    """Linear warm-up, then half a cosine down to `final_factor` (arXiv 1608.03983)."""

    _target_: str = "inksweep.digits.optim.cosine"
    warmup_epochs: float = MISSING
    final_factor: float = MISSING

    def __post_init__(self) -> None:
        need(self.warmup_epochs >= 0, "scheduler.warmup_epochs", self.warmup_epochs, "0 or above")
        need(0 <= self.final_factor <= 1, "scheduler.final_factor", self.final_factor, "from 0 to 1")


@dataclass
class OneCycleConfig:
    """Up from `start_factor` to the peak, down to `final_factor`, both along a cosine (arXiv 1708.07120)."""

    _target_: str = "inksweep.digits.optim.onecycle"
    # Where the peak lies, as a fraction of the training.
    peak_at: float = MISSING
    start_factor: float = MISSING
    final_factor: float = MISSING

    def __post_init__(self) -> None:
        need(0 < self.peak_at < 1, "scheduler.peak_at", self.peak_at, "above 0 and below 1")
        for key in ("start_factor", "final_factor"):
            need(0 <= getattr(self, key) <= 1, f"scheduler.{key}", getattr(self, key), "from 0 to 1")
