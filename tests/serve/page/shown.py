"""The page in a browser, and what tests do there."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from PIL import Image, ImageDraw

from inksweep.reading.reader import Reader
from inksweep.serve import server
from inksweep.serve.access import Access
from inksweep.serve.house import House
from inksweep.serve.limits import Limits
from tests.serve.conftest import first_pixel
from tests.serve.page.service import CLASSES, Question, Service, reading

# Lines of strokes as shares of the canvas's width and height.
SEVEN = [[(0.4, 0.3), (0.6, 0.3), (0.48, 0.8)]]
ONE = [[(0.5, 0.25), (0.49, 0.8)]]
TWO_DIGITS = [[(0.3, 0.3), (0.3, 0.8)], [(0.7, 0.3), (0.7, 0.8)]]

Answer = Callable[[Question], tuple[int, Any]]


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
        page.wait_for_selector("#served:not(:empty)")

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
        from playwright.sync_api import expect

        expect(self.page.locator(selector)).to_have_text(text)

    def texts(self, selector: str) -> list[str]:
        return self.page.locator(selector).all_inner_texts()


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
