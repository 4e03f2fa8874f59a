"""card/calibration.py: against slow loops over the definitions."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from inksweep.digits.card.calibration import Answers, error, fit_temperature, summary


def answers_of(scale: float, n: int = 3000, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits (n, 4) whose softmax at temperature `scale` is the truth, and labels drawn from that truth."""
    generator = torch.Generator().manual_seed(seed)
    true = torch.randn(n, 4, generator=generator) * 2
    labels = torch.multinomial(true.softmax(dim=1), 1, generator=generator).squeeze(1)
    return true * scale, labels


@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_the_temperature_has_the_least_cross_entropy(scale: float) -> None:
    logits, labels = answers_of(scale)
    temperature = fit_temperature(logits, labels)
    # The one that undoes the scale, but for the chance in the labels.
    assert temperature == pytest.approx(scale, rel=0.1)

    def nll(value: float) -> float:
        return functional.cross_entropy(logits.double() / value, labels).item()

    tried = np.exp(np.linspace(math.log(0.1), math.log(10), 400))
    assert nll(temperature) <= min(map(nll, tried.tolist())) + 1e-12
    assert fit_temperature(logits, labels) == temperature


def test_where_all_is_right_there_is_nothing_to_fit() -> None:
    labels = torch.tensor([0, 1, 2])
    assert fit_temperature(torch.eye(3), labels) == 1.0


def test_a_hopeless_model_gets_the_greatest_temperature() -> None:
    # Always wrong: the less sure, the better, without end.
    assert fit_temperature(torch.eye(3), torch.tensor([1, 2, 0])) == pytest.approx(16)


def test_answers_are_those_of_the_definitions() -> None:
    logits, labels = answers_of(1.0, n=50)
    answers = Answers.of(logits, labels, 2.0)
    for row in range(50):
        powers = [math.exp(float(value) / 2) for value in logits[row]]
        shares = [power / sum(powers) for power in powers]
        best = max(range(4), key=shares.__getitem__)
        assert answers.predicted[row] == best
        assert answers.correct[row] == (best == int(labels[row]))
        assert answers.confidence[row] == pytest.approx(shares[best])
    assert answers.nll == pytest.approx(functional.cross_entropy(logits.double() / 2, labels).item())


def test_a_doubt_that_a_float_would_round_away_is_kept() -> None:
    answers = Answers.of(torch.tensor([[60.0, 0.0]]), torch.tensor([0]), 1.0)
    assert answers.doubt[0] == pytest.approx(math.exp(-60))


def slow_ece(confidence: list[float], correct: list[bool]) -> float:
    """The sum over the bins (0, 1/15], (1/15, 2/15], ..., as it is written in the paper."""
    total = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [row for row, value in enumerate(confidence) if low < value <= high]
        if inside:
            accuracy = sum(correct[row] for row in inside) / len(inside)
            sureness = sum(confidence[row] for row in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(accuracy - sureness)
    return total


def slow_equal_mass(confidence: list[float], correct: list[bool]) -> float:
    order = sorted(range(len(confidence)), key=confidence.__getitem__)
    size, more = divmod(len(order), 15)
    total, start = 0.0, 0
    for number in range(15):
        rows = order[start : start + size + (number < more)]
        start += len(rows)
        total += abs(sum(correct[row] - confidence[row] for row in rows)) / len(order)
    return total


def test_both_calibration_errors_are_those_of_a_slow_loop() -> None:
    logits, labels = answers_of(2.5, n=1003)
    answers = Answers.of(logits, labels, 1.0)
    confidence, correct = answers.confidence.tolist(), answers.correct.tolist()
    found = summary(answers)
    assert found["ece"] == pytest.approx(slow_ece(confidence, correct))
    assert found["ece_equal_mass"] == pytest.approx(slow_equal_mass(confidence, correct))
    # Too sure by far at temperature 1; at its own what is left is chance.
    assert summary(Answers.of(logits, labels, 2.5))["ece"] < found["ece"] / 2


def test_bins_of_equal_count_hold_every_answer_once_from_doubtful_to_sure() -> None:
    answers = Answers.of(*answers_of(1.0, n=100), 1.0)
    bins = answers.equal_mass()
    assert sum(one.count for one in bins) == 100
    assert {one.count for one in bins} == {6, 7}
    assert sum(one.right for one in bins) == answers.correct.sum()
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)


def test_fewer_answers_than_bins_make_fewer_bins() -> None:
    answers = Answers.of(*answers_of(1.0, n=4), 1.0)
    assert [one.count for one in answers.equal_mass()] == [1, 1, 1, 1]
    assert error(answers.equal_mass()) == pytest.approx(
        sum(abs(right - sure) for right, sure in zip(answers.correct, answers.confidence, strict=True)) / 4
    )
