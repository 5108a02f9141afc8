"""From a contraction with numbers to a plain program over buffers.

A contraction that scatters is gathered first. The residues of one axis become a loop
with tables: which tap is first, how many there are, and where the other factor starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rot180 import notation
from rot180.errors import InternalError
from rot180.lower._order import leaves_over_images, leaves_within
from rot180.program._nodes import (
    Access,
    Affine,
    Apply,
    Buffer,
    Expression,
    Load,
    Program,
    Reduction,
    Table,
    constant,
    index,
    loads,
)
from rot180.schedules._nest import IMAGE, Nest, Residues

Value = Callable[[tuple[Access, ...], Mapping[str, Affine]], tuple[Expression, ...]]


def product(
    factors: tuple[Access, ...], places: Mapping[str, Affine]
) -> tuple[Expression, ...]:
    """What a contraction sums: the product of its factors."""
    first, *others = (Load(f) for f in factors)
    value: Expression = first
    for other in others:
        value = Apply("mul", (value, other))
    return (value,)


def plain(
    name: str,
    contraction: notation.Contraction,
    buffers: Mapping[str, Buffer],
    extents: Mapping[str, int],
    order: tuple[str, ...],
    *,
    value: Value = product,
    second: Buffer | None = None,
    bias: Buffer | None = None,
    kind: Literal["add", "max", "argmax"] = "add",
) -> Program:
    """The plain program of a contraction, given sizes and its operands' places.

    Args:
        name: of the kernel.
        contraction: parameters bound; axes as in the operands' buffers.
        buffers: by the contraction's tensor names; the image axis has extent None.
        extents: of every index but the images'.
        order: the names of the buffers as the call takes them, outputs first.
        value: what is summed, from the factors and what stands for each index.
        second: where the positions of an `argmax` go, laid out like the result.
        bias: added to each result; its axes are channel axes, named by extents.
        kind: how values are combined.
    """
    sizes: dict[str, int | None] = {IMAGE: None, **extents}
    values: dict[str, Affine] = {}
    residues: tuple[Residues, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()
    if contraction.scatters:
        out, found, residues, sizes, limits, values = _gathered(
            contraction, buffers, sizes
        )
    else:
        out = _access(contraction.out, buffers)
        found = [_access(f, buffers) for f in contraction.factors]
    out = replace(out, check=_beyond_image(out))
    outside = 0.0 if kind == "add" else -math.inf
    factors = tuple(replace(f, check=_beyond_image(f), outside=outside) for f in found)
    produced = {s for a in out.axes for s in a.symbols()}
    used = [i for i in sizes if i == IMAGE or i in _symbols(out, *factors)]
    chain = [i for i in used if i not in produced and i != IMAGE]
    chain.sort(key=lambda i: all(_bare(f, i) for f in factors if _has(f, i)))
    outs = (out,) if second is None else (out, replace(out, buffer=second))
    places = {i: values.get(i, index(i)) for i in (*extents, IMAGE)}
    combined = value(factors, places)
    read = [access.buffer for v in combined for access in loads(v)]
    known = {b.name: b for b in (*(o.buffer for o in outs), *read)}
    if bias is not None:
        known[bias.name] = bias
    nest = Nest(
        name,
        outs,
        combined,
        _reduction(kind, len(outs), chain, sizes, IMAGE not in produced),
        tuple((i, sizes[i]) for i in used),
        tuple(known[name] for name in order),
        tuple(residues),
        tuple(limits),
        None if bias is None else Apply("add", (Load(out), Load(_bias(bias)))),
    )
    return nest.program()


def _reduction(
    kind: Literal["add", "max", "argmax"],
    results: int,
    chain: Sequence[str],
    sizes: Mapping[str, int | None],
    is_over_images: bool,
) -> Reduction:
    if kind != "add":
        return Reduction(kind, (-math.inf, 0.0)[:results], tuple(chain))
    if is_over_images:
        leaves = leaves_over_images(chain, sizes)
        return Reduction(kind, (0.0,), (IMAGE, *chain), leaves)
    return Reduction(kind, (0.0,), tuple(chain), leaves_within(chain, sizes))


def _bias(bias: Buffer) -> Access:
    """The bias has the output's channel axes."""
    names = ("g", "k") if len(bias.shape) == 2 else ("k",)
    return Access(bias, tuple(index(i) for i in names))


def _symbols(*accesses: Access) -> set[str]:
    return {s for access in accesses for a in access.axes for s in a.symbols()}


def _has(access: Access, name: str) -> bool:
    return name in _symbols(access)


def _bare(access: Access, name: str) -> bool:
    return any(a.terms == ((name, 1),) for a in access.axes)


def _beyond_image(access: Access) -> tuple[int, ...]:
    """Every axis may be left but the image's."""
    return tuple(i for i, a in enumerate(access.axes) if a != index(IMAGE))


def _affine(value: notation.Affine) -> Affine:
    return Affine.of(
        {name: _integer(c) for name, c in value.terms}, _integer(value.const)
    )


def _integer(value: notation.Coefficient) -> int:
    if not isinstance(value, int):
        raise InternalError(f"the parameter {value} has no value")
    return value


def _access(access: notation.Access, buffers: Mapping[str, Buffer]) -> Access:
    return Access(buffers[access.tensor], tuple(_affine(a) for a in access.axes))


def _gathered(
    contraction: notation.Contraction,
    buffers: Mapping[str, Buffer],
    sizes: dict[str, int | None],
) -> tuple[
    Access,
    list[Access],
    tuple[Residues, ...],
    dict[str, int | None],
    tuple[tuple[str, str], ...],
    dict[str, Affine],
]:
    out = _access(contraction.out, buffers)
    values: dict[str, Affine] = {}
    loops: list[Residues] = []
    limits: list[tuple[str, str]] = []
    sizes = dict(sizes)
    for found in notation.residues(contraction, out.buffer.shape):
        axis = _axis(found, sizes, out.buffer)
        values |= axis.values
        limits += axis.limits
        loops += axis.loops
        del sizes[axis.solved]
        sizes |= axis.sizes
        axes = list(out.axes)
        axes[axis.number] = axis.position
        out = replace(out, axes=tuple(axes))
    factors = [
        _access(f, buffers).map_axes(lambda a: a.substitute(values))
        for f in contraction.factors
    ]
    return out, factors, tuple(loops), sizes, tuple(limits), values


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of the output, gathered."""

    number: int
    solved: str
    position: Affine
    values: dict[str, Affine]
    sizes: dict[str, int | None]
    loops: tuple[Residues, ...] = ()
    limits: tuple[tuple[str, str], ...] = ()


def _axis(
    residues: tuple[notation.Residue, ...], sizes: dict[str, int | None], out: Buffer
) -> _Axis:
    """Tables over the residues of one axis; without a stride there is just one."""
    first = next((r for r in residues if not r.is_empty), residues[0])
    extent = out.shape[first.axis] or 0
    m, tap, step = first.index, first.tap, first.step
    count = max(-(-(extent - r.start) // step) for r in residues)
    new_sizes: dict[str, int | None] = {m: max(count, 0)}
    shifts = tuple(_shift(r) for r in residues)
    slope = first.solution or notation.Affine(())
    solution = Affine.of({n: _integer(c) for n, c in slope.terms})
    taps = constant(0)
    starts = tuple(r.tap_start for r in residues)
    counts: tuple[int, ...] = ()
    if tap is not None:
        total = sizes[tap] or 0
        counts = tuple(
            0 if r.is_empty else max(0, -(-(total - r.tap_start) // first.tap_step))
            for r in residues
        )
        new_sizes[tap] = max(1, *counts)  # where none has a tap, the counts stop it
        taps = index(tap) * first.tap_step
    if len(residues) == 1:
        values = {first.solved: solution + shifts[0]}
        if tap is not None:
            values[tap] = taps + starts[0]
        return _Axis(
            first.axis, first.solved, index(m) * step + first.start, values, new_sizes
        )
    u = f"{m}_residue"
    tables = [Table(f"{m}_shift", shifts, u)]
    values = {first.solved: solution + index(f"{m}_shift")}
    limits: tuple[tuple[str, str], ...] = ()
    if tap is not None:
        tables += [Table(f"{tap}_first", starts, u), Table(f"{tap}_count", counts, u)]
        values[tap] = taps + index(f"{tap}_first")
        limits = ((tap, f"{tap}_count"),)
    loop = Residues(u, len(residues), tuple(tables))
    position = index(m) * step + index(u)
    return _Axis(first.axis, first.solved, position, values, new_sizes, (loop,), limits)


def _shift(residue: notation.Residue) -> int:
    return 0 if residue.solution is None else _integer(residue.solution.const)
