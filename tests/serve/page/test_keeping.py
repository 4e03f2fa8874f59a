"""What was drawn, labelled, and downloaded as a data set."""

import numpy as np
import pytest

from tests.serve.page.service import Service
from tests.serve.page.shown import ONE, TWO_DIGITS, says

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")


def test_what_was_labelled_is_downloaded_as_arrays(show, tmp_path):
    page = show(Service(answer=says("42")))
    page.draw(TWO_DIGITS)
    page.expect(".large", "42")
    assert page.page.input_value("#label") == "42"  # offered as it was read
    page.page.fill("#label", "97")
    page.page.keyboard.press("Enter")
    page.expect("#keep-said", "Kept.")
    page.expect(".large", "")  # clear for the next one
    page.draw(ONE)
    page.page.locator("#keep-it:enabled").click()
    page.page.get_by_label("Remove this 7").click()
    with page.page.expect_download() as download:
        page.page.get_by_text("Download 2 digits").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    with np.load(tmp_path / "drawn.npz") as kept:
        assert kept["pixels"].dtype == np.uint8
        assert kept["pixels"].shape == (2, 28, 28)
        assert (kept["pixels"][:, 4:24, 10:18] == 255).all()
        assert kept["pixels"].sum() == 2 * 20 * 8 * 255
        assert kept["classes"][kept["labels"]].tolist() == ["9", "4"]
    assert all(question.picture.startswith(b"\x89PNG") for question in page.service.asked)  # labels are sent nowhere


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("", "Say what it is."),
        ("421", "2 digits found, and 3 digits in the label."),
        ("4x", "This winner knows no “x”."),
    ],
)
def test_a_label_that_does_not_fit_is_refused(show, label, said):
    page = show(Service(answer=says("42")))
    page.draw(TWO_DIGITS)
    page.expect(".large", "42")
    page.page.fill("#label", label)
    page.page.click("#keep-it")
    page.expect("#keep-said", said)
    assert page.page.locator("#kept li").count() == 0
