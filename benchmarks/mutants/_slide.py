"""Reading the arguments of a call; what they mean for the window that slides."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Ints = int | Sequence[int]
Numbers = tuple[int, ...]
Index = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Slide:
    """A window and the positions it slides over; one number for each dimension.

    Output position `p` and tap `r` meet at input position
    `p*stride + r*dilation - low`. For a transposed convolution, input and output are
    those of the convolution that it transposes.
    """

    size: Numbers
    output: Numbers
    kernel: Numbers
    stride: Numbers
    dilation: Numbers
    low: Numbers
    high: Numbers
    groups: int = 1

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.kernel)

    @property
    def span(self) -> Numbers:
        """Positions from the first tap to the last."""
        return spans(self.kernel, self.dilation)

    @property
    def reach(self) -> Numbers:
        """Positions from the first window's first tap to the last window's last."""
        return tuple(
            (q - 1) * step + span
            for q, step, span in zip(self.output, self.stride, self.span, strict=True)
        )

    @property
    def tail(self) -> Numbers:
        """Positions of the padded input behind the last window."""
        dims = zip(self.size, self.low, self.high, self.reach, strict=True)
        return tuple(max(size + lo + hi - reach, 0) for size, lo, hi, reach in dims)


def last_axes(*at: Any) -> Index:
    """Returns the index that takes `at` of the last axes and all of those before."""
    return (..., *at)


def spans(kernel: Numbers, dilation: Numbers) -> Numbers:
    """Returns how many positions a window takes up."""
    return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))


def ints(name: str, value: Ints, rank: int, *, least: int) -> Numbers:
    """Returns one number for each dimension.

    Raises:
        ValueError: They are too few, too many or too small.
    """
    if isinstance(value, Sequence):
        values = tuple(operator.index(item) for item in value)
    else:
        values = (operator.index(value),) * rank
    if len(values) != rank or any(item < least for item in values):
        raise ValueError(f"{name} is {value!r}: pass {rank} of at least {least}")
    return values


def sides(padding: Any, rank: int) -> tuple[Numbers, Numbers]:
    """Returns the padding before and behind the input, from any of its forms."""
    if isinstance(padding, str):
        raise NotImplementedError("padding by name")
    if not isinstance(padding, Sequence):
        padding = (padding,) * rank
    pairs = [p if isinstance(p, Sequence) else (p, p) for p in padding]
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"padding is {padding!r}: pass one for each of {rank}")
    low, high = zip(*pairs, strict=True)
    return tuple(map(operator.index, low)), tuple(map(operator.index, high))


def conv_slide(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    stride: Ints,
    padding: Any,
    dilation: Numbers,
    groups: int,
) -> Slide:
    """Returns the window of a convolution, its shapes checked."""
    kernel = _kernel(x_shape, w_shape)
    steps = ints("stride", stride, len(kernel), least=1)
    low, high = sides(padding, len(kernel))
    size = tuple(x_shape[2:])
    _check_groups(groups, w_shape[0])
    if x_shape[1] != groups * w_shape[1]:
        raise ValueError(f"x has {x_shape[1]} channels, w {groups} * {w_shape[1]}")
    output = tuple(
        (extent + lo + hi - span) // step + 1
        for extent, lo, hi, span, step in zip(
            size, low, high, spans(kernel, dilation), steps, strict=True
        )
    )
    _check_extents(output)
    return Slide(size, output, kernel, steps, dilation, low, high, groups)


def transposed_slide(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    stride: Ints,
    padding: Any,
    output_padding: Ints,
    dilation: Numbers,
    groups: int,
) -> Slide:
    """Returns the window of the convolution from `y` to `x`, its shapes checked."""
    kernel = _kernel(x_shape, w_shape)
    steps = ints("stride", stride, len(kernel), least=1)
    low, high = sides(padding, len(kernel))
    more = ints("output_padding", output_padding, len(kernel), least=0)
    if any(m >= max(s, d) for m, s, d in zip(more, steps, dilation, strict=True)):
        raise ValueError(f"output_padding {more} is not below stride or dilation")
    output = tuple(x_shape[2:])
    _check_groups(groups, x_shape[1])
    if x_shape[1] != w_shape[0]:
        raise ValueError(f"x has {x_shape[1]} channels, w {w_shape[0]}")
    size = tuple(
        (q - 1) * step + span - lo - hi + m
        for q, step, span, lo, hi, m in zip(
            output, steps, spans(kernel, dilation), low, high, more, strict=True
        )
    )
    _check_extents(size)
    return Slide(size, output, kernel, steps, dilation, low, high, groups)


def pool_slide(
    x_shape: Sequence[int],
    kernel_size: Ints,
    *,
    stride: Ints | None,
    padding: Any,
    dilation: Ints,
    ceil_mode: bool,
) -> Slide:
    """Returns the window of a pooling; `high` is the padding that was asked for."""
    rank = _pool_rank(x_shape, kernel_size)
    kernel = ints("kernel_size", kernel_size, rank, least=1)
    steps = kernel if stride is None else ints("stride", stride, rank, least=1)
    dilations = ints("dilation", dilation, rank, least=1)
    low, high = sides(padding, rank)
    size = tuple(x_shape[2:])
    rooms = [
        extent + lo + hi - span
        for extent, lo, hi, span in zip(
            size, low, high, spans(kernel, dilations), strict=True
        )
    ]
    output = tuple(
        _overhanging(room, extent + lo, step) if ceil_mode else room // step + 1
        for room, extent, lo, step in zip(rooms, size, low, steps, strict=True)
    )
    _check_extents(output)
    return Slide(size, output, kernel, steps, dilations, low, high)


def _pool_rank(x_shape: Sequence[int], kernel_size: Ints) -> int:
    rank = len(x_shape) - 2
    if isinstance(kernel_size, Sequence) and len(kernel_size) == rank + 1:
        raise NotImplementedError("no image axis")
    if rank < 1:
        raise ValueError(f"x has shape {tuple(x_shape)}: no spatial axes")
    return rank


def _overhanging(room: int, end: int, step: int) -> int:
    """Counts windows that may overhang but have to begin before `end`."""
    count = -(-room // step) + 1
    return count - 1 if (count - 1) * step >= end else count


def _kernel(x_shape: Sequence[int], w_shape: Sequence[int]) -> Numbers:
    rank = len(w_shape) - 2
    if rank >= 1 and len(x_shape) == rank + 1:
        raise NotImplementedError("no image axis")
    if rank < 1 or len(x_shape) != rank + 2:
        raise ValueError(f"shapes {tuple(x_shape)} and {tuple(w_shape)} do not fit")
    kernel = tuple(w_shape[2:])
    _check_extents(kernel)
    return kernel


def _check_groups(groups: int, channels: int) -> None:
    if groups < 1 or channels % groups:
        raise ValueError(f"groups={groups} does not divide {channels} channels")


def _check_extents(extents: Numbers) -> None:
    if any(extent < 1 for extent in extents):
        raise ValueError(f"extents {extents} are not all positive")
