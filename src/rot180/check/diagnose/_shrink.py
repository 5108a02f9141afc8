"""Making a failing configuration as small as it can be and still fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

from rot180.check.cases import KINDS, Case, altered, fitted, parameters

__all__ = ["shrink"]

_PER_DIMENSION: Final = {p.name for k in KINDS for p in parameters(k) if p.each}


def shrink(case: Case, fails: Callable[[Case], bool], tries: int = 300) -> Case:
    """Returns a smaller case for which `fails` still holds.

    Every parameter is moved towards its neutral value, and a dimension is left out
    where that can be, until nothing more can be moved or `tries` cases were tried.
    """
    seen = {case}
    smaller = True
    while smaller:
        smaller = False
        for candidate in _simpler(case):
            if candidate in seen or len(seen) > tries:
                continue
            seen.add(candidate)
            if fails(candidate):
                case, smaller = candidate, True
                break
    return case


def _simpler(case: Case) -> Iterator[Case]:
    """Yields simpler cases, the boldest first."""
    if case.seed:  # plainer values
        yield replace(case, seed=0)
        yield replace(case, seed=case.seed % 8)
    if isinstance(case.padding, str):
        yield replace(case, padding=((0, 0),) * case.rank)
        yield replace(case, padding=case.window.padding)
    for dim in range(case.rank):
        if case.rank > 1:
            yield fitted(_without(case, dim))
    for known in parameters(case.kind):
        value = getattr(case, known.name)
        if isinstance(value, str) and known.each:
            continue
        values = (
            _each(value, known.neutral) if known.each else _less(value, known.neutral)
        )
        for less in values:
            yield fitted(altered(case, known.name, less))


def _without(case: Case, dim: int) -> Case:
    for name in _PER_DIMENSION:
        value = getattr(case, name)
        if not isinstance(value, str):
            case = altered(case, name, value[:dim] + value[dim + 1 :])
    return case


def _each(values: tuple[Any, ...], neutral: Any) -> Iterator[tuple[Any, ...]]:
    if any(value != neutral for value in values):
        yield (neutral,) * len(values)
    for dim, value in enumerate(values):
        for less in _less(value, neutral):
            yield (*values[:dim], less, *values[dim + 1 :])


def _less(value: Any, neutral: Any) -> Iterator[Any]:
    """Yields values between `value` and `neutral`, nearest to `neutral` first."""
    if value == neutral:
        return
    yield neutral
    if isinstance(value, tuple):  # padding: one side, then one step
        low, high = value
        yield from (
            (0, high),
            (low, 0),
            (low - _sign(low), high),
            (low, high - _sign(high)),
        )
    elif isinstance(value, int) and not isinstance(value, bool) and value > 2:
        yield value // 2
        yield value - 1


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
