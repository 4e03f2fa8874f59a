"""What `result.json` says of an ensemble: not what one of its members came to."""

from collections.abc import Sequence
from dataclasses import replace

from inksweep.digits.card.source import Source, read_result
from inksweep.runs.result import Objective, Result


def result(source: Source, metrics: dict[str, float], parameters: int) -> Result:
    """Return the result of an ensemble; what is not said here is that of its first member.

    Args:
        source: the winner. Where its members are gone, what was known of them before is kept.
        metrics: of the ensemble.
        parameters: of all members together.
    """
    before, files = source.result, [member.result for member in source.members]
    if all(file.is_file() for file in files):
        members = [read_result(file) for file in files]
        before, seconds, seeds = members[0], _summed(members), [member.seed for member in members]
    else:
        # If no card was written of the ensemble yet, this is the result of one member.
        seconds = before.seconds if before.ensemble is not None else {}
        seeds = before.seeds or []
    selection = source.selection
    return replace(
        before,
        objectives=[Objective(objective.name) for objective in before.objectives],
        metrics=metrics,
        seconds=seconds,
        parameters=parameters,
        ensemble=selection.members if selection else [],
        seeds=seeds,
        command=None,  # it takes several
        commands=selection.commands if selection else [],
    )


def _summed(members: Sequence[Result]) -> dict[str, float]:
    """Return the seconds of those phases that all of them know."""
    phases = [phase for phase in members[0].seconds if all(phase in member.seconds for member in members)]
    return {phase: round(sum(member.seconds[phase] for member in members), 3) for phase in phases}
