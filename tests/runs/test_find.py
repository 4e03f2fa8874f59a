import json
import os
from pathlib import Path

import pytest
import yaml

from inksweep.errors import InputError
from inksweep.runs import find, reader
from tests.runs.folders import CONFIG, RESULT, make


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


def test_a_link_to_a_neighbour_whose_name_begins_alike_is_followed(tmp_path: Path) -> None:
    make(tmp_path / "multirun/0")
    (tmp_path / "multirun2").mkdir()
    (tmp_path / "multirun2/linked").symlink_to(tmp_path / "multirun")
    assert find.find([tmp_path / "multirun2"]) == [tmp_path / "multirun2/linked/0"]
