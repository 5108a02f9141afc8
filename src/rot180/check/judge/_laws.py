"""Laws that the passes obey among themselves, whatever the reference says.

A law asks the subject several times and compares the answers with one another.  On the
oracle's data the arithmetic is exact, so the comparisons are too.  They reach where the
reference does not: any size, as they cost only calls, and properties that no single
call shows, such as giving the same bits again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rot180.check.cases import Case, Kind, epsilon
from rot180.check.judge._oracle import expected, operands, window_counts
from rot180.check.subjects import Array

__all__ = ["LAWS", "Law"]

# Calls a function of the subject on a case and operands; returns its outputs.
Ask = Callable[[Case, str, Mapping[str, Array]], tuple[Array, ...]]


@dataclass(frozen=True, slots=True)
class Law:
    """One relation between calls.

    Attributes:
        kind: The operation it is about.
        name: As in reports.
        text: What has to hold, in a line.
        needs: Functions that it calls, each a choice of names of which one will do.
        holds: Whether it holds on a case; draws the data.
        applies: Whether a case has what the law speaks of.
        alone: Whether it says more than the reference does: with ties, any rule that
            obeys it is right, and the reference has but one.
    """

    kind: Kind
    name: str
    text: str
    needs: tuple[tuple[str, ...], ...]
    holds: Callable[[Ask, Case, np.random.Generator], bool]
    applies: Callable[[Case], bool] = lambda case: True
    alone: bool = False

    def concerns(self, case: Case, functions: Container[str]) -> bool:
        """Whether the law can be asked of a subject with these functions."""
        has = all(any(name in functions for name in choice) for choice in self.needs)
        return has and case.kind == self.kind and self.applies(case)


_DX: Final = ("conv_input_grad", "conv_backward")
_DW: Final = ("conv_weight_grad", "conv_backward")


def _input_grad(ask: Ask, case: Case, o: Mapping[str, Array]) -> Array:
    try:
        return ask(case, "conv_input_grad", o)[0]
    except KeyError:
        return ask(case, "conv_backward", o)[0]


def _weight_grad(ask: Ask, case: Case, o: Mapping[str, Array]) -> Array:
    try:
        return ask(case, "conv_weight_grad", o)[0]
    except KeyError:
        return ask(case, "conv_backward", o)[1]


def _inner(a: Array, b: Array) -> int:
    """The inner product of multiples of 1/256, times 2**16; exact."""
    left, right = a.astype("float64") * 256, b.astype("float64") * 256
    most = float(np.abs(left).max(initial=0)) * float(np.abs(right).max(initial=0))
    if most * left.size < 2**53:
        return int(np.vdot(left, right))
    pairs = zip(left.reshape(-1).tolist(), right.reshape(-1).tolist(), strict=True)
    return sum(int(p) * int(q) for p, q in pairs)


def _unbiased(o: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array for name, array in o.items() if name != "b"}


def _triple(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    return _is_adjoint(ask, case, operands(case, rng))


def _double_backward(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    return _is_adjoint(ask, case, {"x": o["ddx"], "w": o["ddw"], "dy": o["dy"]})


def _is_adjoint(ask: Ask, case: Case, o: Mapping[str, Array]) -> bool:
    o = _unbiased(o)
    (y,) = ask(case, "conv", o)
    dx, dw = _input_grad(ask, case, o), _weight_grad(ask, case, o)
    return _inner(o["dy"], y) == _inner(dx, o["x"]) == _inner(dw, o["w"])


def _transposed_pair(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = _unbiased(operands(case, rng))
    (y,) = ask(case, "conv_transpose", o)
    dx, dw, _ = ask(case, "conv_transpose_backward", o)
    return _inner(o["dy"], y) == _inner(dx, o["x"]) == _inner(dw, o["w"])


def _linear(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o, other = _unbiased(operands(case, rng)), operands(case, rng)
    function = case.kind
    (a,), (b,) = ask(case, function, o), ask(case, function, {**o, "x": other["x"]})
    (both,) = ask(case, function, {**o, "x": o["x"] + other["x"]})
    return bool(np.all(both == a + b))


def _linear_in_w(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o, other = _unbiased(operands(case, rng)), operands(case, rng)
    function = case.kind
    (a,), (b,) = ask(case, function, o), ask(case, function, {**o, "w": other["w"]})
    (both,) = ask(case, function, {**o, "w": o["w"] + other["w"]})
    return bool(np.all(both == a + b))


def _has_rows(case: Case) -> bool:
    return not isinstance(case.padding, str) and case.size[0] > case.stride[0]


def _shift(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    """`x` moved by the stride moves `y` by one, as far as no window is cut off."""
    o = operands(case, rng)
    axis = -1 - case.rank if case.layout == "channels_last" else -case.rank
    step, size = case.stride[0], case.size[0]
    moved = np.roll(o["x"], step, axis)
    np.moveaxis(moved, axis, 0)[:step] = 0
    (y,), (shifted,) = ask(case, "conv", o), ask(case, "conv", {**o, "x": moved})
    reach = (case.kernel_size[0] - 1) * case.dilation[0] - int(case.padding[0][0])
    whole = (size - 1 - reach) // step  # the last output whose window ends inside
    here, there = np.moveaxis(shifted, axis, 0), np.moveaxis(y, axis, 0)
    last = min(whole, len(there) - 1)
    return bool(last < 1 or np.all(here[1 : last + 1] == there[:last]))


def _several(case: Case) -> bool:
    return (case.images or 0) > 1


def _batch(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    (y,) = ask(case, case.kind, o)
    one, rest = replace(case, images=1), replace(case, images=(case.images or 1) - 1)
    (first,) = ask(one, case.kind, {**o, "x": o["x"][:1]})
    (others,) = ask(rest, case.kind, {**o, "x": o["x"][1:]})
    return bool(np.all(y == np.concatenate([first, others])))


def _batch_grad(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    one, rest = replace(case, images=1), replace(case, images=(case.images or 1) - 1)
    whole = _weight_grad(ask, case, o)
    first = _weight_grad(ask, one, {**o, "x": o["x"][:1], "dy": o["dy"][:1]})
    others = _weight_grad(ask, rest, {**o, "x": o["x"][1:], "dy": o["dy"][1:]})
    return bool(np.all(whole == first + others))


def _tied(case: Case, rng: np.random.Generator) -> dict[str, Array]:
    o = operands(case, rng)
    o["x"] = rng.integers(-1, 2, o["x"].shape).astype(case.dtype)
    return o


def _every_window_has_values(case: Case) -> bool:
    """Whether no window lies in the padding alone, so that no `dy` is lost."""
    inside = replace(case, count_include_pad=False, divisor_override=None)
    return all(count for row in window_counts(inside) for count in row)


def _max_sum(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = _tied(case, rng)
    (dx,) = ask(case, "max_pool_backward", o)
    return _same_sum(dx, o["dy"])


def _max_ties(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    """Only a position that is a maximum of some window gets anything."""
    o = _tied(case, rng)
    (dx,) = ask(case, "max_pool_backward", o)
    return bool(np.all((dx == 0) | _is_maximum(case, o["x"])))


def _is_small(case: Case) -> bool:
    """Whether the reference can be asked once for each position."""
    return math.prod(case.x_shape) <= 500


def _is_maximum(case: Case, x: Array) -> Array:
    """Where an integer `x` equals the maximum of some window that covers it.

    Half a unit more there raises that maximum, and no other position's does.
    """
    flat, found = x.reshape(-1), np.zeros(x.size, bool)
    (before,) = expected(case, "max_pool", {"x": x})
    for place in range(x.size):
        raised = flat.copy()
        raised[place] += 0.5
        (after,) = expected(case, "max_pool", {"x": raised.reshape(x.shape)})
        found[place] = bool(np.any(after > before))
    return found.reshape(x.shape)


def _counts_only_inside(case: Case) -> bool:
    plain = not case.count_include_pad or (
        not case.ceil_mode
        and not isinstance(case.padding, str)
        and all(pair == (0, 0) for pair in case.padding)
    )
    return plain and case.divisor_override is None and _every_window_has_values(case)


def _avg_sum(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    (dx,) = ask(case, "avg_pool_backward", o)
    return _same_sum(dx, o["dy"])


def _same_sum(dx: Array, dy: Array) -> bool:
    """Whether two sums are equal but for what divisions may have rounded."""
    wanted, got = float(dy.sum(dtype="float64")), float(dx.sum(dtype="float64"))
    slack = 64 * epsilon(dy.dtype.name)
    return abs(wanted - got) <= slack * float(np.abs(dy).sum(dtype="float64"))


_CONV: Final = (("conv",),)
_PASSES: Final = (("conv",), _DX, _DW)
_TRANSPOSED: Final = (("conv_transpose",), ("conv_transpose_backward",))

LAWS: Final = (
    Law("conv", "adjoint", "<dy, y> == <dx, x> == <dw, w>", _PASSES, _triple),
    Law(
        "conv",
        "double backward",
        "<ddx, dx(dy, ddw)> == <dy, y(ddx, ddw)> == <ddw, dw(dy, ddx)>",
        _PASSES,
        _double_backward,
    ),
    Law("conv", "linear in x", "y(x + u) == y(x) + y(u)", _CONV, _linear),
    Law("conv", "linear in w", "y(w + u) == y(w) + y(u)", _CONV, _linear_in_w),
    Law(
        "conv",
        "shift",
        "x moved by the stride moves y by one position",
        _CONV,
        _shift,
        _has_rows,
    ),
    Law(
        "conv",
        "batch split",
        "y of a batch == y of its parts",
        _CONV,
        _batch,
        _several,
    ),
    Law(
        "conv",
        "batch split of dw",
        "dw of a batch == the sum of dw of its parts",
        (_DW,),
        _batch_grad,
        _several,
    ),
    Law(
        "conv_transpose",
        "adjoint",
        "<dy, y> == <dx, x> == <dw, w>",
        _TRANSPOSED,
        _transposed_pair,
    ),
    Law(
        "conv_transpose",
        "linear in x",
        "y(x + u) == y(x) + y(u)",
        (("conv_transpose",),),
        _linear,
    ),
    Law(
        "max_pool",
        "sum",
        "sum of dx == sum of dy, also where values tie",
        (("max_pool_backward",),),
        _max_sum,
        _every_window_has_values,
        alone=True,
    ),
    Law(
        "max_pool",
        "ties",
        "only positions that hold a maximum get a gradient",
        (("max_pool_backward",),),
        _max_ties,
        _is_small,
        alone=True,
    ),
    Law(
        "avg_pool",
        "sum",
        "sum of dx == sum of dy, where only positions inside count",
        (("avg_pool_backward",),),
        _avg_sum,
        _counts_only_inside,
        alone=True,
    ),
)
