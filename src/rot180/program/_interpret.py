"""Run a program slowly, at any stage of its schedule: what every rewriting must keep.

Memory is a flat list of numbers for each buffer; loops are loops; registers, scratch
and temporaries start as NaN, so that what is read before it is written shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, MutableSequence
from dataclasses import dataclass

from rot180.errors import InternalError
from rot180.program._nodes import (
    Access,
    Alloc,
    Apply,
    Blocks,
    Carry,
    Digit,
    Drain,
    Expression,
    Load,
    Loop,
    Number,
    Position,
    Program,
    Reduction,
    Statement,
    Store,
    Table,
)

Memory = dict[str, MutableSequence[float]]


def interpret(program: Program, memory: Memory, images: int) -> None:
    """Run `program` on flat buffers, named as its arguments, for that many images.

    Raises:
        InternalError: an access leaves its buffer where it promised not to.
    """
    env = {"images": images}
    for symbol, count in program.symbols:
        env[symbol] = count.at(images)
    memory = dict(memory)
    for buffer, count in program.temporaries:
        memory[buffer.name] = [math.nan] * count.at(images)
    _Run(memory, images).body(program.body, env)


@dataclass(slots=True)
class _Leaves:
    """The sums of an element's leaves, until its outermost loop has ended."""

    outermost: str
    sums: dict[tuple[int, ...], float]


class _Run:
    def __init__(self, memory: Memory, images: int) -> None:
        self.memory, self.images = memory, images
        self.leaves: dict[tuple[str, int], _Leaves] = {}

    def body(self, body: Blocks, env: dict[str, int]) -> None:
        for statement in body:
            self.statement(statement, env)

    def statement(self, statement: Statement, env: dict[str, int]) -> None:
        match statement:
            case Loop():
                for i in range(self.count(statement, env)):
                    inner = {**env, statement.index: i}
                    for derived in statement.derive:
                        inner[derived.name] = _derive(derived, i, inner)
                    self.body(statement.body, inner)
                self.settle(statement.index)
            case Alloc(buffer):
                before = self.memory.get(buffer.name)
                self.memory[buffer.name] = [math.nan] * (buffer.elements() + 64)
                self.body(statement.body, env)
                if before is not None:
                    self.memory[buffer.name] = before
            case Store():
                self.store(statement, env)
            case Carry():
                level, number = 0, env[statement.index]
                while number >> level & 1:
                    self.body(statement.merge, {**env, statement.level: level})
                    level += 1
                self.body(statement.put, {**env, statement.level: level})
            case Drain():
                left = statement.count.evaluate(env)
                if statement.at_most is not None:
                    left = max(min(left, statement.at_most), 0)
                for level in range(left.bit_length()):
                    if left >> level & 1:
                        self.body(statement.body, {**env, statement.level: level})

    def count(self, loop: Loop, env: dict[str, int]) -> int:
        if loop.items is not None:
            return loop.items.at(self.images)
        counts = [] if loop.extent is None else [loop.extent]
        if loop.limit is not None:
            counts.append(loop.limit.evaluate(env))
        return min(counts)

    def place(self, access: Access, env: dict[str, int]) -> int | None:
        """The position in the buffer, None outside."""
        for number, axis in enumerate(access.axes):
            extent = access.buffer.shape[number]
            limit = self.images if extent is None else extent
            inside = 0 <= axis.evaluate(env) < limit
            if not inside and number in access.check:
                return None
            if not inside and extent is not None:
                raise InternalError(f"{access} leaves axis {number} at {env}")
        return access.address().evaluate(env)

    def load(self, access: Access, env: dict[str, int]) -> float:
        place = self.place(access, env)
        if place is None:
            return access.outside
        return self.memory[access.buffer.name][place]

    def value(self, expression: Expression, env: dict[str, int]) -> float:
        match expression:
            case Load(access):
                return self.load(access, env)
            case Number(value):
                return value
            case Position(value):
                return value.evaluate(env)
            case Apply(fn, arguments):
                return _SCALAR[fn](*(self.value(a, env) for a in arguments))

    def store(self, store: Store, env: dict[str, int]) -> None:
        places = [self.place(target, env) for target in store.targets]
        if None in places:
            return
        values = [self.value(v, env) for v in store.values]
        buffers = [self.memory[t.buffer.name] for t in store.targets]
        reduction = store.reduction
        if reduction is not None and (reduction.leaves or reduction.tree):
            for target, place, value in zip(store.targets, places, values, strict=True):
                if place is not None:
                    self.add(reduction, (target.buffer.name, place), value, env)
            return
        if reduction is not None:
            old = [b[p] for b, p in zip(buffers, places, strict=True) if p is not None]
            values = _combine(reduction.kind, old, values)
        for buffer, place, value in zip(buffers, places, values, strict=True):
            if place is not None:
                buffer[place] = value

    def add(
        self,
        reduction: Reduction,
        element: tuple[str, int],
        value: float,
        env: dict[str, int],
    ) -> None:
        """Add a value to the leaf of an element that `env` is in."""
        number = [env[loop] for loop in reduction.tree]
        number += [env[loop] // size for loop, size in reduction.leaves]
        if element not in self.leaves:
            first = next(loop for loop in env if loop in reduction.all_loops)
            self.leaves[element] = _Leaves(first, {})
        sums = self.leaves[element].sums
        sums[tuple(number)] = sums.get(tuple(number), reduction.identity[0]) + value

    def settle(self, loop: str) -> None:
        """Write the sums of which `loop`, which has ended, was the outermost."""
        ended = [e for e, leaves in self.leaves.items() if leaves.outermost == loop]
        for name, place in ended:
            self.memory[name][place] = _tree(self.leaves.pop((name, place)).sums)


def _tree(sums: dict[tuple[int, ...], float]) -> float:
    """The sum of leaves numbered along one or more loops, the last summed first."""
    if () in sums:
        return sums[()]
    inner: dict[int, dict[tuple[int, ...], float]] = {}
    for (first, *rest), value in sums.items():
        inner.setdefault(first, {})[tuple(rest)] = value
    levels: list[float] = []
    for number in range(max(inner) + 1):
        value = _tree(inner[number]) if number in inner else 0.0
        level = 0
        while number >> level & 1:
            value = levels[level] + value
            level += 1
        levels[level : level + 1] = [value]
    total = 0.0
    for level, value in enumerate(levels):
        if max(inner) + 1 >> level & 1:
            total = value + total
    return total


def _derive(derived: Digit | Table, i: int, env: dict[str, int]) -> int:
    match derived:
        case Digit(_, divisor, radix):
            return i // divisor % radix if radix else i // divisor
        case Table(_, values, of):
            return values[env[of]]


def _combine(kind: str, old: list[float], new: list[float]) -> list[float]:
    if kind == "add":
        return [old[0] + new[0]]
    better = new[0] > old[0] or math.isnan(new[0])
    return new if better else old


def _log(a: float) -> float:
    if a > 0:
        return math.log(a)
    return -math.inf if a == 0 else math.nan


_SCALAR: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b if b else math.nan,
    "neg": lambda a: -a,
    "abs": abs,
    "sqrt": lambda a: math.sqrt(a) if a >= 0 else math.nan,
    "square": lambda a: a * a,
    "maximum": lambda a, b: a if a >= b or math.isnan(a) else b,
    "sign": lambda a: (a > 0) - (a < 0),
    "relu": lambda a: 0.0 if a <= 0 else a,
    "settle": lambda a: a,
    "relu_grad": lambda dy, x: dy if x > 0 else 0.0,
    "where": lambda c, a, b: a if c != 0 else b,
    "greater": lambda a, b: float(a > b),
    "equal": lambda a, b: float(a == b),
    "exp": lambda a: math.exp(a) if a < 709 else math.inf,
    "log": _log,
    "cast_float32": float,
    "cast_float64": float,
    "cast_int32": int,
    "cast_int64": int,
}
