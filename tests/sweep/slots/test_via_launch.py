"""Slots that run jobs through a launcher, with a launcher that does what a test says."""

import threading
import time

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.sweep.job.job import Job, TooLong, WorkerDied
from inksweep.sweep.slots.via_launch import BlockingSlot, LauncherSlots, launched


class FakeLauncher:
    """Answers with what `results` holds for the number of a job: a value, an exception, or what `launch` does."""

    def __init__(self, results):
        self.results = results

    def launch(self, job_overrides, initial_job_idx):
        result = self.results[initial_job_idx]
        if callable(result):
            return result(initial_job_idx)
        return [job_return(initial_job_idx, result)]


class UncompletedJobError(RuntimeError):
    """As submitit's: known by its name."""


def job_return(number, value):
    returned = JobReturn(hydra_cfg=OmegaConf.create({"hydra": {"job": {"num": number}}}))
    returned.status = JobStatus.FAILED if isinstance(value, Exception) else JobStatus.COMPLETED
    returned.return_value = value
    return returned


def raises(error):
    def launch(number):
        raise error

    return launch


def outcome(result, meaning=lambda error: error):
    done = launched(FakeLauncher({7: result}), Job(7, ["x=1"]), meaning)
    assert done.number == 7
    return done.value, type(done.error), str(done.error)


def test_what_a_job_returned_or_raised_comes_back():
    assert outcome(0.5) == (0.5, type(None), "None")
    assert outcome(KeyError("x")) == (None, KeyError, "'x'")


def test_a_job_that_submitit_ended_was_too_long():
    assert outcome(UncompletedJobError("timed out")) == (None, TooLong, "timed out")


def test_the_result_of_another_job_is_none():
    # A local job of submitit is known by its process number, which an earlier one may have had.
    assert outcome(lambda number: [job_return(3, 0.9)])[:2] == (None, WorkerDied)


def test_a_blocking_slot_runs_its_job_while_it_is_waited_for():
    slot = BlockingSlot(FakeLauncher({0: 0.5, 1: raises(ValueError("why"))}))
    assert (slot.size, slot.free, slot.wait(0.0)) == (1, 1, None)
    slot.start(Job(0, []))
    assert (slot.free, slot.end(0), slot.seconds(0)) == (0, False, None)
    assert (slot.wait(0.0).value, slot.free) == (0.5, 1)
    slot.start(Job(1, []))
    assert repr(slot.wait(0.0).error) == "ValueError('why')"


def waited(slots):
    deadline = time.monotonic() + 30
    while (done := slots.wait(0.5)) is None:
        assert time.monotonic() < deadline
    return done


def test_launcher_slots_run_several_jobs_at_a_time_and_give_them_back_as_they_end():
    first_may_end = threading.Event()

    def waits(number):
        assert first_may_end.wait(30)
        return [job_return(number, 1.0)]

    ends = []
    slots = LauncherSlots(FakeLauncher({0: waits, 1: 2.0, 2: 3.0}), 2, lambda: ends.append("end"))
    slots.start(Job(0, []))
    assert (slots.free, slots.next) == (1, 1)
    slots.start(Job(1, []))
    assert slots.free == 0
    assert waited(slots).value == 2.0
    assert (slots.free, slots.next) == (1, 1)
    slots.start(Job(2, []))
    assert waited(slots).value == 3.0
    first_may_end.set()
    assert (waited(slots).value, slots.free, slots.next) == (1.0, 2, 0)
    assert slots.wait(0.0) is None
    slots.close()
    slots.close()
    assert ends == ["end"]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError("connection lost\nhost is down"), WorkerDied, "OSError: host is down"),
        # As joblib and submitit say it.
        (
            RuntimeError("A worker was terminated. The exit codes of the workers are {SIGKILL(-9)}\nDetailed"),
            WorkerDied,
            "RuntimeError: its process was ended by SIGKILL",
        ),
        (
            UncompletedJobError("Job 7\nhas not produced any output (state: OUT_OF_MEMORY)\nError stream produced: x"),
            WorkerDied,
            "UncompletedJobError: its job ended without a result, in the state OUT_OF_MEMORY",
        ),
        (InputError("hydra.launcher.x=1: no"), InputError, "hydra.launcher.x=1: no"),
    ],
)
def test_a_launcher_that_cannot_run_a_job_is_a_dead_worker_unless_the_user_is_to_blame(error, kind, text):
    slots = LauncherSlots(FakeLauncher({0: raises(error)}), 1, lambda: None)
    slots.start(Job(0, []))
    done = waited(slots)
    assert (type(done.error), str(done.error)) == (kind, text)


def test_what_is_no_failure_of_a_job_ends_the_sweep():
    slots = LauncherSlots(FakeLauncher({0: raises(SystemExit(3))}), 1, lambda: None)
    slots.start(Job(0, []))
    with pytest.raises(SystemExit):
        waited(slots)
