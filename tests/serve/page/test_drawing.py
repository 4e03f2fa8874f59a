"""What is drawn is asked, and what is answered is shown."""

import threading
from typing import Any

import numpy as np
import pytest

from tests.serve.page.service import CLASSES, Question, Service, reading
from tests.serve.page.shown import ONE, SEVEN, TWO_DIGITS, says

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")


def test_a_stroke_is_answered_with_a_digit_its_bars_and_what_the_network_sees(show):
    page = show(Service(answer=says("7")))
    page.draw(SEVEN)
    page.expect(".large", "7")
    page.expect(".sure", "98.0% sure")
    page.expect("#spoken", "7. 98.0% sure")
    assert [row.split("\n")[0] for row in page.texts(".bars li")] == CLASSES
    page.expect(".bars .best", "798.0%")
    seen = page.page.evaluate(
        "() => { const c = document.querySelector('.detail .seen');"
        " return [c.width, c.height, ...c.getContext('2d').getImageData(12, 12, 1, 1).data,"
        " ...c.getContext('2d').getImageData(0, 0, 1, 1).data]; }"
    )
    assert seen == [28, 28, 255, 255, 255, 255, 0, 0, 0, 255]
    # One digit that was drawn needs no box.
    assert page.page.locator("#boxes rect").count() == 0


def test_the_picture_that_is_asked_is_black_ink_on_white_paper_where_it_was_drawn(show):
    for theme in ("light", "dark"):
        page = show(color_scheme=theme)
        page.draw(ONE)
        grey = page.asked(1).grey
        height, width = grey.shape
        assert (width, height) == (400, 300)
        rows, columns = np.nonzero(grey < 128)
        assert 0.22 < rows.min() / height < 0.25
        assert 0.80 < rows.max() / height < 0.83
        assert 0.45 < columns.min() / width < columns.max() / width < 0.54
        assert grey[0, 0] == 255
        assert grey.min() == 0


def test_each_stroke_asks_again_with_all_strokes(show):
    page = show(Service(answer=says("11")))
    page.draw(TWO_DIGITS[:1])
    one = page.asked(1).grey
    page.draw(TWO_DIGITS[1:])
    two = page.asked(2).grey
    assert (two[:, :200] == one[:, :200]).all()
    assert (two[:, 200:] < 128).any()
    assert not (one[:, 200:] < 128).any()


def test_several_digits_have_boxes_over_their_ink_and_one_can_be_chosen(show):
    page = show(Service(answer=says("4?")))
    page.draw(TWO_DIGITS)
    page.expect(".large", "4?")
    page.expect(".sure", "Not sure of one of them.")
    canvas = page.page.locator("#ink").bounding_box()
    for box, line in zip(page.page.locator("#boxes rect").all(), TWO_DIGITS, strict=True):
        at = box.bounding_box()
        x = canvas["x"] + line[0][0] * canvas["width"]
        top, bottom = (canvas["y"] + y * canvas["height"] for _, y in line)
        assert at["x"] < x < at["x"] + at["width"] < x + 40
        assert top - 40 < at["y"] < top < bottom < at["y"] + at["height"] < bottom + 40
    # The one that is least sure is shown first.
    assert page.texts(".digits [aria-pressed=true]") == ["?"]
    page.page.locator(".digits button").first.click()
    assert page.texts(".digits [aria-pressed=true]") == ["4"]
    page.expect("#boxes .chosen text", "4")
    page.expect(".bars .best", "498.0%")


def test_a_digit_that_is_not_sure_says_what_it_may_be(show):
    page = show(Service(answer=says("?")))
    page.draw(ONE)
    page.expect(".large", "?")
    page.expect(".sure", "Not sure; perhaps 4 or 9.")
    page.expect("#spoken", "unknown. Not sure; perhaps 4 or 9.")


def test_what_is_probably_no_digit_says_so(show):
    def answer(question: Question) -> tuple[int, Any]:
        read = reading(question.grey, "?")
        read["digits"][0]["confidence"] = 0.05  # and a 4 with 0.5, if it is a digit
        return 200, read

    page = show(Service(answer=answer))
    page.draw(ONE)
    page.expect(".sure", "Probably no digit. If it is one, 4 or 9.")
    page.expect(".bars .note", "if it is one of them at all")


def test_a_canvas_that_was_erased_has_no_ink(show):
    page = show()
    page.draw(ONE)
    page.expect(".large", "3")
    page.page.click("#eraser")
    page.page.fill("#brush", "9")
    page.draw([[(0.5, 0.15), (0.49, 0.9)]])
    page.expect(".sure", "No ink found.")
    assert (page.asked(2).grey == 255).all()


def test_undo_redo_and_clear_by_buttons_and_keys(show):
    page = show(Service(answer=says("111")))
    page.draw(TWO_DIGITS)
    page.expect(".large", "11")
    page.page.click("#undo")
    page.expect(".large", "1")
    page.page.keyboard.press("Control+Shift+Z")
    page.expect(".large", "11")
    page.page.keyboard.press("Escape")
    page.expect(".large", "")
    sync_api.expect(page.page.locator("#hint")).to_be_visible()
    page.page.keyboard.press("Control+Z")
    page.expect(".large", "11")
    page.page.click("#clear")
    assert page.page.locator("#boxes rect").count() == 0
    assert page.page.locator("#clear").is_disabled()
    for _ in range(3):
        page.page.click("#undo")
    page.expect(".large", "")
    page.page.click("#redo")
    page.expect(".large", "1")


def test_an_answer_that_comes_late_is_dropped(show):
    go_on = threading.Event()

    def answer(question: Question) -> tuple[int, Any]:
        first = not (question.grey[:, 200:] < 128).any()
        if first:
            go_on.wait(10)
        return 200, reading(question.grey, "8" if first else "45")

    page = show(Service(answer=answer))
    page.draw(TWO_DIGITS)
    page.expect(".large", "45")
    go_on.set()
    page.page.wait_for_timeout(100)
    page.expect(".large", "45")


def test_a_drawing_outlives_a_window_of_another_size(show):
    page = show(device_scale_factor=2)
    page.draw(SEVEN)
    before = page.asked(1).grey
    page.page.set_viewport_size({"width": 500, "height": 800})
    canvas = page.page.locator("#ink")
    pixels = round(canvas.bounding_box()["width"] * 2)
    assert pixels < 1000
    sync_api.expect(canvas).to_have_js_property("width", pixels)
    painted = canvas.evaluate("c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)")
    assert painted
    page.page.click("#undo")
    page.page.click("#redo")
    assert (page.asked(2).grey == before).all()


def test_a_finger_draws_at_390_pixels_and_nothing_scrolls(show):
    page = show(Service(answer=says("7")), viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    session = page.page.context.new_cdp_session(page.page)
    box = page.page.locator("#ink").bounding_box()
    steps = np.concatenate([np.linspace(a, b, 8) for a, b in zip(SEVEN[0], SEVEN[0][1:], strict=False)])
    places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in steps.tolist()]
    for number, place in enumerate(places):
        kind = "touchMove" if number else "touchStart"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.expect(".large", "7")
    rows = np.flatnonzero((page.asked(1).grey < 128).any(axis=1))
    assert rows[0] < 0.3 * 300
    assert rows[-1] > 0.78 * 300
    assert page.page.evaluate("[scrollY, document.documentElement.scrollWidth]") == [0, 390]
    # The answer is to be seen without scrolling.
    large = page.page.locator(".large").bounding_box()
    assert large["y"] + large["height"] < 844
