"""The page: one file that needs nothing else, saved or served."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any, Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._code import FRAMEWORKS
from rot180.explain._document import document
from rot180.explain._explanation import Explanation
from rot180.explain._interface import texts
from rot180.explain._setting import PARAMETERS
from rot180.explain._words import Language

# Bytes of the largest page.
MOST_BYTES: Final = 500_000
# In this order they make one script.
_SCRIPTS: Final = (
    "model", "formula", "grids", "stage", "controls", "page",
)  # fmt: skip


def page(
    found: Explanation, *, language: Language | None = None, served: bool = False
) -> str:
    """Returns the page of an explanation, as HTML.

    Args:
        found: What it shows first.
        language: What it speaks first; None for what the browser prefers.
        served: Whether a server computes what is changed; else the page adds up the
            terms itself, and the parameters cannot be changed.

    Raises:
        ArgumentError: The page would have more than 500,000 bytes.
    """
    data = {
        "document": document(found, texts=False),
        "language": language,
        "served": served,
        "parameters": [_parameter(known) for known in PARAMETERS],
        "paddings": ops.PADDINGS,
        "frameworks": FRAMEWORKS,
        "texts": texts(),
    }
    html = _template()
    for name, text in (
        ("policy", policy(served=served)),
        ("style", _style()),
        ("data", _embedded(data)),
        ("script", _script()),
    ):
        html = html.replace(f"<!-- {name} -->", text)
    size = len(html.encode())
    if size > MOST_BYTES:
        raise ArgumentError(
            f"explain: the page would have {size:,} bytes, at most {MOST_BYTES:,} are "
            "written\n  Use a smaller input or kernel, or fewer channels."
        )
    return html


def policy(*, served: bool) -> str:
    """Returns the content security policy: our one script and style, nothing else."""
    connect = "'self'" if served else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(_script())}'",
            f"style-src '{_hash(_style())}'",
            "img-src data:",
            f"connect-src {connect}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _parameter(known: Any) -> dict[str, Any]:
    return {
        "name": known.name,
        "form": known.form.name,
        "layers": known.layers,
        "least": known.least,
        "most": known.most,
        "choices": known.choices,
        "example": known.form.example,
    }


def _embedded(data: dict[str, Any]) -> str:
    """JSON that cannot end the element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _read(name: str) -> str:
    return (files("rot180.explain") / "page" / name).read_text(encoding="utf-8")


def _template() -> str:
    return _read("page.html")


def _style() -> str:
    return _read("page.css")


@cache
def _script() -> str:
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'
