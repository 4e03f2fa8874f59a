"""How many slots a sweep has by default, on machines that are not here."""

from types import SimpleNamespace

import pytest

from inksweep.cores import control_groups
from inksweep.sweep.slots import how_many as module
from inksweep.sweep.slots.how_many import how_many, memory
from tests.test_cores import OTHER, V1, V2, machine

GIB = 2**30
TPE, RANDOM = "optuna.samplers.TPESampler", "optuna.samplers.RandomSampler"


@pytest.fixture
def on(monkeypatch):
    """Return how many slots there are on a machine."""

    def on(cores, n_trials=20, gpus=(), free=64, sampler=TPE, **launcher):
        monkeypatch.setattr(module, "usable_cores", lambda: cores)
        monkeypatch.setattr(module, "visible_devices", lambda: [str(index) for index in range(len(gpus))])
        monkeypatch.setattr(module, "memory", lambda: int(free * GIB))
        conf = SimpleNamespace(**{"threads": None, "devices": None, **launcher})
        return how_many(conf, sampler, n_trials)

    return on


@pytest.mark.parametrize(("cores", "slots"), [(1, 1), (2, 2), (3, 3), (8, 4), (64, 4)])
def test_as_many_as_cores_but_no_more_than_a_fifth_of_the_trials(on, cores, slots):
    assert on(cores)[0] == slots


@pytest.mark.parametrize(("n_trials", "slots"), [(1, 1), (3, 1), (5, 1), (6, 2), (20, 4), (21, 5), (1000, 64)])
def test_a_sampler_that_learns_is_asked_in_at_least_five_rounds(on, n_trials, slots):
    assert on(64, n_trials)[0] == slots


def test_a_sampler_that_learns_nothing_needs_no_rounds(on):
    assert on(8, 20, sampler=RANDOM)[0] == 8
    assert on(64, 20, sampler="optuna.samplers.GridSampler") == (20, "one a trial")


@pytest.mark.parametrize(("free", "slots"), [(0.2, 1), (1.5, 1), (3.9, 3), (64, 4)])
def test_a_gibibyte_of_memory_a_slot(on, free, slots):
    assert on(8, free=free)[0] == slots


def test_slots_of_more_threads_are_fewer(on):
    assert on(8, 1000, threads=4)[0] == 2
    assert on(2, 1000, threads=4)[0] == 1


def test_four_share_a_gpu_unless_the_cores_are_fewer(on):
    assert on(16, 1000, gpus="a")[0] == 4
    assert on(16, 1000, gpus="ab")[0] == 8
    assert on(2, 1000, gpus="ab")[0] == 2
    assert on(16, 1000, gpus="ab", devices=["0"])[0] == 4
    assert on(16, 1000, gpus="ab", devices=[])[0] == 16


def test_what_limits_them_is_said(on):
    assert on(2) == (2, "one a core")
    assert on(8) == (4, "a fifth of hydra.sweeper.n_trials, so that the sampler learns")
    assert on(8, free=2.5)[1] == "as the memory that is free allows"
    assert on(16, 1000, gpus="a")[1] == "4 a GPU"


STAT = "anon 5\ninactive_file {0}\ntotal_inactive_file {0}\n"


@pytest.mark.parametrize(
    ("groups", "mounts", "files"),
    [
        (
            "0::/a",
            [V2],
            {"memory.max": f"{3 * GIB}\n", "memory.current": f"{2 * GIB}\n", "memory.stat": STAT.format(GIB // 2)},
        ),
        (
            "4:memory:/a\n3:cpu,cpuacct:/c\n",
            [OTHER, V1],
            {
                "memory.limit_in_bytes": str(3 * GIB),
                "memory.usage_in_bytes": str(2 * GIB),
                "memory.stat": STAT.format(GIB // 2),
            },
        ),
    ],
    ids=["v2", "v1"],
)
def test_the_memory_of_a_container_is_what_its_group_has_left(tmp_path, groups, mounts, files):
    tree = "unified" if mounts == [V2] else "memory"
    proc = machine(tmp_path, groups, mounts, {f"{tree}/a/{name}": text for name, text in files.items()})
    assert next(control_groups("memory", proc)).name == "a"
    assert memory(proc) == int(1.5 * GIB)


def test_without_a_limit_it_is_the_machines(tmp_path):
    files = {"memory.max": "max\n", "memory.current": "1\n", "memory.stat": STAT.format(0)}
    proc = machine(tmp_path, "0::/a", [V2], {f"unified/a/{name}": text for name, text in files.items()})
    there = memory(proc)
    assert there == pytest.approx(memory(tmp_path / "none"), rel=0.5)
    assert there > 0
