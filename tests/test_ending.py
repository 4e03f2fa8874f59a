"""A script that ends at once: what Python does at its end is done all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import atexit, sys, threading, time
from inksweep import ending

class Slow:
    def __del__(self):
        print("taken apart")

kept = Slow()
file = open("left_open.txt", "w")
file.write("all of it")
atexit.register(lambda: print("atexit"))
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
sys.stdout.write("said ")
if "fail" in sys.argv:
    sys.exit(3)
ending.at_once()
"""


def ended(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(SCRIPT)
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True, timeout=60)


def test_threads_exit_functions_and_open_files_are_seen_to(tmp_path: Path) -> None:
    done = ended(tmp_path, "script.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "said thread\natexit\n", "")
    assert (tmp_path / "left_open.txt").read_text() == "all of it"


def test_a_script_that_ends_otherwise_ends_as_ever(tmp_path: Path) -> None:
    done = ended(tmp_path, "script.py", "fail")
    assert (done.returncode, done.stdout) == (3, "said thread\natexit\ntaken apart\n")


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (("-m", "cProfile", "script.py"), "function calls"),
        (("-m", "script"), "taken apart"),
        (("-i", "script.py"), "taken apart"),
    ],
)
def test_whoever_runs_the_script_goes_on_after_it(tmp_path: Path, words: tuple[str, ...], goes_on: str) -> None:
    assert goes_on in ended(tmp_path, *words).stdout
