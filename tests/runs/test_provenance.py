import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from inksweep.runs import provenance


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.email=a@b.c", "-c", "user.name=a", "-c", "protocol.file.allow=always")
    return subprocess.run(["git", *who, *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def repository(folder: Path, *files: str) -> str:
    """Make a repository with these files, and return its commit."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("pass\n")
        git(folder, "add", name)
    git(folder, "commit", "-q", "--allow-empty", "-m", folder.name)
    return git(folder, "rev-parse", "HEAD")


def state(file: Path) -> dict[str, Any] | None:
    provenance.git_state.cache_clear()
    return provenance.git_state(file)


def test_the_commit_is_that_of_the_code_wherever_it_was_started(tmp_path: Path, monkeypatch) -> None:
    mine, code = repository(tmp_path / "mine"), repository(tmp_path / "code", "train.py", "other.py")
    monkeypatch.chdir(tmp_path / "mine")
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": False}
    # What differs elsewhere is no matter of this repository, nor is a file that nobody added.
    (tmp_path / "mine" / "notes").write_text("")
    (tmp_path / "code" / "notes").write_text("")
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": False}
    (tmp_path / "code" / "other.py").write_text("1\n")
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": True}
    assert code != mine


def test_variables_of_a_hook_name_no_other_repository(tmp_path: Path, monkeypatch) -> None:
    repository(tmp_path / "mine")
    code = repository(tmp_path / "code", "train.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "mine" / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "mine"))
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": False}


def test_a_file_that_nobody_added_is_code_without_a_commit_of_its_own(tmp_path: Path) -> None:
    code = repository(tmp_path / "code")
    (tmp_path / "code" / "train.py").write_text("pass\n")
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": True}


def test_what_is_installed_below_a_repository_is_none_of_its_code(tmp_path: Path) -> None:
    repository(tmp_path / "mine", "app.py")
    (tmp_path / "mine" / ".gitignore").write_text(".venv\n")
    package = tmp_path / "mine" / ".venv" / "lib" / "package.py"
    package.parent.mkdir(parents=True)
    package.write_text("pass\n")
    assert state(package) is None


def test_a_submodule_and_a_worktree_have_commits_of_their_own(tmp_path: Path) -> None:
    inner = repository(tmp_path / "inner", "train.py")
    outer = repository(tmp_path / "outer", "app.py")
    git(tmp_path / "outer", "submodule", "add", "-q", str(tmp_path / "inner"), "sub")
    assert state(tmp_path / "outer" / "sub" / "train.py") == {"sha": inner, "dirty": False}
    assert state(tmp_path / "outer" / "app.py") == {"sha": outer, "dirty": True}
    git(tmp_path / "inner", "worktree", "add", "-q", str(tmp_path / "tree"))
    git(tmp_path / "tree", "commit", "-q", "--allow-empty", "-m", "more")
    more = git(tmp_path / "tree", "rev-parse", "HEAD")
    assert state(tmp_path / "tree" / "train.py") == {"sha": more, "dirty": False}


@pytest.mark.skipif(os.geteuid() != 0 if hasattr(os, "geteuid") else True, reason="only root gives files away")
def test_a_repository_of_somebody_else_is_read(tmp_path: Path) -> None:
    code = repository(tmp_path / "code", "train.py")
    for path in [tmp_path / "code", *(tmp_path / "code").rglob("*")]:
        os.chown(path, 12345, 12345)
    assert state(tmp_path / "code" / "train.py") == {"sha": code, "dirty": False}


def test_where_there_is_no_commit_none_is_named(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "plain").mkdir()
    git(tmp_path / "plain", "init", "-q")
    assert state(tmp_path / "plain" / "train.py") is None  # nothing was committed
    repository(tmp_path / "broken", "train.py")
    (tmp_path / "broken" / ".git" / "HEAD").write_text("nonsense")
    assert state(tmp_path / "broken" / "train.py") is None
    assert state(tmp_path / "gone" / "train.py") is None
    code = repository(tmp_path / "code", "train.py")
    assert provenance.git_of(None, tmp_path / "train.py", tmp_path / "code" / "train.py") == {
        "sha": code,
        "dirty": False,
    }
    assert provenance.git_of(None, tmp_path / "train.py") is None
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert state(tmp_path / "code" / "train.py") is None
