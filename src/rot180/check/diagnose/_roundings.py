"""Known mistakes of the arithmetic: numbers of fewer bits than the dtype has."""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from rot180.check.diagnose._mistake import (
    ALL,
    CONV,
    Mistake,
    Predict,
    Seen,
    every,
    result,
)
from rot180.check.diagnose._problem import ConvProblem
from rot180.check.diagnose._sums import Array

__all__ = ["ROUNDINGS"]

Change = Callable[[Array], Array]
# Operands that may be altered together, the bias with all of them.
_OPERANDS: Final = (("x", "w", "y", "b"), ("x", "w", "y"), ("x",), ("w",), ("y",))
# How many units in the last place a sum is taken to lose, of its largest summands.
_UNITS: Final = 8


def _cast(dtype: str, a: Array) -> Array:
    with np.errstate(all="ignore"):
        return a.astype(dtype).astype(np.float64)


def _shortened(bits: int, nearest: bool, a: Array) -> Array:
    """Returns the float32 numbers of fewer bits: the nearest, ties to even, or cut."""
    whole = a.astype(np.float32).view(np.uint32)
    rest = np.uint32(23 - bits)
    if nearest:
        half = np.uint32((1 << (22 - bits)) - 1)
        whole = whole + half + ((whole >> rest) & np.uint32(1))
    kept = (whole >> rest) << rest
    return kept.view(np.float32).astype(np.float64)


_FLOAT32: Final = partial(_cast, "float32")
_FLOAT16: Final = partial(_cast, "float16")
_BFLOAT16: Final = partial(_shortened, 7, True)
_BFLOAT16_CUT: Final = partial(_shortened, 7, False)
_TF32: Final = partial(_shortened, 10, True)
_TF32_CUT: Final = partial(_shortened, 10, False)
_INT8: Final = partial(np.clip, a_min=-(2**7), a_max=2**7 - 1)
_INT16: Final = partial(np.clip, a_min=-(2**15), a_max=2**15 - 1)


def _results(change: Change) -> Predict:
    """Predicts the right result, altered."""
    return result(lambda seen: change(seen.expected))


def _sums(change: Change, bits: int) -> Predict:
    """Predicts sums that are rounded at every step: whatever came, if it may be one.

    Every number that came is one of few bits, those that are right beside it are not,
    and none is farther from it than such sums go.
    """

    def predict(seen: Seen) -> Array | None:
        got, right = seen.got, seen.expected
        if got is None or not np.isfinite(got).all() or np.any(change(got) != got):
            return None
        wrong = got != right
        if np.any(change(right)[wrong] == right[wrong]):
            return None
        near = np.abs(got - right) <= _UNITS * 2.0**-bits * _summands(seen)
        return got if np.all(near) else None

    return result(predict)


def _summands(seen: Seen) -> Array:
    """Returns the sums of the products' absolute values."""
    if not isinstance(seen.problem, ConvProblem):
        return np.abs(seen.expected)
    problem = seen.problem.reading(x=np.abs, w=np.abs, y=np.abs)
    return replace(problem, b=None if problem.b is None else np.abs(problem.b)).value()


def _operands(change: Change, after: Change | None = None) -> Predict:
    """Predicts with operands altered, all or one of them; and the result after it."""

    def predict(seen: Seen) -> Iterator[Array]:
        if not isinstance(seen.problem, ConvProblem):
            return
        for names in _OPERANDS:
            new = _altered(seen.problem, names, change)
            if new is not None:
                yield new.value() if after is None else after(new.value())

    return predict


def _altered(
    problem: ConvProblem, names: tuple[str, ...], change: Change
) -> ConvProblem | None:
    """Returns the problem with operands altered, None if that makes no difference."""
    reads = {n: change for n in names if n not in ("b", problem.out)}
    new = problem.reading(**reads)
    if "b" in names and new.b is not None:
        new = replace(new, b=change(new.b))
    pairs = zip(_arrays(problem), _arrays(new), strict=True)
    return None if all(np.array_equal(a, b) for a, b in pairs) else new


def _arrays(problem: ConvProblem) -> list[Array]:
    found = [problem.b, *(a for s in problem.sums for a in (s.x, s.w, s.y))]
    return [a for a in found if a is not None]


# fmt: off
ROUNDINGS: Final = (
    Mistake("rounded-float32", "values are rounded to float32", None, ALL, every(_results(_FLOAT32), _sums(_FLOAT32, 24))),
    Mistake("rounded-float16", "values are rounded to float16", None, ALL, every(_results(_FLOAT16), _sums(_FLOAT16, 11))),
    Mistake("rounded-bfloat16", "values are rounded to bfloat16", None, ALL, every(_results(_BFLOAT16), _results(_BFLOAT16_CUT), _sums(_BFLOAT16_CUT, 8))),
    Mistake("operands-float32", "operands are rounded to float32", None, CONV, every(_operands(_FLOAT32), _operands(_FLOAT32, _FLOAT32))),
    Mistake("operands-float16", "operands are rounded to float16", None, CONV, every(_operands(_FLOAT16), _operands(_FLOAT16, _FLOAT16))),
    Mistake("operands-bfloat16", "operands are rounded to bfloat16", None, CONV, every(_operands(_BFLOAT16), _operands(_BFLOAT16_CUT), _operands(_BFLOAT16, _BFLOAT16))),
    Mistake("operands-tf32", "operands are rounded to TF32", None, CONV, every(_operands(_TF32), _operands(_TF32_CUT))),
    Mistake("rounded-int8", "values wrap around as int8", None, ALL, _results(partial(_cast, "int8"))),
    Mistake("saturated-int8", "values are saturated to int8", None, ALL, every(_results(_INT8), _operands(_INT8), _operands(_INT8, _INT8))),
    Mistake("saturated-int16", "values are saturated to int16", None, ALL, every(_results(_INT16), _operands(_INT16), _operands(_INT16, _INT16))),
)
# fmt: on
