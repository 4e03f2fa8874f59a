"""arrays.py: where a data.root may only be read, what is prepared goes elsewhere, and two data sets never mix."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import execution_whitelist

from inksweep import paths
from inksweep.digits.config.data import DataConfig
from inksweep.digits.data.arrays import prepare
from inksweep.digits.data.prepared import PreparedDir, prepared_dir
from inksweep.errors import InputError
from tests.conftest import REPOSITORY, compose_config, tiny


def settings(root: Path) -> DataConfig:
    return compose_config(tiny(root)).data


def refuse(root: Path) -> None:
    """Let nothing be prepared in `root`, whoever the user is: root may write where others may not."""
    (root / ".lock").mkdir(parents=True)


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, and a folder for temporary files, of this test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def only_read(tiny_root: Path, cache: Path) -> DataConfig:
    """Settings of digits whose folder may only be read."""
    refuse(tiny_root)
    return settings(tiny_root)


def test_what_is_prepared_goes_to_the_cache_and_is_found_there(
    only_read: DataConfig, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    before = below(only_read.folder)
    prepared = prepare(only_read)
    assert prepared.root.parent == cache / "data"
    assert f"prepared in {prepared.root}; {only_read.folder} may only be read" in caplog.text
    assert np.load(prepared.images("train"), mmap_mode="r").shape == (400, 28, 28)
    assert below(only_read.folder) == before
    caplog.clear()
    assert prepare(only_read) == prepared
    assert caplog.text == ""


def test_what_its_owner_prepared_is_used_as_it_is(only_read: DataConfig, prepared_root: Path, cache: Path) -> None:
    shutil.copytree(prepared_root / "prepared", only_read.folder / "prepared")
    assert prepare(only_read) == prepared_dir(only_read)
    assert not cache.exists()


def test_what_its_owner_prepared_and_is_damaged_is_made_again_in_the_cache(
    only_read: DataConfig, prepared_root: Path, cache: Path
) -> None:
    shutil.copytree(prepared_root / "prepared", only_read.folder / "prepared")
    prepared_dir(only_read).images("test").unlink()
    assert prepare(only_read).root.parent == cache / "data"


def test_two_data_sets_never_mix_in_the_cache(only_read: DataConfig, cache: Path) -> None:
    first = prepare(only_read)
    # Another one at the same path, as in another container: same names, same sizes, same times.
    for path in (only_read.folder / "MNIST" / "raw").iterdir():
        status, content = path.stat(), path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    second = prepare(only_read)
    assert first != second
    assert first.labels("test").read_bytes() != second.labels("test").read_bytes()
    # The same one at another path is the same.
    elsewhere = cache.parent / "elsewhere"
    shutil.copytree(only_read.folder, elsewhere)
    assert prepare(settings(elsewhere)) == second


def test_without_a_cache_it_goes_to_a_private_temporary_folder(only_read: DataConfig, cache: Path) -> None:
    cache.write_text("in the way")
    prepared = prepare(only_read)
    private = paths.temporary()
    assert private is not None
    assert prepared.root.parent == private / "data"
    assert private.stat().st_mode & 0o777 == 0o700
    assert prepare(only_read) == prepared
    # What anybody may write into is not trusted.
    shutil.rmtree(private)
    private.mkdir()
    private.chmod(0o777)
    with pytest.raises(
        InputError, match=rf"data.root=.*: cannot be written .*; {private}/data: neither .*INKSWEEP_CACHE"
    ):
        prepare(only_read)


def test_without_raw_files_it_is_said_what_to_do(tmp_path: Path, cache: Path) -> None:
    refuse(tmp_path / "empty")
    with pytest.raises(InputError, match=r"data.root=.*empty: cannot be written .*its files are not in .*name another"):
        prepare(settings(tmp_path / "empty"))


def test_a_full_disk_is_one_line(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match=rf"{tiny_root}: .*\(No space left on device\); make room"):
        prepare(settings(tiny_root))
    assert not list(tiny_root.glob(".staging-*"))


@pytest.mark.full
def test_two_processes_at_once_share_what_one_of_them_prepares(only_read: DataConfig, cache: Path) -> None:
    code = (
        "import sys\nfrom tests import conftest\nfrom inksweep.digits.data.arrays import prepare\n"
        f"print(prepare(conftest.compose_config(conftest.tiny({str(only_read.folder)!r})).data).root)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (process.communicate(timeout=300)[0] for process in running)
    assert first == second
    prepared = PreparedDir(Path(first.decode().strip()))
    assert set(json.loads(prepared.manifest.read_text())["sha256"]) == {path.name for path in prepared.arrays}
    assert len(list((cache / "data").glob("mnist-*"))) == 1


def test_a_class_without_files_that_are_known_is_prepared_in_the_cache_too(only_read: DataConfig, cache: Path) -> None:
    conf = replace(only_read, source={"_target_": "tests.digits.data.test_sources.OwnDigits"}, fit=28)
    with execution_whitelist(["tests.*"]):
        assert prepare(conf).root.parent == cache / "data"
