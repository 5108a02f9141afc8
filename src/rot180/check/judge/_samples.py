"""Single positions of a forward pass that is too large for the reference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from rot180.check.cases import Case
from rot180.check.judge._arithmetic import Arithmetic
from rot180.check.judge._oracle import Operands, output_size
from rot180.check.subjects import Array

_SAMPLES: Final = 64


def sampled(
    case: Case, given: Operands, y: Any, arithmetic: Arithmetic
) -> Iterator[tuple[str, Any, Array, Array | None]]:
    """Yields some positions of a large forward pass, as one array."""
    shape = case.image_shape(case.filters, output_size(case))
    if not isinstance(y, np.ndarray) or y.shape != shape or case.images is None:
        yield "y", y, np.zeros(shape, case.dtype), None
        return
    rng = np.random.default_rng(case.seed)
    places = [tuple(int(rng.integers(e)) for e in shape) for _ in range(_SAMPLES)]
    right = [_position(case, given, at) for at in places]
    got = np.array([y[at] for at in places], y.dtype)
    sizes = {name: np.abs(array) for name, array in given.items()}
    sums = np.array([_position(case, sizes, at) for at in places])
    bound = None if arithmetic.bound is None else arithmetic.bound(case, given, sums)
    yield "y", got, np.array(right, case.dtype), bound


def _position(case: Case, given: Operands, at: tuple[int, ...]) -> float:
    """Returns one number of the forward pass, straight from its definition."""
    x, w = given["x"], given["w"]
    n, k, *place = at
    begin = k // case.out_group * case.in_group
    total = float(given["b"][k]) if "b" in given else 0.0
    for tap in np.ndindex(*case.kernel_size):
        read = [
            p * s + r * d - low
            for p, s, r, d, (low, _) in zip(
                place, case.stride, tap, case.dilation, case.padding, strict=True
            )
        ]
        if all(0 <= i < extent for i, extent in zip(read, case.size, strict=True)):
            seen = (
                tuple(k - 1 - r for k, r in zip(case.kernel_size, tap, strict=True))
                if case.flip
                else tap
            )
            channels = slice(begin, begin + case.in_group)
            values = x[(n, channels, *read)].astype("float64")
            total += float(values @ w[(k, slice(None), *seen)].astype("float64"))
    return total
