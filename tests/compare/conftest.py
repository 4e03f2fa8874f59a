"""A folder to type `inksweep compare` in, and sweeps of made-up runs."""

import json
from pathlib import Path

import pytest

from tests.compare.folders import make, result


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def sweep(place: Path) -> Path:
    """Ten trials: two models, five seeds, one of them pruned and one failed."""
    folder = place / "multirun" / "night"
    for number in range(10):
        model, seed = ("mlp", "cnn")[number % 2], number // 2
        status = {6: "pruned", 7: "failed"}.get(number, "completed")
        accuracy = {7: None}.get(number, 0.9 + number * 0.00713)
        reason = {6: "pruned", 7: "oom: out of memory"}.get(number)
        make(folder / str(number), model, accuracy, status, seed=seed, lr=0.1 / (1 + number // 4), reason=reason,
             seconds=10 + number / 3)  # fmt: skip
    (folder / "summary.json").write_text(json.dumps({"direction": "maximize"}))
    return folder


@pytest.fixture
def finals(sweep: Path) -> Path:
    """The final stage of the sweep: two configurations on two seeds each, then the better one on all data."""
    for number in range(6):
        lr, seed, full = (0.1, 0.05, 0.1)[number // 2], 7 + number % 2, number > 3
        folder = make(sweep / "finalists" / str(number), accuracy=0.95 + number / 1000, lr=lr, seed=seed,
                      data={"train_on_all": full})  # fmt: skip
        (folder / "result.json").write_text(json.dumps(result(folder) | {"trained_on_validation": full}))
    (sweep / "finalists" / "summary.json").write_text(json.dumps({"direction": "maximize"}))
    return sweep / "finalists"
