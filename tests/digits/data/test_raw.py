"""raw.py: the files of a data set are found as people keep them, and only where they are of that data set."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inksweep.digits.config.data import DataConfig
from inksweep.digits.data import raw
from inksweep.digits.data.arrays import prepare
from inksweep.errors import InputError
from tests.conftest import DIGITS, compose_config, tiny

RAW = DIGITS / "MNIST" / "raw"
NAMES = sorted(path.name for path in RAW.iterdir())
MD5 = {name: raw.md5(RAW / name) for name in NAMES}


def settings(root: Path, *overrides: str) -> DataConfig:
    """Return the tiny digits in `root`, verified by md5."""
    return replace(compose_config([*tiny(root), *overrides]).data, checksums=MD5)


def plain(file: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)


def zipped(file: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.with_name(f"{copy.name}.gz").write_bytes(gzip.compress(file.read_bytes()))


def dotted(file: Path, copy: Path) -> None:
    plain(file, copy.with_name(copy.name.replace("-idx", ".idx")))


def in_a_folder_of_its_name(file: Path, copy: Path) -> None:
    plain(file, copy / copy.name)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither mirrors nor npm: what is not found here is not had."""
    from torchvision.datasets import MNIST

    monkeypatch.setattr(MNIST, "mirrors", [])
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.parametrize("put", [plain, zipped, dotted, in_a_folder_of_its_name])
@pytest.mark.parametrize(
    ("root", "place"),
    [("data", "data/MNIST/raw"), ("data", "data/MNIST"), ("data", "data/raw"), ("data", "data"), ("MNIST/raw",) * 2],
)
def test_files_are_read_as_people_keep_them(
    tmp_path: Path, put: Callable[[Path, Path], None], root: str, place: str
) -> None:
    for name in NAMES:
        put(RAW / name, tmp_path / place / name)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    conf = settings(tmp_path / root)
    prepared = prepare(conf)
    pictures = np.load(prepared.images("test"), allow_pickle=False)
    assert pictures.tobytes() == (RAW / "t10k-images-idx3-ubyte").read_bytes()[16:]
    # They lie as they lay, nothing was left beside them, and each is watched from now on.
    assert {path: path.read_bytes() for path in before} == before
    assert {path.name for path in (tmp_path / root).iterdir() if path.name.startswith(".")} <= {".lock"}
    recorded = json.loads(prepared.manifest.read_text())["raw"]
    assert {raw.known_as(Path(file["path"])): file["md5"] for file in recorded} == MD5


def test_some_may_be_gzipped_and_others_not(tmp_path: Path) -> None:
    for name in NAMES:
        (plain if "labels" in name else zipped)(RAW / name, tmp_path / "MNIST" / "raw" / name)
    prepare(settings(tmp_path))


def test_a_file_beside_its_gzipped_form_is_the_one_that_counts(tmp_path: Path) -> None:
    for name in NAMES:
        plain(RAW / name, tmp_path / "MNIST" / "raw" / name)
        (tmp_path / "MNIST" / "raw" / f"{name}.gz").write_bytes(b"torchvision leaves it here")
    assert [path.name for path in raw.files(tmp_path, settings(tmp_path))] == NAMES
    prepare(settings(tmp_path))


def test_a_gzipped_file_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    for name in NAMES:
        zipped(RAW / name, tmp_path / name)
    harmed = tmp_path / "train-images-idx3-ubyte.gz"
    harmed.write_bytes(harmed.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: is no whole gzip file"):
        prepare(settings(tmp_path))
    # Whole, and of something else.
    zipped(RAW / "t10k-images-idx3-ubyte", tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz was altered"):
        prepare(settings(tmp_path))


def test_a_gzipped_file_that_was_exchanged_since_is_refused(tmp_path: Path) -> None:
    for name in NAMES:
        zipped(RAW / name, tmp_path / name)
    prepare(settings(tmp_path))
    zipped(RAW / "t10k-images-idx3-ubyte", tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz was altered"):
        prepare(settings(tmp_path))


@pytest.mark.parametrize("root", ["data", "MNIST"])
def test_files_of_the_same_names_are_of_this_set_only_where_something_says_so(tmp_path: Path, root: str) -> None:
    for name in NAMES:
        plain(RAW / name, tmp_path / root / name)
    # Without checksums only the folder's name can say so.
    conf = replace(settings(tmp_path / root), checksums=None)
    assert len(raw.files(conf.folder, conf)) == (4 if root == "MNIST" else 0)
    # Fashion-MNIST's files are called the same.
    other = replace(conf, source={"_target_": "torchvision.datasets.FashionMNIST"})
    assert raw.files(other.folder, other) == []
    # Checksums that none of them has: it is another set.
    foreign = replace(conf, checksums=dict.fromkeys(NAMES, "0" * 32))
    assert raw.files(foreign.folder, foreign) == raw.files(conf.folder, conf)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(tiny_root: Path) -> None:
    (tiny_root / "MNIST" / "raw" / NAMES[0]).chmod(0)
    with pytest.raises(InputError, match=rf"{NAMES[0]}: cannot be read \(Permission denied\)"):
        prepare(settings(tiny_root))
