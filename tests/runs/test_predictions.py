from pathlib import Path

import numpy as np
import pytest
import torch

from inksweep.digits.training.evaluation import metrics
from inksweep.digits.training.evaluation import predictions as predicted
from inksweep.errors import InputError
from inksweep.runs import predictions
from inksweep.runs.predictions import Predictions


def some() -> Predictions:
    return Predictions(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 2]), np.array([0.9, 0.4, 0.75, 1.0]))


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    predictions.save(path, {"val": some(), "test": some()})
    read = predictions.load(path)
    assert list(read) == ["val", "test"]
    assert read["test"].labels.tolist() == [0, 1, 2, 2]
    assert read["test"].predicted.tolist() == [0, 2, 2, 2]
    assert read["test"].confidence == pytest.approx([0.9, 0.4, 0.75, 1.0])


def test_accuracy_and_confusion_are_the_ones_counted_by_hand() -> None:
    assert some().accuracy == 0.75
    # rows: true class; columns: answer
    assert some().confusion(3).tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 2]]


def test_without_a_file_there_are_none(tmp_path: Path) -> None:
    assert predictions.load(tmp_path / "predictions.npz") == {}


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_truncated_file_is_named(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "predictions.npz"
    predictions.save(path, {"val": some(), "test": some()})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=r"predictions\.npz: cannot be read"):
        predictions.load(path)


def test_a_flipped_bit_is_read_as_it_was_or_named(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    predictions.save(path, {"val": some(), "test": some()})
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            predictions.load(path)
        except InputError as error:
            assert "predictions.npz" in str(error)  # noqa: PT017  most of them, not all, are refused
            refused += 1
    assert refused > 20


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.array([0, 1, -2, 2])},
        {"predicted": np.array([0, 2, 2, -1])},
        {"labels": np.array([0.0, 1.0, 2.0, 2.0])},
        {"predicted": np.array([0, 2, 2])},
        {"labels": np.array([[0, 1], [2, 2]])},
        {"labels": np.array(0)},
        {"confidence": np.array([0.9, np.nan, 0.7, 1.0])},
        {"confidence": np.array([0.9, 1.5, 0.7, 1.0])},
        {"confidence": np.array([0.9, -0.5, 0.7, 1.0])},
        {"confidence": np.array([1, 0, 1, 1])},
        {"labels": np.zeros(0, int), "predicted": np.zeros(0, int), "confidence": np.zeros(0)},
    ],
)
def test_arrays_that_are_no_answers_are_refused(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "predictions.npz"
    arrays = {f"{split}/{name}": values for split in ("val", "test") for name, values in vars(some()).items()}
    np.savez(path, **arrays)
    assert len(predictions.load(path)["test"]) == 4
    np.savez(path, **arrays | {f"test/{name}": values for name, values in change.items()})
    with pytest.raises(InputError, match=r"predictions\.npz: cannot be used \(its test arrays"):
        predictions.load(path)


def test_the_answers_to_logits_have_their_accuracy() -> None:
    logits, labels = torch.randn(50, 10), torch.randint(10, (50,))
    answers = predicted(logits, labels)
    assert answers.accuracy == metrics(logits, labels)["accuracy"]
    assert answers.confidence == pytest.approx(logits.softmax(dim=1).max(dim=1).values.numpy())
