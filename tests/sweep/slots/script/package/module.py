"""Run as `python -m package.module`."""

import json
import multiprocessing
import pickle
from pathlib import Path

import hydra

from .relative import square


class Scaler:
    factor = 2


@hydra.main(config_path=None)
def main(cfg):
    same = type(pickle.loads(pickle.dumps(Scaler()))) is Scaler
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer = same and pool.map(square, [3]) == [9]
    (Path(cfg.root) / "answers").mkdir(exist_ok=True)
    (Path(cfg.root) / "answers" / "as_a_module.json").write_text(json.dumps(answer))
    return 0.0


if __name__ == "__main__":
    main()
