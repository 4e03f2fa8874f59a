"""What a model answers to a set of pictures: logits, and the metrics and predictions that follow from them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from inksweep.runs.predictions import Predictions


@torch.inference_mode()
def infer(model: nn.Module, images: Tensor, to_input: Callable[[Tensor], Tensor], batch_size: int) -> Tensor:
    """Return the logits (n, classes) of uint8 `images` (n, h, w), computed in batches, dropout off.

    The model is left in the mode, training or evaluation, that it was in.
    """
    was_training = model.training
    model.eval()
    logits = torch.cat([model(to_input(batch)).float() for batch in images.split(batch_size)])
    model.train(was_training)
    return logits


def metrics(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return cross-entropy `loss` (nats) and `accuracy` (0..1) of logits (n, classes) against labels (n,)."""
    loss = functional.cross_entropy(logits, labels)
    correct = int((logits.argmax(dim=1) == labels).sum())
    return {"loss": loss.item(), "accuracy": correct / len(labels)}


def predictions(logits: Tensor, labels: Tensor) -> Predictions:
    """Return the answers that logits (n, classes) give to pictures with `labels` (n,)."""
    confidence, predicted = logits.softmax(dim=1).max(dim=1)
    return Predictions(labels.cpu().numpy(), predicted.cpu().numpy(), confidence.cpu().numpy())
