"""From scattering to gathering: one stride-1 sum for every residue of the position.

The adjoint of a strided access scatters:

    dx[n, c, S*p + D*r + b] += dy[n, k, p] * w[k, c, r]

Take an output position h and ask which pairs (p, r) reach it: S*p = h - b - D*r. Write
h = S*m + rho with 0 <= rho < S, and g = gcd(S, D). The taps that divide are those with
D*r = rho - b (mod S). There are none unless g divides rho - b, and then they are
r = r0 + (S/g)*t, so that

    p = m + (rho - b - D*r0)/S - (D/g)*t

which is a sum that reads `dy` with step 1 in m and runs backwards in t: the filter
appears rotated by 180 degrees.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from rot180.errors import NotationError
from rot180.notation._affine import Affine, integer
from rot180.notation._contraction import Access, Contraction

# The letter of an input position, by the letter of the output position it replaces.
_POSITIONS: Final = {"p": "h", "q": "w", "o": "d", "u": "e"}


@dataclass(frozen=True, slots=True)
class Residue:
    """How one output axis was split: position = step*index + start.

    Attributes:
        axis: The axis of the output.
        index: The index that counts its positions.
        step: The modulus, the stride that was inverted.
        start: The residue of the positions.
        solved: The index that was eliminated.
        solution: What stands in its place.
        tap: The index that runs over the taps, None if there is none.
        tap_step: From one such tap to the next.
        tap_start: The first such tap.
    """

    axis: int
    index: str
    step: int
    start: int
    solved: str
    solution: Affine | None
    tap: str | None = None
    tap_step: int = 1
    tap_start: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether no tap reaches these positions."""
        return self.solution is None

    @property
    def position(self) -> Affine:
        """The position on the output's axis."""
        return Affine(((self.index, self.step),), self.start)

    def substitution(self) -> dict[str, Affine]:
        """Returns what replaces the original indices."""
        values = {} if self.solution is None else {self.solved: self.solution}
        if self.tap is not None:
            values[self.tap] = Affine(((self.tap, self.tap_step),), self.tap_start)
        return values


@dataclass(frozen=True, slots=True)
class Piece:
    """The sum for one combination of residues; writes each of its positions once.

    Attributes:
        out: What is written.
        contraction: The gathering sum, None where no tap reaches and zero is written.
        residues: How the output's axes were split.
    """

    out: Access
    contraction: Contraction | None
    residues: tuple[Residue, ...]

    def extents(
        self, extents: Mapping[str, int], shape: tuple[int, ...]
    ) -> dict[str, int]:
        """Returns the extents of this piece's indices.

        Args:
            extents: The extents of the original formula's indices.
            shape: The output's shape.

        Raises:
            NotationError: An eliminated index that no factor bounds would leave its
                range.
        """
        result = dict(extents)
        for residue in self.residues:
            result.pop(residue.solved, None)
            size = shape[residue.axis]
            result[residue.index] = _count(size, residue.start, residue.step)
            if residue.tap is not None:
                taps = extents[residue.tap]
                result[residue.tap] = _count(taps, residue.tap_start, residue.tap_step)
        for axis, position in enumerate(self.out.axes):
            if position.bare is not None:
                result.setdefault(position.bare, shape[axis])
        return result


def gather(contraction: Contraction) -> tuple[Piece, ...]:
    """Rewrites a sum that scatters into sums that gather.

    Rewrite:
        dx[n, c, 2*p + r - 1] += dy[n, k, p] * w[k, c, r]
        ->
        dx[n, c, 2*h] += dy[n, k, h - r] * w[k, c, 2*r + 1]
        dx[n, c, 2*h + 1] += dy[n, k, h - r + 1] * w[k, c, 2*r]

    The pieces together write every position of the output exactly once. A factor read
    outside its shape is zero, as everywhere in the notation.

    Args:
        contraction: The sum; the parameters in its output's positions bound.

    Raises:
        NotationError: A parameter is not bound, or a position cannot be inverted.
    """
    choices = residues(contraction)
    return tuple(_piece(contraction, chosen) for chosen in itertools.product(*choices))


def residues(
    contraction: Contraction, shape: tuple[int | None, ...] | None = None
) -> tuple[tuple[Residue, ...], ...]:
    """Returns the residues of each scattered axis; their products are the pieces.

    Args:
        contraction: As for `gather`.
        shape: The output's; residues that have no position in it are left out, but one
            beside the first stays. A stride may be much larger than the output.

    Raises:
        NotationError: As `gather`.
    """
    if contraction.reduction != "add":
        _refuse(contraction, "only a sum can be rewritten")
    return tuple(
        tuple(itertools.islice(_residues(contraction, axis), _most(shape, axis)))
        for axis, position in enumerate(contraction.out.axes)
        if position.bare is None or _repeats(contraction, axis)
    )


def _most(shape: tuple[int | None, ...] | None, axis: int) -> int | None:
    """Returns how many residues to keep; two say that there is a stride."""
    extent = None if shape is None else shape[axis]
    return None if extent is None else max(extent, 2)


def _repeats(contraction: Contraction, axis: int) -> bool:
    bare = contraction.out.axes[axis].bare
    return any(other.bare == bare for other in contraction.out.axes[:axis])


def _piece(contraction: Contraction, residues: tuple[Residue, ...]) -> Piece:
    positions = {residue.axis: residue.position for residue in residues}
    axes = tuple(
        positions.get(axis, position)
        for axis, position in enumerate(contraction.out.axes)
    )
    out = Access(contraction.out.tensor, axes)
    if any(residue.is_empty for residue in residues):
        return Piece(out, None, residues)
    values: dict[str, Affine] = {}
    for residue in residues:
        values |= residue.substitution()
    factors = tuple(factor.substitute(values) for factor in contraction.factors)
    renamed = {residue.solved: residue.index for residue in residues}
    indices = tuple(renamed.get(index, index) for index in contraction.indices)
    return Piece(out, Contraction(out, factors, indices), residues)


def _residues(contraction: Contraction, axis: int) -> Iterator[Residue]:
    """Returns the residues of one output axis, in order, each solved when asked for."""
    position = contraction.out.axes[axis]
    solved = _solvable(contraction, axis)
    rest = [name for name in position.indices if name != solved]
    if len(rest) > 1:
        _refuse(contraction, f"position {position} holds more than two indices")
    index = _fresh(contraction, solved)
    step, const = integer(position.coefficient(solved)), integer(position.const)
    if not rest:
        return (
            _plain_residue(axis, index, solved, rho, step, const)
            for rho in range(abs(step))
        )
    slope = integer(position.coefficient(rest[0]))
    shared = any(
        rest[0] in other.indices
        for i, other in enumerate(contraction.out.axes)
        if i != axis
    )
    if shared and slope % step:
        _refuse(contraction, f"index {rest[0]!r} stands on two axes of the output")
    return (
        _tap_residue(axis, index, solved, rest[0], rho, step, slope, const)
        for rho in range(abs(step))
    )


def _plain_residue(
    axis: int, index: str, solved: str, rho: int, step: int, const: int
) -> Residue:
    """Solves step*p + const = |step|*m + rho."""
    modulus = abs(step)
    solution = None
    if (rho - const) % modulus == 0:
        solution = Affine(((index, modulus // step),), (rho - const) // step)
    return Residue(axis, index, modulus, rho, solved, solution)


def _tap_residue(
    axis: int,
    index: str,
    solved: str,
    tap: str,
    rho: int,
    step: int,
    slope: int,
    const: int,
) -> Residue:
    """Solves step*p + slope*r + const = |step|*m + rho."""
    modulus = abs(step)
    common = math.gcd(modulus, slope)
    stride = modulus // common
    if (rho - const) % common:
        return Residue(axis, index, modulus, rho, solved, None, tap, stride)
    # The taps that divide repeat every `stride`; the inverse gives the first of them.
    first = (rho - const) // common * pow(slope // common, -1, stride) % stride
    terms = ((index, modulus // step), (tap, -slope * stride // step))
    solution = Affine(terms, (rho - const - slope * first) // step)
    return Residue(axis, index, modulus, rho, solved, solution, tap, stride, first)


def _solvable(contraction: Contraction, axis: int) -> str:
    """Returns the index of an output axis that can be expressed by the others.

    It must stand on no other axis of the output; and some factor must hold it alone, so
    that reading outside stands for its bounds, unless it is the axis's only index.
    """
    out = contraction.out.axes
    elsewhere = {
        name for i, other in enumerate(out) if i != axis for name in other.indices
    }
    bounded = {
        position.bare for factor in contraction.factors for position in factor.axes
    }
    alone = len(out[axis].indices) == 1
    for name in out[axis].indices:
        if name not in elsewhere and (alone or name in bounded):
            return name
    return _refuse(contraction, f"position {out[axis]} cannot be inverted")


def _fresh(contraction: Contraction, solved: str) -> str:
    """Returns the name of the index that counts positions."""
    name = _POSITIONS.get(solved, solved)
    while name != solved and name in contraction.indices:
        name += "_"
    return name


def _count(size: int, start: int, step: int) -> int:
    """Returns how many of start, start + step, ... are below `size`."""
    return max(0, -((start - size) // step))


def _refuse(contraction: Contraction, why: str) -> NoReturn:
    raise NotationError(
        f"gather: {why}\n    {contraction}\n"
        "  A position may hold one index, or two of which a factor holds one alone."
    )
