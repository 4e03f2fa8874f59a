import math

import pytest
import torch
from torch import nn

from inksweep.digits.training.evaluation import infer, metrics


def test_metrics_are_the_ones_computed_by_hand() -> None:
    logits = torch.log(torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))
    measured = metrics(logits, torch.tensor([0, 2]))
    assert measured["accuracy"] == 0.5
    assert measured["loss"] == pytest.approx(-(math.log(0.5) + math.log(0.1)) / 2, rel=1e-6)


def test_infer_uses_evaluation_mode_and_gives_the_mode_back() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(16, 2)).train()
    images = torch.randint(0, 256, (7, 4, 4), dtype=torch.uint8)
    scale = lambda batch: batch.unsqueeze(1) / 255  # noqa: E731
    # dropout on would make the two differ
    assert torch.equal(infer(model, images, scale, 3), infer(model, images, scale, 3))
    assert model.training


def test_the_batch_size_does_not_change_the_logits() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    images = torch.randint(0, 256, (7, 4, 4), dtype=torch.uint8)
    whole = infer(model, images, lambda batch: batch.unsqueeze(1) / 255, 100)
    pieces = infer(model, images, lambda batch: batch.unsqueeze(1) / 255, 3)
    assert whole.shape == (7, 2)
    torch.testing.assert_close(whole, pieces)
