"""Hydra's basic launcher is the specification: the same files, the same config for the task, the same errors."""

import copy
import logging
import os
import pickle
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime, JobStatus
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError

from inksweep.digits.config import parse
from inksweep.errors import InputError
from inksweep.sweep.job.runner import JobRunner, QuickCopy
from tests.conftest import CONF

FILES = {
    "config.yaml": """
defaults: [_self_, base, typed: jobs_schema, model: mlp]
x: 1.5
text: plain
place: here
sizes: [1, 2]
nested: {a: 1, b: "${x}"}
nothing: null
hydra:
  sweep: {dir: "night-${now:%H%M%S%f}"}
  job: {env_set: {INKSWEEP_JOB_X: "${x}"}}
  job_logging: {formatters: {simple: {format: "%(name)s %(message)s"}}}
""",
    "base.yaml": "{base: {a: 1}, other: 2}",
    "model/mlp.yaml": "width: 8",
    "model/cnn.yaml": "{defaults: [/norm: batch, _self_], depth: 2, width: 4}",
    "norm/batch.yaml": "momentum: 0.1",
    "norm/layer.yaml": "eps: 1e-5",
    # A group that no defaults list names, and the name of a value.
    "place/other.yaml": "a: 1",
}

log = logging.getLogger("app")


def task(cfg):
    log.info("x is %s", cfg.x)
    return float(cfg.x)


@pytest.fixture
def hydra_state():
    """Give back what Hydra changes in this process."""
    root, name = logging.getLogger(), JobRuntime.instance().get("name")
    handlers, level = list(root.handlers), root.level
    JobRuntime.instance().set("name", "app")
    yield
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers, root.level = handlers, level
    JobRuntime.instance().set("name", name)
    HydraConfig.instance().cfg = None
    GlobalHydra.instance().clear()


def sweep_of(conf, overrides=()):
    """Return what a launcher's `setup` is given: the context, and the config of a sweep."""
    initialize_config_dir(config_dir=str(conf)).__enter__()
    hydra = GlobalHydra.instance().hydra
    cfg = hydra.compose_config("config", list(overrides), run_mode=RunMode.MULTIRUN, with_log_configuration=False)
    HydraConfig.instance().set_config(cfg)
    return HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(), execution_whitelist=()), cfg


@pytest.fixture
def sweep(tmp_path, monkeypatch, hydra_state):
    # A class that no module holds, as in a worker those of the app's main program.
    @dataclass
    class Schema:
        n: int = 1
        lr: float = 0.1
        maybe: int | None = None

    ConfigStore.instance().store(group="typed", name="jobs_schema", node=Schema, provider="test", replace=True)
    for name, text in FILES.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return sweep_of(tmp_path / "conf")


@pytest.fixture
def runner(sweep):
    return JobRunner(*sweep, task)


def basic(sweep, number, overrides, function=task):
    launcher = BasicLauncher()
    context, cfg = sweep
    launcher.setup(hydra_context=context, config=cfg, task_function=function)
    (returned,) = launcher.launch([list(overrides)], initial_job_idx=number)
    return returned


def left(sweep):
    """Return the text of every file in the sweep directory, and clear it."""
    folder = Path(sweep[1].hydra.sweep.dir)
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    shutil.rmtree(folder)
    return files


def shape(cfg):
    """Return everything in a config, types of nodes included."""
    if isinstance(cfg, DictConfig) and isinstance(cfg._content, dict):
        return (cfg._metadata.object_type, {key: shape(cfg._get_node(key)) for key in cfg})
    return (type(cfg), OmegaConf.to_container(cfg) if OmegaConf.is_config(cfg) else cfg._value())


JOBS = [
    [],
    ["x=2.5", "text=other words", "nested.a=null", "nothing=3"],
    ["x=2", "x=3"],
    ["text='a, b=1'", 'nested.b="${x}"'],
    ["sizes=[3]", "nothing=[1,2]", "nested={a: 5}"],
    ["sizes[0]=7", "+fresh=1", "++x=4", "+nested.deep={c: 1}", "~nested.a"],
    ["typed.n=3", "typed.lr=1e-3", "typed.maybe=4"],
    ["model=cnn", "model.depth=3"],
    ["model.width=16", "model=cnn", "norm@model.norm=layer", "model.norm.eps=0.5"],
    ["model.width=5", "model={width: 3}"],
    ["~model", "~text"],
    ["~base"],  # the file, not the value of that name
    ["+model@second=cnn", "second.depth=9"],
    ["hydra.job.chdir=true", "+hydra.job.env_set.OTHER=1", "x=7"],
    ["hydra/job_logging=none", "x=8"],
    ["hydra[job].chdir=true", "x=9"],
]


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_a_job_is_that_of_the_basic_launcher(sweep, runner, overrides):
    expected = basic(sweep, 3, overrides)
    files = left(sweep)
    for _ in range(2):  # composed, then remembered
        got = runner.run(3, overrides)
        assert left(sweep) == files
        assert shape(got.cfg) == shape(expected.cfg)
        assert shape(got.hydra_cfg) == shape(expected.hydra_cfg)
        assert type(got.cfg) is DictConfig
        for name in ("overrides", "working_dir", "task_name", "status", "return_value"):
            assert getattr(got, name) == getattr(expected, name), name


BAD = [
    ["typo=1"],
    ["x=choice(1,2)"],
    ["x=1,2"],
    ["x=="],
    ["model=missing"],
    ["norm@model.norm=layer"],  # of cnn only
    ["place=other"],  # a group that is not in the defaults list
    ["typed.n=abc"],
    ["+x=2"],
    ["~typo"],
    ["model.depth=2"],  # of cnn only
    ["hydra.sweeper.max_batch_size=5"],
    ["hydra/launcher=missing"],
]


@pytest.mark.parametrize("overrides", BAD, ids=" ".join)
def test_a_config_that_does_not_compose_raises_what_hydra_raises(sweep, runner, overrides):
    with pytest.raises(Exception) as expected:  # noqa: PT011 - whatever Hydra raises
        basic(sweep, 0, overrides)
    for _ in range(2):
        with pytest.raises(type(expected.value)) as raised:
            runner.run(0, overrides)
        assert str(raised.value) == str(expected.value)
        assert repr(raised.value.__cause__) == repr(expected.value.__cause__)
    assert runner.run(1, []).status is JobStatus.COMPLETED


# Fails if Hydra or OmegaConf changes what is used of their insides: jobs would still be right, but slow.
def test_hydra_composes_only_once_for_the_same_options(sweep, runner, monkeypatch):
    composed = []
    original = sweep[0].config_loader.load_sweep_config
    monkeypatch.setattr(
        sweep[0].config_loader, "load_sweep_config", lambda *a, **k: composed.append(a[1]) or original(*a, **k)
    )
    for x in (1, 2, 3):
        for model in ("mlp", "cnn"):
            cfg = runner.run(x, [f"x={x}", f"model={model}", f"+new=[{x}]", f"typed.n={x}", "~nested.a"]).cfg
            assert (cfg.x, "depth" in cfg.model, cfg.new, cfg.typed.n) == (x, model == "cnn", [x], x)
    assert composed == [["model=mlp"], ["model=cnn"]]


def test_files_edited_during_a_sweep_count_for_no_later_job(runner):
    assert runner.run(0, []).cfg.model.width == 8
    Path("conf/model/mlp.yaml").write_text("width: 99")
    assert runner.run(1, ["x=3"]).cfg.model.width == 8


def test_what_the_sweep_resolved_is_the_same_in_every_job(sweep, runner):
    now = iter(range(10))
    OmegaConf.register_resolver("test_jobs_now", lambda: next(now), use_cache=True, replace=True)
    Path("conf/model/timed.yaml").write_text("at: ${test_jobs_now:}")
    with open_dict(sweep[1]):
        sweep[1].at = "${test_jobs_now:}"
    assert runner.compose(["model=timed"]).model.at == 0
    assert sweep[1].at == 1
    assert runner.compose(["model=timed"]).model.at == 1


def test_what_a_task_does_to_its_config_stays_there(sweep):
    def spoil(cfg):
        with open_dict(cfg):
            cfg.model.width, cfg.extra = 99, 1
            cfg.sizes.append(3)
        return 0.0

    runner = JobRunner(*sweep, spoil)
    runner.run(0, [])
    clean = runner.compose([])
    assert (clean.model.width, "extra" in clean, clean.sizes) == (8, False, [1, 2])


def test_the_task_sees_its_job(sweep):
    seen = []

    def look(cfg):
        job = HydraConfig.get()
        seen.append((job.job.num, job.job.id, Path(job.runtime.output_dir).name, os.environ["INKSWEEP_JOB_X"]))
        assert OmegaConf.select(OmegaConf.create({"n": "${hydra:job.num}"}), "n") == job.job.num
        return 0.0

    runner = JobRunner(*sweep, look)
    before = HydraConfig.instance().cfg
    for number in (4, 7):
        runner.run(number, [f"x={number}"])
    assert seen == [(4, "4", "4", "4"), (7, "7", "7", "7")]
    assert HydraConfig.instance().cfg is before
    assert "INKSWEEP_JOB_X" not in os.environ


def test_each_job_has_a_log_file_of_its_own(sweep, runner):
    handlers = []
    for x in (0, 1):
        runner.run(x, [f"x={x}"])
        handlers += [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)]
    assert {name: text for name, text in left(sweep).items() if name.endswith(".log")} == {
        "0/app.log": "app x is 0\n",
        "1/app.log": "app x is 1\n",
    }
    first, second = handlers
    assert first.stream is None  # closed
    assert second.stream is not None


def test_an_exception_of_the_task_is_returned_and_logged(sweep):
    def fail(cfg):
        if cfg.x == 0:
            raise InputError("no good")
        return float(cfg.x)

    runner = JobRunner(*sweep, fail)
    failed = runner.run(0, ["x=0"])
    assert failed.status is JobStatus.FAILED
    assert isinstance(failed._return_value, InputError)
    assert runner.run(1, ["x=1"]).return_value == 1
    files = left(sweep)
    assert "InputError: no good" in files["0/app.log"]
    assert "0/.hydra/config.yaml" in files


def test_callbacks_are_called(sweep, runner):
    called = []

    class Recorder:
        def on_job_start(self, config, *, task_function, **_):
            called.append(("start", config.hydra.job.num, task_function is task, config.x))

        def on_job_end(self, config, job_return, **_):
            called.append(("end", config.hydra.job.num, job_return.return_value))

    sweep[0].callbacks.callbacks.append(Recorder())
    runner.run(5, ["x=2"])
    assert called == [("start", 5, True, 2), ("end", 5, 2.0)]


def test_a_config_to_be_copied_quickly_is_like_any_other(tmp_path, monkeypatch, hydra_state):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").write_text("{x: 1, hydra: {job: {env_set: {X: '${x}'}}}}")
    context, cfg = sweep_of(tmp_path / "conf")
    quick, plain = JobRunner(context, cfg, task).compose([]), context.config_loader.load_sweep_config(cfg, [])
    assert isinstance(quick, QuickCopy)
    assert isinstance(quick.hydra, QuickCopy)
    for same in (copy.deepcopy, lambda node: pickle.loads(pickle.dumps(node))):
        assert type(same(quick)) is DictConfig
        assert type(same(quick).hydra) is DictConfig
        assert shape(same(quick)) == shape(plain)
        # A part keeps its parent, in which its references are looked up.
        assert same(quick.hydra).job.env_set.X == "1"
    assert copy.deepcopy(quick.hydra)._get_parent() is quick
    assert quick.hydra._get_parent() is quick
    copied = copy.deepcopy(quick)
    copied.x = 5
    assert (quick.x, copied.hydra.job.env_set.X) == (1, "5")


def test_a_value_out_of_range_is_refused_by_our_own_app(tmp_path, monkeypatch, hydra_state):
    monkeypatch.chdir(tmp_path)
    parse.register()
    runner = JobRunner(*sweep_of(CONF), task)
    assert runner.compose(["trainer.epochs=2", "model=cnn"]).hydra.run.dir.startswith("outputs")
    with pytest.raises(InterpolationResolutionError, match=r"InputError.*trainer\.epochs=0"):
        _ = runner.compose(["trainer.epochs=0", "model=cnn"]).hydra.run.dir


def test_a_job_costs_less_than_with_the_basic_launcher(sweep, runner):
    def cpu_time(job, number):
        started = time.process_time()
        job(number, [f"x={number}"])
        return time.process_time() - started

    times = [(cpu_time(runner.run, n), cpu_time(lambda *job: basic(sweep, *job), n)) for n in range(6)][1:]
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    assert ours < 0.5 * theirs  # measured: 0.2 to 0.25
