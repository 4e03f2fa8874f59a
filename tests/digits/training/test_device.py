"""What a run asks of the machine for its tensors."""

import os
import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest

from inksweep.digits.training import device

# Frees and takes blocks as a training step does; prints the page faults of it, for each page of the blocks.
CODE = """
import resource, sys
import torch
from inksweep.digits.training import device

if "keep" in sys.argv:
    device.keep_freed_memory()
SIZE = 3_000_000

def step():
    blocks = [torch.ones(SIZE) for _ in range(3)]

for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    step()
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(faults / (10 * 3 * SIZE * 4 / resource.getpagesize()))
"""


def faults_a_page(*words):
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_memory_that_a_step_frees_is_kept_for_the_next_one():
    if faults_a_page() < 0.3:
        pytest.skip("this kernel gives memory in large pages, which cost few page faults")
    assert faults_a_page("keep") < 0.1


@pytest.mark.parametrize(("settings", "is_asked"), [({}, True), ({"MALLOC_TRIM_THRESHOLD_": "100000"}, False)])
def test_settings_in_the_environment_are_left_as_they_are(monkeypatch, settings, is_asked):
    asked = []
    library = SimpleNamespace(mallopt=lambda *values: asked.append(values))
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: library)
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    device.keep_freed_memory()
    assert bool(asked) is is_asked
