"""A saved model for programs without inksweep: raw pixels in, probabilities out, checked before anybody gets it."""

import hashlib
import importlib.metadata
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from inksweep import classifier, config, data
from inksweep.classifier import Classifier
from inksweep.config import Config
from inksweep.errors import InputError, nearest
from inksweep.export import check
from inksweep.export.formats import FORMATS, Format
from inksweep.paths import RunDir, SweepDir, WinnerDir, replacing

# What was exported, and what the checks found.
RECORD = "export.json"
# Of a probability, between torch and an exported file.
TOLERANCE = 1e-4


class Mismatch(InputError):
    """An exported file does not answer as the model does; it was not kept."""


def export(
    folder: Path, formats: Sequence[str] = ("onnx",), overrides: Sequence[str] = (), out: Path | None = None
) -> dict[str, Any]:
    """Write the model of a folder in other formats, each checked on the whole test split; keep the findings.

    A file takes its place only after it was read back and answered as torch does. Nothing is printed or logged.

    Args:
        folder: a run directory or a winner: model.pt beside .hydra/config.yaml or config.yaml.
        formats: some of `FORMATS`.
        overrides: settings, such as `data.root=/elsewhere`.
        out: the file, for one format; None: `model.onnx` or `model.pt2` in the folder.

    Returns:
        By format what `export.json` in the folder says of it: `file`, `bytes`, `sha256`, `model_sha256`, `opset`,
        `versions`, `checked`, `latency_ms`.

    Raises:
        InputError: the folder, a setting or a format cannot be used, or an extra is not installed.
        Mismatch: torch and an exported file disagree.
    """
    chosen = [_format(name) for name in dict.fromkeys(formats)]
    if out is not None and len(chosen) != 1:
        raise InputError(f"--out {out}: is one file; give one --format with it")
    conf = _settings(folder, overrides)
    model_file = RunDir(folder).model
    model = classifier.load(model_file)
    images = data.load(conf.data).test.images
    done = {}
    for kind in chosen:
        done[kind.name] = {
            **_write(kind, model, images, out or folder / kind.file, folder),
            "model_sha256": _sha256(model_file.read_bytes()),
        }
        _record(folder, done)
    return done


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"--format {name}: must be one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    kind = FORMATS[name]
    for package in kind.packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(f'inksweep export: {package} is not installed; pip install -e ".[export]"')
    return kind


def _settings(folder: Path, overrides: Sequence[str]) -> Config:
    """Return the settings of a run or a winner, changed by `overrides`."""
    run, winner = RunDir(folder), WinnerDir(folder)
    if not run.config.is_file() and not winner.config.is_file():
        inside = SweepDir(folder).winner
        hint = f"; did you mean {inside.root}?" if inside.config.is_file() else ""
        raise InputError(f"{folder}: no run directory or winner (it has no .hydra/config.yaml or config.yaml){hint}")
    settings = config.stored(run) if run.config.is_file() else config.load_yaml(winner.config)
    merged = OmegaConf.merge(settings, OmegaConf.from_dotlist(list(overrides)))
    assert isinstance(merged, DictConfig)
    return config.parse(merged)


def _write(kind: Format, model: Classifier, images: Tensor, path: Path, folder: Path) -> dict[str, Any]:
    """Write one file and put it in place if it answers as `model` does; return the findings."""
    with replacing(path, "wb") as file:
        file.write(kind.write(model))
        file.flush()
        content = Path(file.name).read_bytes()
        found = check.agreement(model, kind.read(content, torch.get_num_threads()), images)
        if not found.within(TOLERANCE):
            raise Mismatch(
                f"{path}: not written: {kind.engine} and torch answer {found.pictures - found.same_class:,} of "
                f"{found.pictures:,} test pictures differently, a probability by up to {found.largest_difference:.2g} "
                f"(allowed: none, and {TOLERANCE:g}); report this with the versions that pip list names"
            )
        timed = check.latency({kind.engine: kind.read(content, 1), "torch": model}, images[:1])
    return {
        "file": path.name if path.resolve().parent == folder.resolve() else str(path.resolve()),
        "bytes": len(content),
        "sha256": _sha256(content),
        "opset": kind.opset(content),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", *kind.packages)},
        "checked": vars(found),
        "latency_ms": {"batch_1": timed},
    }


def _record(folder: Path, done: dict[str, Any]) -> None:
    """Add what was done to what `export.json` holds of other formats."""
    path = folder / RECORD
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or one that tells nothing
        before = {}
    with replacing(path) as file:
        json.dump({**(before if isinstance(before, dict) else {}), **done}, file, indent=2, allow_nan=False)
        file.write("\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
