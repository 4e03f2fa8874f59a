"""What every test file shares: a few hundred real digits, and a way to compose a config over them."""

import logging
import os
import runpy
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before torch is imported anywhere: tests, and the processes they start, are many and small.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell that starts the tests in its background has them ignore Ctrl-C, and with them all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import pytest
from hydra import compose as hydra_compose
from hydra import initialize_config_dir

from inksweep.cores import usable_cores
from inksweep.digits.config import parse
from inksweep.digits.config.schema import Config

REPOSITORY = Path(__file__).resolve().parent.parent
CONF = REPOSITORY / "conf"
DIGITS = REPOSITORY / "tests" / "tiny_mnist"

# Overrides that select the digits of tests/tiny_mnist; `data.root` is added by whoever knows where they lie.
TINY = [
    "data.checksums=null",
    "data.npm=null",
    "data.train_images=400",
    "data.test_images=150",
    "data.val_size=100",
    "data.batch_size=50",
    "data.eval_batch_size=100",
]


def tiny(root: Path | str) -> list[str]:
    """Return the overrides that select the tiny digits lying in `root`."""
    return [f"data.root={root}", *TINY]


def compose_config(overrides: list[str]) -> Config:
    """Compose conf/ with `overrides`, as train.py would, and check it."""
    parse.register()
    with initialize_config_dir(config_dir=str(CONF)):
        return parse.parse(hydra_compose("config", overrides))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Say how many processes `-n auto` is; by itself it does not know of a quota."""
    return usable_cores()


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Take away the log handlers that a test leaves: commands called in this process add one for its captured stream,
    which is closed with the test, and each later line of any logger would fail there.
    """
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def compose() -> Callable[[list[str]], Config]:
    """`compose(["model=cnn", ...]) -> Config`."""
    return compose_config


@pytest.fixture
def tiny_root(tmp_path: Path) -> Path:
    """A data.root of this test's own, with the raw tiny digits in torchvision's layout, nothing prepared yet."""
    root = tmp_path / "data"
    shutil.copytree(DIGITS / "MNIST", root / "MNIST")
    return root


@pytest.fixture(scope="session")
def prepared_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data.root whose tiny digits are prepared, shared by the session: read it, never change it."""
    from inksweep.digits.data.arrays import prepare

    root = tmp_path_factory.mktemp("prepared") / "data"
    shutil.copytree(DIGITS / "MNIST", root / "MNIST")
    prepare(compose_config(tiny(root)).data)
    return root


@pytest.fixture(scope="session")
def tiny_winner(prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a short run on the tiny digits, shared by the session, with its model.pt; read it only.

    It is as good as four hundred digits make it: right about most.
    """
    folder = tmp_path_factory.mktemp("winner") / "run"
    words = ["train.py", *tiny(prepared_root), "trainer.epochs=6", "model.hidden=[32]", f"hydra.run.dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
    return folder


@pytest.fixture(scope="session")
def tiny_onnx(tiny_winner: Path, prepared_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a winner's folder that also holds its model.onnx and export.json."""
    from inksweep.digits import export

    folder = tmp_path_factory.mktemp("exported") / "winner"
    shutil.copytree(tiny_winner, folder)
    export.export(folder, ["onnx"])
    return folder


@pytest.fixture
def can_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slots are forked from this process, whatever other tests have done in it.

    One may have trained or computed with several threads; workers would then be spawned. What a worker does in a test
    that asks for this needs neither.
    """
    from inksweep.sweep.job import fork_server

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(fork_server, "_works", lambda task: True)
