"""server.py: the socket that it listens on, and silent connections. How it starts and ends: test_command.py."""

import socket
import threading
from contextlib import suppress
from types import SimpleNamespace

import pytest

from inksweep.serve import server
from inksweep.serve.server import Server


class Connection:
    """A connection as uvicorn keeps it: the last request on it, and the transport."""

    def __init__(self, cycle: object) -> None:
        self.cycle = cycle
        self.transport = self
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_only_connections_on_which_no_request_comes_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(server.time, "monotonic", lambda: now)
    made = Server(lambda *_: None, 1.0, lambda: None)
    over, under_way = SimpleNamespace(response_complete=True), SimpleNamespace(response_complete=False)
    silent, done, busy, lively = Connection(None), Connection(over), Connection(under_way), Connection(None)
    made.server_state.connections = {silent, done, busy, lively}
    for second in range(30):
        now = float(second)
        lively.cycle = SimpleNamespace(response_complete=True)  # another request each second
        made._close_silent()
        assert silent.is_closed == done.is_closed == (second > server.SILENT_S)
    assert not busy.is_closed
    assert not lively.is_closed


def test_no_part_of_an_answer_waits_until_the_client_has_acknowledged_the_one_before() -> None:
    with server.listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("begin", [b"GET /", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nx: "])
def test_the_head_of_a_request_has_an_end(begin: bytes) -> None:
    async def app(scope: dict[str, object], receive: object, send: object) -> None:
        raise AssertionError("it never gets there")

    with server.listening("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        made = Server(app, 1.0, lambda: None)
        thread = threading.Thread(target=made.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        sent = 0
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(begin)
            with suppress(OSError):  # reset, or a broken pipe
                while sent < 50_000_000:
                    sent += connection.send(b"y" * 10_000)
        made.should_exit = True
        thread.join(10)
    assert sent < 20_000_000  # what the system has buffered counts too
