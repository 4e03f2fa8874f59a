"""The pictures of a card: which class is taken for which, the most confident mistakes, reliability."""

from typing import Any

import numpy as np
from torch import Tensor

from inksweep import figures
from inksweep.digits.card.calibration import Answers
from inksweep.digits.card.measure import Measured
from inksweep.figures import Panel, Reliability
from inksweep.paths import WinnerDir
from inksweep.significance import wilson

BESIDE = 6


def draw(out: WinnerDir, card: dict[str, Any], measured: Measured, images: Tensor) -> None:
    """Draw all of them into the folder `out`.

    Args:
        out: where.
        card: the facts.
        measured: the answers they are from.
        images: pictures of the test split, uint8 (n, h, w).
    """
    test, data = card["accuracy"]["test"], card["data"]
    title = f"{data['name']}, test split: {test['accuracy']:.2%} right; {test['errors']:,} of {test['n']:,} wrong"
    figures.save(figures.confusion(np.array(card["confusion"]), data["classes"], title), out.confusion)
    figures.save(_mistakes(card, images), out.mistakes)
    after = measured.scaled["test"]
    now = _series(f"temperature {measured.temperature:.3f}", after)
    before = _series("before: temperature 1", measured.plain["test"]) if measured.temperature != 1 else None
    title = f"How sure, and how often right: {data['name']}, test split"
    figure = figures.reliability(title, now, after.doubt[after.correct], after.doubt[~after.correct], before)
    figures.save(figure, out.reliability)


def _mistakes(card: dict[str, Any], images: Tensor) -> Any:
    mistakes, test = card["mistakes"], card["accuracy"]["test"]
    which = "" if test["errors"] <= len(mistakes) else f"the {len(mistakes)} most confident of "
    title = f"Mistakes on the test split: {which}{test['errors']:,} ({test['n']:,} pictures)"
    rows = [mistake["row"] for mistake in mistakes]
    panel = Panel("", images[rows].numpy() / 255, [_caption(mistake) for mistake in mistakes])
    return figures.digits(title, [panel], BESIDE, f"No mistake: all {test['n']:,} answers are right.")


def _caption(mistake: dict[str, Any]) -> str:
    mark = "\nlabel in doubt" if mistake["label_error"] else ""
    return f"given: {mistake['given']}\nanswer: {mistake['answer']}\n{mistake['confidence']:.1%}{mark}"


def _series(name: str, answers: Answers) -> Reliability:
    bins = answers.equal_mass()
    intervals = np.array([wilson(group.count - group.right, group.count) for group in bins])
    return Reliability(
        name,
        doubt=np.array([group.doubt for group in bins]),
        wrong=np.array([1 - group.right / group.count for group in bins]),
        low=intervals[:, 0],
        high=intervals[:, 1],
    )
