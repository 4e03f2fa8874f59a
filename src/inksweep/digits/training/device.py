"""On what a run computes: device, threads, number format. No other file asks torch or the machine for these."""

import ctypes
import os
import platform
from contextlib import AbstractContextManager, nullcontext, suppress

import torch

from inksweep.cores import threads_per_process
from inksweep.errors import InputError

# Names of glibc's malloc.h for mallopt(); the sizes are in bytes, and the second is the largest that it takes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 1 << 30, 32 << 20


def pick(name: str) -> torch.device:
    """Return the device for `auto`, `cpu`, `cuda` or `mps`; InputError if this machine has no such device."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, usable in available.items() if usable)
    if not available[name]:
        has = ", ".join(kind for kind, usable in available.items() if usable)
        raise InputError(f"trainer.device={name}: this machine has no such device that torch can use; it has: {has}")
    return torch.device(name)


def set_threads(threads: int | None, worth: int | None = None) -> int:
    """Let torch compute with this number of CPU threads; return the number.

    Args:
        threads: None: as many as OMP_NUM_THREADS says, which is how the slots of a sweep share the cores; without it,
            one a core that may be used.
        worth: how many the work is worth; no more than these unless `threads` says so. None: any number.
    """
    # Torch reads the variable itself, but only when it is imported: a slot imports torch before it is forked. And torch
    # does not know of quotas.
    available = threads_per_process()
    torch.set_num_threads(threads or min(available, worth or available))
    return torch.get_num_threads()


def keep_freed_memory() -> None:
    """Let the C library keep what a training step frees for the next one.

    glibc gives blocks of megabytes back to the kernel as soon as they are free, and the kernel fills each page of a new
    one with zeros: thousands of page faults a step, for a small CNN a sixth of its time (docs/speed.md). Other C
    libraries are left as they are, and so is one that the environment has settings for.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(AttributeError, OSError, TypeError):  # there is no mallopt, or no C library that can be asked
        library = ctypes.CDLL(None)
        library.mallopt(M_TRIM_THRESHOLD, KEPT)
        library.mallopt(M_MMAP_THRESHOLD, LARGEST)


def make_repeatable(device: torch.device, seed: int) -> None:
    """Seed torch's global generators and choose algorithms that give the same bits each time."""
    torch.manual_seed(seed)
    if device.type == "cuda":
        # cuBLAS is repeatable only with a workspace of fixed size, read when it starts.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        # Products of float32 are computed in TF32, with 10 bits behind the point: several times faster, and the same
        # bits each time. Of convolutions torch does so by itself.
        torch.set_float32_matmul_precision("high")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return the context of the forward pass: nothing for `float32`; for `bfloat16` and `float16`, torch's autocast."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, precision))


def describe(device: torch.device) -> str:
    """Return the device's name as its maker gives it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.processor() or platform.machine()})"


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether `error` means that the device or the machine had no memory left."""
    # The CPU allocator raises a RuntimeError, which only its words tell from others.
    worded = "can't allocate memory" in str(error) or "not enough memory" in str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and worded)
