"""Scalar functions and their LLVM IR, the same text for one value or a vector of them.

`exp` and `log` are emitted as polynomials: an argument reduction and a series whose
first left-out term is below half an ulp of the result.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from rot180.errors import InternalError
from rot180.program._target import ITEM_BYTES, Target

_LLVM = {
    "float32": "float",
    "float64": "double",
    "int32": "i32",
    "int64": "i64",
    "bool": "i8",
}
_SUFFIX = {"float": "f32", "double": "f64", "i32": "i32", "i64": "i64", "i8": "i8"}

Let = Callable[[str], str]


def llvm_type(dtype: str) -> str:
    """LLVM's name of an element type."""
    return _LLVM[dtype]


def literal(value: float, dtype: str) -> str:
    """A constant in LLVM's text form, exact for the dtype."""
    if dtype not in ("float32", "float64"):
        return str(int(value))
    if dtype == "float32" and math.isfinite(value):
        value = struct.unpack("f", struct.pack("f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


_SCATTER = """
define internal void {name}(
    <{width} x {kind}> %v, ptr %to, i64 %step, <{width} x i1> %m
) noinline nounwind {{
entry:
  %values = alloca <{width} x {kind}>
  %flags = alloca <{width} x i8>
  %bytes = zext <{width} x i1> %m to <{width} x i8>
  store <{width} x {kind}> %v, ptr %values
  store <{width} x i8> %bytes, ptr %flags
  br label %lane
lane:
  %i = phi i64 [ 0, %entry ], [ %following, %next ]
  %flag_at = getelementptr i8, ptr %flags, i64 %i
  %flag = load i8, ptr %flag_at
  %chosen = icmp ne i8 %flag, 0
  br i1 %chosen, label %write, label %next
write:
  %value_at = getelementptr {kind}, ptr %values, i64 %i
  %value = load {kind}, ptr %value_at
  %far = mul i64 %i, %step
  %place = getelementptr {kind}, ptr %to, i64 %far
  store {kind} %value, ptr %place, align 1
  br label %next
next:
  %following = add i64 %i, 1
  %more = icmp ult i64 %following, {width}
  br i1 %more, label %lane, label %leave
leave:
  ret void
}}
"""

# Cold, so that what is held in registers is saved only where it is called.
_STOP = """
define internal i1 @stop(ptr %watch) nounwind noinline cold {
entry:
  %unwatched = icmp eq ptr %watch, null
  br i1 %unwatched, label %on, label %ask
ask:
  %look = load ptr, ptr %watch
  %said = call i32 %look(ptr %watch)
  %stop = icmp ne i32 %said, 0
  ret i1 %stop
on:
  ret i1 false
}
"""


class Text:
    """What a module declares beside its jobs: intrinsics and tables."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._declared: dict[str, str] = {}
        self._tables: dict[tuple[int, ...], str] = {}
        self._functions: dict[str, str] = {}

    def bytes(self, dtype: str) -> int:
        """Bytes of one element."""
        return ITEM_BYTES[dtype]

    def suffix(self, kind: str) -> str:
        """How an intrinsic's name spells an LLVM element type."""
        return _SUFFIX[kind]

    def intrinsic(self, name: str, result: str, arguments: str) -> str:
        """Declare an intrinsic and give the name to call it by."""
        self._declared[name] = f"declare {result} @{name}({arguments})\n"
        return f"@{name}"

    def table(self, values: tuple[int, ...]) -> str:
        """A constant array of integers."""
        return self._tables.setdefault(values, f"@table{len(self._tables)}")

    def scatter(self, kind: str, width: int) -> str:
        """A function that stores chosen lanes of a vector some way apart.

        One function and a loop, not the same instructions again for every vector: a
        tile of 28 vectors would take longer to compile than all the rest.
        """
        name = f"@scatter_{width}_{kind}"
        self._functions[name] = _SCATTER.format(name=name, width=width, kind=kind)
        return name

    def stop(self) -> str:
        """A function that asks a watch whether the call is to end."""
        self._functions["@stop"] = _STOP
        return "@stop"

    def declarations(self) -> str:
        """All of it as text."""
        tables = [
            f"{name} = private unnamed_addr constant [{len(values)} x i64] "
            f"[{', '.join(f'i64 {v}' for v in values)}]\n"
            for values, name in self._tables.items()
        ]
        functions = "".join(self._functions.values())
        return "".join(tables) + "".join(sorted(self._declared.values())) + functions


class _Maths:
    """Writes arithmetic on values of one type, scalar or vector."""

    def __init__(self, text: Text, let: Let, dtype: str, width: int) -> None:
        self.text, self.let, self.dtype, self.width = text, let, dtype, width
        self.kind = self.vector(llvm_type(dtype))
        self.flags = self.vector("i1")
        self.integer = self.vector("i32" if dtype == "float32" else "i64")

    def vector(self, element: str) -> str:
        return f"<{self.width} x {element}>" if self.width else element

    def constant(self, value: float) -> str:
        return self.repeat(llvm_type(self.dtype), literal(value, self.dtype))

    def whole(self, value: int) -> str:
        return self.repeat("i32" if self.dtype == "float32" else "i64", str(value))

    def repeat(self, kind: str, one: str) -> str:
        if not self.width:
            return one
        return "<" + ", ".join([f"{kind} {one}"] * self.width) + ">"

    def binary(self, instruction: str, a: str, b: str) -> str:
        return self.let(f"{instruction} {self.kind} {a}, {b}")

    def mul(self, a: str, b: str) -> str:
        return self.binary("fmul", a, b)

    def add(self, a: str, b: str) -> str:
        return self.binary("fadd", a, b)

    def sub(self, a: str, b: str) -> str:
        return self.binary("fsub", a, b)

    def div(self, a: str, b: str) -> str:
        return self.binary("fdiv", a, b)

    def compare(self, how: str, a: str, b: str) -> str:
        return self.let(f"fcmp {how} {self.kind} {a}, {b}")

    def select(self, flag: str, a: str, b: str) -> str:
        return self.let(f"select {self.flags} {flag}, {self.kind} {a}, {self.kind} {b}")

    def settled(self, a: str) -> str:
        """`a`, but of a denormal number a zero of its sign.

        The processor flushes what it computes, not what is moved or chosen. Masks, as
        LLVM takes a product with 1 for a copy.
        """
        bits, kind = self.cast("bitcast", a, self.kind, self.integer), self.integer
        single = self.dtype == "float32"
        exponents = 0xFF << 23 if single else 0x7FF << 52
        found = self.let(f"and {kind} {bits}, {self.whole(exponents)}")
        is_small = self.let(f"icmp eq {kind} {found}, {self.whole(0)}")
        zero = self.let(
            f"and {kind} {bits}, {self.whole(-(1 << (31 if single else 63)))}"
        )
        chosen = self.let(
            f"select {self.flags} {is_small}, {kind} {zero}, {kind} {bits}"
        )
        return self.cast("bitcast", chosen, kind, self.kind)

    def unary(self, intrinsic: str, a: str) -> str:
        call = self.text.intrinsic(self.named(intrinsic), self.kind, self.kind)
        return self.let(f"call {self.kind} {call}({self.kind} {a})")

    def named(self, intrinsic: str) -> str:
        lanes = f"v{self.width}" if self.width else ""
        return f"llvm.{intrinsic}.{lanes}{_SUFFIX[llvm_type(self.dtype)]}"

    def fma(self, a: str, b: str, c: str) -> str:
        if not self.text.target.has_fma:
            return self.add(self.mul(a, b), c)
        kinds = ", ".join([self.kind] * 3)
        call = self.text.intrinsic(self.named("fma"), self.kind, kinds)
        k = self.kind
        return self.let(f"call {k} {call}({k} {a}, {k} {b}, {k} {c})")

    def series(self, x: str, coefficients: list[float]) -> str:
        """Horner's rule, highest power first."""
        total = self.constant(coefficients[0])
        for coefficient in coefficients[1:]:
            total = self.fma(total, x, self.constant(coefficient))
        return total

    def cast(self, how: str, value: str, source: str, target: str) -> str:
        return self.let(f"{how} {source} {value} to {target}")


def emit_call(
    text: Text, let: Let, fn: str, names: list[str], dtypes: list[str], width: int
) -> tuple[str, str]:
    """Write one call of a scalar function; gives the result's name and dtype."""
    if fn.startswith("cast_"):
        return _cast(let, names[0], dtypes[0], fn.removeprefix("cast_"), width)
    if fn == "where" and dtypes[0] != dtypes[-1]:
        first, _ = _cast(let, names[0], dtypes[0], dtypes[-1], width)
        names = [first, *names[1:]]
    if dtypes[-1] in ("int32", "int64"):
        return _whole(let, fn, names, dtypes[0], width)
    maths = _Maths(text, let, dtypes[-1], width)
    if fn not in _FUNCTIONS:
        raise InternalError(f"no scalar function {fn!r}")
    return _FUNCTIONS[fn](maths, *names), dtypes[-1]


def _cast(let: Let, name: str, source: str, to: str, width: int) -> tuple[str, str]:
    if source == to:
        return name, to
    kinds = [llvm_type(source), llvm_type(to)]
    if width:
        kinds = [f"<{width} x {k}>" for k in kinds]
    whole = [not d.startswith("float") for d in (source, to)]
    narrower = ITEM_BYTES[to] < ITEM_BYTES[source]
    how = {
        (True, False): "uitofp" if source == "bool" else "sitofp",
        (False, True): "fptosi",
        (True, True): "trunc" if narrower else "sext",
        (False, False): "fptrunc" if narrower else "fpext",
    }[whole[0], whole[1]]
    return let(f"{how} {kinds[0]} {name} to {kinds[1]}"), to


def _whole(
    let: Let, fn: str, names: list[str], dtype: str, width: int
) -> tuple[str, str]:
    kind = llvm_type(dtype)
    vector = f"<{width} x {kind}>" if width else kind
    if fn == "equal":
        flags = f"<{width} x i1>" if width else "i1"
        flag = let(f"icmp eq {vector} {names[0]}, {names[1]}")
        return let(f"zext {flags} {flag} to {vector}"), dtype
    zero = "zeroinitializer" if width else "0"
    if fn == "neg":
        return let(f"sub {vector} {zero}, {names[0]}"), dtype
    if fn in ("maximum", "abs"):
        other = names[1] if fn == "maximum" else let(f"sub {vector} {zero}, {names[0]}")
        flags = f"<{width} x i1>" if width else "i1"
        flag = let(f"icmp sgt {vector} {names[0]}, {other}")
        kinds = f"{flags} {flag}, {vector} {names[0]}, {vector} {other}"
        return let(f"select {kinds}"), dtype
    if fn not in ("add", "sub", "mul"):
        raise InternalError(f"no integer function {fn!r}")
    return let(f"{fn} {vector} {names[0]}, {names[1]}"), dtype


def _maximum(m: _Maths, a: str, b: str) -> str:
    """The larger; a NaN wins; the first of equals."""
    keep = m.compare("oge", a, b)
    broken = m.compare("uno", a, a)
    either = m.let(f"or {m.flags} {keep}, {broken}")
    return m.select(either, a, b)


def _flag(m: _Maths, how: str, a: str, b: str) -> str:
    return m.select(m.compare(how, a, b), m.constant(1.0), m.constant(0.0))


def _sign(m: _Maths, a: str) -> str:
    zero = m.constant(0.0)
    positive = m.select(m.compare("ogt", a, zero), m.constant(1.0), a)
    return m.select(m.compare("olt", a, zero), m.constant(-1.0), positive)


def _relu(m: _Maths, a: str) -> str:
    return m.select(m.compare("ole", a, m.constant(0.0)), m.constant(0.0), a)


def _relu_grad(m: _Maths, dy: str, x: str) -> str:
    zero = m.constant(0.0)
    return m.select(m.compare("ogt", x, zero), dy, zero)


def _where(m: _Maths, c: str, a: str, b: str) -> str:
    return m.select(m.compare("une", c, m.constant(0.0)), a, b)


def _exp(m: _Maths, x: str) -> str:
    """`2^k * exp(r)` with `k = round(x / ln 2)` and `|r| <= ln 2 / 2`; Taylor's series.

    The scale is applied in two halves, so that results near the overflow limit stay
    finite. The left-out term is r^8/8! = 5e-9 (float32), r^14/14! = 4e-18 (float64).
    """
    single = m.dtype == "float32"
    low, high = (-104.0, 89.0) if single else (-746.0, 710.0)
    degree, bias, bits = (7, 127, 23) if single else (13, 1023, 52)
    capped = m.select(m.compare("ogt", x, m.constant(high)), m.constant(high), x)
    capped = m.select(m.compare("olt", x, m.constant(low)), m.constant(low), capped)
    clean = m.select(m.compare("uno", x, x), m.constant(0.0), capped)
    k = m.unary("rint", m.mul(clean, m.constant(1 / math.log(2))))
    upper = 0.693145751953125 if single else 0.693147180369123816490
    lower = math.log(2) - upper if single else 1.90821492927058770002e-10
    r = m.fma(k, m.constant(-upper), clean)
    r = m.fma(k, m.constant(-lower), r)
    value = m.series(r, [1 / math.factorial(d) for d in range(degree, -1, -1)])
    whole = m.cast("fptosi", k, m.kind, m.integer)
    half = m.let(f"ashr {m.integer} {whole}, {m.whole(1)}")
    rest = m.let(f"sub {m.integer} {whole}, {half}")
    for part in (half, rest):
        biased = m.let(f"add {m.integer} {part}, {m.whole(bias)}")
        shifted = m.let(f"shl {m.integer} {biased}, {m.whole(bits)}")
        value = m.mul(value, m.cast("bitcast", shifted, m.integer, m.kind))
    value = m.select(m.compare("ogt", x, m.constant(high)), m.constant(math.inf), value)
    value = m.select(m.compare("olt", x, m.constant(low)), m.constant(0.0), value)
    return m.select(m.compare("uno", x, x), x, value)


def _log(m: _Maths, x: str) -> str:
    """`k ln 2 + 2 atanh(s)`, `s = (f - 1)/(f + 1)`, `x = 2^k f`, `1/2 <= f^2 < 2`.

    With `t = f - 1`, `2 s = t - t^2/2 + s t^2/2`: the exact `t` is added last, so that
    the result is right to within a unit of the last place. The left-out term of the
    series is s^12/13 = 5e-11 (float32), s^24/25 = 2e-20.
    """
    single = m.dtype == "float32"
    bits, last = (23, 5) if single else (52, 11)
    raw = m.cast("bitcast", x, m.kind, m.integer)
    root = 0x3F3504F3 if single else 0x3FE6A09E667F3BCD  # sqrt(1/2)
    moved = m.let(f"sub {m.integer} {raw}, {m.whole(root)}")
    k = m.let(f"ashr {m.integer} {moved}, {m.whole(bits)}")
    scale = m.let(f"shl {m.integer} {k}, {m.whole(bits)}")
    mantissa = m.let(f"sub {m.integer} {raw}, {scale}")
    f = m.cast("bitcast", mantissa, m.integer, m.kind)
    exponent = m.cast("sitofp", k, m.integer, m.kind)
    t = m.sub(f, m.constant(1.0))
    s = m.div(t, m.add(f, m.constant(1.0)))
    square = m.mul(s, s)
    tail = m.series(square, [2 / (2 * d + 1) for d in range(last, 0, -1)])
    half = m.mul(m.mul(t, t), m.constant(0.5))
    inner = m.mul(s, m.fma(tail, square, half))
    upper = 0.693145751953125 if single else 0.693147180369123816490
    lower = math.log(2) - upper if single else 1.90821492927058770002e-10
    inner = m.fma(exponent, m.constant(lower), inner)
    small = m.sub(t, m.sub(half, inner))
    value = m.fma(exponent, m.constant(upper), small)
    zero, infinite = m.constant(0.0), m.constant(math.inf)
    value = m.select(m.compare("oeq", x, infinite), x, value)
    value = m.select(m.compare("oeq", x, zero), m.constant(-math.inf), value)
    value = m.select(m.compare("olt", x, zero), m.constant(math.nan), value)
    return m.select(m.compare("uno", x, x), x, value)


_FUNCTIONS: dict[str, Callable[..., str]] = {
    "add": _Maths.add,
    "sub": _Maths.sub,
    "mul": _Maths.mul,
    "div": _Maths.div,
    "fma": _Maths.fma,
    "neg": lambda m, a: m.let(f"fneg {m.kind} {a}"),
    "abs": lambda m, a: m.unary("fabs", a),
    "sqrt": lambda m, a: m.unary("sqrt", a),
    "square": lambda m, a: m.mul(a, a),
    "max": _maximum,
    "maximum": _maximum,
    "settle": _Maths.settled,
    "sign": _sign,
    "relu": _relu,
    "relu_grad": _relu_grad,
    "where": _where,
    "greater": lambda m, a, b: _flag(m, "ogt", a, b),
    "equal": lambda m, a, b: _flag(m, "oeq", a, b),
    "exp": _exp,
    "log": _log,
}
