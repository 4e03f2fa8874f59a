"""The raw files of a data set, as people keep them: in torchvision's folders, in one folder, gzipped, renamed.

What a file is called here is its name in torchvision's folder, whatever it is called where it lies.
"""

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import plain
from inksweep.errors import InputError

IDX = ("images-idx3-ubyte", "labels-idx1-ubyte")
OF_MNIST = tuple(f"{part}-{kind}" for part in ("train", "t10k") for kind in IDX)
# Which files torchvision's classes read, below <Class>/raw; of EMNIST those of one split.
NAMES = {
    "MNIST": OF_MNIST,
    "FashionMNIST": OF_MNIST,
    "KMNIST": OF_MNIST,
    "EMNIST": tuple(f"emnist-{{split}}-{part}-{kind}" for part in ("train", "test") for kind in IDX),
    "QMNIST": tuple(f"qmnist-{part}-{kind}" for part in ("train", "test") for kind in (IDX[0], "labels-idx2-int")),
}


def class_name(conf: DataConfig) -> str:
    """Return the dotted name of the data set class.

    Raises:
        InputError: data.source names none.
    """
    target = plain(conf.source).get("_target_")
    if not isinstance(target, str):
        raise InputError(f"data.source={conf.source}: must have a _target_, the name of a data set class")
    return target


def short_name(conf: DataConfig) -> str:
    """Return the name of the data set class, which is that of its folder."""
    return class_name(conf).rpartition(".")[2]


def folder(root: Path, conf: DataConfig) -> Path:
    """Return the folder below `root` in which torchvision's classes keep their raw files."""
    return root / short_name(conf) / "raw"


def standard(root: Path, conf: DataConfig) -> list[Path]:
    """Return the files below `root` that lie as torchvision has them: `<Class>/raw/*` and `<class>.*`."""
    found = [*folder(root, conf).glob("*"), *root.glob(f"{short_name(conf).lower()}.*")]
    # EMNIST unpacks six splits side by side, 2 GB; we read one.
    split = plain(conf.source).get("split")
    wanted = f"-{split}-" if split else ""
    raw = (path for path in found if path.suffix not in (".gz", ".zip") and not path.name.startswith("."))
    return sorted(path for path in raw if wanted in path.name and _is_file(path))


def files(root: Path, conf: DataConfig) -> list[Path]:
    """Return the raw files of a data set that lie below `root`; fewer than it has, if they are not all there.

    They lie as torchvision has them; or, of torchvision's classes whose files are known by name, all in one folder:
    `<Class>/raw`, `<Class>`, `raw` or `root` itself. There each is as it is or gzipped, and may have a dot before
    `idx`, or a folder of its own name around it. The files of other classes are not found, and not checked again later.

    Raises:
        InputError: a folder or file may not be read.
    """
    found, names = standard(root, conf), _names(conf)
    if not names or {path.name for path in found} >= set(names):
        return found
    there = folder(root, conf)
    for place, is_of_it in ((there, True), (there.parent, True), (root / "raw", False), (root, False)):
        spelt = [path for name in names if (path := _spelt(place, name)) is not None]
        if len(spelt) == len(names) and (is_of_it or _is_ours(spelt, root, conf)):
            return sorted(spelt)
    return found


def is_laid_out(paths: list[Path], root: Path, conf: DataConfig) -> bool:
    """Whether the data set class finds the files `paths` as they lie below `root`."""
    is_known = bool(_names(conf))  # what other classes read is their own affair
    return not is_known or set(paths) <= {path for path in standard(root, conf) if path.name == known_as(path)}


def known_as(path: Path) -> str:
    """Return what the file `path` is called in torchvision's folder."""
    return path.name.removesuffix(".gz").replace(".idx", "-idx")


def lay_out(paths: list[Path], root: Path, conf: DataConfig) -> None:
    """Put files below the empty folder `root` as torchvision has them: links, and unpacked what is gzipped.

    Raises:
        InputError: a gzipped file is damaged.
        OSError: it cannot be written.
    """
    there = folder(root, conf)
    there.mkdir(parents=True)
    for path in paths:
        copy = there / known_as(path)
        if path.suffix == ".gz":
            with copy.open("wb") as file:
                for block in blocks(path):
                    file.write(block)
            continue
        try:
            copy.symlink_to(path.absolute())
        except (OSError, NotImplementedError):  # a system without links
            shutil.copyfile(path, copy)


def md5(path: Path) -> str:
    """Return the md5 of a raw file, of a gzipped one that of its content; read once while it stays as it is.

    Raises:
        InputError: it cannot be read, or is gzipped and damaged.
    """
    status = _asked(path, path.stat)
    return _md5(path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


@lru_cache(64)
def _md5(path: Path, as_it_is: tuple[int, ...]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for block in blocks(path):
        digest.update(block)
    return digest.hexdigest()


def blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a raw file in pieces, of a gzipped one unpacked.

    Raises:
        InputError: it cannot be read, or is gzipped and damaged.
    """
    opened: IO[Any] = _asked(path, partial(gzip.open, path) if path.suffix == ".gz" else partial(path.open, "rb"))
    with opened as content:
        while True:
            try:
                block = content.read(1 << 20)
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise InputError(f"{path}: is no whole gzip file ({error}): delete it and fetch it anew") from error
            except OSError as error:
                raise unreadable(path, error) from error
            if not block:
                return
            yield block


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a file below data.root that may not be read."""
    return InputError(f"{path}: cannot be read ({error.strerror or error}); give permission, or name another data.root")


def _asked(path: Path, ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except OSError as error:
        raise unreadable(path, error) from error


def _is_file(path: Path) -> bool:
    return bool(_asked(path, path.is_file))


def _names(conf: DataConfig) -> tuple[str, ...]:
    """Return the names of the files that are wanted; none if they are not known."""
    if not class_name(conf).startswith("torchvision."):
        return ()  # where it reads them is its own affair
    if conf.checksums:
        return tuple(conf.checksums)
    return tuple(name.format(split=plain(conf.source).get("split")) for name in NAMES.get(short_name(conf), ()))


def _spelt(place: Path, name: str) -> Path | None:
    dotted = name.replace("-idx", ".idx")
    for spelling in (name, f"{name}.gz", dotted, f"{dotted}.gz", f"{name}/{name}", f"{dotted}/{dotted}"):
        if _is_file(place / spelling):
            return place / spelling
    return None


def _is_ours(paths: list[Path], root: Path, conf: DataConfig) -> bool:
    """Whether files are of this data set, in a folder that does not say so: others have files of the same names.

    By the names of the folders above, or by their content; one of them may be damaged.
    """
    above = root.resolve()
    if short_name(conf) in (above.name, above.parent.name if above.name == "raw" else ""):
        return True
    return any(md5(path) == (conf.checksums or {}).get(known_as(path)) for path in paths)
