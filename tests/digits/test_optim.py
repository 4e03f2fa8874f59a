import pytest
from torch import nn

from inksweep.digits.optim import constant, cosine, onecycle, parameter_groups, step

# epoch -> factor, worked out by hand for a training of 10 epochs
TABLES = [
    (constant, {}, {0: 1, 5: 1, 10: 1}),
    (step, {"every_epochs": 4, "factor": 0.5}, {0: 1, 3.99: 1, 4: 0.5, 8: 0.25, 10: 0.25}),
    (cosine, {"warmup_epochs": 2, "final_factor": 0.1}, {0: 0, 1: 0.5, 2: 1, 6: 0.55, 10: 0.1}),
    (cosine, {"warmup_epochs": 0, "final_factor": 0}, {0: 1, 5: 0.5, 10: 0}),
    (
        onecycle,
        {"peak_at": 0.4, "start_factor": 0.2, "final_factor": 0},
        {0: 0.2, 2: 0.6, 4: 1, 7: 0.5, 10: 0},
    ),
]


@pytest.mark.parametrize("schedule, values, table", TABLES)
def test_schedules_follow_their_table(schedule, values, table) -> None:
    assert {epoch: schedule(epoch, 10, **values) for epoch in table} == pytest.approx(table, abs=1e-12)


def test_only_matrices_and_kernels_are_decayed() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    decayed, others = parameter_groups(model, weight_decay=0.1)
    assert [tuple(p.shape) for p in decayed["params"]] == [(2, 1, 3, 3), (3, 8)]
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(others["params"]) == len(list(model.parameters()))
