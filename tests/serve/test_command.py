"""`inksweep serve WINNER...` as a user types it: the address, the end, what is refused before it listens."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from inksweep import cli
from inksweep.serve.access import VARIABLE
from inksweep.serve.served import names
from tests.conftest import REPOSITORY
from tests.serve.conftest import digits, drawing

pytest.importorskip("onnx")
KEY = "a-key-of-16-signs"


@dataclass
class Running:
    """The command in a process of its own."""

    process: subprocess.Popen[str]
    first: str
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it; return its exit code and what it wrote to standard error."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


Serve = Callable[..., Running]


@pytest.fixture
def serve(tiny_onnx: Path) -> Iterator[Serve]:
    """`serve(words...)` starts the command on a tiny winner and a port that is free."""
    started = []

    def start(*words: str, winners: tuple[Path, ...] = (tiny_onnx,), **variables: str) -> Running:
        typed = [sys.executable, "-m", "inksweep", "serve", *map(str, winners), "--port", "0", *words]
        process = subprocess.Popen(
            typed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
        )
        started.append(process)
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"(http://\S+)/$", first)
        assert found, (first, process.communicate(timeout=60)[1])
        return Running(process, first, found.group(1))

    yield start
    for process in started:
        process.kill()
        process.communicate()


def refusal(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line on stderr of a command that ends with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["serve", *words])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    return said


def half_sent(running: Running, body: bytes) -> socket.socket:
    """Send the first half of a request to /v1/digits; return the connection when the server is at it."""
    connection = socket.create_connection(("127.0.0.1", running.port), timeout=30)
    head = f"POST /v1/digits HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    connection.sendall(head + body[: len(body) // 2])
    until = time.monotonic() + 30
    while "inksweep_requests_under_way 1.0" not in httpx.get(f"{running.url}/metrics").text:
        assert time.monotonic() < until
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_reads_and_at_the_end_answers_what_is_under_way(serve: Serve, number: int) -> None:
    running = serve()
    assert httpx.post(f"{running.url}/v1/read", content=drawing()).status_code == 200
    body = json.dumps({"pixels": digits(1, 2)}).encode()
    with half_sent(running, body) as connection:
        running.process.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(OSError):  # noqa: PT011  refused: it listens no more
            socket.create_connection(("127.0.0.1", running.port), timeout=5).close()
        connection.sendall(body[len(body) // 2 :])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"confidence") == 2
    _, said = running.process.communicate(timeout=60)
    assert (running.process.returncode, said) == (0, "")


def test_it_does_not_wait_longer_than_the_grace(serve: Serve) -> None:
    running = serve("--grace", "1")
    with half_sent(running, b"x" * 1000):
        began = time.monotonic()
        code, said = running.end()
    assert (code, time.monotonic() - began < 8) == (0, True)
    assert "Traceback" not in said


def test_it_listens_on_this_machine_only(serve: Serve) -> None:
    running = serve()
    assert running.url.startswith("http://127.0.0.1:")
    if sys.platform == "linux":  # where all of 127.0.0.0/8 leads here
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", running.port), timeout=5).close()


def test_several_winners_have_names_of_their_own(serve: Serve, tiny_onnx: Path) -> None:
    running = serve(winners=(tiny_onnx, tiny_onnx))
    found = [winner["name"] for winner in httpx.get(f"{running.url}/v1/winners").json()["winners"]]
    assert found == names([tiny_onnx, tiny_onnx])
    assert len(set(found)) == 2
    assert running.first.startswith(", ".join(found))


def test_names_are_those_of_studies_and_runs() -> None:
    paths = ["multirun/night/winner", "runs/night/model.pt", "accurate", "a/b.onnx", "multirun/night/winner"]
    assert names([Path(path) for path in paths]) == ["night", "night-2", "accurate", "b", "night-3"]


def test_a_line_for_each_request_only_if_wanted_and_no_content(serve: Serve) -> None:
    for words, expected in (([], ""), (["--verbose"], "POST /v1/read 200 ")):
        running = serve(*words)
        httpx.post(f"{running.url}/v1/read?winner=", files={"picture": ("secret-name.png", drawing())})
        httpx.post(f"{running.url}/v1/read", files={"picture": ("secret-name.png", drawing())})
        code, said = running.end()
        assert code == 0
        assert expected in said
        assert said.count("\n") == (2 if words else 0)
        assert "secret" not in said


def test_away_from_loopback_without_a_key_it_warns(serve: Serve) -> None:
    _, said = serve("--host", "0.0.0.0").end()
    assert said.count("\n") == 1
    assert said.startswith("warning: whoever reaches http://0.0.0.0:")
    assert serve("--host", "0.0.0.0", **{VARIABLE: KEY}).end() == (0, "")


def test_what_cannot_be_served_is_one_line(tiny_onnx: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    winner = str(tiny_onnx)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert f"--port {port}: cannot be used (Address already in use)" in refusal([winner, "--port", port], capsys)
    assert "--port 70000: cannot be used" in refusal([winner, "--port", "70000"], capsys)
    assert "--port -1: cannot be used" in refusal([winner, "--port", "-1"], capsys)
    assert "--host no.such.host" in refusal([winner, "--host", "no.such.host.invalid"], capsys)
    assert "gone" in refusal([str(tmp_path / "gone"), "--port", "0"], capsys)
    assert "--api-key-file" in refusal([winner, "--api-key-file", str(tmp_path / "gone")], capsys)
    (tmp_path / "model.onnx").write_bytes(b"no onnx")
    assert "model.onnx" in refusal([str(tmp_path), "--port", "0"], capsys)


def test_without_fastapi_the_line_says_how_to_get_it(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert "inksweep serve: fastapi is not installed; pip install" in refusal([str(tiny_onnx)], capsys)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom inksweep import cli\ntry: cli.main(['serve', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'fastapi', 'uvicorn', 'numpy', 'torch', 'scipy', 'PIL', 'onnxruntime', 'hydra', 'optuna'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300, stdout=subprocess.DEVNULL)


def test_it_serves_without_torch(tiny_onnx: Path) -> None:
    code = (
        "import sys\nfrom inksweep.serve import command\nfrom inksweep.opening import winner\n"
        f"winner.reader(__import__('pathlib').Path({str(tiny_onnx)!r}), 'x')\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_what_the_documentation_types_works(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (REPOSITORY / "docs" / "serving.md").read_text(encoding="utf-8")
    (tmp_path / "photo.png").write_bytes(drawing())
    (tmp_path / "key").write_text(KEY)
    running = serve()
    typed = re.findall(r"^curl .*", page, flags=re.MULTILINE)
    assert len(typed) == 4
    for line in typed:
        command = line.replace("http://127.0.0.1:8000", running.url)
        done = subprocess.run(
            ["bash", "-c", f"{command} --silent --fail"],
            cwd=tmp_path,
            env={**os.environ, VARIABLE: KEY},
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, line
        assert {"digits", "winners"} & set(json.loads(done.stdout)), line
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "http:" in text]
    exec(compile(block.replace("http://127.0.0.1:8000", running.url), "serving.md", "exec"), {})
    printed = capsys.readouterr().out
    assert len(json.loads(printed.replace("'", '"'))) == 5


@pytest.mark.full
def test_what_the_description_allows_and_forbids_is_answered_as_it_says(serve: Serve, tmp_path: Path) -> None:
    pytest.importorskip("schemathesis")
    running = serve()
    # A file is a picture or none whatever its description says: that it is refused is no fault.
    words = ["--exclude-checks", "positive_data_acceptance", "--max-examples", "20", "--seed", "1", "--no-color"]
    schemathesis = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [schemathesis, "run", f"{running.url}/openapi.json", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert "Tested: 6" in done.stdout
    assert running.end() == (0, "")
