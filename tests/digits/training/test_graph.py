"""Replayed steps beside plain ones: recorded on a tape where there is no GPU."""

import inspect
import io
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Generator, Tensor
from torch.optim import SGD, AdamW, Optimizer

from inksweep.digits.training import build
from inksweep.digits.training.graph import MANY, GraphLearner, obstacle
from inksweep.digits.training.learner import Learner
from tests.digits.training.problem import Training, composed, learner, weights
from tests.digits.training.tape import Replay, Tape, TapeRecorder

COUNT = 192  # 24 batches an epoch: two large graphs and four steps
SGD_FUSED, ADAMW_FUSED = partial(SGD, momentum=0.9, nesterov=True, fused=True), partial(AdamW, fused=True)


def falling(epoch: float) -> float:
    return 1 / (1 + epoch)


def graph_learner(recorder: TapeRecorder, optimizer: Callable[..., Optimizer] = SGD_FUSED, **options: Any) -> Learner:
    made = learner(kind=partial(GraphLearner, recorder=recorder), optimizer=optimizer, **options)
    assert isinstance(made, GraphLearner)
    recorder.learner = made
    return made


def trained(learning: Learner, epochs: int = 2, every: float = 1) -> Training:
    training = Training(learning, epochs, every, count=COUNT)
    torch.manual_seed(7)
    training.run()
    return training


@pytest.mark.parametrize(
    "optimizer", [SGD_FUSED, partial(SGD, fused=True), ADAMW_FUSED], ids=["nesterov", "sgd", "adamw"]
)
@pytest.mark.parametrize(
    "options",
    [
        {"schedule": falling},
        {"ema_decay": 0.9, "norm": True},
        {"clip_norm": 0.1, "precision": "bfloat16"},
        {"scale_gradients": True, "clip_norm": 1.0, "ema_decay": 0.5},
    ],
    ids=["schedule", "average", "clip", "scaled"],
)
def test_replays_do_what_plain_steps_do(optimizer: Callable[..., Optimizer], options: dict[str, Any]) -> None:
    lr = 0.05 if optimizer is not ADAMW_FUSED else 0.005
    plain = trained(learner(optimizer=optimizer, lr=lr, **options))
    recorder = TapeRecorder()
    replayed = trained(graph_learner(recorder, optimizer, lr=lr, **options))

    assert sum(recorder.replays) == 1 + 2 * 24 - 1  # one to compare it with a plain step; the first is plain
    # The same draws and operations; but learning rates, and the weight of the average, are rounded to float32.
    torch.testing.assert_close(weights(replayed.learner), weights(plain.learner), rtol=1e-3, atol=1e-5)
    for a, b in zip(*(each.learner.evaluated.state_dict().values() for each in (replayed, plain)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)
    for row, expected in zip(replayed.rows, plain.rows, strict=True):
        assert row["train/loss"] == pytest.approx(expected["train/loss"], rel=1e-4)
        assert row["lr"] == expected["lr"]
        assert (row["step"], row["samples"], row["epoch"]) == (expected["step"], expected["samples"], expected["epoch"])


def test_most_steps_are_replayed_many_at_a_time() -> None:
    recorder = TapeRecorder()
    trained(graph_learner(recorder))
    compared, *others = recorder.replays
    assert compared == 1
    assert others == [10, 10, 1, 1, 1, 10, 10, 1, 1, 1, 1]
    assert recorder.recorded == 2


def test_an_epoch_of_few_batches_is_one_replay() -> None:
    recorder = TapeRecorder()
    training = Training(graph_learner(recorder), epochs=3, count=64)
    training.run()
    assert len(training.order) == 8 < MANY
    assert recorder.replays == [1, *[1] * 7, 8, 8]


@pytest.mark.parametrize("every", [1, 0.25])
@pytest.mark.parametrize("options", [{}, {"ema_decay": 0.9, "norm": True}, {"optimizer": ADAMW_FUSED, "lr": 0.005}])
def test_going_on_from_any_evaluation_ends_in_the_same_bits(every: float, options: dict[str, Any]) -> None:
    whole, states = Training(graph_learner(TapeRecorder(), **options), every=every, count=COUNT), []

    def keep(row: dict[str, float]) -> None:
        buffer = io.BytesIO()
        torch.save(whole.learner.state(), buffer)
        buffer.seek(0)
        states.append(torch.load(buffer, weights_only=True))

    torch.manual_seed(7)
    whole.run(after=keep)
    for state in states[:-1:3]:
        torch.manual_seed(99)
        resumed = Training(graph_learner(TapeRecorder(), seed=5, **options), every=every, count=COUNT)
        resumed.learner.restore(state)
        resumed.run()
        assert torch.equal(weights(resumed.learner), weights(whole.learner))
        pairs = zip(*(each.learner.evaluated.state_dict().values() for each in (resumed, whole)), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_a_restored_learner_is_recorded_anew() -> None:
    recorder = TapeRecorder()
    training = trained(graph_learner(recorder), epochs=1)
    state = training.learner.state()
    training.learner.restore(state)
    training.plan = Training(training.learner, 2, count=COUNT).plan
    training.run()
    assert recorder.recorded == 4
    assert training.learner.step == 48


def test_the_state_holds_plain_numbers_and_all_steps_asked_for() -> None:
    training = Training(graph_learner(TapeRecorder(), schedule=falling), count=COUNT)
    batches = training.learner.feed(training.set, training.order)(0, 0)
    for number in list(batches)[:7]:
        training.learner.learn(number, number / 24)
    state = training.learner.state()
    assert state["step"] == 7
    assert [group["lr"] for group in state["optimizer"]["param_groups"]] == [pytest.approx(0.04)]
    assert training.learner.mean_loss() > 0


class Refusing(TapeRecorder):
    """Gives up in the middle of a step, as torch does where a step cannot be recorded."""

    def record(self, function: Replay, generator: Generator) -> Replay:
        super().record(function, generator)
        scaled, criterion = self.learner.scaler.is_enabled(), self.learner.criterion
        self.learner.criterion = lambda logits, labels: criterion(logits, labels) * 3
        step = self.learner.optimizer.step
        self.learner.optimizer.step = lambda: [step(), 1 / 0]  # type: ignore[method-assign]
        try:
            function()
        finally:
            self.learner.criterion, self.learner.optimizer.step = criterion, step  # type: ignore[method-assign]
            assert self.learner.scaler.is_enabled() == scaled
        raise AssertionError("not reached")


class Different(TapeRecorder):
    """Its replays do something else than the step."""

    def record(self, function: Replay, generator: Generator) -> Replay:
        replay = super().record(function, generator)

        def other() -> None:
            torch.rand(1, generator=self.learner.generator)  # draws once more
            replay()

        return other


class Replacing(SGD):
    """Has new tensors for its state after each step."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step()
        for state in self.state.values():
            state["momentum_buffer"] = state["momentum_buffer"].clone()


@pytest.mark.parametrize(
    "recorder, optimizer, why",
    [
        (Refusing(), SGD_FUSED, "ZeroDivisionError"),
        (Refusing(), ADAMW_FUSED, "ZeroDivisionError"),
        (Different(), SGD_FUSED, "in another way than the plain one"),
        (
            TapeRecorder(),
            partial(Replacing, momentum=0.9, fused=True),
            "new tensors for its optimizer's momentum_buffer",
        ),
    ],
    ids=["refusing", "refusing_adamw", "different", "replacing"],
)
@pytest.mark.parametrize("options", [{}, {"scale_gradients": True, "ema_decay": 0.9, "norm": True}], ids=["", "all"])
def test_where_no_graph_is_possible_a_line_says_so_and_the_bits_are_those_of_plain_steps(
    recorder: TapeRecorder,
    optimizer: Callable[..., Optimizer],
    why: str,
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = trained(learner(optimizer=optimizer, lr=0.01, **options), epochs=1, every=0.5)
    with caplog.at_level(logging.WARNING):
        training = trained(graph_learner(recorder, optimizer, lr=0.01, **options), epochs=1, every=0.5)
    assert torch.equal(weights(training.learner), weights(plain.learner))
    assert [row["train/loss"] for row in training.rows] == [row["train/loss"] for row in plain.rows]
    [warning] = caplog.messages
    assert warning.startswith("the training step cannot be a CUDA graph (")
    assert why in warning
    assert "\n" not in warning


def test_a_learning_rate_that_stays_as_recorded_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    # What a plain number in the optimizer would do: the comparison is with the rate of the step, not with that.
    recorder = TapeRecorder()
    made = graph_learner(recorder, schedule=falling)
    training = Training(made, 1, count=COUNT)
    begin = made._begin

    def wrong(epoch: int, skip: int) -> Any:
        numbers = begin(epoch, skip)
        made._numbers[:, 0] = 0.05
        return numbers

    monkeypatch.setattr(made, "_begin", wrong)
    training.run()
    assert recorder.replays == [1]  # compared, found different, and not used


def sgd_of(**options: Any) -> Optimizer:
    return SGD([torch.zeros(1, requires_grad=True)], lr=0.1, **options)


def test_what_is_known_to_stand_against_a_graph() -> None:
    parameters = [torch.zeros(1, requires_grad=True)]
    assert obstacle(sgd_of(fused=True), False) is None
    assert obstacle(sgd_of(fused=True), True) is None
    assert "on the CPU" in (obstacle(sgd_of(), False) or "")
    assert "on the CPU" in (obstacle(torch.optim.Adagrad(parameters, fused=True), False) or "")
    assert obstacle(AdamW(parameters, capturable=True), False) is None
    assert "float16" in (obstacle(AdamW(parameters, capturable=True), True) or "")
    assert obstacle(AdamW(parameters, capturable=True, fused=True), True) is None


def test_the_optimizers_called_capturable_are_those_of_torch() -> None:
    known = {
        f"torch.optim.{name}"
        for name, each in vars(torch.optim).items()
        if inspect.isclass(each) and "capturable" in inspect.signature(each).parameters
    }
    assert set(build.CAPTURABLE) == known


CUDA = torch.device("cuda")


@pytest.mark.parametrize(
    "overrides, kind, warns",
    [
        ([], GraphLearner, False),
        (["optimizer=adamw", "trainer.precision=float16", "trainer.device=cuda"], GraphLearner, False),
        (["trainer.compile=true"], GraphLearner, False),
        (["trainer.cuda_graph=false"], Learner, False),
        (["optimizer=adagrad"], Learner, True),
    ],
    ids=["default", "float16", "compile", "off", "adagrad"],
)
def test_which_learner_is_built_for_cuda(
    overrides: list[str],
    kind: type[Learner],
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made: list[type] = []
    for each in (Learner, GraphLearner):
        monkeypatch.setattr(build, each.__name__, lambda *parts, each=each, **options: made.append(each))
    monkeypatch.setattr(build, "CudaRecorder", TapeRecorder)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *args, **kwargs: module)
    conf = composed(*(each for each in overrides if each != "optimizer=adagrad"))
    if "optimizer=adagrad" in overrides:  # as a config of one's own would name it
        conf.optimizer = {"_target_": "torch.optim.Adagrad", "lr": 0.01, "weight_decay": 0.0}
    build.build_learner(conf, CUDA)
    assert made == [kind]
    assert bool(caplog.messages) == warns


AUGMENTATIONS = ["none", "affine", "elastic", "stroke", "erasing", "handwriting", "ink"]


@pytest.mark.parametrize("augment", AUGMENTATIONS)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_no_step_makes_a_tensor_of_the_host_or_reads_one(augment: str, model: str) -> None:
    trainer = ["trainer.clip_norm=1", "trainer.ema_decay=0.9", "trainer.label_smoothing=0.1"]
    conf = composed(f"model={model}", f"augment={augment}", "optimizer=adamw", *trainer)
    made = build.build_learner(conf, torch.device("cpu"))
    images = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8)
    labels, weight = torch.tensor([1, 2, 3, 4]), torch.tensor(0.5)
    made.take_step(images, labels, weight)  # constants are made in the first
    with Tape() as tape:
        made.take_step(images, labels, weight)
    assert len(tape.operations) > 20


def test_the_tape_refuses_what_a_graph_would() -> None:
    for step in (lambda: torch.tensor([1.0]), lambda: torch.ones(1).item(), lambda: bool(torch.ones(1) > 0)):
        with pytest.raises(RuntimeError, match="not permitted while recording"), Tape():
            step()


def test_the_shares_in_the_average_are_those_that_leave_out_the_first_weights() -> None:
    made = learner(ema_decay=0.9)
    average = torch.zeros(())
    for step in range(1, 6):
        average = average.lerp(torch.tensor(float(step)), made.ema_weight(step))
    shares = 0.9 ** torch.arange(4, -1, -1)
    expected: Tensor = (shares * torch.arange(1, 6)).sum() / shares.sum()
    torch.testing.assert_close(average, expected)
