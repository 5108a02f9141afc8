"""The definition of an output as plain loops in Python, one product at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rot180 import ops
from rot180.check.cases import Case
from rot180.check.report._definition import counted, shape, sums
from rot180.check.report._formula import formula
from rot180.notation import Access, Sum

__all__ = ["definition", "maxima"]

Lines = list[str]
Span = tuple[int, int]
_INDENT: Final = "    "


def definition(case: Case, function: str, output: str) -> Lines:
    """Returns lines that compute `expected` from the operands, by their names."""
    head = [f"# {line}" for line in formula(case, function, output).split("\n")]
    if case.kind == "relu":
        return [*head, *_relu(case, output)]
    parts = sums(case, function, output)
    if case.kind == "max_pool" and output == "y":
        return [*head, *_maximum(case, parts[0], "expected")]
    if case.kind == "max_pool":
        body = _selected(case, parts[0])
    elif case.kind == "avg_pool":
        body = _avg_pool(case, parts[0], output)
    else:
        body = [line for part in parts for line in _sum(case, part)]
    return [*head, _zeros("expected", case, output), *body]


def _zeros(name: str, case: Case, tensor: str) -> str:
    return f"{name} = np.zeros({shape(case, tensor)})"


def _relu(case: Case, output: str) -> Lines:
    passed = (
        "0 if x[at] <= 0 else x[at]" if output == "y" else "dy[at] if x[at] > 0 else 0"
    )
    return [
        _zeros("expected", case, "x"),
        "for at in np.ndindex(x.shape):",
        f"    expected[at] = {passed}",
    ]


def _sum(case: Case, part: Sum) -> Lines:
    factors = " * ".join(map(str, part.formula.factors))
    return _loop(case, part, f"expected{_place(part.formula.out)} += {factors}")


def _maximum(case: Case, part: Sum, name: str) -> Lines:
    here, (x,) = f"{name}{_place(part.formula.out)}", part.formula.factors
    new = f"{name} = np.full({shape(case, 'y')}, -np.inf)"
    return [new, *_loop(case, part, f"{here} = np.maximum({here}, {x})")]


def _selected(case: Case, part: Sum) -> Lines:
    """The gradient of maximum pooling; the first of equals is the largest."""
    (dy,), x = part.formula.factors, part.formula.out
    return [
        "largest = {}  # by window: where its largest value stands",
        *_loop(
            case,
            part,
            f"window, place = ({_place(dy)[1:-1]}), ({_place(x)[1:-1]})",
            "if window not in largest or x[place] > x[largest[window]]:",
            "    largest[window] = place",
        ),
        "for window, place in largest.items():",
        "    expected[place] += dy[window]",
    ]


def maxima(case: Case) -> Lines:
    """Returns lines that compute `is_maximum`: where a window has its largest value."""
    (part,) = sums(case, "max_pool", "y")
    here, (x,) = f"largest{_place(part.formula.out)}", part.formula.factors
    return [
        *_maximum(case, part, "largest"),
        "is_maximum = np.zeros(x.shape, bool)",
        *_loop(case, part, f"is_maximum{_place(x)} |= {x} == {here}"),
    ]


def _avg_pool(case: Case, part: Sum, output: str) -> Lines:
    if case.divisor_override is not None:
        return [*_sum(case, part), f"expected /= {case.divisor_override}"]
    forward = sums(case, "avg_pool", "y")[0]
    counting = f"count{_place(forward.formula.out)} += 1"
    lines = [
        _zeros("count", case, "y"),
        *_loop(case, forward, counting, region=counted(case)),
        "count = np.maximum(count, 1)",
    ]
    if output == "y":
        return [*lines, *_sum(case, part), "expected /= count"]
    (dy,) = part.formula.factors
    share = f"expected{_place(part.formula.out)} += {dy} / count{_place(dy)}"
    return [*lines, *_loop(case, part, share)]


def _place(access: Access) -> str:
    return f"[{', '.join(map(str, access.axes))}]"


def _loop(case: Case, part: Sum, *body: str, region: Sequence[Span] = ()) -> Lines:
    """The loops of a sum, the condition that its positions exist, and `body` inside.

    Args:
        case: The configuration.
        part: The sum.
        body: What is done for each product.
        region: From where to where the dimensions of `x` go; as they do, by default.
    """
    indices = part.formula.indices
    counts = ", ".join(str(part.extents[index]) for index in indices)
    target = ", ".join(indices) + ("," if len(indices) == 1 else "")
    guards = dict.fromkeys(
        guard
        for access in part.formula.accesses
        for guard in _guards(case, part, access, region)
    )
    lines = list(body)
    if guards:
        lines = [f"if {' and '.join(guards)}:", *(_INDENT + line for line in body)]
    head = f"for {target} in np.ndindex({counts}):"
    return [head, *(_INDENT + line for line in lines)]


def _guards(
    case: Case, part: Sum, access: Access, region: Sequence[Span]
) -> Iterator[str]:
    spans = [(0, extent) for extent in shape(case, access.tensor)]
    if region and access.tensor == "x":
        first = ops.spatial_axes(case.layout, case.rank + 2)[0]
        first -= case.images is None
        spans[first : first + case.rank] = region
    for axis, (begin, end) in zip(access.axes, spans, strict=True):
        low, high = part.bounds(axis)
        if low < begin or high >= end:
            yield f"{begin} <= {axis} < {end}"
