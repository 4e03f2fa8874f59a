"""saved.py: the settings that a saved model was made with, as they are meant today."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from inksweep.digits.config import saved
from inksweep.errors import InputError
from tests.conftest import compose_config, tiny
from tests.runs.selections import SELECTION

# Where the training was started; `data.root` is as it was typed there.
STARTED = "/where/it/was/started"


def save(folder: Path) -> None:
    """Make `folder` a run directory, as far as its settings go."""
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.structured(compose_config(tiny("data"))), folder / ".hydra" / "config.yaml")
    OmegaConf.save({"hydra": {"runtime": {"cwd": STARTED}}}, folder / ".hydra" / "hydra.yaml")


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of one trial, and the winner that is made of it."""
    save(tmp_path / "7")
    winner = tmp_path / "winner"
    winner.mkdir()
    (winner / "config.yaml").write_bytes((tmp_path / "7" / ".hydra" / "config.yaml").read_bytes())
    (winner / "selection.json").write_text(json.dumps(SELECTION | {"model": {"path": "7"}}))
    return tmp_path


@pytest.mark.parametrize("folder", ["7", "winner"])
def test_a_relative_data_root_is_as_seen_from_where_it_was_typed(sweep: Path, folder: str) -> None:
    assert saved.settings(sweep / folder).data.root == f"{STARTED}/data"
    # One that is typed now is as seen from here.
    assert saved.settings(sweep / folder, ["data.root=digits", "seed=5"]).data.root == "digits"
    assert saved.settings(sweep / folder, ["data.root=digits", "seed=5"]).seed == 5


@pytest.mark.parametrize("told", [None, "{", "[]", "{}", '{"model": 3}', '{"model": {"path": null}}'])
def test_a_winner_whose_run_is_not_known_has_its_settings_as_they_stand(sweep: Path, told: str | None) -> None:
    selection = sweep / "winner" / "selection.json"
    if told is None:
        selection.unlink()
    else:
        selection.write_text(told)
    assert saved.settings(sweep / "winner").data.root == "data"


def test_a_folder_that_is_neither_is_named_and_a_sweep_gives_a_hint(sweep: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no run directory or winner"):
        saved.settings(sweep / "nowhere")
    with pytest.raises(InputError, match=r"did you mean .*winner\?"):
        saved.settings(sweep)
    with pytest.raises(InputError, match=r"selection\.json: no run directory or winner .*; did you mean .*winner\?"):
        saved.settings(sweep / "winner" / "selection.json")


@pytest.mark.parametrize("word", ["a=[1", "[=1", "data.root=${", "data=[1]", "data.classes[0]=b", "x", "=3", ""])
def test_a_word_that_cannot_be_read_is_named(sweep: Path, word: str) -> None:
    with pytest.raises(InputError) as refused:
        saved.settings(sweep / "7", ["seed=3", word])
    assert word in str(refused.value)
    assert "write KEY=VALUE" in str(refused.value)


@pytest.mark.parametrize("folder", ["7", "winner"])
def test_what_another_app_left_is_said_to_be_that(sweep: Path, folder: str) -> None:
    for config in (sweep / "7" / ".hydra" / "config.yaml", sweep / "winner" / "config.yaml"):
        config.write_text("x: 1\n")
    with pytest.raises(InputError, match=r"holds no model .*\(no model.pt\), and its settings are another app's \(x: "):
        saved.settings(sweep / folder)
    # A run of our own, of which a setting was edited wrongly, is one all the same.
    (sweep / folder / "model.pt").touch()
    with pytest.raises(ConfigKeyError, match="'x'"):
        saved.settings(sweep / folder)
