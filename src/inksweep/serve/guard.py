"""What every request passes first: who may ask, how much, how long, how many at a time; and headers of every answer.

Plain ASGI around the app, so that a body that is too long is refused while it arrives.
"""

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import NoReturn

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inksweep.serve.access import Access, Refusal
from inksweep.serve.bodies import as_json
from inksweep.serve.limits import MIB, Limits, Traffic
from inksweep.serve.metrics import Metrics

log = logging.getLogger(__name__)

# The page takes scripts, styles and pictures from this server, pictures from itself too; nobody may frame it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
COSTLY = "/v1/"
# A client that is refused while it sends reads the answer only when it has sent all: so much is taken and dropped.
DROPPED_BYTES, DROPPED_S = 64 * MIB, 2.0


class Guard:
    """ASGI middleware around the app.

    Args:
        app: answers what gets through.
        direct: answers in its place, by method and path.
        access: who may ask.
        limits: what is too much.
        traffic: kept up to date here.
        metrics: told of every answer.
        paths: those that metrics have a line of their own for.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        limits: Limits,
        traffic: Traffic,
        metrics: Metrics,
        *,
        paths: Collection[str],
        direct: Mapping[tuple[str, str], ASGIApp],
    ) -> None:
        self._app = app
        self._direct = direct
        self._access = access
        self._limits = limits
        self._traffic = traffic
        self._metrics = metrics
        self._paths = frozenset(paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limits, self._traffic)
        try:
            await self._answer(scope, exchange)
        except asyncio.CancelledError:  # the server ends, and its grace is over
            if exchange.status is None:
                await exchange.say(busy("the server ends"))
        finally:
            self._traffic.body_bytes -= exchange.received
            path = scope["path"] if scope["path"] in self._paths else "other"
            seconds = time.perf_counter() - exchange.began
            self._metrics.request(path, exchange.status or 499, seconds)  # 499: the client went away
            log.debug("%s %s %s %.1f ms", scope["method"], path, exchange.status or "no answer", seconds * 1000)

    async def _answer(self, scope: Scope, exchange: "_Exchange") -> None:
        refusal = self._access.refusal(scope["path"], exchange.headers) or exchange.announced()
        is_costly = scope["path"].startswith(COSTLY)
        if refusal is None and is_costly and self._traffic.requests >= self._limits.requests:
            refusal = busy(f"{self._limits.requests} requests are under way already; try again")
        if refusal is not None:
            await exchange.refuse(refusal)
            return
        self._traffic.requests += is_costly
        try:
            async with asyncio.timeout(self._limits.seconds):
                app = self._direct.get((scope["method"], scope["path"]), self._app)
                await app(scope, exchange.receive, exchange.send)
        except TimeoutError:
            if exchange.status is not None:  # a part of an answer is sent: the connection ends
                raise
            await exchange.refuse(exchange.too_late())
        finally:
            self._traffic.requests -= is_costly


def busy(line: str, after_s: int = 1) -> Refusal:
    """Return the refusal of a request that may be sent again."""
    return Refusal(503, line, ((b"retry-after", str(after_s).encode()),))


class _Exchange:
    """One request and its answer, as they pass."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits, traffic: Traffic) -> None:
        self.headers = dict(scope["headers"])
        self.began = time.perf_counter()
        # Of the answer; None: it has not begun.
        self.status: int | None = None
        # Bytes of the body, as far as it has arrived.
        self.received = 0
        self._is_whole = False
        self._receive = receive
        self._send = send
        self._limits = limits
        self._traffic = traffic

    def announced(self) -> Refusal | None:
        """Return why the body is refused by what its headers say of it."""
        if self.headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
            return Refusal(415, "a body must not be compressed (Content-Encoding)")
        length = self.headers.get(b"content-length", b"0")
        return self._too_large() if length.isdigit() and int(length) > self._limits.body_bytes else None

    async def receive(self) -> Message:
        """Pass on a part of the request; HTTPException if there is more of it than may be."""
        message = await self._receive()
        if message["type"] == "http.request":
            size = len(message.get("body", b""))
            self.received += size
            self._traffic.body_bytes += size
            self._is_whole = not message.get("more_body", False)
            if self.received > self._limits.body_bytes:
                await self._raise(self._too_large())
            if self._traffic.body_bytes > self._limits.bodies_bytes:
                await self._raise(busy("the bodies of all requests together are too large; try again"))
        return message

    async def send(self, message: Message) -> None:
        """Pass on a part of the answer, with the headers that all answers have."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), *HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with one line of why not, when what is still being sent has come and was dropped."""
        await self._drop_rest()
        await self.say(refusal)

    async def say(self, refusal: Refusal) -> None:
        """Answer with one line of why not."""
        body = as_json({"error": refusal.line})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send(
            {"type": "http.response.start", "status": refusal.status, "headers": [*headers, *refusal.headers]}
        )
        await self.send({"type": "http.response.body", "body": body})

    def too_late(self) -> Refusal:
        """Return the refusal of a request that has taken too long: to arrive, or to be answered."""
        if not self._is_whole:
            return Refusal(408, f"the request did not arrive within {self._limits.seconds:g} seconds")
        return busy(f"it took longer than {self._limits.seconds:g} seconds; try again, or send less")

    async def _raise(self, refusal: Refusal) -> NoReturn:
        # What has arrived is kept no longer: while the rest is dropped, others may come in.
        self._traffic.body_bytes -= self.received
        self.received = 0
        await self._drop_rest()
        headers = {name.decode(): value.decode() for name, value in refusal.headers}
        raise HTTPException(refusal.status, refusal.line, headers)

    async def _drop_rest(self) -> None:
        has_body = b"transfer-encoding" in self.headers or self.headers.get(b"content-length", b"0") != b"0"
        if self._is_whole or not has_body or b"expect" in self.headers:  # who waits to be asked sends nothing
            return
        dropped = 0
        try:
            async with asyncio.timeout(DROPPED_S):
                while dropped < DROPPED_BYTES:
                    message = await self._receive()
                    dropped += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
        except TimeoutError:
            pass

    def _too_large(self) -> Refusal:
        return Refusal(413, f"the body is larger than {self._limits.body_bytes / MIB:g} MiB")
