"""What all plots share."""

import pytest

from tests.report.sweeps import make, read, usual

pytest.importorskip("plotly")

from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from inksweep.report.plots import curves, drawing, history, slots
from inksweep.sweep.study.notes import LOST


def test_numbers_of_trials_stay_when_others_are_left_out(tmp_path):
    made = make(tmp_path)
    made.fail("no")
    made.trial(None, TrialState.FAIL, **{LOST: True})
    made.trial(0.5, params={"x": 0.25}, space={"x": FloatDistribution(0, 1)})
    found = read(tmp_path)
    study = drawing.shown_study(found, found.trials)
    assert study.best_trial.number == 2
    assert study.best_trial.params == {"x": 0.25}


@pytest.mark.parametrize("draw", [lambda found: history.history(found, 0), curves.curves, slots.slots])
def test_in_a_plot_of_very_many_points_little_is_said_of_each(tmp_path, monkeypatch, draw):
    made = usual(tmp_path)
    found = read(tmp_path)
    number = 0 if found.best.number else 1

    def said(plot):
        (trace,) = [trace for trace in plot.figure.data if trace.name == "complete"]
        return next(text for text in trace.hovertext if f"<b>trial {number}</b>" in text)

    usually = draw(found)
    assert "lr = " in said(usually)
    assert "in the table only" not in usually.note
    monkeypatch.setattr(drawing, "MOST_TEXTS", made.numbers - 1)
    crowded = draw(found)
    assert "validation accuracy" in said(crowded)
    assert "lr = " not in said(crowded)
    assert "in the table only" in crowded.note
