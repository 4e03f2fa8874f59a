"""The table of stop reasons: what is stored, what follows from each, what is said of each."""

from dataclasses import replace

import optuna
import pytest

from inksweep.paths import SweepDir
from inksweep.runs import result
from inksweep.sweep.stopping import Account, Fate, Reason, Rules, Standing, Stop, Target, rule_that_holds, say_why
from inksweep.sweep.study.ledger import Ledger

RULES = Rules(n_trials=3, max_failures=1, target=Target(None, 0.9), timeout_s=60)


def standing(sweep, *values, rules=RULES, failures=0, seconds=0.0):
    study = optuna.create_study(direction="maximize")
    for value in values:
        study.tell(study.ask(), value)
    return Standing(rules, Ledger(study), sweep, failures, seconds)


@pytest.mark.parametrize(
    ("word", "running", "has_final_stage"),
    [
        ("target", Fate.PRUNED, True),
        ("failures", Fate.REPEATED, False),
        ("timeout", Fate.REPEATED, False),
        ("n_trials", Fate.RUNS_ON, True),
        ("patience_trials", Fate.PRUNED, True),
        ("interrupted", Fate.REPEATED, False),
        ("machine", Fate.REPEATED, False),
        ("error", Fate.REPEATED, False),
    ],
)
def test_what_follows_from_a_reason(word, running, has_final_stage):
    stop = Reason.stored_as(word).stop
    assert (stop.running, stop.has_final_stage) == (running, has_final_stage)


@pytest.mark.parametrize("word", ["", None, "given up", "pruned", "TARGET"])
def test_a_word_that_is_no_reason_is_none(word):
    assert Reason.stored_as(word) is None


@pytest.mark.parametrize("reason", Reason)
def test_a_trial_that_its_sweep_ends_is_stopped_and_not_what_a_training_says_of_itself(reason):
    # A training that ends by trainer.patience is `completed`, with the reason `patience`.
    assert result.ending(reason.value) == (result.Status.STOPPED, reason.value)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_sentences(reason, tmp_path):
    account = Account("2 of 3", 3, {}, "accuracy 95 %, above 90 %", "")
    line, sentence = reason.stop.line(standing(SweepDir(tmp_path), 0.95)), reason.stop.report(account).strip()
    assert line
    assert not line.endswith(".")
    assert sentence.startswith("It ")
    assert sentence.endswith(".")
    # An error ends what runs at once; otherwise the screen says why it still waits for trials.
    waits = reason is not Reason.ERROR and reason.stop.running is not Fate.RUNS_ON
    assert (reason.stop.screen is not None) == waits


def test_a_reason_that_lacks_a_field_cannot_be_written():
    with pytest.raises(TypeError, match="has_final_stage"):
        Stop(holds=None, line=str, screen=None, report=str, running=Fate.PRUNED, raise_this=None)


def test_the_first_of_several_rules_that_hold_is_the_reason(tmp_path):
    sweep = SweepDir(tmp_path)
    assert rule_that_holds(standing(sweep, 0.1, 0.2)) is None
    assert rule_that_holds(standing(sweep, 0.1, 0.2, 0.3)) is Reason.N_TRIALS
    assert rule_that_holds(standing(sweep, 0.1, 0.2, 0.3, seconds=61)) is Reason.TIMEOUT
    assert rule_that_holds(standing(sweep, 0.1, 0.2, 0.3, seconds=61, failures=2)) is Reason.FAILURES
    assert rule_that_holds(standing(sweep, 0.1, 0.2, 0.95, seconds=61, failures=2)) is Reason.TARGET


PATIENT = replace(RULES, patience_trials=2)


def test_of_the_number_of_trials_and_patience_the_number_is_asked_first(tmp_path):
    sweep = SweepDir(tmp_path)
    assert rule_that_holds(standing(sweep, 0.2, 0.1, rules=PATIENT)) is None
    assert rule_that_holds(standing(sweep, 0.3, 0.2, 0.1, rules=PATIENT)) is Reason.N_TRIALS
    assert rule_that_holds(standing(sweep, 0.3, 0.2, 0.1, rules=replace(PATIENT, n_trials=4))) is Reason.PATIENCE
    assert rule_that_holds(standing(sweep, 0.3, 0.2, 0.1, rules=PATIENT, seconds=61)) is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("values", "rules", "hint"),
    [
        ((0.1, 0.2, 0.3), PATIENT, "hydra.sweeper.n_trials=6"),
        ((0.3, 0.2, 0.1), PATIENT, "hydra.sweeper.n_trials=6 hydra.sweeper.patience_trials=4"),
        ((0.3, 0.2, 0.1), replace(PATIENT, n_trials=9), "hydra.sweeper.patience_trials=4"),
        # A study of an earlier start with more of both.
        ((0.6, 0.5, 0.4, 0.3, 0.2, 0.1), replace(PATIENT, n_trials=2),
         "hydra.sweeper.n_trials=12 hydra.sweeper.patience_trials=10"),
    ],
)  # fmt: skip
def test_what_goes_on_with_a_missed_target_names_every_rule_that_holds(tmp_path, caplog, values, rules, hint):
    now = standing(SweepDir(tmp_path), *values, rules=rules)
    say_why(now, rule_that_holds(now))
    assert f"had objective > 0.9; {hint} goes on" in caplog.text
    # With that, the next start goes on.
    settings = dict(word.rpartition(".")[2].split("=") for word in hint.split())
    higher = replace(rules, **{name: int(number) for name, number in settings.items()})
    assert rule_that_holds(replace(now, rules=higher)) is None


def test_a_target_and_patience_make_the_end_uncertain():
    assert RULES.may_end_before
    assert Rules(n_trials=3, patience_trials=2).may_end_before
    assert not Rules(n_trials=3, timeout_s=60).may_end_before
