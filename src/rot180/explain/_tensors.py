"""The tensors of an explanation, and what their numbers are called.

A number is called `X12` where its indices count from 1 and have one digit, as in the
article this came from; else `X(1,12)`. Counted from 0 it is `X[0,11]`, as in Python.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from rot180.explain._equations import Cell, Position, positions
from rot180.notation import Access, Affine, dual

SPATIAL = "hwrs"  # the letters of rows and columns


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor: its name, shape, and what its axes are.

    Attributes:
        name: Such as `X`, or `dX` for the gradient of the error with respect to it.
        shape: With all axes that the library's arrays have.
        axes: A letter for each: `n` image, `c` `k` channel, `h` `w` row and column of
            an image, `r` `s` of a filter.
    """

    name: str
    shape: tuple[int, ...]
    axes: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def spatial(self) -> tuple[int, ...]:
        """The axes that are rows and columns."""
        return _spatial(self.axes)

    @property
    def extents(self) -> tuple[int, ...]:
        """How many rows and columns there are."""
        return tuple(self.shape[axis] for axis in self.spatial)

    def planes(self) -> Iterator[Position]:
        """Yields the indices of images and channels, one for each plane of numbers."""
        others = (e for i, e in enumerate(self.shape) if i not in self.spatial)
        return positions(tuple(others))

    def at(self, plane: Position, place: Position) -> Position:
        """Returns the position of a place in a plane."""
        inner, outer = iter(place), iter(plane)
        return tuple(
            next(inner if i in self.spatial else outer) for i in range(len(self.shape))
        )

    def plane(self, at: Position) -> Position:
        """Returns the indices of image and channel of a position."""
        return tuple(i for axis, i in enumerate(at) if axis not in self.spatial)

    def place(self, at: Position) -> Position:
        """Returns the row and column of a position."""
        return tuple(at[axis] for axis in self.spatial)

    def cells(self) -> Iterator[Cell]:
        """Yields its numbers in row-major order."""
        return (Cell(self.name, at) for at in positions(self.shape))

    def indices(self, hidden: Iterable[str]) -> str:
        """Returns its axes' letters as indices, `[h, w]`, without the hidden ones."""
        shown = [letter for letter in self.axes if letter not in hidden]
        return f"[{', '.join(shown)}]" if shown else ""

    def gradient(self) -> Tensor:
        """Returns the gradient of the error with respect to this tensor."""
        return Tensor(dual(self.name), self.shape, self.axes)


@cache
def _spatial(axes: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(i for i, letter in enumerate(axes) if letter in SPATIAL)


@dataclass(frozen=True, slots=True)
class Names:
    """What the numbers of an explanation's tensors are called.

    Attributes:
        shown: By tensor: which of its axes are part of a name.
        compact: Whether `X12` is clear.
        count_from: What indices count from, 1 or 0.
    """

    shown: Mapping[str, tuple[int, ...]]
    compact: bool
    count_from: int = 1

    @classmethod
    def of(
        cls, tensors: Iterable[Tensor], hidden: Iterable[str], count_from: int = 1
    ) -> Names:
        """Returns the shortest clear names.

        Args:
            tensors: All tensors of the explanation.
            hidden: The letters of the axes that are left out.
            count_from: What indices count from.
        """
        known = tuple(tensors)
        shown = {
            tensor.name: tuple(i for i, a in enumerate(tensor.axes) if a not in hidden)
            for tensor in known
        }
        is_short = all(
            tensor.axes[axis] in SPATIAL and tensor.shape[axis] <= 9
            for tensor in known
            for axis in shown[tensor.name]
        )
        numbered = any(tensor.name[-1].isdigit() for tensor in known)
        return cls(shown, is_short and not numbered and count_from == 1, count_from)

    def indices(self, cell: Cell) -> Position:
        """Returns the indices in a number's name."""
        axes = self.shown[cell.tensor]
        return tuple(cell.at[axis] + self.count_from for axis in axes)

    def label(self, cell: Cell) -> str:
        """Returns what a number is called."""
        indices = self.indices(cell)
        if not indices:
            return cell.tensor
        if self.compact:
            return cell.tensor + "".join(map(str, indices))
        if self.count_from == 0:
            axes = tuple(Affine((), index) for index in indices)
            return str(Access(cell.tensor, axes)).replace(" ", "")
        return f"{cell.tensor}({','.join(map(str, indices))})"

    def cell(self, tensor: Tensor, indices: Position) -> Cell | None:
        """Returns the number of that name, None if there is none."""
        axes = self.shown[tensor.name]
        if len(indices) != len(axes):
            return None
        at = [0] * len(tensor.shape)
        for axis, index in zip(axes, indices, strict=True):
            at[axis] = index - self.count_from
        inside = all(0 <= i < e for i, e in zip(at, tensor.shape, strict=True))
        return Cell(tensor.name, tuple(at)) if inside else None


def rows_of(extents: tuple[int, ...]) -> list[list[Position]]:
    """Returns the places of a plane, row by row; one row in one dimension."""
    if not extents:
        return [[()]]
    if len(extents) == 1:
        return [[(i,) for i in range(extents[0])]]
    height, width = extents
    return [[(i, j) for j in range(width)] for i in range(height)]


def caption(tensor: Tensor, plane: Position, names: Names) -> str:
    """Returns the name of one square of a tensor: `X`, or `X(2)` of several."""
    at = tensor.at(plane, (0,) * len(tensor.extents))
    shown = [
        str(at[axis] + names.count_from)
        for axis in names.shown[tensor.name]
        if axis not in tensor.spatial
    ]
    return f"{tensor.name}({','.join(shown)})" if shown else tensor.name
