"""The reliability plot: its data, also where a model is right nearly always, always, or seldom."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from inksweep import figures
from inksweep.figures import Reliability

DOUBT = np.array([0.1, 0.01, 1e-9])


def draw(wrong: list[float], name: str = "after") -> Figure:
    shares = np.array(wrong)
    one = Reliability(name, DOUBT, shares, shares / 2, np.minimum(1, shares * 2 + 0.005))
    return figures.reliability("How sure", one, np.array([1e-3, 1e-8, 1e-8]), np.array([0.2]))


def test_axes_count_the_nines_and_a_bin_without_a_mistake_has_a_line_of_its_own() -> None:
    axes, below = draw([0.1, 0.001, 0.0]).axes
    measured, perfect, diagonal, none = axes.lines[:4]
    assert np.allclose(measured.get_data(), [[1, 2], [1, 3]])
    # 1e-9 is beyond the end of the axis.
    assert np.allclose(perfect.get_data(), [[6], [3.5]])
    assert np.array_equal(*diagonal.get_data())
    assert none.get_ydata()[0] == 3.5
    assert [text.get_text() for text in axes.get_xticklabels()][:4] == ["0%", "50%", "90%", "99%"]
    # Every answer is in a bar: three right ones, one wrong.
    right, wrong = below.containers
    assert (sum(bar.get_height() for bar in right), sum(bar.get_height() for bar in wrong)) == (3, 1)


@pytest.mark.parametrize("wrong", [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.9, 0.5, 0.3]])
def test_models_of_all_kinds_can_be_drawn(wrong: list[float], tmp_path: Path) -> None:
    figure = draw(wrong)
    top, bottom = (figure.axes[0].get_ylim()[end] for end in (1, 0))
    for line in figure.axes[0].lines[:2]:
        assert all(bottom <= value <= top for value in line.get_ydata())
    figures.save(figure, tmp_path / "reliability.png")
    assert imread(tmp_path / "reliability.png").ndim == 3


def test_two_series_have_colours_of_their_own() -> None:
    shares = np.array([0.1, 0.01, 0.0])
    before, now = (Reliability(name, DOUBT, shares, shares, shares) for name in ("before", "now"))
    axes, _ = figures.reliability("How sure", now, DOUBT, DOUBT, before).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()][:2] == ["before", "now"]
    assert axes.lines[0].get_color() != axes.lines[2].get_color()
