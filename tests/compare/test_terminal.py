"""terminal.py: the table on a terminal, in a pipe, and where there is no room."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compare.folders import make, result, rows, say


def shown_on_a_terminal(columns: int, *words: str) -> str:
    """Return what `inksweep compare` prints on a terminal of that width."""
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    code = "import sys; from inksweep.cli import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, "compare", *words],
        stdin=theirs, stdout=theirs, stderr=theirs, env=env | {"TERM": "xterm-256color", "COLUMNS": str(columns)},
    ):  # fmt: skip
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # how a terminal ends
            pass
    os.close(ours)
    return text.decode()


def test_the_table_holds_them_rounded_with_the_best_first(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = say("multirun", capsys=capsys).splitlines()
    ordered = sorted(
        (str(n) for n in range(10) if n != 7), key=lambda name: -result(sweep / name)["metrics"]["val/accuracy"]
    )
    lines = [line for line in said if re.match(r"[★ ] \d+ ", line)]
    assert said[0] == "multirun/night"
    assert [line[2:].split()[0] for line in lines] == [*ordered, "7"]
    for line in lines:
        stored = result(sweep / line[2:].split()[0])
        assert line.endswith(f" {stored['seconds']['total']:.1f}")
        for value in stored["metrics"].values():
            assert f" {100 * value:.2f}" in line or value == stored["metrics"]["val/loss"]
    assert lines[0].startswith("★ 9")
    assert not any(line.startswith("★") for line in lines[1:])
    assert "failed: oom " in lines[-1]
    assert "pruned " in lines[2]
    assert said[-2:] == [
        "10 runs: 8 completed, 1 pruned, 1 failed",
        "★ 9: best of the completed runs by val/accuracy (more is better)",
    ]


def test_numbers_near_the_largest_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, loss in (("a", 1.7e308), ("b", 1.5e308), ("c", 1.6e308)):
        make(place / name, metrics={"val/accuracy": 0.9, "val/loss": loss}, seconds=loss)
    words = (".", "--group-by", "model", "--metric", "val/loss")
    (row,) = rows(*words, capsys=capsys)
    assert float(row["val/loss mean"]) == pytest.approx(1.6e308)
    assert float(row["val/loss sd"]) == pytest.approx(1e307)
    assert max(map(len, say(*words, capsys=capsys).splitlines())) < 130
    assert "1.7e+308" in say(".", "--metric", "val/loss", capsys=capsys)
    # A deviation beyond all numbers is a word to JSON.
    make(place / "d", metrics={"val/accuracy": 0.9, "val/loss": -1.7e308})
    (row,) = json.loads(say("a", "d", *words[1:], "--format", "json", capsys=capsys), parse_constant=pytest.fail)
    assert (row["val/loss mean"], row["val/loss sd"]) == (0, "inf")


def test_names_with_controls_are_shown_escaped(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = "night\x1b[31m"
    make(place / odd / "a\nb", settings={"note\x1b[1m": "x\x1b]0;title\x07"})
    make(place / odd / "c", accuracy=0.8, settings={"note\x1b[1m": "y"})
    (place / odd / "d\n").mkdir()
    (place / odd / "d\n" / "result.json").write_text("{")
    for words in ([], ["--columns", "run,note\x1b[1m"], ["--format", "markdown"]):
        said = say(".", *words, capsys=capsys)
        assert "\x1b" not in said
        assert "\x07" not in said
        assert r"broken: night\x1b[31m/d\n: result.json" in said
    lines = say(".", capsys=capsys).splitlines()
    assert lines[0] == r"night\x1b[31m"
    assert any(line.startswith(r"★ a\nb ") for line in lines)
    # A program gets them as they are.
    assert rows(".", capsys=capsys)[0]["run"] == f"{odd}/a\nb"


def test_a_narrow_terminal_leaves_columns_out_and_says_which(sweep: Path) -> None:
    for number in range(10):
        config = sweep / str(number) / ".hydra/config.yaml"
        config.write_text(config.read_text().replace("clip_norm: null", f"clip_norm: {number}"))
    coloured = shown_on_a_terminal(70, "multirun")
    assert "\x1b[1m★ " in coloured  # the best is bold
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 70
    # What the model settles goes first; the objective stays.
    assert "left out for want of room: model.norm" in plain
    assert "98.5" not in plain.splitlines()[0]
    assert f"{100 * result(sweep / '9')['metrics']['val/accuracy']:.2f}" in plain
    wide = re.sub(r"\x1b\[[0-9;]*m", "", shown_on_a_terminal(160, "multirun"))
    assert "left out" not in wide
    assert "norm" in wide
    # What was asked for stays, whatever the width.
    chosen = re.sub(r"\x1b\[[0-9;]*m", "", shown_on_a_terminal(20, "multirun", "--columns", "run,data.root,val/loss"))
    assert str(sweep / "9") in chosen.replace("\r\n", "")


def test_a_pipe_gets_all_columns_and_may_be_closed(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "norm" in say("multirun", capsys=capsys)
    code = "import sys; from inksweep.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "compare", "multirun"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the table is there
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_a_terminal_without_unicode_gets_plain_marks(sweep: Path) -> None:
    code = "import sys; from inksweep.cli import main; main(['compare', 'multirun', '--group-by', 'model'])"
    env = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=env, check=True, timeout=300)
    assert b"* best mean" in done.stdout
    assert b"\\u" not in done.stdout


def test_a_setting_that_no_row_shown_has_takes_no_room(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, (model, width) in enumerate((("cnn", 1), ("mlp", 8), ("mlp", 9))):
        make(place / "runs" / str(number), model, 0.9 - number / 10, values={} if model == "cnn" else {"hidden": width})
    assert "hidden" in say("runs", capsys=capsys)
    assert "hidden" not in say("runs", "--top", "1", capsys=capsys)
    assert "hidden" in say("runs", "--top", "1", "--columns", "run,model.hidden", capsys=capsys)
    assert "model.hidden" in rows("runs", "--top", "1", capsys=capsys)[0]
