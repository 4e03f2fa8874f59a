"""A start that is refused leaves every file as it was: it looks at all that it is given before it writes."""

import hashlib
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inksweep import cli
from inksweep.files import held
from tests.conftest import REPOSITORY, tiny

SWEEP = [
    "-m",
    "hydra/sweeper=optuna",
    "hydra.sweeper.target=null",
    "hydra.sweeper.n_trials=2",
    "hydra/sweeper/space=none",
]
QUICK = ["model.hidden=[4]", "trainer.epochs=1", "trainer.device=cpu"]


def train(*words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", *QUICK, *words])
        runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")


@pytest.fixture(scope="module")
def made(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a sweep, and files that are neither; to be copied."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(prepared_root, "data")
        train(*tiny("data"), "hydra.run.dir=run")
        train(
            *tiny("data"),
            *SWEEP,
            "optimizer.lr=choice(0.01,0.02)",
            "hydra.sweep.dir=night",
            "hydra.sweeper.report=false",
        )
        Path("file").write_text("no folder\n")
        Path("broken").mkdir()
        Path("broken", "study.journal").write_text("no journal\n")
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a copy of that folder."""
    folder = tmp_path / "here"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "cache"))
    return folder


def listing(folder: Path) -> dict[str, tuple[object, ...]]:
    """What is in a folder: by name of a file its size, when it was written, and its content."""
    return {
        str(path.relative_to(folder)): (
            (path.stat().st_size, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            if path.is_file()
            else ("folder",)
        )
        for path in folder.rglob("*")
    }


def refused(call: Callable[[], None], here: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Call what is to be refused; return its line. Nothing in `here` has changed."""
    before = listing(here)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call()
    assert ended.value.code == 2
    after = listing(here)
    changed = sorted(name for name in before | after if before.get(name) != after.get(name))
    assert changed == []
    return capsys.readouterr().err


@contextmanager
def busy() -> Iterator[None]:
    with held(Path("night/.lock"), "taken"):
        yield


@pytest.mark.parametrize(
    ("words", "named"),
    [
        # Values and types.
        (["hydra.sweeper.n_trials=0"], "n_trials=0"),
        (["hydra.sweeper.n_trials=many"], "n_trials"),
        (["hydra.sweeper.n_jobs=0"], "n_jobs=0"),
        (["hydra.sweeper.misspelt=1"], "misspelt"),
        (["hydra.sweeper.direction=up"], "direction"),
        (["hydra.sweeper.timeout_s=-1"], "timeout_s=-1"),
        (["hydra/sweeper/sampler=none"], "sampler=none"),
        (["hydra/sweeper/pruner=none_such"], "pruner=none_such"),
        (["hydra.sweeper.winner.export=[word]"], "word"),
        (["hydra.sweeper.winner.top_k=0"], "top_k=0"),
        # The space, and the points of it that are tried first.
        (["optimizer.lr=choice()"], "choice()"),
        (["optimizer.lr=interval(2,1)"], "optimizer.lr"),
        (["optimizer.l=interval(0,1)"], "optimizer.l"),
        (["hydra.sweeper.enqueue=[{optimizer.lr: 7}]"], "7"),
        (["hydra.sweeper.warm_start=nowhere"], "nowhere"),
        # The app's own settings.
        (["model=none_such"], "model=none_such"),
        # Where jobs run, and where the study is kept.
        (["hydra/launcher=none_such"], "none_such"),
        (["hydra.launcher.preload=[no_such_module]"], "no_such_module"),
        (["hydra.launcher.threads=0"], "threads=0"),
        (["hydra.sweeper.storage=nonsense://host/db"], "nonsense://host/db"),
        (["hydra.sweeper.storage=sqlite:////nowhere/study.db"], "/nowhere/study.db"),
        (["hydra.sweep.dir=file"], "file"),
        (["hydra.sweep.dir=broken"], "study.journal"),
    ],
)
@pytest.mark.parametrize("folder", ["new", "night"])
def test_a_sweep(folder: str, words: list[str], named: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choice = [] if words[0].startswith("optimizer.l") else ["optimizer.lr=choice(0.01,0.02)"]
    line = refused(lambda: train(*tiny("data"), *SWEEP, *choice, f"hydra.sweep.dir={folder}", *words), here, capsys)
    assert named in line
    assert line.startswith("error: ")
    assert line.count("\n") == 1


@pytest.mark.parametrize("words", [["optimizer.lr=choice(0.01,0.03)"], ["hydra.sweeper.direction=minimize"]])
def test_another_search_in_the_place_of_one(words: list[str], here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choice = [] if words[0].startswith("optimizer.lr") else ["optimizer.lr=choice(0.01,0.02)"]
    line = refused(lambda: train(*tiny("data"), *SWEEP, *choice, "hydra.sweep.dir=night", *words), here, capsys)
    assert line.count("\n") == 1


def test_a_sweep_that_runs_already(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*tiny("data"), *SWEEP, "optimizer.lr=choice(0.01,0.02)", "hydra.sweep.dir=night"]
    with busy():
        assert "another process is running this sweep" in refused(lambda: train(*words), here, capsys)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["compare", "nowhere"], "nowhere"),
        (["compare", "run", "--where", "model"], "--where"),
        (["compare", "run", "--sort", "none_such"], "none_such"),
        (["diff", "run", "nowhere"], "nowhere"),
        (["diff", "run", "night/0", "--png", "file/x.png"], "file"),
        (["report", "nowhere"], "nowhere"),
        (["report", "run"], "run"),
        (["report", "broken"], "broken"),
        (["report", "night", "--out", "file/page.html"], "file"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "run", "data.root=nowhere"], "nowhere"),
        (["evaluate", "run", "data.val_size=-1"], "data.val_size"),
        (["card", "nowhere"], "nowhere"),
        (["card", "night"], "night"),
        (["card", "run", "data.root=nowhere"], "nowhere"),
        (["card", "night/winner", "data.root=nowhere"], "nowhere"),
        (["export", "run", "--out", "run/model.pt"], "run/model.pt"),
        (["export", "run", "data.root=nowhere"], "nowhere"),
        (["export", "run", "--out", "file/model.onnx"], "file"),
        (["data", "none_such"], "none_such"),
        (["data", "mnist", "data.root=file"], "file"),
        (["data", "mnist", "data.size=0"], "data.size"),
        (["dashboard", "nowhere"], "nowhere"),
        (["dashboard", "night", "--port", "99999"], "99999"),
        (["init", "file"], "file"),
    ],
)
def test_a_command(words: list[str], named: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(lambda: cli.main(words), here, capsys)
    assert named in line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["optimizer.lr=-1"], "optimizer.lr=-1"),
        (["optimizer.lr=many"], "optimizer.lr"),
        (["optimizer.l=1"], "optimizer.l"),
        (["model=none_such"], "none_such"),
        (["trainer.resume=nowhere"], "nowhere"),
        (["hydra/launcher=none_such"], "none_such"),
        (["data.root=file"], "file"),
        (["data.root=nowhere", "data.npm=null", "data.source.mirrors=[]"], "mirrors"),
        (["trainer.device=none"], "trainer.device"),
        (["hydra.run.dir=file/run"], "file"),
    ],
)
def test_a_run(words: list[str], named: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Hydra makes the folder of a run and writes its settings there before it calls the app: that is no file of before.
    line = refused(lambda: train(*tiny("data"), f"hydra.run.dir={here.parent / 'refused'}", *words), here, capsys)
    assert named in line
