"""A service that answers as a test says: the page's files and headers are the real ones, the readings are made up."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image

import inksweep
from inksweep.serve.guard import POLICY

FILES = Path(inksweep.__file__).parent / "serve" / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
CLASSES = [str(digit) for digit in range(10)]


@dataclass
class Question:
    """What the page asked: the winner, the picture as it came, and its name."""

    winner: str
    picture: bytes
    name: str | None

    @property
    def grey(self) -> np.ndarray:
        """The picture, (height, width) of 0 to 255."""
        return np.asarray(Image.open(io.BytesIO(self.picture)).convert("L"))


@dataclass
class Service:
    """What the page is answered, and what it asked."""

    winners: list[str] = field(default_factory=lambda: ["plain"])
    answer: Callable[[Question], tuple[int, Any]] = field(default=lambda question: (200, reading(question.grey, "3")))
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Question] = field(default_factory=list)
    address: str = ""


def boxes(grey: np.ndarray) -> list[list[int]]:
    """Where there is dark ink: a box for each run of columns that have some."""
    dark = grey < 128
    columns = np.flatnonzero(np.diff(np.pad(dark.any(axis=0), 1).astype(np.int8)))
    found = []
    for left, right in columns.reshape(-1, 2).tolist():
        rows = np.flatnonzero(dark[:, left:right].any(axis=1))
        found.append([left, int(rows[0]), right - left, int(rows[-1] - rows[0]) + 1])
    return found


def digit(name: str, box: list[int], confidence: float = 0.98) -> dict[str, Any]:
    """A digit of a reading; of one that is "?" a 4 and a 9 are likely."""
    others = {other: (1 - confidence) / 9 for other in CLASSES if other != name}
    if name == "?":
        others = dict.fromkeys(CLASSES, 0.01) | {"4": 0.5, "9": 0.42}
    pixels = np.zeros((28, 28), np.uint8)
    pixels[4:24, 10:18] = 255
    ranked = sorted(others, key=lambda other: -others[other])
    return {
        "digit": name,
        "confidence": confidence,
        "box": box,
        "others": [{"digit": other, "confidence": others[other]} for other in ranked],
        "pixels": pixels.tolist(),
    }


def reading(grey: np.ndarray, text: str) -> dict[str, Any]:
    """A reading with the digits of `text` where there is ink in the picture, from left to right."""
    digits = [digit(name, box, 0.4 if name == "?" else 0.98) for name, box in zip(text, boxes(grey), strict=False)]
    text = "".join(one["digit"] for one in digits)
    confidence = min((one["confidence"] for one in digits), default=0.0)
    made = {"picture": "x", "text": text, "confidence": confidence, "lines": [text], "digits": digits}
    return made if digits else made | {"lines": [], "note": "no ink"}


def picture(kind: str, body: bytes) -> tuple[bytes, str | None]:
    """Return the picture in a body, and its name if it came in a form."""
    if not kind.startswith("multipart/form-data"):
        return body, None
    (part,) = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    return part.get_payload(decode=True), part.get_filename()


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/v1/winners":
            winners = [{"name": name, "classes": CLASSES, "size": 28} for name in self.service.winners]
            self.say(200, {"winners": winners}) if self.allowed() else self.say(401, {"error": "no key"})
            return
        file = FILES / ("index.html" if path == "/" else path.removeprefix("/"))
        if file.parent != FILES or not file.is_file():
            self.say(404, {"error": f"there is no {path}"})
            return
        self.send(200, TYPES[file.suffix], file.read_bytes())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not self.allowed():
            self.say(401, {"error": "no key"})
            return
        winner = parse_qs(urlsplit(self.path).query)["winner"][0]
        question = Question(winner, *picture(self.headers["Content-Type"], body))
        self.service.asked.append(question)
        self.say(*self.service.answer(question))

    def allowed(self) -> bool:
        key = self.service.key
        return key is None or self.headers["Authorization"] == f"Bearer {key}"

    def say(self, status: int, content: Any) -> None:
        self.send(status, "application/json", json.dumps(content).encode())

    def send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY}
        for name, value in (headers | self.service.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextmanager
def running(service: Service) -> Iterator[Service]:
    """Serve it on loopback, at `service.address`, until the block is left."""
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.address = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
