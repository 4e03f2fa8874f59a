"""`inksweep init FOLDER`: conf/ and train.py, which train a digit classifier, as files of the user's own.

They lie at the top of the repository, and a wheel carries a copy of them.
"""

import secrets
import shlex
import shutil
from contextlib import suppress
from pathlib import Path

from inksweep import extras
from inksweep.errors import InputError

# What a run or a tracker writes, as the .gitignore of the repository names it.
IGNORED = ("/outputs/", "/multirun/", "/data/", "/mlflow.db*", "/mlruns/", "/wandb/")


def run(folder: Path) -> None:
    """Write conf/, train.py and .gitignore into a folder, all or none of them, and say what to type next.

    Files that are there are not touched. A .gitignore that is there stays as it is; a line then says what it should
    name.

    Args:
        folder: made if it is not there; other files in it do no harm.

    Raises:
        InputError: a file that would be written is there.
    """
    origin = extras.source()
    files = [Path("train.py"), *sorted(path.relative_to(origin) for path in (origin / "conf").rglob("*.yaml"))]
    for path in files:
        # A file where a folder is to be is in the way just as well.
        if taken := next((part for part in (path, *path.parents[:-1]) if _is_in_the_way(folder, part, path)), None):
            raise InputError(f"{folder / taken}: is there already; nothing was written, name another folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; nothing was written, name another folder")
    ignored = (folder / ".gitignore").exists()
    _write(origin, files, None if ignored else "\n".join(["# what a run writes", *IGNORED, ""]), folder)
    print(f"{folder}: train.py and conf/ with {len(files) - 1} files")
    if ignored:
        print(f"{folder / '.gitignore'} stays as it is; let it name {', '.join(IGNORED)}")
    steps = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    if extras.missing(extras.EXTRAS["digits"]):
        steps.insert(0, extras.install("digits"))
    print(f"next: {' && '.join([*steps, 'python train.py'])}")


def _is_in_the_way(folder: Path, part: Path, path: Path) -> bool:
    there = folder / part
    return (there.exists() or there.is_symlink()) and (part == path or not there.is_dir())


def _write(origin: Path, files: list[Path], ignored: str | None, folder: Path) -> None:
    """Write everything into a hidden folder first and move it into place; what was moved is taken back on a failure."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]  # the deepest first
    building = folder / f".init-{secrets.token_hex(4)}"
    moved: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            (building / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(origin / path, building / path)
        if ignored is not None:
            (building / ".gitignore").write_text(ignored, encoding="utf-8")
            files = [*files, Path(".gitignore")]
        for path in files:
            for parent in reversed((folder / path).parents):
                if not parent.exists():
                    parent.mkdir()
                    made.insert(0, parent)
            (building / path).rename(folder / path)
            moved.append(folder / path)
    except BaseException:
        for file in moved:
            file.unlink()
        shutil.rmtree(building, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # one that was not made yet
                parent.rmdir()
        raise
    shutil.rmtree(building)
