"""Trackers: a run recorded in TensorBoard, MLflow or Weights & Biases as well.

One class a tool; each imports its library itself. All get the same: the settings as hyperparameters, under the
names in which they are typed; a row an evaluation; at the end the metrics of the saved weights as `final/...`. The step
is the number of training pictures seen: trials with batches of different sizes can be compared at equal steps.

The run directory is what counts. A tracker that cannot be used stops a run before it begins; later on it costs a
warning.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

from inksweep import extras
from inksweep.digits.tracker.tracked import Row, TrackedRun, first_line
from inksweep.errors import InputError
from inksweep.runs.result import Result

log = logging.getLogger(__name__)


class Tracker(Protocol):
    """A tool that records runs."""

    def start(self, run: TrackedRun) -> str:
        """Open a run in the tool, or find the one that `run` goes on with.

        Returns:
            The command that shows it; empty: none.

        Raises:
            InputError: it cannot be used like this; the message names the key.
        """

    def log(self, row: Row) -> None:
        """Take in an evaluation: a row of metrics.csv."""

    def finish(self, result: Result) -> None:
        """Take in how the run ended, and close it."""


class Csv:
    """Nothing but metrics.csv, which every run has."""

    def start(self, run: TrackedRun) -> str:
        """Do nothing."""
        return ""

    def log(self, row: Row) -> None:
        """Do nothing."""

    def finish(self, result: Result) -> None:
        """Do nothing."""


class Guarded:
    """A tracker that has started, and from now on costs a warning at most."""

    def __init__(self, tracker: Tracker):
        self._tracker, self._warned = tracker, False

    def start(self, run: TrackedRun) -> str:
        """Do nothing: it has started."""
        return ""

    def log(self, row: Row) -> None:
        """Take in an evaluation, if the tool can."""
        self._attempt(self._tracker.log, row)

    def finish(self, result: Result) -> None:
        """Close the run, if the tool can."""
        self._attempt(self._tracker.finish, result)

    def _attempt(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # as various as networks and disks
            if not self._warned:
                log.warning("%s: %s; the run goes on, its folder has it all", _named(self._tracker), first_line(error))
            self._warned = True


def start(tracker: Tracker, run: TrackedRun) -> Tracker:
    """Start `tracker` and return it, guarded.

    For a run that is resumed, and for a trial whose forerunners it has worked for, a tracker that does not start is a
    warning too: nobody is there who could choose another.

    Raises:
        InputError: its library is missing, or it cannot be used like this.
    """
    try:
        look = tracker.start(run)
    except Exception as error:
        wrong = _missing(tracker, error) if isinstance(error, ImportError) else error
        if not isinstance(wrong, InputError):
            wrong = InputError(f"{_named(tracker)}: cannot start ({first_line(error)})")
        if not run.resumed and (isinstance(error, ImportError) or not run.has_forerunners):
            raise wrong from error
        log.warning("%s; the run goes on without its tracker", wrong)
        return Csv()
    if look and run.study is None:  # a trial does not know whether another has said it already
        log.info("%s, to look at it: %s", _named(tracker), look)
    return Guarded(tracker)


def _named(tracker: Tracker) -> str:
    return f"tracker={type(tracker).__name__.lower()}"


def _missing(tracker: Tracker, error: ImportError) -> InputError:
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError):
        return InputError(f"{_named(tracker)}: {package} cannot be imported ({first_line(error)})")
    extra = extras.extra_of(package)
    way = extras.install(extra) if extra else "install it"
    return InputError(f"{_named(tracker)}: {package} is not installed; {way}")
