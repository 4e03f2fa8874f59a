"""The app with all that it needs: winners, threads that read pictures, metrics, the guard."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp

from inksweep.cores import usable_cores
from inksweep.reading.reader import Reader
from inksweep.serve import routes, served, static
from inksweep.serve.access import Access
from inksweep.serve.guard import Guard
from inksweep.serve.limits import Limits, Traffic
from inksweep.serve.memory import Pixels
from inksweep.serve.metrics import Metrics
from inksweep.serve.routes import Room


class House:
    """What is served.

    Args:
        readers: what reads with each winner, by its name; the first is the default.
        access: who may ask.
        limits: what is too much.
    """

    def __init__(self, readers: dict[str, Reader], access: Access, limits: Limits) -> None:
        import inksweep

        traffic, metrics = Traffic(), Metrics()
        self._served = served.serve(readers, traffic, metrics)
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="picture")
        metrics.gauge("requests_under_way", "Requests to /v1/ without an answer.", lambda: traffic.requests)
        metrics.gauge("bodies_bytes", "Of their bodies, held in memory.", lambda: traffic.body_bytes)
        room = Room(self._served, self._threads, Pixels(2 * limits.pixels), traffic, limits, metrics)
        inner = routes.app(room, inksweep.__version__, with_key=bool(access.keys))
        paths = {*static.add(inner), *inner.openapi()["paths"], "/docs", "/docs.css", "/openapi.json"}
        self.app: ASGIApp = Guard(
            inner, access, limits, traffic, metrics, paths=paths, direct={("POST", "/v1/digits"): routes.direct(room)}
        )

    def end(self, wait_s: float = 1.0) -> None:
        """Let its threads end; a picture that takes longer than `wait_s` is given up with the whole process."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for each in self._served.values():
            each.batcher.close()
        until = time.monotonic() + wait_s
        threads = [thread for thread in self._threads._threads if thread.is_alive()]
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        for each in self._served.values():
            each.batcher.join(max(0.1, until - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            # Python would wait for them at its end.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
