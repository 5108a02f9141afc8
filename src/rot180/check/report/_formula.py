"""The formula of a pass, and one cell of it worked out, as a person would write it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rot180 import ops
from rot180.check.cases import OUTPUTS, Case
from rot180.check.report._definition import counted, sums
from rot180.check.subjects import Array, number
from rot180.notation import Access, Point, Sum

__all__ = ["cell", "formula"]

_SHOWN: Final = 8  # terms of a cell that are written out
_MOST: Final = 20_000  # beyond so many no total is worked out


def formula(case: Case, function: str, output: str) -> str:
    """Returns the formula of an output with the case's numbers; a line for each sum.

    Args:
        case: The configuration.
        function: As in `OUTPUTS`.
        output: One of its outputs; all of them for `""` or any other name.
    """
    known = OUTPUTS[function]
    outputs = [output] if output in known else known
    return "\n".join(line for name in outputs for line in _lines(case, function, name))


def _lines(case: Case, function: str, output: str) -> list[str]:
    if case.kind == "relu":
        return ["y = max(x, 0)" if output == "y" else "dx = dy where x > 0, else 0"]
    lines = [str(part.formula) for part in sums(case, function, output)]
    if case.kind == "avg_pool":
        lines[0] += f", each {_share(case)}"
    if case.kind == "max_pool" and output == "dx":
        lines[0] += ", only the largest of each window of x"
    return lines


def _share(case: Case) -> str:
    if case.divisor_override is not None:
        return f"divided by {case.divisor_override}"
    padded = " and padding" if case.count_include_pad else ""
    return f"divided by the number of positions of x{padded} in its window"


@dataclass(frozen=True, slots=True)
class _Term:
    """One term of a cell: its text in letters, in numbers, and its value."""

    letters: str
    numbers: str
    value: float


def cell(
    case: Case,
    function: str,
    output: str,
    index: Sequence[int],
    operands: Mapping[str, Array],
) -> str:
    """Returns one element of an output worked out, in letters and in numbers.

        dx[0, 0, 1, 1] = dy[0, 0, 0, 0]*w[0, 0, 1, 1] + ... = 2*3 + ... = 10

    The steps stand on lines of their own where one line is too short.
    """
    at = tuple(int(i) for i in index)
    head = f"{output}[{', '.join(map(str, at))}]"
    if case.kind == "relu":
        return _relu(head, output, at, operands)
    case = replace(case, bias="b" in operands)
    parts = sums(case, function, output)
    terms = list(itertools.islice(_terms(case, parts, at, operands), _MOST + 1))
    if case.kind == "max_pool" and output == "y":
        largest = number(max((term.value for term in terms), default=-math.inf))
        plain = [replace(term, numbers=number(term.value)) for term in terms]
        steps = (
            f"max({_list(plain, ', ', letters=wanted)})" for wanted in (True, False)
        )
        return _steps(head, *steps, largest)
    if not terms:
        return f"{head} = 0, since no product goes there"
    total = "..." if len(terms) > _MOST else number(math.fsum(t.value for t in terms))
    return _steps(head, _list(terms, " + ", letters=True), _list(terms, " + "), total)


def _list(terms: Sequence[_Term], sign: str, *, letters: bool = False) -> str:
    shown = [t.letters if letters else t.numbers for t in terms[:_SHOWN]]
    return sign.join(shown + ["..."] * (len(terms) > _SHOWN))


def _steps(head: str, *steps: str) -> str:
    distinct = [step for step, _ in itertools.groupby(steps)]
    line = " = ".join([head, *distinct])
    return line if len(line) <= 76 else "\n  = ".join([head, *distinct])


def _relu(
    head: str, output: str, at: tuple[int, ...], operands: Mapping[str, Array]
) -> str:
    x = operands["x"][at]
    place = f"[{', '.join(map(str, at))}]"
    if output == "y":
        return f"{head} = max(x{place}, 0) = max({number(x)}, 0) = {number(max(x, 0))}"
    if x > 0:
        return f"{head} = dy{place} = {number(operands['dy'][at])}"
    return f"{head} = 0, since x{place} is {number(x)}"


def _terms(
    case: Case, parts: Sequence[Sum], at: tuple[int, ...], operands: Mapping[str, Array]
) -> Iterable[_Term]:
    for part in parts:
        selects = case.kind == "max_pool" and part.formula.reduction == "add"
        for point in part.points(at):
            factors = [(f, f.at(point)) for f in part.formula.factors]
            if not all(_inside(place, operands[f.tensor]) for f, place in factors):
                continue
            if selects and not _is_chosen(case, part, point, operands["x"]):
                continue
            yield _term(factors, operands, _divisor(case, point))


def _inside(place: Sequence[int], array: Array) -> bool:
    return all(0 <= i < e for i, e in zip(place, array.shape, strict=True))


def _term(
    factors: Sequence[tuple[Access, tuple[int, ...]]],
    operands: Mapping[str, Array],
    divisor: int | None,
) -> _Term:
    over = "" if divisor is None else f"/{divisor}"
    values = [float(operands[f.tensor][place]) for f, place in factors]
    names = [f"{f.tensor}[{', '.join(map(str, place))}]" for f, place in factors]
    texts = [number(v) if v >= 0 else f"({number(v)})" for v in values]
    value = math.prod(values) / (divisor or 1)
    return _Term("*".join(names) + over, "*".join(texts) + over, value)


def _divisor(case: Case, point: Point) -> int | None:
    """By how much the window of `point` is divided in average pooling."""
    if case.kind != "avg_pool":
        return None
    if case.divisor_override is not None:
        return case.divisor_override
    count = 1
    for (begin, end), places in zip(counted(case), _places(case, point), strict=True):
        count *= sum(begin <= place < end for place in places)
    return max(count, 1)


def _places(case: Case, point: Point) -> list[list[int]]:
    """The positions of `x` under the window of `point`, by dimension."""
    window, letters = case.window, ops.positions(case.rank)
    return [
        [point[p] * step + r * dilation - low for r in range(taps)]
        for p, step, dilation, (low, _), taps in zip(
            letters, window.stride, window.dilation, window.padding,
            case.kernel_size, strict=True,
        )
    ]  # fmt: skip


def _is_chosen(case: Case, part: Sum, point: Point, x: Array) -> bool:
    """Whether the maximum of its window stands at this point, the first of equals."""
    source = part.formula.out
    taps = ops.taps(case.rank)
    window = [
        source.at({**point, **dict(zip(taps, tap, strict=True))})
        for tap in np.ndindex(*case.kernel_size)
    ]
    inside = [place for place in window if _inside(place, x)]
    best = max(inside, key=lambda place: float(x[place]))  # the first of equals
    return best == source.at(point)
