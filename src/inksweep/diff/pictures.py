"""The pictures that a finished run was measured on, from the prepared data set: without torch, and without Hydra.

A run says where its data set lay. What is found there counts only if its labels are, row by row, those that the run
has stored.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inksweep.errors import Unavailable
from inksweep.paths import RunDir, shown, spare_data
from inksweep.runs.reader import Run

Images = npt.NDArray[np.uint8]
# Settings that shape the prepared pictures; the manifest beside them names them.
SHAPING = ("transpose", "fit", "size", "split_seed", "train_images", "test_images")


def find(runs: Iterable[Run], split: str, labels: npt.NDArray[np.integer[Any]]) -> Images:
    """Return the pictures of a split (n, h, w), mapped into memory, not read.

    Args:
        runs: those measured on it; the first whose data set is there decides.
        split: `val` or `test`.
        labels: what these runs have stored, (n,).

    Raises:
        Unavailable: there is no such data set where these runs had it, nor below the current folder.
    """
    looked: dict[str, None] = {}
    for run in runs:
        roots = list(_roots(run))
        looked |= dict.fromkeys(map(shown, roots))
        for place in (*(root / "prepared" for root in roots), *spare_data()):
            for folder in _prepared(place, run):
                images = _images(folder, run, split)
                if images is not None and np.array_equal(images[1], labels):
                    return images[0]
    where = ", ".join(looked) or "no folder, as neither run says where it was"
    raise Unavailable(f"the data set is not there (looked for its prepared {split} pictures in {where})")


def _roots(run: Run) -> Iterator[Path]:
    """Yield where `data.root` may be: as seen from where the run was started, then from here."""
    root = run.settings.get("data.root")
    if isinstance(root, str):
        started_in = started_from(run.folder)
        root = os.path.expanduser(root)  # noqa: PTH111  ./~ is no home folder
        yield from dict.fromkeys(here / root for here in (started_in, Path.cwd()) if here is not None)


def started_from(folder: Path) -> Path | None:
    """Return the folder in which a run was started; None if it does not say."""
    # A winner has no Hydra settings of its own; the trials beside it were started in the same place.
    for hydra in (RunDir(folder).hydra, *sorted(folder.parent.glob("*/.hydra/hydra.yaml"))[:1]):
        try:
            text = hydra.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        # One line of two hundred: parsing all of them takes longer than all else here.
        if found := re.search(r"^  runtime:\n(?:    .*\n)*?    cwd: (.+)$", text, re.MULTILINE):
            import yaml

            try:
                path = yaml.safe_load(found[1])
            except yaml.YAMLError:
                continue
            if isinstance(path, str):
                return Path(path)
    return None


def _prepared(place: Path, run: Run) -> Iterator[Path]:
    """Yield the prepared folders in `place` that were shaped by the settings of `run`."""
    # One digest in data.root, two where prepared files lie if that may only be read.
    name = re.compile(re.escape(str(run.settings.get("data.name"))) + "(-[0-9a-f]{8}){1,2}")
    folders = [folder for folder in place.glob("*") if name.fullmatch(folder.name)]
    for folder in sorted(folders):
        try:
            facts = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["facts"]
            if all(facts[key] == run.settings[f"data.{key}"] for key in SHAPING):
                yield folder
        except (OSError, ValueError, KeyError, TypeError):  # not written to its end, or of another version
            continue


def _images(folder: Path, run: Run, split: str) -> tuple[Images, npt.NDArray[np.integer[Any]]] | None:
    """Return pictures and labels of a split as `data.load` cuts it; None if a file is damaged."""
    # The names are those of prepared.py, which would load Hydra.
    part = "test" if split == "test" else "train"
    try:
        images, labels = (
            np.load(folder / f"{part}-{what}.npy", mmap_mode="r", allow_pickle=False) for what in ("images", "labels")
        )
        if split == "val":
            first = run.settings["data.train_images"] - run.settings["data.val_size"]
            images, labels = images[first:], labels[first:]
    except (OSError, ValueError, EOFError, KeyError, TypeError):
        return None
    return (images, labels) if images.ndim == 3 and len(images) == len(labels) else None
