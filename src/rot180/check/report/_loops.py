"""The definition of an output as plain loops in Python, one product at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rot180 import ops
from rot180.check.cases import Case
from rot180.check.report._definition import counted, shape, sums
from rot180.check.report._formula import formula
from rot180.notation import Access, Affine, Sum

__all__ = ["definition", "maxima"]

Lines = list[str]
_INDENT: Final = "    "


def definition(case: Case, function: str, output: str) -> Lines:
    """Returns lines that compute `expected` from the operands, by their names."""
    head = [f"# {line}" for line in formula(case, function, output).split("\n")]
    if case.kind == "relu":
        return [*head, *_relu(case, output)]
    parts = sums(case, function, output)
    if case.kind == "max_pool":
        body = _max_pool(case, parts[0]) if output == "y" else _selected(case, parts[0])
    elif case.kind == "avg_pool":
        body = _avg_pool(case, parts[0], output)
    else:
        body = [line for part in parts for line in _sum(case, part)]
    filled = "-np.inf" if case.kind == "max_pool" and output == "y" else None
    return [*head, _new("expected", shape(case, output), filled), *body]


def _new(name: str, extents: Sequence[int], filled: str | None = None) -> str:
    text = tuple(extents)
    if filled is None:
        return f"{name} = np.zeros({text})"
    return f"{name} = np.full({text}, {filled})"


def _relu(case: Case, output: str) -> Lines:
    passed = (
        "0 if x[at] <= 0 else x[at]" if output == "y" else "dy[at] if x[at] > 0 else 0"
    )
    return [
        _new("expected", shape(case, "x")),
        "for at in np.ndindex(x.shape):",
        f"    expected[at] = {passed}",
    ]


def _sum(case: Case, part: Sum) -> Lines:
    loop = _Loop(case, part)
    factors = " * ".join(loop.text(factor) for factor in part.formula.factors)
    return loop.around(f"expected{loop.place(part.formula.out)} += {factors}")


def _max_pool(case: Case, part: Sum) -> Lines:
    loop = _Loop(case, part)
    here, (x,) = f"expected{loop.place(part.formula.out)}", part.formula.factors
    return loop.around(f"{here} = np.maximum({here}, {loop.text(x)})")


def _selected(case: Case, part: Sum) -> Lines:
    """The gradient of maximum pooling; the first of equals is the largest."""
    loop = _Loop(case, part)
    (dy,), x = part.formula.factors, part.formula.out
    here, there = loop.place(dy)[1:-1], loop.place(x)[1:-1]
    return [
        "largest = {}  # by window: where its largest value stands",
        *loop.around(
            f"window, place = ({here}), ({there})",
            "if window not in largest or x[place] > x[largest[window]]:",
            "    largest[window] = place",
        ),
        "for window, place in largest.items():",
        "    expected[place] += dy[window]",
    ]


def maxima(case: Case) -> Lines:
    """Returns lines that compute `is_maximum`: where a window has its largest value."""
    (part,) = sums(case, "max_pool", "y")
    loop = _Loop(case, part)
    (x,) = part.formula.factors
    here, there = loop.place(part.formula.out), loop.place(x)
    raised = f"largest{here} = np.maximum(largest{here}, x{there})"
    return [
        _new("largest", shape(case, "y"), "-np.inf"),
        *loop.around(raised),
        "is_maximum = np.zeros(x.shape, bool)",
        *loop.around(f"is_maximum{there} |= x{there} == largest{here}"),
    ]


def _avg_pool(case: Case, part: Sum, output: str) -> Lines:
    if case.divisor_override is not None:
        lines = _sum(case, part)
        return [*lines, f"expected /= {case.divisor_override}"]
    forward = sums(case, "avg_pool", "y")[0]
    lines = [_new("count", shape(case, "y")), *_count(case, forward)]
    lines.append("count = np.maximum(count, 1)")
    if output == "y":
        return [*lines, *_sum(case, part), "expected /= count"]
    loop = _Loop(case, part)
    (dy,) = part.formula.factors
    share = f"{loop.text(dy)} / count{loop.place(dy)}"
    place = loop.place(part.formula.out)
    return [*lines, *loop.around(f"expected{place} += {share}")]


def _count(case: Case, part: Sum) -> Lines:
    """How many positions each window takes in."""
    loop = _Loop(case, part, counted(case))
    return loop.around(f"count{loop.place(part.formula.out)} += 1")


class _Loop:
    """The loops of a sum, and the condition under which its window lies inside.

    Positions of the window that may lie outside have names of their own, `h i j`; only
    these are looked at.
    """

    def __init__(
        self, case: Case, part: Sum, inside: Sequence[tuple[int, int]] | None = None
    ) -> None:
        """Names the positions that may lie outside; `inside` says where inside is."""
        self._sum = part
        self._names: dict[Affine, str] = {}
        self._conditions: Lines = []
        for access in part.formula.accesses:
            extents = shape(case, access.tensor)
            spatial = ops.spatial_axes(case.layout, case.rank + 2)
            shift = 1 if case.images is None else 0
            for axis, (position, extent) in enumerate(
                zip(access.axes, extents, strict=True)
            ):
                dim = axis + shift - spatial[0]
                first, end = 0, extent
                if inside is not None and 0 <= dim < case.rank and access.tensor == "x":
                    first, end = inside[dim]
                self._guard(position, first, end)

    def _guard(self, position: Affine, first: int, end: int) -> None:
        low, high = self._sum.bounds(position)
        if position in self._names or (first <= low and high < end):
            return
        name = (
            f"h{len(self._names)}" if len(self._names) > 2 else "hij"[len(self._names)]
        )
        self._names[position] = name
        self._conditions.append(f"{first} <= {name} < {end}")

    def place(self, access: Access) -> str:
        """Returns the subscript of an access."""
        axes = (self._names.get(axis, str(axis)) for axis in access.axes)
        return f"[{', '.join(axes)}]"

    def text(self, access: Access) -> str:
        """Returns an access as Python."""
        return access.tensor + self.place(access)

    def around(self, *body: str) -> Lines:
        """Returns the loops, the condition, and `body` inside."""
        indices = self._sum.formula.indices
        counts = ", ".join(str(self._sum.extents[index]) for index in indices)
        target = ", ".join(indices) + ("," if len(indices) == 1 else "")
        lines = [f"for {target} in np.ndindex({counts}):"]
        if not self._names:
            return [*lines, *(_INDENT + line for line in body)]
        names, values = ", ".join(self._names.values()), map(str, self._names)
        lines.append(f"{_INDENT}{names} = {', '.join(values)}")
        lines.append(f"{_INDENT}if {' and '.join(self._conditions)}:")
        return [*lines, *(_INDENT * 2 + line for line in body)]
