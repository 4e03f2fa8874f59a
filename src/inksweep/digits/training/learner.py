"""What is trained: model, optimizer, schedule, averaged weights; a step of it, its state, and back to a state."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

Tensors = tuple[Tensor, ...] | list[Tensor]


class Learner:
    """A model and all that changes while it learns; `state` is enough to continue to the same bits.

    Args:
        model: maps pictures (n, 1, h, w) to logits (n, classes).
        optimizer: over the model's parameters.
        schedule: epoch (a fraction) -> factor of the optimizer's learning rate.
        to_input: uint8 pictures (n, h, w) and the augmentation's generator -> the model's input.
        criterion: logits and labels -> mean loss.
        device: where the model and the pictures are.
        autocast: gives the context of the forward pass.
        scale_gradients: for float16, whose small gradients vanish otherwise.
        clip_norm: largest Euclidean norm of the gradient; None: not clipped.
        ema_decay: decay a step of the moving average of the weights, corrected so that the initial weights do not
            count in it (as in Adam, arXiv 1412.6980 section 3); None: no average is kept.
        compiled: whether the forward pass goes through torch.compile.
        seed: of the augmentation.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: Callable[[float], float],
        to_input: Callable[[Tensor, Generator], Tensor],
        criterion: Callable[[Tensor, Tensor], Tensor],
        device: torch.device,
        *,
        autocast: Callable[[], AbstractContextManager[None]],
        scale_gradients: bool = False,
        clip_norm: float | None = None,
        ema_decay: float | None = None,
        compiled: bool = False,
        seed: int = 0,
    ) -> None:
        self.model, self.optimizer, self.schedule, self.to_input = model, optimizer, schedule, to_input
        self.criterion, self.autocast, self.clip_norm, self.device = criterion, autocast, clip_norm, device
        self.forward: Callable[[Tensor], Tensor] = torch.compile(model) if compiled else model
        self.parameters = list(model.parameters())
        self.peak_lrs = [group["lr"] for group in optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device.type, enabled=scale_gradients)
        self.average: AveragedModel | None = None
        self.ema_decay = ema_decay
        if ema_decay is not None:
            self.average = AveragedModel(model, multi_avg_fn=self._average, use_buffers=True)
        self.generator = Generator(device="cpu").manual_seed(seed)
        self._device_module = torch.get_device_module(device)
        self.step = 0

    @property
    def evaluated(self) -> nn.Module:
        """The model that is scored and saved: the averaged one where there is one."""
        return self.model if self.average is None else self.average.module

    def learn(self, images: Tensor, labels: Tensor, epoch: float) -> Tensor:
        """Take one step on uint8 `images` (n, h, w) and `labels` (n,); return the loss as a tensor on the device."""
        factor = self.schedule(epoch)
        for group, peak in zip(self.optimizer.param_groups, self.peak_lrs, strict=True):
            group["lr"] = peak * factor
        # Outside of autocast: an augmentation that computes in 16 bits misplaces pixels.
        inputs = self.to_input(images, self.generator)
        with self.autocast():
            loss = self.criterion(self.forward(inputs), labels)
        for parameter in self.parameters:  # what optimizer.zero_grad() does, in a tenth of the time
            parameter.grad = None
        self.scaler.scale(loss).backward()
        if self.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.model)
        self.step += 1
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Return tensors and plain values from which `restore` continues to the same bits."""
        return {
            "step": self.step,
            "device": self.device.type,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "augmentation_generator": self.generator.get_state(),
            "torch_generator": torch.get_rng_state(),
            "device_generator": None if self.device.type == "cpu" else self._device_module.get_rng_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to the moment when `state` was taken.

        Raises:
            ValueError: it was taken on another kind of device, where the same numbers cannot be computed.
        """
        if state["device"] != self.device.type:
            raise ValueError(f"it was made on {state['device']}, this is {self.device.type}: the bits would differ")
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.generator.set_state(state["augmentation_generator"])
        torch.set_rng_state(state["torch_generator"])
        if state["device_generator"] is not None:
            self._device_module.set_rng_state(state["device_generator"])

    def _average(self, averaged: Tensors, current: Tensors, count: Tensor | int) -> None:
        """Take the weights after a step into the average; the step is not counted yet."""
        decay, steps = self.ema_decay, self.step + 1
        assert decay is not None
        corrected = decay * (1 - decay ** (steps - 1)) / (1 - decay**steps)
        get_ema_multi_avg_fn(corrected)(averaged, current, count)
