"""`conf/trainer`: epochs, evaluations, device, number format."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from inksweep.errors import need


class Device(Enum):
    """Where tensors live; `auto` takes cuda, then mps, then cpu."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Precision(Enum):
    """Number format of the forward and backward pass; weights stay float32."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class Keep(Enum):
    """Which weights are scored and saved: those of the best validation accuracy, or the last ones."""

    best = "best"
    last = "last"


@dataclass
class TrainerConfig:
    """How long, on what, and what is kept."""

    # Passes over the training split.
    epochs: int = MISSING
    # Epochs between evaluations; fractions are allowed.
    evaluate_every_epochs: float = MISSING
    # Weight of the uniform distribution mixed into the targets (arXiv 1512.00567).
    label_smoothing: float = MISSING
    # Largest Euclidean norm of the gradient; null: not clipped.
    clip_norm: float | None = MISSING
    # Decay a step of the exponential moving average of the weights, which is then what is evaluated; null: none.
    # 0.998 is a mean over about 500 steps, 0.9995 over 2000.
    ema_decay: float | None = MISSING
    # Evaluations without a better validation accuracy after which training ends; null: never.
    patience: int | None = MISSING
    keep: Keep = MISSING
    device: Device = MISSING
    # CPU threads of a run; null: as many as the network is worth (training/threads.py), of those that this process may
    # use.
    threads: int | None = MISSING
    # Memory order of pictures and kernels; faster for convolutions.
    channels_last: bool = MISSING
    precision: Precision = MISSING
    # torch.compile: slow to begin with, pays off in long trainings.
    compile: bool = MISSING
    # On CUDA: one graph replay a step instead of dozens of kernels that Python starts; elsewhere without effect.
    cuda_graph: bool = MISSING
    # Keep checkpoint.pt when the run completes.
    keep_checkpoint: bool = MISSING
    # A run directory to go on with; it keeps its own settings.
    resume: str | None = MISSING

    def __post_init__(self) -> None:
        need(self.epochs >= 1, "trainer.epochs", self.epochs, "at least 1")
        need(
            0 < self.evaluate_every_epochs <= self.epochs,
            "trainer.evaluate_every_epochs",
            self.evaluate_every_epochs,
            f"above 0 and at most trainer.epochs={self.epochs}",
        )
        need(0 <= self.label_smoothing < 1, "trainer.label_smoothing", self.label_smoothing, "at least 0 and below 1")
        need(self.clip_norm is None or self.clip_norm > 0, "trainer.clip_norm", self.clip_norm, "null or above 0")
        good_decay = self.ema_decay is None or 0 < self.ema_decay < 1
        need(good_decay, "trainer.ema_decay", self.ema_decay, "null or between 0 and 1")
        need(self.patience is None or self.patience >= 1, "trainer.patience", self.patience, "null or at least 1")
        need(self.threads is None or self.threads >= 1, "trainer.threads", self.threads, "null or at least 1")
        float16_off_gpu = self.precision is Precision.float16 and self.device is Device.cpu
        need(not float16_off_gpu, "trainer.precision", "float16", "bfloat16 or float32 with trainer.device=cpu")
