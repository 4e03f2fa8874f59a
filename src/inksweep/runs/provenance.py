"""Where a run comes from: the commit of the code, and the versions of what its result depends on."""

import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

# The code is trusted, as it runs: also where the repository belongs to somebody else, as one mounted into a container.
# Nothing is started for it and nothing written: a file system monitor, the refreshed index.
GIT = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "--no-optional-locks")
# What names another repository than the one that a folder lies in; set in a hook of git's, for one.
ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY",
             "GIT_NAMESPACE", "GIT_CEILING_DIRECTORIES")  # fmt: skip


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of what a result depends on, without importing any of it."""
    packages = ["inksweep", "torch", "torchvision", "hydra-core", "omegaconf", "optuna", "numpy"]
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


def git_of(*files: Path | None) -> dict[str, Any] | None:
    """Return the state of the first of some files of code that belongs to a repository; None if none does."""
    return next((state for file in files if file is not None and (state := git_state(file)) is not None), None)


@functools.cache
def git_state(code: Path) -> dict[str, Any] | None:
    """Return the commit of the repository that a file of code belongs to, and whether tracked files differ from it.

    None: it belongs to none. A file that the repository around it ignores, as in a virtual environment, does not.
    `dirty` is true also if the file itself is not tracked, and null if git does not say in time.
    """
    folder = code.parent
    try:
        sha = _git(folder, "rev-parse", "HEAD")
        is_tracked = bool(_git(folder, "ls-files", "--", code.name))
        if not is_tracked and _is_ignored(code):
            return None
    except (OSError, subprocess.SubprocessError):
        return None
    try:
        dirty = not is_tracked or bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {"sha": sha, "dirty": None}
    return {"sha": sha, "dirty": dirty}


def _git(folder: Path, *words: str) -> str:
    return _run(folder, *words, check=True).stdout.strip()


def _is_ignored(code: Path) -> bool:
    return _run(code.parent, "check-ignore", "--quiet", "--", code.name, check=False).returncode == 0


def _run(folder: Path, *words: str, check: bool) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    return subprocess.run(
        [*GIT, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        check=check,
        timeout=10,
        stdin=subprocess.DEVNULL,
    )
