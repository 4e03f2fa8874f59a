"""Training on a GPU, where there is one: the same bits, replayed steps beside plain ones, what a kill costs."""

import io
import time
from typing import Any

import pytest
import torch
from torch import Tensor

from inksweep.digits.augment import Affine, Elastic, Erasing, Stroke
from inksweep.digits.data.dataset import Digits, IndexBatches
from inksweep.digits.training import device
from inksweep.digits.training.build import build_learner
from inksweep.digits.training.graph import GraphLearner
from inksweep.digits.training.learner import Learner
from inksweep.digits.training.loop import Plan, Progress, Row, Unwatched, train
from tests.digits.training.problem import composed, weights

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")

CUDA = torch.device("cuda")
NETWORKS = {
    "mlp": [],
    "mlp_sgd": ["optimizer=sgd", "model.dropout=0.2"],
    "cnn": ["model=cnn", "optimizer=adamw", "optimizer.lr=0.001"],
    "accurate": ["experiment=accurate"],
    "float16": ["model=cnn", "trainer.precision=float16", "trainer.clip_norm=1", "trainer.ema_decay=0.9"],
    "nadam": ["optimizer=adam", "optimizer.lr=0.001"],
}


def pictures(count: int = 3200) -> Digits:
    """Noise with a bright row that gives the class away."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 10
    images = torch.randint(0, 60, (count, 28, 28), dtype=torch.uint8, generator=generator)
    images[torch.arange(count), labels + 9] = 250
    return Digits(images, labels).to(CUDA)


class Run:
    """A training on the GPU from a composed config, over few batches."""

    def __init__(self, *overrides: str, seed: int = 1, every: float = 1, epochs: int = 2) -> None:
        self.conf = composed("data.batch_size=64", f"seed={seed}", *overrides)
        device.make_repeatable(CUDA, seed)
        self.learner: Learner = build_learner(self.conf, CUDA)
        self.digits, self.progress, self.rows = pictures(), Progress(), []
        self.order = IndexBatches(len(self.digits), 64, seed, CUDA)
        self.plan = Plan(epochs, len(self.order), every)

    def go(self, after: Any = None) -> "Run":
        batches = self.learner.feed(self.digits, self.order)
        validate = lambda model: {"loss": 1.0, "accuracy": 0.5}  # noqa: E731
        train(self.learner, self.plan, batches, validate, self.progress, Unwatched(), after or self.rows.append)
        return self

    @property
    def is_replayed(self) -> bool:
        return isinstance(self.learner, GraphLearner) and self.learner.is_replayed


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_seed_gives_the_same_bits_and_the_step_is_replayed(name: str) -> None:
    first, again = Run(*NETWORKS[name]).go(), Run(*NETWORKS[name]).go()
    assert first.is_replayed
    assert again.is_replayed
    assert torch.equal(weights(first.learner), weights(again.learner))
    assert [row["train/loss"] for row in first.rows] == [row["train/loss"] for row in again.rows]


@pytest.mark.parametrize("name", NETWORKS)
def test_replays_come_to_what_plain_steps_come_to(name: str) -> None:
    replayed, plain = Run(*NETWORKS[name]).go(), Run(*NETWORKS[name], "trainer.cuda_graph=false").go()
    assert type(plain.learner) is Learner
    for row, expected in zip(replayed.rows, plain.rows, strict=True):
        assert row["train/loss"] == pytest.approx(expected["train/loss"], rel=0.02)
        assert row["lr"] == expected["lr"]
    a, b = weights(replayed.learner), weights(plain.learner)
    assert (a - b).norm() <= 0.05 * b.norm()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("every", [1, 0.25])
def test_going_on_from_any_evaluation_ends_in_the_same_bits(name: str, every: float) -> None:
    whole, states = Run(*NETWORKS[name], every=every), []

    def keep(row: Row) -> None:
        buffer = io.BytesIO()
        torch.save(whole.learner.state(), buffer)
        buffer.seek(0)
        states.append(torch.load(buffer, weights_only=True, map_location="cpu"))

    whole.go(keep)
    for state in states[:-1:3]:
        resumed = Run(*NETWORKS[name], seed=5, every=every)
        resumed.order.seed = 1
        resumed.learner.restore(state)
        resumed.go()
        assert torch.equal(weights(resumed.learner), weights(whole.learner))


def test_a_step_that_reads_a_value_goes_on_plain_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    def reading(run: Run) -> Run:
        criterion = run.learner.criterion

        def spy(logits: Tensor, labels: Tensor) -> Tensor:
            loss = criterion(logits, labels)
            assert loss.item() >= 0
            return loss

        run.learner.criterion = spy
        return run.go()

    refused, plain = reading(Run("model.dropout=0.2")), reading(Run("model.dropout=0.2", "trainer.cuda_graph=false"))
    assert not refused.is_replayed
    assert len([message for message in caplog.messages if "cannot be a CUDA graph" in message]) == 1
    torch.testing.assert_close(weights(refused.learner), weights(plain.learner), rtol=1e-3, atol=1e-4)
    # Nothing is left of the recording that failed.
    assert Run("model.dropout=0.2").go().is_replayed


@pytest.mark.parametrize("augment", [Affine(15, 5, 2, 0.1), Elastic(1.0, 6), Stroke(1.0), Erasing(0.5, 0.4)])
def test_what_is_drawn_on_the_device_is_spread_as_on_the_cpu(augment: Any) -> None:
    def drawn(place: torch.device) -> Tensor:
        images = pictures(512).images.unsqueeze(1).to(place) / 255
        generator = torch.Generator(place).manual_seed(3)
        changed = torch.stack([augment(images, generator) - images for _ in range(20)])
        return torch.stack([changed.mean(), changed.std(), changed.abs().mean()]).cpu()

    torch.testing.assert_close(drawn(CUDA), drawn(torch.device("cpu")), rtol=0.03, atol=1e-3)


@pytest.mark.parametrize("name", ["mlp", "cnn", "accurate"])
def test_images_a_second(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(*NETWORKS[name], epochs=1).go()  # records
    run.plan = Plan(6, len(run.order), 5)
    started = time.perf_counter()
    run.go()
    with capsys.disabled():
        print(f"\n{name}, batch 64: {5 * len(run.digits) / (time.perf_counter() - started):,.0f} images/s")
    assert run.learner.step == 6 * len(run.order)
