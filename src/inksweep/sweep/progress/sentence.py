"""A view as one line of a log, for who sees no screen: how far the sweep is, what runs, and the best so far."""

from inksweep.silence import taken
from inksweep.sweep.progress.view import RunningTrial, View

# Running trials that are named.
NAMED = 4


def sentence(view: View) -> str:
    """Return a view as one line."""
    parts = [f"{view.finished} of {view.n_trials} {view.trials} done", _running(view)]
    parts.append("no result yet" if view.best is None else "best " + ", ".join(view.best.split("  ")))
    if view.stopping is not None:
        parts.append(view.stopping)
    elif view.seconds_left is not None and view.seconds_left >= 1:
        parts.append(f"{'up to' if view.may_end_before else 'about'} {taken(view.seconds_left)} left")
    return ", ".join([*parts, f"{taken(view.seconds)} so far"])


def _running(view: View) -> str:
    if not view.running:
        return "none running"
    named = [f"trial {trial.number}: {_progress(trial)}" for trial in view.running[:NAMED]]
    more = ["..."] if len(view.running) > NAMED else []
    return f"{len(view.running)} running ({'; '.join(named + more)})"


def _progress(trial: RunningTrial) -> str:
    if trial.step is None:
        return trial.doing or "nothing reported yet"
    return f"step {trial.step}" if not trial.total else f"step {trial.step} of {trial.total}"
