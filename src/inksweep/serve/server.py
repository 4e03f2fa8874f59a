"""uvicorn as it is run here: a socket that listens before it starts, an end with exit code 0, no silent connections."""

import asyncio
import importlib.util
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from inksweep.errors import InputError

# A connection on which no request has come, or only a part of its headers, is closed after this time.
SILENT_S = 20.0
# Of the first line and the headers of a request.
HEAD_BYTES = 64 * 1024


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Give a socket that listens, or raise InputError."""
    where = f"--host {host} --port {port}"
    if not 0 <= port <= 65535:  # looked up, it would become another one
        raise InputError(f"{where}: cannot be used (a port is from 0 to 65535); 0: any that is free")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
            reason = os.strerror(error.errno)  # Python's own text repeats the address
        raise InputError(
            f"{where}: cannot be used ({reason}); give another, or --port 0 for any that is free"
        ) from None
    with listener:
        # Of the connections too: the end of an answer does not wait until the client has acknowledged its beginning,
        # which clients put off for 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def address(host: str, port: int) -> str:
    """Return the URL of a server."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def protocol() -> type[asyncio.Protocol]:
    """Return what takes HTTP apart, httptools if it is installed, with a limit to the head of a request.

    h11 has a limit of its own; httptools takes headers as long as they come.
    """
    if importlib.util.find_spec("httptools"):
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as Whole
    else:
        from uvicorn.protocols.http.h11_impl import H11Protocol as Whole  # type: ignore[assignment]

    class Bounded(Whole):
        head = 0

        def data_received(self, data: bytes) -> None:
            last = self.cycle
            is_head = last is None or last.response_complete or not last.more_body
            super().data_received(data)
            if self.cycle is not last or not is_head:
                self.head = 0
                return
            self.head += len(data)
            if self.head > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    return Bounded


class Server(uvicorn.Server):
    """Ends with exit code 0 on SIGTERM and Ctrl-C, and closes connections on which nothing comes."""

    def __init__(self, app: ASGIApp, grace_s: float, started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            http=protocol(),
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(grace_s)),
        )
        super().__init__(config)
        self._say_started = started
        # Connections without a request under way: their last request, and since when it was seen to be over.
        self._silent: dict[Any, tuple[Any, float]] = {}

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on both signals; uvicorn's own would raise them again at the end, for another exit code."""
        if threading.current_thread() is not threading.main_thread():  # Python lets no other set handlers
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so: from here on a signal ends it with exit code 0."""
        await super().startup(sockets)
        self._say_started()

    async def on_tick(self, counter: int) -> bool:
        """Look after connections once a second; return whether to end."""
        if counter % 10 == 0:
            self._close_silent()
        return await super().on_tick(counter)

    def _close_silent(self) -> None:
        connections: list[Any] = list(self.server_state.connections)
        now, before, self._silent = time.monotonic(), self._silent, {}
        for each in connections:
            if each.cycle is not None and not each.cycle.response_complete:
                continue
            last, since = before.get(each, (None, now))
            since = since if last is each.cycle else now
            if now - since > SILENT_S:
                each.transport.close()
            else:
                self._silent[each] = each.cycle, since
