"""A saved model for programs without inksweep: raw pixels in, probabilities out; checked before it is put in place."""

import hashlib
import importlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inksweep.digits import classifier
from inksweep.digits.classifier import Classifier
from inksweep.digits.config import saved
from inksweep.digits.config.schema import Config
from inksweep.digits.data import dataset
from inksweep.digits.export import check
from inksweep.digits.export.formats import FORMATS, Format
from inksweep.digits.training import device
from inksweep.errors import InputError, nearest, need_extra
from inksweep.files import held, read_json, replacing, write_json
from inksweep.paths import RunDir, WinnerDir, shown

# Of a probability, between torch and an exported file.
TOLERANCE = 1e-4


class Mismatch(InputError):
    """An exported file does not answer as the model does; it was not kept."""


def export(
    folder: Path, formats: Sequence[str] = ("onnx",), overrides: Sequence[str] = (), out: Path | None = None
) -> dict[str, Any]:
    """Write the model of a folder in other formats, each checked on the whole test split; keep the findings.

    A file takes its place only after it was read back and answered as torch does. Nothing is printed or logged. No card
    is written of the folder meanwhile.

    Args:
        folder: a run directory or a winner: model.pt beside .hydra/config.yaml or config.yaml.
        formats: some of `FORMATS`.
        overrides: settings, such as `data.root=/elsewhere`.
        out: the file, for one format; None: `model.onnx` or `model.pt2` in the folder.

    Returns:
        By format what `export.json` in the folder says of it: `format`, `file`, `bytes`, `sha256`, `model_sha256`,
        `opset`, `versions`, `checked`, `latency_ms`.

    Raises:
        InputError: the folder, a setting or a format cannot be used, an extra is not installed, or another process
            writes into the folder.
        Mismatch: torch and an exported file disagree.
    """
    conf = saved.settings(folder, overrides)
    device.set_threads(conf.trainer.threads)
    folder = folder.resolve()
    with alone(RunDir(folder).card if RunDir(folder).config.is_file() else WinnerDir(folder)):
        return make(folder, formats, conf, out)


def alone(winner: WinnerDir) -> AbstractContextManager[None]:
    """Hold the lock of a folder with a card; InputError if another process writes its card or exports into it."""
    refusal = "another process writes its card or exports it; wait for it or stop it"
    return held(winner.card_lock, f"{shown(winner.root)}: {refusal}")


def make(folder: Path, formats: Sequence[str], conf: Config, out: Path | None = None) -> dict[str, Any]:
    """Do what `export` does, in a folder (resolved) whose lock the caller holds and whose settings it has read."""
    chosen = [_format(name) for name in dict.fromkeys(formats)]
    if out is not None and len(chosen) != 1:
        raise InputError(f"--out {out}: is one file; give one --format with it")
    if out is not None and out.resolve() in _own_files(folder, chosen[0]):
        raise InputError(f"--out {out}: is a file of {shown(folder)} itself; name another")
    model_file = RunDir(folder).model
    model = classifier.load(model_file)
    images = dataset.load(conf.data).test.images
    done = {}
    for kind in chosen:
        entry = {
            "format": kind.name,
            **_write(kind, model, images, out or folder / kind.file, folder),
            "model_sha256": _sha256(model_file.read_bytes()),
        }
        done[kind.name] = entry
        # A file elsewhere has an entry of its own, under its path.
        record(folder, {kind.name if entry["file"] == kind.file else entry["file"]: entry})
    return done


def _own_files(folder: Path, kind: Format) -> set[Path]:
    """Return the files that a run or a winner in `folder` has by itself, and those of the other formats."""
    folders = [RunDir(folder), WinnerDir(folder), RunDir(folder).card]
    found = [
        getattr(known, name)
        for known in folders
        for name, value in vars(type(known)).items()
        if isinstance(value, property)
    ]
    others = [folder / other.file for other in FORMATS.values() if other.name != kind.name]
    return {path.resolve() for path in [*found, *others] if isinstance(path, Path)}


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise InputError(f"--format {name}: must be one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    kind = FORMATS[name]
    need_extra("inksweep export", "export", kind.packages)
    return kind


def _write(kind: Format, model: Classifier, images: Tensor, path: Path, folder: Path) -> dict[str, Any]:
    """Write one file and put it in place if it answers as `model` does; return the findings."""
    with replacing(path, "wb") as file:
        file.write(kind.write(model))
        file.flush()
        content = Path(file.name).read_bytes()
        found = check.agreement(model, kind.read(content, torch.get_num_threads()), images)
        if not found.within(TOLERANCE):
            raise Mismatch(
                f"{shown(path)}: not written: {kind.engine} and torch answer {found.pictures - found.same_class:,} of "
                f"{found.pictures:,} test pictures differently, a probability by up to {found.largest_difference:.2g} "
                f"(allowed: none, and {TOLERANCE:g}); report this with the versions that pip list names"
            )
        timed = check.latency({kind.engine: kind.read(content, 1), "torch": model}, images[:1])
    return {
        "file": path.name if path.resolve().parent == folder.resolve() else str(path.resolve()),
        "bytes": len(content),
        "sha256": _sha256(content),
        "opset": kind.opset(content),
        # Not of the distribution: that of onnxruntime may be called onnxruntime-gpu.
        "versions": {name: str(importlib.import_module(name).__version__) for name in ("torch", *kind.packages)},
        "checked": vars(found),
        "latency_ms": {"batch_1": timed},
    }


def recorded(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what `export.json` in a folder says; nothing if there is none that can be read."""
    try:
        found = read_json(WinnerDir(folder).exports)
    except InputError:
        return {}
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


def record(folder: Path, entries: Mapping[str, dict[str, Any] | None]) -> None:
    """Change entries of `export.json`; None takes one out. What it holds of others stays."""
    changed = {**recorded(folder), **entries}
    write_json(WinnerDir(folder).exports, {name: entry for name, entry in changed.items() if entry})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
