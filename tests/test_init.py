"""init.py: what `inksweep init` writes, and that it touches nothing that is there."""

import filecmp
import os
import runpy
import stat
import sys
from pathlib import Path

import pytest

from inksweep import cli, extras, init
from inksweep.errors import InputError
from tests.conftest import REPOSITORY, tiny

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def content(folder: Path) -> dict[str, bytes | None]:
    """All that lies in a folder: files by their bytes, folders as None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_it_writes_what_the_repository_has_and_it_trains(
    here: Path, prepared_root: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["init", "digits"])
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "next: cd digits && python train.py"
    assert sorted(path.name for path in Path("digits").iterdir()) == [".gitignore", "conf", "train.py"]
    yaml = [path.relative_to(REPOSITORY) for path in (REPOSITORY / "conf").rglob("*.yaml")]
    assert len(yaml) > 30
    for name in (Path("train.py"), *yaml):
        assert filecmp.cmp(REPOSITORY / name, here / "digits" / name, shallow=False)
    assert {*init.IGNORED, "# what a run writes"} == set((here / "digits" / ".gitignore").read_text().splitlines())
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((here / "digits" / "conf").stat().st_mode) == 0o777 & ~umask
    monkeypatch.chdir(here / "digits")
    words = ["train.py", *tiny(prepared_root), "trainer.epochs=1", "model.hidden=[8]", "hydra.run.dir=run"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path("train.py", run_name="__main__")
    assert (here / "digits" / "run" / "model.pt").is_file()


def test_the_current_folder_with_other_files_will_do(here: Path, capsys: Captured) -> None:
    (here / "conf").mkdir()
    (here / "conf" / "mine.yaml").write_text("mine")
    (here / ".gitignore").write_text("*.log\n")
    cli.main(["init", "."])
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == "next: python train.py"
    assert (
        ".gitignore stays as it is; let it name /outputs/, /multirun/, /data/, /mlflow.db*, /mlruns/, /wandb/"
        in said[-2]
    )
    assert (here / "conf" / "mine.yaml").read_text() == "mine"
    assert (here / ".gitignore").read_text() == "*.log\n"
    assert (here / "conf" / "config.yaml").is_file()
    assert not list(here.glob(".init-*"))


@pytest.mark.parametrize(
    "taken", ["train.py", "conf/config.yaml", "conf/hydra/sweeper/optuna.yaml", "conf/model", "conf"]
)
def test_a_file_that_is_there_is_named_and_nothing_is_written(here: Path, taken: str, capsys: Captured) -> None:
    (here / "x" / taken).parent.mkdir(parents=True)
    (here / "x" / taken).write_text("mine")
    before = content(here)
    with pytest.raises(SystemExit) as ended:
        cli.main(["init", "x"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == f"error: x/{taken}: is there already; nothing was written, name another folder\n"
    assert content(here) == before


def test_a_file_is_no_folder(here: Path) -> None:
    (here / "x").write_text("mine")
    with pytest.raises(InputError, match=r"^x: is a file; nothing was written"):
        init.run(Path("x"))


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("moves", [0, 1, 20])
def test_after_a_failure_all_is_as_before(here: Path, there: bool, moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if there:
        (here / "a" / "b" / "conf" / "model").mkdir(parents=True)
    before, rename, done = content(here), Path.rename, []

    def fails(path: Path, target: Path) -> Path:
        if len(done) == moves:
            raise OSError(28, "No space left on device", str(target))
        done.append(target)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="No space left"):
        init.run(Path("a/b"))
    assert len(done) == moves
    assert content(here) == before


def test_without_torch_the_next_step_installs_it(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    init.run(Path("my digits"))
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"next: {extras.install('digits')} && cd 'my digits' && python train.py"
