"""Raw files become prepared arrays: checked against the config, scaled, shuffled, and put in place under a lock.

`prepare` is the only door to a data set. When the prepared files are in order it reads nothing but their checksums:
torchvision, which takes seconds to import, is imported only where the raw files have to be read.
"""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from inksweep.digits.config.data import DataConfig
from inksweep.digits.data import raw, sources
from inksweep.digits.data.place import Unwritable, locked, private, staging, writing
from inksweep.digits.data.prepared import (
    SPLITS,
    Manifest,
    PreparedDir,
    RawFile,
    altered,
    damage,
    prepared_dir,
    prepared_facts,
    sha256,
    spare_dir,
)
from inksweep.errors import InputError, Unavailable
from inksweep.paths import spare_data, temporary

log = logging.getLogger(__name__)


def prepare(conf: DataConfig) -> PreparedDir:
    """Make sure that the prepared files of a data set exist and are what they were, and return their paths.

    They lie in data.root; where that may only be read, in the user's cache or in a folder for temporary files.

    Raises:
        InputError: the files cannot be had, were altered, or do not fit the config; the message names file or key.
    """
    prepared = prepared_dir(conf)
    if damage(prepared, conf) is None:
        return prepared
    try:
        return _made(prepared, conf, conf.folder)
    except Unwritable as refused:
        return _elsewhere(conf, str(refused))


def _elsewhere(conf: DataConfig, refusal: str) -> PreparedDir:
    """Prepare the raw files of a data.root that may only be read."""
    refusals = [f"data.root={conf.root}: cannot be written ({refusal})"]
    for place in spare_data():
        try:
            if place.parent == temporary():
                private(place.parent)
            prepared = spare_dir(conf, place)
            return prepared if damage(prepared, conf) is None else _made(prepared, conf, place)
        except Unwritable as refused:
            refusals.append(f"{place}: neither ({refused})")
        except Unavailable as missing:
            files = ", ".join(conf.checksums or ()) or "its files"
            raise InputError(
                f"{refusals[0]}, and {missing}: name another folder to fetch them into, or have {files} put into "
                f"{raw.folder(conf.folder, conf)}"
            ) from missing
    raise InputError(f"{'; '.join(refusals)}. Name a folder for what is prepared with INKSWEEP_CACHE")


def _made(prepared: PreparedDir, conf: DataConfig, place: Path) -> PreparedDir:
    """Prepare in the folder `place`, under its lock.

    Raises:
        Unwritable: it may not be written.
        Unavailable: it is not data.root, and the raw files are not there.
    """
    with locked(place):
        # Another process may have done the work while this one waited for the lock.
        fault = damage(prepared, conf)
        if fault is None:
            return prepared
        if os.path.exists(prepared.root):  # noqa: PTH110  pathlib's raises in a folder that may not be entered
            log.warning("%s: it is made again from the raw files", fault)
        for stale in place.glob(".staging-*"):
            shutil.rmtree(stale, ignore_errors=True)
        _build(prepared, conf, place)
    return prepared


def _build(prepared: PreparedDir, conf: DataConfig, place: Path) -> None:
    root = conf.folder
    # The md5 of when these files were first read, where they were; data.checksums counts more.
    before = Manifest.read(prepared.manifest)
    known = {raw.known_as(Path(file.path)): file.md5 for file in (before.raw if before else [])}
    expected = known | (conf.checksums or {})
    pictures = sources.obtain(conf, expected) if place == root else sources.here(conf, expected, place)
    read = [RawFile.seen(path, root) for path in raw.files(root, conf)]
    _check_verified(read, conf)
    with staging(place) as folder:
        staged = PreparedDir(folder)
        for split in SPLITS:
            images, labels = _shaped(*pictures[split], split, conf)
            with writing(place):
                np.save(staged.images(split), images, allow_pickle=False)
                np.save(staged.labels(split), labels, allow_pickle=False)
        with writing(place):
            sums = {path.name: sha256(path) for path in staged.arrays}
            prepared.root.mkdir(parents=True, exist_ok=True)
            for path in staged.arrays:
                path.replace(prepared.root / path.name)
            Manifest(prepared_facts(conf), sums, read).write(prepared.manifest)
    log.info("%s: prepared in %s%s", conf.name, prepared.root, "" if place == root else f"; {root} may only be read")


def _check_verified(read: list[RawFile], conf: DataConfig) -> None:
    """Check that every file data.checksums names was among those read, and is still the one named."""
    found = {raw.known_as(Path(file.path)): file for file in read}
    for name, md5 in (conf.checksums or {}).items():
        if name not in found:
            raise InputError(f"data.checksums.{name}: there is no such file in {raw.folder(conf.folder, conf)}")
        if found[name].md5 != md5:
            raise altered(conf.folder / found[name].path, found[name].md5, md5)


def _shaped(
    images: NDArray[np.uint8], labels: NDArray[np.int64], split: str, conf: DataConfig
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Check one split against the config; return images (n, size, size) uint8 and labels (n,) int64, train shuffled."""
    _check(images, labels, split, conf)
    if conf.transpose:
        images = images.transpose(0, 2, 1)
    if conf.fit is not None:
        images = _fitted(images, conf.fit, conf.size)
    if images.shape[1:] != (conf.size, conf.size):
        height, width = images.shape[1:]
        raise InputError(
            f"data.size={conf.size}: the pictures of {conf.name} are {height} x {width}; set data.fit to scale them"
        )
    if split == "train":
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(conf.split_seed)).numpy()
        images, labels = images[order], labels[order]
    return np.ascontiguousarray(images), labels.astype(np.int64)


def _check(images: NDArray[np.uint8], labels: NDArray[np.int64], split: str, conf: DataConfig) -> None:
    source, key = f"data.source._target_={raw.class_name(conf)}", f"{split}_images"
    if images.dtype != np.uint8 or images.ndim != 3:
        raise InputError(f"{source}: .data must be uint8 (n, h, w), is {images.dtype} {images.shape}")
    if len(images) != getattr(conf, key):
        raise InputError(f"data.{key}={getattr(conf, key)}: {conf.name} holds {len(images)} {split} pictures")
    if labels.shape != (len(images),):
        raise InputError(f"{source}: {len(images)} {split} pictures, but labels {labels.shape}")
    if labels.min() < 0 or labels.max() >= len(conf.classes):
        raise InputError(
            f"data.classes: {len(conf.classes)} names, but {conf.name} has labels {labels.min()} to {labels.max()}"
        )


def _fitted(images: NDArray[np.uint8], fit: int, size: int) -> NDArray[np.uint8]:
    """Scale (n, h, w) to fit x fit pixels and pad with background, centred, to (n, size, size)."""
    before = (size - fit) // 2
    after = size - fit - before
    # In pieces: as float32 the 240,000 digits of EMNIST would take 750 MB.
    pieces = torch.split(torch.from_numpy(images.copy()).unsqueeze(1), 4096)
    scaled = (
        functional.interpolate(piece.float(), (fit, fit), mode="bilinear", antialias=True).round_().clamp_(0, 255)
        for piece in pieces
    )
    padded = [functional.pad(piece.to(torch.uint8), (before, after, before, after)) for piece in scaled]
    return torch.cat(padded).squeeze(1).numpy()
