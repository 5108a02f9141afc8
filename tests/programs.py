"""What the tests of programs share: small sums, and a way to interpret them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rot180 import ops, reference
from rot180.autograd._run import infer
from rot180.lower._ops import Operand, bind
from rot180.ops import Layout, TensorType, Window
from rot180.program import Program, Target, interpret
from rot180.runtime import force_target
from rot180.runtime._choose import target
from rot180.schedules import Bound, Nest

Array = np.ndarray[Any, Any]
LAYOUTS: tuple[Layout, ...] = ("channels_first", "channels_last")
FAMILIES = ("avx512", "avx2", "neon", "baseline")
# No processor: two lanes and few registers give every loop a remainder soon.
TINY = Target("tiny", "x86_64-unknown-linux-gnu", "x86-64", "", 8, 6, False)


@cache
def family(name: str) -> Target:
    """The target of that name."""
    with force_target(name):
        return target()


@dataclass(frozen=True)
class Case:
    """An op, the types of its inputs, and a name."""

    name: str
    op: ops.Op
    types: tuple[TensorType, ...]

    @property
    def outputs(self) -> tuple[TensorType, ...]:
        return infer(self.op, *self.types)

    @property
    def bound(self) -> Bound:
        inputs = tuple(map(Operand.dense, self.types))
        return bind(self.op, inputs, tuple(map(Operand.dense, self.outputs)))

    @property
    def plain(self) -> Program:
        bound = self.bound
        assert isinstance(bound, Program)
        return bound

    @property
    def nest(self) -> Nest:
        return Nest.of(self.plain)

    def integers(self, seed: int = 0) -> tuple[Array, ...]:
        """Small integers, so that no order of summation rounds."""
        return self._drawn(seed, lambda r, s: r.integers(-3, 4, s))

    def reals(self, seed: int = 0) -> tuple[Array, ...]:
        """Normal numbers, which show the order of summation in the last bits."""
        return self._drawn(seed, lambda r, s: r.standard_normal(s))

    def _drawn(self, seed: int, draw: Any) -> tuple[Array, ...]:
        random = np.random.default_rng(seed)
        return tuple(
            draw(random, t.shape).astype(t.dtype)
            if t.dtype.startswith("float")
            else random.integers(0, _taps(self.op), t.shape).astype(t.dtype)
            for t in self.types
        )

    def expected(self, *arrays: Array) -> tuple[Array, ...]:
        return reference.evaluate(self.op, *arrays)

    def interpret(
        self,
        program: Program,
        inputs: tuple[Array, ...],
        *,
        start: tuple[float, ...] | None = None,
    ) -> list[Array]:
        """Run a program on copies; outputs begin as NaN, or each as `start`."""
        results = tuple(np.zeros(t.shape) for t in self.outputs)
        begin = start or (math.nan,) * len(results)
        memory = {}
        arrays = zip(program.arguments, (*results, *inputs), strict=True)
        for number, (buffer, array) in enumerate(arrays):
            flat = array.reshape(-1).tolist()
            inside = number >= len(results)
            memory[buffer.name] = flat if inside else [begin[number]] * len(flat)
        interpret(program, memory, inputs[0].shape[0])
        names = [b.name for b in program.arguments[: len(results)]]
        return [
            np.array(memory[name]).reshape(result.shape)
            for name, result in zip(names, results, strict=True)
        ]

    def interpret_plain(
        self, program: Program, inputs: tuple[Array, ...]
    ) -> list[Array]:
        """Run a lowered program: its outputs begin as the reduction's identity."""
        start = self.nest.reduction.identity[: len(self.outputs)]
        return self.interpret(program, inputs, start=start)


def _taps(op: Any) -> int:
    return math.prod(op.window.kernel_size)


def laid(layout: Layout, channels: int, size: tuple[int, ...]) -> tuple[int, ...]:
    """The axes behind the images."""
    return (channels, *size) if layout == "channels_first" else (*size, channels)


def conv_case(
    out: str,
    window: Window,
    layout: Layout,
    size: tuple[int, ...],
    *,
    images: int = 2,
    c: int = 2,
    k: int = 3,
    bias: bool = False,
    dtype: str = "float32",
    name: str = "",
) -> Case:
    """One pass of a convolution of `c` into `k` channels."""
    inner = c // window.groups
    shape = (k, inner, *window.kernel_size)
    if layout == "channels_last":
        shape = (*window.kernel_size, inner, k)
    x = TensorType((images, *laid(layout, c, size)), dtype)
    w = TensorType(shape, dtype)
    (y,) = ops.Conv(window, layout, "y", size).infer(x, w)
    types = {"y": (x, w), "x": (y, w), "w": (y, x)}[out]
    if bias:
        types = (*types, TensorType((k,), dtype))
    op = ops.Conv(window, layout, out, size, bias)  # type: ignore[arg-type]
    return Case(f"{out}, {name}, {layout}", op, types)


@dataclass(frozen=True)
class _Shape:
    name: str
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    c: int = 2
    k: int = 3
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    flip: bool = False

    def window(self) -> Window:
        return Window.make(
            "test",
            self.kernel,
            input_size=self.size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            flip=self.flip,
        )


SHAPES = (
    _Shape("plain", (4, 3), (3, 2), padding=1),
    _Shape("many channels", (3,), (2,), c=5, k=9),
    _Shape("stride", (7,), (3,), stride=2, padding=((1, 0),)),
    _Shape("stride above filter", (7,), (2,), stride=3),
    _Shape("gcd of stride and dilation", (9,), (3,), stride=2, dilation=2, padding=1),
    _Shape("stride and dilation", (9, 4), (2, 2), stride=(3, 2), dilation=(2, 1), c=1),
    _Shape("groups", (4, 3), (2, 2), c=4, k=6, groups=2),
    _Shape("depthwise", (4, 3), (3, 2), c=3, k=3, groups=3, padding=1),
    _Shape("flip", (4, 3), (2, 3), flip=True, padding=1),
    _Shape("negative padding", (7,), (3,), padding=((-1, -2),)),
    _Shape("rank 3", (2, 3, 2), (2, 2, 1), padding=((0, 0), (1, 0), (0, 0))),
    _Shape("one of everything", (1,), (1,), c=1, k=1),
)


def _conv_cases() -> Iterator[Case]:
    for shape in SHAPES:
        for layout in LAYOUTS:
            for out in "yxw":
                yield conv_case(
                    out,
                    shape.window(),
                    layout,
                    shape.size,
                    c=shape.c,
                    k=shape.k,
                    bias=out == "y",
                    name=shape.name,
                )
    window = Window((), (), (), ())
    for out in "yxw":
        yield conv_case(
            out, window, "channels_first", (), images=3, c=4, k=5, name="linear"
        )


def pool_cases(
    name: str, window: Window, layout: Layout, size: tuple[int, ...], channels: int = 3
) -> Iterator[Case]:
    """Sums and maxima over windows, forward and back."""
    x = TensorType((2, *laid(layout, channels, size)), "float32")
    most = ops.MaxPool(window, layout, size)
    y, where = most.infer(x)
    kind = f"{name}, {layout}"
    yield Case(f"max pool, {kind}", most, (x,))
    for out, given in (("y", x), ("x", y)):
        total = ops.WindowSum(window, layout, out, size)  # type: ignore[arg-type]
        yield Case(f"window sum {out}, {kind}", total, (given,))
        chosen = ops.MaxSelect(window, layout, out, size)  # type: ignore[arg-type]
        yield Case(f"max select {out}, {kind}", chosen, (given, where))


def _pool_cases() -> Iterator[Case]:
    windows = {
        "disjoint": Window.make("test", (2, 2), stride=2),
        "overlapping": Window.make("test", (3, 2), stride=(2, 1), padding=1),
        "gaps": Window.make("test", (1, 2), stride=(2, 3)),
        "dilated": Window.make("test", (2, 2), dilation=(1, 2), stride=(1, 2)),
    }
    for name, window in windows.items():
        for layout in LAYOUTS:
            yield from pool_cases(name, window, layout, (5, 4))


def _sum_cases() -> Iterator[Case]:
    dy = TensorType((3, 5, 2, 2), "float32")
    yield Case("bias", ops.ChannelSum("channels_first"), (dy,))
    rows = TensorType((7, 3), "float32")
    yield Case("columns", ops.Reduce("sum", (0,)), (rows,))


CASES = {
    case.name: case
    for make in (_conv_cases, _pool_cases, _sum_cases)
    for case in make()
}


@st.composite
def windows(draw: st.DrawFn, rank: int, groups: int) -> Window:
    """A window of small numbers; it may not fit every input."""

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    return Window(
        each(1, 3),
        each(1, 3),
        each(1, 2),
        tuple(zip(each(-1, 2), each(-1, 2), strict=True)),
        groups,
        draw(st.booleans()),
    )


@st.composite
def small_sums(draw: st.DrawFn, *, kinds: str = "yxwpm") -> Case:
    """A random small sum: a pass `y x w` of a convolution, `p`ooling or `m`aximum."""
    kind = draw(st.sampled_from(kinds))
    rank = draw(st.integers(1, 2))
    layout = draw(st.sampled_from(LAYOUTS))
    groups = draw(st.integers(1, 2)) if kind in "yxw" else 1
    window = draw(windows(rank, groups))
    # As large as the window or larger, so that there is a result.
    size = tuple(
        max(span - low - high, 1) + draw(st.integers(0, 3))
        for span, (low, high) in zip(window.span, window.padding, strict=True)
    )
    channels = st.integers(1, 3)
    if kind in "yxw":
        c, k = groups * draw(channels), groups * draw(channels)
        images = draw(st.integers(1, 3))
        return conv_case(kind, window, layout, size, images=images, c=c, k=k)
    window = replace(window, flip=False)
    found = list(pool_cases("drawn", window, layout, size, draw(channels)))
    chosen = found[:1] if kind == "m" else found[1:]
    return draw(st.sampled_from(chosen))
