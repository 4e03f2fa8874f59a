"""The console script `inksweep`: thin words over the rooms. A command is one function; what it needs it imports itself.

`inksweep --help` therefore answers without torch, and one command never pays for another.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inksweep.errors import InputError, one_line_errors
from inksweep.paths import RunDir, WinnerDir

if TYPE_CHECKING:
    from rich.table import Table

    from inksweep.config import Config
    from inksweep.data import Facts


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command in `argv` (by default what was typed); user errors are one line and exit code 2."""
    arguments = _parse(_parser(), sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with one_line_errors():
        arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inksweep", description="Look at data, runs and sweeps.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    data = commands.add_parser("data", help="fetch and verify a data set, show its numbers and a picture")
    data.add_argument("name", metavar="NAME", help="a file of conf/data, such as mnist")
    data.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as augment=affine")
    data.add_argument("--out", metavar="PNG", type=Path, help="where the picture goes; default outputs/NAME.png")
    data.set_defaults(run=show_data)

    evaluate = commands.add_parser("evaluate", help="load a saved model and measure it again on its data set")
    evaluate.add_argument("folder", metavar="FOLDER", type=Path, help="a run directory, or the winner/ of a sweep")
    evaluate.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as data.root=/elsewhere")
    evaluate.set_defaults(run=evaluate_again)
    return parser


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse; settings may also stand after an option, which argparse by itself does not take."""
    arguments, rest = parser.parse_known_args(argv)
    if rest and (not hasattr(arguments, "overrides") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        arguments.overrides += rest
    return arguments


def show_data(arguments: argparse.Namespace) -> None:
    """`inksweep data NAME`: fetch, verify, show shapes and ranges, draw digits before and after preprocessing."""
    conf = compose([f"data={arguments.name}", *arguments.overrides])

    from rich.console import Console

    from inksweep import data, figures
    from inksweep.augment import Identity
    from inksweep.parts import build

    splits = data.load(conf.data)
    measured = [data.facts(name, getattr(splits, name), conf.data) for name in ("train", "val", "test")]
    Console().print(_facts_table(conf, measured))

    classes = conf.data.classes
    shown = splits.train.subset(figures.one_of_each(splits.train.labels, len(classes), rounds=2))
    augment = build("augment", conf.augment)
    panels = figures.digit_panels(
        shown.images, conf.data.mean, conf.data.std, None if isinstance(augment, Identity) else augment
    )
    names = [classes[label] for label in shown.labels.tolist()]
    out = arguments.out or Path("outputs") / f"{conf.data.name}.png"
    figures.save(figures.digits_grid(f"{conf.data.name}: training digits", panels, names, len(classes)), out)
    print(f"picture: {out}")


def evaluate_again(arguments: argparse.Namespace) -> None:
    """`inksweep evaluate FOLDER`: load model.pt, measure both splits, say whether that is what was recorded.

    Exit code 1 if an accuracy differs from the recorded one.
    """
    from functools import partial

    from omegaconf import DictConfig, OmegaConf

    from inksweep import checkpoint, config, data, evaluation

    folder: Path = arguments.folder
    run, winner = RunDir(folder), WinnerDir(folder)
    if not run.config.is_file() and not winner.config.is_file():
        raise InputError(f"{folder}: no run directory or winner (it has no .hydra/config.yaml or config.yaml)")
    settings = config.stored(run) if run.config.is_file() else config.load_yaml(winner.config)
    merged = OmegaConf.merge(settings, OmegaConf.from_dotlist(arguments.overrides))
    assert isinstance(merged, DictConfig)
    conf = config.parse(merged)
    model, about = checkpoint.load_model(run.model)
    preprocess = about["preprocess"]
    to_input = partial(data.to_input, mean=preprocess["mean"], std=preprocess["std"])
    splits, differs = data.load(conf.data), False
    for name, digits in (("val", splits.val), ("test", splits.test)):
        logits = evaluation.infer(model, digits.images, to_input, conf.data.eval_batch_size)
        measured, recorded = evaluation.metrics(logits, digits.labels)["accuracy"], about["metrics"][f"{name}/accuracy"]
        differs = differs or measured != recorded
        print(f"{name}/accuracy {measured:.4f} on {len(digits):,} images, recorded {recorded:.4f}")
    if differs:
        print("not the recorded accuracy: another data set, another machine, or another torch", file=sys.stderr)
        sys.exit(1)


def compose(overrides: list[str]) -> "Config":
    """Compose conf/ with `overrides` as train.py does, and check every value.

    Raises:
        InputError: there is no conf/ here, or a value is not usable.
    """
    import hydra

    from inksweep import config

    config.register()
    with hydra.initialize_config_dir(str(find_conf())):
        return config.parse(hydra.compose("config", overrides))


def find_conf() -> Path:
    """Return the config folder: `conf` where the command is typed, else that of the repository this file lies in."""
    candidates = [Path.cwd() / "conf", Path(__file__).resolve().parents[2] / "conf"]
    for folder in candidates:
        if (folder / "config.yaml").is_file():
            return folder
    raise InputError(f"no conf/config.yaml in {Path.cwd()}: run inksweep where the conf folder of inksweep lies")


def _facts_table(conf: "Config", measured: "list[Facts]") -> "Table":
    from rich.table import Table

    table = Table(title=f"{conf.data.name}, verified", title_justify="left")
    for heading in ("", *(part.name for part in measured)):
        table.add_column(heading, justify="right" if heading else "left")

    def row(name: str, cells: list[str], *, last: bool = False) -> None:
        table.add_row(name, *cells, end_section=last)

    row("shape", [" x ".join(f"{length:,}" for length in part.shape) for part in measured])
    row("type", [part.dtype for part in measured])
    row("stored values", ["{} to {}".format(*part.stored_range) for part in measured])
    row("mean (of 0 to 1)", [f"{part.mean:.4f}" for part in measured])
    row("std (of 0 to 1)", [f"{part.std:.4f}" for part in measured], last=True)
    row("normalised values", ["{:.3f} to {:.3f}".format(*part.input_range) for part in measured])
    # + 0.0: no minus before a zero
    row("normalised mean", [f"{round(part.input_mean, 4) + 0.0:.4f}" for part in measured])
    row("normalised std", [f"{part.input_std:.4f}" for part in measured], last=True)
    for label, name in enumerate(conf.data.classes):
        row(f"class {name}", [f"{part.class_counts[label]:,}" for part in measured])
    return table
