"""Slots as processes: what each is given, that it is kept, and when it is replaced."""

import json

import pytest

from inksweep.sweep.slots import pool
from inksweep.sweep.slots.slots_launcher import SlotsLauncherConf
from tests.sweep import apps

CODE = """
import json, os, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig

KEPT = []

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    seen = {"pid": os.getpid(), **{name: os.environ.get(name) for name in names}}
    print("printed by trial", HydraConfig.get().job.num)
    os.write(2, b"written by a library\\n")
    KEPT.append(bytearray(cfg.grow * 2**20))
    KEPT[-1][::4096] = b"x" * len(KEPT[-1][::4096])
    time.sleep(0.3)
    out = Path(HydraConfig.get().runtime.output_dir)
    (out / "seen.json").write_text(json.dumps(seen))
    return cfg.x

if __name__ == "__main__":
    main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 0.0
grow: 0
hydra:
  sweep: {dir: night}
  sweeper: {n_trials: 4, n_jobs: 2, params: {x: "interval(0,1)"}}
"""


@pytest.fixture
def app(tmp_path):
    return apps.write(tmp_path / "app", CODE, CONFIG)


def seen(app):
    return [json.loads((app.sweep / str(number) / "seen.json").read_text()) for number in range(4)]


def test_a_slot_keeps_its_process_and_has_its_threads_and_device(app):
    done = app.run("hydra.launcher.threads=1", "hydra.launcher.devices=[3,5]")
    assert done.returncode == 0, done.stderr
    assert len({trial["pid"] for trial in seen(app)}) == 2
    assert {(trial["pid"], trial["CUDA_VISIBLE_DEVICES"]) for trial in seen(app)} == {
        (pid, device) for pid, device in {trial["pid"]: trial["CUDA_VISIBLE_DEVICES"] for trial in seen(app)}.items()
    }
    assert {trial["CUDA_VISIBLE_DEVICES"] for trial in seen(app)} == {"3", "5"}
    assert {trial["OMP_NUM_THREADS"] for trial in seen(app)} == {"1"}
    # What a trial prints is in its folder, and not between the lines of the sweep.
    text = (app.sweep / "2" / "output.log").read_text()
    assert "printed by trial 2" in text
    assert "written by a library" in text
    assert "printed by" not in done.stdout
    assert "written by" not in done.stderr


def test_a_worker_that_grows_is_replaced(app):
    done = app.run("grow=40", "hydra.launcher.max_growth_mb=20", "hydra.sweeper.n_jobs=1")
    assert done.returncode == 0, done.stderr
    pids = [trial["pid"] for trial in seen(app)]
    # The first job says how large a worker is; the second one grows beyond that.
    assert pids[0] == pids[1] != pids[2]


def test_workers_may_be_spawned(app):
    done = app.run("hydra.launcher.start_method=spawn", "hydra.sweeper.n_trials=4")
    assert done.returncode == 0, done.stderr
    assert len({trial["pid"] for trial in seen(app)}) == 2


def test_a_worker_that_cannot_begin_ends_the_sweep_with_its_reason(app):
    code = CODE.replace("KEPT = []", "KEPT = []\nif __name__ != '__main__':\n    raise OSError('no licence')")
    (app.root / "app.py").write_text(code)
    done = app.run("hydra.launcher.start_method=spawn")
    assert done.returncode == 1
    assert "no licence" in done.stderr


@pytest.mark.parametrize(("allowed", "devices"), [("0,2", ["0", "2"]), ("", [])])
def test_devices_are_those_that_may_be_seen(monkeypatch, allowed, devices):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed)
    assert pool.visible_devices() == devices


def test_devices_are_counted_without_touching_them(monkeypatch, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: One (UUID: a)'\necho 'GPU 1: Two (UUID: b)'\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    pool._listed_devices.cache_clear()
    assert pool.visible_devices() == ["0", "1"]
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert pool.visible_devices() == ["0", "1"]  # it was asked once
    pool._listed_devices.cache_clear()
    assert pool.visible_devices() == []
    pool._listed_devices.cache_clear()


@pytest.mark.parametrize(("key", "value"), [("n_jobs", 0), ("threads", 0), ("max_growth_mb", 0)])
def test_a_value_out_of_range_is_named(key, value):
    with pytest.raises(ValueError, match=rf"^hydra\.launcher\.{key}={value}: must be"):
        SlotsLauncherConf(**{key: value})
