"""A small problem whose answers are known, a learner of it and its training."""

from collections.abc import Callable
from functools import partial

import torch
from hydra import compose, initialize_config_dir
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from inksweep.digits.config import parse
from inksweep.digits.config.schema import Config
from inksweep.digits.data.dataset import Digits, IndexBatches
from inksweep.digits.training import device
from inksweep.digits.training.learner import Learner
from inksweep.digits.training.loop import Plan, Progress, Unwatched, train
from tests.conftest import REPOSITORY

SIZE = 6
MOMENTUM = partial(torch.optim.SGD, momentum=0.9)


def digits(count: int = 64) -> Digits:
    """Noise with a bright row that gives the class away."""
    source = Generator().manual_seed(0)
    labels = torch.arange(count) % 3
    images = torch.randint(0, 60, (count, SIZE, SIZE), dtype=torch.uint8, generator=source)
    images[torch.arange(count), labels] = 250
    return Digits(images, labels)


def learner(
    seed: int = 0,
    dropout: float = 0.3,
    lr: float = 0.05,
    kind: Callable[..., Learner] = Learner,
    optimizer: Callable[..., Optimizer] = MOMENTUM,
    norm: bool = False,
    **options,
) -> Learner:
    torch.manual_seed(seed)
    layers = [
        nn.Flatten(),
        nn.Linear(SIZE * SIZE, 12, bias=not norm),
        *([nn.BatchNorm1d(12)] if norm else []),
        nn.ReLU(),
    ]
    model = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(12, 3))

    def to_input(images: Tensor, generator: Generator) -> Tensor:
        noise = torch.rand(images.shape, generator=generator)  # stands for an augmentation
        return (images / 255 + 0.1 * noise).unsqueeze(1)

    cpu = torch.device("cpu")
    return kind(
        model,
        optimizer(model.parameters(), lr=lr),
        options.pop("schedule", lambda epoch: 1.0),
        to_input,
        nn.CrossEntropyLoss(),
        cpu,
        autocast=partial(device.autocast, cpu, options.pop("precision", "float32")),
        seed=seed,
        **options,
    )


class Training:
    """Everything one training needs, and what came of it."""

    def __init__(
        self, learning: Learner, epochs: int = 3, every: float = 1, patience: int | None = None, count: int = 64
    ) -> None:
        self.learner, self.progress, self.rows = learning, Progress(), []
        self.set, self.accuracies = digits(count), None
        self.order = IndexBatches(len(self.set), 8, seed=1)
        self.plan = Plan(epochs, len(self.order), every, patience)

    def validate(self, model: nn.Module) -> dict[str, float]:
        if self.accuracies is not None:
            return {"loss": 1.0, "accuracy": self.accuracies[len(self.progress.rows)]}
        with torch.inference_mode():
            model.eval()
            logits = model(self.set.images.unsqueeze(1) / 255)
            model.train()
        return {
            "loss": nn.functional.cross_entropy(logits, self.set.labels).item(),
            "accuracy": (logits.argmax(1) == self.set.labels).float().mean().item(),
        }

    def run(self, reporter=None, after=None) -> str | None:
        return train(
            self.learner,
            self.plan,
            self.learner.feed(self.set, self.order),
            self.validate,
            self.progress,
            reporter or Unwatched(),
            after or self.rows.append,
        )


def weights(learning: Learner) -> Tensor:
    return torch.cat([p.detach().flatten() for p in learning.model.parameters()])


def composed(*overrides: str) -> Config:
    """The checked settings of `python train.py` with these words."""
    parse.register()
    with initialize_config_dir(str(REPOSITORY / "conf")):
        return parse.parse(compose("config", list(overrides)))
