"""What a sweep says of its winner, for tests: the content of a selection.json, to be changed with `|`."""

from typing import Any

# A configuration that was trained again.
CANDIDATE: dict[str, Any] = {
    "trial": 0,
    "rank": 1,
    "searched_objective": 0.95,
    "mean": 0.94,
    "std": 0.01,
    "interval": None,
    "p": None,
    "difference": None,
    "runs": [],
    "lost": 0,
    "diverged": 0,
}
# Of a search that had no final stage.
SELECTION: dict[str, Any] = {
    "schema_version": 1,
    "study": "night",
    "rule": "search",
    "objective": {"name": "val/accuracy", "direction": "maximize"},
    "trials": {"complete": 10, "pruned": 37, "failed": 0},
    "trial": 0,
    "stop_rule": None,
    "searched": {"model": "cnn"},
    "candidates": [],
    "interim": False,
    "full_data": False,
    "retrained_with": {},
    "model": {"path": "0", "seed": 1},
    "members": [],
    "calibrate_on": None,
    "export": [],
    "commands": ["python train.py"],
}


def trainings(*seeds: int) -> list[dict[str, Any]]:
    """The `runs` of a candidate."""
    return [{"path": f"finalists/{seed}", "seed": seed, "objective": 0.94, "metrics": {}} for seed in seeds]
