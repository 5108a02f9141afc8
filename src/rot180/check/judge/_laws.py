"""Laws that the passes obey among themselves, whatever the reference says.

A law asks the subject several times and compares the answers with one another.  On the
oracle's data the arithmetic is exact, so the comparisons are too.  They reach where the
reference does not: any size, as they cost only calls, and properties that no single
call shows, such as giving the same bits again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from rot180.check.cases import OUTPUTS, Case, Kind, epsilon
from rot180.check.judge._oracle import expected, operands, window_counts
from rot180.check.subjects import Array

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


_SINGLE: Final = {"dx": "conv_input_grad", "dw": "conv_weight_grad"}


def _gradient(ask: Ask, case: Case, o: Mapping[str, Array], output: str) -> Array:
    if case.kind == "conv":
        with suppress(KeyError):
            return ask(case, _SINGLE[output], o)[0]
    both = f"{case.kind}_backward"
    return ask(case, both, o)[OUTPUTS[both].index(output)]


def _inner(a: Array, b: Array) -> int:
    """The inner product of multiples of 1/256, times 2**16; exact."""
    left, right = a.astype("float64") * 256, b.astype("float64") * 256
    most = float(np.abs(left).max(initial=0)) * float(np.abs(right).max(initial=0))
    if most * left.size < 2**53:
        return int(np.vdot(left, right))
    pairs = zip(left.reshape(-1).tolist(), right.reshape(-1).tolist(), strict=True)
    return sum(int(p) * int(q) for p, q in pairs)


def _adjoint(
    ask: Ask, case: Case, rng: np.random.Generator, x: str = "x", w: str = "w"
) -> bool:
    """Whether the passes on `dy` and the operands of these names fit, without bias."""
    drawn = operands(case, rng)
    o = {"x": drawn[x], "w": drawn[w], "dy": drawn["dy"]}
    (y,) = ask(case, case.kind, o)
    dx, dw = (_gradient(ask, case, o, output) for output in ("dx", "dw"))
    return _inner(o["dy"], y) == _inner(dx, o["x"]) == _inner(dw, o["w"])


def _linear(name: str, ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o, other = operands(case, rng), operands(case, rng)[name]
    o.pop("b", None)
    (a,), (b,) = ask(case, case.kind, o), ask(case, case.kind, {**o, name: other})
    (both,) = ask(case, case.kind, {**o, name: o[name] + other})
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


def _parts(
    case: Case, o: Mapping[str, Array]
) -> Iterator[tuple[Case, dict[str, Array]]]:
    """Yields the first image, then the others, as cases with operands."""
    for part in (slice(1), slice(1, None)):
        own = {name: o[name][part] for name in ("x", "dy")}
        yield replace(case, images=len(own["x"])), {**o, **own}


def _batch(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    (y,) = ask(case, case.kind, o)
    parts = [ask(part, case.kind, own)[0] for part, own in _parts(case, o)]
    return bool(np.all(y == np.concatenate(parts)))


def _batch_grad(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    o = operands(case, rng)
    whole = _gradient(ask, case, o, "dw")
    first, rest = (_gradient(ask, part, own, "dw") for part, own in _parts(case, o))
    return bool(np.all(whole == first + rest))


def _tied(case: Case, rng: np.random.Generator) -> dict[str, Array]:
    o = operands(case, rng)
    o["x"] = rng.integers(-1, 2, o["x"].shape).astype(case.dtype)
    return o


def _is_whole(case: Case) -> bool:
    """Whether no window lies in the padding alone, so that no `dy` is lost."""
    inside = replace(case, count_include_pad=False, divisor_override=None)
    return all(count for row in window_counts(inside) for count in row)


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


def _is_inside(case: Case) -> bool:
    plain = not case.count_include_pad or (
        not case.ceil_mode
        and not isinstance(case.padding, str)
        and all(pair == (0, 0) for pair in case.padding)
    )
    return plain and case.divisor_override is None and _is_whole(case)


def _same_sum(ask: Ask, case: Case, rng: np.random.Generator) -> bool:
    """Whether two sums are equal but for what divisions may have rounded."""
    o = _tied(case, rng) if case.kind == "max_pool" else operands(case, rng)
    (dx,), dy = ask(case, f"{case.kind}_backward", o), o["dy"]
    wanted, got = float(dy.sum(dtype="float64")), float(dx.sum(dtype="float64"))
    slack = 64 * epsilon(dy.dtype.name)
    return abs(wanted - got) <= slack * float(np.abs(dy).sum(dtype="float64"))


_CONV: Final = (("conv",),)
_DW: Final = ("conv_weight_grad", "conv_backward")
_PASSES: Final = (("conv",), ("conv_input_grad", "conv_backward"), _DW)
_TRANSPOSE: Final = (("conv_transpose",),)
_TRANSPOSED: Final = (*_TRANSPOSE, ("conv_transpose_backward",))
_MAX: Final = (("max_pool_backward",),)
_AVG: Final = (("avg_pool_backward",),)

_ADJOINT: Final = "<dy, y> == <dx, x> == <dw, w>"
_SECOND: Final = "<ddx, dx(dy, ddw)> == <dy, y(ddx, ddw)> == <ddw, dw(dy, ddx)>"
_IN_X: Final = "y(x + u) == y(x) + y(u)"
_IN_W: Final = "y(w + u) == y(w) + y(u)"
_SHIFT: Final = "x moved by the stride moves y by one position"
_PARTS: Final = "y of a batch == y of its parts"
_PARTS_OF_DW: Final = "dw of a batch == the sum of dw of its parts"
_TIES: Final = "only positions that hold a maximum get a gradient"
_MAX_SUM: Final = "sum of dx == sum of dy, also where values tie"
_AVG_SUM: Final = "sum of dx == sum of dy, where only positions inside count"

_second: Final = partial(_adjoint, x="ddx", w="ddw")

LAWS: Final = (
    Law("conv", "adjoint", _ADJOINT, _PASSES, _adjoint),
    Law("conv", "double backward", _SECOND, _PASSES, _second),
    Law("conv", "linear in x", _IN_X, _CONV, partial(_linear, "x")),
    Law("conv", "linear in w", _IN_W, _CONV, partial(_linear, "w")),
    Law("conv", "shift", _SHIFT, _CONV, _shift, _has_rows),
    Law("conv", "batch split", _PARTS, _CONV, _batch, _several),
    Law("conv", "batch split of dw", _PARTS_OF_DW, (_DW,), _batch_grad, _several),
    Law("conv_transpose", "adjoint", _ADJOINT, _TRANSPOSED, _adjoint),
    Law("conv_transpose", "linear in x", _IN_X, _TRANSPOSE, partial(_linear, "x")),
    Law("max_pool", "sum", _MAX_SUM, _MAX, _same_sum, _is_whole, alone=True),
    Law("max_pool", "ties", _TIES, _MAX, _max_ties, _is_small, alone=True),
    Law("avg_pool", "sum", _AVG_SUM, _AVG, _same_sum, _is_inside, alone=True),
)
