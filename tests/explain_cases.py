"""Random things to explain, with what the reference says of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rot180 import explain, ops
from rot180.runtime import reference

Array = np.ndarray[Any, Any]
# A multiple of all counts that a window of average pooling has here.
_SHARED = 2520


@dataclass(frozen=True)
class Example:
    """One configuration: its parameters, the numbers given and all right numbers.

    Of a maximum pooling also which number each maximum took, by its position.
    """

    parameters: dict[str, Any]
    given: dict[str, Array]
    right: dict[str, Array]
    taken: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict)

    def array(self, tensor: str) -> Array:
        """Returns the numbers of a tensor without the axes that names leave out."""
        return self.plain(tensor, (self.given | self.right)[tensor])

    def plain(self, tensor: str, array: Array) -> Array:
        """Returns an array of a tensor's shape without those axes."""
        hides_channels = self.parameters["channels"] == (1, 1)
        is_last = self.parameters["layout"] == "channels_last"
        if tensor.endswith("b"):
            return array[0] if hides_channels else array
        axes: list[int] = []
        if tensor.endswith("F"):
            axes = [-1, -2] if is_last else [0, 1]
            return array.squeeze(tuple(axes)) if hides_channels else array
        if hides_channels:
            axes = [-1 if is_last else 1]
        if self.parameters["images"] == 1:
            axes.append(0)
        return array.squeeze(tuple(axes))


def values_of(found: explain.Explanation) -> explain.Values:
    """Returns the numbers of an explanation, which has some."""
    assert found.values is not None
    return found.values


def draw(rng: np.random.Generator) -> Example:
    """Returns a random small example."""
    kind = rng.choice(
        ["conv", "conv_transpose", "max_pool", "avg_pool", "relu"],
        p=[0.5, 0.2, 0.12, 0.12, 0.06],
    )
    rank = int(rng.integers(1, 3))
    return _MAKERS[str(kind)](rng, rank)


def _ints(rng: np.random.Generator, rank: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(int(i) for i in rng.integers(low, high + 1, rank))


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(-4, 5, shape).astype("float64")


def _window(rng: np.random.Generator, rank: int) -> dict[str, Any]:
    kernel = _ints(rng, rank, 1, 3)
    dilation = _ints(rng, rank, 1, 2)
    pads = tuple((int(low), int(high)) for low, high in rng.integers(-1, 3, (rank, 2)))
    least = (
        (k - 1) * d + 1 - low - high
        for k, d, (low, high) in zip(kernel, dilation, pads, strict=True)
    )
    size = tuple(max(1, extent) + int(rng.integers(0, 3)) for extent in least)
    padding: Any = pads
    if rng.random() < 0.2:
        padding = str(rng.choice(ops.PADDINGS))
        size = tuple(
            max(n, (k - 1) * d + 1)
            for n, k, d in zip(size, kernel, dilation, strict=True)
        )
    return {
        "input": size,
        "kernel": kernel,
        "stride": _ints(rng, rank, 1, 3),
        "padding": padding,
        "dilation": dilation,
        "images": int(rng.choice([1, 1, 2])),
        "layout": str(rng.choice(["channels_first", "channels_last"])),
        "flip": bool(rng.integers(2)),
    }


def _channels(rng: np.random.Generator) -> tuple[tuple[int, int], int]:
    groups = int(rng.choice([1, 1, 1, 2]))
    c, k = (int(i) for i in rng.choice([1, 1, 2], 2))
    return (groups * c, groups * k), groups


def _conv(rng: np.random.Generator, rank: int) -> Example:
    known = _window(rng, rank)
    (c, k), groups = _channels(rng)
    layout = known["layout"]
    x = _numbers(rng, ops.image_shape(layout, known["images"], c, known["input"]))
    w = _numbers(rng, ops.filter_shape(layout, k, c // groups, known["kernel"]))
    b = _numbers(rng, (k,))
    options = {n: known[n] for n in ("stride", "padding", "dilation", "flip", "layout")}
    op = ops.conv_op("test", ops.type_of(x), ops.type_of(w), ops.type_of(b),
                     groups=groups, **options)  # fmt: skip
    (y,) = reference.evaluate(op, x, w, b)
    dy = _numbers(rng, y.shape)
    plain = replace(op, bias=False)
    (dx,) = reference.evaluate(replace(plain, out="x"), dy, w)
    (dw,) = reference.evaluate(replace(plain, out="w"), dy, x)
    (db,) = reference.evaluate(ops.ChannelSum(layout), dy)
    known |= {"layer": "conv", "channels": (c, k), "groups": groups, "bias": True}
    given = {"X": x, "F": w, "b": b, "dO": dy}
    return Example(known, given, {"O": y, "dX": dx, "dF": dw, "db": db})


def _transposed(rng: np.random.Generator, rank: int) -> Example:
    known = _window(rng, rank)
    (c, k), groups = _channels(rng)
    pads = known["padding"]
    if isinstance(pads, str):
        pads = ((0, 0),) * rank
    stride, dilation = known["stride"], known["dilation"]
    extra = tuple(
        int(rng.integers(0, max(s, d))) for s, d in zip(stride, dilation, strict=True)
    )
    size = tuple(
        n
        + max(0, -(((n - 1) * s + (r - 1) * d - low - high + e) // s))
        for n, s, r, d, (low, high), e in zip(
            _ints(rng, rank, 1, 3), stride, known["kernel"], dilation, pads, extra,
            strict=True,
        )
    )  # fmt: skip
    known |= {"padding": pads, "input": size, "output_padding": extra}
    layout = known["layout"]
    x = _numbers(rng, ops.image_shape(layout, known["images"], c, size))
    w = _numbers(rng, ops.filter_shape(layout, c, k // groups, known["kernel"]))
    b = _numbers(rng, (k,))
    options = {n: known[n] for n in ("stride", "padding", "dilation", "flip", "layout")}
    op = ops.conv_transpose_op(
        "test", ops.type_of(x), ops.type_of(w), groups=groups, output_padding=extra,
        **options,
    )  # fmt: skip
    (y,) = reference.evaluate(op, x, w)
    dy = _numbers(rng, y.shape)
    (dx,) = reference.evaluate(replace(op, out="y"), dy, w)
    (dw,) = reference.evaluate(replace(op, out="w"), x, dy)
    (db,) = reference.evaluate(ops.ChannelSum(layout), dy)
    column = (-1,) if layout == "channels_last" else (-1, *(1,) * rank)
    known |= {"layer": "conv_transpose", "channels": (c, k), "groups": groups}
    known |= {"bias": True}
    given = {"X": x, "F": w, "b": b, "dO": dy}
    right = {"O": y + b.reshape(column), "dX": dx, "dF": dw, "db": db}
    return Example(known, given, right)


def _pooled(rng: np.random.Generator, rank: int, kind: str) -> tuple[Any, ...]:
    known = _window(rng, rank)
    del known["flip"]
    if not isinstance(known["padding"], str):
        known["padding"] = tuple((max(0, a), max(0, b)) for a, b in known["padding"])
    if kind == "avg_pool":
        del known["dilation"]
    channels = int(rng.choice([1, 1, 2]))
    known |= {"layer": kind, "channels": (channels, channels)}
    known |= {"ceil_mode": bool(rng.integers(2))}
    shape = ops.image_shape(known["layout"], known["images"], channels, known["input"])
    x = _numbers(rng, shape)
    op = ops.pool_op(
        "test",
        "max" if kind == "max_pool" else "sum",
        ops.type_of(x),
        known["kernel"],
        stride=known["stride"],
        padding=known["padding"],
        dilation=known.get("dilation", 1),
        ceil_mode=known["ceil_mode"],
        layout=known["layout"],
    )
    return known, x, op


def _max_pool(rng: np.random.Generator, rank: int) -> Example:
    known, x, op = _pooled(rng, rank, "max_pool")
    y, index = reference.evaluate(op, x)
    dy = _numbers(rng, y.shape)
    select = ops.MaxSelect(op.window, op.layout, "x", op.input_size)
    (dx,) = reference.evaluate(select, dy, index)
    found = Example(known, {"X": x, "dO": dy}, {"O": y, "dX": dx})
    found.taken.update(_taken(found, op, index))
    return found


def _taken(
    example: Example, op: ops.MaxPool, index: Array
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Where in `X` each maximum stands, as names count."""
    x = example.given["X"]
    numbered = example.plain("X", np.arange(x.size).reshape(x.shape))
    flat = {int(number): at for at, number in np.ndenumerate(numbered)}
    outputs = example.plain("O", np.arange(index.size).reshape(index.shape))
    window, axes = op.window, ops.spatial_axes(op.layout, x.ndim)
    for at, number in np.ndenumerate(outputs):
        place = list(np.unravel_index(int(number), index.shape))
        tap = np.unravel_index(int(index.flat[int(number)]), window.kernel_size)
        for dim, axis in enumerate(axes):
            place[axis] = int(
                place[axis] * window.stride[dim]
                + tap[dim] * window.dilation[dim]
                - window.padding[dim][0]
            )
        if all(0 <= i < e for i, e in zip(place, x.shape, strict=True)):
            yield at, flat[int(np.ravel_multi_index(place, x.shape))]


def _avg_pool(rng: np.random.Generator, rank: int) -> Example:
    known, x, op = _pooled(rng, rank, "avg_pool")
    known |= {"count_include_pad": bool(rng.integers(2))}
    count = np.maximum(_counts(op, known), 1)
    if known["layout"] == "channels_last":
        count = np.moveaxis(count, 1, -1)
    y = reference.evaluate(op, x)[0] / count
    dy = _numbers(rng, y.shape) * _SHARED
    (dx,) = reference.evaluate(replace(op, out="x"), dy / count)
    return Example(known, {"X": x, "dO": dy}, {"O": y, "dX": dx})


def _counts(op: ops.WindowSum, known: dict[str, Any]) -> Array:
    """How many counted positions each window has: the window's sum over ones."""
    declared = ops.Window.make(
        "test",
        known["kernel"],
        input_size=known["input"],
        stride=known["stride"],
        padding=known["padding"],
    )
    inside = np.ones((1, 1, *known["input"]))
    pads = ((0, 0), (0, 0), *declared.padding)
    counted = np.pad(inside, pads, constant_values=float(known["count_include_pad"]))
    rest = tuple(
        (0, high - given)
        for (_, high), (_, given) in zip(
            op.window.padding, declared.padding, strict=True
        )
    )
    window = replace(op.window, padding=rest)
    size = counted.shape[2:]
    return reference.evaluate(
        ops.WindowSum(window, "channels_first", "y", size), counted
    )[0]


def _relu(rng: np.random.Generator, rank: int) -> Example:
    channels, images = (int(i) for i in rng.choice([1, 1, 2], 2))
    size = _ints(rng, rank, 1, 4)
    x = _numbers(rng, (images, channels, *size))
    dy = _numbers(rng, x.shape)
    (y,) = reference.evaluate(ops.Pointwise("relu"), x)
    (dx,) = reference.evaluate(ops.Pointwise("relu_grad"), dy, x)
    known = {"layer": "relu", "input": size, "channels": (channels, channels)}
    known |= {"images": images, "layout": "channels_first"}
    return Example(known, {"X": x, "dO": dy}, {"O": y, "dX": dx})


_MAKERS = {
    "conv": _conv,
    "conv_transpose": _transposed,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "relu": _relu,
}
