"""From config to objects: models, optimizers, schedules, augmentations and trackers are built here, and only here."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from inksweep.digits.augment import Identity
from inksweep.digits.config.parse import plain
from inksweep.digits.config.schema import TRUSTED, Config
from inksweep.digits.data import dataset
from inksweep.digits.optim import parameter_groups
from inksweep.digits.training import compiler, shortcuts
from inksweep.digits.training.device import autocast
from inksweep.digits.training.graph import GraphLearner, obstacle
from inksweep.digits.training.learner import Learner
from inksweep.digits.training.recorder import CudaRecorder
from inksweep.errors import InputError

log = logging.getLogger(__name__)

# Optimizers that can update all parameters in one kernel on CPU and CUDA.
FUSED = ("torch.optim.SGD", "torch.optim.Adam", "torch.optim.AdamW", "torch.optim.Adagrad")
# Optimizers that can keep on the device all that changes from step to step, as a CUDA graph of a step needs it.
CAPTURABLE = tuple(
    f"torch.optim.{name}"
    for name in ("Adadelta", "Adam", "AdamW", "Adamax", "ASGD", "NAdam", "RAdam", "RMSprop", "Rprop")
)


def build_learner(conf: Config, device: torch.device) -> Learner:
    """Build model, optimizer, schedule and augmentation as the config says, the model on `device`.

    Raises:
        InputError: a `_target_` is not trusted, does not exist, or refuses its values.
    """
    trainer = conf.trainer
    if not trainer.compile:
        compiler.leave_out()
    model: nn.Module = build("model", conf.model, size=conf.data.size, classes=len(conf.data.classes))
    model.to(device)
    if trainer.channels_last:
        model.to(memory_format=torch.channels_last)
    augment, mean, std = build("augment", conf.augment), conf.data.mean, conf.data.std

    def plain_input(images: Tensor, generator: Generator) -> Tensor:
        return dataset.to_input(images, mean, std)  # one pass over memory; augmented_input needs three

    def augmented_input(images: Tensor, generator: Generator) -> Tensor:
        pictures: Tensor = augment(dataset.scaled(images), generator)
        return (pictures - mean).div_(std)

    optimizer = _build_optimizer(conf, model, device)
    if trainer.precision.value != "float16":
        shortcuts.lighten(optimizer)
    return _learner_class(conf, device, optimizer)(
        model,
        optimizer,
        _build_schedule(conf),
        plain_input if isinstance(augment, Identity) else augmented_input,
        nn.CrossEntropyLoss(label_smoothing=trainer.label_smoothing),
        device,
        autocast=partial(autocast, device, trainer.precision.value),
        scale_gradients=trainer.precision.value == "float16",
        clip_norm=trainer.clip_norm,
        ema_decay=trainer.ema_decay,
        compiled=trainer.compile,
        seed=conf.seed,
    )


def build(group: str, node: Any, **arguments: Any) -> Any:
    """Call the `_target_` of config group `group` with its values and `arguments`.

    Raises:
        InputError: the `_target_` is not trusted, does not exist, or refuses its values.
    """
    described = plain(node)
    try:
        return instantiate(described, **arguments, _execution_whitelist_=TRUSTED, _convert_="all")
    except (InstantiationException, TypeError, ValueError) as error:
        raise InputError(f"{group}: {described.get('_target_')} cannot be built: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    cause = error.__cause__ or error
    if not isinstance(cause, InstantiationException):
        return f"{type(cause).__name__}: {cause}"
    first_line = str(error).splitlines()[0]
    hint = " Add its package to TRUSTED in train.py." if "execution whitelist" in first_line else ""
    return first_line + hint


def _learner_class(conf: Config, device: torch.device, optimizer: Optimizer) -> Callable[..., Learner]:
    if device.type != "cuda" or not conf.trainer.cuda_graph:
        return Learner
    if reason := obstacle(optimizer, conf.trainer.precision.value == "float16"):
        log.warning("the training step cannot be a CUDA graph (%s): it is the plain one, which is slower", reason)
        return Learner
    return partial(GraphLearner, recorder=CudaRecorder())


def _build_schedule(conf: Config) -> Callable[[float], float]:
    built = build("scheduler", conf.scheduler, _partial_=True)
    # Hydra's partial function asks at every call whether it may be called, which takes longer than the call.
    return partial(built.func, *built.args, **built.keywords, epochs=conf.trainer.epochs)


def _build_optimizer(conf: Config, model: nn.Module, device: torch.device) -> Optimizer:
    described = plain(conf.optimizer)
    name = described["_target_"]
    arguments: dict[str, Any] = {"params": parameter_groups(model, described.get("weight_decay", 0.0))}
    if name in FUSED and device.type in ("cpu", "cuda"):
        arguments["fused"] = True  # one kernel for all parameters; same result
    if name in CAPTURABLE and device.type == "cuda" and conf.trainer.cuda_graph:
        arguments["capturable"] = True  # counts its steps on the device
    optimizer = build("optimizer", conf.optimizer, **arguments)
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"optimizer._target_={name}: must be a torch.optim.Optimizer")
    return optimizer
