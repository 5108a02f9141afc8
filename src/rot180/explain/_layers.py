"""Each layer as passes: forward, and backward by leaving another operand out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._equations import Cell, Choice, Equation, Position, Term, positions
from rot180.explain._passes import Maker, Pass, check_size, gradients, refuse_names
from rot180.explain._setting import CONV, POOL, Setting
from rot180.explain._tensors import Tensor
from rot180.notation import Contraction

# From the letters of the library's formulas to the names of an explanation.
Letters: TypeAlias = Mapping[str, str]
PLAIN: Final[Letters] = {"x": "X", "w": "F", "b": "b", "y": "O"}
Shaped: TypeAlias = tuple[tuple[int, ...], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Layer:
    """The passes of a layer.

    Attributes:
        setting: Its parameters.
        tensors: All that it reads or computes, by name.
        forward: The pass that gives its output.
        backward: The passes that give the gradients of its parameters and, last, of
            its input.
    """

    setting: Setting
    tensors: Mapping[str, Tensor]
    forward: Pass
    backward: tuple[Pass, ...]


def layer(
    setting: Setting, letters: Letters = PLAIN, hidden: frozenset[str] | None = None
) -> Layer:
    """Returns the passes of a layer.

    Args:
        setting: The layer.
        letters: What its operands are called.
        hidden: The axes that names leave out; those of the setting if None.

    Raises:
        Rot180Error: The parameters do not fit each other, or it is too large.
    """
    hidden = setting.hidden if hidden is None else hidden
    _check_window(setting, letters["x"])
    if setting.layer in CONV:
        return _conv(setting, letters, hidden)
    _check_same_channels(setting)
    make = _pool if setting.layer in POOL else _relu
    return make(setting, letters, hidden)


def _check_window(setting: Setting, x: str) -> None:
    """Raises an ArgumentError where the window is larger than what it slides over."""
    pads = setting.padding
    if setting.layer not in ("conv", *POOL) or (
        isinstance(pads, str) and pads != "valid"
    ):
        return
    pads = ((0, 0),) * setting.rank if pads == "valid" else pads
    for size, taps, step, (low, high), what in zip(
        setting.input, setting.kernel, setting.dilation, pads, _dimensions(setting),
        strict=True,
    ):  # fmt: skip
        span, there = (taps - 1) * step + 1, size + low + high
        if span > there:
            raise ArgumentError(
                f"explain: the window spans {span} {what}, {x} has {there}\n"
                f"    {taps} taps with dilation {step}; {size} {what}, padding {low} "
                f"before and {high} behind\n"
                "  Use a smaller kernel or dilation, a larger input, or more padding."
            )


def _dimensions(setting: Setting) -> tuple[str, ...]:
    return ("columns",) if setting.rank == 1 else ("rows", "columns")


# ------------------------------------------------------------------- convolution


def _conv(setting: Setting, letters: Letters, hidden: frozenset[str]) -> Layer:
    _check_groups(setting)
    op = conv_op(setting)
    is_transposed = setting.layer == "conv_transpose"
    c, k = setting.channels
    size = op.input_size if is_transposed else op.output_size
    summed = ops.conv_sum(
        op,
        images=setting.images,
        in_group=c // setting.groups,
        out_group=k // setting.groups,
        transposed=is_transposed,
    )
    bias = ops.bias_sum(size, setting.layout, images=setting.images, channels=k)
    shapes = {
        "x": _image(setting, c, setting.input),
        "w": _filter(setting),
        "y": _image(setting, k, size),
    }
    shapes |= {"b": ((k,), ("k",))} if setting.bias else {}
    view = ops.conv_view(op, transposed=is_transposed)
    maker = _maker(setting, view, shapes, letters, op.window, hidden)
    check_size([summed], 3, maker.tensors)
    backward = [("bias_grad", bias, "b")] if setting.bias else []
    backward += [("weight_grad", summed, "w"), ("input_grad", summed, "x")]
    return Layer(
        setting,
        maker.tensors,
        maker.make("forward", [summed, bias] if setting.bias else [summed]),
        tuple(maker.make(name, [part], wrt) for name, part, wrt in backward),
    )


def _maker(
    setting: Setting,
    view: Contraction,
    shapes: Mapping[str, Shaped],
    letters: Letters,
    window: ops.Window,
    hidden: frozenset[str],
) -> Maker:
    tensors = {letters[x]: Tensor(letters[x], *shape) for x, shape in shapes.items()}
    return Maker(setting, window, gradients(tensors), letters, view, hidden)


def conv_op(setting: Setting) -> ops.Conv:
    """Returns the op that the kernels are compiled from."""
    x = ops.TensorType(
        _image(setting, setting.channels[0], setting.input)[0], "float64"
    )
    w = ops.TensorType(_filter(setting)[0], "float64")
    options: ops.WindowOptions = {
        "stride": setting.stride,
        "padding": setting.padding,
        "dilation": setting.dilation,
        "groups": setting.groups,
        "flip": setting.flip,
        "padding_mode": setting.padding_mode,
    }
    if setting.layer == "conv":
        return ops.conv_op("conv", x, w, layout=setting.layout, **options)
    return ops.conv_transpose_op(
        "conv_transpose",
        x,
        w,
        output_padding=setting.output_padding,
        layout=setting.layout,
        **options,
    )


def _check_groups(setting: Setting) -> None:
    for letter, channels in zip("XO", setting.channels, strict=True):
        if channels % setting.groups:
            raise ArgumentError(
                f"explain: groups={setting.groups} does not divide the {channels} "
                f"channels of {letter}\n"
                "  Pass channels that are multiples of groups."
            )


def _image(setting: Setting, channels: int, size: tuple[int, ...]) -> Shaped:
    """Returns shape and axes of images."""
    letters = ("h", "w")[: len(size)]
    shape = ops.image_shape(setting.layout, setting.images, channels, size)
    if setting.layout == "channels_first":
        return shape, ("n", "c", *letters)
    return shape, ("n", *letters, "c")


def _filter(setting: Setting) -> Shaped:
    """Returns shape and axes of the filter; transposed, X's channels come first."""
    (c, k), letters = setting.channels, ("r", "s")[: setting.rank]
    pair, names = (k, c // setting.groups), ("k", "c")
    if setting.layer == "conv_transpose":
        pair, names = (c, k // setting.groups), ("c", "k")
    shape = ops.filter_shape(setting.layout, *pair, setting.kernel)
    if setting.layout == "channels_first":
        return shape, (*names, *letters)
    return shape, (*letters, *reversed(names))


# ----------------------------------------------------------------------- pooling


def _pool(setting: Setting, letters: Letters, hidden: frozenset[str]) -> Layer:
    op = pool_op(setting)
    channels = setting.channels[0]
    total = ops.WindowSum(op.window, op.layout, "y", op.input_size)
    summed = ops.pool_sum(total, images=setting.images, channels=channels)
    shapes = {
        "x": _image(setting, channels, setting.input),
        "y": _image(setting, channels, op.output_size),
    }
    maker = _maker(setting, total.contraction, shapes, letters, op.window, hidden)
    check_size([summed], 2, maker.tensors)
    first = ops.pool_sum(op, images=setting.images, channels=channels)
    forward = maker.make("forward", [first])
    backward = maker.make("input_grad", [summed], "x")
    if setting.layer == "max_pool":
        backward = _chosen(backward, forward)
    else:
        share = _Share(maker.tensors[letters["y"]], _counts(total, setting))
        forward, backward = share.of(forward), share.of(backward)
    return Layer(setting, maker.tensors, forward, (backward,))


def pool_op(setting: Setting) -> ops.MaxPool | ops.WindowSum:
    """Returns the op that the kernels are compiled from, before a mean's division."""
    shape, _ = _image(setting, setting.channels[0], setting.input)
    is_max = setting.layer == "max_pool"
    return ops.pool_op(
        setting.layer,
        "max" if is_max else "sum",
        ops.TensorType(shape, "float64"),
        setting.kernel,
        stride=setting.stride,
        padding=setting.padding,
        dilation=setting.dilation,
        ceil_mode=setting.ceil_mode,
        layout=setting.layout,
    )


def _chosen(backward: Pass, forward: Pass) -> Pass:
    """Lets each gradient go only to where its window's maximum stands."""
    windows = {
        window.cell.at: (window.cell, tuple(term.factors[0] for term in window.terms))
        for window in forward.equations
    }
    refuse_names(sum(len(among) ** 2 for _, among in windows.values()))
    (x,) = forward.operands

    def chosen(equation: Equation, term: Term) -> Term:
        of, among = windows[term.factors[0].at]
        return replace(term, choice=Choice(Cell(x, equation.cell.at), of, among))

    backward = replace(backward, operands=(*backward.operands, *forward.operands))
    (window,), (scattered,) = forward.contractions, backward.contractions
    taps = ", ".join(window.reduced)
    at = ", ".join(str(axis) for axis in window.out.axes)
    text = scattered.written(f" at {taps} = argmax[{at}]", over=False)
    return replace(_each(backward, chosen), formulas=(text,), gathered=())


def _counts(op: ops.WindowSum, setting: Setting) -> dict[Position, int]:
    """Returns what the sum of each window is divided by, by row and column."""
    counted = ops.counted_padding(
        op, setting.padding, count_include_pad=setting.count_include_pad
    )
    rows = ops.pool_counts(op.window, op.input_size, counted)
    return {
        place: max(1, math.prod(row[i] for row, i in zip(rows, place, strict=True)))
        for place in positions(op.output_size)
    }


@dataclass(frozen=True, slots=True)
class _Share:
    """Divides the terms of average pooling, each by the count of its window."""

    output: Tensor
    counts: Mapping[Position, int]

    def of(self, part: Pass) -> Pass:
        counts = set(self.counts.values())
        at = ", ".join(ops.positions(len(self.output.extents)))
        note = f" / {counts.pop()}" if len(counts) == 1 else f" / count[{at}]"
        texts = tuple(formula.written(note) for formula in part.contractions)
        return replace(_each(part, self._divided), formulas=texts, gathered=())

    def _divided(self, equation: Equation, term: Term) -> Term:
        is_output = equation.cell.tensor == self.output.name
        window = equation.cell if is_output else term.factors[0]
        return replace(term, over=self.counts[self.output.place(window.at)])


def _each(part: Pass, change: Callable[[Equation, Term], Term]) -> Pass:
    """Returns the pass with its terms changed."""
    lines = (
        replace(line, terms=tuple(change(line, term) for term in line.terms))
        for line in part.equations
    )
    return replace(part, equations=tuple(lines))


def _check_same_channels(setting: Setting) -> None:
    c, k = setting.channels
    if c != k:
        raise ArgumentError(
            f"explain: {setting.layer} gives as many channels as it takes, not {k} "
            f"for {c}\n  Pass channels={c}."
        )


# -------------------------------------------------------------------------- ReLU


def _relu(setting: Setting, letters: Letters, hidden: frozenset[str]) -> Layer:
    """`max(a, 0)`, and of its gradient what stands where `a` is positive."""
    shaped = _image(setting, setting.channels[0], setting.input)
    x, y = (Tensor(letters[name], *shaped) for name in "xy")
    tensors = gradients({x.name: x, y.name: y})
    check_size([], 0, tensors)
    forward, backward = [], []
    for cell in x.cells():
        out, slope = Cell(y.name, cell.at), Cell(f"d{y.name}", cell.at)
        forward.append(Equation(out, (Term((cell,)),), "max", floor=0))
        passed = Term((slope,), choice=Choice(cell, out, (cell,), floor=0))
        backward.append(Equation(Cell(f"d{x.name}", cell.at), (passed,)))
    at = x.indices(hidden)
    first = f"{y.name}{at} = max({x.name}{at}, 0)"
    second = f"d{x.name}{at} = d{y.name}{at} at {x.name}{at} > 0"
    return Layer(
        setting,
        tensors,
        Pass("forward", "relu", y.name, (x.name,), (first,), tuple(forward)),
        (
            Pass(
                "input_grad",
                "relu",
                f"d{x.name}",
                (f"d{y.name}", x.name),
                (second,),
                tuple(backward),
            ),
        ),
    )
