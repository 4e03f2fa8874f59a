"""Python started in an empty folder, without what `pip install inksweep` does not bring."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Bare = Callable[..., "subprocess.CompletedProcess[str]"]

# What the extra digits, or report, brings, directly or not.
HIDDEN = ("torch", "torchvision", "matplotlib", "plotly", "jinja2", "PIL", "pandas", "sklearn", "scipy")


def python(folder: Path, source: Path, *, hide: bool) -> Bare:
    """Return a function that runs Python with words, in `folder/here`, with the inksweep that lies in `source`.

    Args:
        folder: where the function may write.
        source: the folder that inksweep is imported from.
        hide: let no process import `HIDDEN`.
    """
    (folder / "here").mkdir(exist_ok=True)
    hook = folder / ("hook" if hide else "no_hook")
    hook.mkdir()
    if hide:  # Python imports a module of this name at every start, also in a process that a process starts
        (hook / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\n")

    def run(*words: str, cwd: str = ".") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, *words],
            cwd=folder / "here" / cwd,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(hook), str(source)])},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
