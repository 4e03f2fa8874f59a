"""Rolls down a bumpy curve, step by step, and returns how low it came: any Hydra app with a number to optimise.

It knows inksweep by one import, which tells a sweep how it is doing; without a sweep that does nothing.
"""

import logging
import math
import time

import hydra
from omegaconf import DictConfig

from inksweep import trial


def height(x: float) -> float:
    """Return the height at `x`: the lowest of many valleys is -1.48, at 0.43; most ways down end in another one."""
    return x**2 / 10 - 1.5 * math.sin(3.6 * x)


@hydra.main(config_path="conf", config_name="config")
def main(cfg: DictConfig) -> float:
    """Roll down from `x`; return the height at the end."""
    x, speed = cfg.x, 0.0
    for step in range(1, cfg.steps + 1):
        slope = (height(x + 1e-6) - height(x - 1e-6)) / 2e-6
        speed = (cfg.momentum * speed if cfg.method == "momentum" else 0.0) - cfg.rate * slope
        x = max(-10.0, min(10.0, x + speed))
        time.sleep(cfg.pause)
        trial.report(step, height(x), total=cfg.steps)
        if trial.should_stop():
            break
    logging.info("height %.4f at x=%.4f", height(x), x)
    return height(x)


if __name__ == "__main__":
    main()
