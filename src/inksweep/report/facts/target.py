"""The target of a sweep, as its settings say it; they may have been edited by hand."""

from dataclasses import dataclass
from typing import Any

from inksweep.report.facts.quantity import Quantity, quantity
from inksweep.runs import metrics


@dataclass(frozen=True)
class Target:
    """When the best trial is good enough."""

    quantity: Quantity
    value: float
    maximize: bool

    def reached(self, value: float | None) -> bool:
        """Whether `value` is better than the target."""
        return value is not None and (value > self.value if self.maximize else value < self.value)

    def __str__(self) -> str:
        return f"{self.quantity.label} {'above' if self.maximize else 'below'} {self.quantity.text(self.value)}"


def wanted(sweeper: dict[str, Any]) -> tuple[dict[str, float], list[str]]:
    """Return `n_trials` and `target.value` of the sweeper's settings, and what stands there and is no number."""
    target = sweeper.get("target")
    block = target if isinstance(target, dict) else {}
    given = {"n_trials": sweeper.get("n_trials"), "target.value": block.get("value")}
    numbers = metrics.numbers({key: metrics.parsed(value) for key, value in given.items()})
    others = [*given.items(), ("target", None if isinstance(target, dict) else target)]
    return numbers, [f"{key}={value}" for key, value in others if value is not None and key not in numbers]


def target_of(block: Any, value: float | None, objective: Quantity, maximize: bool) -> Target | None:
    """Return the target of a sweep; None if it has none.

    Args:
        block: `hydra.sweeper.target`.
        value: the number in it; None: there is none.
        objective: what the target is of, if the block names no metric.
        maximize: the direction of the objective.
    """
    if value is None:
        return None
    metric, direction = block.get("metric"), block.get("direction")
    maximize = direction == "maximize" if direction is not None else metric is not None or maximize
    return Target(quantity(str(metric)) if metric else objective, value, maximize)
