"""The search with Ray Tune: OptunaSearch proposes, ASHA prunes, two trials at a time.

As Ray documents it: a function trainable that reports as it trains. The data lie in a file, which each trial reads.
"""

import argparse
import os
from pathlib import Path

os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")

from ray import init, tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

HERE = Path(__file__).resolve().parent


def trainable(config: dict) -> None:
    import training

    def report(step: int, accuracy: float) -> bool:
        tune.report({"accuracy": accuracy})  # a trial that is pruned ends in here
        return False

    training.train(config["lr"], config["width"], config["batch"], config["dropout"], report)


def main() -> None:
    import training

    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True)
    typed = parser.parse_args()
    passed = {name: value for name, value in os.environ.items() if name.startswith("BENCH_")}
    paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    init(num_cpus=2, include_dashboard=False, runtime_env={"env_vars": passed | {"PYTHONPATH": paths}})
    tuner = tune.Tuner(
        trainable,
        param_space={
            "lr": tune.loguniform(*training.RATE),
            "width": tune.choice(training.WIDTHS),
            "batch": tune.choice(training.BATCHES),
            "dropout": tune.uniform(*training.DROPOUT),
        },
        tune_config=tune.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=typed.trials,
            search_alg=OptunaSearch(seed=typed.seed),
            scheduler=ASHAScheduler(max_t=training.REPORTS),
        ),
        run_config=tune.RunConfig(storage_path=str(Path.cwd() / "ray"), verbose=0),
    )
    tuner.fit()


if __name__ == "__main__":
    main()
