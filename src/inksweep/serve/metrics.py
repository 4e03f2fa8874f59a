"""What `/metrics` says: counts and times in Prometheus' text format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter("inksweep_requests", "Answered requests.", ["path", "status"], registry=self._registry)
        self._seconds = Histogram(
            "inksweep_request_seconds", "From headers to answer.", ["path"], buckets=SECONDS, registry=self._registry
        )
        self._digits = Counter("inksweep_digits", "Digits that were classified.", ["winner"], registry=self._registry)
        self._batch = Histogram(
            "inksweep_batch_digits", "Digits of one forward.", ["winner"], buckets=SIZES, registry=self._registry
        )
        self._forward = Histogram(
            "inksweep_forward_seconds", "One forward.", ["winner"], buckets=SECONDS, registry=self._registry
        )

    def gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """Add a number that is looked up whenever somebody asks."""
        Gauge(f"inksweep_{name}", about, registry=self._registry).set_function(value)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def forward_of(self, winner: str) -> Callable[[int, int, float], None]:
        """Return what counts a forward of a winner's classifier: digits, requests, seconds."""
        digits, batch, forward = self._digits.labels(winner), self._batch.labels(winner), self._forward.labels(winner)

        def observe(count: int, requests: int, seconds: float) -> None:
            digits.inc(count)
            batch.observe(count)
            forward.observe(seconds)

        return observe

    def text(self) -> bytes:
        """Return all of them, in Prometheus' text format."""
        return generate_latest(self._registry)
