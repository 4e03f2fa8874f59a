"""figures.py: the data of a picture is tested, not its pixels; that it can be drawn and read back is."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.text import Text

from inksweep import figures
from inksweep.figures import Panel

PICTURES = np.random.default_rng(0).random((4, 28, 28))
ROWS = [
    {"epoch": 0.5, "train/loss": 2.0, "val/loss": 1.0, "val/accuracy": 0.5},
    {"epoch": 1.0, "train/loss": 0.1, "val/loss": 0.4, "val/accuracy": 0.9},
    {"epoch": 1.5, "train/loss": 0.05, "val/loss": 0.6, "val/accuracy": 0.8},
]


def lines(axes: Axes) -> list[list[tuple[float, float]]]:
    return [list(zip(*line.get_data(), strict=True)) for line in axes.lines]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def texts(part: Axes) -> list[str]:
    return [text.get_text() for text in part.texts]


def test_curves_are_the_rows_and_the_saved_weights_are_marked() -> None:
    figure = figures.learning_curves({"run": ROWS}, {"run": 1.0})
    losses, accuracies = figure.axes
    assert lines(losses) == [[(0.5, 2), (1, 0.1), (1.5, 0.05)], [(0.5, 1), (1, 0.4), (1.5, 0.6)], [(1, 0.4)]]
    assert lines(accuracies) == [[(0.5, 50), (1, 90), (1.5, 80)], [(1, 90)]]
    assert legend(figure) == ["training, while it learns", "validation", "weights saved (epoch 1)"]
    assert losses.get_ylabel() == "cross-entropy (nats, log scale)"
    assert (accuracies.get_xlabel(), accuracies.get_ylabel()) == ("epochs", "accuracy (%)")


def test_a_loss_that_hardly_changes_or_is_zero_keeps_a_plain_scale() -> None:
    for last in (0.9, 0.0):
        rows = [{**row, "train/loss": last} for row in ROWS]
        assert figures.learning_curves({"run": rows}).axes[0].get_yscale() == "linear"


def test_runs_have_colours_of_their_own_and_their_names_in_the_legend() -> None:
    # Names that matplotlib would hide, or read as a formula.
    figure = figures.learning_curves({"_a": ROWS, "$b$": ROWS[:1], "empty": []}, {"_a": 1.0})
    losses, _ = figure.axes
    assert legend(figure)[:2] == ["_a", "$b$"]
    assert "empty" not in legend(figure)
    colours = [line.get_color() for line in losses.lines if len(line.get_xdata())]
    assert len(set(colours)) == 2
    figure.draw_without_rendering()


@pytest.mark.parametrize("count", [1, 2, 9])
def test_any_number_of_runs_is_drawn(count: int, tmp_path: Path) -> None:
    figure = figures.learning_curves({f"multirun/night/{number}": ROWS for number in range(count)})
    figures.save(figure, tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").shape[2] == 4


def test_without_an_evaluation_the_figure_says_so() -> None:
    figure = figures.learning_curves({"run": []})
    assert [texts(axes) for axes in figure.axes] == [["no evaluation yet"]] * 2


def test_a_row_that_lacks_a_value_leaves_a_gap() -> None:
    losses, _ = figures.learning_curves({"run": [{"epoch": 1.0, "val/loss": 0.5}]}).axes
    assert np.isnan(lines(losses)[0][0][1])
    assert lines(losses)[1] == [(1.0, 0.5)]


COUNTS = np.array([[1200, 0, 3], [0, 0, 0], [10, 2, 900]])


def test_a_confusion_matrix_has_every_count_and_the_colour_of_the_wrong_ones() -> None:
    figure = figures.confusion(COUNTS, ["T-shirt/top", "Bag", "Ankle boot"], "clothes: 99.29% right")
    axes = figure.axes[0]
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "1,200", (2, 0): "3", (0, 2): "10", (1, 2): "2", (2, 2): "900",
    }  # fmt: skip
    coloured = axes.images[0].get_array()
    # The right answers and the empty cells have no colour; the most frequent mistake has the deepest.
    assert coloured.mask.tolist() == [[True, True, False], [True] * 3, [False, False, True]]
    assert coloured.max() == pytest.approx(np.sqrt(10))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("answered", "true class")
    (shares,) = axes.child_axes
    # A class that does not occur has no share.
    assert [label.get_text() for label in shares.get_yticklabels()] == ["99.8%", "-", "98.7%"]


def test_a_matrix_without_a_mistake_is_drawn(tmp_path: Path) -> None:
    figures.save(figures.confusion(np.diag([5, 7]), ["a", "$b"], "all right"), tmp_path / "confusion.png")
    assert (tmp_path / "confusion.png").stat().st_size > 0


def overlaps(figure: Figure, found: list[Text]) -> Iterator[tuple[str, str]]:
    """Yield pairs of texts whose boxes overlap on the page."""
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in found if text.get_text() and text.get_visible()]
    for number, (name, box) in enumerate(boxes):
        for other, second in boxes[:number]:
            # A pixel of slack, as letters never fill their box.
            if box.padded(-1).overlaps(second.padded(-1)):
                yield name, other


CLOTHES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


def test_long_class_names_and_large_counts_do_not_overlap() -> None:
    figure = figures.confusion(np.full((10, 10), 1234), CLOTHES, "fashion_mnist, test split")
    axes = figure.axes[0]
    # Turned names lie in overlapping boxes without touching; the names at the left and the counts are upright.
    assert not list(overlaps(figure, [*axes.get_yticklabels(), *axes.texts, *axes.child_axes[0].get_yticklabels()]))


def test_captions_of_several_long_lines_do_not_overlap() -> None:
    captions = ["true: Ankle boot\nanswer: T-shirt/top\n100.0%"] * 30
    figure = figures.digits("Worst", [Panel("", np.zeros((30, 28, 28)), captions)], columns=6)
    axes = figure.subfigs[0].axes[0]
    assert not list(overlaps(figure, axes.texts))
    # Nor do they reach into the picture above.
    upper, lower = axes.images[0].get_window_extent(), axes.texts[6].get_window_extent()
    assert lower.y1 <= upper.y0


def test_every_digit_has_its_caption_above_it() -> None:
    panels = [Panel("stored", PICTURES, ["3", "1", "4", "1"]), Panel("seen", PICTURES[:2], ["$3", "1"])]
    figure = figures.digits("digits", panels, columns=3)
    stored, seen = (part.axes[0] for part in figure.subfigs)
    assert (texts(stored), texts(seen)) == (["3", "1", "4", "1"], ["$3", "1"])
    figure.draw_without_rendering()
    for axes in (stored, seen):
        for picture, caption in zip(axes.images, axes.texts, strict=True):
            box, above = picture.get_window_extent(), caption.get_window_extent()
            assert above.y0 >= box.y1
            assert box.x0 < (above.x0 + above.x1) / 2 < box.x1
    # Four digits in rows of three: the fourth stands below the first, in its own shape.
    first, fourth = stored.images[0].get_window_extent(), stored.images[3].get_window_extent()
    assert fourth.x0 == pytest.approx(first.x0)
    assert fourth.y1 < first.y0
    assert first.width == pytest.approx(first.height)
    assert np.array_equal(stored.images[3].get_array(), PICTURES[3])


def test_a_panel_without_digits_says_so() -> None:
    figure = figures.digits("digits", [Panel("", PICTURES[:0], [])], columns=6, none="No mistake.")
    assert texts(figure.subfigs[0].axes[0]) == ["No mistake."]
    figure.draw_without_rendering()


@pytest.mark.parametrize("names", [["T-shirt/top", "Ankle boot"]])
def test_long_class_names_are_written_smaller(names: list[str]) -> None:
    figure = figures.digits("clothes", [Panel("stored", PICTURES[:2], names)], columns=2)
    assert figure.subfigs[0].axes[0].texts[0].get_fontsize() < 10


def test_weights_share_a_scale_around_zero() -> None:
    pictures = np.array([[[-3.0, 1.0]], [[0.0, 2.0]]])
    axes = figures.weights("kernels", Panel("two", pictures, ["7", "0"]), columns=8).axes[0]
    assert texts(axes) == ["7", "0"]
    ((low, high),) = {image.get_clim() for image in axes.images}
    assert low == -high
    assert high == pytest.approx(3, rel=0.01)


def test_weights_that_are_all_zero_are_drawn() -> None:
    figures.weights("kernels", Panel("none", np.zeros((3, 1, 1)), ["0", "1", "2"]), columns=8).draw_without_rendering()


def test_a_figure_is_saved_as_a_png_in_a_folder_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "digits.png"
    figures.save(figures.digits("digits", [Panel("stored", PICTURES, ["3"] * 4)], columns=4), path)
    picture = imread(path)
    assert picture.shape[2] == 4
    # Ink on paper: not an empty sheet.
    assert picture[..., 0].min() < 0.1 < 0.9 < picture[..., 0].max()


# Rooms that draw; a command imports one only where it draws.
DRAWING = {"figures.py", "digits/run_figures.py", "diff/figure.py", "report/paint.py", "report/png.py"}


def test_only_the_rooms_that_draw_import_matplotlib() -> None:
    rooms = Path(figures.__file__).parent
    found = [path for path in rooms.rglob("*.py") if re.search(r"^\s*(from|import) matplotlib", path.read_text(), re.M)]
    assert {path.relative_to(rooms).as_posix() for path in found} <= DRAWING


def test_drawing_needs_no_torch() -> None:
    code = (
        "import sys, inksweep.figures\nassert not {'torch', 'hydra', 'optuna', 'matplotlib.pyplot'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
