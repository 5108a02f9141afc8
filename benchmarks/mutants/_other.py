"""Mistakes elsewhere: kinds 11 to 13, and 14 and 15, which accept invalid input."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import ClassVar

import numpy as np

from ._columns import Columns
from ._slide import Array, Ints, Numbers, Slide, ints
from ._taps import Taps

TRANSPOSED = ("conv_transpose",)
CONVOLUTIONS = (
    "conv",
    "conv_input_grad",
    "conv_weight_grad",
    "conv_backward",
    "conv_transpose",
    "conv_transpose_backward",
)
Names = tuple[str, ...]


class M11a(Taps):
    """y of conv_transpose: zeros fill the rows that output_padding adds."""

    functions: ClassVar[Names] = TRANSPOSED

    def _transposed_y(self, x: Array, w: Array, s: Slide) -> Array:
        y = super()._transposed_y(x, w, s)
        for dim, more in enumerate(_output_padding(s)):
            np.moveaxis(y, 2 + dim, 0)[s.size[dim] - more :] = 0
        return y


class M11b(Columns):
    """y of conv_transpose: output_padding adds its rows in front."""

    functions: ClassVar[Names] = TRANSPOSED

    def _transposed_y(self, x: Array, w: Array, s: Slide) -> Array:
        dims = zip(s.low, _output_padding(s), strict=True)
        late = replace(s, low=tuple(low + more for low, more in dims))
        return super()._transposed_y(x, w, late)


def _output_padding(s: Slide) -> Numbers:
    dims = zip(s.size, s.low, s.high, s.reach, strict=True)
    return tuple(size + low + high - reach for size, low, high, reach in dims)


class M12a(Taps):
    """avg_pool: with ceil_mode, what overhangs the padding counts in the divisor."""

    functions: ClassVar[Names] = ("avg_pool", "avg_pool_backward")

    def _divisor(self, s: Slide, *, ceil_mode: bool, padded: bool) -> Array:
        if ceil_mode and padded:
            return np.full(s.output, prod(s.kernel))
        return super()._divisor(s, ceil_mode=ceil_mode, padded=padded)


class M12b(Columns):
    """dx of avg_pool: with ceil_mode, count_include_pad=False is not heeded."""

    functions: ClassVar[Names] = ("avg_pool_backward",)

    def _divisor_of_grad(self, s: Slide, *, ceil_mode: bool, padded: bool) -> Array:
        return super()._divisor_of_grad(
            s, ceil_mode=ceil_mode, padded=padded or ceil_mode
        )


class M13a(Columns):
    """dx of max_pool: `dx[index] += dy`, which keeps the last of equal indices."""

    functions: ClassVar[Names] = ("max_pool_backward",)

    def _add(self, flat: Array, at: tuple[Array, Array], dy: Array) -> None:
        flat[at] += dy


class M13b(Taps):
    """dx of max_pool: the slopes of one tap overwrite those of the taps before it."""

    functions: ClassVar[Names] = ("max_pool_backward",)

    def _hand(self, dx: Array, dy: Array, first: Array) -> None:
        dx[first] = dy[first]


class M14a(Taps):
    """A dilation of 0 is accepted and means 1."""

    functions: ClassVar[Names] = CONVOLUTIONS

    def _dilations(self, dilation: Ints, rank: int) -> Numbers:
        return tuple(max(d, 1) for d in ints("dilation", dilation, rank, least=0))


class M14b(Columns):
    """A dilation of 0 is accepted, and all taps read one position."""

    functions: ClassVar[Names] = CONVOLUTIONS

    def _dilations(self, dilation: Ints, rank: int) -> Numbers:
        return ints("dilation", dilation, rank, least=0)


class M15a(Taps):
    """A bias of length 1 is accepted for any number of channels."""

    functions: ClassVar[Names] = ("conv", "conv_transpose")

    def _bias(self, b: Array, channels: int) -> Array:
        return super()._bias(np.repeat(b, channels) if b.shape == (1,) else b, channels)


class M15b(Columns):
    """A bias longer than the channels is accepted, its rest not read."""

    functions: ClassVar[Names] = ("conv", "conv_transpose")

    def _bias(self, b: Array, channels: int) -> Array:
        return super()._bias(b[:channels], channels)
