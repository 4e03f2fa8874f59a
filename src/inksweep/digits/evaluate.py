"""`inksweep evaluate`: a saved model, measured again on its data set."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from inksweep.digits import checkpoint
from inksweep.digits.config import saved
from inksweep.digits.data import dataset
from inksweep.digits.training import device, evaluation
from inksweep.paths import RunDir


def run(folder: Path, overrides: Sequence[str] = ()) -> None:
    """Measure a saved model on both splits, and say whether that is what was recorded.

    Exits with code 1 if an accuracy differs from the recorded one.

    Args:
        folder: a run directory or a winner.
        overrides: settings to change, such as `data.root=/elsewhere`.

    Raises:
        InputError: the folder holds no model, or a setting cannot be used.
    """
    conf = saved.settings(folder, overrides)
    device.set_threads(conf.trainer.threads)
    model, about = checkpoint.load_model(RunDir(folder).model)
    preprocess = about["preprocess"]
    to_input = partial(dataset.to_input, mean=preprocess["mean"], std=preprocess["std"])
    splits, differs = dataset.load(conf.data), False
    for name, digits in (("val", splits.val), ("test", splits.test)):
        logits = evaluation.infer(model, digits.images, to_input, conf.data.eval_batch_size)
        measured, recorded = evaluation.metrics(logits, digits.labels)["accuracy"], about["metrics"][f"{name}/accuracy"]
        differs = differs or measured != recorded
        print(f"{name}/accuracy {measured:.4f} on {len(digits):,} images, recorded {recorded:.4f}")
    if differs:
        print("not the recorded accuracy: another data set, another machine, or another torch", file=sys.stderr)
        sys.exit(1)
