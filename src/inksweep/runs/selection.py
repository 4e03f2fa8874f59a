"""`selection.json`: how a winner was chosen."""

from typing import Any

# What the card needs of selection.json, and of its parts.
NEEDED: dict[str, type] = {
    "study": str,
    "rule": str,
    "objective": dict,
    "trials": dict,
    "trial": int,
    "searched": dict,
    "candidates": list,
    "full_data": bool,
    "model": dict,
    "members": list,
    "commands": list,
}
PARTS = {
    "objective": ("name", "direction"),
    "trials": ("complete",),
    "model": ("path",),
    "candidates": ("trial", "searched_objective", "mean", "std", "runs"),
    "stop_rule": ("metric", "value", "looks"),
}


def lacking(selection: dict[str, Any]) -> str | None:
    """Return what a selection does not have that the card needs, or has as something else; None: all is there."""
    for key, kind in NEEDED.items():
        if not isinstance(selection.get(key), kind):
            return key
    if not isinstance(selection.get("calibrate_on"), str | list | None):
        return "calibrate_on"
    for key, names in PARTS.items():
        value = selection.get(key)
        for part in value if isinstance(value, list) else [] if value is None else [value]:
            missing = [name for name in names if not isinstance(part, dict) or name not in part]
            if missing:
                return f"{key}.{missing[0]}"
    return None
