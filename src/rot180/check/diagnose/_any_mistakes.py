"""Known mistakes that show in any output: signs, factors, roundings, shifts, memory."""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Final

import numpy as np

from rot180.check.diagnose._mistake import ALL, Mistake, Predict, Seen, result
from rot180.check.diagnose._roundings import ROUNDINGS
from rot180.check.diagnose._sums import Array, kept, transposed

__all__ = ["ANY_FIRST", "ANY_MISTAKES"]

_IMAGES = ("y", "x", "max", "max_back", "avg", "avg_back", "relu", "relu_backward")
_SIGNED = tuple(role for role in ALL if role != "relu")
_LARGEST_DENOMINATOR: Final = 512


def _of(change: Callable[[Array], Array]) -> Predict:
    """Predicts from the right result alone."""
    return result(lambda seen: change(seen.expected) if seen.expected.size else None)


def _scaled(seen: Seen) -> Array | None:
    """The right result times one small fraction, read off the largest value."""
    if seen.got is None:
        return 3 * seen.expected
    if np.count_nonzero(seen.expected) < 2:
        return None
    factor = _factor(seen.got, seen.expected)
    return seen.expected * float(factor) if factor is not None else None


def _factor(got: Array, expected: Array) -> Fraction | None:
    at = np.abs(expected).argmax()
    with np.errstate(all="ignore"):
        ratio = got.flat[at] / expected.flat[at]
    if not np.isfinite(ratio) or ratio == 0:
        return None
    return Fraction(float(ratio)).limit_denominator(_LARGEST_DENOMINATOR)


def _scale(seen: Seen) -> str:
    """How many times too large or small the numbers of one call are."""
    assert seen.got is not None
    factor = _factor(seen.got, seen.expected)
    assert factor is not None
    if factor.denominator == 1 and factor > 1:
        return f"{factor} times too large"
    if factor.numerator == 1 and factor > 0:
        return f"{factor.denominator} times too small"
    return f"scaled by {factor}"


def _empty_batch(seen: Seen) -> Array | None:
    """Memory that was never written holds anything: whatever came is predicted."""
    empty = seen.case.images == 0 and seen.output in ("dw", "db", "gw")
    return seen.got if empty else None


def _unwritten(seen: Seen) -> Array | None:
    """Memory that was never written comes filled with NaN."""
    if seen.got is None or not np.isnan(seen.got).any():
        return None
    return np.where(np.isnan(seen.got), np.nan, seen.expected)


def _shifts(rank: int) -> Iterator[tuple[int, ...]]:
    for by in (1, -1, 2, -2):
        if rank > 1:
            for axis in range(rank):
                yield tuple(by if d == axis else 0 for d in range(rank))
        yield (by,) * rank


def _shifted(*, wrap: bool) -> Predict:
    def predict(seen: Seen) -> Iterator[Array]:
        rank = seen.case.rank
        spatial = seen.expected.shape[-rank:]
        for by in _shifts(rank):
            if all(abs(b) < extent for b, extent in zip(by, spatial, strict=True)):
                new = _moved(seen.expected, by, wrap=wrap)
                if np.any(new):
                    yield new

    return predict


def _moved(a: Array, by: tuple[int, ...], *, wrap: bool) -> Array:
    """Returns the array moved along its last axes, with zeros behind or wrapped."""
    axes = tuple(range(-len(by), 0))
    moved = np.roll(a, by, axes)
    for axis, step in zip(axes, by, strict=True):
        if not wrap and step:
            behind = slice(0, step) if step > 0 else slice(step, None)
            moved[(..., behind, *(slice(None),) * (-axis - 1))] = 0
    return moved


def _mixed_memory(expected: Array) -> Array:
    """The elements of the other layout's memory in this layout's shape."""
    return np.moveaxis(expected, 1, -1).reshape(expected.shape)


# fmt: off
# Looked for before all others, and after them: the less a line says, the later.
ANY_FIRST: Final = (
    Mistake("empty-batch", "not written when the batch is empty", 10, ("w", "db"), result(_empty_batch)),
    Mistake("not-written", "memory that is never written", 10, ALL, result(_unwritten)),
    Mistake("zeros", "all zeros", None, ALL, _of(np.zeros_like)),
    Mistake("negative", "sign is wrong", None, ALL, _of(np.negative)),
    Mistake("accumulated", "every value is doubled: added twice, or never reset", None, ALL, _of(lambda e: 2 * e)),
)
ANY_MISTAKES: Final = (
    Mistake("clipped", "negative values are set to 0", None, _SIGNED, _of(lambda e: np.maximum(e, 0))),
    Mistake("absolute", "absolute values", None, _SIGNED, _of(np.abs)),
    *ROUNDINGS,
    Mistake("rounded-int", "fractions are cut off", None, ALL, _of(np.trunc)),
    Mistake("scaled", "scaled by a constant factor", 8, ALL, result(_scaled), _scale),
    Mistake("first-image-for-all", "every image gets the first image's result", None, _IMAGES, _of(lambda e: np.broadcast_to(e[:1], e.shape))),
    Mistake("later-images-zero", "only the first image is computed", None, _IMAGES, _of(lambda e: kept(e, 0, 0))),
    Mistake("images-reversed", "images in reverse order", None, _IMAGES, _of(lambda e: e[::-1])),
    Mistake("channels-reversed", "channels in reverse order", None, _IMAGES, _of(lambda e: e[:, ::-1])),
    Mistake("layout-mixed", "memory is channels last where channels first is meant", None, _IMAGES, _of(_mixed_memory)),
    Mistake("result-transposed", "rows and columns of the result are exchanged", None, ("y", "x", "max", "avg"), _of(lambda e: transposed(e, 2))),
    Mistake("result-reversed", "result is reversed in space", None, ("y", "x"), _of(lambda e: np.flip(e, tuple(range(2, e.ndim))))),
    Mistake("shifted", "result is shifted, zeros behind", 16, (*_IMAGES, "w"), _shifted(wrap=False)),
    Mistake("wrapped", "result is shifted, the end wrapped to the front", 16, (*_IMAGES, "w"), _shifted(wrap=True)),
)
# fmt: on
