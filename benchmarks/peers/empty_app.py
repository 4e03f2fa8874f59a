"""A Hydra app whose every trial takes `pause` seconds and does nothing: what remains is the sweeper's own time."""

import time

import hydra
from hydra.core.config_store import ConfigStore

ConfigStore.instance().store(name="config", node={"x": 0.0, "pause": 0.3})


@hydra.main(config_path=None, config_name="config")
def main(cfg) -> float:
    time.sleep(cfg.pause)
    return float(cfg.x)


if __name__ == "__main__":
    main()
