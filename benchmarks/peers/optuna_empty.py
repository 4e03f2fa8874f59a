"""The empty trials with Optuna's own `Study.optimize`; started twice, two processes share its journal."""

import argparse
import time

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True, help="of this process")
    parser.add_argument("--pause", type=float, default=0.3)
    typed = parser.parse_args()

    def objective(trial: optuna.Trial) -> float:
        time.sleep(typed.pause)
        return trial.suggest_float("x", 0, 10)

    storage = JournalStorage(JournalFileBackend("study.journal"))
    sampler = optuna.samplers.TPESampler(seed=typed.seed)
    study = optuna.create_study(storage=storage, study_name="empty", load_if_exists=True, sampler=sampler)
    study.optimize(objective, n_trials=typed.trials)


if __name__ == "__main__":
    main()
