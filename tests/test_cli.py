"""cli.py: what a person types and reads."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.image import imread

from conftest import tiny
from inksweep import cli, figures
from inksweep.errors import InputError


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


@pytest.mark.parametrize(("augment", "panels"), [("none", 2), ("affine", 3)])
def test_data_draws_one_more_panel_with_an_augmentation(
    prepared_root: Path, augment: str, panels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, Path]] = []
    monkeypatch.setattr(figures, "save", lambda figure, path: drawn.append((len(figure.subfigs), path)))
    # Settings may stand after an option too.
    cli.main(["data", "mnist", "--out", "my.png", *tiny(prepared_root), f"augment={augment}"])
    assert drawn == [(panels, Path("my.png"))]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mnst"], "data=mnst: there is no such option; did you mean 'mnist'?"),
        (["mnist", "data.val_sise=3"], "val_size"),
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
    assert cli.find_conf() == Path(cli.__file__).parents[2] / "conf"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").touch()
    assert cli.find_conf() == tmp_path / "conf"


def test_where_there_is_no_conf_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "site" / "lib" / "inksweep" / "cli.py"))
    with pytest.raises(InputError, match=r"no conf/config\.yaml in"):
        cli.find_conf()


def test_help_imports_neither_torch_nor_hydra() -> None:
    code = "import sys, inksweep.cli\ntry: inksweep.cli.main(['--help'])\nfinally: print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert not {"torch", "hydra", "matplotlib", "rich"} & set(done.stdout.split())
