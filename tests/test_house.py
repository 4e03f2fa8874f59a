"""The house (README, "The tree"): imports go down only, and a room does not know what is none of its business."""

import ast
from collections.abc import Iterable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src" / "inksweep"

# Below src/inksweep, from the ground up. A room may import those of the floors below its own, and itself.
FLOORS = [
    {"ending", "extras", "silence", "streams"},
    {"cores", "errors", "significance", "trial"},
    {"files", "paths"},
    {"command", "composed", "figures", "runs"},
    {"compare", "diff", "digits", "reading", "sweep"},
    {"opening"},
    {"dashboard", "init", "predict", "report", "serve"},
    {"cli"},
    {"__init__", "__main__"},
]

# Inside sweep/, digits/ and report/: what each room may import of its neighbours.
SWEEP = {
    # What a sweep is of.
    "space": set(),
    "study": {"space"},
    "pruners": set(),
    "search_space": set(),
    "samplers": {"space"},
    "tpe": set(),
    "settings": {"pruners", "samplers", "search_space"},
    "stopping": {"settings", "study"},
    "faults": {"study"},
    # The trial's process: it knows the study, and nothing of who started it.
    "job": {"faults", "pruners", "settings", "study"},
    # The sweep's process: slots hand out jobs; the engine asks and tells, and knows slots by their protocol only.
    "slots": {"job", "space", "study"},
    "outcomes": {"faults", "job", "stopping", "study"},
    # What one start is given, and a study that it has opened: instead of ten arguments each.
    "start": {"settings"},
    "context": {"stopping", "study"},
    "engine": {"context", "faults", "job", "outcomes", "slots/slots", "stopping", "study"},
    "progress": {"context", "engine", "stopping", "study"},
    "supervise": {"engine", "job", "progress", "stopping"},
    "winner": {"context", "engine", "progress", "settings", "slots", "space", "start", "stopping", "study",
               "supervise"},
    "afterwards": {"study", "winner"},
    "next_step": {"space", "start", "stopping"},
    "dry_run": {"job", "progress", "samplers", "slots", "space", "start", "study", "winner"},
    "session": {"afterwards", "context", "dry_run", "engine", "faults", "next_step", "progress", "pruners", "samplers",
                "slots", "space", "start", "stopping", "study", "supervise", "winner"},
    "single_run": set(),
    "plugin": {"job", "session", "settings", "single_run", "slots", "space", "start"},
}  # fmt: skip
DIGITS = {
    "augment": set(),
    "augment_ink": {"augment"},
    "console": {"training/loop"},
    "models": set(),
    "optim": set(),
    "config": set(),
    "checkpoint": {"models"},
    "data": {"config"},
    "classifier": {"checkpoint", "models"},
    # The loop knows no configs: build.py makes its parts.
    "training": {"augment", "config", "data", "optim"},
    "tracker": {"config"},
    "export": {"classifier", "config", "data", "training/device"},
    "run_figures": {"checkpoint", "config", "data"},
    "shown": {"augment", "config", "data", "training"},
    "evaluate": {"checkpoint", "config", "data", "training"},
    "card": {"checkpoint", "classifier", "config", "data", "export", "models", "training"},
    "run": {"checkpoint", "config", "console", "data", "models", "run_figures", "tracker", "training"},
}

REPORT = {
    # Plain data, drawn elsewhere.
    "facts": set(),
    # The sections of the page: plots, tables, texts.
    "plots": {"facts"},
    "page": {"facts", "plots"},
    # Paints a figure without knowing which plot it is.
    "paint": {"plots/looks"},
    "png": {"facts", "paint", "plots"},
    "command": {"facts", "page", "png"},
}
HOUSES = {"sweep": SWEEP, "digits": DIGITS, "report": REPORT}

# Libraries that a room must not know, lazily or not. The longest name that fits a file counts.
FORBIDDEN = {
    "sweep": {"torch", "torchvision", "numpy", "matplotlib"},
    "sweep/engine": {"torch", "torchvision", "numpy", "matplotlib", "hydra", "omegaconf", "rich"},
    "sweep/context": {"torch", "torchvision", "numpy", "matplotlib", "hydra", "omegaconf", "rich"},
    "sweep/start": {"torch", "torchvision", "numpy", "matplotlib", "optuna"},
    "sweep/outcomes": {"torch", "torchvision", "numpy", "matplotlib", "hydra", "omegaconf", "rich"},
    "sweep/slots/slots": {"torch", "torchvision", "numpy", "matplotlib", "hydra", "omegaconf", "optuna"},
    "sweep/progress": {"torch", "torchvision", "numpy", "matplotlib", "hydra"},
    "digits": {"optuna"},
    "digits/models": {"hydra", "optuna", "omegaconf"},
    "digits/training/loop": {"hydra", "optuna", "omegaconf"},
    "digits/training/learner": {"hydra", "optuna", "omegaconf"},
    "digits/classifier": {"hydra", "optuna", "omegaconf", "numpy"},
    "digits/export": {"hydra", "optuna", "numpy"},
    "digits/card": {"hydra", "optuna"},
    "digits/config": {"torch", "torchvision", "numpy", "optuna"},
    "files": {"torch", "numpy", "hydra", "omegaconf"},
    "paths": {"torch", "numpy", "hydra", "omegaconf"},
    "runs": {"torch", "hydra", "omegaconf", "optuna"},
    "compare": {"torch", "numpy", "hydra", "omegaconf", "optuna"},
    "diff": {"torch", "hydra", "omegaconf", "optuna"},
    "significance": {"torch", "hydra", "omegaconf", "optuna"},
    "figures": {"torch", "hydra", "omegaconf", "optuna"},
    "opening": {"hydra", "omegaconf", "optuna"},
    "opening/winner": {"torch", "hydra", "omegaconf", "optuna"},
    "opening/with_onnx": {"torch", "hydra", "omegaconf", "optuna"},
    "predict": {"torch", "torchvision", "hydra", "omegaconf", "optuna"},
    "dashboard": {"torch", "numpy"},
    "reading": {"torch", "torchvision", "hydra", "omegaconf", "optuna", "matplotlib", "onnxruntime"},
    "report": {"torch", "torchvision"},
    "serve": {"torch", "torchvision", "hydra", "omegaconf", "optuna", "matplotlib"},
    "report/facts": {"torch", "torchvision", "plotly", "jinja2", "matplotlib"},
    "report/plots": {"torch", "torchvision", "jinja2", "matplotlib"},
    "report/page": {"torch", "torchvision", "matplotlib"},
    "report/paint": {"torch", "torchvision", "plotly", "jinja2", "optuna"},
}

FILES = {str(path.relative_to(SOURCE).with_suffix("")): path for path in sorted(SOURCE.rglob("*.py"))}


def imports(source: str) -> set[str]:
    """Dotted names of all modules that a file imports, inside functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            names |= {_module(f"{node.module}.{alias.name}", node.module) for alias in node.names}
    return names


def _module(name: str, package: str) -> str:
    return name if name.replace(".", "/").removeprefix("inksweep/") in FILES else package


def _rooms(names: Iterable[str], below: str) -> set[str]:
    """Of dotted names, those in the room `below`, as paths in it."""
    start = ".".join(["inksweep", *filter(None, [below])]) + "."
    return {name.removeprefix(start).replace(".", "/") for name in names if name.startswith(start)}


def arrows_up(file: str, source: str) -> list[str]:
    """What a file imports that it must not: an arrow to its own floor or above, or to a room it must not know."""
    top, _, rest = file.partition("/")
    floor = next(number for number, rooms in enumerate(FLOORS) if top in rooms)
    known = imports(source)
    allowed = set().union(*FLOORS[:floor], {top})
    wrong = [f"{top} -> {name}" for name in _rooms(known, "") if name.partition("/")[0] not in allowed]
    for house, rooms in HOUSES.items():
        own = rest.partition("/")[0]
        if top == house and own != "__init__":
            for name in _rooms(known, house):
                room = name.partition("/")[0]
                if room != own and not {room, name} & rooms[own]:
                    wrong.append(f"{house}/{own} -> {house}/{name}")
    libraries = {name.partition(".")[0] for name in known}
    fitting = [name for name in FORBIDDEN if file == name or file.startswith(f"{name}/")]
    wrong += [f"{file} -> {library}" for library in libraries & FORBIDDEN.get(max(fitting, key=len, default=""), set())]
    return sorted(wrong)


@pytest.mark.parametrize("file", FILES)
def test_imports_go_down_only(file: str) -> None:
    assert arrows_up(file, FILES[file].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("file", "line", "arrow"),
    [
        # The other half of the house, a floor above, the top: whole rooms.
        ("sweep/engine", "import inksweep.digits.run", "sweep -> digits/run"),
        ("runs/reader", "from inksweep.compare import rows", "runs -> compare/rows"),
        ("files", "from inksweep.runs.reader import Run", "files -> runs/reader"),
        ("digits/run", "from inksweep.cli import main", "digits -> cli"),
        # Inside sweep: what engine, job, slots, study, space, winner and progress must not know.
        ("sweep/engine", "from inksweep.sweep.slots.pool import Pool", "sweep/engine -> sweep/slots/pool"),
        ("sweep/engine", "from inksweep.sweep.progress import screen", "sweep/engine -> sweep/progress/screen"),
        ("sweep/job/task", "from inksweep.sweep.slots.slots import Slots", "sweep/job -> sweep/slots/slots"),
        ("sweep/slots/pool", "from inksweep.sweep.engine import Engine", "sweep/slots -> sweep/engine"),
        ("sweep/study/ledger", "from inksweep.sweep import stopping", "sweep/study -> sweep/stopping"),
        ("sweep/space/space", "import inksweep.sweep.study.notes", "sweep/space -> sweep/study/notes"),
        ("sweep/winner/choice", "from inksweep.sweep.session import run", "sweep/winner -> sweep/session"),
        ("sweep/progress/view", "import inksweep.sweep.winner.choice", "sweep/progress -> sweep/winner/choice"),
        # Inside digits, and within a function.
        ("digits/data/dataset", "def f():\n  from inksweep.digits.run import run", "digits/data -> digits/run"),
        # Inside report.
        ("report/facts/trials", "from inksweep.report.plots import looks", "report/facts -> report/plots/looks"),
        ("report/facts/winner", "from inksweep.report.page import page", "report/facts -> report/page/page"),
        ("report/plots/parts", "from inksweep.report.page import page", "report/plots -> report/page/page"),
        ("report/paint", "from inksweep.report.plots.history import history", "report/paint -> report/plots/history"),
        ("report/page/page", "from inksweep.report import png", "report/page -> report/png"),
        # Libraries.
        ("report/plots/slots", "import matplotlib.pyplot", "report/plots/slots -> matplotlib"),
        ("sweep/engine", "import hydra.utils", "sweep/engine -> hydra"),
        ("sweep/winner/choice", "import torch", "sweep/winner/choice -> torch"),
        ("digits/training/loop", "from optuna import Trial", "digits/training/loop -> optuna"),
    ],
)  # fmt: skip
def test_an_arrow_the_other_way_is_seen(file: str, line: str, arrow: str) -> None:
    assert file in FILES
    assert arrow in arrows_up(file, f"{FILES[file].read_text(encoding='utf-8')}\n{line}\n")


def test_the_lists_name_rooms_that_exist() -> None:
    tops = {file.partition("/")[0] for file in FILES}
    assert set().union(*FLOORS) == tops
    for house, rooms in HOUSES.items():
        own = {file.split("/")[1] for file in FILES if file.startswith(f"{house}/")} - {"__init__"}
        assert set(rooms) == own
    assert all(any(file == name or file.startswith(f"{name}/") for file in FILES) for name in FORBIDDEN)


def test_the_imports_make_no_circle() -> None:
    below = {
        file: {name for name in _rooms(imports(path.read_text(encoding="utf-8")), "") if name in FILES and name != file}
        for file, path in FILES.items()
    }
    done: set[str] = set()

    def visit(file: str, above: tuple[str, ...]) -> None:
        assert file not in above, " -> ".join([*above, file])
        if file not in done:
            for name in below[file]:
                visit(name, (*above, file))
            done.add(file)

    for file in FILES:
        visit(file, ())
