"""A pass as the sliding of one tensor over another.

In every dimension of a convolution three positions meet: `h` of the wide operand, `p`
of the other image, `r` of the filter, and

    h = S*p + D*r + c

Leave one of them out as the result, take one as the base that lies still, and what is
left slides over it. With the wide operand as the base, a tap of the slider lies at
`S*p` or `D*r` from the place of the result: forward, and the filter's gradient. With
the wide operand as the result, the base is the other image, its cells `S` apart; a tap
lies at

    S*p = h - c - D*r

so the filter lies backwards: it is rotated by 180 degrees.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from rot180 import ops
from rot180.explain._equations import Cell, Equation, Number, Position
from rot180.explain._tensors import Tensor
from rot180.notation import Affine, Sum, integer

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Track:
    """The sliding in one dimension, in coordinates of the base.

    Attributes:
        base_step: From one cell of the base to the next; zeros stand between them.
        tap_step: From one tap of the slider to the next.
        taps: How many there are.
        is_reversed: Whether the slider lies backwards, its last tap first.
        start: Where its first lying tap is at the first result.
        step: How far it moves from one result to the next; it may move backwards.
        results: How many results there are.
        extent: How many cells the base has.
        low: The first coordinate that is drawn.
        places: How many are drawn.
        reads: For each of them the base's cell there; None where there is none.
    """

    base_step: int
    tap_step: int
    taps: int
    is_reversed: bool
    start: int
    step: int
    results: int
    extent: int
    low: int = 0
    places: int = 0
    reads: tuple[int | None, ...] = ()

    @property
    def span(self) -> int:
        """Coordinates from the slider's first tap to its last."""
        return (self.taps - 1) * self.tap_step + 1

    @property
    def end(self) -> int:
        """The coordinate behind the base's last cell."""
        return (self.extent - 1) * self.base_step + 1

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros met before and behind the base; negative ones crop it."""
        ends = (self.start, self.offset(self.results - 1))
        return -min(ends), max(ends) + self.span - self.end

    def drawn(self, margins: tuple[int, int]) -> Track:
        """Returns the track with all that is drawn: what is met, and the margins."""
        before, behind = self.padding
        low = min(0, -before, -margins[0])
        high = self.end + max(0, behind, margins[1])
        return replace(self, low=low, places=high - low)

    def offset(self, result: int) -> int:
        """Returns where the slider's first lying tap is."""
        return self.start + self.step * result

    def covered(self, result: int) -> tuple[int, ...]:
        """Returns the drawn places on which a tap lies at a result, from 0 on."""
        first = self.offset(result) - self.low
        return tuple(first + self.tap_step * tap for tap in range(self.taps))

    def coordinate(self, result: int, tap: int) -> int:
        """Returns where a tap is, by its place in the slider as it is."""
        place = self.taps - 1 - tap if self.is_reversed else tap
        return self.offset(result) + self.tap_step * place


@dataclass(frozen=True, slots=True)
class Slide:
    """What slides over what.

    Attributes:
        base: The tensor that lies still.
        slider: The tensor that slides; None for the plain window of a pooling.
        tracks: How, by dimension.
        scatters: Whether the formula, as it is written, scatters to the result.
        outside: What stands where the base has no number: 0, or `-inf` in a maximum.
    """

    base: str
    slider: str | None
    tracks: tuple[Track, ...]
    scatters: bool = False
    outside: Number = 0

    @property
    def turns(self) -> bool:
        """Whether the slider lies rotated by 180 degrees."""
        lies_backwards = any(t.is_reversed and t.taps > 1 for t in self.tracks)
        return self.slider is not None and lies_backwards

    def turned(self, place: Position) -> Position:
        """Returns which of the slider's cells lies at a place of the lying slider."""
        return tuple(
            track.taps - 1 - i if track.is_reversed else i
            for track, i in zip(self.tracks, place, strict=True)
        )

    def covered(self, result: Position) -> tuple[Position, ...]:
        """Returns the drawn places on which a tap lies at a result, row by row."""
        return tuple(
            itertools.product(
                *(
                    track.covered(i)
                    for track, i in zip(self.tracks, result, strict=True)
                )
            )
        )

    def reads(self, place: Position) -> Position | None:
        """Returns the base's row and column at a drawn place, None if it has none."""
        found = [t.reads[i] for t, i in zip(self.tracks, place, strict=True)]
        known = tuple(i for i in found if i is not None)
        return known if len(known) == len(found) else None


def plan_of(
    part: Sum, tensors: Tensors, margins: Sequence[tuple[int, int]]
) -> Slide | None:
    """Returns how a pass would slide, None if its positions are no sliding.

    Args:
        part: The sum of the pass.
        tensors: The tensors by name.
        margins: The padding of the wide operand, which is drawn too.
    """
    names = [access.tensor for access in part.formula.accesses]
    axes = {
        access.tensor: tuple(access.axes[i] for i in tensors[access.tensor].spatial)
        for access in part.formula.accesses
    }
    wide = next((n for n in names if _is_wide(axes[n])), None)
    if wide is None:
        return None
    base, slider = _roles(names, wide, tensors)
    pads = margins if base == wide else ((0, 0),) * len(margins)
    tracks = tuple(
        _track(
            {name: axes[name][dim] for name in names},
            (names[0], base, slider, wide),
            [tensors[name].extents[dim] for name in (names[0], base)],
            _taps(part, tensors, slider, dim),
        ).drawn(pads[dim])
        for dim in range(len(margins))
    )
    outside = -math.inf if part.formula.reduction == "max" else 0
    return Slide(base, slider, tracks, names[0] == wide, outside)


def verified(
    plan: Slide, equations: Sequence[Equation], tensors: Tensors
) -> Slide | None:
    """Returns the sliding with what its coordinates read; None if a term is elsewhere.

    What stands at a coordinate is read off the terms themselves, so that the picture
    cannot show what the equations do not say.
    """
    check = _Check.of(plan, equations[0].cell.tensor, tensors)
    for equation in equations:
        for term in equation.terms:
            if not check.lies(equation.cell, term.factors):
                return None
    tracks = (
        replace(
            track, reads=tuple(cells.get(track.low + i) for i in range(track.places))
        )
        for track, cells in zip(plan.tracks, check.known, strict=True)
    )
    return replace(plan, tracks=tuple(tracks))


def _is_wide(axes: Iterable[Affine]) -> bool:
    return any(len(axis.indices) > 1 for axis in axes)


def _roles(names: Sequence[str], wide: str, tensors: Tensors) -> tuple[str, str | None]:
    """Returns the base and the slider of a pass that writes to the first name."""
    out, *factors = names
    if out != wide:
        others = [name for name in factors if name != wide]
        return wide, others[0] if others else None
    filters = [name for name in factors if "r" in tensors[name].axes]
    (base,) = [name for name in factors if name not in filters]
    return base, filters[0] if filters else None


def _taps(part: Sum, tensors: Tensors, slider: str | None, dim: int) -> int:
    if slider is not None:
        return tensors[slider].extents[dim]
    return part.extents[ops.taps(len(tensors[part.formula.out.tensor].spatial))[dim]]


def _track(
    axes: Mapping[str, Affine],
    roles: tuple[str, str, str | None, str],
    extents: Sequence[int],
    taps: int,
) -> Track:
    """Returns the sliding in one dimension, from the operands' positions in it."""
    out, base, slider, wide = roles
    steps, const = _relation(axes, wide)
    if out == wide:
        base_step, tap, start, step = steps[base], -steps[slider], -const, 1
    else:
        base_step, tap, start, step = 1, steps[slider], const, steps[out]
    if tap < 0:
        start += tap * (taps - 1)
    results, extent = extents
    step = step if results > 1 else abs(step)  # a single place has no direction
    return Track(base_step, abs(tap), taps, tap < 0, start, step, results, extent)


def _relation(
    axes: Mapping[str, Affine], wide: str
) -> tuple[dict[str | None, int], int]:
    """Returns how far the wide operand's position moves with each other one's.

    A pooling's taps belong to no operand; they stand under None.
    """
    steps: dict[str | None, int] = {}
    const = integer(axes[wide].const)
    for index, coefficient in axes[wide].terms:
        step, carrier = integer(coefficient), None
        for name, axis in axes.items():
            if name != wide and index in axis.indices:
                carrier = name
                step *= integer(axis.coefficient(index))
                const -= step * integer(axis.const)
        steps[carrier] = step
    return steps, const


@dataclass(frozen=True, slots=True)
class _Check:
    """Whether terms lie where a sliding says.

    Attributes:
        slid: The sliding.
        axes: By dimension: the axes of the result, the base and the slider.
        known: By dimension: which of the base's cells stands at a coordinate.
    """

    slid: Slide
    axes: tuple[tuple[int, int, int], ...]
    known: tuple[dict[int, int], ...]

    @classmethod
    def of(cls, slid: Slide, out: str, tensors: Tensors) -> _Check:
        names = (out, slid.base, slid.slider or slid.base)
        axes = zip(*(tensors[name].spatial for name in names), strict=True)
        known = (
            {track.base_step * i: i for i in range(track.extent)}
            for track in slid.tracks
        )
        return cls(slid, tuple(axes), tuple(known))

    def lies(self, result: Cell, factors: Sequence[Cell]) -> bool:
        """Notes where a term's base cell lies; returns whether that is its place."""
        first, last = factors[0], factors[-1]
        base, slider = (
            (first, last) if first.tensor == self.slid.base else (last, first)
        )
        if base.tensor != self.slid.base:
            return True  # the bias stands beside the sum
        plain = self.slid.slider is None
        for track, known, (of_result, of_base, of_slider) in zip(
            self.slid.tracks, self.known, self.axes, strict=True
        ):
            out, here = result.at[of_result], base.at[of_base]
            if plain:
                if not _is_covered(track, out, here):
                    return False
                continue
            at = track.coordinate(out, slider.at[of_slider])
            if known.setdefault(at, here) != here:
                return False
        return True


def _is_covered(track: Track, result: int, cell: int) -> bool:
    """Whether a tap of a plain window lies on the cell."""
    distance = track.base_step * cell - track.offset(result)
    return 0 <= distance < track.span and distance % track.tap_step == 0


def planes_read(base: Tensor, equation: Equation) -> list[Position]:
    """Returns the planes of a tensor that an equation reads; the first if none."""
    cells = (cell for term in equation.terms for cell in term.factors)
    planes = {base.plane(cell.at) for cell in cells if cell.tensor == base.name}
    return sorted(planes) or [next(base.planes())]
