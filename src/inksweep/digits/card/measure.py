"""What the model of a card answers: to both splits, at which temperature, and to pictures unlike those it knows."""

import platform
import subprocess
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from inksweep.digits import checkpoint
from inksweep.digits.card.calibration import Answers, fit_temperature
from inksweep.digits.card.source import Source
from inksweep.digits.classifier import Classifier
from inksweep.digits.data import dataset
from inksweep.digits.data.dataset import Digits, Splits
from inksweep.digits.models import BUILT_IN, build
from inksweep.digits.training import evaluation
from inksweep.errors import InputError
from inksweep.paths import shown

# Pictures of noise, and of the test split turned black on white.
OUTSIDE = 1000
# Digits that are warped, at most, where the training did not warp all of the split: making 5,000 takes over a second.
WARPED = 2000


@dataclass(frozen=True)
class Measured:
    """What the model answers to both splits."""

    temperature: float
    # The validation answers that it was fitted on, at temperature 1 and at this one, of this model or of other runs;
    # None: the model has seen those pictures, and there are no others.
    fitted: tuple[Answers, Answers] | None
    # Whether the temperature is that of the card before, because the runs it was fitted on are not there any more.
    kept: bool
    # At temperature 1, and at that of the model.
    plain: dict[str, Answers]
    scaled: dict[str, Answers]
    # As training reports them, at temperature 1.
    metrics: dict[str, float]
    # Which split's digits were warped, and which answers (n,) to them are right; None: its classes are no digits.
    warped: tuple[str, npt.NDArray[np.bool_]] | None


def measure(source: Source, model: nn.Module, about: dict[str, Any], splits: Splits) -> Measured:
    """Fit the temperature on the validation split, then measure both splits; the test split decides nothing.

    Raises:
        InputError: the model is none for these pictures, or a run to calibrate on is not there and never was used.
    """
    logits = {
        name: _logits(source, source.model, model, about, digits)
        for name, digits in (("val", splits.val), ("test", splits.test))
    }
    labels = {"val": splits.val.labels, "test": splits.test.labels}
    fit_on: Tensor | None = logits["val"]
    kept = None
    if source.trained_on_val:
        kept = _kept_temperature(source)
        fit_on = _unseen(source, splits) if kept is None else None
    temperature, fitted = kept or 1.0, None
    if fit_on is not None:
        temperature = fit_temperature(fit_on, labels["val"])
        fitted = (Answers.of(fit_on, labels["val"], 1.0), Answers.of(fit_on, labels["val"], temperature))
    return Measured(
        temperature,
        fitted,
        kept is not None,
        plain={name: Answers.of(logits[name], labels[name], 1.0) for name in logits},
        scaled={name: Answers.of(logits[name], labels[name], temperature) for name in logits},
        metrics={
            f"{split}/{name}": value
            for split, given in logits.items()
            for name, value in evaluation.metrics(given, labels[split]).items()
        },
        warped=_warped(source, model, about, splits) if source.conf.data.handwritten_digits else None,
    )


def _warped(
    source: Source, model: nn.Module, about: dict[str, Any], splits: Splits
) -> tuple[str, npt.NDArray[np.bool_]]:
    """Measure digits as they come from photos and drawings: of validation, or of test if it was trained on those."""
    split, digits = ("test", splits.test) if source.trained_on_val else ("val", splits.val)
    number = None if source.conf.measures_warped and not source.trained_on_val else WARPED
    warped = dataset.warped_digits(digits.subset(slice(0, number)))
    logits = _logits(source, source.model, model, about, warped)
    return split, (logits.argmax(dim=1) == warped.labels).numpy()


def _kept_temperature(source: Source) -> float | None:
    """Return the temperature that is in the folder, if the runs that it was fitted on are gone; None: they are there.

    Raises:
        InputError: it never had one.
    """
    missing = [run.model for run in source.calibrators if not run.model.is_file()]
    if not missing:
        return None
    temperature = checkpoint.load(source.model).get("temperature")
    if temperature is None:
        raise InputError(f"{shown(missing[0])}: there is no such file; the temperature is to be fitted on that run")
    return float(temperature)


def _unseen(source: Source, splits: Splits) -> Tensor | None:
    """Return the validation logits of the runs that did not train on those pictures; None if there are no such runs."""
    paths = [run.model for run in source.calibrators]
    if not paths:
        return None
    if len(paths) == 1:
        model, about = checkpoint.load_model(paths[0])
    else:
        about = checkpoint.merge(paths)
        model = build(about["model"], size=about["preprocess"]["size"], classes=len(about["classes"]), known=BUILT_IN)
        model.load_state_dict(about["state_dict"])
    return _logits(source, paths[0], model, about, splits.val)


def _logits(source: Source, path: Path, model: nn.Module, about: dict[str, Any], digits: Digits) -> Tensor:
    conf, preprocess = source.conf.data, about["preprocess"]
    if (list(about["classes"]), preprocess["size"]) != (list(conf.classes), conf.size):
        raise InputError(f"{shown(path)}: its classes or picture size are not those of data.name={conf.name}")
    to_input = partial(dataset.to_input, mean=preprocess["mean"], std=preprocess["std"])
    if source.conf.trainer.channels_last:  # as in training: twice as fast, and the same numbers
        model.to(memory_format=torch.channels_last)
    return evaluation.infer(model, digits.images, to_input, conf.eval_batch_size)


@torch.inference_mode()
def outside(classifier: Classifier, test: Digits) -> dict[str, Any]:
    """Return what the model answers to an empty picture, to noise, and to digits black on white."""
    size = test.images.shape[-1]
    classes = list(classifier.classes)
    noise = torch.randint(0, 256, (OUTSIDE, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    empty = classifier(torch.zeros(1, size, size, dtype=torch.uint8))[0]
    sure = classifier(noise).max(dim=1).values
    turned = test.subset(slice(0, OUTSIDE))
    right = classifier(255 - turned.images).argmax(dim=1) == turned.labels
    return {
        "empty": {"answer": classes[int(empty.argmax())], "confidence": float(empty.max())},
        "noise": {"n": OUTSIDE, "mean_confidence": float(sure.mean()), "above_90": int((sure > 0.9).sum())},
        "black_on_white": {"n": len(turned), "right": int(right.sum())},
    }


def processor() -> str:
    """Return the processor's name as its maker gives it, or what kind it is."""
    try:
        if platform.system() == "Darwin":
            words = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(words, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name" and value.strip():
                return value.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine()
