"""What a job tells a sweep, and what it hears."""

import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from inksweep import trial


class Watcher:
    """Takes down what it is told; answers `word`, and in between `end`."""

    def __init__(self, word: str | None = None, end: str | None = None) -> None:
        self.word, self.end, self.heard = word, end, []

    def report(self, step: int, value: float, total: int | None) -> None:
        self.heard.append((step, value, total))

    def should_stop(self) -> str | None:
        return self.word

    def called_off(self) -> str | None:
        return self.end


def test_without_a_sweep_reports_go_nowhere_and_nobody_says_stop() -> None:
    trial.report(1, 0.5)
    trial.report(2, 0.6, total=10)
    assert trial.should_stop() is trial.called_off() is None


def test_the_watcher_hears_and_is_asked() -> None:
    with trial.watched_by(watcher := Watcher("pruned", "target")):
        trial.report(0, 1)
        trial.report(3, 0.25, total=10)
        assert (trial.should_stop(), trial.called_off()) == ("pruned", "target")
    assert watcher.heard == [(0, 1.0, None), (3, 0.25, 10)]
    assert isinstance(watcher.heard[0][1], float)


def test_after_the_block_nobody_listens_even_if_it_failed() -> None:
    watcher = Watcher("target")
    with pytest.raises(RuntimeError, match="the job broke"), trial.watched_by(watcher):
        raise RuntimeError("the job broke")
    trial.report(1, 0.5)
    assert trial.should_stop() is None
    assert watcher.heard == []


def test_an_inner_watcher_listens_alone_then_the_outer_one_again() -> None:
    outer, inner = Watcher("outer"), Watcher("inner")
    with trial.watched_by(outer):
        with trial.watched_by(inner):
            trial.report(1, 0.1)
            assert trial.should_stop() == "inner"
        with trial.watched_by(None):
            trial.report(2, 0.2)
            assert trial.should_stop() is None
        trial.report(3, 0.3)
        assert trial.should_stop() == "outer"
    assert (inner.heard, outer.heard) == ([(1, 0.1, None)], [(3, 0.3, None)])


@pytest.mark.parametrize("step", [-1, 1.0, 0.5, "1", None, True])
@pytest.mark.parametrize("watcher", [None, Watcher()], ids=["alone", "watched"])
def test_a_step_that_is_no_count_is_refused_with_or_without_a_sweep(step: object, watcher: Watcher | None) -> None:
    with trial.watched_by(watcher), pytest.raises(ValueError, match=r"trial.report\(step=.*whole number, 0 or more"):
        trial.report(step, 0.5)
    assert watcher is None or watcher.heard == []


METRICS = {"val/accuracy": 0.9, "val/loss": 0.3}


@pytest.mark.parametrize(
    "objective, value",
    [
        ("val/loss", 0.3),
        (["val/accuracy", "val/loss"], 0.9),
        (["val/loss", "parameters"], 0.3),  # the others need not be among the metrics
        (OmegaConf.create(["val/loss", "val/accuracy"]), 0.3),  # as a composed config holds them
    ],
)
def test_a_reporter_tells_the_first_objective_of_what_a_training_measured(objective: object, value: float) -> None:
    reporter = trial.Reporter(objective)
    with trial.watched_by(watcher := Watcher("pruned", "target")):
        reporter.report(2, METRICS, 5)
        reporter.report(3, METRICS)
        assert (reporter.should_stop(), reporter.called_off()) == ("pruned", "target")
    assert watcher.heard == [(2, value, 5), (3, value, None)]
    assert reporter.should_stop() is reporter.called_off() is None


@pytest.mark.parametrize("objective", [[], None, 3])
def test_a_reporter_of_no_objective_leaves_the_refusal_to_the_check_of_the_settings(objective: object) -> None:
    assert trial.Reporter(objective).should_stop() is None


def test_the_module_costs_an_app_no_import() -> None:
    code = "import sys, inksweep.trial; print(sorted({'torch', 'optuna', 'hydra', 'omegaconf'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "[]", done.stderr
