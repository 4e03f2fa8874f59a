"""The socket that the service listens on."""

import socket

from inksweep.serve import server


def test_no_part_of_an_answer_waits_until_the_client_has_acknowledged_the_one_before():
    with server.listening("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
