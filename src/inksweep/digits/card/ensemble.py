"""What `result.json` says of an ensemble: not what one of its members came to."""

from typing import Any

from inksweep.digits.card.source import Source, read


def result(source: Source, metrics: dict[str, float], parameters: int) -> dict[str, Any]:
    """Return the result of an ensemble; what is not said here is that of its first member.

    Args:
        source: the winner. Where its members are gone, what was known of them before is kept.
        metrics: of the ensemble.
        parameters: of all members together.
    """
    before, files = source.result, [member.result for member in source.members]
    if all(file.is_file() for file in files):
        members = [read(file) for file in files]
        seconds = _summed([member.get("seconds") or {} for member in members])
        seeds = [member.get("seed") for member in members]
        before = members[0]
    else:
        # That of one member, if no card was written of it yet.
        seconds = before.get("seconds", {}) if "ensemble" in before else {}
        seeds = before.get("seeds", [])
    known = {**metrics, "parameters": parameters, "seconds/train": seconds.get("train")}

    def measured(objective: dict[str, Any]) -> dict[str, Any]:
        return {**objective, "value": known.get(str(objective.get("name")))}

    several = before.get("objectives")
    return {
        **before,
        "objective": measured(before.get("objective") or {"name": None}),
        **({"objectives": [measured(one) for one in several]} if several else {}),
        "metrics": metrics,
        "seconds": seconds,
        "parameters": parameters,
        "ensemble": (source.selection or {}).get("members", []),
        "seeds": seeds,
        # One is not enough.
        "command": None,
        "commands": (source.selection or {}).get("commands", []),
    }


def _summed(phases: list[dict[str, float]]) -> dict[str, float]:
    """Return the sums of those phases that all of them know."""
    return {
        name: round(sum(one[name] for one in phases), 3) for name in phases[0] if all(name in one for one in phases)
    }
