"""paths.py: the names of the documented format."""

from pathlib import Path

from inksweep.paths import RunDir, SweepDir


def test_names_are_those_of_the_documented_format() -> None:
    sweep = SweepDir(Path("multirun/night"))
    assert sweep.journal == Path("multirun/night/study.journal")
    assert sweep.trial(7) == RunDir(Path("multirun/night/7"))
    assert sweep.trial(7).model == Path("multirun/night/7/model.pt")
    assert sweep.winner.model == Path("multirun/night/winner/model.pt")
