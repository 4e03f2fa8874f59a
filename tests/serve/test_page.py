"""The page that `inksweep serve` shows, in Chromium: what is drawn is asked, what is answered is shown."""

import io
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image, ImageDraw

from inksweep.reading.reader import Reader
from inksweep.serve import server
from inksweep.serve.access import Access
from inksweep.serve.house import House
from inksweep.serve.limits import Limits
from tests.serve.conftest import first_pixel
from tests.serve.page_service import CLASSES, Question, Service, digit, reading, running

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

# Lines of strokes as shares of the canvas's width and height.
SEVEN = [[(0.4, 0.3), (0.6, 0.3), (0.48, 0.8)]]
ONE = [[(0.5, 0.25), (0.49, 0.8)]]
TWO_DIGITS = [[(0.3, 0.3), (0.3, 0.8)], [(0.7, 0.3), (0.7, 0.8)]]

Answer = Callable[[Question], tuple[int, Any]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


class Shown:
    """The page in a browser, and the service behind it."""

    def __init__(self, service: Service, page: Any) -> None:
        self.service = service
        self.page = page
        self.foreign: list[str] = []
        self.errors: list[str] = []
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)
        page.goto(service.address)
        sync_api.expect(page.locator("#served")).not_to_be_empty()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.service.address, "blob:", "data:")):
            self.foreign.append(request.url)

    def _console(self, message: Any) -> None:
        # Chromium reports each answer of 400 and above as an error too.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def draw(self, lines: list[list[tuple[float, float]]]) -> None:
        """Draw strokes with the mouse."""
        box = self.page.locator("#ink").bounding_box()
        mouse = self.page.mouse
        for line in lines:
            places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in line]
            mouse.move(*places[0])
            mouse.down()
            for place in places[1:]:
                mouse.move(*place, steps=6)
            mouse.up()

    def asked(self, count: int) -> Question:
        """Wait until so many pictures were asked of the service; return the last."""
        for _ in range(500):
            if len(self.service.asked) >= count:
                break
            self.page.wait_for_timeout(10)
        assert len(self.service.asked) == count
        return self.service.asked[-1]

    def expect(self, selector: str, text: str | re.Pattern[str]) -> None:
        sync_api.expect(self.page.locator(selector)).to_have_text(text)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Shown]]:
    """`show(Service(), viewport=..., ...) -> Shown`; whatever it did, it asked nobody else and no policy stopped it."""
    shown: list[Shown] = []
    with ExitStack() as stack:

        def opened(service: Service | None = None, **settings: Any) -> Shown:
            service = service or Service()
            if not service.address:
                stack.enter_context(running(service))
            context = browser.new_context(**({"viewport": {"width": 1280, "height": 860}} | settings))
            stack.callback(context.close)
            shown.append(Shown(service, context.new_page()))
            return shown[-1]

        yield opened
        for one in shown:
            assert one.foreign == []
            assert one.errors == []


@contextmanager
def served(*names: str) -> Iterator[Service]:
    """Run the real service, whose winners take every picture for a 0; its questions are not kept."""
    house = House({name: Reader(first_pixel, CLASSES, 28) for name in names}, Access(), Limits())
    with server.listening("127.0.0.1", 0) as listener:
        running = uvicorn.Server(uvicorn.Config(house.app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        yield Service(address=server.address("127.0.0.1", listener.getsockname()[1]))
        running.should_exit = True
        thread.join()
    house.end()


def says(text: str) -> Answer:
    """Return an answer that reads each picture's ink as this text."""
    return lambda question: (200, reading(question.grey, text))


def photo(size: tuple[int, int] = (1000, 500)) -> bytes:
    """A PNG with a black bar from (300, 100) to (350, 400)."""
    picture = Image.new("RGB", size, (230, 225, 215))
    ImageDraw.Draw(picture).rectangle((300, 100, 349, 399), fill=(20, 20, 40))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


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
        page.expect("#trouble", re.compile("picture"))


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
    page.expect(".sure", "Not sure. Perhaps 4 or 9.")
    page.expect("#spoken", "unknown. Not sure. Perhaps 4 or 9.")


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


def drop(page: Any, name: str, content: bytes) -> None:
    """Drop a file onto the page."""
    page.evaluate(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
          for (const kind of ["dragover", "drop"]) {
            const event = new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector("#ink").dispatchEvent(event);
          }
        }""",
        [name, list(content)],
    )


def paste(page: Any, name: str, content: bytes) -> None:
    """Paste a file into the page."""
    page.evaluate(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([Uint8Array.from(bytes)], name, { type: "image/png" }));
          document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        [name, list(content)],
    )


def choose(page: Any, name: str, content: bytes) -> None:
    """Open a file with the button."""
    with page.expect_file_chooser() as chooser:
        page.click("#open")
    chooser.value.set_files({"name": name, "mimeType": "image/png", "buffer": content})


@pytest.mark.parametrize("way", [drop, paste, choose])
def test_a_photo_is_sent_as_it_is_and_shown_with_boxes(show, way):
    page = show(Service(answer=says("1")))
    way(page.page, "photo.png", photo())
    page.expect(".large", "1")
    assert page.asked(1).picture == photo()
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
