"""start.py: what one start of a sweep is given, and what it records."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from inksweep.sweep.settings import STUDY_OUTPUT
from inksweep.sweep.start import Start

OURS = STUDY_OUTPUT["sweep"]["dir"]


@pytest.mark.parametrize(
    ("folder", "name", "is_dated"),
    [
        (OURS, None, True),
        (OURS, "night", False),
        ("multirun/${now:%Y-%m-%d}/${now:%H-%M-%S}", "night", True),
        ("multirun/night", None, False),
        ("${hydra.sweeper.study_name}", "night", False),
    ],
)
def test_a_folder_called_by_the_time_is_another_one_at_each_start(
    folder: str, name: str | None, is_dated: bool
) -> None:
    config = OmegaConf.create({"hydra": {"sweep": {"dir": folder}, "sweeper": {"study_name": name}}})
    nothing: Any = None
    assert Start(config, nothing, [], nothing, nothing, nothing, True).has_dated_folder is is_dated
