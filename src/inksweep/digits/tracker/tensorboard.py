"""TensorBoard."""

import shlex
import time
from typing import Any

from inksweep.digits.tracker.tracked import Row, TrackedRun, as_typed, final, metrics
from inksweep.paths import shown
from inksweep.runs.result import Result, Status


class TensorBoard:
    """Event files in the run directory itself, so that a run has its short name below the --logdir."""

    def __init__(self) -> None:
        self._writer: Any = None
        self._step = 0

    def start(self, run: TrackedRun) -> str:
        """See to it that events can be written."""
        import tensorboard  # noqa: F401 - before torch's module, which misses it in several lines
        import torch.utils.tensorboard  # noqa: F401

        self._run = run
        return f"tensorboard --logdir {shlex.quote(shown(run.folder))}"

    def log(self, row: Row) -> None:
        """Write a scalar for each metric, at once."""
        self._step = int(row["samples"])
        self._scalars(metrics(row))

    def finish(self, result: Result) -> None:
        """Write the final metrics and, where no one will go on with this run, how it ended."""
        self._scalars(final(result))
        # What is said first stays. Only a trial, or a run that is complete, has ended for good.
        if result.status is Status.COMPLETED or self._run.study is not None:
            self._writer.file_writer.add_summary(_session_end(failed=result.status is Status.FAILED))
        self._writer.close()

    def _scalars(self, metrics: Row) -> None:
        writer = self._opened()
        for name, value in metrics.items():
            writer.add_scalar(name, value, self._step)
        writer.flush()

    def _opened(self) -> Any:
        """Return the writer; opened late, because only now it is known from which step on a resumed run goes on."""
        if self._writer is None:
            from tensorboard.plugins.hparams.summary_v2 import hparams_pb
            from torch.utils.tensorboard import SummaryWriter

            run = self._run
            self._writer = SummaryWriter(str(run.folder), purge_step=self._step if run.resumed else None)
            settings = {key: as_typed(value) if value is None else value for key, value in run.settings.items()}
            # Runs with the same id share a line: of two sweeps, too, if the id were only the number of the trial.
            self._writer.file_writer.add_summary(hparams_pb(settings, trial_id=f"{run.study or 'inksweep'}/{run.name}"))
        return self._writer


def _session_end(*, failed: bool) -> Any:
    """Return what TensorBoard's HParams plugin reads about the end of a run."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    summary = Summary()
    summary.value.add(
        tag=metadata.SESSION_END_INFO_TAG,
        metadata=metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info)),
        tensor=metadata.NULL_TENSOR,
    )
    return summary
