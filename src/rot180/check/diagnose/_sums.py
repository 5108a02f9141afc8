"""Sliding operations from one definition that a mistake alters in one place.

A window is one table for each dimension: `meets[h, p, r]` is 1 where input position `h`
meets output position `p` at tap `r`. The forward pass, the input gradient and the
weight gradient are the same sum with another factor left out,

    y[n, g, k, p] = sum of x[n, g, c, h] * w[g, k, c, r] * meets[h, p, r]

so a wrong stride, crop or reading order is a wrong table and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Array", "Dim", "Dims", "Pass", "Rule", "Sum", "Tables", "kept", "meets", "tables",
    "touched", "transposed",
]  # fmt: skip

Array = NDArray[Any]
Dims = tuple["Dim", ...]
Rule = Callable[["Dim"], int]
Tables = tuple[Array, ...]
Pass = Literal["y", "x", "w"]


@dataclass(frozen=True, slots=True)
class Dim:
    """One dimension of a window.

    Attributes:
        size: Extent of the input, or of the input gradient.
        count: Extent of the output.
        taps: Extent of the filter.
        stride: Step between output positions.
        dilation: Step between taps.
        low: Padding before the input.
        high: Padding after it.
        flip: Whether the filter is read backwards.
    """

    size: int
    count: int
    taps: int
    stride: int = 1
    dilation: int = 1
    low: int = 0
    high: int = 0
    flip: bool = False

    @property
    def span(self) -> int:
        """Positions from the first tap to the last."""
        return (self.taps - 1) * self.dilation + 1

    @property
    def reach(self) -> int:
        """The input's extent that `count` outputs stand for if none is left over."""
        return (self.count - 1) * self.stride + self.span - self.low - self.high

    @property
    def rest(self) -> int:
        """Padded positions behind the last full window."""
        return self.size - self.reach

    @property
    def room(self) -> int:
        """How far the first window can move."""
        return self.size + self.low + self.high - self.span

    def windows(self, *, ceil: bool = False) -> int:
        """Returns how many windows fit; with `ceil`, with one that overhangs."""
        return (-(-self.room // self.stride) if ceil else self.room // self.stride) + 1

    def places(self) -> Array:
        """Returns the input position of each output and tap; some are outside."""
        p, r = np.ogrid[: self.count, : self.taps]
        return np.asarray(p * self.stride + r * self.dilation - self.low)

    def by(self, **rules: Rule) -> Dim:
        """Returns the dimension with fields altered, each by its rule."""
        new: dict[str, Any] = {name: rule(self) for name, rule in rules.items()}
        return replace(self, **new)

    def like(self, other: Dim, *names: str) -> Dim:
        """Returns the dimension with the fields of these names as another has them."""
        new: dict[str, Any] = {name: getattr(other, name) for name in names}
        return replace(self, **new)


@lru_cache(maxsize=4096)
def meets(dim: Dim) -> Array:
    """Returns where input position, output position and tap meet, `[h, p, r]`."""
    h = np.arange(dim.size)[:, None, None]
    table = (h == dim.places()).astype(np.float64)
    table = np.ascontiguousarray(table[:, :, ::-1]) if dim.flip else table
    table.flags.writeable = False
    return table


def tables(dims: Dims) -> Tables:
    """Returns the table of each dimension."""
    return tuple(meets(dim) for dim in dims)


def kept(a: Array, at: int, *axes: int) -> Array:
    """Returns an array with one place along some axes left, and the rest zero."""
    new = np.zeros_like(a)
    if a.size:
        where = tuple(at if i in axes else slice(None) for i in range(a.ndim))
        new[where] = a[where]
    return new


def transposed(a: Array, lead: int) -> Array:
    """Returns an array with the axes behind the first reversed, if it is square."""
    axes = range(a.ndim)
    new = a.transpose(*axes[:lead], *axes[: lead - 1 : -1])
    return new if new.shape == a.shape else a


def touched(dims: Dims) -> tuple[Array, Array]:
    """Returns the input position of each output and tap, and whether it exists.

    Both are of shape `(outputs, taps)`, positions counted in row-major order.
    """
    place, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), np.bool_)
    for dim in dims:
        at = dim.places()
        here = (at >= 0) & (at < dim.size)
        shape = (len(place) * dim.count, place.shape[1] * dim.taps)
        at = np.where(here, at, 0)
        place = (place[:, None, :, None] * dim.size + at[None, :, None]).reshape(shape)
        inside = (inside[:, None, :, None] & here[None, :, None]).reshape(shape)
    return place, inside


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """The sum of products with one operand left out.

    Attributes:
        out: The operand that is computed; its own field is None.
        x: Images `(n, g, c, *size)`.
        w: The filter `(g, k, c, *taps)`.
        y: The output or its gradient `(n, g, k, *count)`.
    """

    out: Pass
    x: Array | None = None
    w: Array | None = None
    y: Array | None = None

    def value(self, meets: Tables) -> Array:
        """Returns the operand left out, grouped."""
        if self.out == "x":
            return self._spread(meets)
        assert self.x is not None
        columns = _columns(self.x, meets)
        n, g, c = self.x.shape[:3]
        counts, taps = [t.shape[1] for t in meets], [t.shape[2] for t in meets]
        if self.out == "w":
            assert self.y is not None
            y = np.moveaxis(self.y, 0, 2).reshape(g, self.y.shape[2], -1)
            return (y @ columns).reshape(g, y.shape[1], c, *taps)
        assert self.w is not None
        w = self.w.reshape(g, self.w.shape[1], c * math.prod(taps))
        y = (columns @ w.swapaxes(1, 2)).reshape(g, n, *counts, w.shape[1])
        return np.moveaxis(y, (1, -1), (0, 2))

    def _spread(self, meets: Tables) -> Array:
        """Returns the input gradient: `y` times `w`, added up where they meet."""
        assert self.y is not None
        assert self.w is not None
        (n, g, k), c = self.y.shape[:3], self.w.shape[2]
        counts, taps = [t.shape[1] for t in meets], [t.shape[2] for t in meets]
        y = np.moveaxis(self.y, (0, 2), (1, -1)).reshape(g, n * math.prod(counts), k)
        products = y @ self.w.reshape(g, k, c * math.prod(taps))
        x = products.reshape(g, n, *counts, c, *taps)
        x = np.moveaxis(x, (1, 2 + len(counts)), (0, 2))
        for dim, table in enumerate(meets):
            x = np.tensordot(x, table, axes=((3, 3 + len(meets) - dim), (1, 2)))
        return x


def _columns(x: Array, meets: Tables) -> Array:
    """Returns what each output sees of `x`, `(g, n * outputs, c * taps)`."""
    n, g, c = x.shape[:3]
    for table in meets:
        x = np.tensordot(x, table, axes=(3, 0))
    rank = len(meets)
    counts = tuple(range(3, 3 + 2 * rank, 2))
    taps = tuple(axis + 1 for axis in counts)
    x = x.transpose(1, 0, *counts, 2, *taps)
    outputs = math.prod(t.shape[1] for t in meets)
    return x.reshape(g, n * outputs, c * math.prod(t.shape[2] for t in meets))
