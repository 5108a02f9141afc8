"""A sum of products of accesses, and its adjoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from rot180.errors import NotationError
from rot180.notation._affine import Affine

if TYPE_CHECKING:
    from rot180.notation._gather import Piece

Reduction = Literal["add", "max"]


@dataclass(frozen=True, slots=True)
class Access:
    """One element of a tensor: its name and one position per axis."""

    tensor: str
    axes: tuple[Affine, ...]

    def bind(self, values: Mapping[str, int]) -> Access:
        """Replaces parameters by their values."""
        return replace(self, axes=tuple(axis.bind(values) for axis in self.axes))

    def substitute(self, values: Mapping[str, Affine]) -> Access:
        """Replaces indices by positions."""
        return replace(self, axes=tuple(axis.substitute(values) for axis in self.axes))

    def at(self, point: Mapping[str, int]) -> tuple[int, ...]:
        """Returns the position at the given values of the indices."""
        return tuple(axis.at(point) for axis in self.axes)

    def __str__(self) -> str:
        return f"{self.tensor}[{', '.join(map(str, self.axes))}]"


@dataclass(frozen=True, slots=True)
class Contraction:
    """`out[...] += factor[...] * ...`, summed over every index that `out` lacks.

    Positions outside an operand read as zero (minus infinity under `max=`); what falls
    outside `out` is dropped.

    Attributes:
        out: The element that is written.
        factors: The elements that are multiplied.
        indices: Every index, in the order of first appearance.
        reduction: How the products are combined: `"add"` or `"max"`.
        doc: What it means, in words.
    """

    out: Access
    factors: tuple[Access, ...]
    indices: tuple[str, ...]
    reduction: Reduction = "add"
    doc: str = field(default="", compare=False)

    @property
    def accesses(self) -> tuple[Access, ...]:
        """The output's access, then the factors'."""
        return (self.out, *self.factors)

    @property
    def parameters(self) -> frozenset[str]:
        """The names that stand for numbers not known yet."""
        names: frozenset[str] = frozenset()
        for axis in self._axes():
            names |= axis.parameters
        return names

    @property
    def reduced(self) -> tuple[str, ...]:
        """The indices that the output lacks."""
        kept = {name for axis in self.out.axes for name in axis.indices}
        return tuple(index for index in self.indices if index not in kept)

    @property
    def scatters(self) -> bool:
        """Whether the output's position is more than plain indices."""
        names = [axis.bare for axis in self.out.axes]
        return None in names or len(set(names)) != len(names)

    def bind(self, **values: int) -> Contraction:
        """Gives parameters their values.

        Raises:
            NotationError: A name is not a parameter of this formula.
        """
        for name in values:
            if name not in self.parameters:
                known = ", ".join(sorted(self.parameters)) or "none"
                raise NotationError(
                    f"bind: {name!r} is not a parameter\n    {self}\n"
                    f"  Its parameters: {known}."
                )
        factors = tuple(factor.bind(values) for factor in self.factors)
        return replace(self, out=self.out.bind(values), factors=factors)

    def adjoint(self, wrt: str) -> Contraction:
        """Leaves out `wrt` in place of the output: the same loops and products.

        With `y += x * w`, the cotangent of `x` is `dx += dy * w`, at the same places.

        Args:
            wrt: The factor whose cotangent is wanted.

        Raises:
            NotationError: There is no such factor, or the reduction is no sum.
        """
        names = [factor.tensor for factor in self.factors]
        if wrt not in names:
            raise NotationError(
                f"adjoint: {wrt!r} is not a factor\n    {self}\n"
                f"  Its factors: {', '.join(names)}."
            )
        if self.reduction != "add":
            raise NotationError(
                f"adjoint: a maximum has no adjoint formula\n    {self}\n"
                "  Its gradient selects; see max_pool_backward."
            )
        cotangent = replace(self.out, tensor=dual(self.out.tensor))
        factors = tuple(
            cotangent if factor.tensor == wrt else factor for factor in self.factors
        )
        chosen = self.factors[names.index(wrt)]
        out = replace(chosen, tensor=dual(wrt))
        return replace(self, out=out, factors=factors, doc="")

    def renamed(self, **tensors: str) -> Contraction:
        """Returns the same formula on tensors of other names."""

        def named(access: Access) -> Access:
            return replace(access, tensor=tensors.get(access.tensor, access.tensor))

        return self.on_each(named)

    def without(self, index: str) -> Contraction:
        """Returns the formula without the axes that hold `index` alone."""

        def thinned(access: Access) -> Access:
            axes = tuple(axis for axis in access.axes if axis.bare != index)
            return replace(access, axes=axes)

        indices = tuple(other for other in self.indices if other != index)
        return replace(self.on_each(thinned), indices=indices)

    def on_each(self, change: Callable[[Access], Access]) -> Contraction:
        """Returns the formula with every access changed."""
        factors = tuple(change(factor) for factor in self.factors)
        return replace(self, out=change(self.out), factors=factors)

    def gather(self) -> tuple[Piece, ...]:
        """Rewrites a scattering sum as gathering ones, see `rot180.notation.gather`."""
        from rot180.notation._gather import gather

        return gather(self)

    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """Returns the extent of every index that stands alone on an axis.

        Args:
            shapes: The operands' shapes by name; operands not named are passed over.

        Raises:
            NotationError: An operand has another number of axes, or an index two
                extents.
        """
        found: dict[str, int] = {}
        for access in self.accesses:
            shape = shapes.get(access.tensor)
            if shape is None:
                continue
            if len(shape) != len(access.axes):
                raise NotationError(
                    f"extents: {access.tensor} has {len(shape)} axes for "
                    f"{len(access.axes)}\n    {self}\n"
                    f"  Pass {access.tensor} with one axis for each position."
                )
            for axis, extent in zip(access.axes, shape, strict=True):
                self._note_extent(found, axis.bare, extent)
        return found

    def _note_extent(
        self, found: dict[str, int], index: str | None, extent: int
    ) -> None:
        if index is None:
            return
        if found.setdefault(index, extent) != extent:
            raise NotationError(
                f"extents: index {index!r} has two extents, {found[index]} and "
                f"{extent}\n    {self}\n"
                "  Pass operands that agree."
            )

    def _axes(self) -> Iterator[Affine]:
        for access in self.accesses:
            yield from access.axes

    def written(self, note: str = "", *, over: bool = True) -> str:
        """Returns the formula as text, `y[p] += x[2*p + r]{note} for r`.

        Args:
            note: What is said of each product, such as ` / 2`.
            over: Whether the indices that stand nowhere alone are listed at the end.
        """
        sign = "+=" if self.reduction == "add" else "max="
        text = f"{self.out} {sign} {' * '.join(map(str, self.factors))}{note}"
        alone = {name for axis in self._axes() if (name := stands_alone(axis))}
        others = [index for index in self.indices if index not in alone]
        return f"{text} for {', '.join(others)}" if over and others else text

    def __str__(self) -> str:
        return self.written()


def stands_alone(axis: Affine) -> str | None:
    """Returns the index that an axis holds with nothing but a sign and sizes.

    Sizes are numbers and parameters in capitals, as in `R - 1 - r`.
    """
    if len(axis.terms) != 1 or axis.terms[0][1] not in (1, -1):
        return None
    if any(not name[0].isupper() for name in axis.parameters):
        return None
    return axis.terms[0][0]


def dual(tensor: str) -> str:
    """Returns the name of a tensor's cotangent: `x` and `dx` are each other's."""
    return tensor[1:] if len(tensor) > 1 and tensor[0] == "d" else f"d{tensor}"
