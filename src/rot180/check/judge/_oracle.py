"""The right results, on data sized so that they are exact, from the NumPy reference.

The operands are integers, or integers times a power of two, so small that every product
and every partial sum of any pass is exact in the dtype under test, in whatever order it
is computed. Equality then means equality.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from rot180 import ops, reference
from rot180.check.cases import BITS, CONV, HALF, IMPULSES, OUTPUTS, Case, numpy_dtype
from rot180.check.subjects import Array
from rot180.errors import ArgumentError

Operands = Mapping[str, Array]
Shapes = Mapping[str, tuple[int, ...]]
# From a case, its forward op and the operands to one output.
_Rule = Callable[[Case, Any, Operands], Array]
_SMALL: Final = 9
# Numbers in all operands together, so that they and their copies fit into memory.
_NUMBERS: Final = 10**8

# By function: the operands and other positional arguments, in order.
_ARGUMENTS: Final[dict[str, tuple[str, ...]]] = {
    "conv": ("x", "w", "b"),
    "conv_input_grad": ("dy", "w", "x_shape"),
    "conv_weight_grad": ("dy", "x", "w_shape"),
    "conv_backward": ("dy", "x", "w"),
    "conv_double_backward": ("ddx", "ddw", "dy", "x", "w"),
    "conv_transpose": ("x", "w", "b"),
    "conv_transpose_backward": ("dy", "x", "w"),
    "max_pool": ("x", "kernel_size"),
    "max_pool_backward": ("dy", "x", "kernel_size"),
    "avg_pool": ("x", "kernel_size"),
    "avg_pool_backward": ("dy", "x_shape", "kernel_size"),
    "relu": ("x",),
    "relu_backward": ("dy", "x"),
}


def functions_of(kind: str) -> tuple[str, ...]:
    """Returns the functions that compute an operation and its gradients."""
    names = [name for name in _ARGUMENTS if name.startswith(kind)]
    if kind == "conv":
        names = [name for name in names if not name.startswith("conv_transpose")]
    return tuple(names)


def arguments(
    case: Case, function: str, operands: Operands
) -> tuple[tuple[str, Any], ...]:
    """Returns the positional arguments of a call, each with its name."""
    kernel = case.kernel_size
    # One number would leave open whether there is an image axis.
    alike = len(set(kernel)) == 1 and case.images is not None
    others: dict[str, Any] = {
        "x_shape": case.x_shape,
        "w_shape": case.w_shape,
        "kernel_size": kernel[0] if alike else kernel,
    }
    given = [(n, operands.get(n, others.get(n))) for n in _ARGUMENTS[function]]
    return tuple(pair for pair in given if pair[0] != "b" or pair[1] is not None)


def arrays(case: Case, function: str, operands: Operands) -> dict[str, Array]:
    """Returns the operands that a function takes."""
    pairs = arguments(case, function, operands)
    return {name: value for name, value in pairs if isinstance(value, np.ndarray)}


def output_size(case: Case) -> tuple[int, ...]:
    """Returns the spatial extents of the output."""
    if case.kind == "relu":
        return case.size
    op = op_of(case)
    return tuple(op.input_size if case.kind == "conv_transpose" else op.output_size)


def result_shapes(case: Case, function: str) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of a function's results, in the order of its outputs."""
    x, w = case.x_shape, case.w_shape
    y = case.image_shape(case.filters, output_size(case))
    shapes = {"y": y, "ddy": y, "dx": x, "gx": x, "dw": w, "gw": w}
    shapes["db"] = (case.filters,)
    return tuple(shapes[name] for name in OUTPUTS[function])


def operands(
    case: Case, rng: np.random.Generator | None = None, *, most: int | None = None
) -> dict[str, Array]:
    """Returns random operands by name, of every function of the case's operation.

    `case.seed` decides the values, unless a generator is given: whether they are one
    digit long, or as large as the sums allow, or fractions; or, of a convolution,
    whether `x` and `dy` are impulses, one number each that uses the dtype's whole
    width. No magnitude exceeds `most`, if it is given.

    Raises:
        ArgumentError: The sums are too long to be exact in the dtype.
    """
    generator = np.random.default_rng([case.seed, 180]) if rng is None else rng
    shapes = _shapes(case)
    if case.kind == "max_pool":
        return _distinct(case, shapes, generator)
    if most is None and case.kind in CONV and _are_impulses(case):
        return _impulses(case, shapes, generator)
    largest, scale = (most, 1.0) if most is not None else _magnitude(case)

    found = {
        name: np.asarray(_signed(generator, largest, shape) * scale, case.dtype)
        for name, shape in shapes.items()
    }
    if "b" in found:
        found["b"] = found["b"] * np.asarray(scale, case.dtype)  # of the products' kind
    if case.kind == "relu":
        found["x"][generator.random(found["x"].shape) < 0.2] = 0
        found["x"] = _scaled(case, found["x"])
    return found


def _signed(rng: np.random.Generator, most: int, shape: tuple[int, ...]) -> Array:
    """Whole numbers up to `most`, of both signs; none is 0."""
    magnitudes = rng.integers(1, most, shape, endpoint=True)
    return np.asarray(magnitudes * rng.choice([-1, 1], shape))


def _shapes(case: Case) -> Shapes:
    y = case.image_shape(case.filters, output_size(case))
    shapes = {"x": case.x_shape, "dy": y}
    if case.kind in CONV:
        shapes |= {"w": case.w_shape} | ({"b": (case.filters,)} if case.bias else {})
    if case.kind == "conv":
        shapes |= {"ddx": case.x_shape, "ddw": case.w_shape}
    return shapes


def _distinct(case: Case, shapes: Shapes, rng: np.random.Generator) -> dict[str, Array]:
    """Operands without ties: every position of `x` holds another number."""
    count = math.prod(shapes["x"])
    x = rng.permutation(count).reshape(shapes["x"]) - count // 2
    dy = rng.integers(1, _SMALL + 1, shapes["dy"])
    return {"x": _scaled(case, x), "dy": dy.astype(case.dtype)}


def _are_impulses(case: Case) -> bool:
    """Whether the seed says so, or the sums are too long for 16 bits otherwise."""
    return case.seed % 8 == IMPULSES or (case.dtype in HALF and _is_long(case))


def _is_long(case: Case) -> bool:
    return 2 * terms(case) > _exact(case)


def _exact(case: Case) -> int:
    """The integer up to which all integers are exact."""
    return 1 << BITS[case.dtype]


def _impulses(case: Case, shapes: Shapes, rng: np.random.Generator) -> dict[str, Array]:
    """Operands of which no sum has more than two products, so that they may be long."""
    found = {}
    for name, shape in shapes.items():
        values = _signed(rng, 2 ** _width(case, name) - 1, shape)
        if name in _IMAGES and values.size:
            kept = np.zeros(values.size, bool)
            kept[int(rng.integers(values.size))] = True
            values = values * kept.reshape(shape)
        found[name] = values.astype(case.dtype)
    return found


def _width(case: Case, name: str) -> int:
    """The bits of an operand: any two of them make a product that leaves one free."""
    bits, turn = BITS[case.dtype], case.seed // 8 % 4
    if case.dtype in HALF and turn:  # so few that one operand has most, in turn
        wide = ("x", "dy", "w")[turn - 1]
        return bits - 2 if name.removeprefix("dd") == wide else 1
    return bits // 2 if name in _IMAGES else bits - bits // 2 - 1


def _scaled(case: Case, values: Array) -> Array:
    """Returns numbers that are not summed, of one of three magnitudes; exact."""
    shift = 4.0 if case.dtype == "float16" else 20.0  # which has 5 bits for exponents
    exponent = (0.0, shift, -shift)[case.seed % 3]
    return np.asarray(values * 2.0**exponent, case.dtype)


def _magnitude(case: Case) -> tuple[int, float]:
    """Returns the largest integer to draw, and the power of two to multiply by."""
    most = math.isqrt(_exact(case) // (2 * terms(case)))
    if most < 1:
        raise ArgumentError(
            f"check: {too_large(case)}\n  Use a smaller shape, or a wider dtype."
        )
    style = case.seed % 8 % 3
    if style == 0:
        return min(most, _SMALL), 1.0
    return most, 1.0 if style == 1 else 0.0625


def too_large(case: Case) -> str | None:
    """Returns why a case cannot be judged, None if it can."""
    if _is_long(case) and not (case.kind in CONV and case.dtype in HALF):
        return f"{terms(case)} terms are too many to be exact in {case.dtype}"
    count = math.prod(case.x_shape)
    if case.kind == "max_pool" and count > 2 * _exact(case):
        return f"{case.dtype} has no {count} different integers"
    size = sum(math.prod(shape) for shape in _shapes(case).values())
    if size > _NUMBERS:
        return f"{size} numbers are more than the {_NUMBERS} that are judged"
    return None


def terms(case: Case) -> int:
    """Returns how many products the longest sum of any pass has, at most."""
    if case.kind not in CONV:
        return max(math.prod(case.kernel_size), 1)
    taps = math.prod(case.kernel_size) * max(case.in_group, case.out_group)
    positions = max(math.prod(case.size), math.prod(output_size(case)))
    return max(taps, (case.images or 1) * positions) + 1


def expected(case: Case, function: str, operands: Operands) -> tuple[Array, ...]:
    """Returns the right results of a function, in the order of its outputs."""
    if case.dtype in HALF:  # which the reference has not
        wide = {name: array.astype("float64") for name, array in operands.items()}
        right = expected(replace(case, dtype="float64"), function, wide)
        return tuple(result.astype(numpy_dtype(case.dtype)) for result in right)
    op, given, alone = op_of(case), dict(operands), case.images is None
    if alone:
        given = {n: a[None] if n in _IMAGES else a for n, a in given.items()}
    found = {n: _RULES[case.kind, n](case, op, given) for n in OUTPUTS[function]}
    lacking = ("y", "dx", "ddy", "gx") if alone else ()
    return tuple(a[0] if name in lacking else a for name, a in found.items())


_IMAGES: Final = ("x", "dy", "ddx")


def op_of(case: Case) -> Any:
    """Returns the forward op of a case; it takes images, one if the case has none."""
    if case.kind == "relu":
        return ops.Pointwise("relu")
    batched = case if case.images is not None else replace(case, images=1)
    dtype = "float64" if case.dtype in HALF else case.dtype
    x = ops.TensorType(batched.x_shape, dtype)
    names = ("stride", "padding", "dilation")
    window: dict[str, Any] = {name: getattr(case, name) for name in names}
    if case.kind in CONV:
        w = ops.TensorType(batched.w_shape, dtype)
        window |= {"groups": case.groups, "flip": case.flip, "layout": case.layout}
        if case.kind == "conv":
            return ops.conv_op("check", x, w, **window)
        return ops.conv_transpose_op(
            "check", x, w, output_padding=case.output_padding, **window
        )
    return ops.pool_op(
        "check", "max" if case.kind == "max_pool" else "sum", x, case.kernel_size,
        ceil_mode=case.ceil_mode,
        layout=case.layout, **window,
    )  # fmt: skip


def _one(op: Any, *arrays: Array) -> Array:
    return reference.evaluate(op, *arrays)[0]


def _forward(case: Case, op: Any, o: Operands) -> Array:
    y = _one(op, o["x"], o["w"])
    column = (-1,) if case.layout == "channels_last" else (-1, *(1,) * case.rank)
    return y + o["b"].reshape(column) if "b" in o else y


def window_counts(case: Case) -> tuple[tuple[int, ...], ...]:
    """Returns, per dimension, how many positions each window of a pooling counts."""
    op = op_of(case)
    pads = ops.Window.make(
        "check", case.kernel_size, input_size=case.size, stride=case.stride,
        padding=case.padding,
    ).padding  # fmt: skip
    counted = pads if case.count_include_pad else ((0, 0),) * case.rank
    return ops.pool_counts(op.window, op.input_size, counted)


def _divisor(case: Case) -> Array:
    """By how much the sum of each window is divided, to be broadcast."""
    if case.divisor_override is not None:
        return np.asarray(case.divisor_override, case.dtype)
    table = np.ones((1,) * case.rank)
    for dim, row in enumerate(window_counts(case)):
        shape = [-1 if i == dim else 1 for i in range(case.rank)]
        table = table * np.reshape(row, shape)
    table = np.maximum(table, 1)
    if case.layout == "channels_last":
        table = table[..., None]
    return table.astype(case.dtype)


def _max_grad(case: Case, op: Any, o: Operands) -> Array:
    index = reference.evaluate(op, o["x"])[1]
    return _one(ops.MaxSelect(op.window, op.layout, "x", op.input_size), o["dy"], index)


def _bias_grad(case: Case, op: Any, o: Operands) -> Array:
    return _one(ops.ChannelSum(case.layout), o["dy"])


def _ddy(case: Case, op: Any, o: Operands) -> Array:
    """Both gradients are bilinear, so their gradients are the three passes again."""
    return _one(op, o["ddx"], o["w"]) + _one(op, o["x"], o["ddw"])


def _left_out(factor: str, *names: str) -> _Rule:
    """The same sum with another of `x w y` left out; of the operands named."""
    return lambda case, op, o: _one(replace(op, out=factor), *(o[n] for n in names))


# By operation and output.
_RULES: Final[Mapping[tuple[str, str], _Rule]] = {
    ("conv", "y"): _forward,
    ("conv", "dx"): _left_out("x", "dy", "w"),
    ("conv", "dw"): _left_out("w", "dy", "x"),
    ("conv", "db"): _bias_grad,
    ("conv", "ddy"): _ddy,
    ("conv", "gx"): _left_out("x", "dy", "ddw"),
    ("conv", "gw"): _left_out("w", "dy", "ddx"),
    # The op is an input gradient: its `x` is that convolution's `dy`.
    ("conv_transpose", "y"): _forward,
    ("conv_transpose", "dx"): _left_out("y", "dy", "w"),
    ("conv_transpose", "dw"): _left_out("w", "x", "dy"),
    ("conv_transpose", "db"): _bias_grad,
    ("max_pool", "y"): lambda case, op, o: _one(op, o["x"]),
    ("max_pool", "dx"): _max_grad,
    ("avg_pool", "y"): lambda case, op, o: _one(op, o["x"]) / _divisor(case),
    ("avg_pool", "dx"): lambda case, op, o: _one(
        replace(op, out="x"), o["dy"] / _divisor(case)
    ),
    ("relu", "y"): lambda case, op, o: _one(op, o["x"]),
    ("relu", "dx"): lambda case, op, o: _one(
        ops.Pointwise("relu_grad"), o["dy"], o["x"]
    ),
}
