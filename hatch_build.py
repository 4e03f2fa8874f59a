"""Puts conf/ and train.py into the wheel, for `inksweep init`: their one source lies here, at the top."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Starter(BuildHookInterface):
    """Adds them to a wheel that is handed on. An editable install has them at hand; a copy in it would grow old."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name what goes into the wheel besides the package; `version` is `editable` or `standard`."""
        if version != "editable":
            build_data["force_include"] |= {
                "conf": "inksweep/starter/conf",
                "train.py": "inksweep/starter/train.py",
            }
