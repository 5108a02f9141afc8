"""All products of a sum, by the place that they go to.

Indices that share a position, such as `p` and `r` of `2*p + r`, belong together; the
others are independent. So each such family is worked out once, and every place of the
output combines what the families have for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rot180.notation._affine import Affine
from rot180.notation._contraction import Contraction
from rot180.notation._sum import Sum

Position: TypeAlias = tuple[int, ...]
# The positions of a product's factors.
Product: TypeAlias = tuple[Position, ...]


def products(
    total: Sum, shapes: Mapping[str, Sequence[int]]
) -> Iterator[tuple[Position, list[Product]]]:
    """Yields each position of the output with the products that go there.

    Those that read outside an operand are left out. They come channel by channel, and
    in row-major order of the positions of the window or the image.

    Args:
        total: The sum.
        shapes: The shapes of the output and of all factors, by name.
    """
    formula = total.formula
    families = [_Family.of(total, names, shapes) for names in _families(formula)]
    plans = [_plan(factor.axes, families) for factor in formula.factors]
    out = shapes[formula.out.tensor]
    for position in itertools.product(*(range(extent) for extent in out)):
        found = [family.going_to(position) for family in families]
        yield (
            position,
            [
                tuple([tuple([parts[i][slot] for i, slot in plan]) for plan in plans])
                for parts in itertools.product(*found)
            ],
        )


def _families(formula: Contraction) -> list[tuple[str, ...]]:
    """Returns the indices that share positions; those that share none come first."""
    families = [{index} for index in formula.indices]
    for access in formula.accesses:
        for axis in access.axes:
            shared = [f for f in families if f & set(axis.indices)]
            families = [f for f in families if f not in shared]
            families += [set().union(*shared)] if shared else []
    order = formula.indices.index
    sorted_ = (tuple(sorted(family, key=order)) for family in families)
    return sorted(sorted_, key=lambda names: (len(names) > 1, order(names[0])))


@dataclass(frozen=True, slots=True)
class _Family:
    """Some indices: where they put the output, and there the factors.

    Attributes:
        out: The output's axes that hold them.
        axes: The factors' axes that hold them.
        going: By place on the output's axes: the places on the factors' axes, in order.
    """

    out: tuple[int, ...]
    axes: tuple[Affine, ...]
    going: Mapping[Position, list[Position]]

    @classmethod
    def of(
        cls, total: Sum, names: tuple[str, ...], shapes: Mapping[str, Sequence[int]]
    ) -> _Family:
        out = tuple(
            i
            for i, axis in enumerate(total.formula.out.axes)
            if set(names) & set(axis.indices)
        )
        limits = _limits(total.formula, names, shapes)
        going: dict[Position, list[Position]] = {}
        for values in itertools.product(*(range(total.extents[n]) for n in names)):
            point = dict(zip(names, values, strict=True))
            places = tuple(axis.at(point) for axis in limits)
            inside = zip(places, limits.values(), strict=True)
            if all(0 <= place < limit for place, limit in inside):
                key = tuple(total.formula.out.axes[i].at(point) for i in out)
                going.setdefault(key, []).append(places)
        return cls(out, tuple(limits), going)

    def going_to(self, position: Position) -> list[Position]:
        return self.going.get(tuple([position[axis] for axis in self.out]), [])


def _limits(
    formula: Contraction, names: Sequence[str], shapes: Mapping[str, Sequence[int]]
) -> dict[Affine, int]:
    """Returns the factors' axes that hold the indices, each with its extent."""
    limits: dict[Affine, int] = {}
    for factor in formula.factors:
        for axis, extent in zip(factor.axes, shapes[factor.tensor], strict=True):
            if set(names) & set(axis.indices):
                limits[axis] = min(extent, limits.get(axis, extent))
    return limits


def _plan(axes: Sequence[Affine], families: Sequence[_Family]) -> list[tuple[int, int]]:
    """Returns for each axis of a factor which family knows its place, and where."""
    return [
        next(
            (i, family.axes.index(axis))
            for i, family in enumerate(families)
            if axis in family.axes
        )
        for axis in axes
    ]
