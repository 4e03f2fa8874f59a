"""cli.py: what a person types and reads."""

import importlib.metadata
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

from inksweep import cli, extras, figures
from inksweep.digits import checkpoint
from inksweep.digits.config import parse
from tests.conftest import REPOSITORY, tiny


def test_data_shows_numbers_and_draws_the_digits(
    prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cli.main(["data", "mnist", *tiny(prepared_root)])
    said = capsys.readouterr().out
    # Shapes, types and ranges, as stored and as the network sees them; the picture where the last line says.
    for expected in ("300 x 28 x 28", "uint8", "0 to 255", "-0.424 to 2.821", "class 9"):
        assert expected in said
    assert said.splitlines()[-1] == "picture: outputs/mnist.png"
    assert imread(tmp_path / "outputs" / "mnist.png").ndim == 3
    cli.main(["data", "mnist", "--augment", "erasing", *tiny(prepared_root)])
    assert capsys.readouterr().out.splitlines()[-1] == "picture: outputs/mnist-erasing.png"


@pytest.mark.parametrize(
    ("words", "panels"),
    [
        (["augment=none"], 2),
        (["augment=affine"], 3),
        (["--augment", "elastic"], 3),
        (["--augment", "handwriting", "augment.elastic_pixels=1.5"], 3),
    ],
)
def test_data_draws_one_more_panel_with_an_augmentation(
    prepared_root: Path, words: list[str], panels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, Path]] = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append((len(figure.subfigs), path)))
    # Settings may stand after an option too.
    cli.main(["data", "mnist", "--out", "my.png", *tiny(prepared_root), *words])
    assert drawn == [(panels, Path("my.png"))]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mnst"], "data=mnst: there is no such option; did you mean 'mnist'?"),
        (["mnist", "data.val_sise=3"], "val_size"),
        (["mnist", "--augment", "elastik"], "augment=elastik: there is no such option; did you mean 'elastic'?"),
        (["mnist", "data.val_size=0"], "data.val_size=0: must be from 1"),
    ],
)
def test_a_mistyped_word_is_one_line_and_exit_code_2(
    words: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["data", *words])
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert line in said
    assert said.count("\n") == 1


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["data", "mnist", "--colour", "red"])
    assert caught.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_conf_is_that_of_the_current_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse.find_conf() == REPOSITORY / "conf"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").touch()
    assert parse.find_conf() == tmp_path / "conf"


def test_without_a_repository_conf_is_that_of_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "inksweep" / "extras.py"))
    assert parse.find_conf() == Path(cli.__file__).parent / "starter" / "conf"


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out == f"inksweep {importlib.metadata.version('inksweep')}\n"


def test_each_command_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    about_runs = {"evaluate", "card", "compare", "dashboard", "diff", "export", "predict", "report", "serve"}
    assert {"init", "data"} | about_runs == set(cli.COMMANDS)
    for name, (about, _) in cli.COMMANDS.items():
        assert f" {name} {about} " in f"{said} "


def test_help_imports_neither_torch_nor_hydra() -> None:
    code = "import sys, inksweep.cli\ntry: inksweep.cli.main(['--help'])\nfinally: print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert not {"torch", "hydra", "matplotlib", "rich"} & set(done.stdout.split())


@pytest.fixture
def trained(prepared_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of a short run on the tiny digits."""
    monkeypatch.chdir(tmp_path)
    words = ["train.py", *tiny(prepared_root), "trainer.epochs=2", "model.hidden=[16]", "hydra.run.dir=run"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    return tmp_path / "run"


def test_evaluate_gives_the_recorded_accuracies_again(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    cli.main(["evaluate", str(trained)])
    recorded = json.loads((trained / "result.json").read_text())["metrics"]
    assert capsys.readouterr().out.splitlines() == [
        f"{name}/accuracy {recorded[f'{name}/accuracy']:.4f} on {count} images, "
        f"recorded {recorded[f'{name}/accuracy']:.4f}"
        for name, count in (("val", 100), ("test", 150))
    ]


def test_evaluate_says_when_the_accuracy_is_another(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = checkpoint.load(trained / "model.pt")
    first = next(iter(content["state_dict"]))
    content["state_dict"][first] = -content["state_dict"][first]
    checkpoint.save(trained / "model.pt", content)
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", str(trained)])
    assert ended.value.code == 1
    assert "not the recorded accuracy" in capsys.readouterr().err


def test_evaluate_names_a_folder_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["evaluate", str(tmp_path)])
    assert ended.value.code == 2
    assert f"{tmp_path}: no run directory or winner" in capsys.readouterr().err
