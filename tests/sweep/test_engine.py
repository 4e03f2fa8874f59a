"""The loop, with a fake at its one seam: slots that answer from a script."""

import json
import math
from collections import deque

import optuna
import pytest
from optuna.trial import TrialState

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep.declaration import declare
from inksweep.sweep.engine import Engine, Rules, Target, outcome
from inksweep.sweep.report import Report
from inksweep.sweep.slots import Done
from inksweep.sweep.study import incumbent, open_study, repair

SPACE = {"x": "interval(0,1)"}


class FakeSlots:
    """Answer each job with the next line of a script: a value, or an exception. `order` says which job ends first."""

    def __init__(self, script, slots=1, order=deque.popleft, on_wait=lambda: None):
        self.script, self.slots, self.order, self.on_wait = deque(script), slots, order, on_wait
        self.running, self.jobs = deque(), []

    @property
    def free(self):
        return self.slots - len(self.running)

    def start(self, job):
        assert self.free
        self.running.append(job)
        self.jobs.append(job)

    def wait(self):
        job = self.order(self.running)
        self.on_wait()
        answer = self.script.popleft()
        if isinstance(answer, KeyboardInterrupt):
            raise answer
        return Done(job.number, error=answer) if isinstance(answer, Exception) else Done(job.number, answer)


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path)


def engine(sweep, slots, n_trials=3, rate=0.0, target=None, direction="maximize"):
    study = open_study(sweep, "night", None, direction)
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    report = Report(study, sweep, target)
    return Engine(study, declare(SPACE, None), slots, sweep, Rules(n_trials, rate, target), report.update)


def measure(sweep, number, **metrics):
    sweep.trial(number).root.mkdir(exist_ok=True)
    named = {name.replace("_", "/"): value for name, value in metrics.items()}
    sweep.trial(number).result.write_text(json.dumps({"metrics": named}))


@pytest.mark.parametrize(
    ("done", "state", "value", "reason"),
    [
        (Done(0, 0.5), TrialState.COMPLETE, 0.5, None),
        (Done(0, 1), TrialState.COMPLETE, 1.0, None),
        (Done(0, math.nan), TrialState.PRUNED, None, "diverged"),
        (Done(0, math.inf), TrialState.PRUNED, None, "diverged"),
        (Done(0, error=OSError("disk")), TrialState.FAIL, None, "OSError: disk"),
    ],
)
def test_what_came_back_decides_what_is_told(done, state, value, reason):
    told = outcome(done)
    assert (told.state, told.value, told.reason) == (state, value, reason)


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
    assert loop.study.trials[1].user_attrs == {"reason": "diverged"}


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
    loop = engine(sweep, FakeSlots([math.nan, OSError("disk"), 0.3]), rate=0.5)
    loop.run()
    assert len(loop.study.trials) == 3


def test_it_stops_when_the_best_trial_exceeds_the_target(sweep):
    for number, accuracy in enumerate([0.89, 0.90, 0.91, 0.99]):
        measure(sweep, number, test_accuracy=accuracy)
        sweep.trial(number).root.rename(sweep.root / f"later{number}")

    def finish():  # a trial's folder appears while it runs
        number = len(slots.jobs) - 1
        (sweep.root / f"later{number}").rename(sweep.trial(number).root)

    slots = FakeSlots([0.1, 0.2, 0.3, 0.4], on_wait=finish)
    loop = engine(sweep, slots, n_trials=4, target=Target("test/accuracy", 0.90))
    # 0.90 does not exceed 0.90.
    assert loop.run() == "target"
    assert len(slots.jobs) == 3


def test_the_test_metric_of_a_trial_that_is_not_the_best_stops_nothing(sweep):
    # The test split must not choose: trial 1 is better on it and worse by validation.
    accuracies = iter([0.5, 0.99])
    slots = FakeSlots([0.8, 0.7], on_wait=lambda: measure(sweep, len(slots.jobs) - 1, test_accuracy=next(accuracies)))
    assert engine(sweep, slots, n_trials=2, target=Target("test/accuracy", 0.90)).run() == "n_trials"


def test_a_higher_target_goes_on_and_the_same_one_does_not(sweep):
    slots = FakeSlots([0.8], on_wait=lambda: measure(sweep, 0, test_accuracy=0.95))
    assert engine(sweep, slots, target=Target("test/accuracy", 0.90)).run() == "target"
    again = FakeSlots([])
    assert engine(sweep, again, target=Target("test/accuracy", 0.90)).run() == "target"
    more = FakeSlots([0.1, 0.1])
    assert engine(sweep, more, target=Target("test/accuracy", 0.99)).run() == "n_trials"
    assert len(more.jobs) == 2


def test_a_target_that_is_not_measured_is_named_with_the_nearest_metric(sweep):
    slots = FakeSlots([0.8], on_wait=lambda: measure(sweep, 0, test_accuracy=0.95))
    with pytest.raises(InputError, match=r"target\.metric=test/acuracy: .*did you mean 'test/accuracy'"):
        engine(sweep, slots, target=Target("test/acuracy", 0.90)).run()


def test_it_gives_up_when_more_than_the_allowed_part_fails(sweep):
    # 0.2 of 10 is two; the third is one too many, and its exception is raised.
    script = [OSError("first"), 0.1, OSError("second"), 0.2, OSError("third"), 0.3]
    loop = engine(sweep, FakeSlots(script), n_trials=10, rate=0.2)
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
    loop = engine(sweep, FakeSlots([InputError("model.hidden=[]: must be a list")]), rate=1.0)
    with pytest.raises(InputError, match=r"model\.hidden"):
        loop.run()
    assert [trial.state for trial in loop.study.trials] == [TrialState.FAIL]


def test_a_users_error_in_a_later_trial_is_one_failure_among_the_rest(sweep):
    # A corner of the space that cannot be used must not end a night's work.
    loop = engine(sweep, FakeSlots([0.1, InputError("model.channels: fewer blocks"), 0.3]), n_trials=3, rate=0.5)
    assert loop.run() == "n_trials"
    assert [trial.state.name for trial in loop.study.trials] == ["COMPLETE", "FAIL", "COMPLETE"]


def test_an_interrupted_trial_is_repeated_by_the_next_start(sweep):
    first = FakeSlots([0.1, KeyboardInterrupt()])
    loop = engine(sweep, first)
    with pytest.raises(KeyboardInterrupt):
        loop.run()
    second = FakeSlots([0.2, 0.3])
    loop = engine(sweep, second)
    repair(loop.study)
    loop.run()
    assert second.jobs[0].number == 2
    assert second.jobs[0].overrides == first.jobs[1].overrides
    assert [trial.state.name for trial in loop.study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_a_folder_that_the_study_does_not_know_is_never_written_over(sweep):
    measure(sweep, 0, test_accuracy=0.5)
    slots = FakeSlots([0.1])
    with pytest.raises(InputError, match="0: is there already"):
        engine(sweep, slots).run()
    assert slots.jobs == []


def test_several_slots_are_kept_full_and_told_in_the_order_they_end(sweep):
    # The seam that parallel slots will use: the last started ends first.
    slots = FakeSlots([0.1, 0.2, 0.3, 0.4], slots=2, order=deque.pop)
    loop = engine(sweep, slots, n_trials=4)
    loop.run()
    assert [trial.value for trial in loop.study.trials] == [0.4, 0.1, 0.2, 0.3]
    assert len(slots.jobs) == 4


@pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
def test_the_summary_follows_every_trial(sweep, direction, best):
    seen = []
    slots = FakeSlots([0.1, 0.9, math.nan], on_wait=lambda: seen.append(sweep.summary.is_file()))
    engine(sweep, slots, direction=direction).run()
    summary = json.loads(sweep.summary.read_text())
    assert seen == [False, True, True]
    assert summary["incumbent"]["number"] == best
    assert summary["trials"] == {"complete": 2, "pruned": 1, "fail": 0, "running": 0, "waiting": 0, "lost": 0}
    assert f"best_value: {[0.1, 0.9][best]}" in sweep.results.read_text()


def test_a_trial_is_one_line(sweep):
    slots = FakeSlots([0.5], on_wait=lambda: measure(sweep, 0, test_accuracy=0.25))
    target = Target("test/accuracy", 0.90)
    loop = engine(sweep, slots, n_trials=1, target=target)
    loop.run()
    x = loop.study.trials[0].params["x"]
    line = Report(loop.study, sweep, target).line(incumbent(loop.study), 3.14)
    assert line == f"trial 0: 0.5000, test/accuracy 0.2500, 3.1 s, best 0.5000 (trial 0) | x={x:.4g}"
