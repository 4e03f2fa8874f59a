"""Weights & Biases."""

import os
import secrets
import shlex

from inksweep.digits.tracker.tracked import Row, TrackedRun, final, first_line, metrics, remember, remembered
from inksweep.errors import InputError
from inksweep.paths import shown
from inksweep.runs.result import Result, Status


class Wandb:
    """A run of Weights & Biases, grouped by study; offline in `wandb/` of the run directory unless `mode` is `online`.

    Args:
        mode: `offline` or `online`.
        project: where the run belongs.
        entity: user or team that the project belongs to; None: the one that is logged in.
    """

    def __init__(self, mode: str = "offline", project: str = "inksweep", entity: str | None = None):
        self._mode, self._project, self._entity = mode, project, entity
        self._step = 0

    def start(self, run: TrackedRun) -> str:
        """Open a run, in a process of the library's own that ends with the run."""
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        name = remembered(run, "wandb") or secrets.token_hex(4)
        try:
            self._run = wandb.init(
                entity=self._entity,
                project=self._project,
                group=run.study,
                name=run.name,
                id=name,
                resume="allow",
                config=dict(run.settings),
                notes=run.command,
                dir=str(run.folder),
                mode=self._mode,  # type: ignore[arg-type]
                settings=wandb.Settings(
                    silent=True,
                    console="off",
                    reinit="create_new",  # nothing of the process's own: one run after the other
                    init_timeout=30,
                    finish_timeout=60,
                    symlink=False,
                    disable_code=True,
                    disable_git=True,
                    x_disable_machine_info=True,
                    x_disable_stats=True,
                    x_save_requirements=False,
                ),
            )
        except Exception as error:
            wandb.teardown()
            hint = "; `wandb login` once, or tracker.mode=offline" if self._mode == "online" else ""
            raise InputError(f"tracker=wandb tracker.mode={self._mode}: {first_line(error)}{hint}") from error
        remember(run, "wandb", name)
        if self._mode == "online":
            return str(self._run.url or "")
        return f"wandb sync {shlex.quote(shown(run.folder))}/wandb/offline-run-*"

    def log(self, row: Row) -> None:
        """Write the metrics at once."""
        self._step = int(row["samples"])
        self._run.log(dict(metrics(row)), step=self._step, commit=True)

    def finish(self, result: Result) -> None:
        """Write the final metrics into the summary, close the run and end the library's process."""
        import wandb

        try:
            self._run.summary.update({**final(result), "status": result.status.value, "reason": result.reason})
            # 255 is what the library makes of Ctrl-C: killed.
            self._run.finish(exit_code={Status.FAILED: 1, Status.STOPPED: 255}.get(result.status, 0))
        finally:
            wandb.teardown()
