"""Known mistakes of convolutions: the window, the filter, the groups, the sum.

Each is a line. In a line `d` is one dimension of the window, `t` its table `[h, p, r]`
of where input, output and tap meet, `a` a grouped operand.
"""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Final

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
from rot180.check.diagnose._sums import Array, Dim, Pass

__all__ = ["CONV_MISTAKES"]

_WINDOWS = (*CONV, *POOL)
_DILATED = (*CONV, "max", "max_back")
_BACK = ("x", "w")
Rule = Callable[[Dim], int]


def _flipped(dim: Dim) -> Dim:
    return replace(dim, flip=not dim.flip)


def _low(*rules: Rule) -> Predict:
    """Predicts with another padding before the input, for each of the rules."""

    def form(rule: Rule) -> Predict:
        return dims(lambda d: replace(d, low=rule(d)))

    return every(*map(form, rules))


def _exchanged(*names: str) -> Predict:
    """Predicts with the parameters of two dimensions exchanged, of three any two."""

    def form(one: int, other: int) -> Predict:
        def exchanged(given: tuple[Dim, ...]) -> tuple[Dim, ...] | None:
            if max(one, other) >= len(given):
                return None
            order = list(given)
            order[one], order[other] = order[other], order[one]
            return tuple(
                replace(d, **{name: getattr(from_, name) for name in names})
                for d, from_ in zip(given, order, strict=True)
            )

        return window(exchanged)

    return every(*(form(*pair) for pair in ((0, 1), (0, 2), (1, 2))))


def _copied(which: int, *names: str) -> Predict:
    """Predicts with the parameters of one dimension in all."""
    return window(
        lambda given: tuple(
            replace(d, **{name: getattr(given[which], name) for name in names})
            for d in given
        )
    )


def _forward_of_dy(table: Array, dim: Dim) -> Array:
    """The input gradient computed as the forward pass slides: no rotation, same pad."""
    h, p, r = np.ogrid[: dim.size, : dim.count, : dim.taps]
    met = p * dim.stride == h + r * dim.dilation - dim.low
    return np.asarray(met, table.dtype)


def _last_window(table: Array, dim: Dim) -> Array:
    """Each input position meets the last output only: windows written, not added."""
    p = np.arange(dim.count)[:, None]
    last = np.where(table.any(2, keepdims=True), p, -1).max(1, keepdims=True)
    return np.asarray(table * (p == last))


def _first_window(table: Array, dim: Dim) -> Array:
    p = np.arange(dim.count)[:, None]
    first = np.where(table.any(2, keepdims=True), p, dim.count)
    return np.asarray(table * (p == first.min(1, keepdims=True, initial=dim.count)))


def _dropped_behind(table: Array, dim: Dim) -> Array | None:
    if dim.rest <= 0:
        return None
    table[max(dim.reach, 0) :] = 0
    return table


def _dropped_output(always: bool, at: int) -> Callable[[Array, Dim], Array | None]:
    def change(table: Array, dim: Dim) -> Array | None:
        if not always and (dim.size + dim.low + dim.high - dim.span) % dim.stride == 0:
            return None
        table[:, at] = 0
        return table

    return change


def _whole_windows(table: Array, dim: Dim) -> Array:
    """Outputs whose window overhangs the input are left at zero."""
    start = np.arange(dim.count) * dim.stride - dim.low
    whole = (start >= 0) & (start + dim.span <= dim.size)
    return np.asarray(table * whole[:, None])


def _kept(name: Pass, axis: int, at: int) -> Predict:
    """Predicts with one place of an operand's axis left, the rest as if zero."""

    def read(a: Array) -> Array:
        new = np.zeros_like(a)
        where: Any = (*(slice(None),) * axis, at)
        if a.shape[axis]:
            new[where] = a[where]
        return new

    return operand(name, read)


def _without(at: int) -> Predict:
    """Predicts with one image of several left out of the sum."""

    def read(a: Array) -> Array:
        new = a.copy()
        if len(a) > 1:
            new[at] = 0
        return new

    return operand("y", read)


def _one_place(name: Pass, at: int) -> Predict:
    """Predicts with one spatial place of an operand left, the rest as if zero."""

    def read(a: Array) -> Array:
        new = np.zeros_like(a)
        where: Any = (..., *(at,) * (a.ndim - 3))
        if a.size:
            new[where] = a[where]
        return new

    return operand(name, read)


def _transposed(a: Array) -> Array:
    """The filter with its spatial axes in reverse order, if it is square."""
    new = a.transpose(0, 1, 2, *range(a.ndim - 1, 2, -1))
    return new if new.shape == a.shape else a


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


def _bias(change: Callable[[Array], Array]) -> Predict:
    """Predicts with another bias."""
    return conv(lambda p: None if p.b is None else replace(p, b=change(p.b)))


def _bias_times(times: Callable[[ConvProblem], int]) -> Predict:
    return conv(lambda p: None if p.b is None else replace(p, b=p.b * times(p)))


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
        for axis, dim in enumerate(problem.dims, start=3):
            y[(slice(None),) * axis + (slice(max(dim.reach, 0), None),)] = 0
        if problem.b is not None and not bias:
            b = problem.b.reshape(*y.shape[1:3], *(1 for _ in problem.dims))
            for axis, dim in enumerate(problem.dims, start=3):
                end = (slice(None),) * axis + (slice(max(dim.reach, 0), None),)
                y[end] = (np.zeros_like(y) - b)[end]
        return y

    return conv(change)


def _in_front(seen: Seen) -> Iterable[Array]:
    """What an output padding adds stands before the first position."""
    moved = _low(lambda d: d.low - d.rest, lambda d: d.low + d.rest)
    return moved(seen) if seen.case.kind == "conv_transpose" else ()


def _even(dim: Dim) -> int:
    return dim.taps % 2 == 0


def _moved(by: int) -> tuple[Rule, Rule]:
    """Returns the rules for a window moved in every dimension, to either side."""
    return lambda d: d.low + by, lambda d: d.low - by


def _off_by_one(which: int) -> Predict:
    """Predicts with the window moved along one dimension, to either side."""

    def form(rule: Rule) -> Predict:
        return only(which, lambda d: replace(d, low=rule(d)))

    return every(*map(form, _moved(1)))


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

    def form(rule: Rule) -> Predict:
        return dims(lambda d: replace(d, flip=not d.flip, low=rule(d)))

    return every(*map(form, (*centres, *map(_and_padded, centres))))


# fmt: off
CONV_MISTAKES: Final = (
    # The order in which the filter is read.
    Mistake("filter-not-rotated", "filter not rotated", 1, ("x",), dims(_flipped)),
    Mistake("filter-rotated", "filter is rotated, a true convolution", 2, ("y",), dims(_flipped)),
    Mistake("reversed", "reversed along all axes of the filter", 9, ("w",), dims(_flipped)),
    Mistake("filter-rotated-centred", "filter rotated and the window anchored at its centre", 2, ("y",), _rotated_at(*_CENTRES)),
    Mistake("filter-not-rotated-centred", "filter not rotated and the window anchored at its centre", 1, ("x",), _rotated_at(*_CENTRES)),
    Mistake("filter-first-axis-not-rotated", "filter not rotated along its first axis", 1, ("x",), only(0, _flipped)),
    Mistake("filter-last-axis-not-rotated", "filter not rotated along its last axis", 1, ("x",), only(-1, _flipped)),
    Mistake("filter-first-axis-rotated", "filter is reversed along its first axis", 2, ("y",), only(0, _flipped)),
    Mistake("filter-last-axis-rotated", "filter is reversed along its last axis", 2, ("y",), only(-1, _flipped)),
    Mistake("first-axis-reversed", "reversed along the filter's first axis", 9, ("w",), only(0, _flipped)),
    Mistake("last-axis-reversed", "reversed along the filter's last axis", 9, ("w",), only(-1, _flipped)),
    Mistake("flip-ignored", "flip is ignored", 2, CONV, dims(lambda d: replace(d, flip=False))),
    Mistake("forward-of-dy", "slides over dy as the forward pass over x, not rotated", 1, ("x",), ends(_forward_of_dy)),
    Mistake("filter-transposed", "rows and columns of the filter are exchanged", 2, ("y", "x"), operand("w", _transposed)),
    Mistake("transposed", "rows and columns of the filter are exchanged", 9, ("w",), conv(lambda p: _transposed(p.grouped()))),
    # Stride and dilation.
    Mistake("stride-dilation-swapped", "stride and dilation are swapped", 3, _DILATED, dims(lambda d: replace(d, stride=d.dilation, dilation=d.stride))),
    Mistake("stride-missing", "stride is missing", 4, _WINDOWS, dims(lambda d: replace(d, stride=1))),
    Mistake("dilation-missing", "dilation is missing", 4, _DILATED, dims(lambda d: replace(d, dilation=1))),
    Mistake("stride-and-dilation-missing", "stride and dilation are missing", 4, _DILATED, dims(lambda d: replace(d, stride=1, dilation=1))),
    Mistake("stride-as-dilation", "the stride is used as dilation too", 3, _DILATED, dims(lambda d: replace(d, dilation=d.stride))),
    Mistake("dilation-as-stride", "the dilation is used as stride too", 3, _DILATED, dims(lambda d: replace(d, stride=d.dilation))),
    Mistake("stride-is-kernel", "the kernel size is used as stride", 4, _WINDOWS, dims(lambda d: replace(d, stride=d.taps))),
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
    Mistake("centre-anchored-even", "even filters are anchored one off their centre", 16, CONV, _low(lambda d: d.low + _even(d), lambda d: d.low - _even(d))),
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
    Mistake("overwritten", "overlapping windows overwrite instead of adding", 13, ("x",), ends(_last_window)),
    Mistake("written-once", "of overlapping windows only the first is added", 13, ("x",), ends(_first_window)),
    # The sum.
    Mistake("mean-over-images", "mean over the images instead of sum", 8, CONV, _divided(_images)),
    Mistake("mean-over-positions", "mean over the positions instead of sum", 8, CONV, _divided(_positions)),
    Mistake("mean-over-both", "mean over images and positions instead of sum", 8, CONV, _divided(lambda p: _images(p) * _positions(p))),
    Mistake("mean-over-taps", "mean over the filter's taps instead of sum", 8, ("y", "x"), _divided(_taps)),
    Mistake("first-image-only", "only the first image counts, no sum over images", 8, ("w",), _kept("y", 0, 0)),
    Mistake("last-image-only", "only the last image counts, no sum over images", 8, ("w",), _kept("y", 0, -1)),
    Mistake("last-image-missing", "the last image is missing", 8, ("w",), _without(-1)),
    Mistake("first-image-missing", "the first image is missing", 8, ("w",), _without(0)),
    Mistake("last-position-only", "only the last position counts, no sum over positions", 8, ("w",), _one_place("y", -1)),
    Mistake("first-position-only", "only the first position counts, no sum over positions", 8, ("w",), _one_place("y", 0)),
    Mistake("last-filter-only", "only the last filter counts, no sum over k", 8, ("x",), _kept("y", 2, -1)),
    Mistake("first-filter-only", "only the first filter counts, no sum over k", 8, ("x",), _kept("y", 2, 0)),
    Mistake("last-channel-only", "only the last channel counts, no sum over c", 8, ("y",), _kept("x", 2, -1)),
    Mistake("first-channel-only", "only the first channel counts, no sum over c", 8, ("y",), _kept("x", 2, 0)),
    Mistake("last-tap-only", "only the filter's last tap counts", 8, ("y", "x"), _one_place("w", -1)),
    Mistake("first-tap-only", "only the filter's first tap counts", 8, ("y", "x"), _one_place("w", 0)),
    Mistake("first-term-only", "only conv(ddx, w) is there, conv(x, ddw) is missing", None, ("y",), _term(0)),
    Mistake("second-term-only", "only conv(x, ddw) is there, conv(ddx, w) is missing", None, ("y",), _term(1)),
    # The bias.
    Mistake("bias-missing", "bias is not added", None, ("y", "x"), _bias(np.zeros_like)),
    Mistake("bias-twice", "bias is added twice", None, ("y", "x"), _bias(lambda b: 2 * b)),
    Mistake("bias-sign", "bias is subtracted", None, ("y", "x"), _bias(np.negative)),
    Mistake("bias-first-for-all", "the first bias is added to every channel", None, ("y", "x"), _bias(lambda b: np.full_like(b, b[0]))),
    Mistake("bias-reversed", "biases are added in reverse order", None, ("y", "x"), _bias(lambda b: b[::-1])),
    Mistake("bias-per-tap", "bias is added once for every tap or channel", None, ("y", "x"), every(_bias_times(_taps), _bias_times(_channels), _bias_times(lambda p: _taps(p) * _channels(p)), _bias_times(lambda p: p.groups))),
)
# fmt: on
