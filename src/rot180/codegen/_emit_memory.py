"""Where elements stand in memory, whether they exist, and how they are moved."""

from __future__ import annotations

from rot180.codegen._emit_text import Writer
from rot180.codegen._scalar import Text, literal, llvm_type
from rot180.errors import InternalError
from rot180.program._bounds import leaves
from rot180.program._nodes import Access, Affine
from rot180.program._target import Target


class Memory(Writer):
    """Writes addresses, conditions, loads and stores of vectors."""

    def __init__(self, target: Target, text: Text) -> None:
        super().__init__(target, text)
        self.pointers: dict[str, str] = {}
        self.allocas: dict[object, tuple[str, str]] = {}

    # ------------------------------------------------------------ addresses

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

    # ------------------------------------------------------------ loads

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
        else:
            call = self.text.scatter(kind, width)
            chosen = mask or "splat (i1 true)"
            self.line(
                f"call void {call}({vector} {name}, ptr {place}, i64 {step}, "
                f"<{width} x i1> {chosen})"
            )
