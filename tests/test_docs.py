"""README and docs/: links lead somewhere, the tree is the tree, and every command, YAML and Python block works.

Commands that train for long are typed with their size cut: a few hundred digits, one epoch, two trials, one slot.
"""

import contextlib
import io
import json
import logging
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from inksweep import cli
from tests.conftest import DIGITS, REPOSITORY, tiny

README = REPOSITORY / "README.md"
PAGES = [
    README,
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").glob("*.md")),
    *sorted((REPOSITORY / "examples").glob("*/README.md")),
    REPOSITORY / "tests" / "tiny_mnist" / "README.md",
    REPOSITORY / "benchmarks" / "README.md",
]
# What stands in a fenced block, by its word: commands; a command and what it prints; what a command prints; code.
LANGUAGES = {"bash", "console", "text", "yaml", "python"}
APP = REPOSITORY / "examples" / "any_hydra_app"

# Commands that no test here types, by how they begin, and why.
NOT_TYPED = {
    "python3 -m venv": "makes an environment",
    ". .venv/bin/activate": "changes the shell that it is typed in",
    "eval ": "changes the shell that it is typed in",
    "cd ": "changes the shell that it is typed in; `inksweep init` and `python train.py` beside it are typed",
    "pip install": "fetches from a package registry",
    "make ": "makes an environment, or runs these tests",
    "python -m pytest": "runs these tests",
    "python -m benchmarks": "measures for minutes; tests/benchmarks",
    "python benchmarks/first_minute.py": "measures for a minute",
    "python benchmarks/gpu.py": "measures for minutes where there is a GPU; tests/digits/training/test_cuda.py",
    "inksweep serve": "serves until Ctrl-C; tests/serve/test_command.py",
    "curl ": "asks a server; tests/serve/test_command.py",
    "inksweep dashboard": "serves until Ctrl-C; tests/test_dashboard.py",
    "tensorboard ": "serves until Ctrl-C",
    "mlflow ui": "serves until Ctrl-C",
    "wandb sync": "needs an account",
    "inksweep data fashion_mnist": "fetches from torchvision's mirrors",
    "python train.py data=kmnist": "fetches from torchvision's mirrors",
    "python train.py -m hydra/sweeper=optuna hydra/launcher=ray": "starts Ray; tests/sweep/slots",
    "RAY_AUTH_MODE=token": "needs a Ray cluster and PostgreSQL",
    "python train.py -m hydra/sweeper=optuna hydra/launcher=submitit_slurm": "needs Slurm",
    "for i in": "needs Slurm and PostgreSQL",
    "sbatch ": "needs Slurm and PostgreSQL",
    "done": "needs Slurm and PostgreSQL",
    "python train.py -m hydra/sweeper=optuna hydra.sweeper.n_jobs=4 hydra.sweeper.study_name=night":
        "needs PostgreSQL; tests/sweep/study/test_machines.py",
    "flock ": "needs two machines that share a file system",
}  # fmt: skip
# Commands that are not quick: with several processes, or libraries that take seconds to import.
FULL = ("hydra/launcher=slots", "tracker=mlflow", "tracker=wandb", "tracker=tensorboard", "torch-export")


# What cuts a sweep to two trials, one at a time: how several slots work together is shown in tests/sweep.
SIZES = ("hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs=", "data.train_limit=")
SMALL_SWEEP = ["hydra.sweeper.n_trials=2", "hydra.sweeper.report=false", "hydra.sweeper.winner.card=false"]


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    lines: tuple[str, ...]
    line: int

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    @property
    def file(self) -> str | None:
        """The file that the block says it is, in its first comment, behind Hydra's own."""
        said = re.match(r"(?:# @package .*\n)?# ((?:conf|mypackage)/[\w./]+)", self.text)
        return said[1] if said else None


def blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    language, lines, begin = None, [], 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, lines, begin = line.removeprefix("```"), [], number
        else:
            found.append(Block(page, language, tuple(lines), begin))
            language = None
    assert language is None, f"{page}: a block is never closed"
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """All commands of a page: those of bash blocks, and those between backticks that have arguments."""
    found = []
    for block in blocks(page):
        if block.language == "bash":
            for line in block.text.replace("\\\n", " ").splitlines():
                for part in re.sub(r"\s+#.*", "", line).split(" && "):
                    found.append(" ".join(part.split()))
        if block.language == "console":
            found += [line.removeprefix("$ ") for line in block.lines if line.startswith("$ ")]
    inline = re.findall(r"(?<!`)`((?:python \w+\.py|inksweep [a-z]+) [^`]+)`(?!`)", prose(page))
    return [command for command in [*found, *(" ".join(one.split()) for one in inline)] if command]


BLOCKS = [block for page in PAGES for block in blocks(page)]
# A command that stands twice is typed once.
COMMANDS = {command: page for page in reversed(PAGES) for command in commands(page)}
TYPED = {command: page for command, page in COMMANDS.items() if not command.startswith(tuple(NOT_TYPED))}
REFUSED = {
    block.lines[at].removeprefix("$ "): block.lines[at + 1]
    for block in BLOCKS
    if block.language == "console"
    for at in range(len(block.lines))
    if block.lines[at].startswith("$ ")
}


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


# Links, languages, the tree


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_link_is_dead(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One run: set-up\n[a](page.md) [b](#one-run-set-up) [c](page.md#two) [d](other.md)\n"
        '[e](https://x.org) <img src="f.png">\n'
    )
    assert dead_links(page) == ["page.md#two", "other.md", "f.png"]


def dead_links(page: Path) -> list[str]:
    """The links of a page within the repository that lead to no file, or to no heading of a page."""
    dead = []
    for link in re.findall(r"(?:\]\(|src=\")([^)\s\"]+)[)\"]", prose(page)):
        if re.match(r"https?:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_block_says_what_it_holds(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


def test_every_page_is_in_the_index_and_says_what_it_is_about() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text(encoding="utf-8")
    for page in sorted((REPOSITORY / "docs").glob("*.md")):
        if page.name != "README.md":
            assert f"| [{page.name}]({page.name}) |" in index
            assert page.read_text(encoding="utf-8").splitlines()[2].startswith("This page is ")


def test_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 220


def test_the_tree_in_readme_is_the_tree() -> None:
    shown = tree(README)
    assert shown["src/inksweep"], "the tree shows src/inksweep/"
    check_tree(shown)
    # What README shows as one line, docs/develop.md shows: together they have every folder of the package.
    rest = tree(REPOSITORY / "docs" / "develop.md")
    source = REPOSITORY / "src" / "inksweep"
    folders = {str(path.parent.relative_to(REPOSITORY)) for path in source.rglob("*.py")}
    assert folders - set(shown) - set(rest) == set()
    check_tree({folder: names for folder, names in rest.items() if folder in folders - set(shown)})


def check_tree(shown: dict[str, set[str]]) -> None:
    """Each folder of the package that a tree opens is shown as it is; whatever else the tree names exists."""
    for folder, children in shown.items():
        path = REPOSITORY / folder
        missing = [child for child in children if not (path / child).exists()]
        assert not missing, f"{folder} has no {missing}"
        if folder.startswith("src/inksweep"):
            # A folder without files is what git leaves of a renamed one, with what Python had cached in it.
            there = {child.name for child in path.iterdir() if not re.match(r"__|\.", child.name) and _has_files(child)}
            assert there - children == set(), f"{folder} has more"


def _has_files(path: Path) -> bool:
    return path.is_file() or any(child.is_file() and child.suffix != ".pyc" for child in path.rglob("*"))


def test_a_tree_that_is_not_the_tree_is_seen() -> None:
    names = {path.name for path in (REPOSITORY / "src/inksweep/diff").glob("*.py")} - {"__init__.py"}
    check_tree({"src/inksweep/diff": names})
    with pytest.raises(AssertionError, match="has no"):
        check_tree({"src/inksweep/diff": {*names, "gone.py"}})
    with pytest.raises(AssertionError, match="has more"):
        check_tree({"src/inksweep/diff": names - {"text.py"}})


def tree(page: Path) -> dict[str, set[str]]:
    """Read the tree that is drawn on a page: folder -> the names below it, for each folder of which any is shown.

    A line is an indentation of two spaces a level, one or several names, and after two spaces a remark.
    """
    shown: dict[str, set[str]] = {"": set()}
    path: list[str] = []
    (drawn,) = (block.lines for block in blocks(page) if "src/inksweep/" in block.lines)
    for line in drawn:
        indent, names = re.match(r"( *)(\S+(?: \S+)*)", line).groups()
        del path[len(indent) // 2 :]
        here = "/".join(path)
        shown.setdefault(here, set()).update(child.rstrip("/") for child in names.split())
        path.append(names.split()[0].rstrip("/"))
    return shown


# Commands


def test_commands_are_found_on_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Type `inksweep report x`, not `inksweep report`.\n```bash\npip install a && cd b\n"
        "python train.py 'a=tag(b, c)' \\\n  d=1   # why\n```\n```console\n$ python train.py x\nerror: x\n```\n"
    )
    assert commands(page) == [
        "pip install a",
        "cd b",
        "python train.py 'a=tag(b, c)' d=1",
        "python train.py x",
        "inksweep report x",
    ]


def test_every_command_is_typed_or_says_why_not() -> None:
    known = ("python train.py", "python app.py", "inksweep ")
    assert [command for command in TYPED if not command.startswith(known)] == []


def test_the_table_of_commands_that_are_not_typed_has_no_dead_row() -> None:
    assert [row for row in NOT_TYPED if not any(command.startswith(row) for command in COMMANDS)] == []


@pytest.fixture(scope="module", autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@dataclass
class Desk:
    """Where commands are typed: a folder with runs and sweeps of the tiny digits, and a checkout for each page."""

    root: Path
    data: Path

    @property
    def small(self) -> list[str]:
        """What cuts a run to a second."""
        return [*tiny(self.data), "trainer.epochs=1", "trainer.evaluate_every_epochs=1"]

    @property
    def small_sweep(self) -> list[str]:
        """What cuts a sweep to seconds."""
        return [*self.small, *SMALL_SWEEP]

    def checkout(self, page: Path, script: str = "train.py") -> Path:
        """train.py with its conf/, or the example app with its own, and the files that the blocks of a page are."""
        folder = self.root / "checkouts" / script.removesuffix(".py") / name(page).replace("/", "-")
        if folder.exists():
            return folder
        if script == "app.py":
            shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("multirun", "outputs"))
        else:
            shutil.copytree(REPOSITORY / "conf", folder / "conf")
            shutil.copy(REPOSITORY / "train.py", folder)
        of_the_app = "python app.py" in page.read_text(encoding="utf-8")
        for block in blocks(page):
            if block.file and of_the_app == (script == "app.py"):
                (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file).write_text(block.text)
            elif block.lines[0].startswith("TRUSTED = "):
                text = (folder / script).read_text()
                assert text.count("\nTRUSTED = schema.TRUSTED\n") == 1
                (folder / script).write_text(text.replace("TRUSTED = schema.TRUSTED\n", block.text))
        return folder

    def python(self, folder: Path, script: Path, words: list[str]) -> int:
        """Type `python script words` in `folder`, in this process: torch is imported once."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [str(script), *words])
            patch.syspath_prepend(str(script.parent))
            patch.chdir(folder)
            try:
                runpy.run_path(str(script), run_name="__main__")
            except SystemExit as ended:
                return int(ended.code or 0)
            finally:
                GlobalHydra.instance().clear()
        return 0

    def inksweep(self, folder: Path, words: list[str]) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            try:
                cli.main(words)
            except SystemExit as ended:
                return int(ended.code or 0)
        return 0


@pytest.fixture(scope="module")
def desk(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Two sweeps, `night` with a final stage and `second`, a grid, a single run and one that was interrupted."""
    made = Desk(tmp_path_factory.mktemp("desk"), prepared_root)
    script = made.checkout(README) / "train.py"

    def train(*words: str) -> None:
        assert made.python(made.root, script, [*words]) == 0

    sweep = ["-m", "hydra/sweeper=optuna", "hydra/launcher=basic", *made.small_sweep, "model=mlp"]
    train(*sweep, "hydra.sweeper.study_name=night", "hydra.sweeper.target=null", "hydra.sweeper.winner.seeds=1")
    train(*sweep, "hydra.sweeper.study_name=second", "hydra.sweeper.n_trials=1")
    train("-m", *made.small, "seed=1,2", "hydra.sweep.dir=multirun/grid")
    train(*made.small, "hydra.run.dir=outputs/2026-01-01/12-00-00")
    # As a run that was killed before its end: it has no result yet.
    train(*made.small, "hydra.run.dir=outputs/2026-01-01/13-00-00", "trainer.keep_checkpoint=true")
    (made.root / "outputs/2026-01-01/13-00-00/result.json").unlink()
    shutil.copytree(made.root / "multirun" / "night", made.root / "multirun" / "accurate")  # of docs/recipes.md
    # Of docs/reading.md: a digit on paper.
    (made.root / "photos").mkdir()
    raw = np.frombuffer((DIGITS / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes(), np.uint8)
    digit = np.pad(raw[16 : 16 + 28 * 28].reshape(28, 28), 20)
    Image.fromarray(np.uint8(220) - digit // 2).resize((272, 272)).save(made.root / "photo.png")
    shutil.copy(made.root / "photo.png", made.root / "photos" / "one.jpg")  # an ending does not make a JPEG
    return made


def words_of(command: str, desk: Desk) -> list[str]:
    """The words of a command, with folders that exist here in place of names that stand for the reader's own."""
    unfinished = "trainer.resume=" in command
    command = command.replace("outputs/DATE/TIME", f"{desk.root}/outputs/2026-01-01/1{3 if unfinished else 2}-00-00")
    command = command.replace("warm_start=multirun/", f"warm_start={desk.root}/multirun/")
    command = (
        command.replace("seed=1,2,3,4,5", "seed=1,2")
        .replace("FOLDER", "multirun/night/winner")
        .replace("NAME", "handwriting")
    )
    return shlex.split(command)


def train_words(words: list[str], desk: Desk) -> list[str]:
    """The words behind `python train.py`, with their size cut."""
    if any(word.startswith(("trainer.resume=", "--", "-s")) for word in words):
        return words
    if "hydra/sweeper=optuna" not in words:
        return [*words, *desk.small]
    launcher = [] if any(word.startswith("hydra/launcher=") for word in words) else ["hydra/launcher=basic"]
    cut = [word for word in words if not word.startswith(SIZES)]
    cut = [re.sub(r"(winner\.(?:seeds|top_k))=\d+", r"\1=2", word) for word in cut]
    return [*cut, *launcher, *desk.small_sweep]


def app_words(words: list[str], desk: Desk) -> list[str]:
    """The words behind `python app.py`, with their size cut."""
    small = ["steps=3", "pause=0"]
    if any(word.startswith("hydra/sweeper=") for word in words):
        words = [word for word in words if not word.startswith(SIZES)]
        small += ["hydra/launcher=basic", *SMALL_SWEEP]
    return [*words, *small]


def run_ended_well(folder: Path) -> None:
    """Every run below the folder has ended as it should, and each sweep has made what it was asked for."""
    for path in folder.rglob("result.json"):
        result = json.loads(path.read_text())
        assert result["status"] in ("completed", "pruned", "stopped"), (path, result)
    for path in folder.rglob("summary.json"):
        summary = json.loads(path.read_text())
        assert summary["trials"].get("fail", 0) == 0, (path, summary)
        assert summary["stop_reason"], (path, summary)


def cases() -> list[Any]:
    return [
        pytest.param(command, page, id=command, marks=[pytest.mark.full] if any(f in command for f in FULL) else [])
        for command, page in TYPED.items()
        if command not in REFUSED
    ]


@pytest.mark.parametrize(("command", "page"), cases())
def test_a_command_works(command: str, page: Path, desk: Desk, tmp_path: Path) -> None:
    program, *words = words_of(command, desk)
    if program == "inksweep":
        folder = tmp_path if words[0] == "init" else desk.root
        words += tiny(desk.data) if words[0] == "data" else []
        out: io.StringIO | None = None
        if ">" in words:
            at = words.index(">")
            words, out = words[:at], io.StringIO()
        with contextlib.redirect_stdout(out) if out else contextlib.nullcontext():
            assert desk.inksweep(folder, words) == 0
        assert out is None or out.getvalue().count("\n") > 1
        return
    assert program == "python"
    script, *words = words
    cut = train_words if script == "train.py" else app_words
    assert desk.python(tmp_path, desk.checkout(page, script) / script, cut(words, desk)) == 0
    if script == "train.py":
        if "hydra.sweeper.dry_run=true" in words:
            assert not list(tmp_path.rglob("*"))
        elif not any(word.startswith(("--", "trainer.resume=")) for word in words):
            assert list(tmp_path.rglob("result.json"))
    run_ended_well(tmp_path)


@pytest.mark.parametrize("command", REFUSED)
def test_what_a_page_shows_as_refused_is_refused_in_these_words(
    command: str, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, script, *words = shlex.split(command)
    assert desk.python(tmp_path, desk.checkout(README) / script, words) == 2
    assert REFUSED[command] in capsys.readouterr().err.splitlines()
    assert not list(tmp_path.rglob("*"))


# Python and YAML


def test_yaml_blocks_name_their_file_and_are_yaml() -> None:
    for block in BLOCKS:
        if block.language == "yaml":
            assert block.file, f"{name(block.page)}:{block.line}: names no file"
            assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize(
    "block",
    [
        b
        for b in BLOCKS
        # What asks a server runs in tests/serve/test_command.py.
        if b.language == "python" and not b.lines[0].startswith("TRUSTED = ") and not b.file and "http:" not in b.text
    ],
    ids=lambda block: f"{name(block.page)}:{block.line}",
)
def test_a_python_block_runs(block: Block, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.root)
    monkeypatch.syspath_prepend(str(desk.checkout(block.page)))
    values: dict[str, Any] = {"pixels": torch.zeros(3, 28, 28, dtype=torch.uint8)}
    if "onnxruntime" in block.text:
        pytest.importorskip("onnxruntime")
        assert desk.inksweep(desk.root, ["export", "multirun/night/winner"]) == 0
        values["pixels"] = np.zeros((3, 28, 28), dtype=np.uint8)
    if "drawn.npz" in block.text:  # as the page of `inksweep serve` makes it: tests/serve/page
        zeros = np.zeros((3, 28, 28), np.uint8)
        np.savez(desk.root / "drawn.npz", pixels=zeros, labels=zeros[:, 0, 0], classes=[str(n) for n in range(10)])
    text = block.text
    if "mypackage" in text:
        assert (
            desk.python(
                desk.root,
                desk.checkout(block.page) / "train.py",
                ["model=wide", *desk.small, "hydra.run.dir=outputs/2026-01-01/14-00-00"],
            )
            == 0
        )
        text = text.replace("outputs/DATE/TIME", "outputs/2026-01-01/14-00-00")
    exec(compile(text, f"{block.page}:{block.line}", "exec"), values)
    if "probabilities" in values:
        assert values["probabilities"].shape == (3, 10)
    if "model" in values:
        assert values["model"](torch.zeros(3, 28, 28)).shape == (3, 10)
    if "train" in values:
        assert values["train"](3) == pytest.approx(1 / 3)
    if "cross_validate" in values:
        assert values["cross_validate"]([1.0, 2.0]) == 1.5
