"""Trials that can be compared parameter by parameter: those that have the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inksweep.report.facts.trials import Trial


@dataclass(frozen=True)
class Branch:
    """A part of a conditional space, with its complete trials."""

    # What leads into it: `model = cnn, optimizer = sgd`; of a space without conditions empty.
    name: str
    trials: list[Trial]
    # Those that take more than one value in it.
    varied: list[str]


def branches(trials: Sequence[Trial]) -> list[Branch]:
    """Return complete trials grouped by the parameters that they have, the largest group first."""
    groups: dict[frozenset[str], list[Trial]] = {}
    for trial in trials:
        if trial.state == "complete":
            groups.setdefault(frozenset(trial.params), []).append(trial)
    every = list(groups.values())
    return [Branch(_name(group, every), group, varied(group)) for group in sorted(every, key=lambda group: -len(group))]


def varied(trials: Sequence[Trial]) -> list[str]:
    """Return the parameters, of those that all `trials` have, that take more than one value."""
    common = [name for name in (trials[0].params if trials else ()) if all(name in trial.params for trial in trials)]
    return [name for name in common if len({repr(trial.params[name]) for trial in trials}) > 1]


def _name(group: Sequence[Trial], groups: Sequence[Sequence[Trial]]) -> str:
    """Return what tells `group` from the others: values that it alone has, else the parameters that it has."""
    if len(groups) == 1:
        return ""
    common = [name for name in group[0].params if all(name in trial.params for other in groups for trial in other)]
    values_of_its_own = []
    for name in common:
        values = [{shown(trial.params[name]) for trial in other} for other in groups]
        # What leads into a branch is one value for all of its trials; and so it is for the others.
        if all(len(different) == 1 for different in values) and len(set().union(*values)) > 1:
            values_of_its_own.append(f"{name} = {shown(group[0].params[name])}")
    return ", ".join(values_of_its_own) or "with " + ", ".join(group[0].params)


def shown(value: Any) -> str:
    """Return a parameter's value in short."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
