"""What several tests share: random convolutions and poolings, drawn in one place."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

import rot180
from rot180 import ops, reference

SOURCE = Path(rot180.__file__).parents[1]
TESTS = Path(__file__).parent
LAYOUTS: tuple[ops.Layout, ...] = ("channels_first", "channels_last")
DTYPES = ("float32", "float64")

Array = np.ndarray[Any, Any]
# `choose(low, high)` is an int from low to high, both included: drawn by hypothesis,
# which shrinks it towards low, or by a random generator.
Choose = Callable[[int, int], int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """One convolution: its options, the shapes of its operands, how they lie.

    Attributes:
        images: Extent of the image axis; None for one image without that axis.
        in_group: Input channels of one group.
        out_group: Output channels of one group.
        viewed: Whether images are views of memory in the other layout.
        schedule: Number of the schedule to force.
        seed: Of the operands' values.
    """

    layout: ops.Layout
    dtype: str
    images: int | None
    groups: int
    in_group: int
    out_group: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Any
    flip: bool
    bias: bool
    viewed: bool
    schedule: int
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """The options of the public functions."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "flip": self.flip,
            "layout": self.layout,
        }

    @property
    def x_shape(self) -> tuple[int, ...]:
        return self._image(self.groups * self.in_group, self.size)

    @property
    def w_shape(self) -> tuple[int, ...]:
        outputs = self.groups * self.out_group
        return ops.filter_shape(self.layout, outputs, self.in_group, self.kernel)

    @property
    def y_shape(self) -> tuple[int, ...]:
        window = ops.Window.make(
            "test",
            self.kernel,
            input_size=self.size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
        return self._image(self.groups * self.out_group, window.output_size(self.size))

    def _image(self, channels: int, size: tuple[int, ...]) -> tuple[int, ...]:
        shape = ops.image_shape(self.layout, self.images or 0, channels, size)
        return shape[1:] if self.images is None else shape

    def operands(self, *, normal: bool = False) -> tuple[Array, Array, Array, Array]:
        """Returns `x, w, b, dy`, small integers or normally distributed."""
        rng = np.random.default_rng(self.seed)

        def values(shape: tuple[int, ...]) -> Array:
            if normal:
                return rng.standard_normal(shape).astype(self.dtype)
            return rng.integers(-4, 5, shape).astype(self.dtype)

        outputs = self.groups * self.out_group
        x, w, b, dy = map(
            values, (self.x_shape, self.w_shape, (outputs,), self.y_shape)
        )
        return self.lie(x), w, b, self.lie(dy)

    def lie(self, image: Array) -> Array:
        """Returns `image`, as a view of memory in the other layout if so drawn."""
        if not self.viewed:
            return image
        first = 0 if self.images is None else 1
        here, there = (first, -1) if self.layout == "channels_first" else (-1, first)
        return np.moveaxis(np.moveaxis(image, here, there).copy(), there, here)

    def expected(
        self, x: Array, w: Array, b: Array, dy: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Returns the reference's `y, dx, dw, db`; `y` with `b` if so drawn."""
        if self.images is None:
            x, dy = x[None], dy[None]
        biases = (b,) if self.bias else ()
        types = [ops.type_of(a) for a in (x, w, *biases)]
        op = ops.conv_op("test", *types, **self.options)
        (y,) = reference.evaluate(op, x, w, *biases)
        (dx,) = reference.evaluate(replace(op, out="x", bias=False), dy, w)
        (dw,) = reference.evaluate(replace(op, out="w", bias=False), dy, x)
        (db,) = reference.evaluate(ops.ChannelSum(self.layout), dy)
        return (y[0], dx[0], dw, db) if self.images is None else (y, dx, dw, db)

    def computed(
        self, x: Array, w: Array, b: Array, dy: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Returns what the public functions give: `y, dx, dw, db`."""
        y = rot180.conv(x, w, b if self.bias else None, **self.options)
        return (y, *rot180.conv_backward(dy, x, w, **self.options))


def draw_problem(
    choose: Choose,
    *,
    rank: int | None = None,
    layout: ops.Layout | None = None,
    dtype: str | None = None,
) -> Problem:
    """Returns a random small convolution of whatever is not given."""
    rank = choose(1, 4) if rank is None else rank
    groups, in_group, out_group = _draw_channels(choose)
    kernel = tuple(choose(1, {1: 5, 2: 3, 3: 3, 4: 2}[rank]) for _ in range(rank))
    dilation = tuple(choose(1, 3 if rank < 4 else 2) for _ in range(rank))
    padding: Any = tuple((choose(-2, 3), choose(-2, 3)) for _ in range(rank))
    pairs = padding
    form = choose(0, 5)
    if form == 1:
        padding, pairs = 1, ((1, 1),) * rank
    if form == 2:
        padding = tuple(low for low, _ in pairs)
        pairs = tuple((low, low) for low in padding)
    if form == 3:
        padding, pairs = pick(choose, ops.PADDINGS), ((0, 0),) * rank
    least = choose(0, 15) < 15  # else an axis of the images may be empty
    size = tuple(
        max((k - 1) * d + 1 - low - high, int(form == 3 or least))
        + choose(0, {1: 21, 2: 7, 3: 4, 4: 3}[rank])
        for k, d, (low, high) in zip(kernel, dilation, pairs, strict=True)
    )
    return Problem(
        layout=pick(choose, LAYOUTS) if layout is None else layout,
        dtype=pick(choose, DTYPES) if dtype is None else dtype,
        images=pick(choose, (2, 1, 3, 4, 5, 6, 7, 0, None, 2, 3)),
        groups=groups,
        in_group=in_group,
        out_group=out_group,
        size=size,
        kernel=kernel,
        stride=tuple(choose(1, 3) for _ in range(rank)),
        dilation=dilation,
        padding=padding,
        flip=bool(choose(0, 1)),
        bias=bool(choose(0, 1)),
        viewed=choose(0, 4) == 4,
        schedule=choose(0, 5),
        seed=choose(0, 9999),
    )


def _draw_channels(choose: Choose) -> tuple[int, int, int]:
    """Returns groups, and input and output channels of one: few, or some vectors."""
    kind = choose(0, 6)
    if kind <= 1:
        return 1, choose(1, 5), choose(1, 5)
    if kind == 2:
        return 1, choose(1, 4), choose(7, 35)
    if kind == 3:
        return 1, choose(7, 35), choose(1, 4)
    if kind == 4:
        return choose(2, 3), choose(1, 3), choose(1, 3)
    if kind == 5:
        return choose(2, 35), 1, 1  # depthwise
    return choose(2, 9), 1, choose(2, 3)  # with a multiplier


def _deep(
    channels: int, filters: int, size: tuple[int, ...], images: int, groups: int = 1
) -> Problem:
    rank = len(size)
    return Problem(
        layout="channels_last",
        dtype="float32",
        images=images,
        groups=groups,
        in_group=channels // groups,
        out_group=filters // groups,
        size=size,
        kernel=(3,) * rank,
        stride=(1,) * rank,
        dilation=(1,) * rank,
        padding=1,
        flip=False,
        bias=True,
        viewed=False,
        schedule=0,
        seed=0,
    )


# Large enough for what small problems never reach in the sums over images.
DEEP: dict[str, Problem] = {
    "blocks of rows": _deep(64, 48, (80, 100), 2),
    "blocks of rows, and of results": _deep(256, 256, (34, 40), 2),
    "groups": _deep(96, 192, (20, 20), 5, groups=3),
    "many blocks of results": _deep(256, 264, (6, 6), 5),
    "many tiny images": _deep(8, 20, (2, 2), 203),
    "one long dimension": _deep(16, 33, (9000,), 3),
    "one position": _deep(40, 8, (1, 1), 77),
    "one wide channel": _deep(1, 1, (500, 600), 3),
    "many depthwise": _deep(80, 80, (60, 60), 5, groups=80),
}


@dataclass(frozen=True, slots=True)
class Pooling:
    """One pooling: its options and the shape and kind of its values."""

    layout: ops.Layout
    dtype: str
    images: int
    channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[int, ...]
    ceil_mode: bool
    schedule: int
    seed: int

    @property
    def options(self) -> dict[str, Any]:
        """The options that max and average pooling share."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
            "layout": self.layout,
        }

    @property
    def x_shape(self) -> tuple[int, ...]:
        return ops.image_shape(self.layout, self.images, self.channels, self.size)

    def values(self) -> Array:
        """Returns `x`: few different integers, so that there are ties."""
        rng = np.random.default_rng(self.seed)
        return rng.integers(-2, 3, self.x_shape).astype(self.dtype)

    def op(self, kind: Any) -> Any:
        """Returns the pooling, `"max"` or `"sum"`."""
        x = ops.TensorType(self.x_shape, self.dtype)
        dilation = self.dilation if kind == "max" else 1
        return ops.pool_op(
            "test", kind, x, self.kernel, dilation=dilation, **self.options
        )


def draw_pooling(
    choose: Choose,
    *,
    rank: int | None = None,
    layout: ops.Layout | None = None,
    dtype: str | None = None,
) -> Pooling:
    """Returns a random small pooling of whatever is not given."""
    rank = choose(1, 3) if rank is None else rank
    kernel = tuple(choose(1, 4 if rank < 3 else 3) for _ in range(rank))
    dilation = tuple(choose(1, 2) for _ in range(rank))
    return Pooling(
        layout=pick(choose, LAYOUTS) if layout is None else layout,
        dtype=pick(choose, DTYPES) if dtype is None else dtype,
        images=pick(choose, (1, 2, 3)),
        channels=pick(choose, (1, 3, 17, 35)),
        size=tuple(
            (k - 1) * d + 1 + choose(0, {1: 20, 2: 7, 3: 3}[rank])
            for k, d in zip(kernel, dilation, strict=True)
        ),
        kernel=kernel,
        stride=tuple(choose(1, 3) for _ in range(rank)),
        dilation=dilation,
        padding=tuple(choose(0, k // 2) for k in kernel),
        ceil_mode=bool(choose(0, 1)),
        schedule=choose(0, 5),
        seed=choose(0, 9999),
    )


def pick(choose: Choose, options: Sequence[T]) -> T:
    """Returns one of the options."""
    return options[choose(0, len(options) - 1)]


def from_rng(rng: np.random.Generator) -> Choose:
    """Returns a `choose` that draws from a generator."""
    return lambda low, high: int(rng.integers(low, high + 1))


def problems(**given: Any) -> st.SearchStrategy[Problem]:
    """Returns hypothesis's strategy for `draw_problem(choose, **given)`."""
    return _drawn(draw_problem, given)


def poolings(**given: Any) -> st.SearchStrategy[Pooling]:
    """Returns hypothesis's strategy for `draw_pooling(choose, **given)`."""
    return _drawn(draw_pooling, given)


@st.composite
def _drawn(draw: Any, make: Callable[..., T], given: dict[str, Any]) -> T:
    return make(lambda low, high: draw(st.integers(low, high)), **given)


def assert_same(actual: Any, expected: Any, what: str = "result") -> None:
    """Raises AssertionError unless both are the same array, NaN equal to NaN."""
    assert isinstance(actual, np.ndarray), f"{what} is a {type(actual).__name__}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, {expected.shape}"
    assert actual.flags.c_contiguous, f"{what} is not contiguous"
    wrong = ~((actual == expected) | ((actual != actual) & (expected != expected)))
    assert not wrong.any(), (
        f"{what}: {int(wrong.sum())} of {wrong.size} differ, first at "
        f"{np.argwhere(wrong)[0].tolist()}: {actual[wrong][0]} for {expected[wrong][0]}"
    )


def bits(array: Any) -> Array:
    """Returns a float32 array's bits as integers, which `==` tells apart."""
    return np.ascontiguousarray(array).view(np.int32)


def child_environment(**extra: str) -> dict[str, str]:
    """Returns the environment of a process that imports rot180 and these helpers."""
    paths = os.pathsep.join([str(SOURCE), str(TESTS)])
    return os.environ | {"PYTHONPATH": paths, "PYTHONFAULTHANDLER": "1"} | extra


def python(*arguments: str) -> list[str]:
    """Returns the command that runs this Python."""
    return [sys.executable, *arguments]
