"""figures.py: the data of a picture is tested, not its pixels; that it can be drawn and read back is."""

import re
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread
from torch import Generator, Tensor

from inksweep import figures
from inksweep.figures import Panel


def brighter(pictures: Tensor, generator: Generator) -> Tensor:
    return (pictures + torch.rand(1, generator=generator)).clamp(max=1)


IMAGES = torch.randint(0, 256, (4, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_one_of_each_takes_the_classes_in_turn() -> None:
    labels = torch.tensor([1, 1, 0, 2, 0, 1, 0])
    # Class 2 has one digit only: the second turn goes without it.
    assert figures.one_of_each(labels, classes=3, rounds=2).tolist() == [2, 0, 3, 4, 1]


def test_undoing_the_normalisation_gives_the_stored_digits() -> None:
    stored, seen = figures.digit_panels(IMAGES, 0.13, 0.31, augment=None)
    torch.testing.assert_close(seen.pictures, stored.pictures)
    torch.testing.assert_close(stored.pictures, IMAGES / 255)


def test_the_range_the_network_sees_is_in_the_title() -> None:
    _, seen = figures.digit_panels(torch.tensor([[[0, 255]]], dtype=torch.uint8), 0.5, 0.25, augment=None)
    assert "-2.00 to 2.00" in seen.title


def test_augmented_digits_are_a_panel_of_their_own_and_the_same_each_time() -> None:
    *_, augmented = figures.digit_panels(IMAGES, 0.13, 0.31, brighter)
    *_, again = figures.digit_panels(IMAGES, 0.13, 0.31, brighter)
    assert augmented.pictures.shape == (4, 28, 28)
    assert (augmented.pictures >= IMAGES / 255).all()
    assert torch.equal(augmented.pictures, again.pictures)


def test_every_digit_has_its_class_above_it() -> None:
    panels = [Panel("stored", IMAGES / 255), Panel("seen", IMAGES / 255)]
    figure = figures.digits_grid("digits", panels, ["3", "1", "4", "1"], columns=3)
    # Four digits in rows of three: two cells stay empty.
    assert [[axes.get_title() for axes in part.axes if axes.images] for part in figure.subfigs] == [
        ["3", "1", "4", "1"]
    ] * 2
    assert [len(part.axes) for part in figure.subfigs] == [6, 6]


def test_a_figure_is_saved_as_a_png_in_a_folder_made_for_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "digits.png"
    figures.save(figures.digits_grid("digits", [Panel("stored", IMAGES / 255)], ["3"] * 4, columns=4), path)
    picture = imread(path)
    assert picture.shape[2] == 4
    # Ink on paper: not an empty sheet.
    assert picture[..., 0].min() < 0.1 < 0.9 < picture[..., 0].max()


def test_nothing_but_this_room_imports_matplotlib() -> None:
    sources = Path(figures.__file__).parent.rglob("*.py")
    drawing = [path.name for path in sources if re.search(r"^\s*(from|import) matplotlib", path.read_text(), re.M)]
    assert drawing == ["figures.py"]


@pytest.mark.parametrize("names", [["T-shirt/top", "Ankle boot"]])
def test_long_class_names_are_written_smaller(names: list[str]) -> None:
    figure = figures.digits_grid("clothes", [Panel("stored", IMAGES[:2] / 255)], names, columns=2)
    assert figure.subfigs[0].axes[0].title.get_fontsize() < 10
