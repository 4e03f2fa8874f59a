"""streams.py: a command ends well, and its files are whole, whatever is behind its standard streams."""

import subprocess
import sys
from pathlib import Path

import pytest

# Shows a letter that ASCII lacks, also through a library below Python, and writes a file that is the first one opened.
COMMAND = """
import logging, os, sys
from inksweep.errors import one_line_errors
with one_line_errors():
    file = open("model", "w", encoding="utf-8")
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    for number in range(1000):
        logging.info("line %d \\u2605", number)
    print("error \\u2605", file=sys.stderr)
    sys.stdout.flush()
    os.write(1, b"from below\\n")
    os.write(2, b"from below\\n")
    input_ = sys.stdin.read()
    file.write("whole")
    file.close()
    sys.exit(int(sys.argv[1]))
"""
LOST = "error: standard output: No space left on device; what was to be shown is lost, the files are written"


def run(folder: Path, redirections: str, code: int = 0, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a shell, with redirections as they are typed; `status` has how it ended."""
    script = f'"$0" -c "$1" {code} {redirections}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(
        ["bash", "-c", script, sys.executable, COMMAND],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path)), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("redirections", "code"),
    [
        ("", 0),
        (">&-", 0),
        ("2>&-", 0),
        ("<&-", 0),
        (">&- 2>&- <&-", 0),
        ("| head -n 1", 0),
        ("2>/dev/full", 0),
        ("2>&1 | head -n 1", 0),
        (">/dev/full 2>&1", 2),
        (">/dev/full", 2),
    ],
)
def test_a_stream_that_is_closed_or_full_is_not_missed(redirections: str, code: int, tmp_path: Path) -> None:
    if "/dev/full" in redirections and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = run(tmp_path, redirections)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Logging error" not in done.stderr
    assert (LOST in done.stderr) == (redirections == ">/dev/full")
    assert (tmp_path / "model").read_text() == "whole"


def test_an_error_is_not_hidden_by_a_full_disk(tmp_path: Path) -> None:
    done = run(tmp_path, ">/dev/full", code=3)
    assert (done.returncode, LOST in done.stderr) == (3, False)


@pytest.mark.parametrize(
    ("environment", "star"),
    [
        ({"PYTHONIOENCODING": "utf-8"}, "\u2605"),
        ({"PYTHONIOENCODING": "ascii"}, r"\u2605"),
        ({"PYTHONIOENCODING": "latin-1"}, r"\u2605"),
        ({"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, r"\u2605"),
        ({"LC_ALL": "POSIX"}, "\u2605"),
    ],
)
def test_what_a_terminal_cannot_show_is_shown_by_its_number(
    environment: dict[str, str], star: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "", **environment)
    assert done.stdout.splitlines()[-2:] == [f"line 999 {star}", "from below"]
    assert done.stderr.splitlines() == [f"error {star}", "from below"]
