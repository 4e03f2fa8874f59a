"""The entry point: Hydra composes a config, `inksweep.digits.run` trains, the objective goes back to the sweep."""

from contextlib import nullcontext

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from inksweep import ending, trial
from inksweep.digits.config import parse, schema
from inksweep.errors import one_line_errors

# What a `_target_` in a config may name. Add your own package here: (*schema.TRUSTED, "mypackage.*").
TRUSTED = schema.TRUSTED

parse.register()


@hydra.main(config_path="conf", config_name="config", execution_whitelist=TRUSTED)
def main(cfg: DictConfig) -> float | list[float]:
    """Train once, reporting to the sweep that asked for it if there is one, and return the objective."""
    # A run of its own ends here with its one line; the error of one job among many is its sweeper's to handle.
    with one_line_errors() if HydraConfig.get().mode is RunMode.RUN else nullcontext():
        from inksweep.digits.run import run  # imports torch: `--help` does without

        return run(cfg, trial.Reporter(cfg.objective)).objective


if __name__ == "__main__":
    with one_line_errors():
        main()
    ending.at_once()
