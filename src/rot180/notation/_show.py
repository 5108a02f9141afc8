"""Pointing into a formula's text, and its LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rot180.errors import InternalError
from rot180.notation._affine import Affine

if TYPE_CHECKING:
    from rot180.notation._contraction import Access, Contraction


def point(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """Returns `text` and, on a second line, a caret under the start of every span."""
    starts = {start for start, _ in spans}
    carets = "".join("^" if i in starts else " " for i in range(max(starts) + 1))
    return f"{text}\n{carets}"


def spans_of(text: str, word: str) -> list[tuple[int, int]]:
    """Returns where `word` stands in `text` as a name of its own."""
    return [match.span() for match in re.finditer(rf"\b{re.escape(word)}\b", text)]


def span_of_axis(text: str, tensor: str, axis: int) -> tuple[int, int]:
    """Returns where a formula's text writes one axis of a tensor.

    Raises:
        InternalError: There is no such tensor or axis.
    """
    found = re.search(rf"\b{re.escape(tensor)}\[([^\]]*)\]", text)
    axes = found.group(1).split(",") if found else []
    if found is None or axis >= len(axes):
        raise InternalError(f"no axis {axis} of {tensor} in {text}")
    start = found.start(1) + sum(len(part) + 1 for part in axes[:axis])
    blanks = len(axes[axis]) - len(axes[axis].lstrip())
    return start + blanks, start + len(axes[axis])


def latex(formula: Contraction) -> str:
    r"""Returns a formula as LaTeX: `y_{p} \mathrel{+}= x_{p + r}\, w_{r}`."""
    sign = r"\mathrel{+}=" if formula.reduction == "add" else r"\overset{\max}{=}"
    factors = r"\, ".join(_latex_access(factor) for factor in formula.factors)
    return f"{_latex_access(formula.out)} {sign} {factors}"


def _latex_access(access: Access) -> str:
    axes = ",\\, ".join(_latex_axis(axis) for axis in access.axes)
    return f"{_latex_name(access.tensor)}_{{{axes}}}"


def _latex_axis(axis: Affine) -> str:
    return re.sub(r"[A-Za-z_]\w*|\*", lambda word: _latex_word(word.group()), str(axis))


def _latex_word(word: str) -> str:
    return r" \cdot " if word == "*" else _latex_name(word)


def _latex_name(name: str) -> str:
    head, _, tail = name.partition("_")
    shown = head if len(head) == 1 else rf"\mathit{{{head}}}"
    if head[:1] == "d" and len(head) == 2:
        shown = rf"\partial {head[1]}"
    return rf"{shown}_{{{tail}}}" if tail else shown
