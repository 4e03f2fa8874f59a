"""What each tracker was told, read back with the tool's own library; imported in functions, it takes seconds."""

import ast
import csv
import json
import os
import runpy
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from inksweep.digits import checkpoint
from inksweep.digits.config import tracker
from inksweep.paths import RunDir
from tests.conftest import REPOSITORY, tiny

SOURCE = REPOSITORY / "src" / "inksweep"
QUICK = ["trainer.epochs=3", "model.hidden=[16]", "trainer.threads=1", "trainer.device=cpu"]
# Two trials that differ in what a sweep likes to search: batches of different sizes evaluate at different steps.
GRID = ["-m", "data.batch_size=25,50", "hydra.sweep.dir=multirun/night"]
COLUMNS = ["epoch", "step", "train/loss", "val/loss", "val/accuracy", "lr", "seconds", "images_per_second"]


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class App:
    """train.py, typed in a folder of its own."""

    def __init__(self, folder: Path, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.root, self.capfd = folder, root, capfd

    def __call__(self, *overrides: str) -> Ended:
        """Run with the tiny digits and small settings; `overrides` come last."""
        return self.plain(*tiny(self.root), *QUICK, *overrides)

    def plain(self, *words: str) -> Ended:
        """Run with `words` and nothing else."""
        self.capfd.readouterr()
        code = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["train.py", *words])
            patch.chdir(self.folder)
            try:
                runpy.run_path(str(REPOSITORY / "train.py"), run_name="__main__")
            except SystemExit as ended:
                code = int(ended.code or 0)
        said = self.capfd.readouterr()
        return Ended(code, said.out, said.err)

    def newest(self) -> RunDir:
        return RunDir(max(self.folder.glob("outputs/*/*")))

    def trial(self, number: int) -> RunDir:
        return RunDir(self.folder / "multirun" / "night" / str(number))


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Shared by all processes of the session: MLflow takes seconds to make its tables."""
    base = tmp_path_factory.getbasetemp()
    return f"sqlite:///{base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base}/mlflow.db"


@pytest.fixture
def app(tmp_path: Path, prepared_root: Path, database: str, capfd, monkeypatch: pytest.MonkeyPatch) -> App:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return App(tmp_path, prepared_root, capfd)


def rows(run: RunDir) -> list[dict[str, float]]:
    with run.metrics.open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def result(run: RunDir) -> dict[str, Any]:
    return json.loads(run.result.read_text())


def expected(run: RunDir, name: str) -> list[tuple[int, Any]]:
    """Return step and value of a metric of a run, as its own folder has them."""
    return [(int(row["samples"]), pytest.approx(row[name])) for row in rows(run)]


def expected_end(run: RunDir) -> dict[str, Any]:
    """Return what a tracker is told at the end, as result.json has it."""
    told = result(run)
    return {
        **{f"final/{name}": pytest.approx(value) for name, value in told["metrics"].items()},
        "parameters": told["parameters"],
        "seconds/train": pytest.approx(told["seconds"]["train"]),
        "seconds/total": pytest.approx(told["seconds"]["total"], abs=1),  # rounded, and the clock has gone on
    }


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Let Ctrl-C fall right after the second checkpoint, until the function is called."""
    save, count = checkpoint.save, 0

    def saving(path: Path, content: dict[str, Any]) -> None:
        nonlocal count
        save(path, content)
        count += 1
        if count == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", saving)
        yield lambda: patch.setattr(checkpoint, "save", save)


# Settings.


def logged_settings(compose: Callable, *overrides: str) -> dict[str, Any]:
    from inksweep.digits.tracker.tracked import settings

    choices = {"model": "mlp", "trainer": "default", "experiment": None, "hydra/launcher": "basic", "tracker": "mlflow"}
    return settings(compose(list(overrides)), choices, overrides)


def test_settings_are_flat_under_the_names_that_one_types(compose: Callable) -> None:
    words = ["model.hidden=[256,128]", "optimizer=sgd", "optimizer.lr=0.05", "trainer.clip_norm=1"]
    told = logged_settings(compose, *words)
    assert told["model"] == "mlp"
    assert (told["model.hidden"], told["model.activation"]) == ("[256,128]", "relu")
    assert (told["optimizer.lr"], told["optimizer.nesterov"], told["trainer.clip_norm"]) == (0.05, True, 1.0)
    assert (told["data.train_limit"], told["objective"], told["seed"]) == (None, "val/accuracy", 1)


def test_settings_leave_out_what_says_nothing(compose: Callable) -> None:
    told = logged_settings(
        compose, "data.root=/elsewhere", "data.title=Mine", "trainer.threads=1", "tracker=mlflow", "figures=true"
    )
    silent = ["data.checksums", "data.classes", "data.root", "trainer.threads", "trainer.resume", "model._target_"]
    assert not {*silent, "trainer", "experiment", "hydra/launcher", "tracker", "tracker.uri", "figures"} & set(told)
    assert {key for key in told if key.startswith("data")} == {"data.batch_size", "data.train_limit"}


def test_settings_hold_what_was_typed_as_it_was_typed(compose: Callable) -> None:
    # one width of a list, as a search space may set it, and a value that is seldom changed
    told = logged_settings(compose, "model.hidden=[64,64]", "model.hidden.0=32", "data.fit=20")
    assert (told["model.hidden"], told["model.hidden.0"], told["data.fit"]) == ("[32,64]", 32, 20)


def test_folders_of_a_date_are_named_with_it() -> None:
    from inksweep.digits.tracker.tracked import dated

    assert dated(Path("outputs/2026-01-02/03-04-05-678")) == "2026-01-02_03-04-05-678"
    assert dated(Path("multirun/night")) == "night"


# TensorBoard.


def events(run: RunDir) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(run.root)).Reload()


def scalars(run: RunDir, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events(run).Scalars(name)]


def hparams(logdir: Path) -> tuple[list[str], dict[str, Any]]:
    """Return what the HParams tab lists below `logdir`: names of the hyperparameters, session group by run."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2
    from tensorboard.plugins.hparams.backend_context import Context
    from tensorboard.plugins.hparams.list_session_groups import Handler

    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    multiplexer.Reload()
    provider = MultiplexerDataProvider(multiplexer, str(logdir))
    context, request_context = Context(TBContext(logdir=str(logdir), data_provider=provider)), RequestContext()
    metadata = context.hparams_metadata(request_context, "")
    experiment = context.experiment_from_metadata(
        request_context, "", True, metadata, context.hparams_from_data_provider(request_context, "", 0)
    )
    wanted = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=100,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE],
        include_metrics=True,
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos],
    )
    listed = Handler(request_context, context, "", wanted).run().session_groups
    return [info.name for info in experiment.hparam_infos], {group.sessions[0].name: group for group in listed}


def test_tensorboard_compares_the_trials_of_a_grid(app: App) -> None:
    from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS

    ended = app("tracker=tensorboard", *GRID)
    assert ended.code == 0, ended.err
    for number in (0, 1):
        run = app.trial(number)
        assert set(events(run).Tags()["scalars"]) == {*COLUMNS, *expected_end(run)}
        for name in COLUMNS:
            assert scalars(run, name) == expected(run, name)
        last = int(rows(run)[-1]["samples"])
        assert {name: scalars(run, name) for name in expected_end(run)} == {
            name: [(last, value)] for name, value in expected_end(run).items()
        }

    names, groups = hparams(app.folder / "multirun" / "night")
    assert {"data.batch_size", "model", "model.hidden", "optimizer.lr"} <= set(names)
    assert set(groups) == {"0", "1"}, "a run is a trial, under its short name, and has no run below it"
    for number, batch_size in (("0", 25), ("1", 50)):
        group = groups[number]
        assert group.hparams["data.batch_size"].number_value == batch_size
        assert group.hparams["model"].string_value == "mlp"
        assert group.sessions[0].status == STATUS_SUCCESS
        values = {value.name.tag: value.value for value in group.sessions[0].metric_values}
        told = result(app.trial(int(number)))["metrics"]
        assert values["final/test/accuracy"] == pytest.approx(told["test/accuracy"])


def test_tensorboard_goes_on_with_a_resumed_run(app: App, interrupted: Callable) -> None:
    from tensorboard.plugins.hparams.api_pb2 import STATUS_SUCCESS

    assert app("tracker=tensorboard").code == 130
    run = app.newest()
    assert len(scalars(run, "val/loss")) == 2
    assert scalars(run, "final/val/loss") == [(600, scalars(run, "val/loss")[-1][1])]
    interrupted()
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    assert scalars(run, "val/loss") == expected(run, "val/loss")
    _, groups = hparams(app.folder / "outputs")
    (group,) = groups.values()
    assert group.hparams["model.hidden"].string_value == "[16]"
    assert group.sessions[0].status == STATUS_SUCCESS


def test_tensorboard_marks_a_failed_trial(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.plugins.hparams.api_pb2 import STATUS_FAILURE

    def broken(*arguments: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("inksweep.digits.training.evaluation.metrics", broken)
    with pytest.raises(RuntimeError, match="the sky fell"):
        app("tracker=tensorboard", "-m", "seed=1", "hydra.sweep.dir=multirun/broken")
    _, groups = hparams(app.folder / "multirun" / "broken")
    assert groups["0"].sessions[0].status == STATUS_FAILURE


# MLflow.


def store(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    from inksweep.digits.tracker.mlflow import alone

    with alone(uri):  # two that make its tables at once ruin it
        return MlflowClient(tracking_uri=uri)


def experiment(uri: str, name: str, **how: Any) -> list[Any]:
    client = store(uri)
    found = client.get_experiment_by_name(name)
    assert found is not None
    return client.search_runs([found.experiment_id], **how)


def history(uri: str, run: Any, name: str) -> list[tuple[int, float]]:
    return [(metric.step, metric.value) for metric in store(uri).get_metric_history(run.info.run_id, name)]


def test_mlflow_compares_the_trials_of_a_grid(app: App, database: str) -> None:
    ended = app("tracker=mlflow", *GRID)
    assert ended.code == 0, ended.err
    assert "alembic" not in ended.err + ended.out
    found = experiment(database, "night", order_by=["metrics.`final/val/accuracy` DESC"])
    accuracies = [run.data.metrics["final/val/accuracy"] for run in found]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {run.info.run_name for run in found} == {"0", "1"}
    for tracked in found:
        run = app.trial(int(tracked.info.run_name))
        assert tracked.info.status == "FINISHED"
        for name in COLUMNS:
            assert history(database, tracked, name) == expected(run, name)
        assert {name: tracked.data.metrics[name] for name in expected_end(run)} == expected_end(run)
        assert tracked.data.params["model.hidden"] == "[16]"
        assert tracked.data.tags["inksweep.status"] == "completed"
        assert tracked.data.tags["inksweep.folder"] == str(run.root)
    (wide,) = experiment(database, "night", filter_string="params.`data.batch_size` = '25'")
    assert wide.info.run_name == "0"


def test_mlflow_goes_on_with_a_resumed_run(app: App, interrupted: Callable, database: str) -> None:
    assert app("tracker=mlflow").code == 130
    run = app.newest()
    (tracked,) = experiment(database, "inksweep", filter_string=f"tags.`inksweep.folder` = '{run.root}'")
    assert (tracked.info.status, tracked.data.tags["inksweep.reason"]) == ("KILLED", "interrupted")
    interrupted()
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    (tracked,) = experiment(database, "inksweep", filter_string=f"tags.`inksweep.folder` = '{run.root}'")
    assert (tracked.info.status, tracked.data.tags["inksweep.reason"]) == ("FINISHED", "")
    assert history(database, tracked, "val/loss") == expected(run, "val/loss")
    assert tracked.data.metrics["final/test/accuracy"] == result(run)["metrics"]["test/accuracy"]


def test_mlflow_closes_a_run_that_diverges_and_one_that_fails(
    app: App, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app("tracker=mlflow", "-m", "optimizer.lr=1e20", "scheduler=none", "hydra.sweep.dir=multirun/bad")
    (tracked,) = experiment(database, "bad")
    assert (tracked.info.status, tracked.data.tags["inksweep.reason"]) == ("KILLED", "diverged")

    def broken(*arguments: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr("inksweep.digits.training.evaluation.metrics", broken)
    with pytest.raises(RuntimeError, match="the sky fell"):
        app("tracker=mlflow", "-m", "seed=1", "hydra.sweep.dir=multirun/broken")
    (tracked,) = experiment(database, "broken")
    assert (tracked.info.status, tracked.data.tags["inksweep.reason"]) == ("FAILED", "RuntimeError")


def test_a_server_that_goes_away_costs_a_warning_and_gets_the_rest_at_the_end(
    app: App, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.tracking import MlflowClient

    send, calls = MlflowClient.log_batch, 0

    def sending(self: MlflowClient, *arguments: Any, **named: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:  # the first sends the settings
            raise ConnectionError("nobody there")
        send(self, *arguments, **named)

    monkeypatch.setattr(MlflowClient, "log_batch", sending)
    ended = app("tracker=mlflow")
    assert ended.code == 0, ended.err
    assert ended.out.count("tracker=mlflow: nobody there; the run goes on") == 1
    assert calls == 3, "it is given time before the next try"
    run = app.newest()
    (tracked,) = experiment(database, "inksweep", filter_string=f"tags.`inksweep.folder` = '{run.root}'")
    assert history(database, tracked, "val/accuracy") == expected(run, "val/accuracy")
    assert tracked.info.status == "FINISHED"


def test_a_server_that_never_comes_back_costs_one_warning(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    def gone(*arguments: Any, **named: Any) -> None:
        if "metrics" in named:
            raise ConnectionError("nobody there")

    monkeypatch.setattr(MlflowClient, "log_batch", gone)
    ended = app("tracker=mlflow")
    assert (ended.code, ended.out.count("nobody there")) == (0, 1)
    assert result(app.newest())["status"] == "completed"


def test_a_deleted_experiment_is_named_with_the_way_to_bring_it_back(app: App, database: str) -> None:
    client = store(database)
    number = client.create_experiment("gone")
    client.delete_experiment(number)
    ended = app("tracker=mlflow", "-m", "seed=1", "hydra.sweep.dir=multirun/gone")
    assert ended.code != 0
    assert f"experiment 'gone' has been deleted; mlflow experiments restore -x {number}" in ended.err


# Weights & Biases.


def records(run: RunDir) -> list[Any]:
    """Return what lies in the files that `wandb sync` would send, oldest first: LevelDB's log format."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = []
    for path in sorted(run.root.glob("wandb/offline-run-*/*.wandb")):
        content, place, part = path.read_bytes(), 7, b""  # after the magic word
        while place + 7 <= len(content):
            if 32768 - place % 32768 < 7:  # the rest of a block
                place += 32768 - place % 32768
                continue
            _, length, kind = struct.unpack_from("<IHB", content, place)
            part += content[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # whole, or its last piece
                found.append(Record.FromString(part))
                part = b""
    return found


def of_kind(run: RunDir, kind: str) -> list[Any]:
    return [getattr(record, kind) for record in records(run) if record.WhichOneof("record_type") == kind]


def values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def curve(run: RunDir, name: str) -> list[tuple[int, float]]:
    found = [values(record.item) for record in of_kind(run, "history")]
    return [(row["_step"], row[name]) for row in found if name in row]


def test_wandb_groups_the_trials_of_a_grid(app: App) -> None:
    ended = app("tracker=wandb", "tracker.project=digits", *GRID)
    assert ended.code == 0, ended.err
    assert "wandb" not in ended.err + ended.out.replace("tracker=wandb", "")
    for number, batch_size in ((0, 25), (1, 50)):
        run = app.trial(number)
        (tracked,) = of_kind(run, "run")
        assert (tracked.project, tracked.run_group, tracked.display_name) == ("digits", "night", str(number))
        told = values(tracked.config.update)
        assert (told["data.batch_size"], told["model"], told["model.hidden"]) == (batch_size, "mlp", "[16]")
        for name in COLUMNS:
            assert curve(run, name) == expected(run, name)
        summary = {}
        for record in of_kind(run, "summary"):
            summary |= values(record.update)
        assert {name: summary[name] for name in expected_end(run)} == expected_end(run)
        assert (summary["status"], summary["reason"]) == ("completed", None)
        assert of_kind(run, "exit")[0].exit_code == 0


def test_wandb_goes_on_with_a_resumed_run_and_leaves_no_process(app: App, interrupted: Callable) -> None:
    assert app("tracker=wandb").code == 130
    run = app.newest()
    assert of_kind(run, "exit")[0].exit_code == 255
    interrupted()
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    first, second = of_kind(run, "run")
    assert first.run_id == second.run_id
    assert values(second.config.update)["model.hidden"] == "[16]"
    assert curve(run, "val/loss") == expected(run, "val/loss")
    assert [record.exit_code for record in of_kind(run, "exit")] == [255, 0]
    if Path("/proc").is_dir():
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert not [pid for pid in children if b"wandb" in Path(f"/proc/{pid}/cmdline").read_bytes()]


# What does not work.


def line(ended: Ended) -> str:
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    return ended.err


LIBRARIES = {"tensorboard", "mlflow", "wandb"}


def test_a_library_is_imported_by_its_tracker_alone_and_not_before_it_is_used() -> None:
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nodes = tree.body if path.parent.name == "tracker" else ast.walk(tree)
        for node in nodes:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & LIBRARIES, path


def test_csv_is_the_default(compose: Callable) -> None:
    assert compose([]).tracker == tracker.CsvConfig()


@pytest.mark.parametrize(
    "words, message",
    [
        (["tracker=tensorbord"], "there is no such option; did you mean 'tensorboard'?"),
        (["tracker=wandb", "tracker.mode=sometimes"], "tracker.mode=sometimes: Invalid value"),
        (["tracker=wandb", "tracker.project=a/b"], "tracker.project=a/b: must be a name without any of"),
        (["tracker=mlflow", "tracker.uri="], "tracker.uri=: must be null or an address"),
        (["tracker=mlflow", "tracker.url=x"], "Key 'url' not in 'MLflowConfig'. Did you mean: 'uri'?"),
        (["tracker=csv", "tracker._target_=os.system"], "tracker"),
    ],
)
def test_a_bad_value_costs_one_line(app: App, words: list[str], message: str) -> None:
    assert message in line(app(*words))


@pytest.mark.parametrize("tool", sorted(LIBRARIES))
def test_a_library_that_is_missing_is_named_before_data_is_read(
    app: App, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == tool]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, tool, None)
    ended = app(f"tracker={tool}", "data.root=/nowhere")
    way = f'pip install -e "{REPOSITORY}[trackers]"'
    assert line(ended) == f"error: tracker={tool}: {tool} is not installed; {way}\n"
    assert result(app.newest())["status"] == "failed"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_place_that_cannot_be_used_costs_one_line_within_seconds(app: App) -> None:
    (app.folder / "file").write_text("not a database, and no folder")
    for uri in (f"http://127.0.0.1:{free_port()}", "sqlite:///file", "sqlite:///file/x.db", "gopher://x", "mlruns"):
        started = time.monotonic()
        assert f"tracker.uri={uri}: cannot be used (" in line(app("tracker=mlflow", f"tracker.uri={uri}"))
        assert time.monotonic() - started < 20


def test_a_password_in_the_address_is_shown_nowhere(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:s3cret@127.0.0.1:{free_port()}")
    assert "tracker.uri=http://me:***@127.0.0.1" in line(app("tracker=mlflow"))
    left = [path for path in app.newest().root.rglob("*") if path.is_file()]
    assert len(left) > 3
    assert not [path for path in left if b"s3cret" in path.read_bytes()]


def test_a_resumed_run_goes_on_without_a_tracker_that_is_gone(app: App, interrupted: Callable) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    assert app("tracker=mlflow").code == 130
    run = app.newest()
    run.config.write_text(run.config.read_text().replace("${oc.env:MLFLOW_TRACKING_URI,null}", address))
    interrupted()
    ended = app.plain(f"trainer.resume={run.root}")
    assert ended.code == 0, ended.err
    assert f"tracker.uri={address}: cannot be used" in ended.out
    assert result(run)["status"] == "completed"


def test_a_trial_goes_on_without_a_tracker_that_its_forerunners_had(app: App) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    words = ["tracker=mlflow", f"tracker.uri={address}", "-m", "seed=1", "hydra.sweep.dir=multirun/night"]
    ended = app(*words, "hydra.sweep.subdir=first")
    assert (ended.code, ended.err.count("cannot be used")) == (2, 1)
    (app.folder / "multirun/night/first/tracker.json").write_text("{}")
    ended = app(*words, "hydra.sweep.subdir=second")
    assert ended.code == 0, ended.err
    assert f"tracker.uri={address}: cannot be used" in ended.out


@pytest.mark.full
def test_the_trials_of_a_search_in_two_slots_land_in_one_experiment(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two processes make the database at the same moment.
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    words = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.study_name=night", "hydra.sweeper.n_jobs=2"]
    words += ["hydra.sweeper.winner.card=false"]
    words += ["hydra.sweeper.n_trials=6", "hydra.sweeper.target=null", "hydra/sweeper/space=none"]
    words += ["optimizer.lr=tag(log,interval(1e-4,1e0))", "trainer.evaluate_every_epochs=0.5", "tracker=mlflow"]
    ended = app(*words)
    assert ended.code == 0, ended.err
    states = {"completed": "FINISHED", "pruned": "KILLED"}
    found = experiment(f"sqlite:///{app.folder}/mlflow.db", "night")
    assert {run.info.run_name: run.info.status for run in found} == {
        str(number): states[result(app.trial(number))["status"]] for number in range(6)
    }
    for tracked in found:
        told = result(app.trial(int(tracked.info.run_name)))
        assert f"optimizer.lr={tracked.data.params['optimizer.lr']}" in told["command"]
        assert tracked.data.metrics["final/val/accuracy"] == told["metrics"]["val/accuracy"]


@pytest.mark.parametrize(
    "tool, look",
    [("tensorboard", "tensorboard --logdir {run}"), ("mlflow", "mlflow ui --backend-store-uri {database}")],
)
def test_a_run_says_how_to_look_at_it_and_a_trial_does_not(app: App, tool: str, look: str, database: str) -> None:
    ended = app(f"tracker={tool}")
    line = look.format(run=app.newest().root.relative_to(app.folder), database=database)
    assert f"tracker={tool}, to look at it: {line}\n" in ended.out
    assert "to look at it" not in app(f"tracker={tool}", "-m", "seed=1").out
