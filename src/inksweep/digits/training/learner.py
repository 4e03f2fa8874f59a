"""What is trained: model, optimizer, schedule, averaged weights; a step of it, its state, and back to a state."""

import copy
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Batch, Digits, IndexBatches
from inksweep.digits.training import shortcuts

# Added to the seed of an augmentation that draws on the device, whose other draws (dropout) begin with the seed itself.
OTHER_STREAM = 1 << 40


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
        self.peak_lrs: list[float] = [group["lr"] for group in optimizer.param_groups]
        self.scaler = torch.amp.GradScaler(device.type, enabled=scale_gradients)
        self.average = None if ema_decay is None else Average(model)
        self.ema_decay = ema_decay
        # CUDA draws where it computes: what is drawn on the CPU would have to be copied, which waits for the device.
        on_device = device.type == "cuda"
        self.generator = Generator(device if on_device else "cpu").manual_seed(seed + on_device * OTHER_STREAM)
        self._device_module = torch.get_device_module(device)
        self.step = 0
        # Of the steps since the last mean_loss().
        self.loss_sum, self.losses = torch.zeros((), device=device), 0
        self.backward = Tensor.backward if compiled else shortcuts.backward_of(self.loss_sum)

    @property
    def evaluated(self) -> nn.Module:
        """The model that is scored and saved: the averaged one where there is one."""
        return self.model if self.average is None else self.average.module

    def feed(self, digits: Digits, order: IndexBatches) -> Callable[[int, int], Iterable[Any]]:
        """Return a function (epoch, batches to skip) -> the rest of the epoch's batches, as `learn` takes them.

        Args:
            digits: the training split, on the learner's device.
            order: of its rows.
        """
        loader = dataset.Loader(digits, order)

        def batches(epoch: int, skip: int) -> Iterable[Batch]:
            order.set_epoch(epoch, skip)
            return loader

        return batches

    def learn(self, batch: Batch, epoch: float) -> int:
        """Take one step on a batch: uint8 images (n, h, w) and labels (n,); return n."""
        images, labels = batch
        self.set_lr(epoch)
        self.take_step(images, labels, self.ema_weight(self.step + 1))
        self.step += 1
        self.losses += 1
        return len(labels)

    def mean_loss(self) -> float:
        """Return the mean loss of the steps since this was asked last; waits for the device."""
        mean = self.loss_sum.item() / self.losses
        self.loss_sum.zero_()
        self.losses = 0
        return mean

    def set_lr(self, epoch: float) -> None:
        """Give the optimizer the learning rates at `epoch`."""
        factor = self.schedule(epoch)
        for group, peak in zip(self.optimizer.param_groups, self.peak_lrs, strict=True):
            group["lr"] = peak * factor

    def ema_weight(self, step: int) -> float:
        """Return the share of the weights after step number `step`, from 1, in their average."""
        if self.ema_decay is None:
            return 0.0
        decay = self.ema_decay
        return 1 - decay * (1 - decay ** (step - 1)) / (1 - decay**step)

    def take_step(self, images: Tensor, labels: Tensor, ema_weight: float | Tensor) -> None:
        """Let a batch change the model, with the learning rates that the optimizer has: the work of a step."""
        # Outside of autocast: an augmentation that computes in 16 bits misplaces pixels.
        inputs = self.to_input(images, self.generator)
        with self.autocast():
            loss = self.criterion(self.forward(inputs), labels)
        for parameter in self.parameters:  # what optimizer.zero_grad() does, in a tenth of the time
            parameter.grad = None
        self.backward(self.scaler.scale(loss))
        if self.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.move(ema_weight)
        self.loss_sum += loss.detach()

    def state(self) -> dict[str, Any]:
        """Return tensors and plain values from which `restore` continues to the same bits."""
        return {
            "step": self.step,
            "device": self.device.type,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": None if self.average is None else self.average.module.state_dict(),
            **self.draws(),
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
            self.average.module.load_state_dict(state["average"])
        self.restore_draws(state)

    def draws(self) -> dict[str, Any]:
        """Return where the random numbers are: a part of `state`."""
        return {
            "augmentation_generator": self.generator.get_state(),
            "torch_generator": torch.get_rng_state(),
            "device_generator": None if self.device.type == "cpu" else self._device_module.get_rng_state(),
        }

    def restore_draws(self, state: dict[str, Any]) -> None:
        """Go on with the random numbers where they were at the time of `draws`, or of `state`."""
        self.generator.set_state(state["augmentation_generator"])
        torch.set_rng_state(state["torch_generator"])
        if state["device_generator"] is not None:
            self._device_module.set_rng_state(state["device_generator"])


class Average:
    """The moving average of a model's weights and statistics: a model of its own, which begins as a copy."""

    def __init__(self, model: nn.Module) -> None:
        self.module = copy.deepcopy(model)
        means = [*self.module.parameters(), *self.module.buffers()]
        pairs = list(zip(means, [*model.parameters(), *model.buffers()], strict=True))
        self._means = [mean for mean, _ in pairs if mean.is_floating_point()]
        self._values = [value for mean, value in pairs if mean.is_floating_point()]
        # Batch normalisation's count of batches.
        self._counts = [(mean, value) for mean, value in pairs if not mean.is_floating_point()]

    @torch.no_grad()
    def move(self, weight: float | Tensor) -> None:
        """Go `weight` of the way to where the model is now: a number, or a tensor () on the model's device."""
        if isinstance(weight, Tensor):  # lerp takes a number, which would have to be read from the device
            steps = torch._foreach_sub(self._values, self._means)
            torch._foreach_mul_(steps, weight)
            torch._foreach_add_(self._means, steps)
        else:
            torch._foreach_lerp_(self._means, self._values, weight)
        for mean, value in self._counts:
            mean.copy_(value)
