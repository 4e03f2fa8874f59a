"""The figures of one run, drawn from its directory: learning curve, confusion matrix, worst mistakes, first layer."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from torch import Tensor

from inksweep import figures
from inksweep.digits import checkpoint
from inksweep.digits.config.schema import Config
from inksweep.digits.config.trainer import Keep
from inksweep.digits.data import dataset
from inksweep.errors import last_line
from inksweep.figures import Numbers, Panel
from inksweep.paths import RunDir, shown
from inksweep.runs import metrics, predictions
from inksweep.runs.predictions import Predictions

log = logging.getLogger(__name__)

MISTAKES, MISTAKES_BESIDE = 30, 6
UNITS, UNITS_BESIDE = 64, 8


def draw(run: RunDir, conf: Config) -> None:
    """Draw into `figures/` all that a run has data for: without a saved model, the learning curve alone.

    The run is over and its result is written: what cannot be drawn costs a warning.
    """
    figures_of = [learning_curve, *([confusion, mistakes, first_layer] if run.model.is_file() else [])]
    drawn = []
    for figure_of in figures_of:
        name = figure_of.__name__
        try:
            figure = figure_of(run, conf)
            if figure is not None:
                figures.save(figure, run.figures / f"{name}.png")
                drawn.append(name)
        except Exception as error:  # a full disk, a file that was removed, a fault in a figure
            log.warning("%s is not drawn (%s); the run itself is whole", name, last_line(error) or repr(error))
            log.debug("why %s is not drawn", name, exc_info=True)
    if drawn:
        log.info("figures: %s -> %s", ", ".join(drawn), shown(run.figures))


def learning_curve(run: RunDir, conf: Config) -> Figure:
    """Draw the evaluations, and mark the one whose weights were saved, if any were."""
    rows = metrics.curve(run.root)
    name = shown(run.root) + (", trained on validation too" if conf.data.train_on_all else "")
    kept = {name: kept_epoch(rows, conf)} if rows and run.model.is_file() else None
    return figures.learning_curves({name: rows}, kept)


def kept_epoch(rows: Sequence[Mapping[str, float]], conf: Config) -> float:
    """Return the epoch whose weights a completed run has saved; the first of equals."""
    name = conf.objectives[0]
    sign = 1 if name == "val/loss" else -1
    best = min(rows, key=lambda row: sign * row[name])
    return (best if conf.trainer.keep is Keep.best else rows[-1])["epoch"]


def confusion(run: RunDir, conf: Config) -> Figure:
    """Draw the confusion matrix of the test split."""
    answers = predictions.load(run.predictions)["test"]
    wrong = len(answers) - int(answers.correct.sum())
    title = f"{conf.data.name}, test split: {answers.accuracy:.2%} right; {wrong:,} of {len(answers):,} wrong"
    return figures.confusion(answers.confusion(len(conf.data.classes)), conf.data.classes, title)


def mistakes(run: RunDir, conf: Config) -> Figure:
    """Draw the test digits that were answered wrong with the greatest confidence."""
    answers = predictions.load(run.predictions)["test"]
    rows = worst(answers, MISTAKES)
    images = dataset.load(conf.data).test.images[rows.tolist()].numpy() / 255
    wrong = len(answers) - int(answers.correct.sum())
    which = "" if wrong <= len(rows) else f"the {len(rows)} most confident of "
    title = f"Worst mistakes: {which}{wrong:,} wrong ({len(answers):,} test digits)"
    none = f"No mistake: all {len(answers):,} answers are right."
    panel = Panel("", images, captions(answers, rows, conf.data.classes))
    return figures.digits(title, [panel], MISTAKES_BESIDE, none)


def worst(answers: Predictions, limit: int) -> npt.NDArray[np.intp]:
    """Return row numbers of wrong answers, the most confident first, at most `limit`."""
    wrong = np.flatnonzero(~answers.correct)
    return wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:limit]


def captions(answers: Predictions, rows: npt.NDArray[np.intp], classes: Sequence[str]) -> list[str]:
    """Say of each row what it is, and what was answered how surely."""
    named = [(classes[answers.labels[row]], classes[answers.predicted[row]], answers.confidence[row]) for row in rows]
    return [f"true: {label}\nanswer: {answer}\n{confidence:.1%}" for label, answer, confidence in named]


def first_layer(run: RunDir, conf: Config) -> Figure | None:
    """Draw what the first layer looks for in a picture; None if its weights are no pictures."""
    state: dict[str, Tensor] = checkpoint.load(run.model)["state_dict"]
    found = pictures_in({name: tensor.float().numpy() for name, tensor in state.items()}, conf.data.size)
    if found is None:
        log.info("first_layer: the first weights of this model are no pictures; left out")
        return None
    name, pictures = found
    largest = np.argsort(-np.linalg.norm(pictures.reshape(len(pictures), -1), axis=1), kind="stable")[:UNITS]
    what = "Kernels of the first convolution" if pictures.shape[1] != conf.data.size else "Weights of the hidden units"
    some = "" if len(largest) == len(pictures) else f"; the {len(largest)} with the largest weights are shown"
    title = f"{name}: {len(pictures)} units of {pictures.shape[1]} x {pictures.shape[2]} weights{some}"
    panel = Panel(title, pictures[largest], [str(unit) for unit in largest])
    return figures.weights(what, panel, UNITS_BESIDE)


def pictures_in(state: Mapping[str, Numbers], size: int) -> tuple[str, Numbers] | None:
    """Return name and weights (n, h, w) of the first layer, by unit, if they can be looked at.

    That is a convolution on one channel, or a linear layer on all pixels of a picture of `size`.
    """
    # Biases and most normalisations have one dimension.
    name, first = next(((name, values) for name, values in state.items() if values.ndim >= 2), ("", np.zeros(0)))
    if first.ndim == 4 and first.shape[1] == 1:
        return name, first[:, 0]
    if first.ndim == 2 and first.shape[1] == size * size:
        return name, first.reshape(-1, size, size)
    return None
