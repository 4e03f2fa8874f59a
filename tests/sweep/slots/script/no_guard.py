"""A script without `if __name__ == "__main__"`."""

from pathlib import Path

import hydra


@hydra.main(config_path=None)
def main(cfg):
    (Path(cfg.root) / "answers").mkdir(exist_ok=True)
    (Path(cfg.root) / "answers" / "no_guard.json").write_text("true")
    return 0.0


main()
