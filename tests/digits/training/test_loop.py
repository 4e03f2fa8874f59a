"""The loop on a small problem whose answers are known."""

import copy
import io
import math

import pytest
import torch
from torch import Tensor, nn

from inksweep.digits.data.dataset import IndexBatches
from inksweep.digits.training.loop import Plan, Progress, Row, Unwatched
from inksweep.errors import Diverged
from tests.digits.training.problem import Training, learner, weights


def test_the_loop_learns() -> None:
    training = Training(learner(), epochs=10)
    assert training.run() is None
    assert training.rows[-1]["val/accuracy"] == 1.0
    assert training.rows[-1]["train/loss"] < training.rows[0]["train/loss"]


def test_a_row_counts_batches_samples_and_epochs() -> None:
    training = Training(learner(), epochs=2, every=0.5)
    training.run()
    assert [(row["epoch"], row["step"], row["samples"]) for row in training.rows] == [
        (0.5, 4, 32),
        (1.0, 8, 64),
        (1.5, 12, 96),
        (2.0, 16, 128),
    ]


@pytest.mark.parametrize(
    "epochs, steps, every, expected",
    [
        (2, 10, 1, [10, 20]),
        (2, 10, 0.25, [2, 5, 8, 10, 12, 15, 18, 20]),
        (3, 10, 2, [20, 30]),  # the end is always evaluated
        (1, 3, 0.1, [1, 2, 3]),  # never twice after one batch
        (1, 10, 0.3, [3, 6, 9, 10]),
    ],
)
def test_evaluations_fall_on_fractions_of_an_epoch(epochs, steps, every, expected) -> None:
    assert Plan(epochs, steps, every).evaluation_steps() == expected


def test_train_loss_is_the_mean_over_the_batches_since_the_last_evaluation() -> None:
    training, losses = Training(learner(), epochs=2), []
    criterion = training.learner.criterion

    def spy(logits: Tensor, labels: Tensor) -> Tensor:
        loss = criterion(logits, labels)
        losses.append(loss.detach())
        return loss

    training.learner.criterion = spy
    training.run()
    assert training.rows[1]["train/loss"] == pytest.approx(torch.stack(losses[8:]).mean().item())


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    first, again, other = Training(learner(1)), Training(learner(1)), Training(learner(2))
    for training in (first, again, other):
        torch.manual_seed(training.learner.generator.initial_seed())
        training.run()
    assert torch.equal(weights(first.learner), weights(again.learner))
    assert not torch.equal(weights(first.learner), weights(other.learner))


@pytest.mark.parametrize("every", [1, 0.25])
@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9}, {"clip_norm": 0.1}])
def test_going_on_from_any_evaluation_ends_in_the_same_bits(every: float, options: dict) -> None:
    whole, states = Training(learner(**options), every=every), []

    def keep(row: Row) -> None:
        buffer = io.BytesIO()
        torch.save({"learner": whole.learner.state(), "progress": vars(whole.progress)}, buffer)
        buffer.seek(0)
        states.append(torch.load(buffer, weights_only=True))

    whole.run(after=keep)
    for state in states[:-1]:
        torch.manual_seed(99)
        resumed = Training(learner(seed=5, **options), every=every)
        resumed.learner.restore(state["learner"])
        resumed.progress = Progress(**state["progress"])
        resumed.run()
        assert torch.equal(weights(resumed.learner), weights(whole.learner))
        assert resumed.progress.rows[-1]["val/loss"] == whole.progress.rows[-1]["val/loss"]
        assert all(
            torch.equal(a, b)
            for a, b in zip(
                resumed.learner.evaluated.state_dict().values(),
                whole.learner.evaluated.state_dict().values(),
                strict=True,
            )
        )


def test_the_learning_rate_follows_the_schedule_of_the_epoch() -> None:
    training = Training(learner(lr=0.5, schedule=lambda epoch: 1 / (1 + epoch)), epochs=2)
    training.run()
    # the last batch of an epoch of 8 starts at 7/8
    assert [row["lr"] for row in training.rows] == pytest.approx([0.5 / (1 + 7 / 8), 0.5 / (1 + 15 / 8)])


def test_averaged_weights_are_what_is_evaluated() -> None:
    training = Training(learner(ema_decay=0.5, dropout=0.0), epochs=1, every=1 / 8)
    seen = []
    training.run(after=lambda row: seen.append(weights(training.learner).clone()))
    # Each counts half of the next one, the first too: its share is not what all before it would have had.
    counts = 0.5 ** torch.arange(len(seen) - 1, -1, -1)
    average = (torch.stack(seen) * (counts / counts.sum()).unsqueeze(1)).sum(0)
    evaluated = torch.cat([p.detach().flatten() for p in training.learner.evaluated.parameters()])
    torch.testing.assert_close(evaluated, average)


def test_clipping_bounds_the_step() -> None:
    free, clipped = Training(learner(lr=1.0), epochs=1, every=1 / 8), Training(learner(lr=1.0, clip_norm=0.01))
    free.plan = clipped.plan = Plan(1, 8, 1 / 8)
    moves = []
    for training in (free, clipped):
        before, done = weights(training.learner).clone(), []
        training.run(after=lambda row, done=done, t=training: done.append(weights(t.learner).clone()))
        moves.append((done[0] - before).norm().item())
    assert moves[1] == pytest.approx(0.01, rel=1e-3)
    assert moves[0] > 0.1


class Stopper(Unwatched):
    """Says stop once it has heard of so many evaluations."""

    def __init__(self, after: int) -> None:
        self.after, self.heard = after, []

    def report(self, step, metrics, total) -> None:
        self.heard.append((step, metrics["val/accuracy"], total))

    def should_stop(self) -> str | None:
        return "pruned" if len(self.heard) >= self.after else None


class CalledOff(Stopper):
    """Wants no more from so many evaluations and so many batches on."""

    def __init__(self, after: int, batches: int) -> None:
        super().__init__(99)
        self.evaluations, self.batches = after, batches

    def called_off(self) -> str | None:
        self.batches -= len(self.heard) >= self.evaluations
        return "target" if self.batches < 0 else None


def test_the_reporter_hears_every_evaluation_and_can_stop() -> None:
    training, reporter = Training(learner(), epochs=5), Stopper(2)
    assert training.run(reporter) == "pruned"
    first, second = (row["val/accuracy"] for row in training.rows)
    assert reporter.heard == [(1, first, 5), (2, second, 5)]


def test_reports_count_evaluations_whatever_the_size_of_a_batch() -> None:
    heard = []
    for batch_size in (8, 32):
        training, reporter = Training(learner(), epochs=2, every=0.5), Stopper(99)
        training.order = IndexBatches(len(training.set), batch_size, seed=1)
        training.plan = Plan(2, len(training.order), 0.5)
        training.run(reporter)
        heard.append([(step, total) for step, _, total in reporter.heard])
    assert heard[0] == heard[1] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_resumed_training_counts_its_reports_on() -> None:
    training, stopping, going_on = Training(learner(), epochs=4), Stopper(3), Stopper(99)
    training.run(stopping)
    assert training.run(going_on) is None
    assert [(step, total) for step, _, total in stopping.heard + going_on.heard] == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_reporter_is_not_asked_after_the_last_evaluation() -> None:
    training, reporter = Training(learner(), epochs=3), Stopper(3)
    assert training.run(reporter) is None
    assert len(reporter.heard) == 3


def test_a_reporter_that_says_stop_at_once_costs_no_training() -> None:
    training = Training(learner(), epochs=3)
    assert training.run(Stopper(0)) == "pruned"
    assert (training.learner.step, training.rows) == (0, [])


def test_a_training_that_is_called_off_ends_before_the_next_batch_and_leaves_no_half_row() -> None:
    training, reporter = Training(learner(), epochs=5), CalledOff(2, batches=3)
    assert training.run(reporter) == "target"
    assert training.learner.step == 2 * 8 + 3
    assert [row["step"] for row in training.rows] == [row["step"] for row in training.progress.rows] == [8, 16]
    assert len(reporter.heard) == 2


def test_going_on_after_being_called_off_ends_in_the_same_bits() -> None:
    whole, states = Training(learner()), []
    whole.run()
    ended = Training(learner())
    keep = lambda row: states.append(copy.deepcopy((ended.learner.state(), vars(ended.progress))))  # noqa: E731
    assert ended.run(CalledOff(1, batches=5), after=keep) == "target"
    resumed, (learned, progress) = Training(learner(seed=5)), states[-1]
    resumed.learner.restore(learned)
    resumed.progress = Progress(**progress)
    resumed.run()
    assert torch.equal(weights(resumed.learner), weights(whole.learner))


def test_patience_counts_evaluations_without_a_better_accuracy() -> None:
    training = Training(learner(), epochs=8, patience=2)
    training.accuracies = [0.5, 0.6, 0.6, 0.55, 0.9, 0.9, 0.9, 0.9]
    assert training.run() == "patience"
    # equal is not better; the best stays the first of equals
    assert len(training.rows) == 4
    assert training.progress.best["epoch"] == 2


def test_the_best_moment_by_loss_is_the_one_of_the_least_loss() -> None:
    progress, model = Progress("val/loss"), nn.Linear(1, 1)
    for loss, accuracy in [(0.5, 0.7), (0.3, 0.8), (0.4, 0.9)]:
        progress.add({"val/loss": loss, "val/accuracy": accuracy}, model)
    assert progress.best == {"val/loss": 0.3, "val/accuracy": 0.8}
    assert progress.evaluations_since_best == 1


def test_a_state_of_another_device_is_refused() -> None:
    state = learner().state()
    with pytest.raises(ValueError, match="made on cuda, this is cpu"):
        learner().restore({**state, "device": "cuda"})


def test_the_best_weights_are_those_of_the_best_moment() -> None:
    training, moments = Training(learner(), epochs=4), []
    training.accuracies = [0.1, 0.9, 0.3, 0.4]
    training.run(after=lambda row: moments.append(weights(training.learner).clone()))
    kept = torch.cat([tensor.flatten() for tensor in training.progress.best_weights.values()])
    assert torch.equal(kept, moments[1])


def test_a_loss_that_is_no_number_ends_the_training() -> None:
    with pytest.raises(Diverged, match=r"train/loss is (nan|inf) after epoch 1"):
        Training(learner(lr=1e30), epochs=3).run()


def test_sixteen_bit_forward_still_learns() -> None:
    training = Training(learner(precision="bfloat16"), epochs=10)
    training.run()
    assert training.rows[-1]["val/accuracy"] > 0.9
    assert next(training.learner.model.parameters()).dtype == torch.float32


def test_nothing_reads_the_loss_back_between_evaluations(monkeypatch: pytest.MonkeyPatch) -> None:
    # item() waits for the device: once an evaluation, and once in the DataLoader's seed of an epoch, not once a batch
    reads = []
    item = Tensor.item
    monkeypatch.setattr(Tensor, "item", lambda self: reads.append(1) or item(self))
    training = Training(learner(), epochs=4)
    training.accuracies = [0.1] * 4
    training.run()
    assert training.learner.step == 32
    assert len(reads) <= 8
    assert math.isfinite(training.rows[-1]["train/loss"])
