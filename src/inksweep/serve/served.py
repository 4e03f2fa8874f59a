"""A winner that is served: its name, its classifier behind a batcher, and what reads pictures with that."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inksweep.reading.reader import Reader
from inksweep.serve.batching import Batcher
from inksweep.serve.limits import Traffic
from inksweep.serve.metrics import Metrics

# Names of files and folders that say nothing of whose winner it is.
NAMELESS = {"winner", "model.pt", "model.onnx"}


@dataclass(frozen=True)
class Served:
    """A winner that is served."""

    name: str
    reader: Reader
    batcher: Batcher

    @property
    def about(self) -> dict[str, object]:
        """What a client needs to know of it."""
        return {"name": self.name, "classes": self.reader.classes, "size": self.reader.size}


def serve(readers: dict[str, Reader], traffic: Traffic, metrics: Metrics) -> dict[str, Served]:
    """Return winners by name, each with a thread of its own that owns its classifier.

    Args:
        readers: what reads with each, by the winner's name; the first is the default.
        traffic: how many may ask.
        metrics: told of each forward.
    """
    served = {}
    for name, reader in readers.items():
        batcher = Batcher(reader.answer, traffic, metrics.forward_of(name))
        served[name] = Served(name, Reader(batcher.answer, reader.classes, reader.size), batcher)
    return served


def names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each winner, all different: that of its study or run, with a number where it comes again.

    >>> names([Path("multirun/night/winner"), Path("runs/night/model.pt"), Path("accurate")])
    ['night', 'night-2', 'accurate']
    """
    found: list[str] = []
    for path in paths:
        parts = [part for part in path.absolute().parts if part not in NAMELESS]
        name, number = parts[-1] if len(parts) > 1 else "winner", 1
        if name == path.name and path.suffix in (".pt", ".onnx"):
            name = path.stem
        wanted = name
        while name in found:
            number += 1
            name = f"{wanted}-{number}"
        found.append(name)
    return found
