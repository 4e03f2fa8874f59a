"""`inksweep predict`: what a person and a program read, and how it ends."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inksweep import cli
from inksweep.digits.data import dataset
from tests.conftest import REPOSITORY, compose_config, tiny

pytest.importorskip("onnx")


@pytest.fixture
def here(tiny_onnx: Path, prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a link to a winner, and pictures of training digits that it was trained on."""
    monkeypatch.chdir(tmp_path)
    Path("winner").symlink_to(tiny_onnx)
    digits = dataset.load(compose_config(tiny(prepared_root)).data).train
    for name in ("4", "7"):
        which = int(np.flatnonzero(digits.labels.numpy() == int(name))[0])
        page(digits.images[which].numpy()).save(f"{name}.png")
    Image.new("L", (90, 90), 220).save("blank.png")
    Path("broken.png").write_text("no picture")
    return tmp_path


def page(digit: np.ndarray) -> Image.Image:
    """Return a digit, white on black, as ink on a larger sheet of paper."""
    sheet = np.full((120, 140), 225, np.uint8)
    large = np.kron(digit, np.ones((3, 3), np.uint8))
    sheet[20:104, 30:114] = np.minimum(sheet[20:104, 30:114], 225 - (large * 0.8).astype(np.uint8))
    return Image.fromarray(sheet)


def predict(*words: str) -> int:
    """Run the command; return its exit code."""
    try:
        cli.main(["predict", "winner", *words])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.usefixtures("here")
def test_a_line_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("4.png", "7.png", "blank.png", "--min-confidence", "0") == 0
    said = capsys.readouterr()
    four, seven, blank = said.out.splitlines()
    assert four.startswith("4.png: 4 (")
    assert four.endswith("%)")
    assert seven.startswith("7.png: 7 (")
    assert blank == "blank.png: no ink"
    assert said.err == ""


@pytest.mark.usefixtures("here")
def test_json_is_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("4.png", "blank.png", "--json", "--top", "2", "--min-confidence", "0") == 0
    four, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert (four["picture"], four["text"], four["lines"]) == ("4.png", "4", ["4"])
    (digit,) = four["digits"]
    assert four["confidence"] == digit["confidence"]
    assert len(digit["others"]) == 1
    assert (blank["text"], blank["digits"], blank["note"]) == ("", [], "no ink")


@pytest.mark.usefixtures("here")
def test_what_cannot_be_read_is_a_line_on_standard_error_and_the_others_are_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict("broken.png", "4.png", "missing.png", "--json") == 1
    said = capsys.readouterr()
    assert [json.loads(line)["picture"] for line in said.out.splitlines()] == ["4.png"]
    broken, missing = said.err.splitlines()
    assert broken.startswith("error: broken.png: ")
    assert missing == "error: missing.png: no such file"


@pytest.mark.usefixtures("here")
def test_pictures_may_stand_after_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("4.png", "--json", "7.png") == 0
    assert predict("--json", "4.png", "7.png") == 0
    assert [json.loads(line)["picture"] for line in capsys.readouterr().out.splitlines()] == ["4.png", "7.png"] * 2


@pytest.mark.usefixtures("here")
def test_standard_input_is_a_picture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(Path("7.png").read_bytes())))
    assert predict("-", "--min-confidence", "0") == 0
    assert capsys.readouterr().out.startswith("-: 7 (")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert predict("-") == 1
    assert capsys.readouterr().err.startswith("error: -: empty")


@pytest.mark.usefixtures("here")
def test_a_name_cannot_write_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("4.png").rename("4\n\x1b[31m.png")
    Path("broken.png").rename("bro\nken.png")
    assert predict("4\n\x1b[31m.png", "bro\nken.png") == 1
    said = capsys.readouterr()
    assert said.out.startswith("4\\n\\x1b[31m.png: ")
    assert said.out.count("\n") == said.err.count("\n") == 1
    assert said.err.startswith("error: bro\\nken.png: ")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--top", "0"], "--top 0: must be a whole number from 1"),
        (["--top", "few"], "--top few: must be a whole number from 1"),
        (["--min-confidence", "80"], "--min-confidence 80: must be a number from 0 to 1"),
        (["--min-confidence", "nan"], "--min-confidence nan: must be a number from 0 to 1"),
        (["--min-confidence", "80%"], "--min-confidence 80%: must be a number from 0 to 1"),
        (["--explain", "steps.pdf"], "--explain steps.pdf: must be the name of a picture that ends with .png"),
        (["--explain", "./4.png"], "--explain 4.png: is a picture that is to be read; name another file"),
    ],
)
def test_a_word_that_cannot_be_used_is_one_line_and_nothing_is_read(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = Path("4.png").read_bytes()
    assert predict("4.png", *words) == 2
    assert tuple(capsys.readouterr()) == ("", f"error: {line}\n")
    assert Path("4.png").read_bytes() == before


@pytest.mark.usefixtures("here")
def test_a_winner_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["predict", "night", "4.png"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "error: night: there is no such file or folder; give a winner/, a run, a model.pt or a model.onnx\n"
    )


@pytest.mark.usefixtures("here")
def test_explain_draws_one_picture_or_one_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("4.png", "--explain", "out.png") == 0
    assert Image.open("out.png").width == 1240
    Path("more").mkdir()
    Path("7.png").rename("more/4.png")
    assert predict("4.png", "more", "broken.png", "--explain", "steps/why.png") == 1
    assert sorted(path.name for path in Path("steps").iterdir()) == ["why-4-2.png", "why-4.png"]
    capsys.readouterr()


@pytest.mark.usefixtures("here")
def test_a_picture_of_the_steps_is_never_half_written(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("out.png").write_text("as it was")

    def fail(self: Image.Image, file: io.BytesIO, kind: str) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    assert predict("4.png", "--explain", "out.png") == 2
    assert Path("out.png").read_text() == "as it was"
    assert sorted(path.name for path in Path().iterdir()) == [
        "4.png",
        "7.png",
        "blank.png",
        "broken.png",
        "out.png",
        "winner",
    ]


Started = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def started(here: Path) -> Started:
    """`started(code)`: run Python in that folder, where torch cannot be imported; code comes after that."""

    def run(code: str) -> "subprocess.CompletedProcess[str]":
        hidden = "import sys; sys.modules['torch'] = None\n"
        return subprocess.run(
            [sys.executable, "-c", hidden + code],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src")},
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_it_reads_without_torch_hydra_and_optuna(started: Started) -> None:
    words = ["predict", "winner", "4.png", "blank.png", "--explain", "out.png", "--min-confidence", "0"]
    done = started(
        f"from inksweep.cli import main\nmain({words!r})\n"
        "heavy = {'torch', 'torchvision', 'hydra', 'omegaconf', 'optuna', 'matplotlib', 'rich', 'pandas'}\n"
        "print(*sorted(name for name in heavy if sys.modules.get(name)))"
    )
    assert (done.returncode, done.stderr) == (0, "")
    four, *_, loaded = done.stdout.splitlines()
    assert four.startswith("4.png: 4 (")
    assert loaded == ""


def test_load_reads_without_torch(started: Started) -> None:
    done = started(
        "import inksweep, numpy\n"
        "model = inksweep.load('winner')\n"
        "print(model.read('7.png', min_confidence=0).text, model.classes[7], type(model).__name__)\n"
        "print(model(numpy.zeros((3, 28, 28), numpy.uint8)).shape)"
    )
    assert (done.stdout, done.stderr) == ("7 7 OnnxModel\n(3, 10)\n", "")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, inksweep.cli\ntry: inksweep.cli.main(['predict', '--help'])\nfinally: print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "PICTURE" in done.stdout
    heavy = {"torch", "skimage", "scipy", "numpy", "PIL", "onnxruntime", "hydra"}
    assert not heavy & set(done.stdout.split())


def test_a_reader_that_goes_away_ends_it_quietly(here: Path) -> None:
    for number in range(40):
        (here / f"copy{number}.png").write_bytes((here / "4.png").read_bytes())
    command = [sys.executable, "-m", "inksweep", "predict", "winner", ".", "--json"]
    with subprocess.Popen(command, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        assert (said, process.wait(60)) == (b"", 0)
