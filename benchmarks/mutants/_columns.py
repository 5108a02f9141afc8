"""The sums as matrix products over windows laid out in columns.

The input gradient is the full correlation of the dilated `dy` with the rotated filter,
the weight gradient the correlation of `x` with the dilated `dy`.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._slide import Array, Numbers, Slide, last_axes
from ._subject import Subject


class Columns(Subject):
    """Convolution and pooling on windows that are views of a padded input."""

    def _correlate(self, x: Array, w: Array, s: Slide) -> Array:
        n, c, g = x.shape[0], x.shape[1] // s.groups, s.groups
        k, positions, taps = w.shape[0] // g, prod(s.output), prod(s.kernel)
        views = _views(_placed(x, s.low, s.reach), s)
        views = views.reshape(n, g, c, positions, taps).transpose(1, 0, 3, 2, 4)
        columns = views.reshape(g, n * positions, c * taps)
        filters = w.reshape(g, k, c * taps).transpose(0, 2, 1)
        y = (columns @ filters).reshape(g, n, positions, k).transpose(1, 0, 3, 2)
        return np.ascontiguousarray(y.reshape(n, g * k, *s.output))

    def _spread(self, dy: Array, w: Array, s: Slide) -> Array:
        before = tuple(span - 1 - low for span, low in zip(s.span, s.low, strict=True))
        extents = tuple(size + n - 1 for size, n in zip(s.size, s.span, strict=True))
        padded = _placed(_dilated(dy, s.stride), before, extents)
        full = replace(
            s, size=extents, output=s.size, stride=(1,) * s.rank, low=(0,) * s.rank
        )
        return self._correlate(padded, _rotated(_swapped(w, s.groups)), full)

    def _outer(self, dy: Array, x: Array, s: Slide) -> Array:
        n, g = x.shape[0], s.groups
        c, k, positions = x.shape[1] // g, dy.shape[1] // g, prod(s.output)
        # Output positions are the taps of this correlation, and taps its positions.
        turned = replace(
            s, kernel=s.output, output=s.kernel, stride=s.dilation, dilation=s.stride
        )
        views = _views(_placed(x, s.low, s.reach), turned)
        views = views.reshape(n, g, c * prod(s.kernel), positions)
        columns = views.transpose(1, 2, 0, 3).reshape(
            g, c * prod(s.kernel), n * positions
        )
        slopes = dy.reshape(n, g, k, positions).transpose(1, 2, 0, 3)
        dw = slopes.reshape(g, k, n * positions) @ columns.transpose(0, 2, 1)
        return dw.reshape(g * k, c, *s.kernel)

    def _maximum(self, x: Array, s: Slide) -> Array:
        return np.asarray(_windows(x, s, -np.inf).max(axis=-1))

    def _maximum_spread(self, dy: Array, x: Array, s: Slide) -> Array:
        windows = _windows(x, s, -np.inf)
        places = np.broadcast_to(_places(s), windows.shape)
        best = windows.argmax(axis=-1)[..., None]
        at = np.take_along_axis(places, best, axis=-1)[..., 0]
        return self._handed(dy, at, s)

    def _handed(self, dy: Array, at: Array, s: Slide) -> Array:
        """Returns the sum of the slopes at each place of the padded input, cropped."""
        images = dy.shape[0] * dy.shape[1]
        flat = np.zeros((images, prod(s.reach)), dy.dtype)
        rows = np.arange(images)[:, None]
        positions = prod(s.output)
        self._add(
            flat, (rows, at.reshape(images, positions)), dy.reshape(images, positions)
        )
        padded = flat.reshape(*dy.shape[:2], *s.reach)
        return _placed(padded, tuple(-low for low in s.low), s.size)

    def _add(self, flat: Array, at: tuple[Array, Array], dy: Array) -> None:
        """Adds `dy` at places that may repeat, in place."""
        np.add.at(flat, at, dy)

    def _total(self, x: Array, s: Slide) -> Array:
        return np.asarray(_windows(x, s).sum(axis=-1))

    def _total_spread(self, dy: Array, s: Slide) -> Array:
        ones = np.ones((dy.shape[1], 1, *s.kernel), dy.dtype)
        return self._spread(dy, ones, replace(s, groups=dy.shape[1]))

    def _covered(self, s: Slide, *, padded: bool) -> Array:
        low, high = (s.low, s.high) if padded else ((0,) * s.rank,) * 2
        extents = tuple(sum(dim) for dim in zip(s.size, low, high, strict=True))
        begin = tuple(own - more for own, more in zip(s.low, low, strict=True))
        counted = _placed(np.ones((1, 1, *extents), int), begin, s.reach)
        return np.asarray(
            _windows(counted, replace(s, low=(0,) * s.rank))[0, 0].sum(-1)
        )


def _placed(x: Array, begin: Numbers, extents: Numbers, fill: float = 0) -> Array:
    """Returns `x` on a canvas, its first position at `begin`; what overhangs is cut."""
    canvas = np.full((*x.shape[:2], *extents), fill, x.dtype)
    to, taken = [], []
    for size, first, extent in zip(x.shape[2:], begin, extents, strict=True):
        start, skipped = max(first, 0), max(-first, 0)
        count = max(min(size - skipped, extent - start), 0)
        to.append(slice(start, start + count))
        taken.append(slice(skipped, skipped + count))
    canvas[last_axes(*to)] = x[last_axes(*taken)]
    return canvas


def _views(x: Array, s: Slide) -> Array:
    """Returns every window as a view, `(n, c, *output, *kernel)`."""
    steps = x.strides[2:]
    outer = (step * stride for step, stride in zip(steps, s.stride, strict=True))
    inner = (step * dilation for step, dilation in zip(steps, s.dilation, strict=True))
    shape = (*x.shape[:2], *s.output, *s.kernel)
    return as_strided(x, shape, (*x.strides[:2], *outer, *inner), writeable=False)


def _windows(x: Array, s: Slide, fill: float = 0) -> Array:
    """Returns every window of the padded input as a row, `(n, c, *output, taps)`."""
    views = _views(_placed(x, s.low, s.reach, fill), s)
    return views.reshape(*x.shape[:2], *s.output, prod(s.kernel))


def _places(s: Slide) -> Array:
    """Returns where in the padded input each window's positions lie."""
    numbers = np.arange(prod(s.reach)).reshape(1, 1, *s.reach)
    return _views(numbers, s).reshape(1, 1, *s.output, prod(s.kernel))


def _dilated(dy: Array, stride: Numbers) -> Array:
    """Returns `dy` with `stride - 1` zeros between neighbours."""
    extents = ((q - 1) * step + 1 for q, step in zip(dy.shape[2:], stride, strict=True))
    spaced = np.zeros((*dy.shape[:2], *extents), dy.dtype)
    spaced[last_axes(*(slice(None, None, step) for step in stride))] = dy
    return spaced


def _rotated(w: Array) -> Array:
    return np.flip(w, axis=tuple(range(2, w.ndim)))


def _swapped(w: Array, groups: int) -> Array:
    """Returns the filter with the input channels first."""
    k, c, *kernel = w.shape
    parts = w.reshape(groups, k // groups, c, *kernel).swapaxes(1, 2)
    return parts.reshape(groups * c, k // groups, *kernel)
