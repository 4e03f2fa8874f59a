"""`inksweep serve WINNER...`: opens the winners, listens, and answers until Ctrl-C or SIGTERM."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from inksweep.opening import winner
from inksweep.reading.reader import Reader
from inksweep.serve import served, server
from inksweep.serve.access import VARIABLE, access, is_loopback
from inksweep.serve.house import House
from inksweep.serve.limits import MIB, Limits


@dataclass(frozen=True)
class Options:
    """How winners are served."""

    host: str = "127.0.0.1"
    # 0: any that is free.
    port: int = 8000
    key_file: Path | None = None
    # Further names of the server.
    allowed: list[str] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    # How long requests that are under way may take when the server is told to end.
    grace_s: float = 10.0
    # A line on standard error for each request.
    verbose: bool = False


def options(typed: argparse.Namespace) -> Options:
    """Return the options out of the words that were typed."""
    limits = Limits(
        body_bytes=typed.max_mib * MIB,
        pixels=typed.max_megapixels * 1_000_000,
        digits=typed.max_digits,
        requests=typed.max_requests,
        seconds=typed.timeout,
    )
    return Options(
        typed.host, typed.port, typed.api_key_file, typed.allow_host, limits, typed.grace, verbose=typed.verbose
    )


def run(paths: Sequence[Path], options: Options) -> None:
    """Serve winners until Ctrl-C or SIGTERM; requests that are under way then are still answered.

    Raises:
        InputError: a winner cannot be opened, or the host, port, key or a name cannot be used.
    """
    # One core computes a forward; the others read pictures and answer. Torch looks at this when it is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    allowed = access(options.host, options.allowed, options.key_file)
    with server.listening(options.host, options.port) as listener:
        names = served.names(paths)
        readers = {name: winner.reader(path, "inksweep serve") for name, path in zip(names, paths, strict=True)}
        _warm_up(readers)
        house = House(readers, allowed, options.limits)
        address = server.address(options.host, listener.getsockname()[1])

        def started() -> None:
            if not is_loopback(options.host) and not allowed.keys:
                line = f"warning: whoever reaches {address} may ask; --api-key-file or {VARIABLE} sets a key"
                print(line, file=sys.stderr, flush=True)
            print(f"{', '.join(names)}: {address}", flush=True)
            print("Nothing that is sent is kept. Ctrl-C ends it.", flush=True)

        _logs(options.verbose)
        server.Server(house.app, options.grace_s, started).run(sockets=[listener])
    house.end(options.grace_s)


def _warm_up(readers: dict[str, Reader]) -> None:
    """Read a stroke with each, so that the first who asks does not wait for imports and a first forward."""
    import numpy as np

    stroke = np.full((100, 100), 255, np.uint8)
    stroke[20:80, 45:55] = 0
    for reader in readers.values():
        reader.read(stroke)


def _logs(verbose: bool) -> None:
    """Say on standard error what goes wrong, and with `verbose` a line for each request."""
    logging.getLogger("inksweep.serve").setLevel(logging.DEBUG if verbose else logging.INFO)
    for name in ("asyncio", "python_multipart"):  # they warn of what a client does wrong
        logging.getLogger(name).setLevel(logging.ERROR)
