"""`hydra.sweeper.search_space`, as the search was written before Hydra 1.2: how the same is written now.

Every start of every Hydra app in this environment imports this module: nothing heavy here.
"""

from collections.abc import Mapping
from typing import Any


def as_params(search_space: Any) -> str:
    """Return how the parameters are written in `hydra.sweeper.params`: `; write x: interval(0, 1), ...`."""
    if not isinstance(search_space, Mapping):
        return ""
    written = {key: _sweep(node) for key, node in search_space.items() if isinstance(node, Mapping)}
    shown = ", ".join(f"{key}: {text}" for key, text in written.items() if text)
    return f"; write {shown}" if shown else ""


def _sweep(node: Mapping[str, Any]) -> str | None:
    """Return what a parameter may be, as on the command line; None if that cannot be told."""
    kind, low, high, step = (node.get(key) for key in ("type", "low", "high", "step"))
    if kind == "categorical":
        return f"choice({', '.join(map(str, node.get('choices') or ()))})"
    if low is None or high is None:
        return None
    if node.get("log"):
        return f"tag(log, interval({low}, {high}))"
    if step is None and kind != "int":
        return f"interval({low}, {high})"
    # range() leaves its end out.
    return f"range({low}, {high + (step or 1)}" + (")" if step is None else f", {step})")
