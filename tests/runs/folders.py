"""Run directories for tests, written by hand."""

import json
from pathlib import Path

import yaml

CONFIG = {
    "model": {"_target_": "inksweep.digits.models.MLP", "hidden": [256, 128]},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 1e-05},
    "objective": "val/accuracy",
    "seed": 1,
}


RESULT = {
    "schema_version": 1,
    "status": "completed",
    "reason": None,
    "objective": {"name": "val/accuracy", "value": 0.97},
    "metrics": {"val/accuracy": 0.97, "test/accuracy": 0.96},
    "seconds": {"train": 4.0, "total": 5.5},
    "parameters": 1000,
    "threads": 2,
    "error": None,
}


HYDRA = {
    "hydra": {"runtime": {"choices": {"model": "mlp", "optimizer": "sgd", "experiment": None, "hydra/launcher": "x"}}}
}


def make(folder: Path, result: object = RESULT, config: object = CONFIG, hydra: object = HYDRA) -> Path:
    """A run directory; of what is None there is no file, a string is written as it stands."""
    (folder / ".hydra").mkdir(parents=True)
    for name, content, dump in (
        ("result.json", result, json.dumps),
        (".hydra/config.yaml", config, yaml.safe_dump),
        (".hydra/hydra.yaml", hydra, yaml.safe_dump),
    ):
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else dump(content))
    return folder
