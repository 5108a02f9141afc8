"""A formula with the extents of its indices, and the products that go to one place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from rot180.notation._affine import Affine
from rot180.notation._contraction import Contraction

Point: TypeAlias = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Sum:
    """A formula of which every number is known.

    Attributes:
        formula: The formula, its parameters bound.
        extents: Of every index.
    """

    formula: Contraction
    extents: Mapping[str, int]

    def adjoint(self, wrt: str) -> Sum:
        """Returns the same loops with the factor `wrt` left out, see `Contraction`."""
        return replace(self, formula=self.formula.adjoint(wrt))

    def renamed(self, **tensors: str) -> Sum:
        """Returns the same formula on tensors of other names."""
        return replace(self, formula=self.formula.renamed(**tensors))

    def without(self, index: str) -> Sum:
        """Returns the formula without the axes that hold `index` alone."""
        formula = self.formula.without(index)
        return Sum(formula, {i: e for i, e in self.extents.items() if i != index})

    def points(self, position: Sequence[int]) -> Iterator[Point]:
        """Yields the values of the indices at which a product goes to `position`.

        Products that read outside an operand are among them.
        """
        axes = zip(self.formula.out.axes, position, strict=True)
        choices = [self._solutions(axis, place) for axis, place in axes]
        for free in self.formula.reduced:
            choices.append([{free: i} for i in range(self.extents[free])])
        for parts in itertools.product(*choices):
            yield {name: i for part in parts for name, i in part.items()}

    def _solutions(self, axis: Affine, place: int) -> list[Point]:
        names = axis.indices
        spaces = (range(self.extents[name]) for name in names)
        found = (dict(zip(names, at, strict=True)) for at in itertools.product(*spaces))
        return [point for point in found if axis.at(point) == place]

    def bounds(self, axis: Affine) -> tuple[int, int]:
        """Returns the least and the greatest position that an axis takes."""
        ends = [(0, max(self.extents[name] - 1, 0)) for name in axis.indices]
        corners = [
            axis.at(dict(zip(axis.indices, at, strict=True)))
            for at in itertools.product(*ends)
        ]
        return min(corners), max(corners)
