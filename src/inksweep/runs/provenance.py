"""Where a run comes from: the commit of the code, and the versions of what its result depends on."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any


@functools.cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of what a result depends on, without importing any of it."""
    packages = ["inksweep", "torch", "torchvision", "hydra-core", "omegaconf", "optuna", "numpy"]
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}


@functools.cache
def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit that `folder` is at and whether tracked files differ from it; None outside a repository."""
    try:
        sha = _git(folder, "rev-parse", "HEAD")
        dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return None
    return {"sha": sha, "dirty": dirty}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
