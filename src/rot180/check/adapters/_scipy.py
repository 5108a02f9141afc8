"""SciPy's correlation and convolution, used as the article uses them.

Judged: `scipy.signal.correlate` and `scipy.signal.convolve`, both with
`method="direct"`, on one channel at a time, in any rank. The forward pass is the
correlation, the input gradient the full convolution of `dy` with the filter, the
weight gradient the correlation of the input with `dy`; with `flip` the first two
change places. The sum over channels and groups, the zeros of the padding and between
the taps of a dilation, and the step of a stride are the adapter's, as SciPy has none.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from scipy import signal
except ImportError as error:
    raise ImportError(
        "the adapter 'scipy' needs SciPy, which is not installed\n"
        "  Run: pip install 'rot180[scipy]'"
    ) from error

Array = NDArray[Any]
Ints = int | Sequence[int]
Pairs = list[tuple[int, int]]
VERSIONS = ("scipy",)
UNSUPPORTED = {
    "no image axis": "SciPy has no image axis; the adapter's loop expects one",
    "layout": "SciPy has no channels; the adapter's loop expects them first",
}
# SciPy's modes by the name that rot180 has for the same padding; "valid" pads nothing.
_MODES = {"full": "full", "same_lower": "same"}
_correlate = partial(signal.correlate, method="direct")
_convolve = partial(signal.convolve, method="direct")


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """`y`, for each pair of channels a correlation, with `flip` a convolution."""
    slide = _convolve if flip else _correlate
    rank = w.ndim - 2
    taps = _spread(w, _each(dilation, rank))
    pads = _pairs(padding, taps.shape[2:], stride)
    mode = _MODES.get(padding, "valid") if isinstance(padding, str) else "valid"
    images = _padded(x, pads) if mode == "valid" else x
    counts = [
        n + low + high - span + 1
        for n, span, (low, high) in zip(x.shape[2:], taps.shape[2:], pads, strict=True)
    ]
    full = np.zeros((len(x), len(w), *counts), x.dtype)
    for n, k, c, i in _channels(len(x), w.shape, groups):
        full[n, k] += slide(images[n, i], taps[k, c], mode)
    y = np.array(full[_steps(stride, rank)])
    return y if b is None else y + b.reshape(len(w), *(1,) * rank)


def conv_input_grad(
    dy: Array,
    w: Array,
    x_shape: tuple[int, ...],
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """`dx`, for each pair of channels a full convolution, with `flip` a correlation."""
    slide = _correlate if flip else _convolve
    rank = w.ndim - 2
    taps = _spread(w, _each(dilation, rank))
    slopes = _spread(dy, _each(stride, rank))
    pads = _pairs(padding, taps.shape[2:], stride)
    dims = zip(x_shape[2:], pads, strict=True)
    grown = (n + low + high for n, (low, high) in dims)
    dx = np.zeros((*x_shape[:2], *grown), dy.dtype)
    reached = _reached(slopes, taps.shape[2:])
    for n, k, c, i in _channels(len(dy), w.shape, groups):
        dx[(n, i, *reached)] += slide(slopes[n, k], taps[k, c], "full")
    return _padded(dx, [(-low, -high) for low, high in pads])


def conv_weight_grad(
    dy: Array,
    x: Array,
    w_shape: tuple[int, ...],
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
    flip: bool = False,
) -> Array:
    """`dw`, for each pair of channels the correlation of `x` with `dy`."""
    rank = len(w_shape) - 2
    dilations = _each(dilation, rank)
    dims = zip(w_shape[2:], dilations, strict=True)
    spans = tuple((r - 1) * d + 1 for r, d in dims)
    slopes = _spread(dy, _each(stride, rank))
    images = _padded(x, _pairs(padding, spans, stride))
    reached = _reached(slopes, spans)
    dw = np.zeros((*w_shape[:2], *spans), dy.dtype)
    for n, k, c, i in _channels(len(x), w_shape, groups):
        dw[k, c] += _correlate(images[(n, i, *reached)], slopes[n, k], "valid")
    taken = np.array(dw[_steps(dilations, rank)])
    return np.array(np.flip(taken, tuple(range(2, rank + 2)))) if flip else taken


def conv_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db`."""
    dx = conv_input_grad(dy, w, x.shape, **options)
    dw = conv_weight_grad(dy, x, w.shape, **options)
    return dx, dw, dy.sum(axis=(0, *range(2, dy.ndim)))


def _reached(slopes: Array, spans: tuple[int, ...]) -> tuple[Any, ...]:
    """The positions of `x` that some window reaches."""
    dims = zip(slopes.shape[2:], spans, strict=True)
    return tuple(slice(n + span - 1) for n, span in dims)


def _channels(
    images: int, w_shape: tuple[int, ...], groups: int
) -> list[tuple[int, int, int, int]]:
    """Image, filter, its channel, and that channel's number in `x`, for all."""
    filters, channels = w_shape[:2]
    return [
        (n, k, c, k // (filters // groups) * channels + c)
        for n in range(images)
        for k in range(filters)
        for c in range(channels)
    ]


def _spread(array: Array, steps: tuple[int, ...]) -> Array:
    """The array with `step - 1` zeros between neighbours of its spatial axes."""
    dims = zip(array.shape[2:], steps, strict=True)
    size = ((n - 1) * step + 1 for n, step in dims)
    spread = np.zeros((*array.shape[:2], *size), array.dtype)
    spread[_steps(steps, len(steps))] = array
    return spread


def _padded(array: Array, pads: Pairs) -> Array:
    """The array with zeros around its spatial axes; negative numbers crop."""
    zeros = [(max(low, 0), max(high, 0)) for low, high in pads]
    grown = np.pad(array, [(0, 0), (0, 0), *zeros])
    crop: tuple[Any, ...] = tuple(
        slice(max(-low, 0), n - max(-high, 0))
        for n, (low, high) in zip(grown.shape[2:], pads, strict=True)
    )
    return np.array(grown[(..., *crop)])


def _pairs(padding: Any, spans: tuple[int, ...], stride: Ints) -> Pairs:
    """`(low, high)` for each dimension."""
    match padding:
        case "valid":
            return [(0, 0) for _ in spans]
        case "full":
            return [(span - 1, span - 1) for span in spans]
        case "same_lower" if max(_each(stride, len(spans))) == 1:
            return [(span // 2, (span - 1) // 2) for span in spans]
        case str():
            raise NotImplementedError(
                f"SciPy has no mode for padding {padding!r}, other than for "
                "'same_lower' with stride 1"
            )
    each = _each(padding, len(spans))
    return [(p, p) if isinstance(p, int) else (p[0], p[1]) for p in each]


def _steps(step: Ints, rank: int) -> tuple[Any, ...]:
    """The index that takes every `step`th position of the spatial axes."""
    return (..., *(slice(None, None, s) for s in _each(step, rank)))


def _each(value: Any, rank: int) -> tuple[Any, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
