"""Trials that can be compared parameter by parameter."""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from inksweep.report.facts.branches import branches
from tests.report.sweeps import make, read


def test_branches_are_trials_with_the_same_parameters_named_by_what_leads_into_them(tmp_path):
    made = make(tmp_path)
    model = {"model": CategoricalDistribution(["cnn", "mlp"])}
    for depth in (0.1, 0.2):
        made.trial(0.9, params={"model": "cnn", "depth": depth}, space={**model, "depth": FloatDistribution(0, 1)})
    made.trial(0.8, params={"model": "mlp", "width": 0.3}, space={**model, "width": FloatDistribution(0, 1)})
    first, second = branches(read(tmp_path).trials)
    assert (first.name, len(first.trials), first.varied) == ("model = cnn", 2, ["depth"])
    assert (second.name, len(second.trials), second.varied) == ("model = mlp", 1, [])
