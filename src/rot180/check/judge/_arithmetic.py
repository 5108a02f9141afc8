"""How far a result may lie from the right one: not at all, or an a-priori bound.

A bound holds for every result that the named way of computing can give; it is worked
out from the problem before the call. On the data of the oracle, integers, a mistake is
off by at least one unit, far above these bounds at the sizes that are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np

from rot180.check.cases import CONV, Case, epsilon
from rot180.check.judge._oracle import Operands, expected, terms
from rot180.check.subjects import Array
from rot180.errors import ArgumentError

Bounds = tuple[Array | None, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A way of computing, and the error it may make.

    Attributes:
        name: As on the command line.
        text: What a report says about it.
        bound: `(case, operands, sums)` to the largest error of each number of an
            output; `sums` are the results on the operands' absolute values.
        largest: The largest magnitude of operands on which a mistake, which is off by
            one or more, exceeds the bound; None for no limit.
    """

    name: str
    text: str
    bound: Callable[[Case, Operands, Array], Array] | None
    largest: int | None = None

    def bounds(
        self, case: Case, function: str, operands: Operands, count: int
    ) -> Bounds:
        """Returns the largest allowed difference of each output, None for none."""
        averages = case.kind == "avg_pool"
        bound = self.bound or (_direct if averages else None)
        if bound is None or not (averages or case.kind in CONV):
            return (None,) * count
        wide = replace(case, dtype="float64")
        magnitudes = {n: np.abs(a.astype("float64")) for n, a in operands.items()}
        sums = expected(wide, function, magnitudes)
        return tuple(bound(case, operands, total) for total in sums)


def _unit(case: Case) -> float:
    return epsilon(case.dtype) / 2


def _gamma(case: Case, more: int = 0) -> float:
    """`n u / (1 - n u)` for the longest sum of the case, Higham's constant."""
    count = (terms(case) + 3 + more) * _unit(case)
    return count / (1 - count)


def _direct(case: Case, operands: Operands, sums: Array) -> Array:
    return np.asarray(_gamma(case) * sums)


def _tf32(case: Case, operands: Operands, sums: Array) -> Array:
    return np.asarray((2.0**-10 + 2.0**-22 + _gamma(case)) * sums)


def _fft(case: Case, operands: Operands, sums: Array) -> Array:
    norms = [float(np.linalg.norm(a.astype("float64"))) for a in operands.values()]
    dims = zip(case.size, case.kernel_size, case.dilation, strict=True)
    points = math.prod(e + 2 * k * d for e, k, d in dims)
    product = math.prod(sorted(norms)[-2:])
    most = 10 * math.log2(max(points, 2)) * _unit(case) * product
    return np.full(sums.shape, most + _gamma(case) * float(sums.max(initial=0)))


def _winograd(case: Case, operands: Operands, sums: Array) -> Array:
    # ||A'|| ||G|| ||B'|| = 19 * 1 * 10, the largest row sums of F(4, 3) with the points
    # 0, 1, -1, 2, -2 and infinity (Lavin and Gray, arXiv 1509.09308).
    growth = 190.0**case.rank
    largest = [float(np.abs(a).max(initial=0)) for a in operands.values()]
    channels = max(case.in_group, case.out_group) * math.prod(case.kernel_size)
    product = math.prod(sorted(largest)[-2:])
    return np.full(sums.shape, growth * channels * product * _gamma(case, 20))


_ALL: Final = (
    Arithmetic("exact", "exact: every number has to be equal", None),
    Arithmetic(
        "direct",
        "direct sums in any order: within n u / (1 - n u) times the sum of the terms' "
        "magnitudes, n the number of terms, u the unit roundoff",
        _direct,
    ),
    Arithmetic(
        "tf32",
        "TF32: within (2**-10 + n u) times the sum of the terms' magnitudes",
        _tf32,
    ),
    Arithmetic(
        "fft",
        "FFT: within 10 u log2(points) times the product of the operands' norms",
        _fft,
    ),
    Arithmetic(
        "winograd",
        "Winograd F(4, 3): within 190**rank n u times the number of terms and the "
        "operands' largest magnitudes",
        _winograd,
        largest=1,
    ),
)
ARITHMETICS: Final[Mapping[str, Arithmetic]] = MappingProxyType(
    {arithmetic.name: arithmetic for arithmetic in _ALL}
)


def arithmetic_of(name: str | None) -> Arithmetic:
    """Returns the arithmetic of that name, the exact one for None.

    Raises:
        ArgumentError: There is none.
    """
    found = ARITHMETICS.get(name or "exact")
    if found is None:
        known = ", ".join(ARITHMETICS)
        raise ArgumentError(
            f"check: arithmetic {name!r} is not known\n  Use one of {known}."
        )
    return found
