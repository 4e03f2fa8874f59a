"""What is typed for a sweep without -m gets one line; everything else none."""

import subprocess
import sys

import pytest

from inksweep.sweep.single_run import hint


@pytest.mark.parametrize(
    "words",
    [
        "hydra/sweeper=optuna",
        "hydra/sweeper=inksweep x=1",
        "x=1 +hydra/sweeper=inksweep",
        "hydra.sweeper.n_trials=5",
        "hydra/sweeper/sampler=random",
        "hydra/launcher=slots",
        "++hydra.launcher.n_jobs=2 model=cnn",
        "--config-name other hydra/sweeper=optuna",
        "hydra/sweeper=optuna experiment=quick -cn other",
    ],
)
def test_what_is_typed_for_a_sweep_needs_multirun(words):
    line = hint(["app.py", *words.split()])
    assert line is not None
    assert "has no effect on a single run; add -m" in line
    assert line.endswith(f"python app.py -m {words}")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "x=1",
        "hydra.run.dir=here",
        "hydra.job.chdir=true",
        "hydra/output=mine",
        "-m hydra/sweeper=optuna",
        "hydra/sweeper=optuna --multirun",
        "hydra/sweeper=optuna hydra.mode=MULTIRUN",
        "hydra/sweeper=optuna --cfg job",
        "hydra/sweeper=optuna -c hydra",
        "hydra/sweeper=optuna --info searchpath",
        "hydra/sweeper=optuna --help",
        "-sc query=bash hydra/sweeper=op",
        "text=hydra/sweeper",
    ],
)
def test_nothing_is_said_where_it_takes_effect_or_was_not_typed(words):
    assert hint(["app.py", *words.split()]) is None


def test_an_app_says_it_before_it_runs(tmp_path):
    (tmp_path / "app.py").write_text(
        "import hydra\n\n\n@hydra.main(config_path=None)\ndef main(cfg):\n    print('ran')\n\n\nmain()\n"
    )

    def run(*words):
        done = subprocess.run(
            [sys.executable, "app.py", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == "ran\n"
        return done.stderr

    words = "hydra/sweeper=inksweep"
    line = f"hint: {words} has no effect on a single run; add -m for a sweep: python app.py -m {words}\n"
    assert run(words) == line
    assert run() == ""


def test_nothing_is_said_where_the_primary_config_asks_for_a_sweep(tmp_path):
    (tmp_path / "app.py").write_text(
        """import hydra


@hydra.main(config_path="conf", config_name="own")
def main(cfg):
    return 1.0


if __name__ == "__main__":
    main()
"""
    )
    (tmp_path / "conf/deep").mkdir(parents=True)
    (tmp_path / "conf/own.yaml").write_text("x: 1\n")
    asks = "hydra: {mode: MULTIRUN}\nx: 1\n"
    (tmp_path / "conf/deep/asks.yaml").write_text("# @package _global_\n" + asks)

    def run(*words):
        command = [sys.executable, "app.py", *words, "hydra.sweep.dir=sweep", "hydra/launcher=basic"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
        return "add -m" in done.stderr

    assert run()  # a file that is not chosen asks for nothing
    assert not run("--config-name", "deep/asks")
    (tmp_path / "conf/own.yaml").write_text(asks)
    assert not run()
