import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from inksweep.errors import InputError
from inksweep.runs import find, metrics, reader, settings
from inksweep.runs.reader import Run

CONFIG = {
    "model": {"_target_": "inksweep.digits.models.MLP", "hidden": [256, 128]},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 1e-05},
    "objective": "val/accuracy",
    "seed": 1,
}
RESULT = {
    "schema_version": 1,
    "status": "completed",
    "reason": None,
    "objective": {"name": "val/accuracy", "value": 0.97},
    "metrics": {"val/accuracy": 0.97, "test/accuracy": 0.96},
    "seconds": {"train": 4.0, "total": 5.5},
    "parameters": 1000,
    "threads": 2,
    "error": None,
}
HYDRA = {
    "hydra": {"runtime": {"choices": {"model": "mlp", "optimizer": "sgd", "experiment": None, "hydra/launcher": "x"}}}
}


def make(folder: Path, result: object = RESULT, config: object = CONFIG, hydra: object = HYDRA) -> Path:
    """A run directory; of what is None there is no file, a string is written as it stands."""
    (folder / ".hydra").mkdir(parents=True)
    for name, content, dump in (
        ("result.json", result, json.dumps),
        (".hydra/config.yaml", config, yaml.safe_dump),
        (".hydra/hydra.yaml", hydra, yaml.safe_dump),
    ):
        if content is not None:
            (folder / name).write_text(content if isinstance(content, str) else dump(content))
    return folder


def test_a_run_is_read_as_it_would_be_typed(tmp_path: Path) -> None:
    run = reader.read(make(tmp_path / "run"))
    assert (run.status, run.reason, run.study) == ("completed", None, None)
    # Hydra's own groups and those without an option are no settings
    assert run.settings == {
        "model": "mlp", "model._target_": "inksweep.digits.models.MLP", "model.hidden": [256, 128],
        "optimizer": "sgd", "optimizer._target_": "torch.optim.SGD", "optimizer.lr": 1e-05,
        "objective": "val/accuracy", "seed": 1,
    }  # fmt: skip
    assert run.metrics == {
        "val/accuracy": 0.97, "test/accuracy": 0.96, "parameters": 1000, "seconds/train": 4.0, "seconds/total": 5.5,
    }  # fmt: skip
    assert (run.objective, run.value, run.maximize) == ("val/accuracy", 0.97, True)
    assert run.facts["threads"] == 2


def test_hydras_own_file_gives_the_choices_wherever_they_stand_in_it(tmp_path: Path) -> None:
    # as Hydra writes it: the block is cut out of the text
    written = yaml.safe_dump(HYDRA, default_flow_style=False)
    # another style of the same: it is parsed as a whole
    for number, text in enumerate((written, json.dumps(HYDRA))):
        assert reader.read(make(tmp_path / str(number), hydra=text)).settings["model"] == "mlp"


def test_paths_and_tuples_of_a_typed_app_are_read_as_text_and_lists_and_nothing_is_called(tmp_path: Path) -> None:
    config = f"""
root: !!python/object/apply:pathlib.PosixPath [/, data, digits]
whole: !!python/object/apply:pathlib._local.PosixPath [/data/digits]
share: !!python/object/apply:pathlib.PureWindowsPath ['C:', digits]
size: !!python/tuple [28, 28]
kind: !!python/object/apply:enum.Kind [2]
maker: !!python/name:mypackage.make ''
object: !!python/object:mypackage.Thing {{a: 1}}
touched: !!python/object/apply:os.mkdir ["{tmp_path}/touched"]
"""
    run = reader.read(make(tmp_path / "run", config=config, hydra=None))
    assert run.status == "completed"
    assert run.settings == {
        "root": "/data/digits", "whole": "/data/digits", "share": "C:digits", "size": [28, 28], "kind": [2],
        "maker": "mypackage.make", "object.a": 1, "touched": [f"{tmp_path}/touched"],
    }  # fmt: skip
    assert not (tmp_path / "touched").exists()


def test_what_is_not_a_number_is_equal_to_itself(tmp_path: Path) -> None:
    a, b = (reader.read(make(tmp_path / name, config="low: .nan\nlist: [.nan, 1.5]\nhigh: .inf")) for name in "ab")
    assert a.settings == b.settings
    assert a.settings == {"model": "mlp", "optimizer": "sgd", "low": "nan", "list": ["nan", 1.5], "high": float("inf")}


@pytest.mark.parametrize("one", ["{x: 1, y: 2}", "[1, 2]", "{}"])
@pytest.mark.parametrize("more", ["{{x: *{0}, y: *{0}}}", "[*{0}, *{0}]"])
def test_aliases_in_aliases_are_no_config(tmp_path: Path, one: str, more: str) -> None:
    names = [f"a{number}" for number in range(31)]
    lines = [f"{after}: &{after} {more.format(before)}" for before, after in pairwise(names)]
    run = reader.read(make(tmp_path / "run", config="\n".join([f"a0: &a0 {one}", *lines])))
    assert run.status == "broken"
    assert "config.yaml: too many keys" in run.reason


def test_a_config_in_itself_is_none(tmp_path: Path) -> None:
    for number, text in enumerate(("a: &a [*a]", "a: &a {b: *a}")):
        run = reader.read(make(tmp_path / str(number), config=text))
        assert (run.status, "too many keys" in run.reason) == ("broken", True)


@pytest.mark.parametrize(
    ("key", "silent"),
    [
        ("data.root", True), ("data.npm.package", True), ("data.checksums.a.b", True), ("tracker", True),
        ("tracker._target_", True), ("figures", True), ("trainer.resume", True),
        ("data.name", False), ("trainer.resume_at", False), ("figures_of", False), ("trainer", False),
    ],
)  # fmt: skip
def test_settings_that_change_nothing_learnt(key: str, silent: bool) -> None:
    assert settings.is_silent(key) is silent


def test_the_groups_that_say_what_a_target_is() -> None:
    assert settings.target_options("model._target_") == ["model"]
    assert settings.target_options("model.encoder._target_") == ["model.encoder", "model/encoder"]
    assert settings.target_options("model.hidden") == settings.target_options("_target_") == []


def test_text_for_a_terminal_has_no_controls() -> None:
    assert reader.visible("plain, grün ±1 ★") == "plain, grün ±1 ★"
    assert reader.visible("a\nb\x1b[31m\\n") == r"a\nb\x1b[31m\n"
    assert reader.visible("\udcff").isascii()


def test_several_objectives_are_metrics_and_the_first_is_the_objective(tmp_path: Path) -> None:
    several = [{"name": "val/loss", "value": 0.1}, {"name": "parameters", "value": 7}]
    run = reader.read(make(tmp_path / "run", RESULT | {"objectives": several}))
    assert (run.objective, run.value, run.maximize) == ("val/loss", 0.1, False)
    assert run.metrics["parameters"] == 7


def test_an_objective_without_a_name_is_called_objective_and_its_sweep_says_where_it_goes(tmp_path: Path) -> None:
    anonymous = RESULT | {"objective": {"name": None, "value": 3.5}}
    for direction, maximize in (("minimize", False), ("maximize", True), (["maximize", "minimize"], True)):
        sweep = tmp_path / str(direction)
        folder = make(sweep / "0", anonymous)
        (sweep / "summary.json").write_text(json.dumps({"direction": direction}))
        run = reader.read(folder)
        assert (run.objective, run.value, run.maximize, run.study) == ("objective", 3.5, maximize, sweep.name)


@pytest.mark.parametrize(
    "error, expected",
    [
        ({"type": "ValueError", "message": "no\nsuch", "traceback": "..."}, "ValueError: no"),
        (None, "ValueError"),
    ],
)
def test_a_failed_run_says_why_in_a_line(tmp_path: Path, error: object, expected: str) -> None:
    failed = RESULT | {"status": "failed", "reason": "ValueError", "error": error, "metrics": {}}
    run = reader.read(make(tmp_path / "run", failed))
    assert (run.status, run.reason) == ("failed", expected)


def test_numbers_that_are_none_are_no_metrics(tmp_path: Path) -> None:
    odd = RESULT | {"metrics": {"a": None, "b": "x", "c": float("nan"), "d": True, "e": 2}, "seconds": None}
    run = reader.read(make(tmp_path / "run", odd))
    assert run.metrics == {"e": 2, "parameters": 1000, "val/accuracy": 0.97}


# What is wrong with a folder is its status; the message names the file.
@pytest.mark.parametrize(
    "files, status, said",
    [
        ({"result": "{"}, "broken", "result.json: cannot be read"),
        ({"result": ""}, "broken", "result.json: cannot be read"),
        ({"result": [1]}, "broken", "result.json: cannot be read (it holds no keys)"),
        ({"config": "a: [1"}, "broken", "config.yaml: cannot be read"),
        ({"config": "just words"}, "broken", "config.yaml: is no config"),
        ({"hydra": "a: [1"}, "broken", "hydra.yaml: cannot be read"),
        ({"result": {"accuracy": 0.9}}, "foreign", "schema_version None"),
        ({"result": RESULT | {"schema_version": 99}}, "foreign", "schema_version 99"),
        ({"result": RESULT | {"status": "great"}}, "foreign", "'great'"),
        ({"result": None}, "foreign", "no result.json"),
    ],
)
def test_broken_and_foreign_folders_have_a_status(tmp_path: Path, files: dict, status: str, said: str) -> None:
    run = reader.read(make(tmp_path / "run", **files))
    assert run.status == status
    assert said in run.reason


def test_an_unreadable_file_is_broken(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    (folder / "result.json").unlink()
    (folder / "result.json").symlink_to(tmp_path)  # a folder where a file should be
    assert reader.read(folder).status in ("broken", "foreign")
    (folder / "result.json").unlink()
    (folder / "result.json").write_bytes(b"\xff\xfe\x00")
    assert reader.read(folder).status == "broken"


def test_without_a_result_the_lock_tells_a_running_run_from_a_killed_one(tmp_path: Path) -> None:
    folder = make(tmp_path / "run", result=None)
    (folder / ".lock").touch()
    (folder / "metrics.csv").write_text("epoch,val/accuracy\n1,0.8\n2,0.9\n3,0.")
    assert reader.read(folder).status == "unfinished"
    with FileLock(folder / ".lock"):
        running = reader.read(folder)
    assert (running.status, running.objective) == ("running", "val/accuracy")
    assert running.metrics["val/accuracy"] == 0.0  # the last row as it stands: 0.


def test_a_trial_of_another_app_is_as_alive_as_its_sweep(tmp_path: Path) -> None:
    folder = make(tmp_path / "night" / "3", result=None)
    assert reader.read(folder).status == "foreign"
    (tmp_path / "night" / "sweep.yaml").write_text("{}")
    assert (reader.read(folder).status, reader.read(folder).reason) == ("unfinished", None)  # a database: no lock
    with FileLock(tmp_path / "night" / ".lock"):
        assert reader.read(folder).status == "running"
    assert (reader.read(folder).status, reader.read(folder).reason) == ("unfinished", None)


def test_where_a_lock_says_nothing_this_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "run", result=None)
    (folder / ".lock").touch()
    monkeypatch.setattr(reader, "is_held", lambda lock: None)
    run = reader.read(folder)
    assert (run.status, run.reason) == ("unfinished", "whether it still runs cannot be told")


def test_a_row_that_was_cut_short_is_left_out_of_the_curve(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    (folder / "metrics.csv").write_text("epoch,val/loss,val/accuracy\n1,0.5,0.8\n2,0.4,0.9\n3,0.")
    assert metrics.curve(folder) == [
        {"epoch": 1, "val/loss": 0.5, "val/accuracy": 0.8},
        {"epoch": 2, "val/loss": 0.4, "val/accuracy": 0.9},
    ]


@pytest.mark.parametrize(
    ("said", "began"),
    [
        ("2026-01-02T03:04:05+00:00", 1767323045.0),
        ("2026-01-02T04:04:05+01:00", 1767323045.0),
        (None, None),
        ("yesterday", None),
        (5, None),
    ],
)
def test_a_run_began_when_it_says_or_when_its_config_was_written(
    tmp_path: Path, said: object, began: float | None
) -> None:
    folder = make(tmp_path / "run", RESULT | {"started": said})
    os.utime(folder / ".hydra/config.yaml", (1000, 1000))
    assert reader.read(folder).started == (1000 if began is None else began)


def test_a_run_on_all_data_is_judged_by_nothing_of_validation(tmp_path: Path) -> None:
    data = {"data": {"train_on_all": True}}
    by_result = reader.read(make(tmp_path / "a", RESULT | {"trained_on_validation": True}))
    by_config = reader.read(make(tmp_path / "b", None, CONFIG | data))
    for run in (by_result, by_config):
        assert run.trained_on_validation
        assert not run.is_judged_by("val/accuracy")
        assert not run.is_judged_by("val/loss")
        assert run.is_judged_by("test/accuracy")
    result = RESULT | {"trained_on_validation": True, "objective": {"name": "score", "value": 1}}
    assert not reader.read(make(tmp_path / "c", result)).is_judged_by("score")
    for number, said in enumerate((False, None, "yes")):
        run = reader.read(make(tmp_path / str(number), RESULT | {"trained_on_validation": said}))
        assert run.is_judged_by("val/accuracy")


def test_a_curve_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "run")
    assert metrics.curve(folder) == []
    (folder / "metrics.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(InputError, match=r"metrics\.csv: cannot be read"):
        metrics.curve(folder)


class TestFind:
    @pytest.fixture
    def tree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        for name in ("outputs/day/one", "multirun/night/2", "multirun/night/10", "multirun/day/0"):
            make(tmp_path / name)
        winner = tmp_path / "multirun/night/winner"
        winner.mkdir()
        (winner / "config.yaml").write_text(yaml.safe_dump(CONFIG))
        (winner / "result.json").write_text(json.dumps(RESULT))
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        return tmp_path

    def names(self, *paths: str) -> list[str]:
        return [str(folder.relative_to(Path.cwd())) for folder in find.find(paths)]

    def test_a_run_a_sweep_and_a_folder_above(self, tree: Path) -> None:
        assert self.names("outputs/day/one") == ["outputs/day/one"]
        # by number, and the copy in winner/ is no further run
        assert self.names("multirun/night") == ["multirun/night/2", "multirun/night/10"]
        assert self.names(".") == [
            "multirun/day/0", "multirun/night/2", "multirun/night/10", "outputs/day/one",
        ]  # fmt: skip

    def test_patterns_and_repetitions(self, tree: Path) -> None:
        assert self.names("multirun/*/0", "multirun/day") == ["multirun/day/0"]
        assert len(find.find(["multirun/day/0", f"../{tree.name}/multirun/day/0", "multirun/night/../day"])) == 1

    def test_a_link_to_a_run_is_no_further_run(self, tree: Path) -> None:
        for number, link in enumerate(("1", "latest")):  # before and behind it in the order of names
            (tree / "multirun/night" / link).symlink_to("2", target_is_directory=True)
            assert self.names("multirun/night") == ["multirun/night/2", "multirun/night/10"], number
        assert self.names("multirun/night/latest", "multirun/night/2") == ["multirun/night/latest"]

    def test_a_winner_beside_trials_of_its_sweep_is_left_out(self, tree: Path) -> None:
        (tree / "multirun/night/summary.json").write_text("{}")
        (tree / "multirun/night/best").symlink_to("winner", target_is_directory=True)
        assert self.names("multirun/night/*") == ["multirun/night/10", "multirun/night/2"]
        assert self.names("multirun/night/winner", "multirun/night/2") == ["multirun/night/2"]
        # Of another sweep it stays, and where no sweep is.
        assert len(self.names("multirun/night/winner", "multirun/day/0")) == 2
        (tree / "multirun/night/summary.json").unlink()
        assert len(self.names("multirun/night/winner", "multirun/night/2")) == 2

    def test_a_final_stage_is_found_when_it_is_named(self, tree: Path) -> None:
        for number in ("0", "1"):
            make(tree / f"multirun/night/finalists/{number}")
        night, finals = ["multirun/night/2", "multirun/night/10"], [f"multirun/night/finalists/{n}" for n in "01"]
        # Where no sweep is, it is a folder as any other.
        assert self.names("multirun/night") == [*night, *finals]
        for sweep in ("multirun/night", "multirun/night/finalists"):
            (tree / sweep / "summary.json").write_text('{"direction": "maximize"}')
        assert self.names("multirun/night") == night
        assert self.names("multirun") == ["multirun/day/0", *night]
        assert sorted(self.names("multirun/night/*")) == sorted(night)
        assert sorted(self.names(*map(str, (tree / "multirun/night").iterdir()))) == sorted(night)
        assert self.names("multirun/night/finalists") == self.names("multirun/*/finalists/*") == finals
        assert self.names("multirun/night", "multirun/night/finalists") == [*night, *finals]
        assert self.names("multirun/night/2", "multirun/night/finalists/1") == [night[0], finals[1]]
        assert find.finalists(tree / "multirun/night") == [tree / name for name in finals]
        assert find.finalists(tree / "multirun/day") == []
        of = {run.study for run in reader.load(find.find(["multirun/night", "multirun/night/finalists"]))}
        assert of == {"night", "night/finalists"}

    def test_a_winner_is_a_run_when_it_is_named(self, tree: Path) -> None:
        (folder,) = find.find(["multirun/night/winner"])
        run = reader.read(folder)
        assert (run.status, run.value) == ("completed", 0.97)
        assert run.settings["optimizer.lr"] == 1e-05

    def test_links_are_followed_but_not_round_and_round(self, tree: Path) -> None:
        (tree / "elsewhere").mkdir()
        make(tree / "elsewhere/far/0")
        (tree / "multirun/linked").symlink_to(tree / "elsewhere/far")
        (tree / "multirun/loop").symlink_to(tree)
        assert self.names("multirun").count("multirun/linked/0") == 1
        assert len(self.names("multirun")) == 4

    @pytest.mark.parametrize(
        "path, said", [("nowhere", "no such folder"), ("no*", "no such folder"), ("empty", "no run")]
    )
    def test_a_path_without_runs_is_named(self, tree: Path, path: str, said: str) -> None:
        with pytest.raises(InputError, match=f"{path[:2]}.*{said}"):
            find.find([path])

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may enter everything")
    def test_a_folder_that_may_not_be_entered_does_not_stop_the_rest(self, tree: Path) -> None:
        (tree / "multirun/day").chmod(0)
        assert self.names("multirun") == ["multirun/night/2", "multirun/night/10"]


def test_metrics_know_where_they_should_go() -> None:
    assert metrics.is_better_greater("test/accuracy")
    assert not any(map(metrics.is_better_greater, ("val/loss", "seconds/train", "parameters")))


def test_a_run_without_an_objective_has_no_value() -> None:
    assert Run(Path("x"), "foreign").value is None


def test_in_a_sweep_whose_summary_is_broken_the_name_of_the_objective_decides(tmp_path: Path) -> None:
    folder = make(tmp_path / "night/0")
    (tmp_path / "night/summary.json").write_text("{")
    run = reader.read(folder)
    assert (run.study, run.maximize) == ("night", True)


def test_a_link_to_a_neighbour_whose_name_begins_alike_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "multirun/0")
    (tmp_path / "multirun2").mkdir()
    (tmp_path / "multirun2/linked").symlink_to(tmp_path / "multirun")
    assert find.find([tmp_path / "multirun2"]) == [tmp_path / "multirun2/linked/0"]
