"""The search as a Hydra app: ours with `hydra/sweeper=inksweep`, the stock Optuna sweeper with `hydra/sweeper=optuna`.

The space is given on the command line, in Hydra's grammar, which both read.
"""

import hydra
from hydra.core.config_store import ConfigStore

from inksweep import trial

ConfigStore.instance().store(name="config", node={"lr": 0.001, "width": 16, "batch": 128, "dropout": 0.0})


@hydra.main(config_path=None, config_name="config")
def main(cfg) -> float:
    import training

    def report(step: int, accuracy: float) -> bool:
        trial.report(step, accuracy, total=training.REPORTS)  # does nothing under the stock sweeper
        return trial.should_stop() is not None

    return training.train(cfg.lr, cfg.width, cfg.batch, cfg.dropout, report)


if __name__ == "__main__":
    main()
