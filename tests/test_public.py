"""What `import inksweep` gives to programs: load, trial and a version; it costs next to nothing."""

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import inksweep
from inksweep.digits import checkpoint
from inksweep.digits.models import MLP
from inksweep.errors import InputError

VALUES = {"hidden": [4], "activation": "relu", "norm": "none", "dropout": 0.0}


class Own(MLP):
    """A model of the user's."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the model.pt of a model class that inksweep does not know."""
    torch.manual_seed(0)
    saved = {
        "state_dict": Own(size=28, classes=2, **VALUES).state_dict(),
        "model": {"_target_": "mine.Own", **VALUES},
        "preprocess": {"mean": 0.1, "std": 0.3, "size": 28},
        "classes": ["a", "b"],
        "metrics": {},
    }
    checkpoint.save(tmp_path / "model.pt", saved)
    return tmp_path


def test_import_loads_nothing_but_itself() -> None:
    code = (
        "import sys, json\n"
        "import typing\n"
        "before = set(sys.modules)\n"
        "import inksweep\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout) == ["inksweep"]


def test_trial_and_version_come_when_they_are_asked_for() -> None:
    code = (
        "import inksweep\n"
        "inksweep.trial.report(1, 0.5)\n"
        "from inksweep import trial\n"
        "assert trial is inksweep.trial and trial.should_stop() is None\n"
        "print(inksweep.__version__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout == f"{importlib.metadata.version('inksweep')}\n"
    with pytest.raises(AttributeError, match="no attribute 'train'"):
        inksweep.train  # noqa: B018


def test_load_gives_a_classifier(folder: Path) -> None:
    content = checkpoint.load(folder / "model.pt")
    content["model"]["_target_"] = "inksweep.digits.models.MLP"
    checkpoint.save(folder / "model.pt", content)
    model = inksweep.load(folder)
    assert model.classes == ["a", "b"]
    answers = model(torch.zeros(3, 28, 28, dtype=torch.uint8))
    assert answers.shape == (3, 2)
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(3))


def test_load_takes_a_class_of_ones_own(folder: Path) -> None:
    with pytest.raises(InputError, match=r"its model is mine\.Own; pass that class in `classes`"):
        inksweep.load(folder)
    assert isinstance(inksweep.load(str(folder), classes={"mine.Own": Own}).model, Own)
