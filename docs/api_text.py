"""Docstrings of the library as mkdocstrings reads them: returned values in prose, names without roles."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|func|meth|mod|attr):`~?([\w.]+)`")
RETURNS = re.compile(r"(Returns\n-+\n)(.*?)(?=\n\n\w[\w ]*\n-+\n|\Z)", re.DOTALL)


def readable(text: str, returned: str) -> str:
    """A docstring whose ``Returns`` is one entry of the type ``returned``, and whose roles are code."""
    text = ROLE.sub(r"`\1`", text)
    return RETURNS.sub(lambda found: f"{found[1]}{returned}\n{_indented(found[2])}", text)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


class ReadableDocstrings(griffe.Extension):
    """Rewrites every docstring when an object has been read."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            returned = getattr(obj, "returns", None) or getattr(obj, "annotation", None) or "value"
            obj.docstring.value = readable(obj.docstring.value, str(returned))
