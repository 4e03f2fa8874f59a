from pathlib import Path

from inksweep.runs import provenance


def test_git_state_is_none_outside_a_repository(tmp_path: Path) -> None:
    assert provenance.git_state(tmp_path) is None
