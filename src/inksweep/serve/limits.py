"""What one server takes on, and what it has taken on at this moment."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What is too much. A request beyond it is refused; the others go on."""

    # Of one body, as it arrives.
    body_bytes: int = 32 * MIB
    # Of one picture, as it is when it is unpacked.
    pixels: int = 50_000_000
    # In one request to /v1/digits.
    digits: int = 4096
    # Requests to /v1/ at a time: those that are computed and those that wait for it.
    requests: int = 256
    # From the headers of a request to the end of its answer.
    seconds: float = 30.0

    @property
    def bodies_bytes(self) -> int:
        """Of all bodies that are held in memory at a time: eight of the largest."""
        return 8 * self.body_bytes


@dataclass
class Traffic:
    """What is under way. Only the event loop's thread changes requests and bytes; others read."""

    # Requests to /v1/.
    requests: int = 0
    # Of their bodies, as far as they have arrived.
    body_bytes: int = 0
    # Those of them that may ask a classifier at any moment: a picture that waits for a thread is none of these.
    askers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Count a request as an asker; from any thread."""
        with self._lock:
            self.askers += 1
        try:
            yield
        finally:
            with self._lock:
                self.askers -= 1
