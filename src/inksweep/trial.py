"""Reports from a job to the sweep that runs it: one import for any Hydra app.

    from inksweep import trial

    for step in range(1, 101):
        ...
        trial.report(step, value, total=100)
        if trial.should_stop():
            break

In a run that no sweep asked for, `report` does nothing and `should_stop` is always None.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol


class Watcher(Protocol):
    """The sweep, as a job sees it."""

    def report(self, step: int, value: float, total: int | None) -> None:
        """Take note of an intermediate value."""

    def should_stop(self) -> str | None:
        """Return why the job should end now, in a word, or None."""

    def called_off(self) -> str | None:
        """Return why nobody waits for the job any more, in a word, or None; asked often."""


# Of the process: one job at a time runs in it, and a training may report from a thread of its own.
_watcher: Watcher | None = None


def report(step: int, value: float, total: int | None = None) -> None:
    """Tell the sweep how the job is doing.

    Args:
        step: counts reports in a unit that is the same for all trials, such as evaluations; 0 or more, ascending.
        value: of the (first) objective.
        total: the last step, if known: the sweep then shows how far the trial is, and estimates times.

    Raises:
        ValueError: `step` is no whole number from 0.
    """
    try:
        number = -1 if isinstance(step, bool) else operator.index(step)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"trial.report(step={step!r}): must be a whole number, 0 or more")
    if _watcher is not None:
        _watcher.report(number, float(value), total)


def should_stop() -> str | None:
    """Return why the job should end now, or None.

    `pruned`: others were better at this step. `trial_timeout`: this trial has taken too long. `target`, `interrupted`,
    `timeout` and others: the sweep ends. Whatever the job returns after that is no result.
    """
    return None if _watcher is None else _watcher.should_stop()


def called_off() -> str | None:
    """Return why nobody waits for the job any more, or None: as `should_stop`, but never `pruned`.

    For long ways between two reports: it costs next to nothing and may be called after every batch. It looks at most
    twice a second.
    """
    return None if _watcher is None else _watcher.called_off()


@contextmanager
def watched_by(watcher: Watcher | None) -> Iterator[None]:
    """Give reports to `watcher` during the block."""
    global _watcher
    before, _watcher = _watcher, watcher
    try:
        yield
    finally:
        _watcher = before


class Reporter:
    """The reporter of a training loop that measures many things: the sweep gets the objective.

    Args:
        objective: its name among the metrics; of several, the first. The name is not checked here: a report
            whose metrics lack it raises KeyError.
    """

    def __init__(self, objective: str | Sequence[str]):
        self.objective = objective

    def report(self, step: int, metrics: Mapping[str, float], total: int | None = None) -> None:
        """Tell the sweep; see `report` of this module."""
        name = self.objective if isinstance(self.objective, str) else self.objective[0]
        report(step, metrics[name], total)

    def should_stop(self) -> str | None:
        """Return why training should end now, or None."""
        return should_stop()

    def called_off(self) -> str | None:
        """Return why nobody waits for the training any more, or None."""
        return called_off()
