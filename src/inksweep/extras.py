"""How inksweep is installed: from a checkout or a wheel, which packages each extra brings, and how to install one."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

# Where a wheel has conf/ and train.py: hatch_build.py puts them there.
IN_WHEEL = Path(__file__).parent / "starter"

# What is imported, by extra, as pyproject.toml has them. For a package in two extras the first one is named.
EXTRAS = {
    "digits": ("torch", "torchvision", "matplotlib", "scipy", "PIL"),
    "report": ("plotly", "jinja2", "matplotlib"),
    "export": ("onnx", "onnxscript", "onnxruntime"),
    "read": ("scipy", "PIL", "onnxruntime"),
    "serve": ("fastapi", "uvicorn", "multipart", "prometheus_client", "uvloop", "httptools", "orjson"),
    "dashboard": ("optuna_dashboard",),
    "trackers": ("tensorboard", "mlflow", "wandb"),
    "cluster": ("joblib", "ray", "submitit", "psycopg"),
}


def missing(packages: Sequence[str]) -> list[str]:
    """Return those of `packages` that are not installed. None of them is imported."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def extra_of(package: str) -> str | None:
    """Return the extra that brings a package, given as it is imported; None if no extra does."""
    return next((extra for extra, packages in EXTRAS.items() if package in packages), None)


def checkout() -> Path | None:
    """Return the repository that this package is imported from; None for a wheel, whose user has no repository."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() and (folder / "src" / "inksweep").is_dir() else None


def source() -> Path:
    """Return the folder that holds conf/ and train.py: the repository that this is imported from, or the wheel's."""
    return checkout() or IN_WHEEL


def install(extra: str) -> str:
    """Return the command that installs an extra, such as `pip install "inksweep[digits]"`.

    For an editable install it names the repository, because pip would otherwise look for inksweep in an index.
    """
    folder = checkout()
    if folder is None:
        return f'pip install "inksweep[{extra}]"'
    return f'pip install -e "{"." if folder == Path.cwd() else folder}[{extra}]"'
