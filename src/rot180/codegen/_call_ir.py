"""The Python-callable entry of a compiled module, as LLVM IR.

The entry has the signature of METH_FASTCALL.  In order it

1. checks the number of arguments and reads the image count, the last one;
2. takes a buffer of every array and checks that it is long enough;
3. runs small work at once; releases the GIL and calls the team for larger work;
4. releases every buffer, on every path.
"""

from dataclasses import dataclass, field

from rot180.codegen._dispatch_ir import WATCH_WORDS
from rot180.codegen._machine_ir import machine_ir
from rot180.errors import ArgumentError
from rot180.program._callspec import ArrayArg, CallSpec, Count, Phase
from rot180.program._target import Target

ENTRY = "rot180_entry"
# Estimated work, in flops, below which the GIL is kept: about 2 us.
SMALL_FLOPS = 2e5
# Scratch up to this size lies on the stack.
STACK_BYTES = 64 << 10
ALIGNMENT = 64
MOST_COUNT = 1 << 62
# Sizes that may be added up: the temporaries of a call and the scratch.
MOST_TERMS = 256

# Flags of PyObject_GetBuffer: any strides, so that views are taken as they lie.
PYBUF_STRIDES = 0x18
PYBUF_WRITABLE = 0x01

_DECLARATIONS = """
declare void @PyErr_SetString(ptr, ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyErr_NoMemory()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare i64 @PyLong_AsSsize_t(ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @Py_IncRef(ptr)
declare i64 @rot180_team_prepare()
declare i32 @rot180_team_run(ptr, i64, ptr, ptr, i64, i64, double, i64, ptr)
declare ptr @rot180_arena_take(i64)
declare void @rot180_arena_give(ptr)
declare i64 @rot180_view_extent(ptr)
declare void @rot180_views_release(ptr, i64)

@PyExc_RuntimeError = external global ptr
@PyExc_TypeError = external global ptr
@PyExc_ValueError = external global ptr
@_Py_NoneStruct = external global i8
"""

IMPORTS = (
    "PyErr_NoMemory",
    "PyErr_Occurred",
    "PyErr_SetString",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyExc_RuntimeError",
    "PyExc_TypeError",
    "PyExc_ValueError",
    "PyLong_AsSsize_t",
    "PyObject_GetBuffer",
    "Py_IncRef",
    "_Py_NoneStruct",
)
TEAM_IMPORTS = (
    "rot180_arena_give",
    "rot180_arena_take",
    "rot180_team_prepare",
    "rot180_team_run",
    "rot180_view_extent",
    "rot180_views_release",
)


def entry_ir(spec: CallSpec, target: Target) -> str:
    """Return the entry's IR, to be appended to the module that defines the jobs.

    The module must not declare anything of CPython's or named ``rot180_``.

    Args:
        spec: The interface of the module.
        target: Processor the module is compiled for.

    Raises:
        ArgumentError: The interface has no array or a negative size.
    """
    _check(spec)
    return machine_ir(target.triple) + _DECLARATIONS + _Entry(spec).text()


def most_images(spec: CallSpec) -> int:
    """Return the largest image count for which no size overflows."""
    return min(map(_most_groups, _counts(spec)))


def _check(spec: CallSpec) -> None:
    if not spec.arrays or not spec.phases:
        raise ArgumentError("entry: a module needs at least one array and one phase")
    for count in _counts(spec):
        if count.factor < 0 or count.divisor < 1:
            raise ArgumentError(f"entry: {count} is not a size for every image count")


def _counts(spec: CallSpec) -> list[Count]:
    items = [phase.items for phase in spec.phases]
    return [array.bytes for array in spec.arrays] + list(spec.temporaries) + items


def _most_groups(count: Count) -> int:
    room = MOST_COUNT // MOST_TERMS - abs(count.constant) - ALIGNMENT
    return max(room, 0) // max(count.factor, 1)


@dataclass(slots=True)
class _Entry:
    """Writes the blocks of one entry, top to bottom."""

    spec: CallSpec
    lines: list[str] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    serial: int = 0

    def text(self) -> str:
        """Return the whole function and its constants."""
        self._begin()
        for index, array in enumerate(self.spec.arrays):
            self._array(index, array)
        self._choose()
        self._small()
        self._large()
        self._endings()
        self._put("}")
        return "\n".join([*self.strings, *self.lines, ""])

    @property
    def rank(self) -> int:
        """Number of arrays."""
        return len(self.spec.arrays)

    @property
    def stride(self) -> int:
        """Bytes of one worker's scratch."""
        return -(-self.spec.scratch_bytes // ALIGNMENT) * ALIGNMENT

    @property
    def watch(self) -> int:
        """Which pointer is that to the watch."""
        return self.rank + len(self.spec.temporaries)

    @property
    def needs_memory(self) -> bool:
        """Whether a call needs temporaries or scratch."""
        return bool(self.spec.temporaries) or self.stride > 0

    def _begin(self) -> None:
        self._put(
            f"define ptr @{ENTRY}(ptr %self, ptr %args, i64 %given) nounwind {{",
            "entry:",
            f"  %views = alloca [{self.rank} x [80 x i8]], align 16",
            f"  %pointers = alloca [{self.watch + 1} x ptr], align 16",
            f"  %watch = alloca [{WATCH_WORDS} x i64], align 16",
            f"  %fits = icmp eq i64 %given, {self.rank + 1}",
            "  br i1 %fits, label %number, label %misfit",
            "misfit:",
        )
        message = f"the kernel takes {self.rank} arrays and the number of images"
        self._raise("TypeError", message)
        self._put(
            "  ret ptr null",
            "number:",
            f"  %last = getelementptr ptr, ptr %args, i64 {self.rank}",
            "  %object = load ptr, ptr %last",
            "  %n = call i64 @PyLong_AsSsize_t(ptr %object)",
            f"  %wild = icmp ugt i64 %n, {most_images(self.spec)}",
            "  br i1 %wild, label %strange, label %array0",
            "strange:",
            "  %known = call ptr @PyErr_Occurred()",
            "  %silent = icmp eq ptr %known, null",
            "  br i1 %silent, label %range, label %refuse",
            "range:",
        )
        self._raise("ValueError", "the number of images is negative or too large")
        self._put("  br label %refuse", "refuse:", "  ret ptr null")

    def _array(self, i: int, array: ArrayArg) -> None:
        flags = PYBUF_STRIDES | (PYBUF_WRITABLE if array.writable else 0)
        following = f"array{i + 1}" if i + 1 < self.rank else "choose"
        self._put(
            f"array{i}:",
            f"  %place{i} = getelementptr ptr, ptr %args, i64 {i}",
            f"  %object{i} = load ptr, ptr %place{i}",
            f"  %view{i} = getelementptr [80 x i8], ptr %views, i64 {i}",
            f"  %got{i} = call i32 @PyObject_GetBuffer("
            f"ptr %object{i}, ptr %view{i}, i32 {flags})",
            f"  %ok{i} = icmp eq i32 %got{i}, 0",
            f"  br i1 %ok{i}, label %held{i}, label %failed{i}",
            f"failed{i}:",
            f"  call void @rot180_views_release(ptr %views, i64 {i})",
            "  ret ptr null",
            f"held{i}:",
            f"  %extent{i} = call i64 @rot180_view_extent(ptr %view{i})",
        )
        need = self._count(array.bytes)
        self._put(
            f"  %long{i} = icmp sge i64 %extent{i}, {need}",
            f"  br i1 %long{i}, label %enough{i}, label %short{i}",
            f"short{i}:",
        )
        self._raise("ValueError", f"array {i} is shorter than the kernel needs")
        self._put(
            f"  call void @rot180_views_release(ptr %views, i64 {i + 1})",
            "  ret ptr null",
            f"enough{i}:",
            f"  %data{i} = load ptr, ptr %view{i}",
            f"  %cell{i} = getelementptr ptr, ptr %pointers, i64 {i}",
            f"  store ptr %data{i}, ptr %cell{i}",
            f"  br label %{following}",
        )

    def _choose(self) -> None:
        self._put("choose:")
        for p, phase in enumerate(self.spec.phases):
            self._items(p, phase)
        self._sizes()
        total = self._flops()
        self._put(
            f"  %little = fcmp olt double {total}, {SMALL_FLOPS:e}",
            "  br i1 %little, label %small, label %large",
        )

    def _items(self, p: int, phase: Phase) -> None:
        count = self._count(phase.items)
        self._put(f"  %items{p} = add i64 {count}, 0")

    def _flops(self) -> str:
        total = "0.0"
        for p, phase in enumerate(self.spec.phases):
            real, work, new = self._new(), self._new(), self._new()
            self._put(
                f"  {real} = sitofp i64 %items{p} to double",
                f"  {work} = fmul double {real}, {phase.flops_per_item:e}",
                f"  {new} = fadd double {total}, {work}",
            )
            total = new
        return total

    def _sizes(self) -> None:
        """Offsets of the temporaries, then that of the workers' scratch."""
        offset = "0"
        for t, count in enumerate(self.spec.temporaries):
            size = self._count(count)
            self._put(f"  %offset{t} = add i64 {offset}, 0")
            up, whole, new = self._new(), self._new(), self._new()
            self._put(
                f"  {up} = add i64 {size}, {ALIGNMENT - 1}",
                f"  {whole} = and i64 {up}, {-ALIGNMENT}",
                f"  {new} = add i64 {offset}, {whole}",
            )
            offset = new
        self._put(f"  %shared = add i64 {offset}, 0")

    def _small(self) -> None:
        self._put("small:", f"  %tiny = add i64 %shared, {self.stride}")
        if not self.needs_memory:
            self._put("  br label %run")
        else:
            self._put(
                f"  %low = icmp sle i64 %tiny, {STACK_BYTES}",
                "  br i1 %low, label %stack, label %heap",
                "stack:",
                f"  %local = alloca i8, i64 %tiny, align {ALIGNMENT}",
                "  br label %run",
                "heap:",
                "  %arena = call ptr @rot180_arena_take(i64 %tiny)",
                "  %empty = icmp eq ptr %arena, null",
                "  br i1 %empty, label %memory, label %run",
            )
        self._run_small()

    def _run_small(self) -> None:
        self._put("run:")
        base = "null"
        if self.needs_memory:
            base = "%ground"
            self._put("  %ground = phi ptr [ %local, %stack ], [ %arena, %heap ]")
            self._put("  %arena_used = phi ptr [ null, %stack ], [ %arena, %heap ]")
        self._place_temporaries(base)
        self._place(self.watch, "null")
        scratch = self._scratch(base)
        self._put("  %state = call i64 @rot180_float_enter()")
        for p, phase in enumerate(self.spec.phases):
            some = self._new()
            self._put(
                f"  {some} = icmp sgt i64 %items{p}, 0",
                f"  br i1 {some}, label %job{p}, label %after{p}",
                f"job{p}:",
                # Inlined, its arithmetic could move out of the float mode.
                f"  call void @{phase.symbol}(i64 0, i64 %items{p}, ptr %pointers, "
                f"ptr {scratch}, i64 %n) noinline",
                f"  br label %after{p}",
                f"after{p}:",
            )
        self._put("  call void @rot180_float_leave(i64 %state)")
        self._give("%arena_used" if self.needs_memory else "null")
        self._put("  br label %success")

    def _large(self) -> None:
        self._put(
            "large:",
            "  %threads = call i64 @rot180_team_prepare()",
            "  %unable = icmp slt i64 %threads, 0",
            "  br i1 %unable, label %error, label %prepared",
            "prepared:",
            f"  %private = mul i64 %threads, {self.stride}",
            "  %all = add i64 %shared, %private",
        )
        base = "null"
        if self.needs_memory:
            base = "%block"
            self._put(
                "  %block = call ptr @rot180_arena_take(i64 %all)",
                "  %lack = icmp eq ptr %block, null",
                "  br i1 %lack, label %memory, label %go",
                "go:",
            )
        self._place_temporaries(base)
        self._place(self.watch, "%watch")
        scratch = self._scratch(base)
        self._put(
            "  %thread = getelementptr ptr, ptr %watch, i64 1",
            "  %saved = call ptr @PyEval_SaveThread()",
            "  store ptr %saved, ptr %thread",
            "  br label %phase0",
        )
        for p, phase in enumerate(self.spec.phases):
            self._phase(p, phase, scratch)
        self._put("back:")
        results = [f"[ %result{p}, %phase{p} ]" for p in range(len(self.spec.phases))]
        self._put(
            f"  %outcome = phi i32 {', '.join(results)}",
            "  %current = load ptr, ptr %thread",
            "  call void @PyEval_RestoreThread(ptr %current)",
        )
        self._give(base)
        self._put(
            "  %fine = icmp eq i32 %outcome, 0",
            "  br i1 %fine, label %success, label %trouble",
        )

    def _phase(self, p: int, phase: Phase, scratch: str) -> None:
        final = p + 1 == len(self.spec.phases)
        self._put(
            f"phase{p}:",
            f"  %result{p} = call i32 @rot180_team_run(ptr @{phase.symbol}, "
            f"i64 %items{p}, ptr %pointers, ptr {scratch}, i64 {self.stride}, i64 %n, "
            f"double {phase.flops_per_item:e}, i64 %threads, ptr %watch)",
        )
        if final:
            self._put("  br label %back")
        else:
            self._put(
                f"  %well{p} = icmp eq i32 %result{p}, 0",
                f"  br i1 %well{p}, label %phase{p + 1}, label %back",
            )

    def _endings(self) -> None:
        self._put("trouble:", "  %set = call ptr @PyErr_Occurred()")
        self._put("  %unset = icmp eq ptr %set, null")
        self._put("  br i1 %unset, label %forked, label %error", "forked:")
        self._raise("RuntimeError", "the process was forked by a signal during a call")
        self._put("  br label %error")
        if self.needs_memory:
            self._put("memory:", "  %ignored = call ptr @PyErr_NoMemory()")
            self._put("  br label %error")
        release = f"  call void @rot180_views_release(ptr %views, i64 {self.rank})"
        self._put(
            "error:",
            release,
            "  ret ptr null",
            "success:",
            release,
            "  call void @Py_IncRef(ptr @_Py_NoneStruct)",
            "  ret ptr @_Py_NoneStruct",
        )

    def _place_temporaries(self, base: str) -> None:
        for t in range(len(self.spec.temporaries)):
            address = self._new()
            self._put(f"  {address} = getelementptr i8, ptr {base}, i64 %offset{t}")
            self._place(self.rank + t, address)

    def _place(self, number: int, address: str) -> None:
        cell = self._new()
        self._put(
            f"  {cell} = getelementptr ptr, ptr %pointers, i64 {number}",
            f"  store ptr {address}, ptr {cell}",
        )

    def _scratch(self, base: str) -> str:
        if base == "null":
            return base
        name = self._new()
        self._put(f"  {name} = getelementptr i8, ptr {base}, i64 %shared")
        return name

    def _give(self, base: str) -> None:
        if base == "null":
            return
        some, give, given = (f"{kind}{self.serial}" for kind in ("some", "give", "out"))
        self.serial += 1
        self._put(
            f"  %{some} = icmp ne ptr {base}, null",
            f"  br i1 %{some}, label %{give}, label %{given}",
            f"{give}:",
            f"  call void @rot180_arena_give(ptr {base})",
            f"  br label %{given}",
            f"{given}:",
        )

    def _count(self, count: Count) -> str:
        if count.factor == 0:
            return str(count.constant)
        groups = "%n"
        if count.divisor != 1:
            up, groups = self._new(), self._new()
            self._put(
                f"  {up} = add i64 %n, {count.divisor - 1}",
                f"  {groups} = udiv i64 {up}, {count.divisor}",
            )
        product, result = self._new(), self._new()
        self._put(
            f"  {product} = mul i64 {groups}, {count.factor}",
            f"  {result} = add i64 {product}, {count.constant}",
        )
        return result

    def _raise(self, kind: str, message: str) -> None:
        name = f"@rot180_message{len(self.strings)}"
        text = f'{message}\\00"'
        size = len(message.encode()) + 1
        self.strings.append(f'{name} = internal constant [{size} x i8] c"{text}')
        exception = self._new()
        self._put(
            f"  {exception} = load ptr, ptr @PyExc_{kind}",
            f"  call void @PyErr_SetString(ptr {exception}, ptr {name})",
        )

    def _new(self) -> str:
        self.serial += 1
        return f"%t{self.serial}"

    def _put(self, *lines: str) -> None:
        self.lines.extend(lines)
