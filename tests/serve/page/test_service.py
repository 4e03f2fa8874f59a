"""The page and its service: the real one, several winners, refusals, a key."""

import re
from typing import Any

import pytest

from tests.serve.page.service import Question, Service, reading, running
from tests.serve.page.shown import ONE, TWO_DIGITS, drop, served

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")


def test_the_real_service_answers_the_page(show):
    with served("night", "other") as service:
        page = show(service)
        page.draw(TWO_DIGITS)
        sync_api.expect(page.page.locator(".large")).to_have_text(["00", "00"])
        assert page.texts(".name") == ["night", "other"]
        assert page.texts(".bars .best .share") == ["91.0%", "91.0%"]
        assert page.page.locator("#boxes rect").count() == 2
        page.page.keyboard.press("Escape")
        drop(page.page, "notes.png", b"no picture")
        page.expect("#trouble", re.compile("^notes.png: "))


def test_winners_stand_side_by_side(show):
    def answer(question: Question) -> tuple[int, Any]:
        return 200, reading(question.grey, "3" if question.winner == "plain" else "8")

    page = show(Service(winners=["plain", "accurate"], answer=answer))
    page.draw(ONE)
    sync_api.expect(page.page.locator(".large")).to_have_text(["3", "8"])
    assert page.texts(".name") == ["plain", "accurate"]
    plain, accurate = (card.bounding_box() for card in page.page.locator(".card").all())
    assert plain["y"] == accurate["y"]
    assert plain["x"] + plain["width"] < accurate["x"]
    page.expect("#spoken", "plain: 3. 98.0% sure accurate: 8. 98.0% sure")


@pytest.mark.parametrize(
    ("status", "line", "said"),
    [
        (413, "drawing.png: 9 MB, at most 8", "drawing.png: 9 MB, at most 8."),
        (400, None, "The service refused (400)."),
        (500, None, "The service failed (500)."),
    ],
)
def test_what_the_service_refuses_is_said_in_a_line(show, status, line, said):
    page = show(Service(answer=lambda question: (status, {"error": line})))
    page.draw(ONE)
    page.expect("#trouble", said)


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_is_asked_again(show, status):
    refused: list[Question] = []

    def answer(question: Question) -> tuple[int, Any]:
        if not refused:
            refused.append(question)
            return status, {"error": "too busy"}
        return 200, reading(question.grey, "6")

    page = show(Service(answer=answer, headers={"Retry-After": "0.3"}))
    page.draw(ONE)
    page.expect("#trouble", "Too busy. Trying again in a moment.")
    page.expect(".large", "6")
    sync_api.expect(page.page.locator("#trouble")).to_be_hidden()


def test_a_service_that_is_gone_is_said(show):
    page = show()
    page.page.context.set_offline(True)
    page.draw(ONE)
    page.expect("#trouble", "The service does not answer. Is inksweep serve still running?")


def test_a_service_with_a_key_asks_for_it_and_the_page_forgets_it_with_its_tab(browser):
    with running(Service(key="secret")) as service:
        context = browser.new_context()
        page = context.new_page()
        page.goto(service.address)
        page.get_by_label("Key", exact=True).fill("wrong")
        page.keyboard.press("Enter")
        sync_api.expect(page.locator("#key-said")).to_have_text("The service did not take this key.")
        page.get_by_label("Key", exact=True).fill("secret")
        page.keyboard.press("Enter")
        sync_api.expect(page.locator("#served")).to_have_text("plain")
        page.get_by_role("button", name="7", exact=True).click()
        sync_api.expect(page.locator(".large")).to_have_text("3")
        assert page.evaluate("Object.values(localStorage).join()") == ""
        context.close()
