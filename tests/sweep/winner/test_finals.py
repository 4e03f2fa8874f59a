"""The final stage of a sweep, as whole commands with an app of a few lines: what is trained again, and what wins."""

import json
import signal
import statistics
from pathlib import Path
from typing import Any

import pytest

from inksweep.errors import InputError
from inksweep.sweep.settings import WinnerConf
from tests.sweep import apps
from tests.sweep.apps import App, wait_for

CODE = """
import json, os, time
from pathlib import Path
import hydra
from hydra.core.hydra_config import HydraConfig
from inksweep import trial
from inksweep.errors import Diverged, one_line_errors

@hydra.main(config_path="conf", config_name="config")
def main(cfg):
    out = Path(HydraConfig.get().runtime.output_dir)
    stage = out.parent.name
    with open("ran.txt", "a") as file:
        print(out.name, f"{stage}:{cfg.x}:{cfg.seed}" + (":full" if cfg.data.train_on_all else ""), file=file)
    trial.report(1, 0.0)
    if trial.should_stop():
        return None
    while stage == "finalists" and int(out.name) >= 2 and Path("slow").exists():
        time.sleep(0.02)
        if trial.should_stop():
            return None
    if stage == "finalists" and Path("broken").exists():
        if f"{cfg.x}:{cfg.seed}" in (Path("broken").read_text() or f"{cfg.x}:{cfg.seed}"):
            raise ValueError("this is why")
    if cfg.data.train_on_all and Path("diverges").exists():
        raise Diverged("the loss is nan")
    # In the search more is better; on further seeds x=2 is the best, and seeds differ by hundredths.
    luck = 0.0 if stage == "night" else {3: -0.3, 1: -0.05}.get(cfg.x, 0.0)
    value = 0.5 + cfg.x / 10 + luck + cfg.seed % 7 / 100
    out_model = out / "model.pt"
    out_model.write_text(f"{stage} {out.name}")
    result = {
        "status": "completed", "schema_version": 1, "objective": {"name": "val/accuracy", "value": value},
        "metrics": {"val/accuracy": value, "test/accuracy": 1 - value}, "seed": cfg.seed, "threads": 1,
        "command": f"python app.py x={cfg.x} seed={cfg.seed}",
    }
    (out / "result.json").write_text(json.dumps(result))
    return value

if __name__ == "__main__":
    with one_line_errors():
        main()
"""
CONFIG = """
defaults: [_self_, override hydra/sweeper: inksweep, override hydra/launcher: basic]
x: 0
seed: 1
data: {train_on_all: false}
trainer: {keep: best, patience: 3, threads: null}
hydra:
  sweep: {dir: night}
  sweeper:
    direction: maximize
    n_trials: 4
    params: {x: "range(0,4)"}
    enqueue: [{x: 0}, {x: 1}, {x: 2}, {x: 3}]
    report: false
"""
SLOTS = "hydra/launcher=slots"
SEEDS = ["hydra.sweeper.winner.top_k=3", "hydra.sweeper.winner.seeds=2"]


@pytest.fixture
def app(tmp_path: Path) -> App:
    return apps.write(tmp_path, CODE, CONFIG)


def ok(app: App, *words: str) -> str:
    done = app.run(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def selection(app: App) -> dict[str, Any]:
    return json.loads((app.sweep / "winner/selection.json").read_text())


def finals(app: App) -> list[str]:
    """Return `x:seed` of each training of the final stage, in order."""
    return [x.partition(":")[2] for _, x in app.ran() if x.startswith("finalists")]


def fingerprint(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def test_the_best_are_trained_again_and_ranked_by_their_mean(app: App) -> None:
    said = ok(app, *SEEDS, SLOTS)
    # The three best of the search, in its order, on the seeds after its own.
    assert finals(app) == ["3:2", "3:3", "2:2", "2:3", "1:2", "1:3"]
    found = selection(app)
    assert (found["rule"], found["trial"], found["searched"], found["study"]) == ("seeds", 2, {"x": 2}, "night")
    assert [(one["trial"], one["rank"]) for one in found["candidates"]] == [(2, 1), (1, 2), (3, 3)]
    first = found["candidates"][0]
    assert first["mean"] == pytest.approx(statistics.fmean([0.72, 0.73]))
    assert first["std"] == pytest.approx(statistics.stdev([0.72, 0.73]))
    assert first["searched_objective"] == pytest.approx(0.71)
    assert (first["interval"], first["p"]) == (None, None)  # it leaves no predictions.npz
    assert [(run["path"], run["seed"]) for run in first["runs"]] == [("finalists/2", 2), ("finalists/3", 3)]
    assert first["runs"][0]["metrics"]["val/accuracy"] == pytest.approx(0.72)
    # The weights are those of its better seed.
    assert found["model"] == {"path": "finalists/3", "seed": 3}
    assert (app.sweep / "winner/model.pt").read_text() == "finalists 3"
    assert found["objective"] == {"name": "val/accuracy", "direction": "maximize"}
    assert found["trials"] == {"complete": 4, "pruned": 0, "failed": 0}
    assert (found["full_data"], found["members"], found["calibrate_on"], found["export"]) == (False, [], None, [])
    # A slot's one thread is a part of what was trained.
    assert found["commands"] == ["python app.py x=2 seed=3 trainer.threads=1"]
    assert "winner: trial 2, seed 3" in said
    assert "1. trial 2: mean 0.7250 of 2 seeds" in said
    card = (app.sweep / "winner/README.md").read_text()
    assert "| 2 | 0.71 | 0.725 |" in card
    assert "trainer.threads=1" in card

    assert app.summary()["final_stage"] == {"missing": 0, "done": 6, "state": "ended"}
    assert app.summary()["stop_reason"] == "n_trials"

    # The same command trains nothing more, and leaves the winner alone with all that was added to it.
    (app.sweep / "winner/mine.onnx").touch()
    ran, before = app.ran(), fingerprint(app.sweep / "winner")
    ok(app, *SEEDS)
    assert (app.ran(), fingerprint(app.sweep / "winner")) == (ran, before)


def test_a_finished_sweep_may_be_given_seeds_and_then_more(app: App) -> None:
    ok(app)
    assert (selection(app)["rule"], selection(app)["interim"]) == ("search", False)
    assert selection(app)["model"] == {"path": "3", "seed": 1}
    assert app.summary()["final_stage"] is None
    ok(app, "hydra.sweeper.winner.top_k=2", "hydra.sweeper.winner.seeds=1")
    assert finals(app) == ["3:2", "2:2"]
    ok(app, "hydra.sweeper.winner.top_k=2", "hydra.sweeper.winner.seeds=2")
    assert finals(app) == ["3:2", "2:2", "3:3", "2:3"]
    assert len([x for _, x in app.ran() if x.startswith("night")]) == 4
    # Without seeds the search decides again.
    ok(app)
    assert (selection(app)["rule"], selection(app)["trial"]) == ("search", 3)


def test_killed_half_way_it_goes_on_with_what_is_missing(app: App) -> None:
    (app.root / "slow").touch()
    with app.started(*SEEDS, SLOTS, "hydra.sweeper.n_jobs=2") as process:
        wait_for(lambda: len(finals(app)) >= 4)
        wait_for(lambda: len(list((app.sweep / "finalists").glob("[01]/result.json"))) == 2)
        # The winner of the search is there already.
        assert selection(app)["rule"] == "search"
        assert app.summary()["final_stage"] == {"missing": 6, "done": 0, "state": "running"}
        process.kill()
    assert app.leaves_nothing()
    (app.root / "slow").unlink()
    said = ok(app, *SEEDS)
    assert "4 trainings are missing" in said
    # Two were done; the two that were cut off are repeated, and the other two follow.
    assert sorted(finals(app)[4:]) == ["1:2", "1:3", "2:2", "2:3"]
    assert selection(app)["trial"] == 2
    assert all(len(one["runs"]) == 2 for one in selection(app)["candidates"])


def test_ctrl_c_keeps_the_winner_of_the_search_and_the_same_command_goes_on(app: App) -> None:
    (app.root / "slow").touch()
    with app.started(*SEEDS) as process:
        wait_for(lambda: len(finals(app)) == 3)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: process.poll() is not None)
        assert process.returncode == 130
    assert (selection(app)["rule"], selection(app)["interim"]) == ("search", True)
    assert "It is not final" in (app.sweep / "winner/README.md").read_text()
    assert app.summary()["final_stage"] == {"missing": 4, "done": 2, "state": "interrupted"}
    (app.root / "slow").unlink()
    ok(app, *SEEDS)
    assert selection(app)["interim"] is False
    assert "It is not final" not in (app.sweep / "winner/README.md").read_text()
    assert sorted(finals(app)[3:]) == ["1:2", "1:3", "2:2", "2:3"]


def test_ctrl_c_in_a_later_final_stage_keeps_the_winner_of_the_one_before(app: App) -> None:
    ok(app, *SEEDS)
    (app.root / "slow").touch()
    before = fingerprint(app.sweep / "winner")
    with app.started(SEEDS[0], "hydra.sweeper.winner.seeds=3") as process:
        wait_for(lambda: len(finals(app)) == 7)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[0]
    assert "winner: that of the final stage before stays" in said
    assert fingerprint(app.sweep / "winner") == before


def test_the_time_of_a_start_is_that_of_search_and_final_stage(app: App) -> None:
    code = (app.root / "app.py").read_text()
    slowly = "time.sleep(0.4 * (stage == 'finalists'))\n    trial.report"
    (app.root / "app.py").write_text(code.replace("trial.report", slowly, 1))
    # After a search that was cut off there is no final stage.
    said = ok(app, *SEEDS, "hydra.sweeper.timeout_s=1e-6")
    assert "the final stage comes when the search is done; the same command goes on" in said
    assert app.summary()["stop_reason"] == "timeout"
    ok(app)

    # If that is cut off, the winner is that of the search until it is done.
    said = ok(app, *SEEDS, "hydra.sweeper.timeout_s=0.7")
    assert "0.7 s are over (hydra.sweeper.timeout_s)" in said
    assert "the final stage is not done; the same command goes on with it" in said
    begun = len(finals(app))
    assert 0 < begun < 6
    assert (selection(app)["rule"], selection(app)["trial"]) == ("search", 3)
    assert app.summary()["final_stage"]["state"] == "interrupted"
    ok(app, *SEEDS, "hydra.sweeper.timeout_s=60")
    assert len(finals(app)) == 6
    assert (selection(app)["rule"], selection(app)["trial"]) == ("seeds", 2)


def test_what_cannot_begin_leaves_the_winner_of_the_search(app: App) -> None:
    app.sweep.mkdir()
    (app.sweep / "finalists").touch()
    failed = app.run(*SEEDS)
    assert failed.returncode == 2, failed.stderr
    assert failed.stderr.startswith(f"error: {app.sweep}/finalists: File exists")
    assert "winner: trial 3" in failed.stdout
    assert selection(app)["rule"] == "search"


def test_one_failure_within_the_budget_is_tried_again_by_the_next_start(app: App) -> None:
    # Of six trainings a third is two.
    (app.root / "broken").write_text("2:2 3:3")
    said = ok(app, *SEEDS, "hydra.sweeper.max_failure_rate=0.34")
    assert "final stage: trial 2, seed 2 failed; the same command tries it again" in said
    assert [(one["trial"], one["lost"]) for one in selection(app)["candidates"]] == [(2, 1), (1, 0), (3, 1)]
    assert app.summary()["final_stage"] == {"missing": 2, "done": 4, "state": "ended"}


def test_what_another_search_had_trained_is_not_reused(app: App) -> None:
    ok(app, *SEEDS)
    with (app.root / "conf/config.yaml").open("a") as file:
        file.write("another: 1\n")
    said = ok(app, *SEEDS, "hydra.sweeper.on_mismatch=continue")
    assert "6 trainings are missing" in said
    assert finals(app)[6:] == ["3:2", "3:3", "2:2", "2:3", "1:2", "1:3"]
    assert [run["path"] for run in selection(app)["candidates"][0]["runs"]] == ["finalists/8", "finalists/9"]


def test_two_processes_share_the_final_stage(app: App) -> None:
    words = [*SEEDS, "hydra.sweeper.winner.full_data=true", "hydra.sweeper.storage=sqlite:///study.db"]
    with app.started(*words) as one, app.started(*words) as two:
        wait_for(lambda: one.poll() is not None and two.poll() is not None, 60)
        assert (one.returncode, two.returncode) == (0, 0)
    wanted = ["1:2", "1:3", "2:2", "2:2:full", "2:3", "3:2", "3:3"]
    # In a race a training may be begun by both; never all of them.
    assert sorted(set(finals(app))) == wanted
    assert len(finals(app)) <= len(wanted) + 2
    assert (selection(app)["trial"], selection(app)["full_data"]) == (2, True)
    assert all(len(one["runs"]) == 2 for one in selection(app)["candidates"])


def test_what_another_process_still_runs_of_the_search_is_waited_for(app: App) -> None:
    code = (app.root / "app.py").read_text()
    hold = 'while f"{stage}:{cfg.x}" == "night:1" and Path("hold").exists(): time.sleep(0.02)\n    trial.report'
    (app.root / "app.py").write_text(code.replace("trial.report", hold, 1))
    (app.root / "hold").touch()
    words = [*SEEDS, "hydra.sweeper.storage=sqlite:///study.db", "hydra.sweeper.target.value=0.8"]
    with app.started(*words) as one, (app.root / "two.log").open("w+") as log:
        wait_for(lambda: len(app.ran()) == 2)  # it holds x=1
        with app.started(*words, stdout=log) as two:
            said = "final stage: waiting for the trials of the search that other processes still run (1)"
            wait_for(lambda: said in (app.root / "two.log").read_text())
            assert app.ran()[-1] == (3, "night:3:1")  # with which it has reached the target
            (app.root / "hold").unlink()
            wait_for(lambda: one.poll() is not None and two.poll() is not None, 60)
            assert (one.returncode, two.returncode) == (0, 0)
    # x=1 is the third best of the search, and not x=0.
    assert sorted(set(finals(app))) == ["1:2", "1:3", "2:2", "2:3", "3:2", "3:3"]


def test_with_full_data_the_chosen_one_is_trained_on_all(app: App) -> None:
    said = ok(app, *SEEDS, "hydra.sweeper.winner.full_data=true", "hydra.sweeper.winner.ensemble=2")
    assert finals(app)[6:] == ["2:2:full", "2:3:full"]
    found = selection(app)
    assert (found["full_data"], found["model"]) == (True, {"path": "finalists/6", "seed": 2})
    assert found["members"] == ["finalists/6", "finalists/7"]
    assert found["calibrate_on"] == ["finalists/3", "finalists/2"]
    assert found["retrained_with"] == {"trainer.keep": "last", "trainer.patience": None}
    line = (
        "trained with trainer.keep=last, trainer.patience=null, where trial 2 had trainer.keep=best, trainer.patience=3"
    )
    assert line in said
    assert found["commands"] == [f"python app.py x=2 seed={seed} trainer.threads=1" for seed in (2, 3)]
    job = (app.sweep / "finalists/6/.hydra/overrides.yaml").read_text()
    for word in ("data.train_on_all=true", "trainer.keep=last", "trainer.patience=null", "seed=2"):
        assert f"- {word}\n" in job


def test_if_the_training_on_all_data_diverges_the_winner_is_not_of_all_data(app: App) -> None:
    (app.root / "diverges").touch()
    said = ok(app, *SEEDS, "hydra.sweeper.winner.full_data=true")
    line = "full_data=true: the winner is not of all data (trial 2, seed 2, all data: pruned (diverged))"
    assert line in said
    assert (selection(app)["full_data"], selection(app)["model"]["path"]) == (False, "finalists/3")
    assert selection(app)["retrained_with"] == {}


def test_more_candidates_than_there_are_is_said(app: App) -> None:
    said = ok(app, "hydra.sweeper.winner.top_k=9", "hydra.sweeper.winner.seeds=1")
    assert "hydra.sweeper.winner.top_k=9: only 4 trials of different parameters are complete" in said
    assert len(finals(app)) == 4


def test_if_too_much_fails_the_winner_is_that_of_the_search_and_the_next_start_tries_again(app: App) -> None:
    (app.root / "broken").touch()
    failed = app.run(*SEEDS)
    assert failed.returncode == 1
    assert "ValueError: this is why" in failed.stderr
    assert "the final stage is not done" in failed.stdout
    assert (selection(app)["rule"], selection(app)["trial"]) == ("search", 3)
    (app.root / "broken").unlink()
    ok(app, *SEEDS)
    assert (selection(app)["rule"], selection(app)["trial"]) == ("seeds", 2)


def test_after_an_interrupted_search_there_is_no_final_stage(app: App) -> None:
    code = (app.root / "app.py").read_text()
    wait = "while out.name == '1' and stage == 'night' and not trial.should_stop(): time.sleep(0.02)\n    trial.report"
    (app.root / "app.py").write_text(code.replace("trial.report", wait, 1))
    with app.started(*SEEDS) as process:
        wait_for(lambda: len(app.ran()) == 2)
        process.send_signal(signal.SIGINT)
        wait_for(lambda: process.poll() is not None)
    assert process.returncode == 130
    assert finals(app) == []
    assert selection(app)["rule"] == "search"


def test_the_stop_rule_and_its_looks_are_told(app: App) -> None:
    ok(app, "hydra.sweeper.target={metric: val/accuracy, value: 0.65}", "hydra.sweeper.winner.seeds=1")
    # x = 0, 1, 2: each the best so far, and compared.
    rule = {"metric": "val/accuracy", "value": 0.65, "looks": 3, "reached": True}
    assert (selection(app)["stop_rule"], finals(app)) == (rule, ["2:2"])
    # A later start without one looks at nothing more; what was looked at was.
    ok(app, "hydra.sweeper.target=null", "hydra.sweeper.winner.seeds=1")
    assert selection(app)["trials"]["complete"] == 4
    assert selection(app)["stop_rule"] == {**rule, "looks": 4}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hydra.sweeper.winner.seed_key=sed"], "error: hydra.sweeper.winner.seed_key=sed: the app's config has no"),
        (["hydra.sweeper.winner.full_data=true", "~data"], "error: hydra.sweeper.winner.full_data=true: "),
        (["data.train_on_all=true"], "error: data.train_on_all=true: a sweep ranks by the validation pictures"),
        (["hydra.sweeper.winner.top=1"], "error: hydra.sweeper.winner.top: Key 'top' not in 'WinnerConf'"),
    ],
)
def test_what_cannot_be_is_one_line_before_any_trial(app: App, words: list[str], line: str) -> None:
    done = app.run("hydra.sweeper.winner.seeds=2", *words)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(line)
    assert not app.sweep.exists()


def test_one_format_needs_no_list() -> None:
    assert WinnerConf(export="onnx").export == ["onnx"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"ensemble": 2, "card": False},
            "card=False: must be true with hydra.sweeper.winner.ensemble=2, which is made",
        ),
        ({"export": ["onnx"], "card": False}, r"card=False: must be true with hydra.sweeper.winner.export=\['onnx'\]"),
        ({"top_k": 0}, "top_k=0: must be at least 1"),
        ({"seeds": -1}, "seeds=-1: must be at least 0"),
        ({"ensemble": 0}, "ensemble=0: must be at least 1"),
        ({"export": ["onx"]}, r"export=\['onx'\]: must be a list of onnx, torch-export"),
        ({"export": ["onnx", "onnx"]}, "export=.*each once"),
        ({"export": "onx"}, r"export=\['onx'\]: must be a list of onnx, torch-export"),
        ({"export": None}, "export=None: must be a list of onnx, torch-export"),
        ({"export": [["onnx"]]}, "export=.*must be a list"),
        ({"use": "read PICTURE"}, r"use=read PICTURE: must be null or a command on one line with \{winner\} in it"),
        ({"use": "read\n{winner}"}, "use="),
        ({"seed_key": ""}, "seed_key=: must be a key"),
        ({"seeds": 2, "ensemble": 3}, "ensemble=3: must be at most hydra.sweeper.winner.seeds=2"),
        ({"top_k": 3}, "top_k=3: must be 1 with hydra.sweeper.winner.seeds=0"),
        ({"top_k": 3, "ensemble": 3, "full_data": True}, "top_k=3: must be 1 with"),
    ],
)
def test_a_value_out_of_range_is_named(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"^hydra\.sweeper\.winner\.{message}"):
        WinnerConf(**keys)


@pytest.mark.parametrize(
    "keys", [{"seeds": 2, "ensemble": 3, "full_data": True}, {"top_k": 3, "ensemble": 3}, {"ensemble": 3}]
)
def test_what_makes_sense_is_taken(keys: dict[str, Any]) -> None:
    assert WinnerConf(**keys).ensemble == 3
