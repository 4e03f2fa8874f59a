"""paths.py: the names of the documented format."""

import pwd
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.paths import RunDir, SweepDir, cache, shown, typed


def test_names_are_those_of_the_documented_format() -> None:
    sweep = SweepDir(Path("multirun/night"))
    assert sweep.journal == Path("multirun/night/study.journal")
    assert sweep.trial(7) == RunDir(Path("multirun/night/7"))
    assert sweep.trial(7).model == Path("multirun/night/7/model.pt")
    assert sweep.winner.model == Path("multirun/night/winner/model.pt")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a job of Hydra's that has changed to another folder; return the one in which the command was typed."""
    (tmp_path / "run").mkdir()
    hydra = {"runtime": {"cwd": str(tmp_path)}, "job": {"chdir": True}}
    monkeypatch.setattr(HydraConfig.instance(), "cfg", OmegaConf.create({"hydra": hydra}))
    monkeypatch.chdir(tmp_path / "run")
    return tmp_path


def test_a_relative_path_begins_where_the_command_was_typed(job: Path) -> None:
    assert typed("data") == job / "data"
    assert typed("/data") == Path("/data")
    assert typed("data", start=Path("/elsewhere")) == Path("/elsewhere/data")
    assert shown(Path("model.pt")) == "run/model.pt"


def test_a_path_is_left_as_it_was_typed_where_that_means_the_same() -> None:
    assert typed("data") == Path("data")


def test_a_home_folder_is_found_as_a_shell_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert typed("~/digits") == typed("~", start=Path("/elsewhere")) / "digits" == Path("/home/me/digits")
    assert typed("~root") == Path(pwd.getpwnam("root").pw_dir)
    assert typed("./~/digits") == Path("~/digits")
    with pytest.raises(InputError, match=r"data.root=~nobody-knows/x: the home folder is not known"):
        typed("~nobody-knows/x", "data.root")


def test_a_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    for name in ("HOME", "XDG_CACHE_HOME", "INKSWEEP_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert cache() is None
