"""The winner's folder: what is in it, and that nobody sees half of it."""

import json
import shlex
import shutil
import subprocess
import sys
from functools import partial

import optuna
import pytest
from omegaconf import OmegaConf

from inksweep.errors import InputError
from inksweep.paths import SweepDir
from inksweep.sweep import afterwards
from inksweep.sweep.settings import EXPORTS, WinnerConf
from inksweep.sweep.study.notes import METRICS, OWNER
from inksweep.sweep.winner import choice, plain_card, selection
from inksweep.sweep.winner import commands as commands_module
from inksweep.sweep.winner import saving as saving_module
from inksweep.sweep.winner.announce import Saving

ALL = ["README.md", "config.yaml", "metrics.csv", "model.pt", "predictions.npz", "result.json", "selection.json"]


@pytest.fixture
def sweep(tmp_path):
    return SweepDir(tmp_path / "night")


def save(sweep, study, program=("python", "train.py")):
    """Save what the search decides, as at the end of a sweep."""
    decided = choice.of_search(study, WinnerConf(), sweep)
    return saving_module.save(sweep, decided, selected(sweep, study), program)


def selected(sweep, study):
    decided = choice.of_search(study, WinnerConf(), sweep)
    return selection.describe(decided, study, sweep, WinnerConf(), None)


def card(sweep, study):
    return plain_card.card(sweep, choice.of_search(study, WinnerConf(), sweep), selected(sweep, study))


def ran(sweep, number=0, overrides=("model=mlp", "model.hidden=[128,64]"), model=b"weights"):
    run = sweep.trial(number)
    run.config.parent.mkdir(parents=True)
    run.config.write_text("model: {}\n")
    run.overrides.write_text(OmegaConf.to_yaml(OmegaConf.create(list(overrides))))
    run.result.write_text('{"metrics": {"val/accuracy": 0.91, "test/accuracy": 0.9, "val/loss": null}}')
    if model is not None:
        run.model.write_bytes(model)
        run.predictions.write_bytes(b"answers")
        run.metrics.write_text("epoch\n1\n")
    return study_of(number + 1)


def study_of(trials):
    study = optuna.create_study(direction="maximize", study_name="night")
    for _ in range(trials):
        frozen = study.ask({"model.hidden": optuna.distributions.CategoricalDistribution(["[128,64]"])})
    frozen.set_user_attr(METRICS, {"val/accuracy": 0.91, "test/accuracy": 0.9})
    study.tell(frozen, 0.91)
    return study


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".winner.lock")


def test_the_winner_holds_what_is_needed_to_use_and_repeat_it(sweep):
    saved = save(sweep, ran(sweep))
    assert names(saved.root) == ALL
    assert saved.model.read_bytes() == b"weights"
    assert saved.predictions.read_bytes() == b"answers"
    assert saved.metrics.read_text() == "epoch\n1\n"


def test_a_winner_outlives_the_folder_of_its_trial(sweep):
    frozen = ran(sweep)
    save(sweep, frozen)
    commands = json.loads(sweep.winner.selection.read_text())["commands"]
    shutil.rmtree(sweep.trial(0).root)
    frozen.tell(frozen.ask(), 0.5)
    saved = save(sweep, frozen)
    assert names(saved.root) == ALL
    # What was seen since is told; how to train it again is known no more from the folder.
    told = json.loads(saved.selection.read_text())
    assert (told["trials"]["complete"], told["commands"]) == (2, commands)


def test_a_trial_of_another_app_leaves_out_what_it_does_not_have(sweep):
    frozen = ran(sweep, model=None)
    sweep.trial(0).result.unlink()
    saved = save(sweep, frozen)
    assert names(saved.root) == ["README.md", "config.yaml", "selection.json"]
    assert "inksweep.load" not in saved.card.read_text()


def test_how_to_load_it_is_said_of_a_model_of_ours_only(sweep):
    study = ran(sweep)
    assert "inksweep.load" not in card(sweep, study)  # some file of another app that is called model.pt
    sweep.trial(0).result.write_text('{"versions": {}}')
    assert f'model = inksweep.load("{sweep.winner.root}")' in card(sweep, study)


def test_the_card_names_the_trial_its_numbers_and_what_was_searched(sweep):
    text = card(sweep, ran(sweep, number=3))
    for part in (
        "# Winner of night",
        "Trial 3",
        "| test/accuracy | 0.9 |",
        "| model.hidden | [128,64] |",
        "optimistic",
    ):
        assert part in text


def test_the_command_survives_a_shell(sweep):
    overrides = ["model.hidden=[128,64]", "name='a b'", "+note=it's"]
    command = commands_module.command(sweep, ran(sweep, overrides=overrides).best_trial, ["python", "my train.py"])
    assert shlex.split(command) == ["python", "my train.py", *overrides]


def test_a_new_winner_takes_the_place_of_the_old_one_and_leaves_nothing_behind(sweep):
    save(sweep, ran(sweep, 0))
    save(sweep, ran(sweep, 1, model=None))
    # No weights of the old winner beside the settings of the new one.
    assert names(sweep.winner.root) == ["README.md", "config.yaml", "result.json", "selection.json"]
    assert names(sweep.root) == ["0", "1", "winner"]


def test_the_same_winner_is_left_alone(sweep):
    frozen = ran(sweep)
    saved = save(sweep, frozen)
    (saved.root / "mine.onnx").touch()
    save(sweep, frozen)
    assert (saved.root / "mine.onnx").exists()


def test_a_copy_that_breaks_off_leaves_the_old_winner_and_is_cleared_away_later(sweep, monkeypatch):
    save(sweep, ran(sweep, 0))
    better = ran(sweep, 1, model=b"better")
    with monkeypatch.context() as full:
        full.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="full"):
            save(sweep, better)
    assert sweep.winner.model.read_bytes() == b"weights"
    save(sweep, better)
    assert sweep.winner.model.read_bytes() == b"better"
    assert names(sweep.root) == ["0", "1", "winner"]


def seen(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def test_of_the_same_winner_only_the_story_is_written_anew(sweep):
    study = ran(sweep)
    saved = save(sweep, study)
    saved.model.write_bytes(b"weights and temperature")
    saved.card.write_text("the full card")
    for added in ("card.json", "model.onnx"):
        (saved.root / added).write_text("{}")
    before = seen(saved.root)
    # More trials have been seen; the best is the same.
    study.tell(study.ask(), 0.5)
    save(sweep, study)
    after = seen(saved.root)
    assert {name for name in after if after[name] != before.get(name)} == {"selection.json"}
    assert after.keys() == before.keys()
    assert json.loads(saved.selection.read_text())["trials"]["complete"] == 2
    # A card that was made of the story alone follows it.
    saved.card_facts.unlink()
    study.tell(study.ask(), 0.5)
    save(sweep, study)
    assert "# Winner of night" in saved.card.read_text()
    assert (saved.root / "model.onnx").exists()


@pytest.mark.parametrize("key", saving_module.IDENTITY)
def test_another_winner_takes_its_place(sweep, key):
    study = ran(sweep)
    saved = save(sweep, study)
    (saved.root / "card.json").write_text("{}")
    told = json.loads(saved.selection.read_text())
    saved.selection.write_text(json.dumps({**told, key: "another"}))
    assert names(save(sweep, study).root) == ALL
    assert json.loads(saved.selection.read_text()) == told


def test_an_ensemble_whose_result_was_written_with_its_card_is_the_same_winner(sweep):
    ran(sweep, 0)
    ran(sweep, 1)
    study = optuna.create_study(direction="maximize", study_name="night")
    for value in (0.91, 0.9):
        trial = study.ask()
        trial.suggest_float("x", value, value)
        study.tell(trial, value)
    conf = WinnerConf(ensemble=2)

    def saved():
        decided = choice.of_search(study, conf, sweep)
        assert len(decided.members) == 2
        return saving_module.save(sweep, decided, selection.describe(decided, study, sweep, conf, None), "train.py")

    saved().result.write_text('{"metrics": {"test/accuracy": 0.99}}')
    (sweep.winner.root / "mine.onnx").touch()
    assert (saved().root / "mine.onnx").exists()


def test_the_same_trial_of_a_study_that_was_begun_anew_is_another_winner(sweep):
    saved = save(sweep, ran(sweep))
    shutil.rmtree(sweep.trial(0).root)
    study = ran(sweep, model=b"others")
    sweep.trial(0).result.write_text('{"metrics": {"val/accuracy": 0.91}}')
    save(sweep, study)
    assert saved.model.read_bytes() == b"others"


FAILED = {"exports": {"onnx": {"failed": "disk full"}}}


@pytest.mark.parametrize(
    ("there", "asked", "wanted"),
    [
        ({"export.json": {"onnx": {"file": "model.onnx"}}}, [], ["onnx"]),
        ({"export.json": {"onnx": {"file": "model.onnx"}}}, ["torch-export"], ["torch-export", "onnx"]),
        ({"export.json": {"onnx": {"file": "model.onnx"}, "unknown": {}}}, ["onnx"], ["onnx"]),
        # It lies elsewhere, or was removed.
        ({"export.json": {"onnx": {"file": "/tmp/model.onnx"}, "torch-export": {"file": "model.pt2"}}}, [], []),
        ({"export.json": {"onnx": None, "torch-export": {}}}, [], []),
        # It was to be made when the sweep was interrupted: it still is; but not what could not be made.
        ({"selection.json": {"export": ["onnx"]}}, [], ["onnx"]),
        ({"selection.json": {"export": ["onnx"]}, "card.json": FAILED}, [], []),
        ({"selection.json": {"export": ["onnx"]}, "card.json": FAILED}, ["onnx"], ["onnx"]),
        ({"card.json": {"exports": None}}, [], []),
        ({}, [], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_same", [True, False])
def test_what_the_winner_was_exported_to_is_made_again(sweep, there, asked, wanted, is_same):
    saved = save(sweep, ran(sweep, 0))
    (saved.root / "model.onnx").touch()
    for name, content in there.items():
        before = json.loads(saved.selection.read_text()) if name == "selection.json" else {}
        (saved.root / name).write_text(json.dumps({**before, **content}))
    study = ran(sweep, 1) if not is_same else study_of(1)
    conf = WinnerConf(export=asked)
    decided = choice.of_search(study, conf, sweep)
    saving_module.save(sweep, decided, selection.describe(decided, study, sweep, conf, None), "train.py")
    assert json.loads(saved.selection.read_text())["export"] == wanted


@pytest.mark.parametrize("name", [".winner-x1.old", ".card-x1.old"])
def test_a_winner_that_a_killed_process_had_moved_aside_is_there_again(sweep, name):
    study = ran(sweep)
    saved = save(sweep, study)
    (saved.root / "mine.onnx").touch()
    saved.root.replace(sweep.root / name)
    (sweep.root / ".winner-x1").mkdir()
    save(sweep, study)
    assert names(saved.root) == sorted([*ALL, "mine.onnx"])
    assert names(sweep.root) == ["0", "winner"]


def test_saving_begins_with_the_winner_in_its_place(sweep):
    study = ran(sweep)
    saved = save(sweep, study)
    told = json.loads(saved.selection.read_text())
    saved.selection.write_text(json.dumps({**told, "rule": "seeds"}))
    saved.root.replace(sweep.root / ".winner-x1.old")
    # So it is known that it was of a final stage, and stays.
    Saving(study, sweep, WinnerConf(seeds=1), None).keep()
    assert json.loads(saved.selection.read_text())["rule"] == "seeds"


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({"rule": "seeds"}, True),
        ({"full_data": True}, True),
        ({}, False),
        ({"rule": "seeds", "study": "another"}, False),
        ({"full_data": True, "study": "another"}, False),
    ],
)
def test_the_winner_of_a_final_stage_of_this_study_stays_until_there_is_a_new_one(sweep, said, stays, caplog):
    study = ran(sweep)
    saved = save(sweep, study)
    told = {**json.loads(saved.selection.read_text()), "mark": 1, **said}
    caplog.set_level("INFO")
    for end in (Saving.keep, lambda saving: saving.announce(None)):
        saved.selection.write_text(json.dumps(told))
        end(Saving(study, sweep, WinnerConf(seeds=1), None))
        assert ("mark" in json.loads(saved.selection.read_text())) == stays
    assert ("that of the final stage before stays" in caplog.text) == stays
    # If no final stage is asked for any more, the search decides.
    Saving(study, sweep, WinnerConf(), None).announce(None)
    assert "mark" not in json.loads(saved.selection.read_text())


def test_a_folder_that_holds_another_winner_is_not_called_this_one(sweep, caplog):
    caplog.set_level("INFO")
    save(sweep, ran(sweep, 0))
    study = ran(sweep, 1)
    study.tell(study.ask(), 0.95)  # it ran elsewhere
    Saving(study, sweep, WinnerConf(), None).announce(None)
    assert "winner: trial 2, objective 0.9500 on an unknown machine; its folder is not on this disk" in caplog.text
    assert f"{sweep.winner.root}: is still that of trial 0" in caplog.text
    assert f"-> {sweep.winner.root}" not in caplog.text
    assert "train it again" not in caplog.text
    assert json.loads(sweep.winner.selection.read_text())["trial"] == 0


def test_the_command_that_uses_the_winner_is_said_with_its_folder(sweep, caplog):
    caplog.set_level("INFO")
    study = ran(sweep)
    Saving(study, sweep, WinnerConf(use="read {winner} PICTURE"), None).announce(None)
    assert f"use it: read {sweep.winner.root} PICTURE" in caplog.messages
    caplog.clear()
    Saving(study, sweep, WinnerConf(), None).announce(None)
    assert "use it: " not in caplog.text.replace("how to use it: ", "")


def test_incumbents_are_counted_in_the_order_of_their_end(sweep):
    study = optuna.create_study(direction="maximize")
    first, second, third = (study.ask() for _ in range(3))
    study.tell(third, 0.5)
    study.tell(first, 0.9)
    study.tell(second, 0.7)
    assert [trial.number for trial in selection.incumbents(study)] == [2, 0]


@pytest.mark.parametrize(
    ("recorded", "config", "threads", "command"),
    [
        ("python train.py model=cnn", "trainer: {threads: null}", 1, "python train.py model=cnn trainer.threads=1"),
        ("python train.py 'a=b c'", "trainer: {threads: 2}", 4, "python train.py 'a=b c' trainer.threads=4"),
        ("python train.py trainer.threads=2", "trainer: {threads: 2}", 2, "python train.py trainer.threads=2"),
        ("python train.py ++trainer.threads=2", "trainer: {threads: 2}", 2, "python train.py ++trainer.threads=2"),
        # Another app may have no such key, an older run may not have noted them.
        ("python train.py", "trainer: {epochs: 3}", 1, "python train.py"),
        ("python train.py", "model: {}", 1, "python train.py"),
        ("python train.py", "trainer: {threads: null}", None, "python train.py"),
        ("python train.py 'a", "trainer: {threads: null}", 1, "python train.py 'a"),
    ],
)
def test_the_command_repeats_the_threads_of_the_slot(sweep, recorded, config, threads, command):
    best = ran(sweep).best_trial
    sweep.trial(0).config.write_text(config)
    sweep.trial(0).result.write_text(json.dumps({"command": recorded, "threads": threads}))
    assert commands_module.command(sweep, best, ["python", "train.py"]) == command


def test_the_command_of_a_trial_that_ran_elsewhere_is_of_what_the_study_notes(sweep, caplog):
    caplog.set_level("INFO")
    study = optuna.create_study(study_name="night")
    trial = study.ask()
    note = {"id": "x", "host": "far", "folder": "/there/logs", "overrides": ["x=1", "note='a b'"]}
    trial.set_user_attr(OWNER, note)
    study.tell(trial, 0.5)
    Saving(study, sweep, WinnerConf(), None, ["python", "-m", "package"]).announce(None)
    where = "on far; its folder, /there/logs/0, is not on this disk: it is not saved here"
    assert f"winner: trial 0, objective 0.5000 {where}\n" in caplog.text
    (line,) = [line for line in caplog.messages if line.startswith("train it here: ")]
    assert shlex.split(line)[3:] == ["python", "-m", "package", "x=1", "note='a b'"]


@pytest.fixture
def carded(sweep, monkeypatch):
    """A winner of ours, and the commands that were called to complete its card."""
    study, calls = ran(sweep), []
    sweep.trial(0).result.write_text('{"versions": {}}')
    save(sweep, study)

    def run(command, timeout, **_):
        calls.append((command, timeout))
        made = {"selection": json.loads(sweep.winner.selection.read_text())}
        sweep.winner.card_facts.write_text(json.dumps(made))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(afterwards.subprocess, "run", run)
    return study, calls


def test_the_card_is_completed_once_for_each_choice(sweep, carded):
    study, calls = carded
    afterwards.write_card(sweep)
    afterwards.write_card(sweep)
    ((command, seconds),) = calls
    assert (command[1:], seconds) == (["-P", "-m", "inksweep", "card", str(sweep.winner.root)], 600)
    # Saving the same leaves it; with another story of its choice the card is another.
    save(sweep, study)
    afterwards.write_card(sweep)
    assert len(calls) == 1
    study.tell(study.ask(), 0.5)
    save(sweep, study)
    afterwards.write_card(sweep)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("asked", "made", "wants"),
    [
        (["onnx"], {"onnx": {"file": "model.onnx"}}, False),
        (["onnx"], {"onnx": {"failed": "disk full"}}, True),
        (["torch-export"], {"onnx": {"failed": "disk full"}}, False),
        (["onnx"], None, False),
    ],
)
def test_an_export_that_failed_is_tried_again(sweep, carded, asked, made, wants):
    told = {**json.loads(sweep.winner.selection.read_text()), "export": asked}
    sweep.winner.selection.write_text(json.dumps(told))
    sweep.winner.card_facts.write_text(json.dumps({"selection": told, "exports": made}))
    assert saving_module.wants_card(sweep) == wants


def test_what_was_not_exported_is_said_by_the_sweep(sweep, carded, monkeypatch, caplog):
    said = "/usr/lib: DeprecationWarning\nnot exported as onnx: disk full\nnot exported as torch-export: no\n"
    done = subprocess.CompletedProcess([], 0, "", said)
    monkeypatch.setattr(afterwards.subprocess, "run", lambda *_, **__: done)
    afterwards.write_card(sweep)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["not exported as onnx: disk full", "not exported as torch-export: no"]


def test_what_an_export_lacks_is_said_before_the_search(monkeypatch):
    afterwards.check_exports(["torch-export"])
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    afterwards.check_exports([])
    afterwards.check_exports(["torch-export"])
    with pytest.raises(InputError, match=r"export=onnx: onnxruntime is not installed; pip install .*\[export\]\""):
        afterwards.check_exports(["torch-export", "onnx"])
    assert afterwards.PACKAGES.keys() == set(EXPORTS)


def test_a_card_that_fails_is_a_line_that_says_how_to_get_it(sweep, carded, monkeypatch, caplog):
    for failure, words in (
        (subprocess.CompletedProcess([], 2, "", "error: data.root=x: is not there\n"), "error: data.root=x"),
        (subprocess.TimeoutExpired("", 600), "it took more than 600 s"),
    ):
        monkeypatch.setattr(afterwards.subprocess, "run", lambda *_, made=failure, **__: raised_or(made))
        afterwards.write_card(sweep)
        assert words in caplog.text
    assert f"inksweep card {sweep.winner.root}" in caplog.text


def test_the_card_is_made_by_a_process_that_has_torch_already_where_there_is_one(sweep, carded, caplog):
    caplog.set_level("INFO")
    given = []

    def forked(ended, words, seconds):
        given.append((words, seconds))
        return raised_or(ended)

    # What it would be forked from may have been killed: then it begins with nothing.
    for ended, words in (
        ((2, "error: data.root=x: is not there\n"), "error: data.root=x"),
        (TimeoutError(), "it took more than 600 s"),
        ((-9, ""), "exit code -9"),
        (ConnectionResetError(), "card: "),
    ):
        caplog.clear()
        afterwards.write_card(sweep, partial(forked, ended))
        assert words in caplog.messages[-1]
    assert given == [(["inksweep", "card", str(sweep.winner.root)], 600.0)] * 4
    assert len(carded[1]) == 1


def raised_or(made):
    if isinstance(made, Exception):
        raise made
    return made


@pytest.mark.parametrize("is_there", ["model", "result"])
def test_a_winner_of_another_app_has_the_plain_card_only(sweep, carded, is_there):
    # Either no model.pt, or a result that is not of our run.
    if is_there == "model":
        sweep.winner.result.write_text("{}")
    else:
        sweep.winner.model.unlink()
    afterwards.write_card(sweep)
    assert carded[1] == []
