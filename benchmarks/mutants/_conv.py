"""Mistakes in the passes of the convolution: kinds 1 to 10 and 16 to 18."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import ClassVar

import numpy as np

from ._columns import Columns
from ._slide import Array, Slide
from ._taps import Taps

Y = ("conv",)
DX = ("conv_input_grad", "conv_backward")
DW = ("conv_weight_grad", "conv_backward")
Names = tuple[str, ...]


class M01a(Columns):
    """dx: the filter is not rotated."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        # Rotated twice, here and by the full correlation, it slides as it is.
        return super()._dx(dy, np.flip(w, _taps(w)), s)


class M01b(Columns):
    """dx: the filter is rotated in its first dimension only, `w[:, :, ::-1]`."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return super()._dx(dy, np.flip(w, _taps(w)[1:]), s)


class M02a(Columns):
    """y: the filter is flipped; the gradients belong to the unflipped one."""

    functions: ClassVar[Names] = Y

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        return super()._y(x, np.flip(w, _taps(w)), s)


class M02b(Taps):
    """y: the filter is flipped, and dx and dw are the gradients of that."""

    functions: ClassVar[Names] = (*Y, "conv_input_grad", *DW)

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        return super()._y(x, np.flip(w, _taps(w)), s)

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return super()._dx(dy, np.flip(w, _taps(w)), s)

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        dw = super()._dw(dy, x, s)
        return np.flip(dw, _taps(dw)).copy()


class M03a(Taps):
    """dw: stride and dilation are swapped."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        return super()._dw(dy, x, replace(s, stride=s.dilation, dilation=s.stride))


class M03b(Columns):
    """dx: stride and dilation are swapped."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return super()._dx(dy, w, replace(s, stride=s.dilation, dilation=s.stride))


class M04a(Columns):
    """dx: the rotated filter slides over a dy that is not dilated by the stride."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return super()._dx(dy, w, replace(s, stride=(1,) * s.rank))


class M04b(Taps):
    """dw: x is correlated with a dy that is not dilated by the stride."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        return super()._dw(dy, x, replace(s, stride=(1,) * s.rank))


class M05a(Taps):
    """dx: both sides are cropped by half of the padding, whatever each side's is."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        half = ((lo + hi) // 2 for lo, hi in zip(s.low, s.high, strict=True))
        return super()._dx(dy, w, replace(s, low=tuple(half)))


class M05b(Columns):
    """y: the input is padded evenly, the larger half before it."""

    functions: ClassVar[Names] = Y

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        half = (-(-(lo + hi) // 2) for lo, hi in zip(s.low, s.high, strict=True))
        return super()._y(x, w, replace(s, low=tuple(half)))


class M06a(Taps):
    """dx: rows past the last full window are lost to a crop at the wrong end.

    What the windows reach is cropped by the high padding, and zeros fill up the rest.
    But the padded input is longer, by the tail.
    """

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        dx = super()._dx(dy, w, s)
        for dim, tail in enumerate(s.tail):
            np.moveaxis(dx, 2 + dim, 0)[max(s.size[dim] - tail, 0) :] = 0
        return dx


class M06b(Columns):
    """dw: a tail gives the correlation more taps than the filter; the last are kept."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        dims = zip(s.low, s.tail, s.dilation, strict=True)
        late = tuple(low - tail // dilation * dilation for low, tail, dilation in dims)
        return super()._dw(dy, x, replace(s, low=late))


class M07a(Taps):
    """dw: every group reads the input channels of the first."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        first = np.split(x, s.groups, axis=1)[0]
        return super()._dw(dy, np.concatenate([first] * s.groups, axis=1), s)


class M07b(Columns):
    """y: output channel k belongs to group `k % groups`, not `k // (K/groups)`."""

    functions: ClassVar[Names] = Y

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        order = np.arange(w.shape[0]).reshape(-1, s.groups).T.ravel()
        y = np.empty((x.shape[0], w.shape[0], *s.output), x.dtype)
        y[:, order] = super()._y(x, w[order], s)
        return y


class M08a(Taps):
    """dw, db: the mean over the images stands for the sum."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        return _divided(super()._dw(dy, x, s), max(dy.shape[0], 1))

    def _db(self, dy: Array) -> Array:
        return _divided(super()._db(dy), max(dy.shape[0], 1))


class M08b(Columns):
    """db: the mean over the positions stands for the sum."""

    functions: ClassVar[Names] = ("conv_backward",)

    def _db(self, dy: Array) -> Array:
        return _divided(super()._db(dy), prod(dy.shape[2:]))


class M09a(Columns):
    """dw: the taps are in reverse order."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        dw = super()._dw(dy, x, s)
        return np.flip(dw, _taps(dw)).copy()


class M09b(Taps):
    """dw: the taps are in reverse order in the last dimension."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        return super()._dw(dy, x, s)[..., ::-1].copy()


class M10a(Columns):
    """dw: not written for an empty batch."""

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        dw = np.empty((dy.shape[1], x.shape[1] // s.groups, *s.kernel), x.dtype)
        if dy.shape[0]:
            dw[...] = super()._dw(dy, x, s)
        return dw


class M10b(Taps):
    """dw, db: the first image's is assigned and the others' added; without one, none.

    Images are taken one by one, as a kernel with a workspace does.
    """

    functions: ClassVar[Names] = DW

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        dw = np.empty((dy.shape[1], x.shape[1] // s.groups, *s.kernel), x.dtype)
        for n in range(dy.shape[0]):
            one = super()._dw(dy[n : n + 1], x[n : n + 1], s)
            np.add(dw if n else 0, one, out=dw)
        return dw

    def _db(self, dy: Array) -> Array:
        db = np.empty(dy.shape[1], dy.dtype)
        for n in range(dy.shape[0]):
            np.add(db if n else 0, super()._db(dy[n : n + 1]), out=db)
        return db


class M16a(Columns):
    """y: an even window is anchored at `k//2` and reads one position too early."""

    functions: ClassVar[Names] = Y

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        dims = zip(s.low, s.span, strict=True)
        return super()._y(x, w, replace(s, low=tuple(lo + 1 - n % 2 for lo, n in dims)))


class M16b(Taps):
    """dx: the window is anchored at its centre, whatever the padding was."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return super()._dx(dy, w, replace(s, low=tuple(n // 2 for n in s.span)))


class M17a(Taps):
    """dx: of 24 groups, the last 8 read the filters of the first 8."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        if s.groups == 24:
            third = w.shape[0] // 3
            w = np.concatenate([w[: 2 * third], w[:third]])
        return super()._dx(dy, w, s)


class M17b(Columns):
    """y: in blocks of 8 input channels, a last block of one channel is left out."""

    functions: ClassVar[Names] = Y

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        if w.shape[1] > 8 and w.shape[1] % 8 == 1:
            w = w.copy()
            w[:, -1] = 0
        return super()._y(x, w, s)


class M18a(Columns):
    """dx: with groups, dy is not dilated by the stride."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        if s.groups > 1:
            s = replace(s, stride=(1,) * s.rank)
        return super()._dx(dy, w, s)


class M18b(Taps):
    """dx: with groups and a stride, every group reads the filters of the first."""

    functions: ClassVar[Names] = DX

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        if max(s.stride) > 1:
            w = np.concatenate([np.split(w, s.groups)[0]] * s.groups)
        return super()._dx(dy, w, s)


def _taps(w: Array) -> tuple[int, ...]:
    """Returns the axes of a filter that count its taps."""
    return tuple(range(2, w.ndim))


def _divided(total: Array, count: int) -> Array:
    """Returns the mean, in the dtype of the sum."""
    return np.divide(total, count, dtype=total.dtype)
