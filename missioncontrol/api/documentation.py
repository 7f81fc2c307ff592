"""The interface for programs, described: OpenAPI with the words of our docstrings, and as one plain page."""

from __future__ import annotations

import html
from functools import cache
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin

from missioncontrol.docstrings import field_docs


class DescribedOpenApi(JsonRenderPlugin):
    """The OpenAPI document; each field says what it is."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """JSON."""
        return super().render(request, _described(openapi_schema))


class PlainDocumentation(OpenAPIRenderPlugin):
    """The operations of an OpenAPI document as one plain page that loads nothing from elsewhere."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """HTML."""
        rows = []
        for path, operations in sorted(openapi_schema["paths"].items()):
            for method, operation in operations.items():
                if isinstance(operation, dict) and "responses" in operation:
                    words = operation.get("description") or operation.get("summary") or ""
                    cells = (method.upper(), path, words, ", ".join(operation["responses"]))
                    rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
        title = html.escape(openapi_schema["info"]["title"])
        return (
            f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1>'
            f'<p>OpenAPI, with every field: <a href="/schema/openapi.json">openapi.json</a></p>'
            f'<table border="1" cellpadding="4"><tr><th>Method<th>Path<th>What it does<th>Answers</tr>'
            f"{''.join(rows)}</table></html>"
        ).encode()


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """The document, whose fields have the docstrings of our structs."""
    for operations in schema["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict) and operation.get("description"):
                operation["summary"] = operation["description"].partition("\n")[0]
    for name, component in schema.get("components", {}).get("schemas", {}).items():
        docs = field_docs(_structs()[name]) if name in _structs() else {}
        for field, said in docs.items():
            if field in component.get("properties", {}):
                component["properties"][field].setdefault("description", said)
    return schema


@cache
def _structs() -> dict[str, type]:
    """Our structs by name, without names that two of them share."""
    found: dict[str, list[type]] = {}
    todo = list(msgspec.Struct.__subclasses__())
    while todo:
        kind = todo.pop()
        todo.extend(kind.__subclasses__())
        if kind.__module__.split(".")[0] in ("missioncontrol", "fleet", "geo", "aerial_models"):
            found.setdefault(kind.__name__, []).append(kind)
    return {name: kinds[0] for name, kinds in found.items() if len(kinds) == 1}
