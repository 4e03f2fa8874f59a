"""WINNER: the winner/ of a sweep, a run directory, a model.pt or a model.onnx. What it is, and who opens it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from inksweep import extras
from inksweep.errors import InputError, need_extra
from inksweep.files import read_json
from inksweep.opening import READING
from inksweep.opening.with_onnx import OnnxModel
from inksweep.paths import RunDir, SweepDir, WinnerDir, typed

if TYPE_CHECKING:
    from inksweep.opening.with_torch import Model
    from inksweep.reading.reader import Reader

ONNX = "model.onnx"


@dataclass(frozen=True)
class Found:
    """The files of a WINNER."""

    # Torch's; None: there is only the other.
    model: Path | None
    # ONNX Runtime's, if it is there and known to be of that model.
    onnx: Path | None
    # Why another one that lies there is not used.
    refused: str | None = None


def find(path: Path) -> Found:
    """Return the files of a WINNER.

    Args:
        path: the folder of a winner or a run, or a file in one: `model.pt`, or an ONNX file, which is taken as it is.

    Raises:
        InputError: there is none; the message names what was looked for.
    """
    if path.is_file():
        if path.suffix == ".onnx":
            return Found(None, path)
        model = path
    elif path.is_dir():
        model = RunDir(path).model
    else:
        raise InputError(f"{path}: there is no such file or folder; give a winner/, a run, a model.pt or a {ONNX}")
    onnx = model.with_name(ONNX)
    if model.is_file():
        refused = _not_of(onnx, model) if onnx.is_file() else None
        return Found(model, onnx if onnx.is_file() and refused is None else None, refused)
    if onnx.is_file():
        return Found(None, onnx)
    winner = SweepDir(path).winner
    hint = f"; its winner is {winner.root}" if winner.model.is_file() or (winner.root / ONNX).is_file() else ""
    raise InputError(f"{path}: there is no {model.name} and no {ONNX} in it{hint}")


def _not_of(onnx: Path, model: Path) -> str | None:
    """Return why an ONNX file is not known to be the export of the model beside it; None if it is."""
    try:
        entry = read_json(WinnerDir(model.parent).exports)["onnx"]
        if entry["model_sha256"] != _sha256(model):
            return f"{onnx} was exported from another {model.name}"
        if entry["sha256"] != _sha256(onnx):
            return f"{onnx} is not the file that was exported"
    except (InputError, KeyError, TypeError):
        return f"{onnx}: no export.json says that it was exported from {model.name}"
    return None


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def reader(path: Path, user: str) -> "Reader":
    """Open a WINNER to read pictures: by ONNX Runtime if its ONNX file is there, which starts sooner, or by torch.

    Args:
        path: what `find` takes.
        user: what needs it, as it was typed, for messages.

    Raises:
        InputError: there is no model, it cannot be read, or what runs it is not installed.
    """
    need_extra(user, "read", READING)
    found = find(path)
    if found.onnx is not None and not extras.missing(["onnxruntime"]):
        return by_onnx(found.onnx).reader
    if found.model is not None and not extras.missing(["torch"]):
        from inksweep.opening import with_torch

        return with_torch.load(found.model).reader
    raise InputError(f"{user}: {_nobody(found)}")


def load(path: str | Path, classes: Mapping[str, type[Any]] | None = None) -> "Model":
    """Open a WINNER as `inksweep.load` gives it: by torch if it is installed and there is a model.pt.

    Raises:
        InputError: there is no model, it cannot be read, or what runs it is not installed.
    """
    path = typed(path)
    found = find(path)
    if found.model is not None and not extras.missing(["torch"]):
        from inksweep.digits.models import BUILT_IN
        from inksweep.opening import with_torch

        return with_torch.load(found.model, {**BUILT_IN, **(classes or {})})
    if found.onnx is None or extras.missing(["onnxruntime"]):
        raise InputError(f"inksweep.load: {_nobody(found)}")
    return cast("Model", by_onnx(found.onnx))  # what they share is what a caller may rely on in both


def by_onnx(file: Path) -> OnnxModel:
    """Open an ONNX file; InputError if it is not one of ours."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    return OnnxModel(content, file)


def _nobody(found: Found) -> str:
    """Return why nothing that is installed can run the model, and what to install."""
    digits, read = extras.install("digits"), extras.install("read")
    if found.onnx is not None:
        lacking = "onnxruntime is" if found.model is None else "neither torch nor onnxruntime is"
        return f"{lacking} {'not ' if found.model is None else ''}installed; {read}"
    if found.refused is not None:
        return f"torch is not installed, and {found.refused}; export it again, or {digits}"
    return f"torch is not installed; {digits}; or export {found.model} where it is, for ONNX Runtime ({read})"
