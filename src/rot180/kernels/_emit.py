"""Emit a scheduled program as LLVM IR text: one job function for each parallel loop.

A job is `void job(i64 begin, i64 end, ptr pointers, ptr scratch, i64 n)`: it runs the
items begin..end-1 of its loop. Unrolled loops are written out, lane loops become
vectors, register buffers become allocas that LLVM promotes to registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rot180.errors import InternalError
from rot180.kernels._bounds import Ranges, leaves
from rot180.kernels._callspec import Count
from rot180.kernels._program import (
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
)
from rot180.kernels._scalar import Text, emit_call, llvm_type, literal
from rot180.kernels._target import Target

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


Value = int | str  # a number known now, or the name of an i64


@dataclass(slots=True)
class _Scope:
    """What was computed so far and is valid here: sums, pointers, loaded values."""

    known: dict[object, str] = field(default_factory=dict)
    loaded: dict[object, tuple[str, bool]] = field(default_factory=dict)


class _Job:
    """The emission of one parallel loop."""

    def __init__(self, program: Program, target: Target, text: Text) -> None:
        self.program, self.target, self.text = program, target, text
        self.lines: list[str] = []
        self.allocas: dict[object, tuple[str, str]] = {}
        self.env: dict[str, Value] = {"images": "%n"}
        self.ranges = Ranges()
        self.lane: tuple[str, int] | None = None
        self.scopes = [_Scope()]
        self.block = "entry"
        self.count = 0
        self.pointers: dict[str, str] = {}
        self.scratch_used = 0
        self.scratch_bytes = 0

    # ------------------------------------------------------------ text

    def name(self, stem: str = "v") -> str:
        self.count += 1
        return f"%{stem}{self.count}"

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def let(self, text: str) -> str:
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return name

    def label(self) -> str:
        return self.name("b")[1:]

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.block = label

    @contextmanager
    def scope(self) -> Iterator[None]:
        self.scopes.append(_Scope())
        try:
            yield
        finally:
            self.scopes.pop()

    def forget_loads(self) -> None:
        for scope in self.scopes:
            scope.loaded.clear()

    # ------------------------------------------------------------ functions

    def function(self, name: str, loop: Loop) -> str:
        slots = [b.name for b in self.program.arguments]
        slots += [b.name for b, _ in self.program.temporaries]
        for number, slot in enumerate(slots):
            place = self.let(f"getelementptr ptr, ptr %pointers, i64 {number}")
            self.pointers[slot] = self.let(f"load ptr, ptr {place}")
        for symbol, count in self.program.symbols:
            self.env[symbol] = self.count_of(count)
        self.counted(loop, "%begin", "%end", loop.body)
        self.line("ret void")
        head = f"define void @{name}(i64 %begin, i64 %end, ptr %pointers, ptr %scratch, i64 %n) #0 {{"
        allocas = [f"  {n} = alloca {t}" for n, t in self.allocas.values()]
        return "\n".join([head, "entry:", *allocas, *self.lines, "}\n"])

    def count_of(self, count: Count) -> str:
        rounded = self.let(f"add i64 %n, {count.divisor - 1}")
        quotient = self.let(f"sdiv i64 {rounded}, {count.divisor}")
        product = self.let(f"mul i64 {quotient}, {count.factor}")
        return self.let(f"add i64 {product}, {count.constant}")

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
            with self.ranges.loop(loop):
                self.body(body)
            self.line(f"{following} = add nsw i64 {i}, 1")
            again = self.let(f"icmp slt i64 {following}, {end}")
            self.line(f"br i1 {again}, label %{head}, label %{leave}")
        source = f"[ {begin}, %{before} ], [ {following}, %{self.block} ]"
        self.lines.insert(phi, f"  {i} = phi i64 {source}")
        self.start(leave)
        self.forget_loads()

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
            small = self.let(f"icmp slt i64 {count}, {most}")
            count = self.let(f"select i1 {small}, i64 {count}, i64 {most}")
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

    # ------------------------------------------------------------ addresses

    def split(self, affine: Affine) -> tuple[tuple[tuple[str, int], ...], int]:
        """The run-time terms, without the lane, and the part known now."""
        terms: dict[str, int] = {}
        known = affine.const
        for symbol, coefficient in affine.terms:
            if self.lane and symbol == self.lane[0]:
                continue
            value = self.env[symbol]
            if isinstance(value, int):
                known += value * coefficient
            else:
                terms[value] = terms.get(value, 0) + coefficient
        return tuple(sorted((v, c) for v, c in terms.items() if c)), known

    def recall(self, key: object) -> str | None:
        for scope in reversed(self.scopes):
            if key in scope.known:
                return scope.known[key]
        return None

    def dynamic(self, terms: tuple[tuple[str, int], ...]) -> str | None:
        """The sum of run-time terms."""
        if not terms:
            return None
        known = self.recall(terms)
        if known:
            return known
        (value, factor), rest = terms[-1], terms[:-1]
        part = value if factor == 1 else self.let(f"mul nsw i64 {value}, {factor}")
        others = self.dynamic(rest)
        total = part if others is None else self.let(f"add nsw i64 {others}, {part}")
        self.scopes[-1].known[terms] = total
        return total

    def sum(self, affine: Affine) -> str:
        """An affine sum, without its lane term, as an i64 or a number in text."""
        terms, known = self.split(affine)
        moving = self.dynamic(terms)
        if moving is None:
            return str(known)
        return self.let(f"add nsw i64 {moving}, {known}") if known else moving

    def place(self, access: Access) -> str:
        """A pointer to the element (of the first lane)."""
        terms, known = self.split(access.address())
        size = self.text.bytes(access.buffer.dtype)
        key = (access.buffer.name, terms)
        base = self.recall(key)
        if base is None:
            base = self.pointers[access.buffer.name]
            moving = self.dynamic(terms)
            if moving is not None:
                kind = llvm_type(access.buffer.dtype)
                base = self.let(f"getelementptr {kind}, ptr {base}, i64 {moving}")
            self.scopes[-1].known[key] = base
        if not known:
            return base
        return self.let(f"getelementptr i8, ptr {base}, i64 {known * size}")

    def register(self, access: Access) -> tuple[str, bool]:
        """The alloca of a register, and whether it holds a vector."""
        address = access.address()
        terms, known = self.split(address)
        if terms:
            raise InternalError(f"register {access} has a run-time index")
        wide = bool(self.lane and address.coefficient(self.lane[0]))
        kind = self.type(access.buffer.dtype, wide)
        key = (access.buffer.name, known)
        if key not in self.allocas:
            self.allocas[key] = (self.name("r"), kind)
        return self.allocas[key][0], wide

    # ------------------------------------------------------------ conditions

    def conditions(self, access: Access) -> tuple[list[str], list[str]]:
        """What must hold for the element to exist: scalars, and masks over lanes."""
        scalars: list[str] = []
        masks: list[str] = []
        for axis in access.check:
            affine, extent = access.axes[axis], access.buffer.shape[axis]
            low, high = leaves(affine, extent, self.ranges)
            wide = bool(self.lane and affine.coefficient(self.lane[0]))
            limit = "%n" if extent is None else str(extent)
            if low:
                (masks if wide else scalars).append(self.compare(affine, "sge", "0"))
            if high:
                (masks if wide else scalars).append(self.compare(affine, "slt", limit))
        return scalars, masks

    def compare(self, affine: Affine, how: str, bound: str) -> str:
        step = affine.coefficient(self.lane[0]) if self.lane else 0
        key = ("compare", self.split(affine), step, how, bound)
        known = self.recall(key)
        if known is None:
            known = self.compared(affine, how, bound)
            self.scopes[-1].known[key] = known
        return known

    def compared(self, affine: Affine, how: str, bound: str) -> str:
        value = self.sum(affine)
        step = affine.coefficient(self.lane[0]) if self.lane else 0
        if not self.lane or not step:
            return self.let(f"icmp {how} i64 {value}, {bound}")
        width = self.lane[1]
        steps = ", ".join(f"i64 {step * i}" for i in range(width))
        start = self.splat(value, "i64", width)
        lanes = self.let(f"add <{width} x i64> {start}, <{steps}>")
        against = self.splat(bound, "i64", width)
        return self.let(f"icmp {how} <{width} x i64> {lanes}, {against}")

    def all_of(self, conditions: list[str], kind: str) -> str | None:
        if not conditions:
            return None
        total = conditions[0]
        for condition in conditions[1:]:
            total = self.let(f"and {kind} {total}, {condition}")
        return total

    def splat(self, value: str, kind: str, width: int) -> str:
        if not value.startswith("%"):
            return "<" + ", ".join([f"{kind} {value}"] * width) + ">"
        key = ("splat", value, width)
        known = self.recall(key)
        if known:
            return known
        one = self.let(
            f"insertelement <{width} x {kind}> poison, {kind} {value}, i32 0"
        )
        full = self.let(
            f"shufflevector <{width} x {kind}> {one}, <{width} x {kind}> poison, "
            f"<{width} x i32> zeroinitializer"
        )
        self.scopes[-1].known[key] = full
        return full

    # ------------------------------------------------------------ values

    def type(self, dtype: str, wide: bool) -> str:
        kind = llvm_type(dtype)
        return f"<{self.lane[1]} x {kind}>" if wide and self.lane else kind

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

    def load(self, access: Access) -> tuple[str, bool]:
        if access.buffer.space == "register":
            name, wide = self.register(access)
            kind = self.type(access.buffer.dtype, wide)
            return self.let(f"load {kind}, ptr {name}"), wide
        key = (access, tuple(self.split(a) for a in access.axes), self.lane)
        for scope in reversed(self.scopes):
            if key in scope.loaded:
                return scope.loaded[key]
        found = self.guarded_load(access)
        self.scopes[-1].loaded[key] = found
        return found

    def guarded_load(self, access: Access) -> tuple[str, bool]:
        scalars, masks = self.conditions(access)
        wide = bool(self.lane and access.address().coefficient(self.lane[0]))
        condition = self.all_of(scalars, "i1")
        if not wide:
            masks = []  # one element for all lanes, inside for the first of them
        if condition is None:
            return self.plain_load(access, masks), wide
        inside, join = self.label(), self.label()
        before = self.block
        self.line(f"br i1 {condition}, label %{inside}, label %{join}")
        self.start(inside)
        with self.scope():
            value = self.plain_load(access, masks)
        after = self.block
        self.line(f"br label %{join}")
        self.start(join)
        kind = self.type(access.buffer.dtype, wide)
        other = self.outside(access, wide)
        name = self.let(f"phi {kind} [ {value}, %{after} ], [ {other}, %{before} ]")
        return name, wide

    def outside(self, access: Access, wide: bool) -> str:
        one = literal(access.outside, access.buffer.dtype)
        if not wide or not self.lane:
            return one
        kind = llvm_type(access.buffer.dtype)
        return "<" + ", ".join([f"{kind} {one}"] * self.lane[1]) + ">"

    def plain_load(self, access: Access, masks: list[str]) -> str:
        place = self.place(access)
        kind = llvm_type(access.buffer.dtype)
        step = access.address().coefficient(self.lane[0]) if self.lane else 0
        if not self.lane or not step:
            return self.let(f"load {kind}, ptr {place}, align 1")
        width = self.lane[1]
        vector = f"<{width} x {kind}>"
        mask = self.all_of(masks, f"<{width} x i1>")
        if step == 1 and mask is None:
            return self.let(f"load {vector}, ptr {place}, align 1")
        if mask is None:
            return self.strided_load(place, kind, step, width)
        other = self.outside(access, True)
        if step == 1:
            call = self.text.intrinsic(
                f"llvm.masked.load.v{width}{self.text.suffix(kind)}.p0",
                vector,
                f"ptr, <{width} x i1>, {vector}",
            )
            return self.let(
                f"call {vector} {call}(ptr align 1 {place}, <{width} x i1> {mask}, "
                f"{vector} {other})"
            )
        places = self.places(place, kind, step, width)
        call = self.text.intrinsic(
            f"llvm.masked.gather.v{width}{self.text.suffix(kind)}.v{width}p0",
            vector,
            f"<{width} x ptr>, <{width} x i1>, {vector}",
        )
        return self.let(
            f"call {vector} {call}(<{width} x ptr> align 1 {places}, "
            f"<{width} x i1> {mask}, {vector} {other})"
        )

    def places(self, place: str, kind: str, step: int, width: int) -> str:
        steps = ", ".join(f"i64 {step * i}" for i in range(width))
        return self.let(f"getelementptr {kind}, ptr {place}, <{width} x i64> <{steps}>")

    def strided_load(self, place: str, kind: str, step: int, width: int) -> str:
        value = "poison"
        for lane in range(width):
            at = self.let(f"getelementptr {kind}, ptr {place}, i64 {step * lane}")
            one = self.let(f"load {kind}, ptr {at}, align 1")
            value = self.let(
                f"insertelement <{width} x {kind}> {value}, {kind} {one}, i32 {lane}"
            )
        return value

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

    def vector_store(
        self,
        name: str,
        place: str,
        kind: str,
        step: int,
        width: int,
        masks: list[str],
    ) -> None:
        vector = f"<{width} x {kind}>"
        mask = self.all_of(masks, f"<{width} x i1>")
        if step == 1 and mask is None:
            self.line(f"store {vector} {name}, ptr {place}, align 1")
        elif step == 1:
            call = self.text.intrinsic(
                f"llvm.masked.store.v{width}{self.text.suffix(kind)}.p0",
                "void",
                f"{vector}, ptr, <{width} x i1>",
            )
            self.line(
                f"call void {call}({vector} {name}, ptr align 1 {place}, "
                f"<{width} x i1> {mask})"
            )
        elif mask is None:
            for lane in range(width):
                one = self.let(f"extractelement {vector} {name}, i32 {lane}")
                at = self.let(f"getelementptr {kind}, ptr {place}, i64 {step * lane}")
                self.line(f"store {kind} {one}, ptr {at}, align 1")
        else:
            places = self.places(place, kind, step, width)
            call = self.text.intrinsic(
                f"llvm.masked.scatter.v{width}{self.text.suffix(kind)}.v{width}p0",
                "void",
                f"{vector}, <{width} x ptr>, <{width} x i1>",
            )
            self.line(
                f"call void {call}({vector} {name}, <{width} x ptr> align 1 {places}, "
                f"<{width} x i1> {mask})"
            )

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
        fn = store.reduction.kind
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
        """Keep the first of the largest; a NaN counts as largest."""
        (best, wide), (where, _) = found
        dtype, int_dtype = (t.buffer.dtype for t in store.targets)
        kind, int_kind = self.type(dtype, wide), self.type(int_dtype, wide)
        flag = f"<{self.lane[1]} x i1>" if wide and self.lane else "i1"
        value = self.widened(self.value(store.values[0]), wide)
        number = self.widened(self.value(store.values[1]), wide)
        old = self.let(f"load {kind}, ptr {best}")
        at = self.let(f"load {int_kind}, ptr {where}")
        more = self.let(f"fcmp ugt {kind} {value}, {old}")
        ordered = self.let(f"fcmp ord {kind} {old}, {old}")
        take = self.let(f"and {flag} {more}, {ordered}")
        new = self.let(f"select {flag} {take}, {kind} {value}, {kind} {old}")
        new_at = self.let(f"select {flag} {take}, {int_kind} {number}, {int_kind} {at}")
        self.line(f"store {kind} {new}, ptr {best}")
        self.line(f"store {int_kind} {new_at}, ptr {where}")
