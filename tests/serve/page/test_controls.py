"""Keyboard, light and dark, widths."""

import pytest

from tests.serve.page.service import CLASSES, Service
from tests.serve.page.shown import TWO_DIGITS, says

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")


def test_every_example_can_be_drawn_with_the_keyboard(show):
    page = show(Service(answer=says("1234")))
    names = page.texts("#examples button")
    assert names[:10] == CLASSES
    for count, name in enumerate(names, 1):
        page.page.get_by_role("button", name=name, exact=True).focus()
        page.page.keyboard.press("Enter")
        grey = page.asked(count).grey
        assert 0.01 < (grey < 128).mean() < 0.2
        assert grey[[0, -1]].min() == grey[:, [0, -1]].min() == 255
    page.page.get_by_role("button", name="2026", exact=True).click()
    page.expect(".large", "1234")


def test_every_control_is_reached_by_the_tab_key_and_is_seen_to_be(show):
    page = show(Service(answer=says("42")))
    page.draw(TWO_DIGITS)
    page.expect(".large", "42")
    reached, outlines = [], set()
    for _ in range(60):
        page.page.keyboard.press("Tab")
        place = page.page.evaluate(
            "() => { const e = document.activeElement; const s = getComputedStyle(e);"
            " if (e === document.body) return ['page', ''];"
            " return [e.getAttribute('aria-label') || e.innerText || e.id, s.outlineStyle]; }"
        )
        if place[0] == "page":  # after the last control, and before the first
            continue
        if place[0] in reached:
            break
        reached.append(place[0])
        outlines.add(place[1])
    assert {"Dark", "Pen", "Eraser", "brush", "Undo", "Clear", "Open picture", "0", "label", "Keep"} <= set(reached)
    assert outlines == {"solid"}


def test_light_and_dark_by_the_system_or_by_a_switch_that_is_kept(show):
    page = show(color_scheme="dark")
    back = "getComputedStyle(document.body).backgroundColor"
    dark = page.page.evaluate(back)
    page.page.get_by_role("button", name="Dark").click()
    light = page.page.evaluate(back)
    assert [int(value) > 128 for value in light.removeprefix("rgb(").rstrip(")").split(",")] == [True] * 3
    assert light != dark
    page.page.reload()
    assert page.page.evaluate(back) == light


@pytest.mark.parametrize("width", [320, 390, 700, 1280])
def test_nothing_is_wider_than_the_window(show, width):
    answer = says("1234")
    page = show(
        Service(winners=["multirun/a_rather_long_name/winner", "b"], answer=answer),
        viewport={"width": width, "height": 800},
    )
    page.page.get_by_role("button", name="2026", exact=True).click()
    sync_api.expect(page.page.locator(".large")).to_have_text(["1234", "1234"])
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
