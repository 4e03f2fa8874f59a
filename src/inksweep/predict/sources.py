"""Which pictures are meant: files, folders, patterns, standard input."""

import glob
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inksweep.errors import InputError
from inksweep.paths import typed
from inksweep.reading.picture import MAX_BYTES

STANDARD_INPUT = "-"
# Files of a folder that are pictures, by the ends of their names, in any case.
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


@dataclass(frozen=True)
class Source:
    """A picture to be read, or a word that stands for none."""

    # As it was typed, or found in what was typed.
    name: str
    # None: standard input.
    file: Path | None = None
    # Why a word stands for none.
    refused: InputError | None = None

    def content(self) -> Path | bytes:
        """Return what `Reader.read` takes.

        Raises:
            InputError: there is no picture, or what comes on standard input is larger than one may be.
        """
        if self.refused is not None:
            raise self.refused
        if self.file is not None:
            return self.file
        content = sys.stdin.buffer.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"standard input: more than {MAX_BYTES:,} bytes; make the picture smaller")
        return content


def find(words: Sequence[str]) -> list[Source]:
    """Return the pictures that `words` stand for, in their order, none twice; a word without one says why.

    Args:
        words: each a file, a folder (the pictures in it and in folders below it, by name), a pattern such as
            `photos/*/7*.jpg`, or `-`.
    """
    found: dict[str, Source] = {}
    for word in words:
        try:
            for source in _of(word):
                # Of a link, what it is called and not where it leads.
                key = source.name if source.file is None else os.path.abspath(source.file)  # noqa: PTH100
                found.setdefault(key, source)
        except InputError as error:
            found.setdefault(word, Source(word, refused=error))
    return list(found.values())


def _of(word: str) -> list[Source]:
    if word == STANDARD_INPUT:
        return [Source(word)]
    path = typed(word)
    if path.is_dir():
        return _in(path)
    if os.path.lexists(path):
        return [Source(str(path), path)]
    files = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207  it may be absolute
    files = [file for file in files if file.is_file()]
    if not files:
        raise InputError(f"{word}: {'no file is called so' if glob.has_magic(word) else 'no such file'}")
    return [Source(str(file), file) for file in files]


def _in(folder: Path) -> list[Source]:
    """Return the pictures in a folder and those below it; what is hidden, and folders behind links, are left out."""
    found: list[Source] = []

    def refuse(error: OSError) -> None:
        refused = InputError(f"{error.filename}: cannot be read ({error.strerror})")
        found.append(Source(str(error.filename), refused=refused))

    for here, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(filter(_is_picture, files)):
            file = Path(here, name)
            found.append(Source(str(file), file))
    if not found:
        raise InputError(f"{folder}: there is no picture in it ({', '.join(ENDINGS)})")
    return found


def _is_picture(name: str) -> bool:
    return name.lower().endswith(ENDINGS) and not name.startswith(".")
