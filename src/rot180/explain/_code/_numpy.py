"""The passes in NumPy: loops over the taps, with one product inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from rot180 import ops
from rot180.explain._code._parts import (
    Lines,
    Pairs,
    Part,
    letters,
    slices,
    tuple_of,
)

HEAD: Final = ["import numpy as np"]


def given(name: str, shape: tuple[int, ...], slot: str) -> str:
    """Returns the line that makes a given array."""
    return f"{name} = np.array({slot}, dtype=float).reshape{tuple_of(shape)}"


def first(part: Part, name: str) -> str:
    """Returns the line that puts a given array's channels first."""
    return f"{name} = {_moved(part, name, to_first=True)}"


def last(part: Part, name: str) -> str:
    """Returns the line that puts a result's channels last again."""
    return f"{name} = {_moved(part, name, to_first=False)}"


def _moved(part: Part, name: str, *, to_first: bool) -> str:
    ends = ("(0, 1)", "(-1, -2)") if part.is_filter(name) else ("1", "-1")
    here, there = reversed(ends) if to_first else ends
    return f"np.moveaxis({name}, {here}, {there})"


def forward(part: Part) -> Lines:
    """Returns the lines that compute the output."""
    return list(_FORWARD[part.kind](part))


def backward(part: Part, *, again: bool) -> Lines:
    """Returns the lines that compute the gradients, from variables of `forward`.

    Args:
        part: The layer.
        again: Whether other layers have used the same variables since.
    """
    prepare = _PREPARED.get(part.kind) if again else None
    prepared = prepare(part) if prepare is not None else []
    return [*prepared, *_BACKWARD[part.kind](part)]


def loss(output: str) -> Lines:
    """Returns the lines of the loss and of its gradient."""
    return [f"D = {output} - T", "E = (D * D).sum() / 2", f"d{output} = D"]


# ------------------------------------------------------------------- convolution


def _conv(part: Part) -> Iterator[str]:
    window, y = part.window, part.y
    shape = _grown(part.first(part.x), window.padding)
    yield from _padded_input(part)
    yield f"{y} = np.zeros({_split(part, part.first(y))})"
    yield from _loop(part)
    product = f"{_met(part, 'padded', shape)}, {_tap(part)}"
    yield f"    {y} += np.einsum({_sum(part, 'x', 'w', 'y')}, {product})"
    yield from _joined(part, y)
    yield from _bias(part)


def _conv_backward(part: Part) -> Iterator[str]:
    window, x, w = part.window, part.x, part.w
    shape = _grown(part.first(x), window.padding)
    yield f"dpadded = np.zeros({_split(part, shape)})"
    yield f"d{w} = np.zeros({_split_filter(part)})"
    yield from _loop(part)
    slopes = _view(part, f"d{part.y}", part.first(part.y))
    met = _met(part, "padded", shape)
    pair = f"{met}, {slopes}"
    yield f"    d{w}[{_place(part)}] = np.einsum({_sum(part, 'x', 'y', 'w')}, {pair})"
    pair = f"{slopes}, {_tap(part)}"
    yield f"    dpadded[met] += np.einsum({_sum(part, 'y', 'w', 'x')}, {pair})"
    if part.setting.groups > 1:
        yield f"dpadded = dpadded.reshape{shape}"
    yield from _joined(part, f"d{w}", part.first(w))
    yield f"d{x} = {_pad('dpadded', shape, _inverse(window.padding))}"
    yield from _bias_gradient(part)


def _transposed(part: Part) -> Iterator[str]:
    window, x, y = part.window, part.x, part.y
    shape = _grown(part.first(y), window.padding)
    yield f"whole = np.zeros({_split(part, shape)})"
    yield from _loop(part)
    pair = f"{_view(part, x, part.first(x))}, {_tap(part)}"
    yield f"    whole[met] += np.einsum({_sum(part, 'x', 'w', 'y')}, {pair})"
    if part.setting.groups > 1:
        yield f"whole = whole.reshape{shape}"
    yield f"{y} = {_pad('whole', shape, _inverse(window.padding))}"
    yield from _bias(part)


def _transposed_backward(part: Part) -> Iterator[str]:
    window, x, w, y = part.window, part.x, part.w, part.y
    shape = _grown(part.first(y), window.padding)
    yield f"dwhole = {_pad(f'd{y}', part.first(y), window.padding)}"
    yield f"d{x} = np.zeros({_split(part, part.first(x))})"
    yield f"d{w} = np.zeros({_split_filter(part)})"
    yield from _loop(part)
    met = _met(part, "dwhole", shape)
    pair = f"{_view(part, x, part.first(x))}, {met}"
    yield f"    d{w}[{_place(part)}] = np.einsum({_sum(part, 'x', 'y', 'w')}, {pair})"
    yield f"    d{x} += np.einsum({_sum(part, 'y', 'w', 'x')}, {met}, {_tap(part)})"
    yield from _joined(part, f"d{x}", part.first(x))
    yield from _joined(part, f"d{w}", part.first(w))
    yield from _bias_gradient(part)


def _sum(part: Part, *operands: str) -> str:
    """Returns the subscripts of a product: `"nchw,kc->nkhw"`."""
    g = "g" if part.setting.groups > 1 else ""
    at = "hw"[: part.rank]
    pair = "kc" if part.kind == "conv" else "ck"
    names = {"x": f"n{g}c{at}", "w": f"{g}{pair}", "y": f"n{g}k{at}"}
    one, other, out = (names[operand] for operand in operands)
    return f'"{one},{other}->{out}"'


def _view(part: Part, name: str, shape: tuple[int, ...]) -> str:
    """Returns images with their channels split into groups, where there are any."""
    if part.setting.groups == 1:
        return name
    return f"{name}.reshape{_split(part, shape)}"


def _met(part: Part, name: str, shape: tuple[int, ...]) -> str:
    return f"{_view(part, name, shape)}[met]"


def _split(part: Part, shape: tuple[int, ...]) -> str:
    groups = part.setting.groups
    if groups == 1:
        return tuple_of(shape)
    n, channels, *size = shape
    return tuple_of((n, groups, channels // groups, *size))


def _split_filter(part: Part) -> str:
    groups, (lead, *rest) = part.setting.groups, part.first(part.w)
    return tuple_of((groups, lead // groups, *rest) if groups > 1 else (lead, *rest))


def _tap(part: Part) -> str:
    """Returns the filter at a tap; read backwards if the convolution is a true one."""
    w = part.w
    if part.setting.groups > 1:
        w = f"{w}.reshape{_split_filter(part)}"
    return f"{w}[{_place(part)}]"


def _place(part: Part) -> str:
    taps = ops.taps(part.rank)
    if part.setting.flip:
        sizes = zip(taps, part.window.kernel_size, strict=True)
        taps = tuple(f"{k - 1} - {r}" for r, k in sizes)
    return ", ".join(["...", *taps])


def _joined(part: Part, name: str, shape: tuple[int, ...] | None = None) -> Lines:
    if part.setting.groups == 1:
        return []
    return [f"{name} = {name}.reshape{tuple_of(shape or part.first(name))}"]


def _bias(part: Part) -> Lines:
    ones = ", 1" * part.rank
    return [f"{part.y} += {part.b}.reshape(-1{ones})"] if part.b else []


def _bias_gradient(part: Part) -> Lines:
    axes = (0, *range(2, part.rank + 2))
    return [f"d{part.b} = d{part.y}.sum(axis={axes})"] if part.b else []


# ----------------------------------------------------------------------- pooling


def _pool(part: Part) -> Iterator[str]:
    yield from _windows(part)
    if part.kind == "max_pool":
        yield f"{part.y} = windows.max(axis=0)"
    else:
        yield from _count(part)
        yield f"{part.y} = windows.sum(axis=0) / count"


def _windows(part: Part) -> Iterator[str]:
    fill = ", constant_values=-np.inf" if part.kind == "max_pool" else ""
    yield from _padded_input(part, fill)
    taps = tuple_of(part.window.kernel_size)
    yield f"windows = np.stack([padded[{slices(part)}] for {letters(part)} in"
    yield f"                    np.ndindex{taps}])"


def _pool_backward(part: Part) -> Iterator[str]:
    shape = _grown(part.first(part.x), part.window.padding)
    share = f"d{part.y} / count"
    if part.kind == "max_pool":
        yield "index = windows.argmax(axis=0)  # of equal ones the first"
        share = f"d{part.y} * (index == number)"
    yield f"dpadded = np.zeros({tuple_of(shape)})"
    taps = tuple_of(part.window.kernel_size)
    yield f"for number, {_group(part)} in enumerate(np.ndindex{taps}):"
    yield f"    dpadded[{slices(part)}] += {share}"
    yield f"d{part.x} = {_pad('dpadded', shape, _inverse(part.window.padding))}"


def _count(part: Part) -> Iterator[str]:
    """Lines that compute by what each window is divided."""
    if (divisor := part.divisor()) is not None:
        yield f"count = {divisor}"
        return
    size = part.setting.input
    pads = part.counted(include_pad=part.setting.count_include_pad)
    ones = f"np.ones({tuple_of(size)})"
    yield f"counted = {_pad(ones, size, pads, ', constant_values=1')}"
    rest = tuple(
        (low - a, high - b)
        for (low, high), (a, b) in zip(part.window.padding, pads, strict=True)
    )
    if any(side for pair in rest for side in pair):
        yield f"counted = {_pad('counted', _grown(size, pads), rest)}"
    taps = tuple_of(part.window.kernel_size)
    yield f"count = np.maximum(1, sum(counted[{slices(part)}] for {letters(part)} in"
    yield f"                          np.ndindex{taps}))"


# -------------------------------------------------------------------------- ReLU


def _relu(part: Part) -> Iterator[str]:
    yield f"{part.y} = np.maximum({part.x}, 0)"


def _relu_backward(part: Part) -> Iterator[str]:
    yield f"d{part.x} = np.where({part.x} > 0, d{part.y}, 0)"


# ------------------------------------------------------------ windows and padding


def _padded_input(part: Part, fill: str = "") -> Iterator[str]:
    yield f"padded = {_pad(part.x, part.first(part.x), part.window.padding, fill)}"


def _loop(part: Part) -> Iterator[str]:
    taps = tuple_of(part.window.kernel_size)
    yield f"for {letters(part)} in np.ndindex{taps}:"
    yield f"    met = np.s_[{slices(part)}]  # what this tap meets"


def _group(part: Part) -> str:
    return f"({letters(part)})"


def _grown(shape: tuple[int, ...], pads: Pairs) -> tuple[int, ...]:
    """Returns a shape whose last axes are padded."""
    lead = len(shape) - len(pads)
    grown = (e + low + high for e, (low, high) in zip(shape[lead:], pads, strict=True))
    return (*shape[:lead], *grown)


def _inverse(pads: Pairs) -> Pairs:
    return tuple((-low, -high) for low, high in pads)


def _pad(name: str, shape: tuple[int, ...], pads: Pairs, fill: str = "") -> str:
    """Returns an array padded on its last axes; negative sides are cut off."""
    text, lead = name, len(shape) - len(pads)
    if any(side > 0 for pair in pads for side in pair):
        sides = tuple((max(low, 0), max(high, 0)) for low, high in pads)
        text = f"np.pad({text}, {((0, 0),) * lead + sides}{fill})"
    if any(side < 0 for pair in pads for side in pair):
        cuts = []
        for extent, (low, high) in zip(shape[lead:], pads, strict=True):
            whole = extent + max(low, 0) + max(high, 0)
            cuts.append(f"{max(-low, 0)}:{whole - max(-high, 0)}")
        text = f"{text}[..., {', '.join(cuts)}]"
    return text


_FORWARD: Final = {
    "conv": _conv,
    "conv_transpose": _transposed,
    "max_pool": _pool,
    "avg_pool": _pool,
    "relu": _relu,
}
# What the gradients read, by layer.
_PREPARED: Final[dict[str, Callable[[Part], Iterator[str]]]] = {
    "conv": _padded_input,
    "max_pool": _windows,
    "avg_pool": _count,
}
_BACKWARD: Final = {
    "conv": _conv_backward,
    "conv_transpose": _transposed_backward,
    "max_pool": _pool_backward,
    "avg_pool": _pool_backward,
    "relu": _relu_backward,
}
