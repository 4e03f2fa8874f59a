"""The training that all searches run: a small CNN in plain PyTorch on one thread, and the space that is searched.

Its data are MNIST's own files, read with NumPy: importing it costs no more than torch.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# Reports a trial: two passes over the training pictures, each in two parts.
REPORTS = 4
# Searched: the learning rate, widths of the convolutions, batch size and dropout.
RATE = (1e-3, 1e-1)
WIDTHS = (8, 16, 32)
BATCHES = (64, 128, 256)
DROPOUT = (0.0, 0.5)


def train(lr: float, width: int, batch: int, dropout: float, report: Callable[[int, float], bool]) -> float:
    """Train on 40,000 pictures (BENCH_LIMIT: fewer), twice each; return the validation accuracy on 5,000 others.

    `report(step, accuracy)` is called four times, and says whether to stop. The moment at which an accuracy of 99.0% is
    first reached is noted in the file that BENCH_REACHED names.
    """
    torch.set_num_threads(1)
    torch.manual_seed(1)
    count = int(os.environ.get("BENCH_LIMIT", 40000))
    images, labels = read(Path(os.environ["BENCH_DATA"]) / "MNIST" / "raw")
    model = network(width, dropout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
    order = torch.cat([torch.randperm(count) for _ in range(2)]).split(batch)[:-1]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=len(order))
    accuracy = 0.0
    for step in range(1, REPORTS + 1):
        for rows in order[len(order) * (step - 1) // REPORTS : len(order) * step // REPORTS]:
            loss = functional.cross_entropy(model(as_input(images[rows])), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        accuracy = measured(model, images[-5000:], labels[-5000:])
        if accuracy >= float(os.environ.get("BENCH_WANTED", 0.99)):
            with Path(os.environ["BENCH_REACHED"]).open("a") as file:
                print(time.time(), accuracy, file=file)
        if report(step, accuracy):
            break
    return accuracy


@torch.inference_mode()
def measured(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of right answers."""
    model.eval()
    answers = torch.cat([model(as_input(part)).argmax(1) for part in images.split(1000)])
    model.train()
    return float((answers == labels).float().mean())


def network(width: int, dropout: float) -> nn.Module:
    """Three convolutions with stride 2, of `width` channels and twice and four times as many."""
    layers: list[nn.Module] = []
    for before, after in ((1, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 5, 2, 2, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    head = [nn.Flatten(), nn.Dropout(dropout), nn.Linear(4 * width * 16, 10)]
    return nn.Sequential(*layers, *head).to(memory_format=torch.channels_last)


def read(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the training files: images uint8 (60000, 28, 28), labels int64 (60000,)."""
    images = np.fromfile(folder / "train-images-idx3-ubyte", np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.fromfile(folder / "train-labels-idx1-ubyte", np.uint8, offset=8)
    return torch.from_numpy(images), torch.from_numpy(labels).long()


def as_input(images: torch.Tensor) -> torch.Tensor:
    """Turn uint8 (n, 28, 28) into float32 (n, 1, 28, 28) around zero."""
    return images.unsqueeze(1).float().div_(255).sub_(0.1307).div_(0.3081)
