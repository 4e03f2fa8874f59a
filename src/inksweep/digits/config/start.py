"""What is checked before a run begins: its values, and that its folder is not that of another run.

Hydra writes `.hydra/` and `train.log` before it calls the task. What is asked for earlier is the folder, and before it
is made the variables in `hydra.job.env_set`: their values are where this is called from. So a start that is refused
leaves every file as it was.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from inksweep.errors import InputError, need
from inksweep.files import held
from inksweep.paths import RunDir, shown, typed
from inksweep.runs import find, result

WAYS_TO_WRITE = "make room, give permission or name another place"

# The runs that this process is about to write or writes, by folder, each with what lets go of its lock.
_claims: dict[Path, ExitStack] = {}


def claimed(run: RunDir) -> ExitStack:
    """Return what lets go of the lock of a run, which this process holds.

    Raises:
        InputError: another process holds it.
    """
    claim = _claims.pop(run.root.resolve(), None)
    return _locked(run) if claim is None else claim


def begun(root: DictConfig, check: Callable[[DictConfig], object]) -> str:
    """Return the folder of the job that begins, which is now its own; empty where no job does, as with `--cfg`.

    Args:
        root: the whole config.
        check: sees whether the values can be used.

    Raises:
        InputError: a value cannot be used, or the folder is that of another run.
    """
    hydra = root.hydra
    if OmegaConf.is_missing(hydra.runtime, "output_dir"):
        return ""
    _refuse_what_is_no_text(hydra)
    run = RunDir(Path(hydra.runtime.output_dir))
    if run.root.resolve() in _claims:
        return str(run.root)
    is_alone = hydra.mode is RunMode.RUN
    # Where it was not typed, the folder was asked for, and that checks.
    if is_alone and "inksweep.run_dir" not in str(OmegaConf.to_container(hydra.run, resolve=False)):
        check(root)
    _refuse_tilde(*(("hydra.run.dir", hydra.run.dir) if is_alone else ("hydra.sweep.dir", hydra.sweep.dir)))
    resume = OmegaConf.select(root, "trainer.resume")
    if resume is not None:
        _check_resumed(run, resume, hydra)
        _claims[run.root.resolve()] = _locked(run)
        return str(run.root)
    _check_free(run, hydra)
    with _locked(run) as claim:
        _check_free(run, hydra)  # one may have ended meanwhile
        _claims[run.root.resolve()] = claim.pop_all()
    return str(run.root)


def _locked(run: RunDir) -> ExitStack:
    refusal = f"{shown(run.root)}: another process is writing this run; wait for it or stop it"
    with ExitStack() as stack:
        try:
            stack.enter_context(held(run.lock, refusal))
        except OSError as error:  # said here: OmegaConf would hide which file it is about
            raise InputError(f"{error.filename or run.root}: {error.strerror}; {WAYS_TO_WRITE}") from error
        return stack.pop_all()


def _refuse_what_is_no_text(hydra: DictConfig) -> None:
    """Refuse names of folders that are not UTF-8: Hydra ends in the middle of `.hydra/` when it writes them down."""
    for word in (hydra.runtime.cwd, hydra.runtime.output_dir, *hydra.overrides.task):
        try:
            str(word).encode()
        except UnicodeEncodeError:
            allowed = "UTF-8, or Hydra cannot write it down; rename the folder, or make a link to it and use that"
            raise InputError(f"{word}: must be {allowed}") from None


def _refuse_tilde(key: str, value: object) -> None:
    allowed = "written out, or as ${oc.env:HOME}/...: to Hydra ~ is the name of a folder"
    need(not str(value).startswith("~"), key, value, allowed)


def _check_free(run: RunDir, hydra: DictConfig) -> None:
    """Refuse a folder that holds a run, a winner or a sweep; other files in it are no matter."""
    what, ways = _content(run), ["name another folder"]
    if what is None:
        return
    if hydra.mode is not RunMode.RUN:
        ways = ["give each job a folder of its own (hydra.sweep.dir, hydra.sweep.subdir)"]
    elif find.is_file(run.checkpoint):
        ways.insert(0, f"go on with it (trainer.resume={shown(run.root)})")
    if find.is_run(run.root):
        ways.append("delete this one")
    place = f"hydra.run.dir={shown(run.root)}" if hydra.mode is RunMode.RUN else shown(run.root)
    raise InputError(f"{place}: holds {what} already; {', or '.join(ways)}")


def _content(run: RunDir) -> str | None:
    """Say what a folder holds that must not be written over; None if it is nothing of that kind."""
    if find.is_sweep(run.root):
        return "a sweep"
    if find.is_winner(run.root):
        return "a winner"
    if not find.is_run(run.root):
        return None
    status = result.read_or_empty(run.result).status if find.is_file(run.result) else None
    return "a run that did not end" if status is None else f"a run ({status.value})"


def _check_resumed(run: RunDir, resume: str, hydra: DictConfig) -> None:
    need(hydra.mode is RunMode.RUN, "trainer.resume", resume, "of a single run, without -m")
    is_same = typed(resume, "trainer.resume").resolve() == run.root.resolve()
    need(is_same, "hydra.run.dir", hydra.run.dir, f"left out with trainer.resume={resume}: it goes on in its folder")
    subdir = hydra.output_subdir
    is_kept = subdir is None or (run.root / subdir).resolve() != run.config.parent.resolve()
    need(is_kept, "hydra.output_subdir", subdir, "left out with trainer.resume: what was composed first is kept")
