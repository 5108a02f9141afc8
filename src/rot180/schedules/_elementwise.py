"""Pointwise formulas and row-wise functions: programs that read each element once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from rot180.program._callspec import Count
from rot180.program._nodes import (
    Access,
    Affine,
    Alloc,
    Apply,
    Blocks,
    Buffer,
    Digit,
    Expression,
    Load,
    Loop,
    Number,
    Program,
    Reduction,
    Store,
    dense,
    index,
)
from rot180.program._target import Target

_BLOCK = 16  # vectors of one work item where all operands are contiguous
# Scalar functions that hand an operand on as it is, denormal or not; "settle" is due.
CHOOSING = frozenset(("neg", "abs", "maximum", "sign", "relu_grad", "where"))


@dataclass(frozen=True, slots=True)
class Step:
    """A scalar function of numbered values: the inputs come first, then the steps.

    Attributes:
        fn: its name; none hands the only operand on.
        operands: numbers of values, or literals.
    """

    fn: str
    operands: tuple[int | Number, ...]


@dataclass(frozen=True, slots=True)
class Pointwise:
    """`outs[k][i] = value results[k]`, every buffer addressed by the same indices.

    Attributes:
        outs: the first extent is None, the run-time count.
        inputs: with stride 0 along axes on which they repeat.
        steps: what is computed, in order; none for a copy.
        results: which value goes to each of `outs`.
    """

    name: str
    outs: tuple[Buffer, ...]
    inputs: tuple[Buffer, ...]
    steps: tuple[Step, ...]
    results: tuple[int, ...]

    @classmethod
    def chain(
        cls, name: str, out: Buffer, inputs: tuple[Buffer, ...], fns: tuple[str, ...]
    ) -> Pointwise:
        """A function of the inputs, then functions of its result."""
        steps = chained(fns, len(inputs))
        return cls(name, (out,), inputs, steps, (len(inputs) + len(steps) - 1,))

    @property
    def out(self) -> Buffer:
        """The first result."""
        return self.outs[0]

    def arguments(self) -> tuple[Buffer, ...]:
        """The buffers of the call, the outputs first."""
        return (*self.outs, *self.inputs)


def chained(fns: tuple[str, ...], arity: int) -> tuple[Step, ...]:
    """The first function of all inputs, each other one of the last one's result."""
    first = tuple(range(arity))
    return tuple(Step(fn, (arity + n - 1,) if n else first) for n, fn in enumerate(fns))


def _stores(
    formula: Pointwise, axes: tuple[Affine, ...], check: tuple[int, ...], lanes: int
) -> Blocks:
    """The stores of one vector; what is read twice, or written, is held until then.

    All that is loaded is loaded before anything is stored.
    """
    held = _held(formula, lanes)
    values: list[Expression] = [Load(Access(b, axes, check)) for b in formula.inputs]
    body: list[Store] = []
    for number, step in enumerate(formula.steps, len(formula.inputs)):
        operands = tuple(values[o] if isinstance(o, int) else o for o in step.operands)
        value = Apply(step.fn, operands) if step.fn else operands[0]
        if number in held:
            body.append(Store((held[number],), (value,)))
            value = Load(held[number])
        values.append(value)
    body += [
        Store((Access(out, axes, check),), (values[number],))
        for out, number in zip(formula.outs, formula.results, strict=True)
    ]
    return tuple(body)


def _held(formula: Pointwise, lanes: int) -> dict[int, Access]:
    """A register for each step that is read more than once, or is one of results."""
    reads = [o for s in formula.steps for o in s.operands if isinstance(o, int)]
    many = formula.results if len(formula.results) > 1 else ()
    count = Counter([*reads, *formula.results])
    first = len(formula.inputs)
    steps = range(first, first + len(formula.steps))
    return {
        n: Access(
            dense(f"held{n}", formula.out.dtype, (lanes,), "register"),
            (index("lane"),),
        )
        for n in steps
        if count[n] > 1 or n in many
    }


def pointwise(formula: Pointwise, target: Target) -> Program:
    """Schedule a pointwise formula: vectors along the last axis, items along the first.

    Rewrite:
        for i, j: out[i, j] = f(...)
        ->
        for item: for j_block: lanes: out[item, j_block * lanes + lane] = f(...)
    """
    rank = len(formula.out.shape)
    lanes = target.lanes(formula.out.dtype)
    names = [f"i{d}" for d in range(rank)]
    axes = [index(name) for name in names]
    lane = index("block") * lanes + index("lane")
    if rank == 1:
        axes[0] = index("item") * (_BLOCK * lanes) + lane
    else:
        axes[-1] = lane
    stores = _stores(formula, tuple(axes), (rank - 1,), lanes)
    body: Blocks = (Loop("lane", lanes, stores, "lanes"),)
    for register in _held(formula, lanes).values():
        body = (Alloc(register.buffer, body),)
    if rank == 1:
        body = (Loop("block", _BLOCK, body),)
        items = Count(1, _BLOCK * lanes)
        return _program(formula, (Loop("item", None, body, "parallel", items=items),))
    last = formula.out.shape[-1] or 0
    body = (Loop("block", -(-last // lanes), body),)
    for name, extent in reversed(
        list(zip(names, formula.out.shape, strict=True))[1:-1]
    ):
        body = (Loop(name, extent, body),)
    digit = Digit("i0", 1, 0)
    item = Loop("item", None, body, "parallel", derive=(digit,), items=Count(1))
    return _program(formula, (item,))


def _program(formula: Pointwise | RowWise, body: Blocks) -> Program:
    return Program(formula.name, formula.arguments(), body)


@dataclass(frozen=True, slots=True)
class RowWise:
    """A function of whole rows: `sum`, `max` or `log_softmax` over the last axis.

    Attributes:
        out: `(rows, m)`, or `(rows,)` for a reduction; rows are counted at run time.
        source: `(rows, m)`.
    """

    name: str
    out: Buffer
    source: Buffer
    fn: str

    def arguments(self) -> tuple[Buffer, ...]:
        """The buffers of the call, the output first."""
        return (self.out, self.source)


def row_wise(formula: RowWise, target: Target) -> Program:
    """Schedule a row-wise function: one row in each lane, so that no order changes.

    Rewrite:
        for row: for j: s[row] += x[row, j]
        ->
        for item: hold s[lane]: for j: lanes: s[lane] += x[item * lanes + lane, j]
    """
    lanes = target.lanes(formula.source.dtype)
    row = index("item") * lanes + index("lane")
    extent = formula.source.shape[1] or 0
    x = Load(Access(formula.source, (row, index("j")), (0,)))
    if formula.fn == "log_softmax":
        body = _log_softmax(formula, x, row, extent, lanes)
    else:
        body = _row_reduction(formula, x, row, extent, lanes)
    items = Count(1, lanes)
    return _program(formula, (Loop("item", None, body, "parallel", items=items),))


def _register(formula: RowWise, name: str, lanes: int) -> Access:
    buffer = dense(name, formula.source.dtype, (lanes,), "register")
    return Access(buffer, (index("lane"),))


def _lanes(lanes: int, *stores: Store) -> Loop:
    return Loop("lane", lanes, stores, "lanes")


def _reduced(
    place: Access, value: Expression, kind: str, extent: int, lanes: int
) -> Blocks:
    """Clear a register, then combine a value for every `j` into it."""
    identity = 0.0 if kind == "add" else float("-inf")
    reduction = Reduction(kind, (identity,), ("j",))  # type: ignore[arg-type]
    return (
        _lanes(lanes, Store((place,), (Number(identity, place.buffer.dtype),))),
        Loop("j", extent, (_lanes(lanes, Store((place,), (value,), reduction)),)),
    )


def _row_reduction(
    formula: RowWise, x: Load, row: Affine, extent: int, lanes: int
) -> Blocks:
    held = _register(formula, "held", lanes)
    kind = "add" if formula.fn == "sum" else "max"
    out = Access(formula.out, (row,), (0,))
    found: Expression = Load(held)
    if kind == "max":
        found = Apply("settle", (found,))
    body: Blocks = (
        *_reduced(held, x, kind, extent, lanes),
        _lanes(lanes, Store((out,), (found,))),
    )
    return (Alloc(held.buffer, body),)


def _log_softmax(
    formula: RowWise, x: Load, row: Affine, extent: int, lanes: int
) -> Blocks:
    most = _register(formula, "most", lanes)
    total = _register(formula, "total", lanes)
    shifted = Apply("sub", (x, Load(most)))
    out = Access(formula.out, (row, index("j")), (0,))
    result = Apply("sub", (shifted, Load(total)))
    body: Blocks = (
        *_reduced(most, x, "max", extent, lanes),
        *_reduced(total, Apply("exp", (shifted,)), "add", extent, lanes),
        _lanes(lanes, Store((total,), (Apply("log", (Load(total),)),))),
        Loop("j", extent, (_lanes(lanes, Store((out,), (result,))),)),
    )
    return (Alloc(most.buffer, (Alloc(total.buffer, body),)),)
