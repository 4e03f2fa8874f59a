"""The console script `inksweep`: thin words over the rooms. A command is one function; what it needs it imports itself.

`inksweep --help` therefore answers without torch, and one command never pays for another.
"""

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inksweep.compare import FORMATS
from inksweep.errors import InputError, one_line_errors
from inksweep.paths import RunDir, shown


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command in `argv` (by default what was typed); user errors are one line and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a folder may have any name, a terminal few letters
    arguments = _parse(_parser(), sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with one_line_errors():
            arguments.run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; Python flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inksweep", description="Look at data, runs and sweeps.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    data = commands.add_parser("data", help="fetch and verify a data set, show its numbers and a picture")
    data.add_argument("name", metavar="NAME", help="a file of conf/data, such as mnist")
    data.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as augment=affine")
    data.add_argument("--augment", metavar="NAME", help="show this augmentation, a file of conf/augment, too")
    data.add_argument("--out", metavar="PNG", type=Path, help="default outputs/NAME.png or NAME-AUGMENT.png")
    data.set_defaults(run=show_data)

    evaluate = commands.add_parser("evaluate", help="load a saved model and measure it again on its data set")
    evaluate.add_argument("folder", metavar="FOLDER", type=Path, help="a run directory, or the winner/ of a sweep")
    evaluate.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as data.root=/elsewhere")
    evaluate.set_defaults(run=evaluate_again)

    card = commands.add_parser("card", help="the model card of a sweep's winner, or of one run")
    card.add_argument("folder", metavar="FOLDER", type=Path, help="the winner/ of a sweep, or a run directory")
    card.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as data.root=/elsewhere")
    card.set_defaults(run=write_card)

    compare = commands.add_parser("compare", help="runs in a table: what differs, and what came of it")
    compare.add_argument("paths", metavar="PATH", nargs="+", help="a run, a sweep, a folder above them, or a pattern")
    compare.add_argument("--metric", metavar="NAME,...", action="append", help="in place of objective, test/accuracy")
    compare.add_argument("--sort", metavar="KEY,...", help="default: the objective; also KEY:asc, KEY:desc")
    compare.add_argument("--top", metavar="N", type=_count, help="only the first N rows")
    compare.add_argument("--where", metavar="CONDITION", help="such as 'model=cnn and val/accuracy>99%%'")
    compare.add_argument("--group-by", metavar="KEY,...", help="means over runs; config: all that differs but the seed")
    compare.add_argument("--columns", metavar="KEY,...", help="exactly these: settings, metrics, run, status, ...")
    compare.add_argument("--format", choices=FORMATS, default=FORMATS[0])
    compare.set_defaults(run=show_comparison)

    dashboard = commands.add_parser("dashboard", help="open optuna-dashboard on a sweep, also while it runs")
    dashboard.add_argument("folder", metavar="SWEEP", type=Path, help="a sweep directory, such as multirun/night")
    dashboard.add_argument("--port", type=int, default=8080, help="on 127.0.0.1; default 8080, 0: any that is free")
    dashboard.add_argument("--storage", metavar="URL", help="the database of the sweep, if it has a password")
    dashboard.set_defaults(run=show_dashboard)

    diff = commands.add_parser("diff", help="two runs: what differs, whether it matters, where they disagree")
    diff.add_argument("a", metavar="A", type=Path, help="a run directory, or the winner/ of a sweep")
    diff.add_argument("b", metavar="B", type=Path, help="another one")
    diff.add_argument("--split", choices=("test", "val"), default="test", help="where to look for disagreements")
    diff.add_argument("--images", metavar="N", type=_count, default=6, help="digits drawn in the terminal; default 6")
    diff.add_argument("--png", metavar="FILE", type=Path, help="draw curves and disagreements into a picture")
    diff.add_argument("--format", choices=("table", "json"), default="table", help="json: all of it, unrounded")
    diff.set_defaults(run=show_diff)

    export = commands.add_parser("export", help="a saved model as a file for other programs, checked")
    export.add_argument("folder", metavar="FOLDER", type=Path, help="a run directory, or the winner/ of a sweep")
    export.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="settings, such as data.root=/elsewhere")
    export.add_argument("--format", choices=("onnx", "torch-export"), action="append", help="default onnx; repeatable")
    export.add_argument("--out", metavar="FILE", type=Path, help="default: model.onnx or model.pt2 in the folder")
    export.set_defaults(run=export_model)

    report = commands.add_parser("report", help="a sweep in one page with pictures; several beside each other")
    report.add_argument("folders", metavar="SWEEP", type=Path, nargs="+", help="a sweep directory, as multirun/night")
    report.add_argument("--out", metavar="FILE", type=Path, help="default: report.html in the sweep; of several, here")
    report.add_argument("--png", action="store_true", help="also the main plots, as pictures in report/ in the sweep")
    report.add_argument("--watch", action="store_true", help="write it anew while the sweep runs")
    report.add_argument("--every", metavar="SECONDS", type=_seconds, default=10.0, help="with --watch; default 10")
    report.add_argument("--storage", metavar="URL", help="the database of the sweep, if it has a password")
    report.set_defaults(run=write_report)
    return parser


def _seconds(text: str) -> float:
    """Read a time in seconds, above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


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
    from inksweep.digits.config.parse import compose

    chosen = [f"augment={arguments.augment}"] if arguments.augment else []
    conf = compose([f"data={arguments.name}", *chosen, *arguments.overrides])

    from rich.console import Console

    from inksweep import figures
    from inksweep.digits.augment import Identity
    from inksweep.digits.data import dataset
    from inksweep.digits.data.shown import facts, one_of_each, panels, table
    from inksweep.digits.training.build import build

    splits = dataset.load(conf.data)
    measured = [facts(name, getattr(splits, name), conf.data) for name in ("train", "val", "test")]
    Console().print(table(conf, measured))

    classes = conf.data.classes
    digits = splits.train.subset(one_of_each(splits.train.labels, len(classes), rounds=2))
    names = [classes[label] for label in digits.labels.tolist()]
    augment = build("augment", conf.augment)
    changed = None if isinstance(augment, Identity) else augment
    drawn = panels(digits.images, names, conf.data.mean, conf.data.std, changed)
    name = "-".join([conf.data.name, *([arguments.augment] if arguments.augment else [])])
    out = arguments.out or Path("outputs") / f"{name}.png"
    figures.save(figures.digits(f"{conf.data.name}: training digits", drawn, len(classes)), out)
    print(f"picture: {out}")


def evaluate_again(arguments: argparse.Namespace) -> None:
    """`inksweep evaluate FOLDER`: load model.pt, measure both splits, say whether that is what was recorded.

    Exit code 1 if an accuracy differs from the recorded one.
    """
    from functools import partial

    from inksweep.digits import checkpoint
    from inksweep.digits.config import saved
    from inksweep.digits.data import dataset
    from inksweep.digits.training import evaluation

    conf = saved.settings(arguments.folder, arguments.overrides)
    model, about = checkpoint.load_model(RunDir(arguments.folder).model)
    preprocess = about["preprocess"]
    to_input = partial(dataset.to_input, mean=preprocess["mean"], std=preprocess["std"])
    splits, differs = dataset.load(conf.data), False
    for name, digits in (("val", splits.val), ("test", splits.test)):
        logits = evaluation.infer(model, digits.images, to_input, conf.data.eval_batch_size)
        measured, recorded = evaluation.metrics(logits, digits.labels)["accuracy"], about["metrics"][f"{name}/accuracy"]
        differs = differs or measured != recorded
        print(f"{name}/accuracy {measured:.4f} on {len(digits):,} images, recorded {recorded:.4f}")
    if differs:
        print("not the recorded accuracy: another data set, another machine, or another torch", file=sys.stderr)
        sys.exit(1)


def write_card(arguments: argparse.Namespace) -> None:
    """`inksweep card FOLDER`: calibrate, measure, draw and describe a winner in place, or a run in its card/."""
    from inksweep.digits.card import command

    command.run(arguments.folder, arguments.overrides)


def show_comparison(arguments: argparse.Namespace) -> None:
    """`inksweep compare PATH...`: a row a run, without torch."""
    from inksweep.compare import comparison, tables
    from inksweep.runs import find, index

    def words(typed: str | None) -> list[str]:
        return [word for word in map(str.strip, (typed or "").split(",")) if word]

    wanted = comparison.Wanted(
        metrics=words(",".join(arguments.metric or [])),
        columns=words(arguments.columns),
        sort=words(arguments.sort),
        group_by=words(arguments.group_by),
        where=arguments.where,
        top=arguments.top,
    )
    tables.write(comparison.compare(index.load(find.find(arguments.paths)), wanted), arguments.format)


def show_diff(arguments: argparse.Namespace) -> None:
    """`inksweep diff A B`: two runs side by side, without torch."""
    from inksweep.diff import difference

    found = difference.compare(arguments.a, arguments.b, arguments.split)
    if arguments.format == "json":
        import json

        print(json.dumps(found.as_dict(), indent=2, allow_nan=False))
    else:
        from rich.console import Console

        from inksweep.diff import text

        text.show(found, Console(), arguments.images)
    if arguments.png:
        from inksweep.diff import figure

        why = figure.save(found, arguments.png)
        print(f"picture: {arguments.png}{f' (without digits: {why})' if why else ''}", file=sys.stderr)


def _count(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def show_dashboard(arguments: argparse.Namespace) -> None:
    """`inksweep dashboard SWEEP`: optuna-dashboard on its study, on loopback, until Ctrl-C."""
    from inksweep import dashboard

    dashboard.serve(arguments.folder, arguments.port, arguments.storage)


def export_model(arguments: argparse.Namespace) -> None:
    """`inksweep export FOLDER`: model.onnx or model.pt2, checked on the test split.

    Exit code 1 if a file does not answer as torch does: then it is not written.
    """
    from inksweep.digits import export

    formats = list(dict.fromkeys(arguments.format or ["onnx"]))
    if arguments.out and len(formats) > 1:
        raise InputError(f"--out {arguments.out}: is one file; give one --format with it")
    for name in formats:
        try:
            done = export.export(arguments.folder, [name], arguments.overrides, arguments.out)[name]
        except export.Mismatch as error:
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        checked, timed = done["checked"], done["latency_ms"]["batch_1"]
        engine, exported_ms, torch_ms = next((key, value, timed["torch"]) for key, value in timed.items())
        version = f", opset {done['opset']}" if done["opset"] else ""
        print(f"{shown(arguments.folder / done['file'])}: {done['bytes'] / 1e6:.2f} MB{version}")
        print(
            f"  {checked['pictures']:,} test pictures: {engine} and torch give the same class on all, "
            f"probabilities within {checked['largest_difference']:.1g}"
        )
        print(
            f"  one picture on one thread: {engine} {exported_ms:.3f} ms, torch {torch_ms:.3f} ms "
            f"({torch_ms / exported_ms:.1f} times as fast)"
        )


def write_report(arguments: argparse.Namespace) -> None:
    """`inksweep report SWEEP...`: one page that needs no network."""
    from inksweep.report import command

    every_s = arguments.every if arguments.watch else None
    command.run(arguments.folders, arguments.out, arguments.storage, png=arguments.png, watch_s=every_s)
