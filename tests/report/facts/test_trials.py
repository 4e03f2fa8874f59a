"""The trials of a sweep, as plain data."""

from inksweep.report.facts.trials import best_so_far
from tests.report.sweeps import make, read


def test_the_best_so_far_only_ever_gets_better(tmp_path):
    made = make(tmp_path)
    for value in (0.5, 0.4, 0.5, 0.7, 0.6):
        made.trial(value)
    found = read(tmp_path)
    assert [trial.number for trial in best_so_far(found.trials, found.maximize[0])] == [0, 3]
    # By number, whichever ended first.
    late = make(tmp_path / "late")
    late.trial(0.5, end=30)
    late.trial(0.4, end=10)
    late.trial(0.6, end=20)
    found = read(tmp_path / "late")
    assert [trial.number for trial in best_so_far(found.trials, found.maximize[0])] == [0, 2]
    down = make(tmp_path / "down", ("minimize",))
    for value in (0.5, 0.4, 0.4, 0.7, 0.3):
        down.trial(value)
    found = read(tmp_path / "down")
    assert [trial.number for trial in best_so_far(found.trials, found.maximize[0])] == [0, 1, 4]
