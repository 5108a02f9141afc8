"""Random things to explain, with what the reference says of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from formula_reader import Place

from rot180 import explain, ops, reference
from rot180.errors import ShapeError

Array = np.ndarray[Any, Any]
# A multiple of all counts that a window of average pooling has here.
_SHARED = 2520


@dataclass(frozen=True)
class Example:
    """One configuration: its parameters, the numbers given and all right numbers.

    Of a maximum pooling also which number each maximum took, tensor and position.
    """

    parameters: dict[str, Any]
    given: dict[str, Array]
    right: dict[str, Array]
    taken: dict[Place, Place] = field(default_factory=dict)

    def array(self, tensor: str) -> Array:
        """Returns the numbers of a tensor without the axes that names leave out."""
        return self.plain(tensor, (self.given | self.right)[tensor])

    def plain(self, tensor: str, array: Array) -> Array:
        """Returns an array of a tensor's shape without those axes."""
        hides_channels = self.parameters["channels"] == (1, 1)
        is_last = self.parameters["layout"] == "channels_last"
        letter = tensor.removeprefix("d")[0]
        if letter == "E":
            return array
        if letter == "b":
            return array[0] if hides_channels else array
        axes: list[int] = []
        if letter == "F":
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


def array_of(found: explain.Explanation, tensor: str) -> Array:
    """Returns the numbers of a tensor as rows and columns: of one channel and image."""
    values = list(values_of(found)[tensor].values())
    return np.reshape(values, found.tensors[tensor].extents)


def draw(rng: np.random.Generator) -> Example:
    """Returns a random small example."""
    kind = rng.choice(
        ["conv", "conv_transpose", "max_pool", "avg_pool", "relu", "network"],
        p=[0.45, 0.2, 0.12, 0.12, 0.03, 0.08],
    )
    return draw_layer(rng, str(kind))


def draw_layer(rng: np.random.Generator, layer: str) -> Example:
    """Returns a random small example of a layer, or of a network."""
    return _MAKERS[layer](rng, int(rng.integers(1, 3)))


def _ints(rng: np.random.Generator, rank: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(int(i) for i in rng.integers(low, high + 1, rank))


def _numbers(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.integers(-4, 5, shape).astype("float64")


def _window(rng: np.random.Generator, rank: int) -> dict[str, Any]:
    kernel = _ints(rng, rank, 1, 3)
    dilation = _ints(rng, rank, 1, 3)
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
        "stride": _ints(rng, rank, 1, 4),
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
    dx, dw, db = _conv_gradients(op, dy, x, w)
    known |= {"layer": "conv", "channels": (c, k), "groups": groups, "bias": True}
    given = {"X": x, "F": w, "b": b, "dO": dy}
    return Example(known, given, {"O": y, "dX": dx, "dF": dw, "db": db})


def _conv_gradients(op: ops.Conv, dy: Array, x: Array, w: Array) -> tuple[Array, ...]:
    """The gradients of the input, of the filter and of the bias."""
    plain = replace(op, bias=False)
    (dx,) = reference.evaluate(replace(plain, out="x"), dy, w)
    (dw,) = reference.evaluate(replace(plain, out="w"), dy, x)
    (db,) = reference.evaluate(ops.ChannelSum(op.layout), dy)
    return dx, dw, db


def _transposed(rng: np.random.Generator, rank: int) -> Example:
    known = _window(rng, rank)
    (c, k), groups = _channels(rng)
    stride, dilation = known["stride"], known["dilation"]
    pads = known["padding"]
    if isinstance(pads, str):
        known["padding"] = pads = "full" if pads == "full" else "valid"
        spans = [(k - 1) * d for k, d in zip(known["kernel"], dilation, strict=True)]
        pads = tuple((s, s) if pads == "full" else (0, 0) for s in spans)
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
    known |= {"input": size, "output_padding": extra}
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
    found.taken.update(_taken(found, op, index, "X", "O"))
    return found


def _taken(
    example: Example, op: ops.MaxPool, index: Array, before: str, out: str
) -> Iterator[tuple[Place, Place]]:
    """Where in what is pooled each maximum stands, as names count."""
    x = (example.given | example.right)[before]
    numbered = example.plain(before, np.arange(x.size).reshape(x.shape))
    flat = {int(number): at for at, number in np.ndenumerate(numbered)}
    outputs = example.plain(out, np.arange(index.size).reshape(index.shape))
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
            taken = flat[int(np.ravel_multi_index(place, x.shape))]
            yield (out, at), (before, taken)


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


def _network(rng: np.random.Generator, rank: int) -> Example:
    """Up to four layers; of multiples of what their means divide by, there and back."""
    kinds = list(map(str, rng.choice(list(_OUTPUTS), rng.integers(1, 5))))
    scale = 16 ** kinds.count("avg_pool")
    c, k, images = (int(n) for n in rng.choice([1, 1, 2], 3))
    options: dict[str, Any] = {
        "stride": _ints(rng, rank, 1, 2),
        "padding": tuple((int(a), int(b)) for a, b in rng.integers(0, 2, (rank, 2))),
        "dilation": _ints(rng, rank, 1, 2),
        "flip": bool(rng.integers(2)),
        "layout": str(rng.choice(["channels_first", "channels_last"])),
    }
    size, has_bias = _ints(rng, rank, 3, 5), bool(rng.integers(2))
    x = scale * _numbers(rng, ops.image_shape(options["layout"], images, c, size))
    layers: list[tuple[str, tuple[int, ...]]] = []
    parts: list[_Part] = []
    here = x
    for kind in kinds:
        window = () if kind == "relu" else _ints(rng, rank, 1, 2)
        channels = here.shape[1 if options["layout"] == "channels_first" else -1]
        try:
            part = _part(
                rng, kind, here, window, (channels, k), options, has_bias * scale
            )
        except ShapeError:
            continue  # too small by now
        if not part.y.size:  # no window fits, which pictures do not show
            continue
        here = part.y
        parts.append(part)
        layers.append((kind, window))
    if not parts:
        return _network(rng, rank)
    target = scale * _numbers(rng, here.shape)
    names = _numbered([_OUTPUTS[part.kind] for part in parts])
    given, right = {"X": x, "T": target}, {"D": here - target}
    right["E"] = np.array((right["D"] ** 2).sum() / 2)
    slope = right["D"]
    for part, name, before in reversed(
        list(zip(parts, names, ["X", *names], strict=False))
    ):
        right |= {name: part.y, f"d{name}": slope}
        slope, others = part.backward(slope)
        for letter, array in part.given.items():
            given[letter + name[1:]] = array
            right["d" + letter + name[1:]] = others[letter]
        right[f"d{before}"] = slope
    known = {"layer": "network", "layers": tuple(layers), "input": size}
    known |= {"channels": (c, k), "images": images, "bias": has_bias} | options
    found = Example(known, given, right)
    for part, name, before in zip(parts, names, ["X", *names], strict=False):
        if part.maximum is not None:
            found.taken.update(_taken(found, *part.maximum, before, name))
    return found


_OUTPUTS = {"conv": "O", "relu": "A", "max_pool": "P", "avg_pool": "P"}


def _numbered(letters: list[str]) -> list[str]:
    """Numbers those that occur more than once."""
    return [
        letter
        if letters.count(letter) == 1
        else f"{letter}{letters[: i + 1].count(letter)}"
        for i, letter in enumerate(letters)
    ]


@dataclass(frozen=True)
class _Part:
    """One layer of a network: its output, its parameters, its gradients.

    Of a maximum pooling also the op, and at which tap each maximum stands.
    """

    kind: str
    y: Array
    given: dict[str, Array]
    backward: Callable[[Array], tuple[Array, dict[str, Array]]]
    maximum: tuple[Any, Array] | None = None


def _part(
    rng: np.random.Generator,
    kind: str,
    x: Array,
    window: tuple[int, ...],
    channels: tuple[int, int],
    options: dict[str, Any],
    bias: int,
) -> _Part:
    if kind == "relu":
        return _relu_part(x)
    if kind == "conv":
        return _conv_part(rng, x, window, channels, options, bias)
    return _pool_part(kind, x, window, options["layout"])


def _relu_part(x: Array) -> _Part:
    (y,) = reference.evaluate(ops.Pointwise("relu"), x)
    back = ops.Pointwise("relu_grad")
    return _Part("relu", y, {}, lambda dy: (reference.evaluate(back, dy, x)[0], {}))


def _pool_part(kind: str, x: Array, window: tuple[int, ...], layout: Any) -> _Part:
    pool = "max" if kind == "max_pool" else "sum"
    op = ops.pool_op("test", pool, ops.type_of(x), window, layout=layout)
    y, *index = reference.evaluate(op, x)
    if index:
        back: Any = ops.MaxSelect(op.window, layout, "x", op.input_size)
        count, maximum = 1, (op, index[0])
    else:
        back, count, maximum = replace(op, out="x"), math.prod(window), None

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        return reference.evaluate(back, dy, *index)[0] / count, {}

    return _Part(kind, y / count, {}, backward, maximum)


def _conv_part(
    rng: np.random.Generator,
    x: Array,
    window: tuple[int, ...],
    channels: tuple[int, int],
    options: dict[str, Any],
    bias: int,
) -> _Part:
    (c, k), layout = channels, options["layout"]
    given = {"F": _numbers(rng, ops.filter_shape(layout, k, c, window))}
    given |= {"b": bias * _numbers(rng, (k,))} if bias else {}
    types = [ops.type_of(array) for array in (x, *given.values())]
    op = ops.conv_op("test", *types, **options)
    (y,) = reference.evaluate(op, x, *given.values())

    def backward(dy: Array) -> tuple[Array, dict[str, Array]]:
        dx, dw, db = _conv_gradients(op, dy, x, given["F"])
        return dx, {"F": dw, "b": db}

    return _Part("conv", y, given, backward)


_MAKERS = {
    "network": _network,
    "conv": _conv,
    "conv_transpose": _transposed,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "relu": _relu,
}
