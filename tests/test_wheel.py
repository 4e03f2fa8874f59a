"""The wheel: what travels in it, and what somebody can do who has nothing but it."""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.bare import python
from tests.conftest import DIGITS, REPOSITORY, TINY

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    build("sdist", REPOSITORY, folder)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def site(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the content of the wheel that is built from the source distribution, as in site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build("wheel", source, folder)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(folder / "site")
    return folder / "site"


def build(target: str, origin: Path, folder: Path) -> None:
    words = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    done = subprocess.run(words, cwd=origin, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_source_distribution_has_what_a_wheel_is_built_from_and_no_more(source: Path) -> None:
    made = {"PKG-INFO", "pyproject.toml", ".gitignore"}  # hatchling adds these
    folders = {"src", "conf", "docs", "examples", "tests"}
    files = {"train.py", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE"}
    assert {path.name for path in source.iterdir()} == made | folders | files


def test_the_wheel_has_all_that_is_no_module(site: Path) -> None:
    inside = {str(path.relative_to(site / "inksweep")) for path in (site / "inksweep").rglob("*") if path.is_file()}
    source = REPOSITORY / "src" / "inksweep"
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    conf = [path.relative_to(REPOSITORY) for path in (REPOSITORY / "conf").rglob("*.yaml")]
    starter = {f"starter/{path}" for path in (*conf, "train.py")}
    assert inside == {str(path.relative_to(source)) for path in files} | starter
    assert {"py.typed", "report/page/page.css", "report/page/page.js", "report/page/page.html.jinja"} <= inside
    metadata = next(site.glob("*.dist-info/METADATA")).read_text(encoding="utf-8")
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist: ")]
    assert any("optuna" in line for line in required)
    assert not [line for line in required if re.search("torch|matplotlib", line) and "extra ==" not in line]


def test_without_torch_a_wheel_says_what_to_install(site: Path, tmp_path: Path) -> None:
    bare = python(tmp_path, site, hide=True)
    done = bare("-m", "inksweep", "init", "digits")
    assert done.stdout.splitlines()[-1] == 'next: pip install "inksweep[digits]" && cd digits && python train.py'
    for words in (["train.py"], ["train.py", "-m", "hydra/sweeper=optuna"], ["-m", "inksweep", "data", "mnist"]):
        done = bare(*words, cwd="digits")
        assert done.returncode == 2
        assert done.stderr.endswith('; pip install "inksweep[digits]"\n')
        assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in (tmp_path / "here" / "digits").iterdir()) == [".gitignore", "conf", "train.py"]


def test_an_app_of_ones_own_sweeps_with_nothing_but_the_wheel(site: Path, tmp_path: Path) -> None:
    bare = python(tmp_path, site, hide=True)
    shutil.copytree(REPOSITORY / "examples" / "any_hydra_app", tmp_path / "here" / "app")
    done = bare("app.py", "-m", "hydra/sweeper=search", "hydra.sweeper.n_trials=4", cwd="app")
    assert done.returncode == 0, done.stderr
    done = bare("-m", "inksweep", "compare", "app/multirun", "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 4


def test_with_torch_it_trains_and_evaluates_without_a_repository(site: Path, tmp_path: Path) -> None:
    full = python(tmp_path, site, hide=False)
    assert full("-m", "inksweep", "init", "digits").returncode == 0
    shutil.copytree(DIGITS, tmp_path / "here" / "digits" / "data")
    tiny = [*TINY, "trainer.epochs=1", "model.hidden=[8]"]
    done = full("train.py", *tiny, "hydra.run.dir=run", cwd="digits")
    assert done.returncode == 0, done.stderr
    # There is no conf/ in this folder: the wheel's is taken.
    done = full("-m", "inksweep", "evaluate", "digits/run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("val/accuracy")
