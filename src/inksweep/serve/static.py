"""The files of the page at `/`, as they lie in page/, read once at the start."""

import hashlib
import mimetypes
from collections.abc import Iterator
from pathlib import Path

from fastapi import FastAPI, Request, Response

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"
# What mimetypes does not know everywhere: it reads the system's tables.
TYPES = {".js": "text/javascript", ".webp": "image/webp", ".svg": "image/svg+xml", ".webmanifest": "application/json"}


def add(app: FastAPI) -> list[str]:
    """Add a path for each file of the page to an app; return these paths."""
    return list(_added(app))


def _added(app: FastAPI) -> Iterator[str]:
    for file in sorted(FOLDER.rglob("*")):
        if not file.is_file() or file.suffix in (".py", ".pyc"):
            continue
        name = file.relative_to(FOLDER).as_posix()
        path = "/" if name == INDEX else f"/{name}"
        app.add_route(path, _sender(file), ["GET"], include_in_schema=False)
        yield path


def _sender(file: Path):  # type: ignore[no-untyped-def]
    content = file.read_bytes()
    kind = TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    # A browser asks each time whether its copy is still the file.
    headers = {"ETag": tag, "Cache-Control": "no-cache"}

    async def send(request: Request) -> Response:
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=kind)

    return send
