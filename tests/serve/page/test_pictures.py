"""A picture instead of a drawing: dropped, pasted, opened."""

import re

import pytest

from tests.serve.page.service import Service, digit
from tests.serve.page.shown import ONE, choose, drop, paste, photo, says

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")


@pytest.mark.parametrize("way", [drop, paste, choose])
def test_a_photo_is_sent_as_it_is_and_shown_with_boxes(show, way):
    page = show(Service(answer=says("1")))
    way(page.page, "photo.png", photo())
    page.expect(".large", "1")
    asked = page.asked(1)
    assert (asked.picture, asked.name) == (photo(), "photo.png")
    # 1,000 x 500 pixels lie in the middle of a canvas whose sides are as 4 to 3.
    canvas, box = (page.page.locator(name).bounding_box() for name in ("#ink", "#boxes rect"))
    share = canvas["width"] / 1000
    left, top = canvas["x"] + 300 * share, canvas["y"] + canvas["height"] / 2 + (100 - 250) * share
    assert box["x"] < left < left + 50 * share < box["x"] + box["width"] < left + 50 * share + 12
    assert box["y"] < top < top + 300 * share < box["y"] + box["height"] < top + 300 * share + 12


def test_a_photo_is_closed_again_and_the_drawing_is_still_there(show):
    page = show()
    page.draw(ONE)
    before = page.asked(1).grey
    drop(page.page, "photo.png", photo())
    page.asked(2)
    page.page.keyboard.press("Escape")
    assert (page.asked(3).grey == before).all()


def test_a_photo_larger_than_the_service_needs_is_made_smaller(show):
    page = show()
    drop(page.page, "photo.png", photo((4000, 1000)))
    assert page.asked(1).grey.shape == (750, 3000)
    sync_api.expect(page.page.locator("#boxes rect")).to_have_count(1)


def test_a_picture_that_the_browser_does_not_know_is_read_all_the_same(show):
    answer = {"picture": "x", "text": "1", "confidence": 0.9, "lines": ["1"], "digits": [digit("1", [1, 1, 2, 2])]}
    page = show(Service(answer=lambda question: (200, answer)))
    drop(page.page, "scan.tiff", b"II*\0 not shown by Chromium")
    page.expect(".large", "1")
    assert page.asked(1).picture.startswith(b"II*")
    page.expect("#hint", "scan.tiff: this browser cannot show it.")
    page.page.keyboard.press("Escape")
    page.expect("#hint", re.compile("Draw a digit"))
