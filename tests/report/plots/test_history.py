"""The history of a search: what its axis shows."""

import pytest

from tests.report.sweeps import make, read

pytest.importorskip("plotly")

from inksweep.report.plots import history


def test_one_bad_trial_does_not_squash_the_rest_and_is_counted(tmp_path):
    made = make(tmp_path)
    made.trial(0.1)
    for number in range(12):
        made.trial(0.98 + number / 1000)
    plot = history.history(read(tmp_path), 0)
    low, high = plot.figure.layout.yaxis.range
    assert 0.9 < low < 0.98 < 0.991 < high
    assert "1 point lies below the axis" in plot.note


def test_only_with_a_single_objective_there_is_a_line_of_the_best(tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two", ("maximize", "minimize"))
    for value in (0.1, 0.3, 0.2):
        one.trial(value)
        two.trial([value, value])
    for root, is_there in ((one.root, True), (two.root, False)):
        plot = history.history(read(root), 0)
        assert ("best so far" in [trace.name for trace in plot.figure.data if trace.x]) is is_there
        assert ("The line is the best up to each number." in plot.note) is is_there
