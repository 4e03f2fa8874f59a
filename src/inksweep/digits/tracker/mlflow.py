"""MLflow."""

import getpass
import logging
import math
import os
import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from inksweep.digits.tracker.tracked import Row, TrackedRun, as_typed, final, first_line, metrics, remember, remembered
from inksweep.errors import InputError, without_password
from inksweep.files import held
from inksweep.runs.result import Result, Status

log = logging.getLogger(__name__)


class MLflow:
    """A run in the experiment of its study; single runs are in the experiment `inksweep`.

    Args:
        uri: of a tracking server or a database; None: `mlflow.db` where the command was typed.
    """

    # Seconds without a try once the server has not answered.
    PAUSE_S = 60

    def __init__(self, uri: str | None = None):
        self._uri = uri
        self._unsent: list[Any] = []
        self._next_try = -math.inf
        self._step = 0
        # The last step that the tool knew before this start.
        self._known = -1

    def start(self, run: TrackedRun) -> str:
        """Open a run in the experiment of its study."""
        for name, value in {
            # The defaults try for four minutes.
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
            "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        }.items():
            os.environ.setdefault(name, value)
        from mlflow.tracking import MlflowClient

        for chatty in ("mlflow", "alembic", "urllib3"):  # a line for each of its tables, and for each attempt
            logging.getLogger(chatty).setLevel(logging.ERROR)
        uri = _address(self._uri, run.home)
        try:
            with alone(uri):
                self._client = MlflowClient(tracking_uri=uri)
                experiment = self._experiment(run, uri)
            self._id = self._found(run) or self._begun(run, experiment)
        except (InputError, ImportError):
            raise
        except Exception as error:  # of MLflow, of a database or of the network
            # From None: the traceback goes into files, and what libraries say may hold the password.
            raise InputError(
                f"tracker.uri={without_password(self._uri or uri)}: cannot be used ({first_line(error)})"
            ) from None
        remember(run, "mlflow", self._id)
        is_file = uri.startswith("sqlite:")
        return f"mlflow ui --backend-store-uri {shlex.quote(uri)}" if is_file else without_password(uri)

    def log(self, row: Row) -> None:
        """Send the metrics, and what could not be sent before; not while a silent server is given time."""
        self._step = int(row["samples"])
        if self._step > self._known:  # the same bits came out of it before
            self._add(metrics(row))
        if time.monotonic() >= self._next_try:
            self._send()

    def finish(self, result: Result) -> None:
        """Send the final metrics and all that is left, then close the run."""
        self._add(final(result))
        self._send()
        self._client.set_tag(self._id, "inksweep.status", result.status.value)
        self._client.set_tag(self._id, "inksweep.reason", result.reason or "")
        status = {Status.COMPLETED: "FINISHED", Status.FAILED: "FAILED"}.get(result.status, "KILLED")
        self._client.set_terminated(self._id, status)

    def _add(self, metrics: Row) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._unsent += [Metric(name, value, now_ms, self._step) for name, value in metrics.items()]

    def _send(self) -> None:
        self._next_try = time.monotonic() + self.PAUSE_S
        while self._unsent:
            self._client.log_batch(self._id, metrics=self._unsent[:1000])  # the most that it takes
            del self._unsent[:1000]
        self._next_try = -math.inf

    def _found(self, run: TrackedRun) -> str | None:
        """Return the id of the run that is resumed, open again; None if there is none."""
        name = remembered(run, "mlflow")
        if name is None:
            return None
        from mlflow.exceptions import MlflowException

        try:
            self._client.update_run(name, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        history = self._client.get_metric_history(name, "epoch")
        self._known = max((metric.step for metric in history), default=-1)
        return name

    def _begun(self, run: TrackedRun, experiment: str) -> str:
        """Return the id of a new run."""
        from mlflow.entities import Param

        tags = {
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.note.content": run.command,
            "inksweep.folder": str(run.folder),
        }
        if run.commit is not None:
            tags["mlflow.source.git.commit"] = run.commit
        with suppress(OSError, KeyError):  # a container's user may have no name
            tags["mlflow.user"] = getpass.getuser()
        begun = self._client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
        params = [Param(key, as_typed(value)) for key, value in run.settings.items()]
        self._client.log_batch(begun, params=params)
        return str(begun)

    def _experiment(self, run: TrackedRun, uri: str) -> str:
        """Return the id of the study's experiment; the first of its trials makes it."""
        from mlflow.exceptions import MlflowException

        name = run.study or "inksweep"
        found = self._client.get_experiment_by_name(name)
        if found is None:
            # Beside the database; a server decides for itself.
            artifacts = str(run.home / "mlruns") if uri.startswith("sqlite:") else None
            try:
                return str(self._client.create_experiment(name, artifact_location=artifacts))
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            found = self._client.get_experiment_by_name(name)  # another trial was faster
            assert found is not None
        if found.lifecycle_stage != "active":
            raise InputError(
                f"tracker=mlflow: its experiment {name!r} has been deleted; "
                f"mlflow experiments restore -x {found.experiment_id} brings it back"
            )
        return str(found.experiment_id)


def _address(uri: str | None, home: Path) -> str:
    """Return the address that MLflow is given: a file lies relative to `home`."""
    kind, _, path = (uri or "sqlite:///mlflow.db").partition(":///")
    return f"sqlite:///{home / path}" if kind == "sqlite" else str(uri)


@contextmanager
def alone(uri: str) -> Iterator[None]:
    """Open a database in the block: as the only process, which may have to make its tables.

    Raises:
        Exception: it cannot be opened. MLflow itself would try again for an hour.
    """
    kind, _, path = uri.partition(":///")
    if kind == "sqlite":
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        with held(file.with_name(f"{file.name}.lock"), None):
            if not file.exists():
                _make_tables(file)
            with closing(sqlite3.connect(file, timeout=60)) as connection:
                connection.execute("BEGIN IMMEDIATE")  # it is a database, and can be written
            yield
        return
    if uri.partition(":")[0].partition("+")[0] in ("postgresql", "mysql", "mssql"):
        import sqlalchemy

        engine = sqlalchemy.create_engine(uri)
        engine.connect().close()
        engine.dispose()
    yield


def _make_tables(file: Path) -> None:
    """Make a database for MLflow; under another name, because it takes seconds and half of one is of no use."""
    from mlflow.tracking import MlflowClient

    log.info("making %s, which happens once", file.name)
    unfinished = file.with_name(f"{file.name}.new")
    for left_over in (unfinished, Path(f"{unfinished}-journal")):
        left_over.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{unfinished}").get_experiment_by_name("Default")
    unfinished.replace(file)
