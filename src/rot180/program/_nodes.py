"""The program: a tree of loops and stores that says what a kernel computes, in order.

Every operand is addressed by affine sums of loop indices; stride, dilation, groups,
rank and memory layout are numbers in those sums. Nothing here knows what a convolution
is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from rot180.program._callspec import Count


@dataclass(frozen=True, slots=True)
class Affine:
    """`sum of coefficient * symbol + const`, with integer coefficients."""

    terms: tuple[tuple[str, int], ...] = ()
    const: int = 0

    @classmethod
    def of(cls, terms: Mapping[str, int], const: int = 0) -> Affine:
        """Build from a mapping; zero coefficients vanish, symbols are sorted."""
        kept = tuple(sorted((s, c) for s, c in terms.items() if c))
        return cls(kept, const)

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.const + other)
        merged = dict(self.terms)
        for symbol, coefficient in other.terms:
            merged[symbol] = merged.get(symbol, 0) + coefficient
        return Affine.of(merged, self.const + other.const)

    def __mul__(self, factor: int) -> Affine:
        return Affine.of({s: c * factor for s, c in self.terms}, self.const * factor)

    def coefficient(self, symbol: str) -> int:
        """The factor of `symbol`, 0 when it does not occur."""
        return dict(self.terms).get(symbol, 0)

    def symbols(self) -> frozenset[str]:
        """The symbols that occur."""
        return frozenset(s for s, _ in self.terms)

    def substitute(self, values: Mapping[str, Affine]) -> Affine:
        """Replace symbols by affine sums."""
        if not any(s in values for s, _ in self.terms):
            return self
        total = Affine((), self.const)
        for symbol, coefficient in self.terms:
            total = total + values.get(symbol, index(symbol)) * coefficient
        return total

    def evaluate(self, env: Mapping[str, int]) -> int:
        """The value when every symbol has one."""
        return self.const + sum(c * env[s] for s, c in self.terms)

    def __str__(self) -> str:
        signs = {1: "", -1: "-"}
        parts = [f"{signs.get(c, f'{c}*')}{s}" for s, c in self.terms]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts).replace("+ -", "- ")


def index(symbol: str) -> Affine:
    """The affine sum that is just `symbol`."""
    return Affine(((symbol, 1),))


def constant(value: int) -> Affine:
    """The affine sum that is just a number."""
    return Affine((), value)


Space = Literal["argument", "temporary", "scratch", "register"]
Extent = int | None  # None: known only at run time


@dataclass(frozen=True, slots=True)
class Buffer:
    """A block of memory and how its axes are laid out.

    Attributes:
        strides: in elements, one for each axis.
        offset: of element (0, ..., 0), in elements.
        space: an argument of the call, a temporary shared by all workers, a scratch of
            one worker, or registers.
    """

    name: str
    dtype: str
    shape: tuple[Extent, ...]
    strides: tuple[int, ...]
    space: Space = "argument"
    offset: int = 0

    def elements(self) -> int:
        """Elements from the first to the last one, all extents being known."""
        sizes = [e for e in self.shape if e is not None]
        return 1 + sum((e - 1) * s for e, s in zip(sizes, self.strides, strict=True))


def dense(
    name: str, dtype: str, shape: tuple[int, ...], space: Space, *, pad: int = 0
) -> Buffer:
    """A row-major buffer; `pad` elements are left free behind each innermost row."""
    strides: list[int] = []
    step = 1
    for axis, extent in enumerate(reversed(shape)):
        strides.append(step)
        step *= extent + (pad if axis == 0 else 0)
    return Buffer(name, dtype, shape, tuple(reversed(strides)), space)


@dataclass(frozen=True, slots=True)
class Access:
    """One element of a buffer.

    Attributes:
        check: axes that may leave the buffer: outside, a load gives `outside` and a
            store does nothing. The other axes are promised to stay inside.
    """

    buffer: Buffer
    axes: tuple[Affine, ...]
    check: tuple[int, ...] = ()
    outside: float = 0.0

    def address(self) -> Affine:
        """The position in the buffer, in elements."""
        total = constant(self.buffer.offset)
        for axis, stride in zip(self.axes, self.buffer.strides, strict=True):
            total = total + axis * stride
        return total

    def map_axes(self, change: Callable[[Affine], Affine]) -> Access:
        """The same access with every axis changed."""
        return replace(self, axes=tuple(change(a) for a in self.axes))

    def __str__(self) -> str:
        return f"{self.buffer.name}[{', '.join(map(str, self.axes))}]"


@dataclass(frozen=True, slots=True)
class Load:
    """The value of an element."""

    access: Access


@dataclass(frozen=True, slots=True)
class Number:
    """A literal of the given dtype."""

    value: float
    dtype: str


@dataclass(frozen=True, slots=True)
class Position:
    """The value of an affine sum, as an integer of the given dtype."""

    value: Affine
    dtype: str = "int32"


@dataclass(frozen=True, slots=True)
class Apply:
    """A scalar function of scalars, see `rot180.codegen._scalar`."""

    fn: str
    arguments: tuple[Expression, ...]


Expression = Load | Number | Position | Apply


@dataclass(frozen=True, slots=True)
class Reduction:
    """How values that meet in one element are combined, and in which order.

    Attributes:
        kind: `add`, or `argmax` (value and position; the first of equals wins).
        identity: what each target holds before the first value.
        loops: the loops that are reduced in one chain, outermost first. The order is
            part of the meaning: no rewriting may change it.
        leaves: of the outermost of `loops`, into how long pieces each is cut. Where
            there are any, a chain is what is inside one piece of each, a leaf; the
            leaves along the last loop that is cut are summed in a binary tree, those
            sums along the loop before it, and so on.
        tree: the same of loops outside the chain, outermost first: each iteration of
            all of them is a leaf.
    """

    kind: Literal["add", "max", "argmax"]
    identity: tuple[float, ...]
    loops: tuple[str, ...]
    leaves: tuple[tuple[str, int], ...] = ()
    tree: tuple[str, ...] = ()

    @property
    def all_loops(self) -> tuple[str, ...]:
        """Every loop whose order is the order of the sum, outermost first."""
        return (*self.tree, *self.loops)


@dataclass(frozen=True, slots=True)
class Store:
    """Write values, or combine them into what is there."""

    targets: tuple[Access, ...]
    values: tuple[Expression, ...]
    reduction: Reduction | None = None


@dataclass(frozen=True, slots=True)
class Digit:
    """A symbol derived from a loop index: `index // divisor % radix` (0: no modulo)."""

    name: str
    divisor: int
    radix: int


@dataclass(frozen=True, slots=True)
class Table:
    """A symbol derived from another one: `values[of]`."""

    name: str
    values: tuple[int, ...]
    of: str


Kind = Literal["serial", "parallel", "unroll", "lanes"]


@dataclass(frozen=True, slots=True)
class Loop:
    """Run the body for index = 0, 1, ..., min(extent, limit) - 1.

    Attributes:
        extent: the largest count, when it is known.
        limit: a count known at run time only, from symbols in scope.
        derive: more symbols that follow from the index.
        items: for a parallel loop, how many there are for `n` images.
        stops: the call may end, unfinished, before every so many iterations, a power of
            two; 0: only where the loop does.
    """

    index: str
    extent: Extent
    body: tuple[Statement, ...]
    kind: Kind = "serial"
    limit: Affine | None = None
    derive: tuple[Digit | Table, ...] = ()
    items: Count | None = None
    stops: int = 0


@dataclass(frozen=True, slots=True)
class Alloc:
    """A scratch or register buffer that lives as long as the body."""

    buffer: Buffer
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Carry:
    """One step of a binary counter, which sums in a tree of a fixed shape.

    For `level` = 0, 1, ... while that bit of `index` is set: run `merge`; then, at the
    first level whose bit is clear: run `put`.
    """

    index: str
    level: str
    merge: tuple[Statement, ...]
    put: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Drain:
    """Empty a binary counter that took `count` values: run the body per set bit."""

    count: Affine
    level: str
    body: tuple[Statement, ...]
    at_most: int | None = None  # count is min(count, at_most), and not below 0


Statement = Loop | Alloc | Store | Carry | Drain


@dataclass(frozen=True, slots=True)
class Program:
    """A kernel: its arguments, its temporaries, and what it does in order.

    Attributes:
        arguments: buffers that the caller passes, outputs first.
        temporaries: buffers shared by all workers, with their size in elements.
        symbols: run-time numbers beside `n`, as functions of it.
    """

    name: str
    arguments: tuple[Buffer, ...]
    body: tuple[Statement, ...]
    temporaries: tuple[tuple[Buffer, Count], ...] = ()
    symbols: tuple[tuple[str, Count], ...] = ()


Blocks = tuple[Statement, ...]


def map_bodies(statement: Statement, change: Callable[[Blocks], Blocks]) -> Statement:
    """The statement with each of its bodies changed."""
    match statement:
        case Loop() | Alloc() | Drain():
            return replace(statement, body=change(statement.body))
        case Carry():
            return replace(
                statement, merge=change(statement.merge), put=change(statement.put)
            )
        case Store():
            return statement


def bodies(statement: Statement) -> tuple[Blocks, ...]:
    """The bodies inside a statement."""
    match statement:
        case Loop() | Alloc() | Drain():
            return (statement.body,)
        case Carry():
            return (statement.merge, statement.put)
        case Store():
            return ()


def walk(body: Blocks) -> Iterator[Statement]:
    """Every statement, outer before inner."""
    for statement in body:
        yield statement
        for inner in bodies(statement):
            yield from walk(inner)


def map_expression(
    expression: Expression, change: Callable[[Access], Expression]
) -> Expression:
    """The expression with each load replaced."""
    match expression:
        case Load(access):
            return change(access)
        case Apply(fn, arguments):
            return Apply(fn, tuple(map_expression(a, change) for a in arguments))
        case _:
            return expression


def loads(expression: Expression) -> Iterator[Access]:
    """Every access that an expression reads."""
    match expression:
        case Load(access):
            yield access
        case Apply(_, arguments):
            for argument in arguments:
                yield from loads(argument)
        case _:
            return


def substitute(body: Blocks, values: Mapping[str, Affine]) -> Blocks:
    """Replace symbols by affine sums everywhere in `body`."""
    return tuple(_substitute(statement, values) for statement in body)


def _substitute(statement: Statement, values: Mapping[str, Affine]) -> Statement:
    statement = map_bodies(statement, lambda body: substitute(body, values))
    match statement:
        case Store(targets, results, reduction):
            return Store(
                tuple(_in_access(t, values) for t in targets),
                tuple(_in_expression(r, values) for r in results),
                reduction,
            )
        case Loop() if statement.limit is not None:
            return replace(statement, limit=statement.limit.substitute(values))
        case Drain():
            return replace(statement, count=statement.count.substitute(values))
        case _:
            return statement


def _in_access(access: Access, values: Mapping[str, Affine]) -> Access:
    return access.map_axes(lambda axis: axis.substitute(values))


def _in_expression(expression: Expression, values: Mapping[str, Affine]) -> Expression:
    match expression:
        case Position(value, dtype):
            return Position(value.substitute(values), dtype)
        case Apply(fn, arguments):
            return Apply(fn, tuple(_in_expression(a, values) for a in arguments))
        case Load(access):
            return Load(_in_access(access, values))
        case _:
            return expression


def show(program: Program) -> str:
    """The program as indented text."""
    return "\n".join(_show(program.body, 0))


def _show(body: Blocks, depth: int) -> Iterator[str]:
    pad = "    " * depth
    for statement in body:
        match statement:
            case Loop():
                count = statement.extent if statement.extent is not None else "n.."
                limit = f" (at most {statement.limit})" if statement.limit else ""
                kind = "" if statement.kind == "serial" else f"  # {statement.kind}"
                derived = "".join(f"; {d.name}" for d in statement.derive)
                stops = f"  # stops every {statement.stops}" if statement.stops else ""
                head = f"{pad}for {statement.index}{derived} in {count}{limit}"
                yield f"{head}:{kind}{stops}"
            case Alloc(buffer):
                shape = ", ".join(map(str, buffer.shape))
                yield f"{pad}with {buffer.space} {buffer.name}[{shape}]:"
            case Carry():
                yield f"{pad}carry {statement.level} of {statement.index}:"
            case Drain():
                yield f"{pad}drain {statement.level} of {statement.count}:"
            case Store(targets, values, reduction):
                names = ", ".join(map(str, targets))
                sign = f"{reduction.kind}=" if reduction else "="
                right = ", ".join(map(show_expression, values))
                yield f"{pad}{names} {sign} {right}{_order(reduction)}"
        for inner in bodies(statement):
            yield from _show(inner, depth + 1)


def _order(reduction: Reduction | None) -> str:
    """The tree in which a sum's leaves are summed, as a comment."""
    if reduction is None or not (reduction.leaves or reduction.tree):
        return ""
    cuts = [f"{loop} by {size}" for loop, size in reduction.leaves]
    return f"  # a tree over {', '.join([*reduction.tree, *cuts])}"


def show_expression(expression: Expression) -> str:
    """An expression as text."""
    match expression:
        case Load(access):
            return str(access)
        case Number(value):
            return str(value)
        case Position(value):
            return f"({value})"
        case Apply(fn, arguments):
            return f"{fn}({', '.join(map(show_expression, arguments))})"
