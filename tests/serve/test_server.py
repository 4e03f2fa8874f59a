"""server.py: the socket that it listens on, and silent connections. How it starts and ends: test_command.py."""

import socket
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
