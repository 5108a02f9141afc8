"""The functions of a subject, over six sums that `Taps` and `Columns` each write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ._slide import (
    Array,
    Ints,
    Numbers,
    Slide,
    conv_slide,
    ints,
    pool_slide,
    transposed_slide,
)


class Subject(ABC):
    """All functions that can be judged, for any rank, channels first.

    The passes of each function have a method of their own (`_y`, `_dx`, `_dw`, `_db`,
    `_transposed_y`, ...), which a mutant overrides; what the other functions call lies
    below those, so that a mistake in one pass stays there.
    """

    UNSUPPORTED: ClassVar[tuple[str, ...]] = (
        "no image axis",
        "padding by name",
        "flip",
        "layout",
    )

    # The sums, which the two bases write each in its own way.

    @abstractmethod
    def _correlate(self, x: Array, w: Array, s: Slide) -> Array:
        """Returns `y[p] += x[p*stride + r*dilation - low] * w[r]`."""

    @abstractmethod
    def _spread(self, dy: Array, w: Array, s: Slide) -> Array:
        """Returns `x[p*stride + r*dilation - low] += dy[p] * w[r]`."""

    @abstractmethod
    def _outer(self, dy: Array, x: Array, s: Slide) -> Array:
        """Returns `w[r] += x[p*stride + r*dilation - low] * dy[p]`."""

    @abstractmethod
    def _maximum(self, x: Array, s: Slide) -> Array:
        """Returns the largest value of every window."""

    @abstractmethod
    def _maximum_spread(self, dy: Array, x: Array, s: Slide) -> Array:
        """Returns `dy` where the first maximum of each window stands."""

    @abstractmethod
    def _total(self, x: Array, s: Slide) -> Array:
        """Returns the sum of every window."""

    @abstractmethod
    def _total_spread(self, dy: Array, s: Slide) -> Array:
        """Returns `dy` at every position of each window."""

    @abstractmethod
    def _covered(self, s: Slide, *, padded: bool) -> Array:
        """Counts each window's positions in the input, or in the padded input."""

    # The passes, which mutants override.

    def _y(self, x: Array, w: Array, s: Slide) -> Array:
        return self._correlate(x, w, s)

    def _dx(self, dy: Array, w: Array, s: Slide) -> Array:
        return self._spread(dy, w, s)

    def _dw(self, dy: Array, x: Array, s: Slide) -> Array:
        return self._outer(dy, x, s)

    def _db(self, dy: Array) -> Array:
        return _summed(dy)

    def _transposed_y(self, x: Array, w: Array, s: Slide) -> Array:
        return self._spread(x, w, s)

    def _divisor(self, s: Slide, *, ceil_mode: bool, padded: bool) -> Array:
        return np.maximum(self._covered(s, padded=padded), 1)

    def _divisor_of_grad(self, s: Slide, *, ceil_mode: bool, padded: bool) -> Array:
        return self._divisor(s, ceil_mode=ceil_mode, padded=padded)

    def _dilations(self, dilation: Ints, rank: int) -> Numbers:
        return ints("dilation", dilation, rank, least=1)

    def _bias(self, b: Array, channels: int) -> Array:
        if b.shape != (channels,):
            raise ValueError(f"b has shape {b.shape}, not ({channels},)")
        return b

    # The functions.

    def conv(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> Array:
        """Returns `y`."""
        s = self._read(x.shape, w.shape, stride, padding, dilation, groups)
        y = self._y(x, w, s)
        return self._with_bias(y, b)

    def conv_input_grad(
        self,
        dy: Array,
        w: Array,
        x_shape: Sequence[int],
        *,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> Array:
        """Returns `dx`."""
        s = self._read(x_shape, w.shape, stride, padding, dilation, groups)
        _check_shape("dy", dy, (x_shape[0], w.shape[0], *s.output))
        return self._dx(dy, w, s)

    def conv_weight_grad(
        self,
        dy: Array,
        x: Array,
        w_shape: Sequence[int],
        *,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> Array:
        """Returns `dw`."""
        s = self._read(x.shape, w_shape, stride, padding, dilation, groups)
        _check_shape("dy", dy, (x.shape[0], w_shape[0], *s.output))
        return self._dw(dy, x, s)

    def conv_backward(
        self,
        dy: Array,
        x: Array,
        w: Array,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> tuple[Array, Array, Array]:
        """Returns `dx, dw, db`."""
        s = self._read(x.shape, w.shape, stride, padding, dilation, groups)
        _check_shape("dy", dy, (x.shape[0], w.shape[0], *s.output))
        return self._dx(dy, w, s), self._dw(dy, x, s), self._db(dy)

    def conv_transpose(
        self,
        x: Array,
        w: Array,
        b: Array | None = None,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> Array:
        """Returns `y`, larger than `x` by the stride."""
        s = self._read_transposed(
            x.shape, w.shape, stride, padding, output_padding, dilation, groups
        )
        return self._with_bias(self._transposed_y(x, w, s), b)

    def conv_transpose_backward(
        self,
        dy: Array,
        x: Array,
        w: Array,
        *,
        stride: Ints = 1,
        padding: Any = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
    ) -> tuple[Array, Array, Array]:
        """Returns `dx, dw, db`: here the convolution is the gradient."""
        s = self._read_transposed(
            x.shape, w.shape, stride, padding, output_padding, dilation, groups
        )
        _check_shape("dy", dy, (x.shape[0], groups * w.shape[1], *s.size))
        return self._correlate(dy, w, s), self._outer(x, dy, s), _summed(dy)

    def max_pool(
        self,
        x: Array,
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Any = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
    ) -> Array:
        """Returns the largest value of every window."""
        s = self._read_pool(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
        return self._maximum(x, s)

    def max_pool_backward(
        self,
        dy: Array,
        x: Array,
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Any = 0,
        dilation: Ints = 1,
        ceil_mode: bool = False,
    ) -> Array:
        """Returns `dx`; of equal values the first is the maximum."""
        s = self._read_pool(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
        _check_shape("dy", dy, (*x.shape[:2], *s.output))
        return self._maximum_spread(dy, x, s)

    def avg_pool(
        self,
        x: Array,
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        """Returns the mean of every window."""
        s = self._read_pool(x.shape, kernel_size, stride, padding, 1, ceil_mode)
        if divisor_override is None:
            count = self._divisor(s, ceil_mode=ceil_mode, padded=count_include_pad)
        else:
            count = _override(divisor_override)
        return np.divide(self._total(x, s), count, dtype=x.dtype)

    def avg_pool_backward(
        self,
        dy: Array,
        x_shape: Sequence[int],
        kernel_size: Ints,
        *,
        stride: Ints | None = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Array:
        """Returns `dx`, to which each window hands its share."""
        s = self._read_pool(x_shape, kernel_size, stride, padding, 1, ceil_mode)
        _check_shape("dy", dy, (*x_shape[:2], *s.output))
        if divisor_override is None:
            count = self._divisor_of_grad(
                s, ceil_mode=ceil_mode, padded=count_include_pad
            )
        else:
            count = _override(divisor_override)
        return self._total_spread(np.divide(dy, count, dtype=dy.dtype), s)

    def relu(self, x: Array) -> Array:
        """Returns `x` where it is positive, else zero."""
        return np.asarray(np.maximum(x, 0))

    def relu_backward(self, dy: Array, x: Array) -> Array:
        """Returns `dy` where `x` is positive, else zero."""
        _check_shape("dy", dy, x.shape)
        return np.where(x > 0, dy, np.zeros_like(dy))

    # Reading the arguments.

    def _read(
        self,
        x_shape: Sequence[int],
        w_shape: Sequence[int],
        stride: Ints,
        padding: Any,
        dilation: Ints,
        groups: int,
    ) -> Slide:
        return conv_slide(
            x_shape,
            w_shape,
            stride=stride,
            padding=padding,
            dilation=self._dilations(dilation, len(w_shape) - 2),
            groups=groups,
        )

    def _read_transposed(
        self,
        x_shape: Sequence[int],
        w_shape: Sequence[int],
        stride: Ints,
        padding: Any,
        output_padding: Ints,
        dilation: Ints,
        groups: int,
    ) -> Slide:
        return transposed_slide(
            x_shape,
            w_shape,
            stride=stride,
            padding=padding,
            output_padding=output_padding,
            dilation=self._dilations(dilation, len(w_shape) - 2),
            groups=groups,
        )

    def _read_pool(
        self,
        x_shape: Sequence[int],
        kernel_size: Ints,
        stride: Ints | None,
        padding: Any,
        dilation: Ints,
        ceil_mode: bool,
    ) -> Slide:
        return pool_slide(
            x_shape,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            ceil_mode=ceil_mode,
        )

    def _with_bias(self, y: Array, b: Array | None) -> Array:
        if b is None:
            return y
        column = (-1, *(1 for _ in y.shape[2:]))
        return y + self._bias(b, y.shape[1]).reshape(column)


def _summed(dy: Array) -> Array:
    """Returns the gradient by the bias."""
    return np.asarray(dy.sum(axis=(0, *range(2, dy.ndim))))


def _override(divisor: int) -> Array:
    if divisor == 0:
        raise ValueError("divisor_override is 0")
    return np.asarray(divisor)


def _check_shape(name: str, array: Array, shape: Sequence[int]) -> None:
    if array.shape != tuple(shape):
        raise ValueError(f"{name} has shape {array.shape}, not {tuple(shape)}")
