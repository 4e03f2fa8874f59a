"""`inksweep export`: a saved model as a file for other programs, and what was found out about it."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inksweep.digits import export
from inksweep.errors import InputError
from inksweep.paths import shown


def run(folder: Path, overrides: Sequence[str], formats: Sequence[str], out: Path | None = None) -> None:
    """Write the model of a run or a winner in each format, and print size, agreement with torch and latency.

    Exits with code 1 if a file does not answer as torch does: then it is not written.

    Args:
        folder: a run directory or a winner.
        overrides: settings, such as `data.root=/elsewhere`.
        formats: names of formats; one that is named twice is written once.
        out: the file, for one format; None: `model.onnx` or `model.pt2` in the folder.

    Raises:
        InputError: the folder, a setting or a format cannot be used, or an extra is not installed.
    """
    wanted = list(dict.fromkeys(formats))
    if out and len(wanted) > 1:
        raise InputError(f"--out {out}: is one file; give one --format with it")
    for name in wanted:
        try:
            done = export.export(folder, [name], overrides, out)[name]
        except export.Mismatch as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        for line in lines(folder, done):
            print(line)


def lines(folder: Path, done: dict[str, Any]) -> list[str]:
    """Put an entry of `export.json` into words: the file, how far it agrees with torch, and how fast it is."""
    checked, timed = done["checked"], done["latency_ms"]["batch_1"]
    engine, exported_ms, torch_ms = next((key, value, timed["torch"]) for key, value in timed.items())
    version = f", opset {done['opset']}" if done["opset"] else ""
    return [
        f"{shown(folder / done['file'])}: {done['bytes'] / 1e6:.2f} MB{version}",
        f"  {checked['pictures']:,} test pictures: {engine} and torch give the same class on all, "
        f"probabilities within {checked['largest_difference']:.1g}",
        f"  one picture on one thread: {engine} {exported_ms:.3f} ms, torch {torch_ms:.3f} ms "
        f"({torch_ms / exported_ms:.1f} times as fast)",
    ]
