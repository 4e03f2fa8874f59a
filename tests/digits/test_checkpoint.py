import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from inksweep.digits import checkpoint
from inksweep.digits.models import BUILT_IN, MLP
from inksweep.errors import InputError

DESCRIBED = {
    "_target_": "inksweep.digits.models.MLP",
    "hidden": [8],
    "activation": "relu",
    "norm": "none",
    "dropout": 0.5,
}


def saved(path: Path, **changes: object) -> MLP:
    torch.manual_seed(0)
    values = {key: value for key, value in DESCRIBED.items() if key != "_target_"}
    model = MLP(size=6, classes=3, **values)
    content = {
        "state_dict": model.state_dict(),
        "model": DESCRIBED,
        "preprocess": {"mean": 0.1, "std": 0.3, "size": 6},
        "classes": ["a", "b", "c"],
        "metrics": {"val/accuracy": 0.5},
    }
    checkpoint.save(path, {**content, **changes})
    return model


def test_a_model_comes_back_the_same_and_ready_to_evaluate(tmp_path: Path) -> None:
    model = saved(tmp_path / "model.pt").eval()
    loaded, content = checkpoint.load_model(tmp_path / "model.pt")
    images = torch.rand(4, 1, 6, 6)
    assert torch.equal(loaded(images), model(images))  # and dropout is off
    assert content["classes"] == ["a", "b", "c"]
    assert content["metrics"] == {"val/accuracy": 0.5}


def test_the_file_loads_with_weights_only(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt")
    assert torch.load(tmp_path / "model.pt", weights_only=True)["format"] == 1


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "state_dict": Bomb()}, "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: cannot be read as saved weights"):
        checkpoint.load_model(Path("model.pt"))
    Path("plain.pt").write_bytes(pickle.dumps(Bomb(), protocol=2))
    with pytest.raises(InputError, match=r"plain\.pt"):
        checkpoint.load_model(Path("plain.pt"))
    assert not Path("exploded").exists()


def test_a_file_cannot_choose_the_class_that_is_built(tmp_path: Path) -> None:
    saved(tmp_path / "model.pt", model={"_target_": "subprocess.Popen", "args": ["true"]})
    with pytest.raises(InputError, match=r"its model is subprocess\.Popen; pass that class in `classes`"):
        checkpoint.load_model(tmp_path / "model.pt")


class Own(nn.Module):
    def __init__(self, *, size: int, classes: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, classes)


def test_a_class_of_ones_own_is_loaded_when_handed_over(tmp_path: Path) -> None:
    own = Own(size=6, classes=3, width=2)
    saved(tmp_path / "model.pt", model={"_target_": "mine.Own", "width": 2}, state_dict=own.state_dict())
    loaded, _ = checkpoint.load_model(tmp_path / "model.pt", {**BUILT_IN, "mine.Own": Own})
    assert torch.equal(loaded.layer.weight, own.layer.weight)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:900]), "cannot be read as saved weights"),
        (lambda path: path.write_bytes(b""), "cannot be read as saved weights"),
        (lambda path: path.write_text("hello"), "cannot be read as saved weights"),
        (lambda path: path.unlink(), "there is no such file"),
        (lambda path: torch.save({"format": 99}, path), "another version"),
        (lambda path: torch.save({"format": 1}, path), "holds no model"),
        (lambda path: saved(path, model=DESCRIBED | {"hidden": [9]}) and None, "do not fit"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "model.pt"
    saved(path)
    damage(path)
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.load_model(path)
    assert str(path) in str(caught.value)


def merged(folder: Path, **changes: object) -> Path:
    """An ensemble of two in a file of its own; `changes` are of the second member's file."""
    saved(folder / "a.pt")
    saved(folder / "b.pt", **{"model": DESCRIBED | {"dropout": 0.1}, "temperature": 2.0, **changes})
    checkpoint.save(folder / "model.pt", checkpoint.merge([folder / "a.pt", str(folder / "b.pt")]))
    return folder / "model.pt"


def test_an_ensemble_of_files_loads_like_a_single_model(tmp_path: Path) -> None:
    model, about = checkpoint.load_model(merged(tmp_path))
    members = [checkpoint.load_model(tmp_path / name)[0] for name in ("a.pt", "b.pt")]
    images = torch.rand(4, 1, 6, 6)
    mean = sum(member(images).softmax(dim=1) for member in members) / 2
    torch.testing.assert_close(model(images).exp(), mean)
    assert not model.training
    assert about["classes"] == ["a", "b", "c"]
    assert about["preprocess"] == {"mean": 0.1, "std": 0.3, "size": 6}
    assert "temperature" not in about  # a member's says nothing of the ensemble
    assert torch.load(tmp_path / "model.pt", weights_only=True)["metrics"] == {}


def test_the_same_file_may_be_a_member_twice(tmp_path: Path) -> None:
    model = saved(tmp_path / "a.pt").eval()
    checkpoint.save(tmp_path / "model.pt", checkpoint.merge([tmp_path / "a.pt"] * 2))
    ensemble, _ = checkpoint.load_model(tmp_path / "model.pt")
    images = torch.rand(4, 1, 6, 6)
    torch.testing.assert_close(ensemble(images), model(images).log_softmax(dim=1))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"classes": ["a", "b", "d"]}, "its classes"),
        ({"preprocess": {"mean": 0.2, "std": 0.3, "size": 6}}, "its preprocess"),
    ],
)
def test_members_of_other_data_are_refused_by_name(tmp_path: Path, changes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        merged(tmp_path, **changes)
    assert str(caught.value).startswith(str(tmp_path / "b.pt"))


def test_a_member_that_holds_no_model_is_named(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt")
    checkpoint.save(tmp_path / "b.pt", {"learner": {}})
    with pytest.raises(InputError, match=r"b\.pt: holds no model \(it lacks 'model'\)"):
        checkpoint.merge([tmp_path / "a.pt", tmp_path / "b.pt"])
    with pytest.raises(InputError, match=r"c\.pt: there is no such file"):
        checkpoint.merge([tmp_path / "a.pt", tmp_path / "c.pt"])
    with pytest.raises(InputError, match="at least one"):
        checkpoint.merge([])


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is a folder; name the file in it, such as .*model\.pt"):
        checkpoint.load_model(tmp_path)


@pytest.mark.parametrize(
    "members, message",
    [
        ([{"_target_": "subprocess.Popen", "args": ["true"]}], r"its model is subprocess\.Popen; pass that class"),
        ([{"hidden": [8]}], "its model is None; pass that class"),
        ([], "at least one member"),
        (None, "do not fit"),
        (["inksweep.digits.models.MLP"], "do not fit"),
        ([DESCRIBED], "do not fit"),
        ([DESCRIBED | {"_target_": "inksweep.digits.models.CNN"}] * 2, "do not fit"),
    ],
)
def test_a_broken_ensemble_is_named(tmp_path: Path, members: object, message: str) -> None:
    path = merged(tmp_path)
    content = checkpoint.load(path)
    checkpoint.save(path, {**content, "model": {"_target_": "inksweep.digits.models.Ensemble", "members": members}})
    with pytest.raises(InputError, match=message) as caught:
        checkpoint.load_model(path)
    assert str(caught.value).startswith(str(path))


def test_a_member_may_be_of_a_class_of_ones_own(tmp_path: Path) -> None:
    own = Own(size=6, classes=3, width=2)
    path = merged(tmp_path, model={"_target_": "mine.Own", "width": 2}, state_dict=own.state_dict())
    with pytest.raises(InputError, match=r"its model is mine\.Own"):
        checkpoint.load_model(path)
    model, _ = checkpoint.load_model(path, {**BUILT_IN, "mine.Own": Own})
    assert torch.equal(model.members[1].layer.weight, own.layer.weight)
