"""A folder with a saved model, a run directory or the `winner/` of a sweep: the settings that it was made with."""

from collections.abc import Iterable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from inksweep.digits.config import parse
from inksweep.digits.config.schema import Config
from inksweep.errors import InputError, explain
from inksweep.paths import RunDir, SweepDir, WinnerDir, shown
from inksweep.runs import selection as selections


def settings(folder: Path, overrides: Iterable[str] = ()) -> Config:
    """Return the settings of a run or a winner, changed by `overrides`.

    A relative `data.root` means what it meant where the training was started, also that of a winner as long as the run
    that it is of lies beside it; one that is typed is as seen from here.

    Args:
        folder: a run directory or a winner: it has .hydra/config.yaml or config.yaml.
        overrides: words `KEY=VALUE`, such as `data.root=/elsewhere`.

    Raises:
        InputError: the folder is neither or that of another app, a file in it is broken, or a word cannot be used; it
            is named.
    """
    stored = _stored(folder)
    try:
        parse.parse(stored)
    except Exception as error:  # a value out of range, OmegaConf's for a key that is none
        reason = explain(error)
        if reason is not None and not RunDir(folder).model.exists():
            raise InputError(
                f"{shown(folder)}: holds no model of the digit classifier (no model.pt), and its settings are another "
                f"app's ({reason}); inksweep compare and inksweep report read what any app leaves"
            ) from error
        raise
    return parse.parse(merged(stored, overrides))


def merged(stored: DictConfig, overrides: Iterable[str]) -> DictConfig:
    """Return `stored` with the words `KEY=VALUE` in it; not checked against the schema.

    Raises:
        InputError: a word cannot be read, or does not fit among the others; it is named.
    """
    for word in overrides:
        if not word.partition("=")[0].strip() or "=" not in word:
            raise InputError(f"{word!r}: is no setting; write KEY=VALUE, such as data.root=/elsewhere")
        try:
            found = OmegaConf.merge(stored, _setting(word))
        except Exception as error:  # YAML's, OmegaConf's, and whatever they stumble over
            reason = str(error).partition("\n")[0]
            raise InputError(f"{word}: cannot be read ({reason}); write KEY=VALUE and quote special letters") from error
        assert isinstance(found, DictConfig)
        stored = found
    return stored


def _setting(word: str) -> DictConfig:
    """Return what `KEY=VALUE` sets: the value is YAML, that of data.root as it stands."""
    key, _, value = word.partition("=")
    if key.strip() != "data.root" or value.startswith(("'", '"')):
        return OmegaConf.from_dotlist([word])
    return OmegaConf.create({"data": {"root": value}})


def _stored(folder: Path) -> DictConfig:
    run, winner = RunDir(folder), WinnerDir(folder)
    if run.config.is_file():
        return parse.stored(run)
    if not winner.config.is_file():
        inside = SweepDir(folder).winner
        meant = inside.root if inside.config.is_file() else folder.parent if folder.is_file() else None
        hint = f"; did you mean {shown(meant)}?" if meant else ""
        raise InputError(f"{folder}: no run directory or winner (it has no .hydra/config.yaml or config.yaml){hint}")
    origin = _origin(winner)
    return parse.load_yaml(winner.config) if origin is None else parse.stored(origin)


def _origin(winner: WinnerDir) -> RunDir | None:
    """Return the run that a winner is of; None if that is not known or the run is not there any more."""
    selection = selections.read_if_whole(winner.selection)
    if selection is None:
        return None
    origin = RunDir(winner.root.resolve().parent / selection.model.path)
    return origin if origin.config.is_file() and origin.hydra.is_file() else None
