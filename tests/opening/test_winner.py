"""opening: which file of a WINNER is used, by what, and one line where none can be."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import inksweep
from inksweep import extras
from inksweep.errors import InputError
from inksweep.opening import winner
from inksweep.opening.with_onnx import OnnxModel

onnx = pytest.importorskip("onnx")

RANDOM = np.random.default_rng(0).integers(0, 256, (5, 28, 28), dtype=np.uint8)


@pytest.fixture
def folder(tiny_onnx: Path, tmp_path: Path) -> Path:
    """A winner's folder of this test's own."""
    shutil.copytree(tiny_onnx, tmp_path / "winner")
    return tmp_path / "winner"


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packages that are as if they were not installed, to be filled by a test."""
    names: list[str] = []
    monkeypatch.setattr(extras, "missing", lambda packages: [name for name in packages if name in names])
    return names


def saved_onnx(
    path: Path, *, kind: int | None = None, size: int = 28, classes: object = "ab", name: str = "pixels"
) -> None:
    """Write an ONNX file that answers its pictures' means, one column a class."""
    from onnx import TensorProto, helper

    taken = helper.make_tensor_value_info(name, kind or TensorProto.UINT8, ["n", size, size])
    given = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 2])
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [size * size, 2], [0.0, 0.001] * (size * size))
    nodes = [
        helper.make_node("Cast", [name], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["numbers"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(nodes, "means", [taken], [given], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    if classes is not None:
        helper.set_model_props(model, {"classes": json.dumps(list(classes) if isinstance(classes, str) else classes)})
    path.write_bytes(model.SerializeToString())


def test_the_onnx_file_of_the_model_is_preferred_and_answers_alike(folder: Path) -> None:
    found = winner.find(folder)
    assert found == winner.Found(folder / "model.pt", folder / "model.onnx")
    reader = winner.reader(folder, "inksweep predict")
    assert isinstance(reader.answer, OnnxModel)
    assert (reader.classes, reader.size) == ([str(number) for number in range(10)], 28)
    by_torch = inksweep.load(folder)
    np.testing.assert_allclose(reader.answer(RANDOM), by_torch(torch.as_tensor(RANDOM)).numpy(), atol=1e-5)
    # model.pt means the model beside its export too, a model.onnx itself.
    assert winner.find(folder / "model.pt") == found
    assert winner.find(folder / "model.onnx").onnx == folder / "model.onnx"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda folder: (folder / "model.pt").write_bytes(b"another"), "was exported from another model.pt"),
        (lambda folder: saved_onnx(folder / "model.onnx"), "is not the file that was exported"),
        (lambda folder: (folder / "export.json").unlink(), "no export.json says"),
        (lambda folder: (folder / "export.json").write_text("{}"), "no export.json says"),
        (lambda folder: (folder / "export.json").write_text("[1"), "no export.json says"),
    ],
)
def test_an_onnx_file_of_another_model_is_not_used(folder: Path, lacking: list[str], change, reason: str) -> None:
    change(folder)
    found = winner.find(folder)
    assert found.onnx is None
    assert reason in str(found.refused)
    lacking.append("torch")
    with pytest.raises(InputError, match=f"torch is not installed, and .*{reason}.*; export it again, or pip install"):
        winner.reader(folder, "inksweep predict")
    # The file itself may be named.
    assert winner.reader(folder / "model.onnx", "inksweep predict").classes


def test_torch_opens_what_has_no_onnx_file(tiny_winner: Path) -> None:
    reader = winner.reader(tiny_winner, "inksweep predict")
    model = inksweep.load(tiny_winner)
    answers = reader.answer(RANDOM)
    assert answers.dtype == np.float32
    np.testing.assert_array_equal(answers, model(torch.as_tensor(RANDOM)).numpy())
    assert isinstance(model, torch.nn.Module)


@pytest.mark.parametrize(
    ("kept", "without", "line"),
    [
        ("model.pt", ["torch"], r"inksweep predict: torch is not installed; pip .*\[digits\]\"; or export .*model.pt"),
        ("model.onnx", ["onnxruntime"], r"inksweep predict: onnxruntime is not installed; pip install .*\[read\]"),
        (None, ["torch", "onnxruntime"], r"neither torch nor onnxruntime is installed; pip install .*\[read\]"),
        (None, ["scipy"], r"inksweep predict: scipy is not installed; pip install .*\[read\]"),
    ],
)
def test_what_is_not_installed_is_one_line(
    folder: Path, lacking: list[str], kept: str | None, without: list[str], line: str
) -> None:
    if kept is not None:
        for name in {"model.pt", "model.onnx"} - {kept}:
            (folder / name).unlink()
    lacking += without
    with pytest.raises(InputError, match=line):
        winner.reader(folder, "inksweep predict")


def test_what_is_no_winner_is_one_line_with_what_was_looked_for(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: there is no such file or folder; give a winner/, a run, a model"):
        winner.find(tmp_path / "nowhere")
    # A sweep is named often for its winner.
    with pytest.raises(InputError, match=f"no model.pt and no model.onnx in it; its winner is {folder}"):
        winner.find(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty: there is no model.pt and no model.onnx in it$"):
        winner.find(tmp_path / "empty")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"name": "image"}, "it maps image to probabilities, not pixels to probabilities"),
        ({"kind": 1}, r"pixels is a tensor\(float\) of shape .*, not uint8 \(n, size, size\)"),
        ({"classes": None}, "it has no names of classes"),
        ({"classes": [1, 2]}, "it has no names of classes"),
        ({"classes": "abc"}, "it names 3 classes and answers 2"),
    ],
)
def test_an_onnx_file_that_is_not_ours_is_one_line(tmp_path: Path, wrong: dict[str, object], line: str) -> None:
    saved_onnx(tmp_path / "model.onnx", **wrong)
    with pytest.raises(InputError, match=f"model.onnx: not a file of `inksweep export`: {line}"):
        winner.reader(tmp_path, "inksweep predict")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x08\x07" * 50])
def test_a_broken_onnx_file_is_one_line(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx: cannot be opened as ONNX \(.+\); export it again"):
        winner.reader(tmp_path, "inksweep predict")
    assert capfd.readouterr().err == ""


def test_an_onnx_file_of_another_size_and_other_classes(tmp_path: Path) -> None:
    saved_onnx(tmp_path / "other.onnx", size=20, classes=["coat", "bag"])
    model = inksweep.load(tmp_path / "other.onnx")
    assert (model.classes, model.size) == (["coat", "bag"], 20)
    # Also of floats, as a model that torch runs takes them, and of none.
    pixels = np.full((3, 20, 20), 255.0)
    np.testing.assert_array_equal(model(pixels), model(pixels.astype(np.uint8)))
    assert model(pixels[:0]).shape == (0, 2)
    with pytest.raises(InputError, match=r"pictures of shape \(1, 28, 28\): must be \(n, 20, 20\)"):
        model(RANDOM[:1])
