"""Imports go one way through the house (README, "The house")."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "inksweep"

# What each room may import of the others. A room in this list may also import what its own imports may.
ROOMS = {
    "errors": [],
    "paths": ["errors"],
    "console": [],
    "models": [],
    "optim": [],
    "augment": [],
    "predictions": ["errors", "paths"],
    "significance": [],
    "evaluation": ["predictions"],
    "runs": ["errors", "paths"],
    "index": ["runs", "paths"],
    "compare": ["errors", "paths", "runs"],
    "diff": ["errors", "figures", "paths", "predictions", "runs", "significance"],
    "config": ["errors", "paths"],
    "device": ["cores", "errors"],
    "record": ["paths"],
    "prepared": ["config", "errors", "paths"],
    "npm": ["errors"],
    "sources": ["npm", "prepared", "config", "errors"],
    "data": ["sources", "config"],
    "checkpoint": ["models", "errors", "paths"],
    "classifier": ["checkpoint", "errors", "models", "paths"],
    "saved": ["config", "errors", "paths"],
    "export": ["classifier", "config", "data", "errors", "paths", "saved"],
    "training": ["errors"],
    "figures": ["paths"],
    "preview": ["data", "figures"],
    "run_figures": ["checkpoint", "config", "data", "errors", "figures", "paths", "predictions", "runs"],
    "card": ["checkpoint", "classifier", "config", "data", "device", "errors", "evaluation", "export", "figures",
             "models", "paths", "predictions", "prepared", "record", "runs", "saved", "significance"],
    "report": ["errors", "figures", "paths", "predictions", "runs", "sweep"],
    "dashboard": ["errors", "sweep"],
    "parts": ["config", "errors", "data", "device", "augment", "optim", "training"],
    "tracker": ["config", "errors", "paths"],
    "run": ["parts", "config", "errors", "paths", "checkpoint", "console", "data", "device", "evaluation", "models",
            "predictions", "record", "run_figures", "tracker", "training"],
    "trial": [],
    "cores": [],
    "sweep": ["config", "cores", "errors", "paths", "predictions", "significance", "trial"],
    "cli": ["compare", "index", "runs", "diff", "parts", "config", "errors",
            "paths", "checkpoint", "data", "evaluation", "figures", "augment", "preview", "dashboard", "report",
            "export", "card", "saved"],
    "__init__": [],
    "__main__": ["cli"],
}  # fmt: skip

# Libraries that a room must not know, lazily or not.
FORBIDDEN = {
    "sweep": {"torch", "torchvision", "numpy"},
    "training": {"hydra", "optuna", "omegaconf"},
    "models": {"hydra", "optuna", "omegaconf"},
    "classifier": {"hydra", "optuna", "omegaconf", "numpy"},
    "export": {"hydra", "optuna", "numpy"},
    "card": {"hydra", "optuna"},
    "config": {"torch", "torchvision", "numpy", "optuna"},
    "paths": {"torch", "numpy", "hydra", "omegaconf"},
    "index": {"torch", "numpy", "hydra", "omegaconf", "optuna"},
    "runs": {"torch", "numpy", "hydra", "omegaconf", "optuna"},
    "compare": {"torch", "numpy", "hydra", "omegaconf", "optuna"},
    "predictions": {"torch"},
    "significance": {"torch", "hydra", "omegaconf", "optuna"},
    "figures": {"torch", "hydra", "omegaconf", "optuna"},
    "dashboard": {"torch", "numpy"},
    "report": {"torch", "torchvision"},
    "diff": {"torch", "hydra", "omegaconf", "optuna"},
}


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "inksweep" else {module}
    return names


FILES = sorted(SOURCE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("inksweep.")}
    assert rooms - {room(path)} <= set(ROOMS[room(path)])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_does_not_know_the_libraries_it_must_not(path: Path) -> None:
    libraries = {name.split(".")[0] for name in imported(path)}
    assert not libraries & FORBIDDEN.get(room(path), set())


def test_the_arrows_make_no_circle() -> None:
    seen: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, " -> ".join([*above, name])
        for below in ROOMS[name]:
            visit(below, (*above, name))
        seen.append(name)

    for name in ROOMS:
        visit(name, ())
    assert set(seen) == set(ROOMS)
