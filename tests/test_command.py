"""command.py: what is recorded of a start composes the same config again, typed in any folder."""

import contextlib
import json
import os
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from inksweep import command

APP = """\
import json
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from inksweep import command


@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    hydra_cfg = HydraConfig.get()
    said = {"command": command.again(hydra_cfg), "cfg": OmegaConf.to_container(cfg), "job": hydra_cfg.job.name,
            "code": str(command.program().code)}
    with open(Path(__file__).parent / "said.jsonl", "a") as file:
        file.write(json.dumps(said) + "\\n")


if __name__ == "__main__":
    main()
"""
FILES = {
    "package/__init__.py": "",
    "package/app.py": APP,
    "package/conf/__init__.py": "",
    "package/conf/config.yaml": "defaults: [model: a, _self_]\nx: 1\ntext: ''\nnested: {y: 2}\n",
    "package/conf/small.yaml": "defaults: [model: b, _self_]\nx: 0.5\ntext: ''\n",
    "package/conf/searching.yaml": "defaults: [config, _self_]\nhydra: {searchpath: ['file://extra']}\n",
    "package/conf/model/a.yaml": "size: 1\n",
    "package/conf/model/b.yaml": "size: 2\n",
    "package/other/config.yaml": "x: 7\n",
    "extra/model/c.yaml": "size: 3\n",
    "extra/third.yaml": "x: 3\n",
    "bin/my-app": f"#!{sys.executable}\nimport sys\nfrom package.app import main\nsys.exit(main())\n",
    "my_app-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: my-app\nVersion: 1\n",
    "my_app-1.dist-info/entry_points.txt": "[console_scripts]\nmy-app = package.app:main\n",
}


class Home:
    """A folder with a package with an app, a link to that, a console script, and more configs beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        for name, text in FILES.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "linked").symlink_to(folder / "package")
        (folder / "elsewhere").mkdir()
        (folder / "bin" / "my-app").chmod(0o755)

    def start(self, words: list[str], folder: Path, *, is_apart: bool = False) -> list[dict[str, Any]]:
        """Return what the app says of each job, if these words are typed in `folder`."""
        (self._in_a_process if is_apart else self._in_this_process)(words, folder)
        log = self.folder / "package" / "said.jsonl"
        said = [json.loads(line) for line in log.read_text().splitlines()]
        log.unlink()
        return said

    def _in_a_process(self, words: list[str], folder: Path) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(self.folder)])}
        words = [sys.executable, *words[1:]] if words[0] == "python" else words
        subprocess.run(words, cwd=folder, env=environment, check=True, timeout=120)

    def _in_this_process(self, words: list[str], folder: Path) -> None:
        with self.monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.syspath_prepend(str(self.folder))
            patch.setenv("PATH", f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}")
            for module in ("package", "package.app", "package.conf"):  # of the folder of another test
                patch.delitem(sys.modules, module, raising=False)
            is_module, is_script = words[1] == "-m", words[0] != "python"
            patch.setattr(sys, "argv", ["", *words[3 if is_module else 1 if is_script else 2 :]])
            with contextlib.suppress(SystemExit):
                if is_module:
                    runpy.run_module(words[2], run_name="__main__", alter_sys=True)
                else:
                    runpy.run_path(shutil.which(words[0]) if is_script else words[1], run_name="__main__")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(command, "_asks_for_sweep", False)  # as in a process that has not swept yet
    return Home(tmp_path / "my apps", monkeypatch)


@pytest.mark.parametrize(
    ("typed", "differs"),
    [
        (["python", "package/app.py", "x=3"], {"x": 3}),
        (["python", "package/app.py", "--config-name", "small", "text=a"], {"x": 0.5, "model": {"size": 2}}),
        (["python", "package/app.py", "-cn=small"], {"x": 0.5}),
        (["python", "package/app.py", "--config-n", "small"], {"x": 0.5}),
        (["python", "package/app.py", "--config-path", "other", "+a=1"], {"x": 7, "a": 1}),
        (["python", "package/app.py", "-cd", "extra", "model=c"], {"model": {"size": 3}}),
        (["python", "package/app.py", "--config-dir=extra", "-cn", "third"], {"x": 3}),
        (["python", "package/app.py", "hydra.searchpath=[file://extra]", "model=c"], {"model": {"size": 3}}),
        (["python", "package/app.py", "hydra.searchpath=['extra']", "model=c"], {"model": {"size": 3}}),
        (["python", "package/app.py", "-cn", "searching", "model=c"], {"model": {"size": 3}}),
        (["python", "-m", "package.app", "--config-name", "small"], {"x": 0.5}),
        (["python", "linked/app.py", "model=b"], {"model": {"size": 2}}),
        (["python", "elsewhere/../package/app.py", "~nested"], {"x": 1}),
        (["my-app", "-cn", "small", "x=2"], {"x": 2, "model": {"size": 2}}),
        (["python", "package/app.py", "text='a b=c, \"d\" é {1}'"], {"text": 'a b=c, "d" é {1}'}),
        (["python", "package/app.py", "text='it\\'s'", "++x=[1,2]", "+d={a:1}"], {"text": "it's", "x": [1, 2]}),
        (["python", "package/app.py", "+hydra.job.env_set.A_WORD=b", "text=${oc.env:A_WORD}"], {"x": 1}),
        (["python", "package/app.py", "text=${x}", "+d=${nested.y}"], {"text": "${x}"}),
        (["python", "package/app.py", "hydra.job.name=named", "hydra.run.dir=here"], {"x": 1}),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_command_composes_the_same_wherever_it_is_typed(home: Home, typed: list[str], differs: dict) -> None:
    (first,) = home.start(typed, home.folder)
    assert {key: first["cfg"][key] for key in differs} == differs
    assert first["code"] == str((home.folder / "package" / "app.py").resolve())
    (again,) = home.start(shlex.split(first["command"]), home.folder / "elsewhere")
    assert again == first


@pytest.mark.full
@pytest.mark.parametrize("program", ["package/app.py", "-m package.app"])
def test_the_same_in_processes_of_their_own(home: Home, program: str) -> None:
    typed = ["python", *program.split(), "-cn", "small", "-cd", "extra", "model=c"]
    (first,) = home.start(typed, home.folder, is_apart=True)
    (again,) = home.start(shlex.split(first["command"]), home.folder / "elsewhere", is_apart=True)
    assert again == first
    assert (first["cfg"]["x"], first["cfg"]["model"]) == (0.5, {"size": 3})


def test_each_job_of_a_grid_has_its_own_command(home: Home) -> None:
    grid = ["python", "package/app.py", "-m", "-cn", "small", "x=1,2", "hydra.sweep.dir=s", "hydra/launcher=basic"]
    for first in home.start(grid, home.folder):
        (again,) = home.start(shlex.split(first["command"]), home.folder / "elsewhere")
        assert again == first
        assert "hydra" not in first["command"]


def test_a_run_repeated_by_hydra_has_the_name_of_its_config(home: Home) -> None:
    (first,) = home.start(["python", "package/app.py", "-cn", "small", "x=2", "hydra.run.dir=r"], home.folder)
    (rerun,) = home.start(["python", "package/app.py", "--experimental-rerun", "r"], home.folder)
    assert rerun == first


@pytest.mark.parametrize(
    "text",
    ["a/b", "a b", "a=1,b=2", "it's", 'say "no"', "back\\slash", "\\'", "é", "~/x", "a#b", "$x", "${x}", "", "3"],
)
def test_an_override_is_read_as_the_text_it_was_made_of(text: str) -> None:
    read = OverridesParser.create().parse_override(command.override("key", text))
    assert not read.is_sweep_override()
    config = OmegaConf.create({"key": ""})
    OmegaConf.update(config, "key", read.value())
    assert str(config.key) == text


def test_a_command_is_shown_as_it_is_typed_in_a_folder() -> None:
    text = "python '/home/me/my apps/train.py' 'a=b c'"
    assert command.typed_in(Path("/home/me/my apps"), text) == "python train.py 'a=b c'"
    assert command.typed_in(Path("/home"), text) == "python 'me/my apps/train.py' 'a=b c'"
    for other in ("python -m package.app", "my-app x=1", "python", "", "python 'train.py", text):
        assert command.typed_in(Path("/elsewhere"), other) == other
