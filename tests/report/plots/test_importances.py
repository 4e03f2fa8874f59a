"""How much each parameter explains."""

import pytest

from tests.report.sweeps import make, read

pytest.importorskip("plotly")

import optuna
from optuna.distributions import FloatDistribution

from inksweep.report.plots.importances import importances_of


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_importances_are_those_of_optuna_for_the_direction_of_the_study(tmp_path, direction):
    # Optuna's default looks at what makes the objective low, unless it is left to see to that itself.
    made = make(tmp_path, (direction,))
    space = {name: FloatDistribution(0, 1) for name in "xy"}
    for number in range(40):
        x, y = number % 7 / 7, number % 11 / 11
        made.trial(
            x * y + (x > 0.7),
            params={"x": x, "y": y},
            space=space,
        )
    found = read(tmp_path)
    right = optuna.importance.get_param_importances(found.study)
    with pytest.warns(UserWarning, match="low"):
        blind = optuna.importance.get_param_importances(found.study, target=lambda trial: trial.values[0])
    assert importances_of(found, 0) == pytest.approx(right)
    assert (direction == "minimize") is (right == pytest.approx(blind))
