"""Run directories made for the tests of compare, and what the command says of them."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from inksweep import cli

# What is said of the two runs in the fixture `finals` that trained on the validation pictures.
ON_ALL = "2 runs trained on the validation pictures (data.train_on_all): their val/... measure nothing"

MODELS = {"mlp": {"hidden": [256], "norm": "none"}, "cnn": {"channels": [16, 32], "norm": "batch"}}


def make(
    folder: Path, model: str | None = "mlp", accuracy: float | None = 0.9, status: str | None = "completed", **more: Any
) -> Path:
    """Write a run directory; `more` are settings (lr, seed, data, ...) or `reason`, `metrics`, `objective`.

    Without a model it is one of an app without config groups.
    """
    metrics = more.pop("metrics", None)
    if metrics is None:
        metrics = {} if accuracy is None else {"val/loss": 1 - accuracy, "val/accuracy": accuracy}
        metrics |= {"test/accuracy": accuracy + 0.001} if status == "completed" and accuracy is not None else {}
    objective = more.pop("objective", "val/accuracy")
    reason = more.pop("reason", None)
    seconds = more.pop("seconds", 12.25)
    settings = {
        "data": {"name": "mnist", "root": str(folder), "mean": 0.1307, "batch_size": 128} | more.pop("data", {}),
        "model": MODELS[model or "mlp"] | more.pop("values", {}),
        "optimizer": {"_target_": "torch.optim.SGD", "lr": more.pop("lr", 0.1)},
        "trainer": {"clip_norm": more.pop("clip_norm", None), "resume": str(folder)},
        "objective": objective,
        "seed": more.pop("seed", 1),
        **more.pop("settings", {}),
    }
    choices = {"model": model, "data": settings["data"]["name"]} if model else {}
    assert not more
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / ".hydra/hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    (folder / ".lock").touch()
    if status is not None:
        result = {
            "schema_version": 1,
            "status": status,
            "reason": reason,
            "objective": {"name": objective, "value": metrics.get(objective)},
            "metrics": metrics,
            "seconds": {"train": seconds - 1, "total": seconds},
            "parameters": 227466,
            "device": "cpu",
            "git": {"sha": "abc"},
            "error": None,
        }
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def say(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    cli.main(["compare", *words])
    return capsys.readouterr().out


def rows(*words: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(say(*words, "--format", "csv", capsys=capsys))))


def names(*words: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [row["run"].rpartition("/")[2] for row in rows(*words, capsys=capsys)]


def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the line that a mistake costs."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", *words])
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    return said.err
