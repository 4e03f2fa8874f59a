"""The group `hydra/sweeper/sampler`: what is looked at before a sampler is built."""

import pytest
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.sweep import samplers
from inksweep.sweep.space.space import Space


@pytest.fixture
def nothing_is_installed(monkeypatch):
    monkeypatch.setattr(samplers.extras, "missing", list)


# A package that Optuna imports with the first point, or the eleventh, would end the sweep there.
@pytest.mark.parametrize(
    ("target", "packages", "command"),
    [
        ("CmaEsSampler", "cmaes", "pip install cmaes"),
        ("GPSampler", "scipy and torch", "pip install scipy torch"),
        ("QMCSampler", "scipy", "pip install scipy"),
    ],
)
def test_a_sampler_whose_package_is_missing_is_refused_with_the_command(
    nothing_is_installed, target, packages, command
):
    with pytest.raises(InputError) as raised:
        samplers.build(OmegaConf.create({"_target_": f"optuna.samplers.{target}"}), Space({}, {}, []), 0)
    assert str(raised.value) == (
        f"hydra.sweeper.sampler=optuna.samplers.{target}: needs the package {packages}, which is not installed; "
        f"install it ({command}) or choose another sampler"
    )


def test_a_sampler_within_another_is_looked_at_too(nothing_is_installed):
    conf = {"_target_": "optuna.samplers.TPESampler", "other": {"_target_": "optuna.samplers.QMCSampler"}}
    with pytest.raises(InputError, match=r"^hydra\.sweeper\.sampler\.other=optuna\.samplers\.QMCSampler: needs"):
        samplers.build(OmegaConf.create(conf), Space({}, {}, []), 0)


def test_a_sampler_that_needs_nothing_is_built(nothing_is_installed):
    conf = {"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 3}
    assert type(samplers.build(OmegaConf.create(conf), Space({}, {}, []), 0)).__name__ == "TPESampler"
