"""The entry point: Hydra composes a config, `inksweep.run` trains, the objective goes back to whoever asked."""

import hydra
from omegaconf import DictConfig

from inksweep import config
from inksweep.errors import one_line_errors

# What a `_target_` in a config may name. Add your own package here: (*config.TRUSTED, "mypackage.*").
TRUSTED = config.TRUSTED

config.register()


@hydra.main(config_path="conf", config_name="config", execution_whitelist=TRUSTED)
def main(cfg: DictConfig) -> float:
    """Train once and return the objective."""
    from inksweep.run import run  # imports torch: `--help` does without

    return run(cfg).objective


if __name__ == "__main__":
    with one_line_errors():
        main()
