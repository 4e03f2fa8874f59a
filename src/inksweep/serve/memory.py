"""Memory that pictures take: bounded for all of them together, and given back to the system."""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Of a smaller picture the memory may as well be kept for the next.
LARGE_PIXELS = 4_000_000


class Pixels:
    """Room for the pixels of pictures that are unpacked at the same time; a thread waits until its picture has room.

    Args:
        most: for all of them together. A picture with more than that is unpacked alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """Take room for a picture of `count` pixels while it is read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + count <= self._most)
            self._taken += count
        try:
            yield
        finally:
            with self._changed:
                self._taken -= count
                self._changed.notify_all()
            if count >= LARGE_PIXELS:
                give_back()


def give_back() -> None:
    """Give memory that is free back to the system, where the C library keeps it otherwise (glibc)."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
