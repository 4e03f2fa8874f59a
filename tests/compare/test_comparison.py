"""comparison.py: which runs are in the table, and what is said of the others."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inksweep.files import held
from tests.compare.folders import ON_ALL, make, names, refused, result, rows, say


def test_what_a_shell_makes_of_a_pattern_may_hold_files_and_empty_folders(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "figures").mkdir()
    everything = [str(path.relative_to(Path.cwd())) for path in sweep.iterdir()]
    assert sorted(names(*everything, capsys=capsys)) == list("0123456789")
    assert "figures: there is no run in it" in refused("multirun/night/figures", capsys=capsys)


class TestWhere:
    def test_it_chooses_runs(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        wanted = {str(n) for n in range(1, 10, 2) if result(sweep / str(n))["metrics"].get("val/accuracy", 0) > 0.93}
        assert set(names("multirun", "--where", "model=cnn and val/accuracy>93%", capsys=capsys)) == wanted != set()
        assert names("multirun", "--where", "status=failed or reason=pruned", capsys=capsys) == ["6", "7"]
        assert names("multirun", "--where", "study=night and run>8", capsys=capsys) == ["9"]
        assert names("multirun", "--where", "device=cpu and git.sha=abc and run<1", capsys=capsys) == ["0"]
        assert "5 of 10 runs: 4 completed" in say("multirun", "--where", "model=cnn", capsys=capsys)

    def test_none_is_said(self, sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
        lines = "none of the 10 runs fits --where 'seed>99'\nseed is from 0 to 4\n"
        assert say("multirun", "--where", "seed>99", capsys=capsys) == lines
        assert "model is mlp, cnn\n" in say("multirun", "--where", "model=cn", capsys=capsys)
        assert say("multirun", "--where", "seed>99", "--format", "json", capsys=capsys) == "[]\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--metric", "val/los"], "--metric val/los: none of these runs has such a metric; did you mean 'val/loss'?"),
        (["--columns", "run,sead"], "--columns sead: none of these runs has such a setting"),
        (["--sort", "optimizer.lrr"], "did you mean 'optimizer.lr'?"),
        (["--sort", "seed:down"], "--sort seed:down: must be KEY, KEY:asc or KEY:desc"),
        (["--group-by", "modle"], "--group-by modle: none of these runs has such a"),
        (["--group-by", "model", "--columns", "seed"], "seed: is no column with --group-by"),
        (["--group-by", "model", "--sort", "seed"], "seed: is no column with --group-by"),
        (["--where", "modle=cnn"], "--where modle: none of these runs has such a setting"),
        (["--where", "model=cnn adn"], "cannot be read from 'adn' on"),
        (["--top", "0"], "--top=0: must be at least 1"),
        (["nowhere"], "nowhere: there is no such folder"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(sweep: Path, words: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert line in refused("multirun", *words, capsys=capsys)


def test_metrics_and_columns_are_those_asked_for(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--metric", "val/loss", "--metric", "parameters,seconds/train"]
    header = list(rows("multirun", *words, capsys=capsys)[0])
    assert header[-5:] == ["val/loss", "parameters", "seconds/train", "seconds", "best"]
    assert "val/accuracy" not in header
    assert "sorted by val/accuracy" in say("multirun", *words, capsys=capsys)
    (row, *_) = rows("multirun", "--columns", "seed,run,data.root,git.sha,best", capsys=capsys)
    assert list(row) == ["seed", "run", "data.root", "git.sha", "best"]
    assert (row["run"], row["git.sha"], row["best"]) == ("multirun/night/9", "abc", "true")


def test_several_objectives_are_all_shown(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(place / "a")
    stored = result(folder)
    stored["objectives"] = [{"name": "val/accuracy", "value": 0.9}, {"name": "parameters", "value": 227466}]
    (folder / "result.json").write_text(json.dumps(stored))
    config = (folder / ".hydra/config.yaml").read_text()
    (folder / ".hydra/config.yaml").write_text(
        config.replace("objective: val/accuracy", "objective: [val/accuracy, parameters]")
    )
    (row,) = rows(".", capsys=capsys)
    assert float(row["parameters"]) == 227466
    assert "227,466" in say(".", capsys=capsys)


def test_folders_that_cannot_be_read_are_listed_last_and_stop_nothing(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sweep / "1" / "result.json").write_text('{"schema_version": 1, "status"')
    (sweep / "2" / ".hydra" / "config.yaml").write_text("a: [1\nb: }")
    other = sweep.parent / "early"
    make(other / "20", status=None).joinpath(".lock").unlink()
    (other / "21" / ".hydra").mkdir(parents=True)
    (other / "21" / ".hydra" / "config.yaml").write_text("db: {driver: mysql}\n")
    (sweep / "22").mkdir()
    (sweep / "22" / "result.json").write_text('{"schema_version": 99, "status": "great", "when": 2}')
    (sweep / "23").mkdir()
    (sweep / "23" / "result.json").write_bytes(b"\xff\xfe\x00")
    odd = {"schema_version": 1, "status": "completed", "objectives": 5, "metrics": [], "reason": {"a": 1}}
    make(sweep / "24").joinpath("result.json").write_text(json.dumps(odd))
    (sweep / "25").mkdir()  # empty: no run at all
    for order in ([], ["--sort", "run"], ["--sort", "val/loss:desc"]):
        table = rows("multirun", *order, capsys=capsys)
        ended = {row["run"].rpartition("/")[2]: row["status"] for row in table[-7:]}
        broken, foreign = ("1", "2", "23", "24"), ("20", "21", "22")
        assert ended == dict.fromkeys(broken, "broken") | dict.fromkeys(foreign, "foreign")
        assert len(table) == 15
        assert not any("db" in key for key in table[0])
    said = say("multirun", capsys=capsys)
    assert "15 runs: 6 completed, 4 broken, 3 foreign, 1 pruned, 1 failed" in said
    assert "broken: multirun/night/1: result.json: cannot be read" in said
    assert "foreign: multirun/early/20: no result.json" in said
    assert "... and 2 more foreign or broken ones" in said


def test_what_an_app_got_wrong_in_a_result_is_said_below(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(7):
        path = sweep / str(number) / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"remark": f"metrics.name='{number}': no number"}))
    said = say("multirun", capsys=capsys)
    assert "multirun/night/0: metrics.name='0': no number\n" in said
    assert "... and 2 more (--columns run,remark)" in said


def test_foreign_folders_alone_are_a_table_too(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, driver in (("a", "mysql"), ("b", "sqlite")):
        (place / name / ".hydra").mkdir(parents=True)
        (place / name / ".hydra" / "config.yaml").write_text(f"db: {{driver: {driver}, since: 2020-01-01}}\n")
    for _ in range(2):  # read, then from the index
        assert [row["db.driver"] for row in rows(".", capsys=capsys)] == ["mysql", "sqlite"]
        (row, _other) = rows(".", "--columns", "db.since", capsys=capsys)
        assert row["db.since"] == "2020-01-01"


def test_runs_at_work_show_what_they_have_so_far(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("at_work", "killed"):
        folder = make(place / name, status=None)
        (folder / "metrics.csv").write_text("epoch,val/accuracy,seconds\n1.0,0.5,3.5\n2.0,0.75,7.5\n")
    holding = (
        "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(1, flush=True); input()"
    )
    words = [sys.executable, "-c", holding, str(place / "at_work" / ".lock")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        table = {row["run"]: row for row in rows(".", capsys=capsys)}
        process.communicate(b"\n", timeout=300)
    assert table["at_work"]["status"] == "running"
    assert (table["at_work"]["val/accuracy"], table["at_work"]["seconds"]) == ("0.75", "7.5")
    assert table["killed"]["status"] == "unfinished"
    assert {row["best"] for row in table.values()} == {"false"}


def test_it_imports_nothing_heavy(sweep: Path) -> None:
    code = (
        "import sys; from inksweep.cli import main\n"
        "main(['compare', 'multirun', '--group-by', 'model', '--where', 'seed>=0'])\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    loaded = set(done.stderr.split())
    assert "pyparsing" in loaded
    assert not {"torch", "hydra", "optuna", "omegaconf", "numpy", "matplotlib"} & loaded
    done = subprocess.run(
        [sys.executable, "-c", code.replace(", '--where', 'seed>=0'", "")],
        capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    assert "pyparsing" not in done.stderr.split()


def test_the_lock_of_a_run_is_looked_at_and_left(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(place / "a", status=None)
    say(".", capsys=capsys)
    with held(folder / ".lock", "held by the look"):
        pass


def test_a_sweep_is_its_trials_and_says_where_its_final_stage_is(
    finals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "not in here: 6 runs of the final stage (inksweep compare multirun/night/finalists --group-by config)"
    everything = [str(path.relative_to(Path.cwd())) for path in finals.parent.iterdir()]
    for words in (["multirun/night"], ["multirun"], everything, ["multirun", "--where", "status=completed"]):
        said = say(*words, capsys=capsys)
        assert hint in said.splitlines()
        assert "★ 9: best of the completed runs" in said
        assert ON_ALL not in said
    assert sorted(names("multirun", capsys=capsys)) == list("0123456789")
    for words in (["multirun/night/3", "multirun/night/4"], ["multirun/night/finalists"],
                  ["multirun/night", "multirun/night/finalists"]):  # fmt: skip
        assert "not in here" not in say(*words, capsys=capsys)
    of = [row["study"] for row in rows("multirun/night/finalists/1", "--columns", "study", capsys=capsys)]
    assert of == ["night/finalists"]
