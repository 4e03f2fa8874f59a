"""`conf/scheduler`: how the learning rate changes during a training; the functions are in optim.py."""

from dataclasses import dataclass

from omegaconf import MISSING

from inksweep.errors import need


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


# By the name of the option, a file of conf/scheduler.
OPTIONS: dict[str, type] = {
    "none": ConstantConfig,
    "step": StepConfig,
    "cosine": CosineConfig,
    "onecycle": OneCycleConfig,
}
