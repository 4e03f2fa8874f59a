"""The process that workers are forked from: when it can be, and what its workers do not share."""

import subprocess
import sys

import pytest

from inksweep.sweep.job import fork_server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")


def run(code):
    """Run `code` in a process of its own; return what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout


# Forks, and prints from the child.
IN_CHILD = """
import os, sys
from inksweep.sweep.job import fork_server
def in_child(function):
    sys.stdout.flush()
    if os.fork() == 0:
        print(function())
        sys.stdout.flush()
        os._exit(0)
    os.wait()
"""


def test_a_process_that_has_done_nothing_can_be_forked():
    # In a process of its own: another test may have trained in this one.
    assert run(f"{IN_CHILD}print(fork_server.why_not_fork(1))").strip() == "None"


@pytest.mark.parametrize(
    ("threads", "said"), [(2, "the script has computed with several threads before it called its main"), (1, "None")]
)
def test_threads_of_openmp_that_a_fork_lacks_are_noticed(threads, said):
    pytest.importorskip("torch")
    out = run(f"""{IN_CHILD}
import torch
torch.set_num_threads(2)
torch.randn(400, 400) @ torch.randn(400, 400)
torch.randn(1000000).sin().sum()
in_child(lambda: fork_server.why_not_fork({threads}))
""")
    assert out.strip() == said


def test_a_script_that_has_trained_is_not_forked():
    pytest.importorskip("torch")
    # With a device other than the CPU each backward starts threads; without one, those that follow an export do.
    export = "torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),))"
    trained = f"import torch\n{export}\ntorch.ones(2, requires_grad=True).sum().backward()\n"
    out = run(f"{IN_CHILD}{trained}in_child(lambda: fork_server.why_not_fork(1))")
    assert out.strip() == "the script has trained with PyTorch before it called its main"


def test_torch_that_is_only_imported_can_be_forked():
    pytest.importorskip("torch")
    assert run(f"{IN_CHILD}import torch\nin_child(lambda: fork_server.why_not_fork(2))").strip() == "None"


def test_a_script_that_has_used_cuda_is_not_forked(monkeypatch, tmp_path):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    # Another test may have trained in this process.
    monkeypatch.setattr(fork_server, "_works", lambda task: True)
    # It has looked for a GPU, in vain.
    monkeypatch.setattr(fork_server, "GPU_FILES", (str(tmp_path / "none"),))
    assert fork_server.why_not_fork(1) is None
    monkeypatch.setattr(fork_server, "GPU_FILES", (str(tmp_path),))
    assert fork_server.why_not_fork(1) == "the script has used CUDA before it called its main"


@pytest.mark.parametrize(("seed", "are_equal"), [("", False), ("numpy.random.seed(3)", True)])
def test_workers_draw_different_numbers_unless_the_script_has_seeded(seed, are_equal):
    out = run(f"""{IN_CHILD}
import numpy
{seed}
def draw():
    fork_server._draw_anew()
    return numpy.random.rand()
in_child(draw)
in_child(draw)
""").split()
    assert (out[0] == out[1]) is are_equal


def test_locks_of_the_sweep_are_not_held_by_what_is_forked(tmp_path):
    out = run(f"""{IN_CHILD}
import fcntl
lock = open({str(tmp_path / "lock")!r}, "w")
fcntl.flock(lock, fcntl.LOCK_EX)
plain = open({str(tmp_path / "plain")!r}, "w")
def look():
    fork_server._let_go_of_locks()
    lock.close()
    return os.readlink(f"/proc/self/fd/{{plain.fileno()}}")
in_child(look)
read, write = os.pipe()
if os.fork() == 0:
    fork_server._let_go_of_locks()
    os.read(read, 1)
    os._exit(0)
lock.close()
other = open({str(tmp_path / "lock")!r}, "w")
import time
for _ in range(500):
    try:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
        break
    except BlockingIOError:
        time.sleep(0.01)
os.write(write, b"x")
os.wait()
""")
    assert out.split() == [str(tmp_path / "plain"), "free"]
