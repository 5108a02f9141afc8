"""Known mistakes of grouped convolutions: which channels belong to which group."""

# The table reads best with a line for each mistake.
# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from rot180.check.diagnose._mistake import CONV, Mistake, Predict, conv, every
from rot180.check.diagnose._problem import ConvProblem
from rot180.check.diagnose._sums import Array, kept

__all__ = ["GROUP_MISTAKES"]

# Operands that may be altered together; the computed one is among them as an output.
_CHOICES: Final = (("x",), ("w",), ("y",), ("w", "y"), ("x", "w"), ("x", "y"), CONV)


def _grouped(change: Callable[[ConvProblem], ConvProblem | Array | None]) -> Predict:
    """Predicts with a grouped convolution altered."""
    return conv(lambda p: change(p) if p.groups > 1 else None)


def _axis(name: str) -> int:
    """Returns the axis of the groups; that of a group's channels is the next."""
    return 0 if name == "w" else 1


def _reading(names: tuple[str, ...], read: Callable[[int, Array], Array]) -> Predict:
    """Predicts with operands read otherwise along the axis of the groups."""
    reads = {name: partial(read, _axis(name)) for name in names}
    return _grouped(lambda p: None if p.out in names else p.reading(**reads))


def _from_group(which: int) -> Predict:
    """Every group reads one group's slice, of one operand or of both."""

    def read(axis: int, a: Array) -> Array:
        return np.take(a, [which] * a.shape[axis], axis=axis)

    return every(*(_reading(names, read) for names in _CHOICES))


def _interleaved(names: tuple[str, ...]) -> Predict:
    """Group `g` takes the channels g, g + groups, ... where a block belongs to it."""

    def read(axis: int, a: Array) -> Array:
        shape = list(a.shape)
        shape[axis], shape[axis + 1] = shape[axis + 1], shape[axis]
        return a.reshape(shape).swapaxes(axis, axis + 1)

    def change(problem: ConvProblem) -> ConvProblem | Array:
        reads = {n: partial(read, _axis(n)) for n in names if n != problem.out}
        altered = problem.reading(**reads)
        if problem.out not in names:
            return altered
        y, axis = altered.grouped(), _axis(problem.out)
        return y.swapaxes(axis, axis + 1).reshape(y.shape)

    return _grouped(change)


def _rolled(step: int) -> Predict:
    """Every group reads its neighbour's slice of one operand."""

    def read(axis: int, a: Array) -> Array:
        return np.roll(a, step, axis)

    return every(*(_reading((name,), read) for name in CONV))


def _written(change: Callable[[Array, int], Array]) -> Predict:
    """Predicts with the results of the groups, along their axis, altered."""
    return _grouped(lambda p: change(p.grouped(), _axis(p.out)))


def _total(y: Array, axis: int) -> Array:
    return np.broadcast_to(y.sum(axis, keepdims=True), y.shape)


def _exchanged(a: Array) -> Array:
    """The filter with `k` and `c` exchanged, as another view of its memory if needed."""
    g, k, c, *taps = a.shape
    if k != c:
        a = a.reshape(g, c, k, *taps)
    return a.swapaxes(1, 2)


def _swapped_axes(problem: ConvProblem) -> ConvProblem | Array | None:
    shapes = [a.w.shape for a in problem.sums if a.w is not None]
    if any(shape[1] == shape[2] == 1 for shape in shapes):
        return None
    if problem.out != "w":
        return problem.reading(w=_exchanged)
    dw = problem.grouped()
    return dw.swapaxes(1, 2).reshape(dw.shape)


def _swapped_axes_reversed(problem: ConvProblem) -> ConvProblem | None:
    """Neither the filter rotated nor its channels exchanged."""
    flipped = tuple(d.by(flip=lambda d: not d.flip) for d in problem.dims)
    altered = _swapped_axes(replace(problem, dims=flipped))
    return altered if isinstance(altered, ConvProblem) else None


# fmt: off
GROUP_MISTAKES: Final = (
    Mistake("group-slice", "every group reads the first group's slice", 7, CONV, _from_group(0)),
    Mistake("group-slice-last", "every group reads the last group's slice", 7, CONV, _from_group(-1)),
    Mistake("group-neighbour", "groups read their neighbour's slice", 7, CONV, every(_rolled(1), _rolled(-1))),
    Mistake("groups-interleaved", "groups take every g-th channel, not a block", 7, CONV, every(*map(_interleaved, _CHOICES))),
    Mistake("groups-added-up", "results of all groups are added up", 7, CONV, _written(_total)),
    Mistake("groups-into-first", "all groups add to the first group's channels", 7, CONV, _written(lambda y, axis: kept(_total(y, axis), 0, axis))),
    Mistake("groups-overwrite", "all groups overwrite the first group's channels", 7, CONV, _written(lambda y, axis: kept(np.roll(y, 1, axis), 0, axis))),
    Mistake("groups-first-only", "only the first group is computed", 7, CONV, _written(lambda y, axis: kept(y, 0, axis))),
    Mistake("groups-last-only", "only the last group is computed", 7, CONV, _written(lambda y, axis: kept(y, -1, axis))),
    Mistake("channels-not-exchanged", "filter rotated, but its channels not exchanged", 1, ("x",), conv(_swapped_axes)),
    Mistake("filter-as-it-is", "filter neither rotated nor its channels exchanged", 1, ("x",), conv(_swapped_axes_reversed)),
    Mistake("channels-exchanged", "filter's channel axes are exchanged", 7, ("y", "w"), conv(_swapped_axes)),
)
# fmt: on
