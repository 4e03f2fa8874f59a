import dataclasses
import hashlib
import importlib.machinery
import json
import logging
import math
import shutil
import sys
import types
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from inksweep import cli
from inksweep.digits import checkpoint, classifier, export
from inksweep.digits.config import parse
from inksweep.digits.config.schema import Config
from inksweep.digits.export import check, formats
from inksweep.digits.models import BUILT_IN, build
from inksweep.errors import InputError
from inksweep.files import held
from inksweep.paths import RunDir, WinnerDir
from tests.conftest import compose_config, tiny

PRESENT = [name for name, kind in formats.FORMATS.items() if all(map(find_spec, kind.packages))]
needs_onnx = pytest.mark.skipif("onnx" not in PRESENT, reason="needs the extra `export`")
ONNX = pytest.param("onnx", marks=needs_onnx)
BOTH = pytest.mark.parametrize("name", [ONNX, "torch-export"])


def save_model(folder: Path, conf: Config, seed: int, name: str = "model.pt") -> None:
    torch.manual_seed(seed)
    described = parse.plain(conf.model)
    model = build(described, size=28, classes=10, known=BUILT_IN)
    content = {
        "state_dict": model.state_dict(),
        "model": described,
        "preprocess": {"mean": conf.data.mean, "std": conf.data.std, "size": 28},
        "classes": list(conf.data.classes),
        "metrics": {},
        "temperature": 1.25,
    }
    checkpoint.save(folder / name, content)


@pytest.fixture(scope="module")
def exported(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A winner's folder, an ensemble of an MLP and a CNN, exported in every format: read it, never change it."""
    folder = tmp_path_factory.mktemp("exported") / "winner"
    folder.mkdir()
    for seed, model in enumerate(("mlp", "cnn")):
        conf = compose_config([f"model={model}", *tiny(prepared_root)])
        save_model(folder, conf, seed, f"{model}.pt")
    checkpoint.save(folder / "model.pt", checkpoint.merge([folder / "mlp.pt", folder / "cnn.pt"]))
    OmegaConf.save(OmegaConf.structured(conf), folder / "config.yaml")
    export.export(folder, PRESENT)
    return folder


@pytest.fixture
def winner(prepared_root: Path, tmp_path: Path) -> Path:
    """A winner's folder of its own, of a small MLP, nothing exported yet."""
    conf = compose_config(["model.hidden=[8]", *tiny(prepared_root)])
    save_model(tmp_path, conf, 0)
    OmegaConf.save(OmegaConf.structured(conf), tmp_path / "config.yaml")
    return tmp_path


@BOTH
@pytest.mark.parametrize("count", [1, 3, 400])
def test_a_file_answers_as_the_model_does_whatever_the_batch(exported: Path, name: str, count: int) -> None:
    kind = formats.FORMATS[name]
    answer = kind.read((exported / kind.file).read_bytes(), 1)
    pixels = torch.randint(0, 256, (count, 28, 28), dtype=torch.uint8)
    torch.testing.assert_close(answer(pixels), classifier.load(exported)(pixels), rtol=0, atol=1e-5)


@BOTH
def test_scaled_pictures_are_refused_instead_of_answered_wrongly(exported: Path, name: str) -> None:
    kind = formats.FORMATS[name]
    answer = kind.read((exported / kind.file).read_bytes(), 1)
    with pytest.raises(Exception, match=r"[Uu]nexpected input data type|dtype mismatch"):
        answer(torch.rand(2, 28, 28))


@needs_onnx
def test_an_onnx_file_says_what_goes_in_and_what_comes_out(exported: Path) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])
    (given,), (answered,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape) == ("pixels", "tensor(uint8)", ["n", 28, 28])
    assert (answered.name, answered.type, answered.shape) == ("probabilities", "tensor(float)", ["n", 10])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == [str(digit) for digit in range(10)]
    assert "0 to 255" in about["pixels"]
    loaded = onnx.load(exported / "model.onnx")
    onnx.checker.check_model(loaded, full_check=True)
    assert not any(tensor.external_data for tensor in loaded.graph.initializer)  # all in one file


def test_a_file_of_torch_export_says_it_too(exported: Path) -> None:
    kept = {"inksweep.json": ""}
    torch.export.load(exported / "model.pt2", extra_files=kept)
    assert json.loads(json.loads(kept["inksweep.json"])["classes"])[9] == "9"


@BOTH
def test_a_file_does_not_tell_where_it_was_made(exported: Path, name: str) -> None:
    content = (exported / formats.FORMATS[name].file).read_bytes()
    assert str(Path(classifier.__file__).parent).encode() not in content
    assert str(exported).encode() not in content


@BOTH
def test_the_record_tells_what_was_checked(exported: Path, name: str) -> None:
    told = json.loads((exported / "export.json").read_text())[name]
    content = (exported / told["file"]).read_bytes()
    assert told["file"] == formats.FORMATS[name].file
    assert (told["bytes"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert told["model_sha256"] == hashlib.sha256((exported / "model.pt").read_bytes()).hexdigest()
    assert (told["opset"] is None) == (name == "torch-export")
    assert told["versions"].keys() == {"torch", *formats.FORMATS[name].packages}
    checked = told["checked"]
    assert checked["pictures"] == checked["same_class"] == 150
    assert 0 <= checked["largest_difference"] <= 1e-4
    timed = told["latency_ms"]["batch_1"]
    assert timed.keys() == {formats.FORMATS[name].engine, "torch", "threads", "repetitions"}
    assert timed["threads"] == 1
    assert timed["repetitions"] >= 200
    assert min(timed[formats.FORMATS[name].engine], timed["torch"]) > 0


def test_nothing_else_is_left_in_the_folder(exported: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names <= {"mlp.pt", "cnn.pt", "model.pt", "config.yaml", "model.onnx", "model.pt2", "export.json"}


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Tensor], Tensor]], None]:
    """`instead(answer)`: a format `fake` whose file answers so, without an exporter's seconds."""

    def put(answer: Callable[[Tensor], Tensor]) -> None:
        fake = formats.Format(
            "onnx", "model.onnx", "fake", (), lambda model: b"new", lambda content, threads: answer, lambda content: 20
        )
        monkeypatch.setitem(formats.FORMATS, "onnx", fake)

    return put


def off_by(difference: float, folder: Path) -> Callable[[Tensor], Tensor]:
    model = classifier.load(folder)
    return lambda pixels: model(pixels) + difference


def another_class(folder: Path) -> Callable[[Tensor], Tensor]:
    """Answers as the model does but for one picture, and there the probabilities are nearly the same."""
    model = classifier.load(folder)
    torch.nn.init.zeros_(model.model.layers[-1].weight)
    model.model.layers[-1].bias.data = torch.linspace(0, 1e-6, 10)
    content = checkpoint.load(folder / "model.pt")
    checkpoint.save(folder / "model.pt", {**content, "state_dict": model.model.state_dict()})
    seen = []

    def answer(pixels: Tensor) -> Tensor:
        seen.append(len(pixels))
        probabilities = model(pixels)
        return probabilities.flip(1) if len(seen) == 1 else probabilities

    return answer


@pytest.mark.parametrize(
    "wrong, line",
    [
        (lambda folder: off_by(2e-4, folder), "differently, a probability by up to 0.0002"),
        (lambda folder: off_by(math.nan, folder), "a probability by up to nan"),
        (another_class, "answer 1 of 150 test pictures differently"),
    ],
)
def test_a_file_that_answers_otherwise_is_not_kept(
    winner: Path, instead, wrong, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    instead(wrong(winner))
    (winner / "model.onnx").write_text("old")
    before = {path.name for path in winner.iterdir()}
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", str(winner)])
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert line in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert {path.name for path in winner.iterdir()} == before  # no record of it either
    assert (winner / "model.onnx").read_text() == "old"


def test_what_is_printed_and_where_the_file_goes(
    winner: Path, instead, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(off_by(1e-6, winner))
    monkeypatch.chdir(winner)
    cli.main(["export", ".", "--out", "there/digits.onnx", "data.eval_batch_size=10"])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "there/digits.onnx: 0.00 MB, opset 20"
    assert second == "  150 test pictures: fake and torch give the same class on all, probabilities within 1e-06"
    assert third.startswith("  one picture on one thread: fake ")
    assert (winner / "there" / "digits.onnx").read_bytes() == b"new"
    path = str(winner / "there" / "digits.onnx")
    (told,) = json.loads((winner / "export.json").read_text()).items()
    assert (told[0], told[1]["file"], told[1]["format"]) == (path, path, "onnx")
    # It is one more, beside that of the folder.
    cli.main(["export", "."])
    assert json.loads((winner / "export.json").read_text()).keys() == {path, "onnx"}


OWN = ["model.pt", "result.json", "config.yaml", "README.md", "export.json", "model.pt2", ".hydra/config.yaml"]


@pytest.mark.parametrize("name", OWN)
def test_a_file_of_the_folder_itself_is_not_written_over(
    winner: Path, instead, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(off_by(0, winner))
    before = {path.name: path.read_bytes() for path in winner.iterdir()}
    monkeypatch.chdir(winner)
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", ".", "--out", f"../{winner.name}/{name}"])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert f"{name}: is a file of" in said
    assert said.count("\n") == 1
    assert {path.name: path.read_bytes() for path in winner.iterdir()} == before


def test_the_version_is_that_of_the_module_whatever_its_distribution_is_called(
    winner: Path, instead, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead(off_by(0, winner))
    gpu = types.ModuleType("onnxruntime")
    gpu.__version__ = "1.99"  # installed as onnxruntime-gpu
    gpu.__spec__ = importlib.machinery.ModuleSpec("onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", gpu)
    monkeypatch.setitem(
        formats.FORMATS, "onnx", dataclasses.replace(formats.FORMATS["onnx"], packages=("onnxruntime",))
    )
    versions = export.export(winner)["onnx"]["versions"]
    assert versions == {"torch": torch.__version__, "onnxruntime": "1.99"}


@pytest.mark.parametrize("kind", ["winner", "run"])
def test_an_export_waits_for_nobody_who_writes_the_card(winner: Path, instead, kind: str) -> None:
    instead(off_by(0, winner))
    lock = WinnerDir(winner).card_lock
    if kind == "run":
        (winner / ".hydra").mkdir()
        shutil.move(winner / "config.yaml", winner / ".hydra" / "config.yaml")
        (winner / ".hydra" / "hydra.yaml").write_text("hydra: {}")
        lock = RunDir(winner).card.card_lock
    with held(lock, ""), pytest.raises(InputError, match="another process writes its card or exports it"):
        export.export(winner)
    assert not (winner / "model.onnx").exists()
    export.export(winner)


def test_a_folder_that_is_none_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run directory or winner"):
        export.export(tmp_path / "no" / "where")
    assert list(tmp_path.iterdir()) == []


def test_a_record_keeps_what_it_holds_of_other_formats(winner: Path, instead) -> None:
    instead(off_by(0, winner))
    (winner / "export.json").write_text('{"torch-export": {"file": "model.pt2"}, "onnx": {"file": "older"}}')
    done = export.export(winner, ["onnx"])
    told = json.loads((winner / "export.json").read_text())
    assert told == {"torch-export": {"file": "model.pt2"}, **done}
    (winner / "export.json").write_text("{broken")
    assert export.export(winner, ["onnx"]).keys() == json.loads((winner / "export.json").read_text()).keys()


def test_a_run_directory_is_exported_with_its_own_settings(winner: Path, instead, tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / ".hydra").mkdir(parents=True)
    shutil.move(winner / "config.yaml", run / ".hydra" / "config.yaml")
    shutil.move(winner / "model.pt", run / "model.pt")
    (run / ".hydra" / "hydra.yaml").write_text("hydra: {}")
    instead(off_by(0, run))
    assert export.export(run, ["onnx"])["onnx"]["file"] == "model.onnx"


def test_it_says_nothing_itself(
    winner: Path, instead, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    instead(off_by(0, winner))
    with caplog.at_level(logging.INFO):
        export.export(winner, ["onnx"])
    assert capsys.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(
    "words, line",
    [
        (["--format", "onnx", "--format", "torch-export", "--out", "a"], "--out a: is one file"),
        (["data.val_sise=3"], "val_size"),
        (["nonsense"], "nonsense"),
    ],
)
def test_bad_words_are_one_line_and_exit_code_2(
    winner: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", str(winner), *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert line in said
    assert said.count("\n") == 1


def test_a_folder_that_holds_nothing_to_export_is_named(winner: Path, instead, tmp_path: Path) -> None:
    instead(off_by(0, winner))
    sweep = tmp_path / "sweep"
    shutil.copytree(winner, sweep / "winner")
    with pytest.raises(InputError, match=r"sweep: no run directory or winner .*; did you mean .*winner\?"):
        export.export(sweep)
    with pytest.raises(InputError, match="nowhere: no run directory or winner"):
        export.export(tmp_path / "nowhere")
    (winner / "model.pt").unlink()
    with pytest.raises(InputError, match=r"model\.pt: there is no such file"):
        export.export(winner)


def test_a_class_of_ones_own_is_refused_by_name(winner: Path, instead) -> None:
    instead(off_by(0, winner))
    content = checkpoint.load(winner / "model.pt")
    checkpoint.save(winner / "model.pt", {**content, "model": {"_target_": "mine.Own"}})
    with pytest.raises(InputError, match=r"its model is mine\.Own"):
        export.export(winner)


def test_without_the_extra_one_line_says_how_to_get_it(winner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = formats.FORMATS["onnx"]
    gone = formats.Format(kind.name, kind.file, kind.engine, ("no_such_package",), kind.write, kind.read, kind.opset)
    monkeypatch.setitem(formats.FORMATS, "onnx", gone)
    with pytest.raises(InputError, match=r'no_such_package is not installed; pip install .*\[export\]"'):
        export.export(winner)
    with pytest.raises(InputError, match=r"--format onx: must be one of onnx, torch-export; did you mean 'onnx'\?"):
        export.export(winner, ["onx"])


@pytest.mark.parametrize("count", [1, 5, 7, 8, 150, 1008, 1009, 10_000])
def test_batches_of_every_kind_add_up(count: int) -> None:
    sizes = check.batch_sizes(count)
    assert sum(sizes) == count
    assert all(size > 0 for size in sizes)
    assert count < 10_000 or {1, 7, 1000} <= set(sizes)


def test_an_agreement_is_counted_over_all_batches() -> None:
    images = torch.arange(2500, dtype=torch.float32).view(2500, 1, 1)

    def sure(pixels: Tensor) -> Tensor:
        return torch.tensor([[0.0, 1.0]]).repeat(len(pixels), 1)

    def unsure_of_the_last(pixels: Tensor) -> Tensor:
        return torch.where(pixels.flatten(1) == 2499, torch.tensor([[0.75, 0.25]]), torch.tensor([[0.125, 0.875]]))

    found = check.agreement(sure, unsure_of_the_last, images)
    assert (found.pictures, found.same_class, found.largest_difference) == (2500, 2499, 0.75)
    assert not found.within(1.0)


def test_latency_is_a_median_on_one_thread_and_the_threads_come_back() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen: list[tuple[str, int]] = []
        answers = {
            name: lambda picture, name=name: seen.append((name, torch.get_num_threads())) or picture for name in "ab"
        }
        timed = check.latency(answers, torch.zeros(1, 28, 28), repetitions=3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert timed.keys() == {"a", "b", "threads", "repetitions"}
    assert seen == [("a", 1), ("b", 1)] * (check.WARM_UP + 3)  # in turns


def test_the_command_offers_the_formats_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["export", "x", "--format", "tflite"])
    said = capsys.readouterr().err
    assert all(name in said for name in formats.FORMATS)
