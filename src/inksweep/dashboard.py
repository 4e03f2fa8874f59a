"""`inksweep dashboard SWEEP`: optuna-dashboard on the study of a sweep, also while it runs; it changes nothing."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna

from inksweep.errors import InputError, need_extra
from inksweep.sweep.study import reader

HOST = "127.0.0.1"
# What a browser calls this machine, or the near end of an ssh tunnel. A page elsewhere whose name leads here (DNS
# rebinding) could otherwise read the study.
NAMES = {HOST, "localhost"}

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def serve(folder: Path, port: int, storage: str | None = None) -> None:
    """Serve the dashboard of a sweep on loopback until Ctrl-C.

    Args:
        folder: the sweep directory.
        port: 0 takes any that is free.
        storage: URL of its database, where the sweep directory does not tell all of it.

    Raises:
        InputError: there is no such study, optuna-dashboard is not installed, or the port cannot be used.
    """
    need_extra("inksweep dashboard", "dashboard")
    from optuna_dashboard import wsgi  # type: ignore[import-untyped]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = reader.look(reader.find(folder, storage))
    # A study does not give away its storage and number in public: without them the dashboard has nothing to show, and
    # the address cannot lead to the study.
    try:
        server = make_server(HOST, port, guarded(wsgi(study._storage)), server_class=_Server, handler_class=_Quiet)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--port {port}: cannot be used ({reason}); give another, or 0 for any that is free") from None
    with server:
        print(f"dashboard: http://{HOST}:{server.server_port}/dashboard/studies/{study._study_id}", flush=True)
        print("It shows the study and changes nothing. Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def guarded(app: WsgiApp) -> WsgiApp:
    """Return `app` without what would change a study that a sweep relies on, for browsers that mean this machine."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def refuse(status: str, reason: str) -> list[bytes]:
            start_response(status, [("Content-Type", "application/json")])
            return [json.dumps({"reason": reason}).encode()]

        if environ.get("HTTP_HOST", "").partition(":")[0] not in NAMES:
            return refuse("403 Forbidden", f"open this page as http://{HOST}:{environ['SERVER_PORT']}/")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return refuse("405 Method Not Allowed", "inksweep dashboard shows the study and changes nothing")
        return app(environ, start_response)

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several requests at a time; Ctrl-C does not wait for them (`daemon_threads`)."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing."""
