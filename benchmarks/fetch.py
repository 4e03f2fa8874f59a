"""Have MNIST fetched and prepared in a folder, so that nothing measured does it: python -m benchmarks.fetch FOLDER."""

import sys

from hydra import compose, initialize_config_dir

from benchmarks.commands import ROOT
from inksweep.digits.config import parse
from inksweep.digits.data import dataset


def main() -> None:
    parse.register()
    with initialize_config_dir(str(ROOT / "conf")):
        dataset.load(parse.parse(compose("config", [f"data.root={sys.argv[1]}"])).data)


if __name__ == "__main__":
    main()
