"""The page: one file that needs nothing else, saved or served."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._code import FRAMEWORKS
from rot180.explain._document import document
from rot180.explain._interface import texts
from rot180.explain._setting import PARAMETERS
from rot180.explain._words import LANGUAGES

if TYPE_CHECKING:
    from rot180.explain._explained import Explained

# Bytes of the largest page.
MOST_BYTES: Final = 500_000
# In this order they make one script.
_SCRIPTS: Final = (
    "model", "elements", "formula", "squares", "stage", "controls", "view", "steps",
    "numbers", "address", "server", "events",
)  # fmt: skip
# How a page looks, besides what it explains.
VIEW: Final = ("pass", "cell", "show", "language", "theme")


def page(
    found: Explained,
    *,
    view: Mapping[str, str] | None = None,
    served: bool = False,
) -> str:
    """Returns the page of an explanation, as HTML.

    Args:
        found: What it shows first.
        view: How it looks at first: `pass`, the tensor that is computed; `cell`, the
            name of one of its numbers; `show`, `numbers` or `letters`; `language`, `en`
            or `zh`, else what the browser prefers; `theme`, `light`, `dark` or `auto`.
        served: Whether a server computes what is changed; else the page adds up the
            terms itself, and the parameters cannot be changed.

    Raises:
        ArgumentError: There is no such view, or the page would have more than 500,000
            bytes.
    """
    numbered, shown = found.numbered(), checked(found, view or {})
    if found.values is None:
        shown = {"show": "letters"} | shown
    data = {
        "document": document(numbered, texts=False),
        "view": shown,
        "served": served,
        "parameters": [_parameter(known) for known in PARAMETERS],
        "paddings": ops.PADDINGS,
        "frameworks": FRAMEWORKS,
        "texts": texts(),
    }
    html = _read("page.html")
    for name, text in (
        ("policy", policy(served=served)),
        ("style", _read("page.css")),
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


def checked(found: Explained, view: Mapping[str, str]) -> dict[str, str]:
    """Returns a view, with the pass that its cell belongs to.

    Raises:
        ArgumentError: A name or a word is not known.
    """
    label = found.names.label
    owners = {label(e.cell): part.out for part in found.passes for e in part.equations}
    known = {
        "pass": tuple(part.out for part in found.passes),
        "cell": tuple(owners),
        "show": ("numbers", "letters"),
        "language": LANGUAGES,
        "theme": ("auto", "light", "dark"),
    }
    for name, word in view.items():
        if not ops.is_among(word, known.get(name, ())):
            some = ", ".join(known.get(name, VIEW)[:20])
            raise ArgumentError(
                f"explain: {name} is {str(word)[:40]!r}, which is not known\n"
                f"  Use {some}."
            )
    cell = view.get("cell")
    of = {} if cell is None else {"pass": owners[cell]}
    return dict(view) | of


def policy(*, served: bool) -> str:
    """Returns the content security policy: our one script and style, nothing else."""
    connect = "'self'" if served else "'none'"
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{_hash(_script())}'",
            f"style-src '{_hash(_read('page.css'))}'",
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


@cache
def _script() -> str:
    parts = "\n".join(_read(f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}\n}})();\n'
