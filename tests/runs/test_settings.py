import json
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from inksweep.runs import reader, settings
from tests.runs.folders import HYDRA, make


def test_hydras_own_file_gives_the_choices_wherever_they_stand_in_it(tmp_path: Path) -> None:
    # as Hydra writes it: the block is cut out of the text
    written = yaml.safe_dump(HYDRA, default_flow_style=False)
    # another style of the same: it is parsed as a whole
    for number, text in enumerate((written, json.dumps(HYDRA))):
        assert reader.read(make(tmp_path / str(number), hydra=text)).settings["model"] == "mlp"


def test_paths_and_tuples_of_a_typed_app_are_read_as_text_and_lists_and_nothing_is_called(tmp_path: Path) -> None:
    config = f"""
root: !!python/object/apply:pathlib.PosixPath [/, data, digits]
whole: !!python/object/apply:pathlib._local.PosixPath [/data/digits]
share: !!python/object/apply:pathlib.PureWindowsPath ['C:', digits]
size: !!python/tuple [28, 28]
kind: !!python/object/apply:enum.Kind [2]
maker: !!python/name:mypackage.make ''
object: !!python/object:mypackage.Thing {{a: 1}}
touched: !!python/object/apply:os.mkdir ["{tmp_path}/touched"]
"""
    run = reader.read(make(tmp_path / "run", config=config, hydra=None))
    assert run.status == "completed"
    assert run.settings == {
        "root": "/data/digits", "whole": "/data/digits", "share": "C:digits", "size": [28, 28], "kind": [2],
        "maker": "mypackage.make", "object.a": 1, "touched": [f"{tmp_path}/touched"],
    }  # fmt: skip
    assert not (tmp_path / "touched").exists()


def test_what_is_not_a_number_is_equal_to_itself(tmp_path: Path) -> None:
    a, b = (reader.read(make(tmp_path / name, config="low: .nan\nlist: [.nan, 1.5]\nhigh: .inf")) for name in "ab")
    assert a.settings == b.settings
    assert a.settings == {"model": "mlp", "optimizer": "sgd", "low": "nan", "list": ["nan", 1.5], "high": float("inf")}


@pytest.mark.parametrize("one", ["{x: 1, y: 2}", "[1, 2]", "{}"])
@pytest.mark.parametrize("more", ["{{x: *{0}, y: *{0}}}", "[*{0}, *{0}]"])
def test_aliases_in_aliases_are_no_config(tmp_path: Path, one: str, more: str) -> None:
    names = [f"a{number}" for number in range(31)]
    lines = [f"{after}: &{after} {more.format(before)}" for before, after in pairwise(names)]
    run = reader.read(make(tmp_path / "run", config="\n".join([f"a0: &a0 {one}", *lines])))
    assert run.status == "broken"
    assert "config.yaml: too many keys" in run.reason


def test_a_config_in_itself_is_none(tmp_path: Path) -> None:
    for number, text in enumerate(("a: &a [*a]", "a: &a {b: *a}")):
        run = reader.read(make(tmp_path / str(number), config=text))
        assert (run.status, "too many keys" in run.reason) == ("broken", True)


@pytest.mark.parametrize(
    ("key", "silent"),
    [
        ("data.root", True), ("data.npm.package", True), ("data.checksums.a.b", True), ("tracker", True),
        ("tracker._target_", True), ("figures", True), ("trainer.resume", True),
        ("data.name", False), ("trainer.resume_at", False), ("figures_of", False), ("trainer", False),
    ],
)  # fmt: skip
def test_settings_that_change_nothing_learnt(key: str, silent: bool) -> None:
    assert settings.is_silent(key) is silent


def test_the_groups_that_say_what_a_target_is() -> None:
    assert settings.target_options("model._target_") == ["model"]
    assert settings.target_options("model.encoder._target_") == ["model.encoder", "model/encoder"]
    assert settings.target_options("model.hidden") == settings.target_options("_target_") == []
