"""The sums as loops over taps, each of which pairs two slices."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import numpy as np

from ._slide import Array, Index, Slide, last_axes
from ._subject import Subject


class Taps(Subject):
    """Convolution and pooling, a group and a tap at a time."""

    def _correlate(self, x: Array, w: Array, s: Slide) -> Array:
        y = np.zeros((x.shape[0], w.shape[0], *s.output), x.dtype)
        for tap, at_x, at_y in _meetings(s):
            for ks, cs in _groups(w, s):
                values = w[ks][last_axes(*tap)]
                y[:, ks][at_y] += np.einsum("nc...,kc->nk...", x[:, cs][at_x], values)
        return y

    def _spread(self, dy: Array, w: Array, s: Slide) -> Array:
        dx = np.zeros((dy.shape[0], s.groups * w.shape[1], *s.size), dy.dtype)
        for tap, at_x, at_y in _meetings(s):
            for ks, cs in _groups(w, s):
                values = w[ks][last_axes(*tap)]
                dx[:, cs][at_x] += np.einsum("nk...,kc->nc...", dy[:, ks][at_y], values)
        return dx

    def _outer(self, dy: Array, x: Array, s: Slide) -> Array:
        dw = np.zeros((dy.shape[1], x.shape[1] // s.groups, *s.kernel), x.dtype)
        over = (0, *range(2, x.ndim))
        for tap, at_x, at_y in _meetings(s):
            for ks, cs in _groups(dw, s):
                pair = dy[:, ks][at_y], x[:, cs][at_x]
                dw[ks][last_axes(*tap)] = np.tensordot(*pair, axes=(over, over))
        return dw

    def _maximum(self, x: Array, s: Slide) -> Array:
        y = np.full((*x.shape[:2], *s.output), -np.inf, x.dtype)
        for _, at_x, at_y in _meetings(s):
            y[at_y] = np.maximum(y[at_y], x[at_x])
        return y

    def _maximum_spread(self, dy: Array, x: Array, s: Slide) -> Array:
        y = self._maximum(x, s)
        dx, found = np.zeros(x.shape, dy.dtype), np.zeros(y.shape, bool)
        for _, at_x, at_y in _meetings(s):
            value, best = x[at_x], y[at_y]
            same = (value == best) | (np.isnan(value) & np.isnan(best))
            first = same & ~found[at_y]
            found[at_y] |= first
            self._hand(dx[at_x], dy[at_y], first)
        return dx

    def _hand(self, dx: Array, dy: Array, first: Array) -> None:
        """Hands the slope of each window to its maximum, in place."""
        dx += np.where(first, dy, 0)

    def _total(self, x: Array, s: Slide) -> Array:
        y = np.zeros((*x.shape[:2], *s.output), x.dtype)
        for _, at_x, at_y in _meetings(s):
            y[at_y] += x[at_x]
        return y

    def _total_spread(self, dy: Array, s: Slide) -> Array:
        dx = np.zeros((*dy.shape[:2], *s.size), dy.dtype)
        for _, at_x, at_y in _meetings(s):
            dx[at_x] += dy[at_y]
        return dx

    def _covered(self, s: Slide, *, padded: bool) -> Array:
        rows = []
        for dim in range(s.rank):
            low, high = (s.low[dim], s.high[dim]) if padded else (0, 0)
            begin = np.arange(s.output[dim]) * s.stride[dim] - s.low[dim]
            end = np.minimum(begin + s.kernel[dim], s.size[dim] + high)
            rows.append(np.maximum(end - np.maximum(begin, -low), 0))
        return np.asarray(reduce(np.multiply.outer, rows))


def _groups(w: Array, s: Slide) -> Iterator[tuple[slice, slice]]:
    """Yields each group's channels of the output and of the input."""
    outputs, inputs = w.shape[0] // s.groups, w.shape[1]
    for g in range(s.groups):
        yield (
            slice(g * outputs, (g + 1) * outputs),
            slice(g * inputs, (g + 1) * inputs),
        )


def _meetings(s: Slide) -> Iterator[tuple[tuple[int, ...], Index, Index]]:
    """Yields each tap, and the input and output positions that it brings together."""
    for tap in np.ndindex(*s.kernel):
        dims = zip(s.size, s.output, s.stride, s.dilation, s.low, tap, strict=True)
        slices = [
            _meeting(size, output, stride, r * dilation - low)
            for size, output, stride, dilation, low, r in dims
        ]
        at_x, at_y = zip(*slices, strict=True)
        yield tap, last_axes(*at_x), last_axes(*at_y)


def _meeting(size: int, output: int, stride: int, offset: int) -> tuple[slice, slice]:
    """Returns the slices of all `p*stride + offset` inside the input, and of `p`."""
    first = max(0, -(offset // stride))
    stop = min(output, (size - 1 - offset) // stride + 1)
    if stop <= first:
        return slice(0, 0), slice(0, 0)
    begin, last = first * stride + offset, (stop - 1) * stride + offset
    return slice(begin, last + 1, stride), slice(first, stop)
