"""Weights on disk: `model.pt` to use a model, `checkpoint.pt` to go on training it.

Both are read with `weights_only=True`: a file can hold tensors and plain values, never code.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from inksweep.digits.models import BUILT_IN, UnknownModel, build, ensemble_state
from inksweep.errors import InputError
from inksweep.files import replacing

FORMAT = 1


def save(path: Path, content: dict[str, Any]) -> None:
    """Write `content` (tensors and plain values) so that a reader never sees half of it."""
    buffer = io.BytesIO()  # into a file, torch.save would turn a full disk into an error of its own
    torch.save({"format": FORMAT, **content}, buffer)
    with replacing(path, "wb") as file:
        file.write(buffer.getbuffer())


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU; InputError names a file that is missing, broken or of another format."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; name the file in it, such as {path / 'model.pt'}") from None
    except Exception as error:  # torch raises errors of many kinds for a broken file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path}: cannot be read as saved weights ({reason}); train or fetch it again") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path}: not a file of inksweep, or of another version (expected format {FORMAT})")
    return content


def load_model(path: Path | str, classes: Mapping[str, type[nn.Module]] = BUILT_IN) -> tuple[nn.Module, dict[str, Any]]:
    """Rebuild the model of a `model.pt`, ready to evaluate on the CPU.

    Args:
        path: the file.
        classes: which class each name in the file, an ensemble's members too, stands for. The file itself never
            chooses code: a model of your own is loaded with `{**BUILT_IN, "mypackage.MyNet": MyNet}`.

    Returns:
        The model in evaluation mode, and the rest of the file: `preprocess`, `classes`, `metrics`, `model`, and
        `temperature` where one was fitted.

    Raises:
        InputError: the file is broken, or names a class that `classes` lacks, or its weights do not fit the model.
    """
    content = load(Path(path))
    try:
        described, state = dict(content["model"]), content["state_dict"]
        size, class_names = content["preprocess"]["size"], content["classes"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: holds no model (it lacks {error})") from None
    try:
        model = build(described, size=size, classes=len(class_names), known=classes)
        model.load_state_dict(state)
    except UnknownModel as error:
        known = ", ".join(classes)
        raise InputError(f"{path}: its model is {error}; pass that class in `classes` (known are {known})") from None
    except (TypeError, RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: its weights do not fit its description ({error})") from error
    return model.eval(), content


def merge(paths: Sequence[Path | str]) -> dict[str, Any]:
    """Make the content of an ensemble's `model.pt` out of those of its members, for `save`.

    The members' temperatures are left behind, and `metrics` is empty: the ensemble gets its own when it is measured.

    Args:
        paths: the files of the members, at least one; all of the same classes and the same preprocessing.

    Raises:
        InputError: a file is broken, or differs from the first; the message names it.
    """
    if not paths:
        raise InputError("an ensemble needs at least one model.pt")
    contents = {Path(path): load(Path(path)) for path in paths}
    first, *_ = contents.values()
    for path, content in contents.items():
        for key in ("model", "state_dict", "preprocess", "classes"):
            if key not in content:
                raise InputError(f"{path}: holds no model (it lacks {key!r})")
        for key in ("preprocess", "classes"):
            if content[key] != first[key]:
                said = f"its {key} {content[key]} is not the {first[key]} of {paths[0]}"
                raise InputError(f"{path}: {said}; an ensemble needs models of the same data")
    members = [contents[Path(path)] for path in paths]
    return {
        "state_dict": ensemble_state([member["state_dict"] for member in members]),
        "model": {"_target_": "inksweep.digits.models.Ensemble", "members": [member["model"] for member in members]},
        "preprocess": first["preprocess"],
        "classes": first["classes"],
        "metrics": {},
    }
