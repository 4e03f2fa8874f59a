from pathlib import Path

import pytest
import torch

from inksweep.digits import checkpoint, classifier
from inksweep.digits.data import dataset
from inksweep.digits.models import BUILT_IN, CNN
from inksweep.errors import InputError

CNN_VALUES = {
    "channels": [4, 8],
    "kernel": 3,
    "pooling": "max",
    "activation": "relu",
    "norm": "batch",
    "dropout": 0.5,
}
MEAN, STD = 0.1307, 0.3081


def saved(path: Path, **changes: object) -> CNN:
    torch.manual_seed(0)
    model = CNN(size=28, classes=3, **CNN_VALUES)
    content = {
        "state_dict": model.state_dict(),
        "model": {"_target_": "inksweep.digits.models.CNN", **CNN_VALUES},
        "preprocess": {"mean": MEAN, "std": STD, "size": 28},
        "classes": ["a", "b", "c"],
        "metrics": {},
    }
    checkpoint.save(path, {**content, **changes})
    return model.eval()


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randint(0, 256, (9, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_it_gives_the_numbers_of_preprocessing_and_model_by_hand(tmp_path: Path, pixels: torch.Tensor) -> None:
    model = saved(tmp_path / "model.pt", temperature=2.0)
    answers = classifier.load(tmp_path / "model.pt")
    logits = model(dataset.to_input(pixels, MEAN, STD))
    torch.testing.assert_close(answers.logits(pixels), logits, rtol=0, atol=1e-6)
    torch.testing.assert_close(answers(pixels), (logits / 2.0).softmax(dim=1), rtol=0, atol=1e-6)
    torch.testing.assert_close(answers(pixels).sum(dim=1), torch.ones(9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.int64])
def test_the_type_of_the_pixels_does_not_matter(tmp_path: Path, pixels: torch.Tensor, dtype: torch.dtype) -> None:
    saved(tmp_path / "model.pt")
    answers = classifier.load(tmp_path / "model.pt")
    assert torch.equal(answers(pixels.to(dtype)), answers(pixels))
    assert answers(pixels.to(dtype)).dtype == torch.float32


def test_a_folder_will_do_and_it_is_ready_to_answer(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt")
    answers = classifier.load(str(tmp_path))
    assert (answers.classes, answers.size, answers.temperature) == (["a", "b", "c"], 28, 1.0)
    assert not any(module.training for module in answers.modules())  # dropout is off
    assert not answers(torch.zeros(1, 28, 28)).requires_grad


def test_one_of_an_ensemble_answers_with_the_mean(tmp_path: Path, pixels: torch.Tensor) -> None:
    for name, temperature in (("a.pt", 1.0), ("b.pt", 5.0)):
        saved(tmp_path / name, temperature=temperature)
    checkpoint.save(tmp_path / "model.pt", checkpoint.merge([tmp_path / "a.pt", tmp_path / "b.pt"]))
    ensemble, single = classifier.load(tmp_path), classifier.load(tmp_path / "a.pt")
    torch.testing.assert_close(ensemble(pixels), single(pixels))


def test_an_array_of_another_library_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt")
    with pytest.raises(InputError, match="a ndarray: must be a torch tensor"):
        classifier.load(tmp_path)(torch.zeros(1, 28, 28).numpy())


@pytest.mark.parametrize("shape", [(28, 28), (1, 1, 28, 28), (2, 28, 27), (2, 27, 28), (2, 14, 56)])
def test_pictures_of_another_shape_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    saved(tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"must be \(n, 28, 28\)"):
        classifier.load(tmp_path)(torch.zeros(shape))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"preprocess": {"size": 28, "mean": 0.1}}, "does not say how pictures are prepared"),
        ({"preprocess": {"size": 28, "mean": "dark", "std": 1}}, "does not say how pictures are prepared"),
        ({"preprocess": {"size": 28, "mean": 0.1, "std": 0.0}}, r"preprocess\.std is 0\.0"),
        ({"temperature": 0.0}, r"temperature is 0\.0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": None}, "does not say"),
        ({"model": {"_target_": "mine.Own"}}, r"its model is mine\.Own"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    saved(tmp_path / "model.pt", **changes)
    with pytest.raises(InputError, match=message) as caught:
        classifier.load(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "model.pt"))


def test_a_folder_without_a_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"model\.pt: there is no such file"):
        classifier.load(tmp_path)


def test_a_class_of_ones_own_is_handed_over(tmp_path: Path, pixels: torch.Tensor) -> None:
    model = saved(tmp_path / "model.pt", model={"_target_": "mine.Own", **CNN_VALUES})
    answers = classifier.load(tmp_path, {**BUILT_IN, "mine.Own": CNN})
    torch.testing.assert_close(answers.logits(pixels), model(dataset.to_input(pixels, MEAN, STD)))
