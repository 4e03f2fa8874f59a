"""The page at /docs: what can be asked, out of the OpenAPI description. It needs no script, and nothing from elsewhere.

The usual pages for this, Swagger UI and ReDoc, come from another server and need inline styles, which the content
security policy forbids.
"""

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response

CSS = Path(__file__).with_name("documentation.css")


def add(app: FastAPI, *, with_key: bool) -> None:
    """Add /docs and its style to an app whose other paths are all there."""
    described = _described(app, with_key=with_key)
    app.openapi = lambda: described  # type: ignore[method-assign]  # FastAPI's way to change the description
    page = "".join(_page(described)).encode()
    css = CSS.read_bytes()

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return Response(page, media_type="text/html; charset=utf-8")

    @app.get("/docs.css", include_in_schema=False)
    async def style(request: Request) -> Response:
        return Response(css, media_type="text/css; charset=utf-8")


def _described(app: FastAPI, *, with_key: bool) -> dict[str, Any]:
    """Return the OpenAPI description, completed by what FastAPI does not know."""
    described = app.openapi()
    schemas = described["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):  # ours have the schema Error
        schemas.pop(name, None)
    if with_key:
        described["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        refusal = {"$ref": "#/components/schemas/Error"}
        for path, methods in described["paths"].items():
            if path.startswith(("/v1/", "/metrics")):
                for operation in methods.values():
                    operation["security"] = [{"bearer": []}, {"header": []}]
                    operation["responses"]["401"] = {
                        "description": "No API key, or a wrong one.",
                        "content": {"application/json": {"schema": refusal}},
                    }
    return described


def _page(described: Mapping[str, Any]) -> Iterator[str]:
    info = described["info"]
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>inksweep: API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="docs.css"><link rel="icon" href="icon.svg"></head><body><main>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        '<p><a href="./">Draw a digit</a> · <a href="openapi.json">OpenAPI description</a></p>'
    )
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield from _operation(method.upper(), path, operation)
    yield "<h2>Objects</h2>"
    for name, schema in described["components"]["schemas"].items():
        yield f'<section id="{escape(name)}"><h3>{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
        yield from _fields(schema)
        yield "</section>"
    yield "</main></body></html>"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section><h2><code>{method} {escape(path)}</code> {escape(operation['summary'])}</h2>"
    yield f"<p>{_prose(operation.get('description', ''))}</p>"
    if operation.get("security"):
        yield "<p>With an API key: <code>Authorization: Bearer KEY</code> or <code>X-API-Key: KEY</code>.</p>"
    rows = [
        (f"?{each['name']}=", _kind(each["schema"]), each.get("description", ""))
        for each in operation.get("parameters", [])
    ]
    body = operation.get("requestBody", {})
    rows += [(kind, _kind(content["schema"]), body.get("description", "")) for kind, content in
             body.get("content", {}).items()]  # fmt: skip
    yield from _table(("send", "type", "meaning"), rows)
    answers = []
    for status, answer in operation["responses"].items():
        schema: dict[str, Any] = next((content.get("schema", {}) for content in answer.get("content", {}).values()), {})
        answers.append((status, _kind(schema), answer.get("description", "")))
    yield from _table(("status", "answer", "when"), answers)
    yield "</section>"


def _fields(schema: Mapping[str, Any]) -> Iterator[str]:
    rows = [(name, _kind(each), each.get("description", "")) for name, each in schema.get("properties", {}).items()]
    yield from _table(("key", "type", "meaning"), rows)


def _kind(schema: Mapping[str, Any]) -> str:
    """Return a type in words, as HTML."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_kind(each) for each in choices)
    kind = schema.get("type", "")
    if kind == "array":
        many = f"{schema['minItems']} " if schema.get("minItems", 0) == schema.get("maxItems") else ""
        return f"list of {many}{_kind(schema.get('items', {}))}"
    if kind == "object" and "properties" in schema:
        return ", ".join(f"{escape(name)}: {_kind(each)}" for name, each in schema["properties"].items())
    bounds = [str(schema[key]) for key in ("minimum", "maximum") if key in schema]
    kind = f"{kind} {' to '.join(bounds)}" if len(bounds) == 2 else kind
    form = schema.get("format") or schema.get("contentEncoding")
    default = f", default {json.dumps(schema['default'])}" if "default" in schema else ""
    return escape(f"{kind} ({form})" if form else kind) + escape(default)


def _prose(text: str) -> str:
    """Return a description as HTML: what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> Iterator[str]:
    """Yield a table; the second cell of a row is HTML."""
    if not rows:
        return
    yield f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>"
    for first, kind, meaning in rows:
        yield f"<tr><td><code>{escape(first)}</code></td><td>{kind}</td><td>{_prose(meaning)}</td></tr>"
    yield "</tbody></table>"
