"""The loop, with a fake at its one seam: slots that answer from a script."""

import errno
import json
import math
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import optuna
import pytest
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.context import Context
from inksweep.sweep.engine import Engine
from inksweep.sweep.faults import Fault, MachineFault
from inksweep.sweep.job.job import Done, TooLong, WorkerDied
from inksweep.sweep.outcomes import outcome
from inksweep.sweep.progress.summary import Report
from inksweep.sweep.progress.view import Overview
from inksweep.sweep.space.declare import declare
from inksweep.sweep.stopping import Fate, Reason, Rules, Target, say_why
from inksweep.sweep.study.ledger import Ledger
from inksweep.sweep.study.notes import ATTEMPT, COPIES, LOST, METRICS, OWNER, REASON, REPEATS, RETRIED, STOP, STOPPED
from inksweep.sweep.study.owner import Owner
from inksweep.sweep.study.repair import repair
from inksweep.sweep.study.storage import Address, open_study
from inksweep.sweep.study.trials import incumbent

SPACE = {"x": "interval(0,1)"}


class FakeSlots:
    """Answer each job with the next line of a script: a value, or an exception. `order` says which job ends first.

    `act` stands for what the job does while it runs: it is given the engine's study and the job's number.
    """

    def __init__(self, script, slots=1, order=deque.popleft, act=lambda study, number: None, ages=()):
        self.script, self.size, self.order, self.act = deque(script), slots, order, act
        self.running, self.jobs, self.ages, self.ended = deque(), [], dict(ages), []
        self.study, self.closed = None, False

    @property
    def free(self):
        return self.size - len(self.running)

    @property
    def next(self):
        return len(self.running)

    def start(self, job):
        assert self.free
        self.running.append(job)
        self.jobs.append(job)

    def wait(self, seconds):
        if not self.script or self.script[0] is None:  # nothing ends within this time
            self.script.popleft()
            return None
        job = self.order(self.running)
        self.act(self.study, job.number)
        answer = self.script.popleft()
        if isinstance(answer, KeyboardInterrupt):
            raise answer
        if job.number in self.ended:
            answer = TooLong("ended")
        return Done(job.number, error=answer) if isinstance(answer, Exception) else Done(job.number, answer)

    def seconds(self, number):
        return self.ages.get(number, 0.0)

    def preparing(self, number):
        return None

    def end(self, number):
        self.ended.append(number)
        return True

    def close(self):
        self.closed = True


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path)


def engine(sweep, slots, n_trials=3, failures=0, target=None, directions=("maximize",), seed=1, **rules):
    address = Address("night", None, sweep.root, heartbeat_s=60)
    study = slots.study = open_study(address, list(directions))
    study.sampler = optuna.samplers.RandomSampler(seed=seed + len(study.trials))
    owner = Owner(study, sweep, address)
    context = Context(Ledger(study), sweep, address, owner, Rules(n_trials, failures, target, **rules))
    return Engine(context, declare(SPACE, None), slots, Report(context).update)


def note(name, *values):
    """Return what jobs do that leave a note on their trials, one value after the other."""
    left = iter(values)

    def act(study, number):
        trial = study.get_trials(deepcopy=False)[number]
        if (value := next(left)) is not None:
            study._storage.set_trial_user_attr(trial._trial_id, name, value)

    return act


def measuring(*accuracies):
    return note(METRICS, *({"test/accuracy": accuracy} for accuracy in accuracies))


def states(loop):
    return [trial.state.name for trial in loop.study.trials]


@pytest.mark.parametrize(
    ("done", "state", "value", "reason"),
    [
        (Done(0, 0.5), TrialState.COMPLETE, 0.5, None),
        (Done(0, 1), TrialState.COMPLETE, 1.0, None),
        (Done(0, math.nan), TrialState.PRUNED, None, "diverged"),
        (Done(0, math.inf), TrialState.PRUNED, None, "diverged"),
        (Done(0, error=OSError("disk")), TrialState.FAIL, None, "OSError: disk"),
        (Done(0, error=MemoryError()), TrialState.FAIL, None, "oom"),
        (Done(0, error=type("OutOfMemoryError", (RuntimeError,), {})("CUDA")), TrialState.FAIL, None, "oom"),
        (Done(0, error=RuntimeError("DefaultCPUAllocator: can't allocate memory")), TrialState.FAIL, None, "oom"),
        (Done(0, error=TooLong("ended")), TrialState.FAIL, None, "timeout"),
        (Done(0, error=WorkerDied("by SIGKILL")), TrialState.FAIL, None, "worker died: by SIGKILL"),
    ],
)
def test_what_came_back_decides_what_is_told(done, state, value, reason):
    told = outcome(done)
    assert (told.state, told.values, told.reason) == (state, None if value is None else [value], reason)


@pytest.mark.parametrize(
    ("value", "reason"), [(math.nan, "diverged"), ("a word", "InputError: trial 0 returned 'a word'")]
)
def test_a_value_that_optuna_does_not_take_fails_its_trial_alone_in_a_file_of_the_stock_sweeper(value, reason):
    told = outcome(Done(0, value), is_stock=True)
    assert (told.state, told.values, told.error) == (TrialState.FAIL, None, None)
    assert told.reason.startswith(reason)
    assert outcome(Done(0, 0.5), is_stock=True).values == [0.5]


@pytest.mark.parametrize(
    ("stopped", "state", "reason", "lost"),
    [
        ("pruned", TrialState.PRUNED, "pruned", False),
        ("diverged", TrialState.PRUNED, "diverged", False),
        ("target", TrialState.PRUNED, "stopped", False),
        ("trial_timeout", TrialState.FAIL, "timeout", False),
        ("interrupted", TrialState.FAIL, "interrupted", True),
        ("timeout", TrialState.FAIL, "timeout", True),
        ("failures", TrialState.FAIL, "failures", True),
    ],
)
def test_a_trial_that_was_told_to_stop_has_no_result_whatever_it_returns(stopped, state, reason, lost):
    told = outcome(Done(0, 0.99), stopped)
    assert (told.state, told.values, told.reason, told.lost) == (state, None, reason, lost)


@pytest.mark.parametrize("reason", Reason)
def test_a_trial_that_ends_with_the_search_is_recorded_as_the_table_says(reason):
    told = outcome(Done(0, 0.99), reason.value)
    assert told.lost == (reason.stop.running is Fate.REPEATED)
    assert (told.state, told.reason) == (
        (TrialState.FAIL, reason.value) if told.lost else (TrialState.PRUNED, "stopped")
    )


@pytest.mark.parametrize("wrong", [0.5, [0.5], [0.5, 1, 2], ["a", "b"]])
def test_several_objectives_are_as_many_numbers(wrong):
    assert outcome(Done(0, [0.5, 100]), None, 2).values == [0.5, 100.0]
    assert outcome(Done(0, [0.5, math.nan]), None, 2).reason == "diverged"
    assert isinstance(outcome(Done(0, wrong), None, 2).error, InputError)


@pytest.mark.parametrize("nothing", [None, "much", [1, 2], {}])
def test_a_task_that_returns_no_number_is_the_users_error(nothing):
    told = outcome(Done(4, nothing))
    assert told.state is TrialState.FAIL
    assert isinstance(told.error, InputError)


def test_a_sweep_runs_its_trials_and_remembers_why_some_have_no_value(sweep):
    slots = FakeSlots([0.1, math.nan, 0.3])
    loop = engine(sweep, slots)
    assert loop.run() == "n_trials"
    assert [job.number for job in slots.jobs] == [0, 1, 2]
    assert [trial.value for trial in loop.study.trials] == [0.1, None, 0.3]
    assert loop.study.trials[1].user_attrs[REASON] == "diverged"


def test_a_job_is_told_what_the_study_suggested(sweep):
    slots = FakeSlots([0.1])
    loop = engine(sweep, slots, n_trials=1)
    loop.run()
    assert slots.jobs[0].overrides == [f"x={loop.study.trials[0].params['x']}"]


def test_n_trials_is_the_total_of_the_study(sweep):
    engine(sweep, FakeSlots([0.1, 0.2]), n_trials=2).run()
    slots = FakeSlots([0.3])
    engine(sweep, slots, n_trials=3).run()
    assert [job.number for job in slots.jobs] == [2]


@pytest.mark.parametrize("n_trials", [1, 2])
def test_a_finished_study_runs_nothing(sweep, n_trials):
    # Nor does one that holds more than is asked for.
    engine(sweep, FakeSlots([0.1, 0.2]), n_trials=2).run()
    slots = FakeSlots([])
    assert engine(sweep, slots, n_trials=n_trials).run() == "n_trials"
    assert slots.jobs == []


def test_diverged_and_failed_trials_count_as_finished(sweep):
    loop = engine(sweep, FakeSlots([math.nan, OSError("disk"), 0.3]), failures=1)
    loop.run()
    assert len(loop.study.trials) == 3


def test_it_stops_when_the_best_trial_exceeds_the_target(sweep):
    slots = FakeSlots([0.1, 0.2, 0.3, 0.4], act=measuring(0.89, 0.90, 0.91, 0.99))
    loop = engine(sweep, slots, n_trials=4, target=Target("test/accuracy", 0.90))
    # 0.90 does not exceed 0.90.
    assert loop.run() == "target"
    assert len(slots.jobs) == 3


@pytest.mark.parametrize(("direction", "script", "trials"), [("maximize", [0.1, 0.6], 2), ("minimize", [0.6, 0.1], 2)])
def test_a_target_may_be_one_on_the_objective_in_its_direction(sweep, direction, script, trials):
    target = Target(None, 0.5, maximize=direction == "maximize")
    slots = FakeSlots([*script, 0.3])
    assert engine(sweep, slots, target=target, directions=[direction]).run() == "target"
    assert len(slots.jobs) == trials


def test_the_test_metric_of_a_trial_that_is_not_the_best_stops_nothing(sweep):
    # The test split must not choose: trial 1 is better on it and worse by validation.
    slots = FakeSlots([0.8, 0.7], act=measuring(0.5, 0.99))
    assert engine(sweep, slots, n_trials=2, target=Target("test/accuracy", 0.90)).run() == "n_trials"


def test_a_target_that_was_not_reached_is_said_with_what_goes_on(sweep, caplog):
    loop = engine(sweep, FakeSlots([0.8], act=measuring(0.5)), n_trials=1, target=Target("test/accuracy", 0.90))
    reason = loop.run()
    say_why(loop.standing, reason)
    assert "the target is not reached: no trial that was the best had test/accuracy > 0.9" in caplog.text
    assert "hydra.sweeper.n_trials=2 goes on" in caplog.text
    caplog.clear()
    loop = engine(sweep, FakeSlots([0.9], act=measuring(0.95)), n_trials=9, target=Target("test/accuracy", 0.90))
    reason = loop.run()
    say_why(loop.standing, reason)
    say_why(replace(loop.standing, rules=Rules(1, 0)), Reason.N_TRIALS)  # no target, nothing to reach
    assert "not reached" not in caplog.text


def test_a_higher_target_goes_on_and_the_same_one_does_not(sweep):
    slots = FakeSlots([0.8], act=measuring(0.95))
    assert engine(sweep, slots, target=Target("test/accuracy", 0.90)).run() == "target"
    again = FakeSlots([])
    assert engine(sweep, again, target=Target("test/accuracy", 0.90)).run() == "target"
    more = FakeSlots([0.1, 0.1])
    assert engine(sweep, more, target=Target("test/accuracy", 0.99)).run() == "n_trials"
    assert len(more.jobs) == 2


def test_a_target_that_is_not_measured_is_named_with_the_nearest_metric(sweep):
    slots = FakeSlots([0.8], act=measuring(0.95))
    with pytest.raises(InputError, match=r"target\.metric=test/acuracy: .*did you mean 'test/accuracy'"):
        engine(sweep, slots, target=Target("test/acuracy", 0.90)).run()


def test_it_gives_up_when_more_fail_than_may(sweep):
    # Two may fail; the third is one too many, and its exception is raised.
    script = [OSError("first"), 0.1, OSError("second"), 0.2, OSError("third"), 0.3]
    loop = engine(sweep, FakeSlots(script), n_trials=10, failures=2)
    with pytest.raises(OSError, match="third"):
        loop.run()
    assert loop.stop_reason == "failures"
    assert len(loop.study.trials) == 5


def test_failures_of_an_earlier_start_are_forgiven(sweep):
    with pytest.raises(OSError, match="first"):
        engine(sweep, FakeSlots([OSError("first")]), n_trials=2).run()
    assert engine(sweep, FakeSlots([0.5]), n_trials=2).run() == "n_trials"


def test_a_users_error_ends_the_sweep_at_once_and_is_told(sweep):
    # The first trial of a start: further ones would most likely not run either.
    loop = engine(sweep, FakeSlots([InputError("model.hidden=[]: must be a list")]), failures=9)
    with pytest.raises(InputError, match=r"model\.hidden"):
        loop.run()
    assert [trial.state for trial in loop.study.trials] == [TrialState.FAIL]


def test_a_users_error_in_a_later_trial_is_one_failure_among_the_rest(sweep):
    # A corner of the space that cannot be used must not end a night's work.
    loop = engine(sweep, FakeSlots([0.1, InputError("model.channels: fewer blocks"), 0.3]), n_trials=3, failures=1)
    assert loop.run() == "n_trials"
    assert [trial.state.name for trial in loop.study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_an_interrupted_trial_is_repeated_by_the_next_start(sweep):
    first = FakeSlots([0.1, KeyboardInterrupt()])
    loop = engine(sweep, first)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    loop.abandon(Reason.INTERRUPTED)
    assert first.closed
    second = FakeSlots([0.2, 0.3])
    loop = engine(sweep, second)
    repair(loop.study, [])
    loop.run()
    assert second.jobs[0].number == 2
    assert second.jobs[0].overrides == first.jobs[1].overrides
    assert [trial.state.name for trial in loop.study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_a_folder_that_the_study_does_not_know_is_never_written_over(sweep):
    sweep.trial(0).root.mkdir()
    slots = FakeSlots([0.1])
    with pytest.raises(InputError, match="0: is there already"):
        engine(sweep, slots).run()
    assert slots.jobs == []


def test_several_slots_are_kept_full_and_told_in_the_order_they_end(sweep):
    # The last started ends first.
    slots = FakeSlots([0.1, 0.2, 0.3, 0.4], slots=2, order=deque.pop)
    loop = engine(sweep, slots, n_trials=4)
    loop.run()
    assert [trial.value for trial in loop.study.trials] == [0.4, 0.1, 0.2, 0.3]
    assert len(slots.jobs) == 4


@pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
def test_the_summary_follows_every_trial(sweep, direction, best):
    seen = []
    slots = FakeSlots([0.1, 0.9, math.nan], act=lambda *_: seen.append(sweep.summary.is_file()))
    engine(sweep, slots, directions=[direction]).run()
    summary = json.loads(sweep.summary.read_text())
    assert seen == [False, True, True]
    assert summary["incumbent"]["number"] == best
    assert summary["trials"] == {"complete": 2, "pruned": 1, "fail": 0, "running": 0, "waiting": 0, "lost": 0}
    assert f"best_value: {[0.1, 0.9][best]}" in sweep.results.read_text()


def test_a_trial_is_one_line(sweep):
    slots = FakeSlots([0.5], act=measuring(0.25))
    target = Target("test/accuracy", 0.90)
    loop = engine(sweep, slots, n_trials=1, target=target)
    loop.run()
    x = loop.study.trials[0].params["x"]
    line = Report(loop.context).line(incumbent(loop.study), 3.14)
    assert line == f"trial 0: 0.5000, test/accuracy 0.2500, 3.1 s, best 0.5000 (trial 0) | x={x:.4g}"


def test_a_trial_is_signed_by_who_runs_it(sweep):
    loop = engine(sweep, FakeSlots([0.1, 0.2], slots=2), n_trials=2)
    loop.run()
    signed = [trial.user_attrs[OWNER] for trial in loop.study.trials]
    assert [owner["slot"] for owner in signed] == [0, 1]
    assert {owner["id"] for owner in signed} == {loop.owner.id}


def test_a_trial_whose_worker_died_is_repeated_with_its_parameters_as_often_as_allowed(sweep):
    died = WorkerDied("by SIGKILL")
    slots = FakeSlots([died, died, 0.3, 0.4])
    loop = engine(sweep, slots, n_trials=2, failures=9, retry=1)
    assert loop.run() == "n_trials"
    first, second, third = loop.study.trials
    assert slots.jobs[0].overrides == slots.jobs[1].overrides
    assert (second.user_attrs[REPEATS], second.user_attrs[ATTEMPT]) == (0, 1)
    # The first does not count any more; the repetition failed for good, and does.
    assert (RETRIED in first.user_attrs, RETRIED in second.user_attrs) == (True, False)
    assert states(loop) == ["FAIL", "FAIL", "COMPLETE"]
    assert third.params != first.params


def test_a_death_that_is_repeated_is_no_failure(sweep):
    # None may fail; and the first trial of a start that cannot run still ends it, though a worker has died before.
    died = WorkerDied("by SIGKILL")
    loop = engine(sweep, FakeSlots([died, *(0.1 * i for i in range(9))]), n_trials=9)
    assert loop.run() == "n_trials"
    assert states(loop) == ["FAIL"] + 9 * ["COMPLETE"]
    assert loop.ledger.states["lost"] == 1
    loop = engine(sweep, FakeSlots([died, InputError("x: cannot be")]), n_trials=12, failures=9)
    with pytest.raises(InputError, match="cannot be"):
        loop.run()


@pytest.mark.parametrize(("retry", "jobs"), [(0, 2), (1, 4), (2, 6)])
def test_a_trial_fails_once_its_repetitions_have_died_too(sweep, retry, jobs):
    # One trial may fail; the second one that does ends the sweep.
    slots = FakeSlots([WorkerDied("by SIGKILL")] * 9)
    with pytest.raises(WorkerDied):
        engine(sweep, slots, n_trials=5, failures=1, retry=retry).run()
    assert len(slots.jobs) == jobs


FULL = OSError(errno.ENOSPC, "No space left on device", "/tmp/x")


def test_a_trial_that_the_machine_failed_is_repeated_and_no_failure(sweep):
    slots = FakeSlots([0.1, FULL, 0.2, 0.3])
    loop = engine(sweep, slots, retry=0)
    assert loop.run() == "n_trials"
    assert slots.jobs[1].overrides == slots.jobs[2].overrides
    assert states(loop) == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    line = Report(loop.context).line(loop.study.trials[1], 0.1)
    assert line.startswith("trial 1: lost, to be repeated (/tmp/x: No space left on device; make room)")
    assert loop.ledger.states["lost"] == 1


@pytest.mark.parametrize(("slots", "faults"), [(1, 2), (2, 3)])
def test_a_machine_that_stays_broken_ends_the_sweep_and_costs_no_trial(sweep, slots, faults):
    # One fault more than there are slots, in a row.
    first = FakeSlots([FULL] * 9, slots=slots)
    loop = engine(sweep, first, n_trials=9, retry=9)
    line = "^/tmp/x: No space left on device; make room; the same command goes on$"
    with pytest.raises(MachineFault, match=line):
        loop.run()
    assert loop.stop_reason is Reason.MACHINE
    ended = [trial for trial in loop.study.trials if trial.state.is_finished()]
    assert len(ended) >= faults
    assert loop.ledger.finished == 0
    loop.abandon(Reason.MACHINE)
    second = FakeSlots([0.1 * i for i in range(9)], slots=slots)
    again = engine(sweep, second, n_trials=9)
    repair(again.study, [])
    assert again.run() == "n_trials"
    assert first.jobs[0].overrides in [job.overrides for job in second.jobs]
    assert states(again).count("COMPLETE") == 9


@pytest.mark.parametrize("error", [FULL, WorkerDied("its process ended with exit code 1")])
def test_a_sweep_directory_that_cannot_be_written_ends_the_sweep_at_once(sweep, monkeypatch, error):
    monkeypatch.setattr("inksweep.sweep.engine.of_folder", lambda folder: Fault(f"{folder}: full", "make room"))
    loop = engine(sweep, FakeSlots([0.1, error, 0.2]), n_trials=9)
    with pytest.raises(MachineFault, match="make room; the same command goes on"):
        loop.run()
    assert states(loop) == ["COMPLETE", "FAIL"]
    assert loop.study.trials[1].user_attrs[LOST] is True


def test_what_only_one_trial_meets_twice_is_its_failure(sweep):
    # It alone needs more room than there is.
    loop = engine(sweep, FakeSlots([FULL, 0.1, FULL, 0.2], slots=2), n_trials=3, failures=1)
    assert loop.run() == "n_trials"
    assert (loop.ledger.states["fail"], loop.ledger.states["complete"], loop.ledger.states["lost"]) == (1, 2, 1)


def test_a_kill_for_lack_of_memory_says_what_to_do(sweep, monkeypatch):
    kills = iter([0, 2])
    monkeypatch.setattr("inksweep.sweep.faults._kills", lambda: next(kills))
    loop = engine(sweep, FakeSlots([WorkerDied("its process was ended by SIGKILL"), 0.5]), n_trials=1)
    loop.run()
    reason = loop.study.trials[0].user_attrs[REASON]
    assert reason.startswith("worker died: its process was ended by SIGKILL, most likely")
    assert "fewer hydra.sweeper.n_jobs" in reason


def test_a_trial_that_takes_too_long_is_ended(sweep):
    slots = FakeSlots([None, 0.1, 0.2], ages={0: 11.0})
    loop = engine(sweep, slots, n_trials=2, failures=1, trial_timeout_s=10)
    loop.run()
    assert slots.ended[0] == 0
    assert loop.study.trials[0].user_attrs[REASON] == "timeout"
    assert states(loop) == ["FAIL", "COMPLETE"]


def test_running_trials_are_told_to_stop_at_the_target_and_are_pruned(sweep):
    def act(study, number):
        if number == 0:
            note(METRICS, {"test/accuracy": 0.95})(study, number)
        else:  # what a job does at its next report
            reason = study.get_trials(deepcopy=False)[number].user_attrs[STOP]
            note(STOPPED, reason)(study, number)

    slots = FakeSlots([0.8, 0.1], slots=2, act=act)
    loop = engine(sweep, slots, n_trials=5, target=Target("test/accuracy", 0.90))
    assert loop.run() == "target"
    assert states(loop) == ["COMPLETE", "PRUNED"]
    assert loop.study.trials[1].user_attrs[REASON] == "stopped"


def test_an_interrupt_lets_running_trials_end_and_the_next_start_repeats_them(sweep):
    def act(study, number):
        loop.stop(Reason.INTERRUPTED)
        loop._stop_running(Reason.INTERRUPTED)
        note(STOPPED, "interrupted")(study, number)

    first = FakeSlots([0.5], act=act)
    loop = engine(sweep, first)
    assert loop.run() == "interrupted"
    assert loop.study.trials[0].user_attrs[LOST] is True
    second = FakeSlots([0.1, 0.2, 0.3])
    again = engine(sweep, second)
    assert repair(again.study, []) == []
    again.run()
    assert second.jobs[0].overrides == first.jobs[0].overrides
    assert states(again) == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]


def test_a_full_result_that_came_after_the_stop_is_kept(sweep):
    loop = engine(sweep, FakeSlots([0.5], act=lambda *_: loop.stop(Reason.INTERRUPTED)))
    assert loop.run() == "interrupted"
    assert states(loop) == ["COMPLETE"]


def test_a_start_ends_after_its_time(sweep):
    loop = engine(sweep, FakeSlots([0.5, 0.6]), n_trials=9, timeout_s=1e-9)
    assert loop.run() == "timeout"
    assert states(loop) == []


@pytest.mark.parametrize(
    ("directions", "script", "jobs"),
    [
        (["maximize"], [0.5, 0.4, 0.6, 0.6, 0.5], 5),
        (["minimize"], [0.5, 0.6, 0.4, 0.4, 0.5], 5),
        # Diverged ones count, failed ones do not.
        (["maximize"], [0.5, math.nan, OSError("disk"), 0.4], 4),
        # Without a complete trial there is nothing to be better than.
        (["maximize"], [math.nan] * 6, 6),
        # Of several objectives the front must not change: the third trial does.
        (["maximize", "minimize"], [[0.5, 10], [0.4, 20], [0.1, 5], [0.4, 20], [0.0, 9]], 5),
    ],
)
def test_it_ends_when_trials_in_a_row_bring_nothing_better(sweep, directions, script, jobs):
    slots = FakeSlots([*script, 0.1])
    loop = engine(sweep, slots, n_trials=6, failures=1, directions=directions, patience_trials=2)
    assert loop.run() == ("n_trials" if jobs == 6 else "patience_trials")
    assert len(slots.jobs) == jobs


def test_patience_is_of_the_study_not_of_a_start(sweep):
    engine(sweep, FakeSlots([0.5, 0.4]), n_trials=2, patience_trials=3).run()
    slots = FakeSlots([0.3, 0.2])
    assert engine(sweep, slots, n_trials=9, patience_trials=3).run() == "patience_trials"
    assert len(slots.jobs) == 2
    # The same again runs nothing; a higher number goes on.
    assert engine(sweep, FakeSlots([]), n_trials=9, patience_trials=3).run() == "patience_trials"
    assert engine(sweep, FakeSlots([0.1]), n_trials=9, patience_trials=4).run() == "patience_trials"


def test_running_trials_end_with_the_patience_and_do_not_count_for_it(sweep):
    seen = []

    def act(study, number):
        stop = study.get_trials(deepcopy=False)[number].user_attrs.get(STOP)
        if stop is not None:
            seen.append(Overview(loop, report).view().stopping)
            note(STOPPED, stop)(study, number)

    slots = FakeSlots([0.5, 0.4, 0.3], slots=2, act=act)
    loop = engine(sweep, slots, n_trials=9, patience_trials=1)
    report = Report(loop.context)
    assert loop.run() == "patience_trials"
    assert states(loop) == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert loop.study.trials[2].user_attrs[REASON] == "stopped"
    assert seen == ["the last trials brought nothing better: running ones end at their next report"]
    loop.ledger.look()
    assert loop.ledger.since_better == 1


def test_another_thread_may_look_while_the_sweep_waits_in_a_trial(sweep):
    seen = []

    def act(study, number):
        study._storage.set_trial_intermediate_value(study.get_trials(deepcopy=False)[number]._trial_id, 3, 0.7)
        with ThreadPoolExecutor(1) as aside:
            seen.append(aside.submit(Overview(loop, report).from_aside).result())

    loop = engine(sweep, FakeSlots([0.5, 0.4], act=act), n_trials=2)
    report = Report(loop.context)
    loop.run()
    assert [(view.finished, view.running[0].number, view.running[0].step) for view in seen] == [(0, 0, 3), (1, 1, 3)]
    assert seen[1].best == "0.5000 (trial 0)"


def test_a_trial_that_has_not_reported_is_seen_to_prepare_or_by_what_it_prints(sweep):
    seen = []

    def act(study, number):
        seen.append(Overview(loop, report).view().running[0].doing)
        (sweep.trial(number).root).mkdir()
        sweep.trial(number).output.write_text("mnist: fetching it\n")
        seen.append(Overview(loop, report).view().running[0].doing)
        slots.preparing = lambda number: "importing torch"
        seen.append(Overview(loop, report).view().running[0].doing)

    slots = FakeSlots([0.5], act=act)
    loop = engine(sweep, slots, n_trials=1)
    report = Report(loop.context)
    loop.run()
    assert seen == [None, "mnist: fetching it", "importing torch"]


def test_a_missed_target_is_said_with_the_patience_that_goes_on(sweep, caplog):
    caplog.set_level("INFO")
    target = Target("test/accuracy", 0.90)
    slots = FakeSlots([0.5, 0.4, 0.3], act=measuring(0.5, 0.4, 0.3))
    loop = engine(sweep, slots, n_trials=9, target=target, patience_trials=2)
    reason = loop.run()
    say_why(loop.standing, reason)
    assert "2 trials in a row brought nothing better; a higher hydra.sweeper.patience_trials goes on" in caplog.text
    assert "is not reached: no trial that was the best had test/accuracy > 0.9" in caplog.text
    assert "hydra.sweeper.patience_trials=4 goes on" in caplog.text


def test_a_point_that_is_known_is_told_without_being_run(sweep):
    slots = FakeSlots([0.1, 0.2], act=measuring(0.7, 0.8))
    loop = engine(sweep, slots, n_trials=3)
    loop.study.enqueue_trial({"x": 0.5})
    loop.study.enqueue_trial({"x": 0.5})
    loop.run()
    assert len(slots.jobs) == 2
    copy = loop.study.trials[1]
    assert (copy.value, copy.user_attrs[COPIES], copy.user_attrs[METRICS]) == (0.1, 0, {"test/accuracy": 0.7})
    assert incumbent(loop.study).number == 2
    assert "known from trial 0" in Report(loop.context).line(copy, 0.0)


def test_a_known_point_is_run_again_if_that_is_wanted_and_a_failed_one_always(sweep):
    slots = FakeSlots([OSError("disk"), 0.1, 0.2])
    loop = engine(sweep, slots, n_trials=3, failures=1, reuse_results=False)
    for _ in range(3):
        loop.study.enqueue_trial({"x": 0.5})
    loop.run()
    assert len(slots.jobs) == 3


def test_a_trial_that_was_ended_from_elsewhere_is_not_told_again(sweep):
    def act(study, number):
        if number == 0:
            repair(study, [study.trials[0]])

    slots = FakeSlots([0.1, 0.2, 0.3], act=act)
    loop = engine(sweep, slots, n_trials=2)
    assert loop.run() == "n_trials"
    assert slots.jobs[1].overrides == slots.jobs[0].overrides
    assert states(loop) == ["FAIL", "COMPLETE", "COMPLETE"]


def test_trials_of_other_processes_count_and_one_too_many_is_given_back(sweep):
    loop = engine(sweep, FakeSlots([]), n_trials=1)
    loop.study.enqueue_trial({"x": 0.25})
    other = loop.study.ask()
    other.suggest_float("x", 0, 1)
    assert loop._missing() == 0
    loop.study.enqueue_trial({"x": 0.75})
    loop._ask()  # as if it had looked before the other one asked
    assert states(loop) == ["RUNNING", "FAIL", "WAITING"]
    assert loop.running == {}
    # Its point is not lost: it waits again.
    assert loop.study.trials[2].system_attrs["fixed_params"] == {"x": 0.75}


def test_several_objectives_have_a_front(sweep):
    slots = FakeSlots([[0.9, 100], [0.8, 10], [0.7, 50]])
    loop = engine(sweep, slots, directions=["maximize", "minimize"])
    loop.run()
    summary = Report(loop.context).summary(None)
    assert [trial["number"] for trial in summary["pareto_front"]] == [0, 1]
    assert summary["incumbent"]["values"] == [0.9, 100.0]
    assert "solutions:" in sweep.results.read_text()


def test_a_diverged_point_that_had_reported_is_known_too(sweep):
    def act(study, number):
        trial = study.get_trials(deepcopy=False)[number]
        study._storage.set_trial_intermediate_value(trial._trial_id, 1, 0.5)

    slots = FakeSlots([math.nan, 0.2], act=act)
    loop = engine(sweep, slots, n_trials=3)
    for x in (0.5, 0.5, 0.25):
        loop.study.enqueue_trial({"x": x})
    loop.run()
    assert states(loop) == ["PRUNED", "PRUNED", "COMPLETE"]
    assert loop.study.trials[1].user_attrs[REASON] == "diverged"
    assert len(slots.jobs) == 2
