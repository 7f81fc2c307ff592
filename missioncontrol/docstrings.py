"""Docstrings under the fields of structs: what each is, once, for help, settings and the interface for programs."""

from __future__ import annotations

import ast
import inspect
import textwrap
from functools import cache

import msgspec


@cache
def field_docs(kind: type) -> dict[str, str]:
    """The docstring under each field of a struct and of those that it is made from, in one line."""
    found = {} if kind.__base__ in (msgspec.Struct, None) else dict(field_docs(kind.__base__))
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(after, ast.Expr):
            found[field.target.id] = " ".join(str(ast.literal_eval(after.value)).split())
    return found
