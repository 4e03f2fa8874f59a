"""The prepared form of a data set: four .npy files that a run maps into memory, and a manifest with their checksums.

They lie in `<data.root>/prepared/<name>-<digest>/`, where the digest is of everything that shaped them. So a folder of
a given name only ever has one content: two runs with different settings never write over each other's files, and a
file that is already mapped stays what it was. This room knows files and checksums, not where pictures come from.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from inksweep.digits.config.data import DataConfig
from inksweep.digits.config.parse import plain
from inksweep.digits.data import raw
from inksweep.errors import InputError
from inksweep.files import write_json

# Raise it when the code below or in arrays.py shapes the same settings into other bytes.
FORMAT = 1
SPLITS = ("train", "test")


@dataclass(frozen=True)
class PreparedDir:
    """Paths of the prepared files; images are uint8 (n, size, size), labels int64 (n,), the same row the same digit.

    The rows of `train` are already in the order that `data.split_seed` gives: validation is a slice off their end.
    """

    root: Path

    def images(self, split: str) -> Path:
        """Pictures of `train` or `test`."""
        return self.root / f"{split}-images.npy"

    def labels(self, split: str) -> Path:
        """Labels of `train` or `test`."""
        return self.root / f"{split}-labels.npy"

    @property
    def manifest(self) -> Path:
        """What the files are, written last: without it they do not count."""
        return self.root / "manifest.json"

    @property
    def arrays(self) -> list[Path]:
        """The four array files."""
        return [path for split in SPLITS for path in (self.images(split), self.labels(split))]


@dataclass(frozen=True)
class RawFile:
    """A file that prepared files were made from, as it was then."""

    # Relative to data.root.
    path: str
    # Of the gzipped file, if it is one; the md5 is that of its content.
    size: int
    mtime_ns: int
    md5: str

    @classmethod
    def seen(cls, path: Path, root: Path) -> "RawFile":
        """Describe the file `path` below `root`."""
        status = path.stat()
        return cls(path.relative_to(root).as_posix(), status.st_size, status.st_mtime_ns, raw.md5(path))


@dataclass(frozen=True)
class Manifest:
    """What a prepared folder holds: the settings that shaped it, its files' sha256, the raw files it was made from."""

    facts: dict[str, Any]
    sha256: dict[str, str]
    raw: list[RawFile]

    @classmethod
    def read(cls, path: Path) -> "Manifest | None":
        """Return the manifest at `path`, or None if there is none that can be read."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(content["facts"], content["sha256"], [RawFile(**file) for file in content["raw"]])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        write_json(path, asdict(self))


def prepared_facts(conf: DataConfig) -> dict[str, Any]:
    """Return every setting that the prepared bytes depend on, as JSON values."""
    return {
        "format": FORMAT,
        "source": plain(conf.source),
        "transpose": conf.transpose,
        "fit": conf.fit,
        "size": conf.size,
        "train_images": conf.train_images,
        "test_images": conf.test_images,
        "classes": len(conf.classes),
        "split_seed": conf.split_seed,
    }


def prepared_dir(conf: DataConfig) -> PreparedDir:
    """Return the folder for these settings, whether it exists or not."""
    facts = json.dumps(prepared_facts(conf), sort_keys=True).encode()
    return PreparedDir(conf.folder / "prepared" / f"{conf.name}-{hashlib.sha256(facts).hexdigest()[:8]}")


def spare_dir(conf: DataConfig, place: Path) -> PreparedDir:
    """Return the folder below `place` for these settings and the raw files that are there now.

    Its name also says what is in the raw files: at the path of this data.root another data set may lie tomorrow, or in
    another container. Of a class that keeps its files elsewhere, the path has to do.
    """
    found = raw.files(conf.folder, conf)
    content = [[raw.known_as(path), raw.md5(path)] for path in found] or str(conf.folder.resolve())
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
    return PreparedDir(place / f"{prepared_dir(conf).root.name}-{digest}")


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damage(prepared: PreparedDir, conf: DataConfig) -> str | None:
    """Say what is wrong with the prepared files, in a few words that name the file; None: they may be used.

    Raises:
        InputError: a raw file is no longer what the prepared files were made from, or not what data.checksums wants.
    """
    manifest = Manifest.read(prepared.manifest)
    if manifest is None or manifest.facts != prepared_facts(conf):
        return f"{prepared.manifest} cannot be read" if _exists(prepared.manifest) else f"{prepared.root} is not there"
    for file in manifest.raw:
        _check_unchanged(file, conf.folder, conf.checksums or {})
    for path in prepared.arrays:
        # sha256: processors have an instruction for it, 55 MB cost 0.05 s; md5 would cost twice that.
        try:
            is_whole = sha256(path) == manifest.sha256.get(path.name)
        except OSError:  # gone, or another user's
            is_whole = False
        if not is_whole:
            return f"{path} is missing or damaged"
    return None


def _exists(path: Path) -> bool:
    # pathlib's raises in a folder that may not be entered
    return os.path.exists(path)  # noqa: PTH110


def _check_unchanged(file: RawFile, root: Path, checksums: dict[str, str]) -> None:
    path = root / file.path
    expected = checksums.get(raw.known_as(path), file.md5)
    if file.md5 != expected:
        raise altered(path, file.md5, expected)
    try:
        status = path.stat()
    except OSError:
        return  # the prepared files are enough
    # Reading it is only worth it when it was touched.
    if (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns):
        return
    found = raw.md5(path)
    if found != expected:
        raise altered(path, found, expected)


def altered(path: Path, found: str, expected: str) -> InputError:
    """Return the error for a raw file whose md5 is not the expected one."""
    return InputError(
        f"{path} was altered or truncated (md5 {found}, expected {expected}): delete it and run again to fetch it anew"
    )
