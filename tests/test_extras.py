"""extras.py: what works without torch and matplotlib, and the one line of what does not."""

import json
import re
import runpy
import sys
import tomllib
from pathlib import Path

import pytest

from inksweep import extras
from inksweep.errors import InputError, explain, need_extra
from inksweep.sweep.study import storage
from tests.bare import Bare, python
from tests.conftest import REPOSITORY, tiny

# Distributions that are imported by another name.
IMPORTED = {"Pillow": "PIL", "python_multipart": "multipart"}


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    """`bare(words...)` runs Python in an empty folder, without what `pip install inksweep` does not bring."""
    return python(tmp_path, REPOSITORY / "src", hide=True)


def test_the_extras_are_those_of_pyproject() -> None:
    with (REPOSITORY / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    listed = project["optional-dependencies"]
    assert set(listed) == {*extras.EXTRAS, "dev"}
    for extra, packages in extras.EXTRAS.items():
        names = [re.split(r"[\[>=<]", requirement)[0] for requirement in listed[extra]]
        brought = {re.sub("^hydra-|-launcher$", "", name).replace("-", "_") for name in names} - {"inksweep"}
        brought = {IMPORTED.get(name, name) for name in brought}
        assert brought == set(packages)
    # And `pip install inksweep` brings none of them.
    base = {re.split(r"[\[>=<]", requirement)[0].replace("-", "_") for requirement in project["dependencies"]}
    assert not base & set().union(*extras.EXTRAS.values())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["TRAIN"], "train.py: torch is not installed"),
        (["TRAIN", "-m", "hydra/sweeper=optuna"], "hydra.launcher.preload=torch: torch is not installed"),
        (["-m", "inksweep", "data", "mnist"], "inksweep data: torch, torchvision and matplotlib are not installed"),
        (["-m", "inksweep", "evaluate", "run"], "inksweep evaluate: torch is not installed"),
        (["-m", "inksweep", "card", "run"], "inksweep card: torch, torchvision and matplotlib are not installed"),
        (["-m", "inksweep", "export", "run"], "inksweep export: torch is not installed"),
        (["-m", "inksweep", "diff", "a", "b", "--png", "c.png"], "--png c.png: matplotlib is not installed"),
        (["-m", "inksweep", "predict", "run", "a.png"], "inksweep predict: scipy and PIL are not installed"),
        (["-m", "inksweep", "report", "a"], "inksweep report: plotly and jinja2 are not installed"),
        (["-m", "inksweep", "report", "a", "--png"], "inksweep report: plotly, jinja2 and matplotlib are not"),
    ],
)
def test_what_needs_a_package_that_is_missing_says_so_in_one_line(bare: Bare, words: list[str], line: str) -> None:
    done = bare(*(str(REPOSITORY / "train.py") if word == "TRAIN" else word for word in words))
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1
    extra = {"export": "export", "diff": "report", "predict": "read", "report": "report"}.get(
        words[-1 if len(words) < 3 else 2], "digits"
    )
    assert done.stderr.endswith(f'; pip install -e "{REPOSITORY}[{extra}]"\n')
    assert done.returncode == 2


def test_load_without_torch_is_one_sentence(bare: Bare, tmp_path: Path) -> None:
    (tmp_path / "here" / "model.pt").touch()
    done = bare("-c", "import inksweep\ntry: inksweep.load('.')\nexcept ValueError as error: print(error)")
    assert done.stdout == (
        f'inksweep.load: torch is not installed; pip install -e "{REPOSITORY}[digits]"; '
        f'or export model.pt where it is, for ONNX Runtime (pip install -e "{REPOSITORY}[read]")\n'
    )


def test_the_rest_works_without_torch(bare: Bare, tmp_path: Path) -> None:
    here = tmp_path / "here"
    assert bare("-m", "inksweep", "--help").returncode == 0
    assert "Train a classifier" in bare(str(REPOSITORY / "train.py"), "--help").stdout
    # A sweep of an app that is not ours, then what reads it.
    (here / "conf").mkdir()
    (here / "conf" / "config.yaml").write_text("x: 1\n")
    (here / "app.py").write_text(
        "import hydra\n"
        "from inksweep import trial\n"
        "@hydra.main(version_base=None, config_path='conf', config_name='config')\n"
        "def main(cfg):\n"
        "    trial.report(1, cfg.x)\n"
        "    return cfg.x\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    words = ["-m", "hydra/sweeper=inksweep", "hydra/launcher=slots", "hydra.sweep.dir=multirun/a", "x=interval(1,9)"]
    done = bare("app.py", *words, "hydra.sweeper.n_trials=3")
    assert done.returncode == 0, done.stderr
    done = bare("-m", "inksweep", "compare", "multirun/a", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 3
    done = bare("-m", "inksweep", "diff", "multirun/a/0", "multirun/a/1")
    assert done.returncode == 0, done.stderr


def test_an_extra_that_is_there_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    need_extra("inksweep card", "digits")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    need_extra("inksweep evaluate", "digits", ["torch"])
    with pytest.raises(InputError, match=r"^inksweep card: torchvision is not installed; pip install"):
        need_extra("inksweep card", "digits")


def test_the_command_is_one_that_works_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert extras.install("digits") == 'pip install -e ".[digits]"'
    monkeypatch.chdir(tmp_path)
    assert extras.install("digits") == f'pip install -e "{REPOSITORY}[digits]"'
    # The user of a wheel has no repository.
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "lib" / "site-packages" / "inksweep" / "extras.py"))
    assert extras.install("digits") == 'pip install "inksweep[digits]"'


def test_an_import_of_ours_that_fails_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    code = "def go():\n import optuna_dashboard"
    ours: dict[str, object] = {"__name__": "inksweep.somewhere"}
    theirs: dict[str, object] = {"__name__": "lightgbm_app"}
    for names in (ours, theirs):
        exec(code, names)
    with pytest.raises(ModuleNotFoundError) as caught:
        ours["go"]()  # type: ignore[operator]
    assert explain(caught.value) == f"optuna_dashboard is not installed; {extras.install('dashboard')}"
    # What an app of the user's lacks is not brought by an extra of ours.
    with pytest.raises(ModuleNotFoundError) as caught:
        theirs["go"]()  # type: ignore[operator]
    assert explain(caught.value) is None


@pytest.mark.parametrize(
    ("launcher", "expected"),
    [("joblib", "hydra-joblib-launcher is not installed; pip install"), ("jblib", "there is no such option")],
)
def test_a_launcher_that_is_not_installed_is_named_by_its_extra(launcher: str, expected: str) -> None:
    said = f"Could not find 'hydra/launcher/{launcher}'\n\nAvailable options in 'hydra/launcher':\n\tbasic\n\tslots\n"
    from hydra.errors import MissingConfigException

    line = explain(MissingConfigException(said))
    assert line is not None
    assert line.startswith(f"hydra/launcher={launcher}: {expected}")


def test_a_database_without_its_driver_is_named_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    url = "postgresql+psycopg://me:secret@127.0.0.1:1/studies"
    with pytest.raises(InputError, match=r"psycopg is not installed; pip install .*\[cluster\]") as caught:
        storage.open_storage(storage.Address("night", url, tmp_path, 60))
    assert "secret" not in str(caught.value)


def test_figures_without_matplotlib_are_refused_before_training(
    tmp_path: Path, prepared_root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr(sys, "argv", ["train.py", *tiny(prepared_root), "figures=true", "hydra.run.dir=run"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    assert ended.value.code == 2
    assert "error: figures=true: matplotlib is not installed; pip install" in capsys.readouterr().err
    assert not (tmp_path / "run" / "metrics.csv").exists()
