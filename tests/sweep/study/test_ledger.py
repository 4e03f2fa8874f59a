"""A study's trials in numbers: since when nothing better has come."""

from datetime import datetime, timedelta

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import LOST, REASON

BEGIN = datetime(2026, 3, 1, 12, 0, 0)


def study(*trials, directions=("maximize",)):
    """Return a study of trials that ended one after the other, or where a pair says when.

    Each is a value, or several, or the reason for which it was pruned, or a state.
    """
    made = optuna.create_study(directions=list(directions))
    for index, given in enumerate(trials):
        content, moment = given if isinstance(given, tuple) else (given, index)
        state = TrialState.PRUNED if isinstance(content, str) else TrialState.COMPLETE
        state = content if isinstance(content, TrialState) else state
        values = None
        if state is TrialState.COMPLETE:
            values = content if isinstance(content, list) else [content]
        notes = {REASON: content} if isinstance(content, str) else {}
        trial = create_trial(state=state, values=values, user_attrs=notes)
        trial.datetime_start, trial.datetime_complete = BEGIN, BEGIN + timedelta(seconds=moment)
        made.add_trial(trial)
    return made


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        # Nothing is better than nothing: it is counted from the first complete trial on.
        ([], 0),
        (["diverged", "diverged"], 0),
        (["diverged", 0.5], 0),
        ([0.5, 0.4, 0.3], 2),
        ([0.5, 0.4, 0.6], 0),
        # The same again is not better.
        ([0.5, 0.5], 1),
        # Pruned and diverged trials count; failed ones and those that were stopped with the search do not.
        ([0.5, "pruned", "diverged"], 2),
        ([0.5, TrialState.FAIL, "stopped", 0.4], 1),
        # By when they ended: trial 0, the best, ended last.
        ([(0.9, 10), (0.5, 1), (0.4, 2)], 0),
        ([(0.5, 10), (0.9, 1), (0.4, 2)], 2),
        # Of equals the one that was there first.
        ([(0.9, 10), (0.9, 1), (0.4, 2)], 2),
    ],
)
def test_trials_since_the_best_one(trials, expected):
    assert Ledger(study(*trials)).since_better == expected


def test_less_is_better_where_it_is_minimized():
    assert Ledger(study(0.5, 0.6, 0.7, directions=["minimize"])).since_better == 2


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        ([[0.5, 10], [0.4, 20], [0.5, 10]], 2),
        # A point of the front that is the best in nothing changes it all the same.
        ([[0.5, 10], [0.9, 50], [0.7, 20]], 0),
        ([[0.5, 10], [0.9, 50], [0.7, 20], [0.6, 30]], 1),
        # The one that changed it last may have pushed others off it.
        ([[0.5, 10], [0.9, 50], [0.9, 5], [0.1, 50]], 1),
    ],
)
def test_of_several_objectives_the_front_must_change(trials, expected):
    assert Ledger(study(*trials, directions=["maximize", "minimize"])).since_better == expected


def test_what_is_repeated_does_not_count():
    made = study(0.5)
    made.add_trial(create_trial(state=TrialState.FAIL, user_attrs={LOST: True}))
    assert Ledger(made).since_better == 0


def test_a_ledger_that_followed_the_study_says_the_same_as_a_new_one():
    # Trials end in another order than they began: the follower reads them in that order, a new one by their numbers.
    made = optuna.create_study(direction="maximize")
    follower = Ledger(made)
    running = [made.ask() for _ in range(6)]
    for index, value in [(3, 0.5), (0, 0.8), (5, 0.8), (1, 0.7), (4, 0.9), (2, 0.1)]:
        made.tell(running[index], value)
        follower.look()
        assert follower.since_better == Ledger(made).since_better
    assert follower.since_better == 1
