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
from rot180.check.diagnose._sums import Array

__all__ = ["GROUP_MISTAKES"]

# Operands that may be altered together; the computed one is among them as an output.
_CHOICES: Final = (("x",), ("w",), ("y",), ("w", "y"), ("x", "w"), ("x", "y"), CONV)


def _grouped(change: Callable[[ConvProblem], ConvProblem | Array | None]) -> Predict:
    """Predicts with a grouped convolution altered."""
    return conv(lambda p: change(p) if p.groups > 1 else None)


def _axis(name: str) -> int:
    """Returns the axis of the groups; that of a group's channels is the next."""
    return 0 if name == "w" else 1


def _from_group(which: int) -> Predict:
    """Every group reads one group's slice, of one operand or of both."""

    def form(names: tuple[str, ...]) -> Predict:
        def read(name: str, a: Array) -> Array:
            axis = _axis(name)
            return np.take(a, [which] * a.shape[axis], axis=axis)

        reads = {name: partial(read, name) for name in names}
        return _grouped(lambda p: None if p.out in names else p.reading(**reads))

    return every(*(form(names) for names in _CHOICES))


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

    def form(name: str) -> Predict:
        def read(a: Array) -> Array:
            return np.roll(a, step, _axis(name))

        return _grouped(lambda p: p.reading(**{name: read}) if name != p.out else None)

    return every(*(form(name) for name in CONV))


def _added_up(*, everywhere: bool) -> Predict:
    """The groups' results go to one place: all groups', or the first group's."""

    def change(problem: ConvProblem) -> Array:
        y, axis = problem.grouped(), _axis(problem.out)
        total = np.broadcast_to(y.sum(axis, keepdims=True), y.shape)
        return total if everywhere else total * _at(y, axis, 0)

    return _grouped(change)


def _one_left(which: int) -> Predict:
    """Only one group's result is written."""

    def change(problem: ConvProblem) -> Array:
        y, axis = problem.grouped(), _axis(problem.out)
        return y * _at(y, axis, which)

    return _grouped(change)


def _at(a: Array, axis: int, which: int) -> Array:
    """Returns 1 at one place of an axis, 0 elsewhere, to multiply `a` by."""
    shape = [1] * a.ndim
    shape[axis] = a.shape[axis]
    chosen = np.arange(a.shape[axis]) == which % a.shape[axis]
    return np.asarray(chosen).reshape(shape)


def _overwritten(problem: ConvProblem) -> Array:
    """Every group writes to the first group's place; the last stands."""
    y, axis = problem.grouped(), _axis(problem.out)
    return np.roll(y, 1, axis) * _at(y, axis, 0)


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
    flipped = tuple(replace(d, flip=not d.flip) for d in problem.dims)
    altered = _swapped_axes(replace(problem, dims=flipped))
    return altered if isinstance(altered, ConvProblem) else None


# fmt: off
GROUP_MISTAKES: Final = (
    Mistake("group-slice", "every group reads the first group's slice", 7, CONV, _from_group(0)),
    Mistake("group-slice-last", "every group reads the last group's slice", 7, CONV, _from_group(-1)),
    Mistake("group-neighbour", "groups read their neighbour's slice", 7, CONV, every(_rolled(1), _rolled(-1))),
    Mistake("groups-interleaved", "groups take every g-th channel, not a block", 7, CONV, every(*map(_interleaved, _CHOICES))),
    Mistake("groups-added-up", "results of all groups are added up", 7, CONV, _added_up(everywhere=True)),
    Mistake("groups-into-first", "all groups add to the first group's channels", 7, CONV, _added_up(everywhere=False)),
    Mistake("groups-overwrite", "all groups overwrite the first group's channels", 7, CONV, _grouped(_overwritten)),
    Mistake("groups-first-only", "only the first group is computed", 7, CONV, _one_left(0)),
    Mistake("groups-last-only", "only the last group is computed", 7, CONV, _one_left(-1)),
    Mistake("channels-not-exchanged", "filter rotated, but its channels not exchanged", 1, ("x",), conv(_swapped_axes)),
    Mistake("filter-as-it-is", "filter neither rotated nor its channels exchanged", 1, ("x",), conv(_swapped_axes_reversed)),
    Mistake("channels-exchanged", "filter's channel axes are exchanged", 7, ("y", "w"), conv(_swapped_axes)),
)
# fmt: on
