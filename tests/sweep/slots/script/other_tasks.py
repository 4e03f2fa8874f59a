"""Tasks that are no function of the module: a closure, a method, an object that can be called."""

import json
import sys
from pathlib import Path

import hydra


class Study:
    def __init__(self, lines):
        self.lines = lines

    def task(self, cfg):
        return answer(cfg, "method", next(self.lines)) and 0.0

    def __call__(self, cfg):
        return answer(cfg, "callable", next(self.lines))


def answer(cfg, case, line):
    (Path(cfg.root) / "answers").mkdir(exist_ok=True)
    (Path(cfg.root) / "answers" / f"{case}.json").write_text(json.dumps(line == "a line"))
    return 0.0


def closure(lines):
    def task(cfg):
        return answer(cfg, "closure", next(lines))

    return task


if __name__ == "__main__":
    # A generator cannot be pickled, by value or not.
    kept = (line for line in ["a line"] * 9)
    kind = sys.argv.pop(1)
    tasks = {"closure": closure(kept), "method": Study(kept).task, "callable": Study(kept)}
    hydra.main(config_path=None)(tasks[kind])()
