"""The built UI."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import File

UI = Path(__file__).parents[1] / "ui" / "dist"
_NOT_BUILT = """<!doctype html><html lang="en"><title>missioncontrol</title>
<h1>missioncontrol</h1><p>The service runs, but its user interface is not built.</p>
<p>Run <code>make setup</code> in the source tree (it needs Node.js 20), or
<code>npm ci &amp;&amp; npm run build</code> in <code>missioncontrol/ui</code>.</p>
<p>The interface for programs is described at <a href="/schema">/schema</a>.</p></html>"""


def _file(path: Path) -> Response[Any]:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix in (".js", ".mjs"):
        kind = "text/javascript"
    lasting = "public, max-age=31536000, immutable" if path.parent.name == "assets" else "no-cache"
    return File(path, media_type=kind, content_disposition_type="inline", headers={"Cache-Control": lasting})


@get("/", include_in_schema=False)
async def index() -> Response[Any]:
    """The UI, or how to build it."""
    page = UI / "index.html"
    return _file(page) if page.is_file() else Response(_NOT_BUILT, media_type=MediaType.HTML)


@get("/{path:path}", include_in_schema=False)
async def page(path: FromPath[Path], request: Request[Any, Any, Any]) -> Response[Any]:
    """A file of the UI; a place inside the UI is its index page."""
    asked = str(path).lstrip("/")
    found = (UI / asked).resolve()
    if found.is_file() and found.is_relative_to(UI.resolve()):
        return _file(found)
    wants_page = "text/html" in request.headers.get("accept", "")
    if "." in asked.rpartition("/")[2] or asked.startswith("api/") or not wants_page:
        raise NotFoundException(f"nothing at /{asked}")
    return await index.fn()  # type: ignore[no-any-return]
