"""The search with Optuna's own `Study.optimize`; started twice, two processes share its journal.

As Optuna documents it: "Easy Parallelization" with a JournalStorage, and its PyTorch example, which reports as it
trains and asks whether to prune.
"""

import argparse

import optuna
import training
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def objective(trial: optuna.Trial) -> float:
    def report(step: int, accuracy: float) -> bool:
        trial.report(accuracy, step)
        if trial.should_prune():
            raise optuna.TrialPruned
        return False

    return training.train(
        trial.suggest_float("lr", *training.RATE, log=True),
        trial.suggest_categorical("width", training.WIDTHS),
        trial.suggest_categorical("batch", training.BATCHES),
        trial.suggest_float("dropout", *training.DROPOUT),
        report,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True, help="of this process")
    typed = parser.parse_args()
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend("study.journal")),
        study_name="search",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=typed.seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(),
    )
    study.optimize(objective, n_trials=typed.trials)


if __name__ == "__main__":
    main()
