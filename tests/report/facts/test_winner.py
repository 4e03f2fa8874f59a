"""The winner in the report: of a final stage, of an ensemble, or the best trial."""

import json
import shutil

import pytest
from optuna.distributions import IntDistribution

from tests.report.sweeps import make, read

pytest.importorskip("plotly")

from inksweep.paths import SweepDir
from inksweep.report import png
from inksweep.report.page import page
from inksweep.sweep.study.notes import FINAL
from tests.report.page.test_page import rendered
from tests.runs import selections
from tests.runs.selections import CANDIDATE, trainings

WORSE = CANDIDATE | {
    "trial": 0, "rank": 2, "searched_objective": 0.99, "mean": 0.93, "std": 0.02, "interval": [0.9, 0.95], "p": 0.013,
    "difference": {"mean": -0.03, "interval": [-0.05, -0.01]}, "runs": trainings(7, 8), "lost": 1,
}  # fmt: skip
BETTER = CANDIDATE | {
    "trial": 1, "searched_objective": 0.95, "mean": 0.96, "interval": [0.94, 0.97], "runs": trainings(7, 8, 9),
}  # fmt: skip
SELECTION = selections.SELECTION | {
    "rule": "seeds", "trial": 1, "candidates": [BETTER, WORSE], "model": {"path": "finalists/2", "seed": 9},
    "commands": ["python train.py seed=9"],
}  # fmt: skip
ON_ALL = SELECTION | {
    "full_data": True, "members": ["finalists/6", "finalists/7"],
    "commands": ["python train.py seed=9", "again seed=10"],
    "retrained_with": {"trainer.epochs": 31},
}  # fmt: skip
METRICS = {"val/accuracy": 0.9612, "test/accuracy": 0.9523}
CARD = {
    "measured": {"test/accuracy": 0.9734}, "model": {"parameters": 4321}, "training": {"seconds": 77.0},
    "accuracy": {"test": {"interval": [0.9412, 0.9876]}, "test_corrected": {"accuracy": 0.9888}},
    "calibration": {"temperature": 1.234},
}  # fmt: skip


def sweep(root, selection=SELECTION, card=None, **result):
    """A search whose best trial is 0, and a winner of trial 1's configuration."""
    made = make(root)
    made.trial(0.99, metrics={"val/accuracy": 0.99, "test/accuracy": 0.7777})
    made.trial(0.95, metrics={"val/accuracy": 0.95, "test/accuracy": 0.6666})
    for number in (0, 1):
        made.folder(number, {"objective": {"name": "val/accuracy", "value": 0.9}, "command": "python train.py"})
        made.answers(number, [0, 1], [1, 0])
    made.end("n_trials")
    winner = made.sweep.winner
    shutil.copytree(made.sweep.trial(1).root, winner.root)
    winner.config.write_text("seed: 9")
    content = {
        "schema_version": 1,
        "status": "completed",
        "metrics": METRICS,
        "parameters": 4000,
        "seconds": {"total": 3},
    }
    winner.result.write_text(json.dumps(content | result))
    made.answers("winner", [0, 1, 2, 2], [0, 1, 2, 1])
    if selection is not None:
        winner.selection.write_text(selection if isinstance(selection, str) else json.dumps(selection))
    if card is not None:
        winner.card_facts.write_text(json.dumps(card))
    return made


def section(made):
    """The text of the section on the winner."""
    _, reader = rendered(made)
    text = " ".join(reader.text.split())
    assert "could not be drawn" not in text
    return text[
        text.index("Winner", text.index("All trials")) : text.index("How the search went", text.index("Measured"))
    ]


def test_a_final_stage_is_told_with_the_winners_own_numbers(tmp_path):
    made = sweep(tmp_path, card=CARD | {"selection": SELECTION})
    said = section(made)
    assert "The configuration of trial 1, the best of 2, each trained again on 3 new seeds, by mean" in said
    assert "The weights are those of seed 9, the best of its seeds" in said
    assert "The best trial of the search, ★ in the plots below, is trial 0 with 99.00 %." in said
    for number in ("97.34 %", "94.12 % to 98.76 %", "98.88 %", "96.12 %", "4,321", "1.234"):
        assert number in said
    for number in ("77.77 %", "66.66 %"):  # of trials
        assert number not in said
    assert "python train.py seed=9" in said
    assert "96.00 % ± 1.00 %" in said
    assert "-3.00 points (-5.00 to -1.00)" in said
    assert "2 (1 not complete)" in said
    assert "Test split: 3 of 4 right" in said
    found = read(tmp_path)
    assert found.winner.confusion == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert (found.best.number, found.best_name) == (0, "best trial of the search")
    _, reader = rendered(made)
    assert "best trial of the search" in {trace["name"] for trace in reader.plots["history0"]["data"]}
    assert png.confusion(found).get_suptitle() == "winner: 3 of 4 test answers right"
    tiles = {tile["name"]: tile["value"] for tile in page._tiles(found)}
    assert tiles["test accuracy of the winner"] == "97.34 %"
    assert "its test accuracy" not in tiles


def test_an_ensemble_on_all_data_has_no_number_of_validation(tmp_path):
    made = sweep(tmp_path / "a", ON_ALL, CARD | {"selection": ON_ALL})
    said = section(made)
    assert "an ensemble of 2 models: finalists/6, finalists/7" in said
    assert "trained on all of the train files (trainer.epochs=31), the validation pictures too" in said
    assert "again seed=10" in said
    assert "1 min 17 s" in said
    assert "validation accuracy 96.12" not in said
    assert "Its card is not written yet" not in said
    # Without a card, or with that of another winner, it is said whose numbers they are.
    for number, card in enumerate((None, CARD | {"selection": SELECTION})):
        said = section(sweep(tmp_path / str(number), ON_ALL, card))
        assert "Its card is not written yet" in said
        assert "95.23 %" in said
    # What the card writes down in the result will do.
    assert "Its card" not in section(sweep(tmp_path / "b", ON_ALL, ensemble=["finalists/6", "finalists/7"]))


@pytest.mark.parametrize("harm", [{"difference": None, "interval": None, "p": None}, {}])
def test_columns_of_the_final_stage_that_say_nothing_are_left_out(tmp_path, harm):
    worse = {key: value for key, value in (WORSE | harm).items() if harm or key not in ("difference", "p")}
    said = section(sweep(tmp_path, SELECTION | {"candidates": [BETTER | {"interval": None} | harm, worse]}))
    assert "to the first" not in said
    assert ("95 % interval" in said) == (not harm)
    assert "93.00 % ± 2.00 %" in said


@pytest.mark.parametrize(
    "selection",
    [None, SELECTION | {"rule": "search", "candidates": []}, SELECTION | {"study": "another"}],
    ids=["none", "a copy of the trial", "of another study"],
)
def test_without_a_final_stage_it_is_the_best_trial(tmp_path, selection):
    made = sweep(tmp_path, selection)
    said = section(made)
    assert "Trial 0, the best by validation accuracy." in said
    assert "77.77 %" in said
    assert "final stage" not in said
    found = read(tmp_path)
    assert (found.winner.folder, found.best_name) == (made.sweep.trial(0).root, "winner")


@pytest.mark.parametrize(
    ("selection", "reason"),
    [
        ("{", " cannot be read"),
        ("[]", " cannot be read (it holds no keys)"),
        (SELECTION | {"schema_version": 7}, ": of a kind not known here (schema_version 7)"),
        (SELECTION | {"trial": 99}, ": cannot be used (the study has no trial 99)"),
        (SELECTION | {"candidates": [BETTER | {"mean": None}]}, ": cannot be used (it lacks candidates.mean)"),
        (SELECTION | {"candidates": [BETTER | {"trial": 99}]}, ": cannot be used (the study has no trial 99)"),
        (SELECTION | {"candidates": [BETTER | {"interval": [1]}]}, ": cannot be used (it lacks candidates.interval)"),
        (SELECTION | {"model": None}, ": cannot be used (it lacks model)"),
        ({"schema_version": 1, "study": "night", "rule": "seeds"}, ": cannot be used (it lacks objective)"),
    ],
)
def test_a_broken_selection_costs_a_remark(tmp_path, selection, reason):
    said = section(sweep(tmp_path, selection))
    assert f"winner/selection.json{reason}" in said
    assert "Trial 0, the best by validation accuracy." in said


def test_who_trained_on_validation_is_never_the_best(tmp_path):
    made = make(tmp_path)
    made.trial(0.90, begin=0)
    made.trial(0.99, begin=10)
    for number, on_all in enumerate((False, True)):
        made.folder(number, {"objective": {"name": "val/accuracy", "value": 0.9}, "trained_on_validation": on_all})
    made.end("n_trials")
    found = read(tmp_path)
    assert (found.best.number, found.winner.trial.number, [trial.number for trial in found.front]) == (0, 0, [0])
    assert found.counted == {"complete": 1, "all-data": 1}
    _, reader = rendered(made)
    traces = {trace["name"]: trace for trace in reader.plots["history0"]["data"]}
    assert (traces["complete"]["x"], traces["winner"]["x"]) == ([0], [0])
    assert "Not drawn: 1 trained on all data" in reader.text


def test_the_report_of_a_final_stage_is_of_its_trainings(tmp_path):
    make(tmp_path)
    made = make(SweepDir(tmp_path).finals.root, name="night.finalists")
    made.study.set_user_attr(FINAL, True)
    for value, full in ((0.9, 0), (0.99, 1)):  # whose folders are elsewhere
        made.trial(value, params={"full": full}, space={"full": IntDistribution(0, 1)})
    made.end("n_trials")
    found = read(made.root)
    assert found.best.number == 0
    assert found.sentence == "It ended because all 2 trials are done."
    _, reader = rendered(made)
    assert "the trainings of the final stage of a sweep" in reader.text
