"""BOTH SIDES. What a spawned worker is sent, and what a worker sends back, of the script that was started.

The script is the module `__main__`, which a spawned process imports again, as multiprocessing does it. Its functions
and classes are sent by name: the same class is then one class on each side. What has no name there, such as a function
inside a function, is sent whole.
"""

import ast
import io
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

import cloudpickle

from inksweep.errors import InputError

# What the script's module is called: in the process that was started with it, and where multiprocessing imports it.
NAMES = ("__main__", "__mp_main__")


def check_guard() -> None:
    """Raise InputError if the script cannot be imported by a spawned process without starting its sweep once more."""
    path = file()
    if path is None:
        return
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):  # no file, or not of Python's
        return
    compared = (node for node in ast.walk(tree) if isinstance(node, ast.Compare))
    if not any(isinstance(node, ast.Name) and node.id == "__name__" for each in compared for node in ast.walk(each)):
        raise InputError(
            f"{path}: calls its main also when it is imported, as hydra.launcher.start_method=spawn does it; put the "
            'call under `if __name__ == "__main__":`, or use hydra/launcher=basic'
        )


def dumps(value: Any) -> bytes:
    """Pickle `value`; `pickle.loads` reads it where the same script is the main module."""
    with io.BytesIO() as file:
        _Pickler(file).dump(value)  # type: ignore[no-untyped-call]
        return file.getvalue()


class _Pickler(cloudpickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        """Refer to what the script calls by a name."""
        if isinstance(obj, type | FunctionType) and obj.__module__ in NAMES:
            depth = _depth(obj)
            if depth is not None:
                return of_script, (obj.__qualname__, depth)
        return super().reducer_override(obj)  # type: ignore[no-untyped-call]


def _depth(value: Any) -> int | None:
    """Return how many decorators, such as hydra.main, wrap `value` where its name points; None: it is not there."""
    if file() is None:  # what was typed at a prompt is imported nowhere
        return None
    try:
        there = _look_up(value.__qualname__)
    except AttributeError:
        return None
    depth = 0
    while there is not value:
        there, depth = getattr(there, "__wrapped__", None), depth + 1
        if there is None:
            return None
    return depth


def of_script(name: str, depth: int) -> Any:
    """Return what the script calls `name`, without `depth` decorators.

    Raises:
        InputError: the script has it only where it was started, and not where it is imported.
    """
    try:
        value = _look_up(name)
        for _ in range(depth):
            value = value.__wrapped__
    except AttributeError:
        raise InputError(
            f"{name}: is not there when {file()} is imported, as hydra.launcher.start_method=spawn does it; define it "
            'before `if __name__ == "__main__":`, or use hydra/launcher=basic'
        ) from None
    return value


def _look_up(name: str) -> Any:
    value: Any = sys.modules["__main__"]
    for part in name.split("."):
        value = getattr(value, part)
    return value


def be_main() -> None:
    """Let what the imported script defines be pickled under the name that it has where the script is started.

    multiprocessing calls it by the last of NAMES, which only its own processes know: neither the script by itself nor
    other libraries' processes could read such a pickle.
    """
    waiting: list[Any] = list(vars(sys.modules["__main__"]).values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, type | FunctionType) and value.__module__ == NAMES[1]:
            value.__module__ = NAMES[0]
            waiting += vars(value).values()  # classes in classes; what hydra.main wraps


def file() -> str | None:
    """Return the file of the script; None: there is none."""
    path: str | None = getattr(sys.modules["__main__"], "__file__", None)
    return path
