"""The console script `inksweep`: which commands there are and which words they take. What they do stands elsewhere.

A command is one function here: it adds its words to a parser and returns what is called with them, which imports what
it needs itself. `inksweep --help` therefore answers without torch, and no command pays for another.
"""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from inksweep.compare import FORMATS
from inksweep.errors import InputError, need_extra, one_line_errors
from inksweep.paths import typed

# Called with the words that were typed.
Run = Callable[[argparse.Namespace], None]
# Adds the words of a command to its parser, and returns what runs.
Command = Callable[[argparse.ArgumentParser], Run]
# By name, with what `--help` says of each.
COMMANDS: dict[str, tuple[str, Command]] = {}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command in `argv` (by default what was typed); user errors are one line and exit code 2."""
    with one_line_errors():
        arguments = _parse(_parser(), sys.argv[1:] if argv is None else argv)
        logging.basicConfig(level=logging.INFO, format="%(message)s")
        arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="inksweep", description="Look at data, runs and sweeps.")
    parser.add_argument("--version", action=_Version, help="show the version of inksweep and end")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, (about, add) in COMMANDS.items():
        command = commands.add_parser(name, help=about)
        command.set_defaults(run=add(command))
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: that takes longer than the rest of the start."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import inksweep

        print(f"inksweep {inksweep.__version__}")
        parser.exit()


def _parse(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """Parse; settings and pictures may also stand after an option, which argparse by itself does not take."""
    arguments, rest = parser.parse_known_args(argv)
    listed = getattr(arguments, "overrides", getattr(arguments, "pictures", None))
    if rest and (listed is None or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if listed is not None:
        listed += rest
    return arguments


def _command(about: str) -> Callable[[Command], Command]:
    """Make the function below a command of its name; `about` is what `inksweep --help` says of it."""

    def register(add: Command) -> Command:
        COMMANDS[add.__name__] = (about, add)
        return add

    return register


@_command("write conf/ and train.py into a folder, to train there")
def init(parser: argparse.ArgumentParser) -> Run:
    """`inksweep init FOLDER`: nothing that is there is touched."""
    parser.add_argument("folder", metavar="FOLDER", type=_path, help="made if it is not there; `.` for this one")

    def run(arguments: argparse.Namespace) -> None:
        from inksweep import init

        init.run(arguments.folder)

    return run


@_command("fetch and verify a data set, show its numbers and a picture")
def data(parser: argparse.ArgumentParser) -> Run:
    """`inksweep data NAME`."""
    parser.add_argument("name", metavar="NAME", help="a file of conf/data, such as mnist")
    _add_overrides(parser, "augment=affine")
    parser.add_argument("--augment", metavar="NAME", help="show this augmentation, a file of conf/augment, too")
    parser.add_argument("--out", metavar="PNG", type=_path, help="default outputs/NAME.png or NAME-AUGMENT.png")

    def run(arguments: argparse.Namespace) -> None:
        need_extra("inksweep data", "digits", ["torch", "torchvision", "matplotlib"])
        from inksweep.digits import shown

        shown.run(arguments.name, arguments.overrides, arguments.augment, arguments.out)

    return run


@_command("load a saved model and measure it again on its data set")
def evaluate(parser: argparse.ArgumentParser) -> Run:
    """`inksweep evaluate FOLDER`: exit code 1 if an accuracy differs from the recorded one."""
    _add_model(parser)

    def run(arguments: argparse.Namespace) -> None:
        need_extra("inksweep evaluate", "digits", ["torch"])
        from inksweep.digits import evaluate

        evaluate.run(arguments.folder, arguments.overrides)

    return run


@_command("the model card of a sweep's winner, or of one run")
def card(parser: argparse.ArgumentParser) -> Run:
    """`inksweep card FOLDER`: a winner's is written into its folder, a run's into the run's card/."""
    _add_model(parser)

    def run(arguments: argparse.Namespace) -> None:
        need_extra("inksweep card", "digits", ["torch", "torchvision", "matplotlib"])
        from inksweep.digits.card import command

        command.run(arguments.folder, arguments.overrides)

    return run


@_command("runs in a table: what differs, and what came of it")
def compare(parser: argparse.ArgumentParser) -> Run:
    """`inksweep compare PATH...`: a row a run."""
    parser.add_argument(
        "paths", metavar="PATH", type=_path, nargs="+", help="a run, a sweep, a folder above them, or a pattern"
    )
    parser.add_argument("--metric", metavar="NAME,...", action="append", help="in place of objective, test/accuracy")
    parser.add_argument("--sort", metavar="KEY,...", help="default: the objective; also KEY:asc, KEY:desc")
    parser.add_argument("--top", metavar="N", type=_count, help="only the first N rows")
    parser.add_argument("--where", metavar="CONDITION", help="such as 'model=cnn and val/accuracy>99%%'")
    parser.add_argument("--group-by", metavar="KEY,...", help="means over runs; config: all that differs but the seed")
    parser.add_argument("--columns", metavar="KEY,...", help="exactly these: settings, metrics, run, status, ...")
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0])

    def words(typed: str | None) -> list[str]:
        return [word for word in map(str.strip, (typed or "").split(",")) if word]

    def run(arguments: argparse.Namespace) -> None:
        from inksweep.compare import comparison, output
        from inksweep.compare.wanted import Wanted
        from inksweep.runs import find, index

        wanted = Wanted(
            metrics=words(",".join(arguments.metric or [])),
            columns=words(arguments.columns),
            sort=words(arguments.sort),
            group_by=words(arguments.group_by),
            where=arguments.where,
            top=arguments.top,
        )
        output.write(comparison.compare(index.load(find.find(arguments.paths)), wanted), arguments.format)

    return run


@_command("open optuna-dashboard on a sweep, also while it runs")
def dashboard(parser: argparse.ArgumentParser) -> Run:
    """`inksweep dashboard SWEEP`: on loopback, until Ctrl-C."""
    parser.add_argument("folder", metavar="SWEEP", type=_path, help="a sweep directory, such as multirun/night")
    parser.add_argument("--port", type=int, default=8080, help="on 127.0.0.1; default 8080, 0: any that is free")
    _add_storage(parser)

    def run(arguments: argparse.Namespace) -> None:
        from inksweep import dashboard

        dashboard.serve(arguments.folder, arguments.port, arguments.storage)

    return run


@_command("two runs: what differs, whether it matters, where they disagree")
def diff(parser: argparse.ArgumentParser) -> Run:
    """`inksweep diff A B`."""
    parser.add_argument("a", metavar="A", type=_path, help="a run directory, or the winner/ of a sweep")
    parser.add_argument("b", metavar="B", type=_path, help="another one")
    parser.add_argument("--split", choices=("test", "val"), default="test", help="where to look for disagreements")
    parser.add_argument("--images", metavar="N", type=_count, default=6, help="digits drawn in the terminal; default 6")
    parser.add_argument("--png", metavar="FILE", type=_path, help="draw curves and disagreements into a picture")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="json: all of it, unrounded")

    def run(arguments: argparse.Namespace) -> None:
        from inksweep.diff import command

        as_json = arguments.format == "json"
        command.run(arguments.a, arguments.b, arguments.split, arguments.images, arguments.png, as_json=as_json)

    return run


@_command("a saved model as a file for other programs, checked")
def export(parser: argparse.ArgumentParser) -> Run:
    """`inksweep export FOLDER`: exit code 1 if a file does not answer as torch does."""
    _add_model(parser)
    parser.add_argument("--format", choices=("onnx", "torch-export"), action="append", help="default onnx; repeatable")
    parser.add_argument("--out", metavar="FILE", type=_path, help="default: model.onnx or model.pt2 in the folder")

    def run(arguments: argparse.Namespace) -> None:
        need_extra("inksweep export", "export", ["torch"])
        from inksweep.digits.export import command

        command.run(arguments.folder, arguments.overrides, arguments.format or ["onnx"], arguments.out)

    return run


@_command("read handwriting in pictures with a saved model")
def predict(parser: argparse.ArgumentParser) -> Run:
    """`inksweep predict WINNER PICTURE...`: exit code 1 if a picture could not be read."""
    parser.add_argument(
        "winner", metavar="WINNER", type=_path, help="the winner/ of a sweep, a run, a model.pt or a model.onnx"
    )
    parser.add_argument(
        "pictures", metavar="PICTURE", nargs="+", help="a picture, a folder of them, a pattern, or - for standard input"
    )
    parser.add_argument("--json", action="store_true", help="one object a line, with boxes and runners-up")
    parser.add_argument("--explain", metavar="PNG", type=_path, help="draw every step; of several, PNG-NAME.png each")
    parser.add_argument("--top", metavar="N", default="3", help="classes named for a digit in --json; default 3")
    parser.add_argument("--min-confidence", metavar="P", help="a digit less sure than this, 0 to 1, is ?")

    def run(arguments: argparse.Namespace) -> None:
        from inksweep.predict import command
        from inksweep.predict.wanted import Wanted

        wanted = Wanted.of(arguments.top, arguments.min_confidence, arguments.explain, as_json=arguments.json)
        command.run(arguments.winner, arguments.pictures, wanted)

    return run


@_command("a sweep in one page with pictures; several beside each other")
def report(parser: argparse.ArgumentParser) -> Run:
    """`inksweep report SWEEP...`: one page that needs no network."""
    parser.add_argument("folders", metavar="SWEEP", type=_path, nargs="+", help="a sweep directory, as multirun/night")
    parser.add_argument("--out", metavar="FILE", type=_path, help="default: report.html in the sweep; of several, here")
    parser.add_argument("--png", action="store_true", help="also the main plots, as pictures in report/ in the sweep")
    parser.add_argument("--watch", action="store_true", help="write it anew while the sweep runs")
    parser.add_argument("--every", metavar="SECONDS", type=_seconds, default=10.0, help="with --watch; default 10")
    _add_storage(parser)

    def run(arguments: argparse.Namespace) -> None:
        from inksweep.report import command

        every_s = arguments.every if arguments.watch else None
        command.run(arguments.folders, arguments.out, arguments.storage, png=arguments.png, watch_s=every_s)

    return run


@_command("read pictures over HTTP, and a page to draw on")
def serve(parser: argparse.ArgumentParser) -> Run:
    """`inksweep serve WINNER...`: on loopback, until Ctrl-C."""
    parser.add_argument("winners", metavar="WINNER", type=_path, nargs="+", help="a winner/, a run, model.pt or .onnx")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen; default 127.0.0.1: this machine only")
    parser.add_argument("--port", type=int, default=8000, help="default 8000; 0: any that is free")
    parser.add_argument("--api-key-file", metavar="FILE", type=_path, help="keys, one a line; or INKSWEEP_API_KEY=KEY")
    parser.add_argument("--allow-host", metavar="NAME", action="append", default=[], help="another name of the server")
    parser.add_argument("--max-mib", metavar="N", type=_positive, default=32, help="of one body, in MiB; default 32")
    parser.add_argument("--max-megapixels", metavar="N", type=_positive, default=50, help="of one picture; default 50")
    parser.add_argument("--max-digits", metavar="N", type=_positive, default=4096, help="in one request; default 4096")
    parser.add_argument("--max-requests", metavar="N", type=_positive, default=256, help="at a time; default 256")
    parser.add_argument("--timeout", metavar="SECONDS", type=_seconds, default=30.0, help="of one request; default 30")
    parser.add_argument("--grace", metavar="SECONDS", type=_seconds, default=10.0, help="for the last ones; default 10")
    parser.add_argument("--verbose", action="store_true", help="a line for each request")

    def run(arguments: argparse.Namespace) -> None:
        need_extra("inksweep serve", "serve", ["fastapi", "uvicorn", "multipart", "prometheus_client"])
        from inksweep.serve import command

        command.run(arguments.winners, command.options(arguments))

    return run


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", type=_path, help="a run directory, or the winner/ of a sweep")
    _add_overrides(parser, "data.root=/elsewhere")


def _add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help=f"settings, such as {example}")


def _add_storage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--storage", metavar="URL", help="the database of the sweep, if it has a password")


def _path(text: str) -> Path:
    """Read a path; no shell makes a home folder of `~` within quotes, or in `--out=~/x`."""
    try:
        return typed(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    """Read a whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _positive(text: str) -> int:
    """Read a whole number from 1."""
    if not (number := _count(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return number


def _seconds(text: str) -> float:
    """Read a time in seconds, above 0."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
