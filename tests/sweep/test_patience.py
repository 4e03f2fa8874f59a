"""Whole commands with hydra.sweeper.patience_trials: killed, gone on with, at its end, and the final stage after it."""

from pathlib import Path

import pytest

from tests.sweep import apps
from tests.sweep.apps import App, wait_for

CODE = """
import time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep.errors import one_line_errors

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    out = Path(HydraConfig.get().runtime.output_dir)
    with open("ran.txt", "a") as file:
        print(out.name, cfg.x, file=file)
    if out.parent.name == "night" and Path(f"hang{out.name}").exists():
        time.sleep(60)
    return float(cfg.x)

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep]
x: 0
seed: 1
hydra:
  sweep: {dir: night}
  sweeper:
    direction: maximize
    n_trials: 9
    n_jobs: 1
    params: {x: "range(0,100)"}
    enqueue: [{x: 5}, {x: 9}, {x: 4}, {x: 3}, {x: 2}, {x: 1}, {x: 0}]
    report: false
"""
PATIENCE = "hydra.sweeper.patience_trials=3"
SENTENCE = "3 trials in a row brought nothing better; a higher hydra.sweeper.patience_trials goes on"


@pytest.fixture
def app(tmp_path: Path) -> App:
    return apps.write(tmp_path, CODE, CONFIG)


def ok(app: App, *words: str) -> str:
    done = app.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_killed_search_keeps_counting_and_one_that_ended_so_runs_no_more(app: App) -> None:
    (app.root / "hang3").touch()
    with app.started(PATIENCE) as sweep:
        wait_for(lambda: len(app.ran()) == 4)
        sweep.kill()
        sweep.wait()
        assert app.leaves_nothing()
    (app.root / "hang3").unlink()
    # Trial 1 was the best, trial 2 brought nothing better, trial 3 was lost and counts no more: two more are needed.
    assert SENTENCE in ok(app, PATIENCE)
    assert app.ran() == [(0, "5"), (1, "9"), (2, "4"), (3, "3"), (4, "2"), (5, "1")]
    assert app.summary()["stop_reason"] == "patience_trials"
    assert app.summary()["incumbent"]["number"] == 1

    assert SENTENCE in ok(app, PATIENCE)
    assert len(app.ran()) == 6
    ok(app, "hydra.sweeper.patience_trials=4")
    assert app.ran()[6:] == [(6, "0")]


def test_the_final_stage_follows(app: App) -> None:
    said = ok(app, PATIENCE, "hydra.sweeper.winner.seeds=2")
    assert said.index(SENTENCE) < said.index("final stage: the best trials (1) again")
    assert [x for _, x in app.ran()] == ["5", "9", "4", "3", "2", "9", "9"]
    assert "winner: trial 1, seed " in said


def test_a_bad_value_is_one_line(app: App) -> None:
    done = app.run("hydra.sweeper.patience_trials=0")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("error: hydra.sweeper.patience_trials=0: must be at least 1, or null")
    assert not app.sweep.exists()
