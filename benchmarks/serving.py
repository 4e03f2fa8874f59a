"""How much `inksweep serve` answers under load, beside a plain server with a forward for each request.

`python benchmarks/serving.py WINNER [--clients 64] [--seconds 60] [--turns 3]`: clients that each send one digit, wait
for the answer and send the next, to `/v1/digits` of one server and then of the other, in turn; then pictures to
`/v1/read` of ours. Prints requests a second, the median time of a request and that of the slowest hundredth, the
processor's time for one, errors, and the server's memory at the beginning and at the end. Exit code 1 if a request to
ours failed. `--torch`: both servers without the winner's ONNX file.
"""

import argparse
import asyncio
import io
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ROOT / "benchmarks" / "peers" / "plain_server.py"
# Before the clock: connections are made, and what is done once is done.
WARM_UP_S = 1.0


@dataclass
class Load:
    """What came of a load."""

    seconds: float = 0.0
    # Of each answered request, in seconds.
    times: list[float] = field(default_factory=list)
    errors: int = 0
    # Of the server, in MB: after the warm-up, and at the end.
    memory: tuple[float, float] = (0.0, 0.0)
    # Of the server's processor, in seconds.
    processor: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return len(self.times) / self.seconds

    def __str__(self) -> str:
        times = sorted(self.times)
        slowest = times[int(len(times) * 0.99)]
        return (
            f"{self.rate:9,.0f} requests/s, median {median(times) * 1e3:7.1f} ms, 99% within {slowest * 1e3:7.1f} ms, "
            f"{self.processor / len(self.times) * 1e3:.2f} ms of processor, {self.errors} errors, "
            f"memory {self.memory[0]:,.0f} -> {self.memory[1]:,.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Load on inksweep serve, beside a plain server.")
    parser.add_argument("winner", type=Path, help="a winner/ or run directory")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60, help="of each server, in all turns together")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--torch", action="store_true", help="both without the ONNX file")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serving-") as folder:
        winner = arguments.winner.resolve()
        if arguments.torch:
            ignored = shutil.ignore_patterns("*.onnx")
            winner = Path(shutil.copytree(winner, Path(folder) / winner.name, ignore=ignored))
        port_ours, port_plain = free_port(), free_port()
        ours_words = ["-m", "inksweep", "serve", str(winner), "--port", str(port_ours)]
        with (
            server(ours_words, port_ours) as ours,
            server([str(PLAIN), str(winner), str(port_plain)], port_plain) as plain,
        ):
            each_s = arguments.seconds / arguments.turns
            loads = {"ours": [], "plain": []}
            for turn in range(1, arguments.turns + 1):
                for name, process, port in (("plain", plain, port_plain), ("ours", ours, port_ours)):
                    load = asyncio.run(put(process, port, digit_requests(port), arguments.clients, each_s))
                    loads[name].append(load)
                    print(f"digits, turn {turn}, {name:5s} {load}", flush=True)
            ratio = median(a.rate / b.rate for a, b in zip(loads["ours"], loads["plain"], strict=True))
            print(f"ours / plain: {ratio:.2f}")
            pictures = asyncio.run(put(ours, port_ours, picture_requests(port_ours), arguments.clients, each_s))
            print(f"pictures, ours        {pictures}")
    sys.exit(1 if pictures.errors or any(load.errors for load in loads["ours"]) else 0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


@contextmanager
def server(words: list[str], port: int) -> Iterator[psutil.Process]:
    """Start a server, wait until it listens, and end it at last."""
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            if process.poll() is not None:
                sys.exit(f"{' '.join(words)}: ended with exit code {process.returncode}")
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def strokes(number: int) -> np.ndarray:
    """Return a picture, uint8 (28, 28), that is another one for each number."""
    pixels = np.zeros((28, 28), np.uint8)
    random = np.random.default_rng(number)
    left, top, width = random.integers(8, 13), random.integers(3, 6), random.integers(2, 4)
    pixels[top : top + 20, left : left + width] = random.integers(160, 256)
    pixels[top : top + width, left : left + random.integers(4, 9)] = 230
    return pixels


def digit_requests(port: int) -> list[bytes]:
    bodies = [json.dumps({"pixels": [strokes(number).tolist()]}).encode() for number in range(64)]
    return [request(port, "/v1/digits", "application/json", body) for body in bodies]


def picture_requests(port: int) -> list[bytes]:
    """Return requests with drawings, black on white, as a page sends them."""
    from PIL import Image

    found = []
    for number in range(16):
        drawing = np.full((300, 300), 255, np.uint8)
        drawing[10:290, 10:290] -= np.kron(strokes(number), np.ones((10, 10), np.uint8))
        buffer = io.BytesIO()
        Image.fromarray(drawing).save(buffer, "PNG")
        found.append(request(port, "/v1/read", "image/png", buffer.getvalue()))
    return found


def request(port: int, path: str, kind: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def put(process: psutil.Process, port: int, requests: list[bytes], clients: int, seconds: float) -> Load:
    """Put a load on a server for some time; return what came of it."""
    load = Load()
    begin = time.perf_counter() + WARM_UP_S
    until = begin + seconds
    tasks = [asyncio.create_task(client(port, requests, number, begin, until, load)) for number in range(clients)]
    await asyncio.sleep(WARM_UP_S)
    before, began = process.memory_info().rss / 1e6, process.cpu_times()
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - begin
    ended = process.cpu_times()
    load.processor = ended.user + ended.system - began.user - began.system
    load.memory = before, process.memory_info().rss / 1e6
    return load


async def client(port: int, requests: list[bytes], number: int, begin: float, until: float, load: Load) -> None:
    """Send requests over one connection, one after the other, until the time is over."""
    loop = asyncio.get_running_loop()
    while time.perf_counter() < until:
        over = loop.create_future()
        made = Client(requests, number, (begin, until), load, over)
        await loop.create_connection(lambda made=made: made, "127.0.0.1", port)
        await over


class Client(asyncio.Protocol):
    """One connection. Bare, because clients and servers share the processor cores."""

    def __init__(
        self, requests: list[bytes], number: int, times: tuple[float, float], load: Load, over: asyncio.Future
    ) -> None:
        self.requests, self.number, self.load, self.over = requests, number, load, over
        self.begin, self.until = times
        self.answer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.sent = time.perf_counter()
        if self.sent >= self.until:
            self.over.set_result(None)
            self.transport.close()
            return
        self.number += 1
        self.transport.write(self.requests[self.number % len(self.requests)])

    def data_received(self, data: bytes) -> None:
        self.answer += data
        head, end, body = self.answer.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.load.errors += 1
        elif self.sent >= self.begin:
            self.load.times.append(time.perf_counter() - self.sent)
        self.answer = b""
        self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.load.errors += 1
            self.over.set_result(None)


if __name__ == "__main__":
    main()
