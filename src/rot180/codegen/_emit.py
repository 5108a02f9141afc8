"""Emit a scheduled program as LLVM IR text: one job function for each parallel loop.

A job is `void job(i64 begin, i64 end, ptr pointers, ptr scratch, i64 n)`: it runs the
items begin..end-1 of its loop. Unrolled loops are written out, lane loops become
vectors, register buffers become allocas that LLVM promotes to registers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rot180.codegen._emit_memory import Memory
from rot180.codegen._emit_text import Value
from rot180.codegen._scalar import Text, emit_call, literal, llvm_type
from rot180.errors import InternalError
from rot180.program._nodes import (
    Access,
    Affine,
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
    Statement,
    Store,
    Table,
    walk,
)
from rot180.program._target import Target

_HEADER = 'attributes #0 = { nounwind "prefer-vector-width"="512" }\n'
_ALIGN = 64


@dataclass(frozen=True, slots=True)
class Module:
    """LLVM IR text of a kernel.

    Attributes:
        jobs: the functions' names, in the order in which they must run.
        scratch_bytes: what one worker needs.
    """

    text: str
    jobs: tuple[str, ...]
    scratch_bytes: int


def emit(program: Program, target: Target) -> Module:
    """Write `program`, which must be scheduled, as LLVM IR for `target`.

    Raises:
        InternalError: the program has a form that no schedule should leave.
    """
    pieces, names, scratch = [], [], 0
    text = Text(target)
    for number, loop in enumerate(program.body):
        if not isinstance(loop, Loop) or loop.kind != "parallel":
            raise InternalError(
                f"{program.name}: phase {number} is not a parallel loop"
            )
        name = f"{program.name}_{number}"
        job = _Job(program, target, text)
        pieces.append(job.function(name, loop))
        names.append(name)
        scratch = max(scratch, job.scratch_bytes)
    body = text.declarations() + "\n".join(pieces) + _HEADER
    return Module(body, tuple(names), scratch)


class _Job(Memory):
    """The emission of one parallel loop."""

    def __init__(self, program: Program, target: Target, text: Text) -> None:
        super().__init__(target, text)
        self.program = program
        self.scratch_used = 0
        self.scratch_bytes = 0

    # ------------------------------------------------------------ functions

    def function(self, name: str, loop: Loop) -> str:
        slots = [b.name for b in self.program.arguments]
        slots += [b.name for b, _ in self.program.temporaries]
        for number, slot in enumerate(slots):
            place = self.let(f"getelementptr ptr, ptr %pointers, i64 {number}")
            self.pointers[slot] = self.let(f"load ptr, ptr {place}")
        for symbol, count in self.program.symbols:
            self.env[symbol] = self.count_of(count)
        stops = any(isinstance(s, Loop) and s.stops for s in walk(loop.body))
        if stops:
            place = self.let(f"getelementptr ptr, ptr %pointers, i64 {len(slots)}")
            self.line(f"%watch = load ptr, ptr {place}")
        self.counted(loop, "%begin", "%end", loop.body)
        self.line("ret void")
        if stops:
            self.start("stopped")
            self.line("ret void")
        arguments = "i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n"
        head = f"define void @{name}({arguments}) #0 {{"
        allocas = [f"  {n} = alloca {t}" for n, t in self.allocas.values()]
        return "\n".join([head, "entry:", *allocas, *self.lines, "}\n"])

    # ------------------------------------------------------------ statements

    def body(self, body: Blocks) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, statement: Statement) -> None:
        match statement:
            case Loop(kind="unroll"):
                self.unrolled(statement)
            case Loop(kind="lanes"):
                self.lanes(statement)
            case Loop():
                self.loop(statement)
            case Alloc():
                self.alloc(statement)
            case Store():
                self.store(statement)
            case Carry():
                self.carry(statement)
            case Drain():
                self.drain(statement)

    def unrolled(self, loop: Loop) -> None:
        if loop.extent is None or loop.limit is not None:
            raise InternalError(f"cannot unroll loop {loop.index}: extent unknown")
        for i in range(loop.extent):
            self.env[loop.index] = i
            self.derive(loop, i)
            with self.ranges.bind(loop.index, i, i):
                self.body(loop.body)

    def lanes(self, loop: Loop) -> None:
        if loop.extent is None or self.lane is not None:
            raise InternalError(f"loop {loop.index} cannot be lanes here")
        self.lane = (loop.index, loop.extent)
        with self.ranges.bind(loop.index, 0, loop.extent - 1):
            self.body(loop.body)
        self.lane = None

    def loop(self, loop: Loop) -> None:
        limit = None if loop.limit is None else self.sum(loop.limit)
        if loop.extent is None:
            if limit is None:
                raise InternalError(f"loop {loop.index} has no extent")
            count: Value = limit
        elif limit is None:
            count = loop.extent
        else:
            smaller = self.let(f"icmp slt i64 {limit}, {loop.extent}")
            count = self.let(f"select i1 {smaller}, i64 {limit}, i64 {loop.extent}")
        if count == 1:
            self.env[loop.index] = 0
            self.derive(loop, 0)
            with self.ranges.bind(loop.index, 0, 0):
                self.body(loop.body)
        elif count != 0:
            self.counted(loop, 0, count, loop.body)

    def counted(self, loop: Loop, begin: Value, end: Value, body: Blocks) -> None:
        head, leave = self.label(), self.label()
        if isinstance(begin, str) or isinstance(end, str):
            enter = self.let(f"icmp slt i64 {begin}, {end}")
            self.line(f"br i1 {enter}, label %{head}, label %{leave}")
        else:
            self.line(f"br label %{head}")
        before = self.block
        self.start(head)
        self.forget_loads()
        i, following = self.name("i"), self.name("i")
        phi = len(self.lines)
        with self.scope():
            self.env[loop.index] = i
            self.derive(loop, i)
            if loop.stops:
                self.stop(loop.stops, i)
            with self.ranges.loop(loop):
                self.body(body)
            self.line(f"{following} = add nsw i64 {i}, 1")
            again = self.let(f"icmp slt i64 {following}, {end}")
            self.line(f"br i1 {again}, label %{head}, label %{leave}")
        source = f"[ {begin}, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(phi, f"  {i} = phi i64 {source}")
        self.start(leave)
        self.forget_loads()

    def stop(self, every: int, i: str) -> None:
        """Return before one iteration `i` in `every`, if the watch says so."""
        due, on = self.label(), self.label()
        rest = self.let(f"and i64 {i}, {every - 1}")
        now = self.let(f"icmp eq i64 {rest}, 0")
        self.line(f"br i1 {now}, label %{due}, label %{on}")
        self.start(due)
        said = self.let(f"call i1 {self.text.stop()}(ptr %watch)")
        self.line(f"br i1 {said}, label %stopped, label %{on}")
        self.start(on)

    def derive(self, loop: Loop, i: Value) -> None:
        for derived in loop.derive:
            self.env[derived.name] = self.derived(derived, i)

    def derived(self, derived: Digit | Table, i: Value) -> Value:
        match derived:
            case Digit(_, divisor, radix):
                if isinstance(i, int):
                    return i // divisor % radix if radix else i // divisor
                high = self.let(f"udiv i64 {i}, {divisor}") if divisor > 1 else i
                return self.let(f"urem i64 {high}, {radix}") if radix else high
            case Table(_, values, of):
                number = self.env[of]
                if isinstance(number, int):
                    return values[number]
                table = self.text.table(values)
                place = self.let(f"getelementptr i64, ptr {table}, i64 {number}")
                return self.let(f"load i64, ptr {place}")

    def alloc(self, statement: Alloc) -> None:
        buffer = statement.buffer
        if buffer.space == "register":
            self.body(statement.body)
            return
        start = -(-self.scratch_used // _ALIGN) * _ALIGN
        size = buffer.elements() * self.text.bytes(buffer.dtype)
        size += self.target.vector_bytes  # the last vector may reach beyond
        self.scratch_used, before = start + size, self.scratch_used
        self.scratch_bytes = max(self.scratch_bytes, self.scratch_used)
        self.pointers[buffer.name] = self.let(
            f"getelementptr i8, ptr %scratch, i64 {start}"
        )
        self.body(statement.body)
        self.scratch_used = before

    def carry(self, statement: Carry) -> None:
        head, merge, put = self.label(), self.label(), self.label()
        before, number = self.block, self.env[statement.index]
        self.line(f"br label %{head}")
        self.start(head)
        level, following = self.name("i"), self.name("i")
        phi = len(self.lines)
        shifted = self.let(f"lshr i64 {number}, {level}")
        bit = self.let(f"trunc i64 {shifted} to i1")
        self.line(f"br i1 {bit}, label %{merge}, label %{put}")
        self.start(merge)
        self.env[statement.level] = level
        with self.scope():
            self.forget_loads()
            self.body(statement.merge)
        self.line(f"{following} = add i64 {level}, 1")
        self.line(f"br label %{head}")
        source = f"[ 0, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(phi, f"  {level} = phi i64 {source}")
        self.start(put)
        self.forget_loads()
        self.body(statement.put)

    def drain(self, statement: Drain) -> None:
        count: Value = self.sum(statement.count)
        if statement.at_most is not None:
            most = statement.at_most
            for how, end in (("slt", most), ("sgt", 0)):
                inside = self.let(f"icmp {how} i64 {count}, {end}")
                count = self.let(f"select i1 {inside}, i64 {count}, i64 {end}")
        head, body, leave = self.label(), self.label(), self.label()
        before = self.block
        self.line(f"br label %{head}")
        self.start(head)
        left, fewer = self.name("i"), self.name("i")
        phi = len(self.lines)
        some = self.let(f"icmp ne i64 {left}, 0")
        self.line(f"br i1 {some}, label %{body}, label %{leave}")
        self.start(body)
        self.env[statement.level] = self.let(
            f"call i64 {self.text.intrinsic('llvm.cttz.i64', 'i64', 'i64, i1')}"
            f"(i64 {left}, i1 true)"
        )
        with self.scope():
            self.forget_loads()
            self.body(statement.body)
        lower = self.let(f"sub i64 {left}, 1")
        self.line(f"{fewer} = and i64 {left}, {lower}")
        self.line(f"br label %{head}")
        source = f"[ {count}, %{before} ], [ {fewer}, %{self.block} ]"
        self.lines.insert(phi, f"  {left} = phi i64 {source}")
        self.start(leave)
        self.forget_loads()

    # ------------------------------------------------------------ values

    def value(self, expression: Expression) -> tuple[str, str, bool]:
        """An expression's name, dtype, and whether it is a vector over the lanes."""
        match expression:
            case Load(access):
                name, wide = self.load(access)
                return name, access.buffer.dtype, wide
            case Number(number, dtype):
                return literal(number, dtype), dtype, False
            case Position(affine, dtype):
                return self.position(affine, dtype)
            case Apply(fn, arguments):
                return self.apply(fn, [self.value(a) for a in arguments])

    def position(self, affine: Affine, dtype: str) -> tuple[str, str, bool]:
        if self.lane and affine.coefficient(self.lane[0]):
            raise InternalError(f"position {affine} depends on the lane")
        value, kind = self.sum(affine), llvm_type(dtype)
        if kind != "i64" and value.startswith("%"):
            value = self.let(f"trunc i64 {value} to {kind}")
        return value, dtype, False

    def apply(
        self, fn: str, arguments: list[tuple[str, str, bool]]
    ) -> tuple[str, str, bool]:
        wide = any(w for _, _, w in arguments)
        width = self.lane[1] if wide and self.lane else 0
        names = [
            n if w or not wide else self.splat(n, llvm_type(d), width)
            for n, d, w in arguments
        ]
        dtypes = [d for _, d, _ in arguments]
        name, dtype = emit_call(self.text, self.let, fn, names, dtypes, width)
        return name, dtype, wide

    def widened(self, value: tuple[str, str, bool], wide: bool) -> str:
        name, dtype, is_wide = value
        if wide and not is_wide and self.lane:
            return self.splat(name, llvm_type(dtype), self.lane[1])
        return name

    # ------------------------------------------------------------ stores

    def store(self, store: Store) -> None:
        if store.targets[0].buffer.space == "register":
            self.store_registers(store)
            return
        (target,), (value,) = store.targets, store.values
        scalars, masks = self.conditions(target)
        condition = self.all_of(scalars, "i1")
        if condition is None:
            self.plain_store(target, value, store, masks)
        else:
            inside, join = self.label(), self.label()
            self.line(f"br i1 {condition}, label %{inside}, label %{join}")
            self.start(inside)
            with self.scope():
                self.plain_store(target, value, store, masks)
            self.line(f"br label %{join}")
            self.start(join)
        self.forget_loads()

    def plain_store(
        self, target: Access, value: Expression, store: Store, masks: list[str]
    ) -> None:
        if store.reduction is not None:
            value = Apply("add", (Load(replace(target, check=())), value))
        step = target.address().coefficient(self.lane[0]) if self.lane else 0
        kind = llvm_type(target.buffer.dtype)
        name = self.widened(self.value(value), bool(step))
        place = self.place(target)
        if not self.lane or not step:
            self.line(f"store {kind} {name}, ptr {place}, align 1")
            return
        width = self.lane[1]
        self.vector_store(name, place, kind, step, width, masks)

    def store_registers(self, store: Store) -> None:
        found = [self.register(target) for target in store.targets]
        if store.reduction is None:
            for target, value, (place, wide) in zip(
                store.targets, store.values, found, strict=True
            ):
                name = self.widened(self.value(value), wide)
                kind = self.type(target.buffer.dtype, wide)
                self.line(f"store {kind} {name}, ptr {place}")
        elif store.reduction.kind == "argmax":
            self.argmax(store, found)
        else:
            self.accumulate(store, *found[0])

    def accumulate(self, store: Store, place: str, wide: bool) -> None:
        dtype = store.targets[0].buffer.dtype
        kind = self.type(dtype, wide)
        assert store.reduction is not None
        fn: str = store.reduction.kind
        match store.values[0]:
            case Apply("mul", (left, right)) if fn == "add" and self.target.has_fma:
                fn, parts = "fma", [self.value(left), self.value(right)]
            case value:
                parts = [self.value(value)]
        old = self.let(f"load {kind}, ptr {place}")
        operands = [*parts, (old, dtype, wide)]
        if fn == "max":
            operands.reverse()
        name, _, _ = self.apply(fn, operands)
        self.line(f"store {kind} {name}, ptr {place}")

    def argmax(self, store: Store, found: list[tuple[str, bool]]) -> None:
        """Keep the first of the largest; of NaN, which counts as largest, the last."""
        (best, wide), (where, _) = found
        dtype, int_dtype = (t.buffer.dtype for t in store.targets)
        kind, int_kind = self.type(dtype, wide), self.type(int_dtype, wide)
        flag = f"<{self.lane[1]} x i1>" if wide and self.lane else "i1"
        value = self.widened(self.value(store.values[0]), wide)
        number = self.widened(self.value(store.values[1]), wide)
        old = self.let(f"load {kind}, ptr {best}")
        at = self.let(f"load {int_kind}, ptr {where}")
        more = self.let(f"fcmp ogt {kind} {value}, {old}")
        broken = self.let(f"fcmp uno {kind} {value}, {value}")
        take = self.let(f"or {flag} {more}, {broken}")
        new = self.let(f"select {flag} {take}, {kind} {value}, {kind} {old}")
        new_at = self.let(f"select {flag} {take}, {int_kind} {number}, {int_kind} {at}")
        self.line(f"store {kind} {new}, ptr {best}")
        self.line(f"store {int_kind} {new_at}, ptr {where}")
