"""Known mistakes of convolutions: the window, the filter, the groups, the sum.

Each is a line. In a line `d` is one dimension of the window, `a` a grouped operand, `p`
the convolution, `b` its bias.
"""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from rot180.check.diagnose._mistake import (
    CONV,
    POOL,
    Mistake,
    Predict,
    Seen,
    conv,
    dims,
    ends,
    every,
    only,
    operand,
    window,
)
from rot180.check.diagnose._problem import ConvProblem
from rot180.check.diagnose._sums import Array, Dim, Dims, Pass, Rule, kept, transposed

__all__ = ["CONV_MISTAKES"]

_WINDOWS = (*CONV, *POOL)
_DILATED = (*CONV, "max", "max_back")
_BACK = ("x", "w")


def _flipped(dim: Dim) -> bool:
    return not dim.flip


def _low(*rules: Rule) -> Predict:
    """Predicts with another padding before the input, for each of the rules."""
    return every(*(dims(low=rule) for rule in rules))


def _exchanged(*names: str) -> Predict:
    """Predicts with the parameters of two dimensions exchanged, of three any two."""

    def form(one: int, other: int) -> Predict:
        def exchanged(given: Dims) -> Dims:
            if other >= len(given):
                return given
            of = {one: other, other: one}
            return tuple(
                dim.like(given[of.get(i, i)], *names) for i, dim in enumerate(given)
            )

        return window(exchanged)

    return every(*itertools.starmap(form, itertools.combinations(range(3), 2)))


def _copied(which: int, *names: str) -> Predict:
    """Predicts with the parameters of one dimension in all."""
    return window(lambda given: tuple(d.like(given[which], *names) for d in given))


def _forward_of_dy(table: Array, dim: Dim) -> Array:
    """The input gradient computed as the forward pass slides: no rotation, same pad."""
    h, p, r = np.ogrid[: dim.size, : dim.count, : dim.taps]
    met = p * dim.stride == h + r * dim.dilation - dim.low
    return np.asarray(met, table.dtype)


def _one_window(step: int) -> Callable[[Array, Dim], Array]:
    """Each input position meets one output: its first, or for a step of -1 its last."""

    def change(table: Array, dim: Dim) -> Array:
        met = table.max(2, keepdims=True, initial=0)
        until = met[:, ::step].cumsum(1)[:, ::step]
        return np.asarray(table * (until == 1))

    return change


def _dropped_behind(table: Array, dim: Dim) -> Array | None:
    if dim.rest <= 0:
        return None
    table[max(dim.reach, 0) :] = 0
    return table


def _dropped_output(always: bool, at: int) -> Callable[[Array, Dim], Array | None]:
    def change(table: Array, dim: Dim) -> Array | None:
        leaves_rest = dim.room % dim.stride > 0
        return table - kept(table, at, 1) if always or leaves_rest else None

    return change


def _whole_windows(table: Array, dim: Dim) -> Array:
    """Outputs whose window overhangs the input are left at zero."""
    start = np.arange(dim.count) * dim.stride - dim.low
    whole = (start >= 0) & (start + dim.span <= dim.size)
    return np.asarray(table * whole[:, None])


def _kept(name: Pass, at: int, axis: int | None = None) -> Predict:
    """Predicts with one place of an operand's axis left, by default of all spatial."""

    def read(a: Array) -> Array:
        return kept(a, at, *(range(3, a.ndim) if axis is None else (axis,)))

    return operand(name, read)


def _without(at: int) -> Predict:
    """Predicts with one image of several left out of the sum."""
    return operand("y", lambda a: a - kept(a, at, 0) if len(a) > 1 else a)


def _divided(by: Callable[[ConvProblem], float]) -> Predict:
    def change(problem: ConvProblem) -> Array | None:
        divisor = by(problem)
        return problem.grouped() / divisor if divisor > 1 else None

    return conv(change)


def _images(problem: ConvProblem) -> int:
    one = problem.sums[0]
    return len(one.x if one.x is not None else one.y)  # type: ignore[arg-type]


def _positions(problem: ConvProblem) -> int:
    return math.prod(dim.count for dim in problem.dims)


def _taps(problem: ConvProblem) -> int:
    return math.prod(dim.taps for dim in problem.dims)


def _term(which: int) -> Predict:
    """Predicts with one of two sums alone."""

    def change(problem: ConvProblem) -> ConvProblem | None:
        if len(problem.sums) < 2:
            return None
        return replace(problem, sums=(problem.sums[which],))

    return conv(change)


def _bias(*changes: Callable[[ConvProblem, Array], Array]) -> Predict:
    """Predicts with another bias, by each of the changes."""

    def form(change: Callable[[ConvProblem, Array], Array]) -> Predict:
        return conv(lambda p: None if p.b is None else replace(p, b=change(p, p.b)))

    return every(*map(form, changes))


def _channels(problem: ConvProblem) -> int:
    w = problem.sums[0].w
    assert w is not None
    return int(w.shape[1] if problem.transposed else w.shape[2])


def _beyond(bias: bool) -> Predict:
    """What an output padding adds is not computed; with the bias there or not."""

    def change(problem: ConvProblem) -> Array | None:
        if not problem.transposed or problem.out != "x":
            return None
        y = problem.grouped()
        left = np.zeros_like(y)
        if problem.b is not None and not bias:
            left -= problem.b.reshape(*y.shape[1:3], *(1 for _ in problem.dims))
        for axis, dim in enumerate(problem.dims, start=3):
            end = (slice(None),) * axis + (slice(max(dim.reach, 0), None),)
            y[end] = left[end]
        return y

    return conv(change)


def _in_front(seen: Seen) -> Iterable[Array]:
    """What an output padding adds stands before the first position."""
    moved = _low(lambda d: d.low - d.rest, lambda d: d.low + d.rest)
    return moved(seen) if seen.case.kind == "conv_transpose" else ()


def _moved(by: int) -> tuple[Rule, Rule]:
    """Returns the rules for a window moved in every dimension, to either side."""
    return lambda d: d.low + by, lambda d: d.low - by


def _off_by_one(which: int) -> Predict:
    """Predicts with the window moved along one dimension, to either side."""
    return every(*(only(which, low=rule) for rule in _moved(1)))


def _and_padded(centre: Rule) -> Rule:
    return lambda d: d.low + centre(d)


# Where the centre of a window is, with dilation and without, for even kernels too.
_CENTRES: Final[tuple[Rule, ...]] = (
    lambda d: (d.span - 1) // 2,
    lambda d: d.span // 2,
    lambda d: (d.taps - 1) // 2,
    lambda d: d.taps // 2,
)


def _rotated_at(*centres: Rule) -> Predict:
    """Predicts a true convolution about each centre, and with the padding there too."""
    rules = (*centres, *map(_and_padded, centres))
    return every(*(dims(flip=_flipped, low=rule) for rule in rules))


# fmt: off
CONV_MISTAKES: Final = (
    # The order in which the filter is read.
    Mistake("filter-not-rotated", "filter not rotated", 1, ("x",), dims(flip=_flipped)),
    Mistake("filter-rotated", "filter is rotated, a true convolution", 2, ("y",), dims(flip=_flipped)),
    Mistake("reversed", "reversed along all axes of the filter", 9, ("w",), dims(flip=_flipped)),
    Mistake("filter-rotated-centred", "filter rotated and the window anchored at its centre", 2, ("y",), _rotated_at(*_CENTRES)),
    Mistake("filter-not-rotated-centred", "filter not rotated and the window anchored at its centre", 1, ("x",), _rotated_at(*_CENTRES)),
    Mistake("filter-first-axis-not-rotated", "filter not rotated along its first axis", 1, ("x",), only(0, flip=_flipped)),
    Mistake("filter-last-axis-not-rotated", "filter not rotated along its last axis", 1, ("x",), only(-1, flip=_flipped)),
    Mistake("filter-first-axis-rotated", "filter is reversed along its first axis", 2, ("y",), only(0, flip=_flipped)),
    Mistake("filter-last-axis-rotated", "filter is reversed along its last axis", 2, ("y",), only(-1, flip=_flipped)),
    Mistake("first-axis-reversed", "reversed along the filter's first axis", 9, ("w",), only(0, flip=_flipped)),
    Mistake("last-axis-reversed", "reversed along the filter's last axis", 9, ("w",), only(-1, flip=_flipped)),
    Mistake("flip-ignored", "flip is ignored", 2, CONV, dims(flip=lambda d: False)),
    Mistake("forward-of-dy", "slides over dy as the forward pass over x, not rotated", 1, ("x",), ends(_forward_of_dy)),
    Mistake("filter-transposed", "rows and columns of the filter are exchanged", 2, ("y", "x"), operand("w", lambda a: transposed(a, 3))),
    Mistake("transposed", "rows and columns of the filter are exchanged", 9, ("w",), conv(lambda p: transposed(p.grouped(), 3))),
    # Stride and dilation.
    Mistake("stride-dilation-swapped", "stride and dilation are swapped", 3, _DILATED, dims(stride=lambda d: d.dilation, dilation=lambda d: d.stride)),
    Mistake("stride-missing", "stride is missing", 4, _WINDOWS, dims(stride=lambda d: 1)),
    Mistake("dilation-missing", "dilation is missing", 4, _DILATED, dims(dilation=lambda d: 1)),
    Mistake("stride-and-dilation-missing", "stride and dilation are missing", 4, _DILATED, dims(stride=lambda d: 1, dilation=lambda d: 1)),
    Mistake("stride-as-dilation", "the stride is used as dilation too", 3, _DILATED, dims(dilation=lambda d: d.stride)),
    Mistake("dilation-as-stride", "the dilation is used as stride too", 3, _DILATED, dims(stride=lambda d: d.dilation)),
    Mistake("stride-is-kernel", "the kernel size is used as stride", 4, _WINDOWS, dims(stride=lambda d: d.taps)),
    Mistake("stride-axes-exchanged", "strides of the dimensions are exchanged", 4, _WINDOWS, _exchanged("stride")),
    Mistake("stride-first-for-all", "the first stride is used for all dimensions", 4, _WINDOWS, _copied(0, "stride")),
    Mistake("stride-last-for-all", "the last stride is used for all dimensions", 4, _WINDOWS, _copied(-1, "stride")),
    Mistake("dilation-axes-exchanged", "dilations of the dimensions are exchanged", 4, _DILATED, _exchanged("dilation")),
    Mistake("dilation-first-for-all", "the first dilation is used for all dimensions", 4, _DILATED, _copied(0, "dilation")),
    Mistake("dilation-last-for-all", "the last dilation is used for all dimensions", 4, _DILATED, _copied(-1, "dilation")),
    # Padding.
    Mistake("padding-ignored", "padding is ignored", 5, _WINDOWS, _low(lambda d: 0)),
    Mistake("padding-sides-exchanged", "padding's low and high side are exchanged", 5, _WINDOWS, _low(lambda d: d.high)),
    Mistake("padding-symmetric", "asymmetric padding is taken as symmetric", 5, _WINDOWS, _low(lambda d: (d.low + d.high) // 2, lambda d: (d.low + d.high + 1) // 2)),
    Mistake("padding-larger-side", "the larger padding is used on both sides", 5, _WINDOWS, _low(lambda d: max(d.low, d.high))),
    Mistake("padding-smaller-side", "the smaller padding is used on both sides", 5, _WINDOWS, _low(lambda d: min(d.low, d.high))),
    Mistake("padding-all-low", "all padding is put before the input", 5, _WINDOWS, _low(lambda d: d.low + d.high)),
    Mistake("padding-axes-exchanged", "paddings of the dimensions are exchanged", 5, _WINDOWS, _exchanged("low", "high")),
    Mistake("padding-first-for-all", "the first padding is used for all dimensions", 5, _WINDOWS, _copied(0, "low", "high")),
    Mistake("padding-last-for-all", "the last padding is used for all dimensions", 5, _WINDOWS, _copied(-1, "low", "high")),
    Mistake("padding-negative-ignored", "negative padding is taken as 0", 5, CONV, _low(lambda d: max(d.low, 0))),
    Mistake("padding-negative-sign", "negative padding is taken as positive", 5, CONV, _low(lambda d: abs(d.low))),
    Mistake("padding-mirrored", "pad is used where span - 1 - pad belongs", 5, _BACK, _low(lambda d: d.span - 1 - d.low, lambda d: d.span - 1 - d.high)),
    Mistake("padding-undilated", "pad is derived from the kernel size without dilation", 5, _DILATED, _low(lambda d: d.low - d.span + d.taps)),
    Mistake("padding-dilated", "padding is multiplied by the dilation", 5, _DILATED, _low(lambda d: d.low * d.dilation)),
    Mistake("padding-strided", "padding is multiplied by the stride", 5, _WINDOWS, _low(lambda d: d.low * d.stride)),
    Mistake("padding-twice", "padding is applied twice", 5, _WINDOWS, _low(lambda d: 2 * d.low)),
    # Where the window is anchored.
    Mistake("centre-anchored-even", "even filters are anchored one off their centre", 16, CONV, _low(lambda d: d.low + (d.taps % 2 == 0), lambda d: d.low - (d.taps % 2 == 0))),
    Mistake("centre-anchored", "the window is anchored at its centre", 16, CONV, _low(*_CENTRES)),
    Mistake("centre-anchored-too", "the window is anchored at its centre and padded", 16, CONV, _low(*map(_and_padded, _CENTRES))),
    Mistake("output-padding-in-front", "output_padding adds its rows in front", 11, ("x",), _in_front),
    Mistake("rest-in-front", "positions left over by the stride are cropped in front", 6, CONV, _low(lambda d: d.low - d.rest, lambda d: d.low + d.rest, lambda d: d.low - d.rest // 2)),
    Mistake("padding-off-by-one", "padding is off by one", 5, _WINDOWS, _low(*_moved(1))),
    Mistake("first-axis-off-by-one", "the window is one off along the first dimension", 16, CONV, _off_by_one(0)),
    Mistake("last-axis-off-by-one", "the window is one off along the last dimension", 16, CONV, _off_by_one(-1)),
    Mistake("off-by-two", "the window is two positions off", 16, CONV, _low(*_moved(2))),
    # What is left out at the end, and overlaps.
    Mistake("output-padding-zero", "what output_padding adds is filled with zeros", 11, ("x",), _beyond(bias=False)),
    Mistake("output-padding-bias-only", "what output_padding adds holds the bias only", 11, ("x",), _beyond(bias=True)),
    Mistake("tail-dropped", "rows past the last full window are dropped", 6, CONV, ends(_dropped_behind)),
    Mistake("tail-output-dropped", "the last output is left out if the stride leaves a rest", 6, CONV, ends(_dropped_output(False, -1))),
    Mistake("last-output-dropped", "the last output of every dimension is left out", 6, CONV, ends(_dropped_output(True, -1))),
    Mistake("first-output-dropped", "the first output of every dimension is left out", 6, CONV, ends(_dropped_output(True, 0))),
    Mistake("rim-dropped", "windows that reach into the padding are left out", 5, CONV, ends(_whole_windows)),
    Mistake("overwritten", "overlapping windows overwrite instead of adding", 13, ("x",), ends(_one_window(-1))),
    Mistake("written-once", "of overlapping windows only the first is added", 13, ("x",), ends(_one_window(1))),
    # The sum.
    Mistake("mean-over-images", "mean over the images instead of sum", 8, CONV, _divided(_images)),
    Mistake("mean-over-positions", "mean over the positions instead of sum", 8, CONV, _divided(_positions)),
    Mistake("mean-over-both", "mean over images and positions instead of sum", 8, CONV, _divided(lambda p: _images(p) * _positions(p))),
    Mistake("mean-over-taps", "mean over the filter's taps instead of sum", 8, ("y", "x"), _divided(_taps)),
    Mistake("first-image-only", "only the first image counts, no sum over images", 8, ("w",), _kept("y", 0, 0)),
    Mistake("last-image-only", "only the last image counts, no sum over images", 8, ("w",), _kept("y", -1, 0)),
    Mistake("last-image-missing", "the last image is missing", 8, ("w",), _without(-1)),
    Mistake("first-image-missing", "the first image is missing", 8, ("w",), _without(0)),
    Mistake("last-position-only", "only the last position counts, no sum over positions", 8, ("w",), _kept("y", -1)),
    Mistake("first-position-only", "only the first position counts, no sum over positions", 8, ("w",), _kept("y", 0)),
    Mistake("last-filter-only", "only the last filter counts, no sum over k", 8, ("x",), _kept("y", -1, 2)),
    Mistake("first-filter-only", "only the first filter counts, no sum over k", 8, ("x",), _kept("y", 0, 2)),
    Mistake("last-channel-only", "only the last channel counts, no sum over c", 8, ("y",), _kept("x", -1, 2)),
    Mistake("first-channel-only", "only the first channel counts, no sum over c", 8, ("y",), _kept("x", 0, 2)),
    Mistake("last-tap-only", "only the filter's last tap counts", 8, ("y", "x"), _kept("w", -1)),
    Mistake("first-tap-only", "only the filter's first tap counts", 8, ("y", "x"), _kept("w", 0)),
    Mistake("first-term-only", "only conv(ddx, w) is there, conv(x, ddw) is missing", None, ("y",), _term(0)),
    Mistake("second-term-only", "only conv(x, ddw) is there, conv(ddx, w) is missing", None, ("y",), _term(1)),
    # The bias.
    Mistake("bias-missing", "bias is not added", None, ("y", "x"), _bias(lambda p, b: np.zeros_like(b))),
    Mistake("bias-twice", "bias is added twice", None, ("y", "x"), _bias(lambda p, b: 2 * b)),
    Mistake("bias-sign", "bias is subtracted", None, ("y", "x"), _bias(lambda p, b: -b)),
    Mistake("bias-first-for-all", "the first bias is added to every channel", None, ("y", "x"), _bias(lambda p, b: np.full_like(b, b[0]))),
    Mistake("bias-reversed", "biases are added in reverse order", None, ("y", "x"), _bias(lambda p, b: b[::-1])),
    Mistake("bias-per-tap", "bias is added once for every tap or channel", None, ("y", "x"), _bias(lambda p, b: b * _taps(p), lambda p, b: b * _channels(p), lambda p, b: b * _taps(p) * _channels(p), lambda p, b: b * p.groups)),
)
# fmt: on
