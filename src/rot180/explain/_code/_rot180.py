"""The passes in rot180."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rot180.explain._code._parts import Lines, Part, same, tuple_of

HEAD: Final = ["import numpy as np", "import rot180"]


def given(name: str, shape: tuple[int, ...], slot: str) -> str:
    """Returns the line that makes a given array."""
    return f"{name} = np.array({slot}, dtype=float).reshape{tuple_of(shape)}"


def forward(part: Part) -> Lines:
    """Returns the line that computes the output."""
    return [f"{part.y} = {_call(part)}"]


def backward(part: Part) -> Lines:
    """Returns the lines that compute the gradients."""
    return list(_backward(part))


def _call(part: Part) -> str:
    if part.kind == "relu":
        return f"rot180.relu({part.x})"
    if part.is_pool:
        size = same(part.window.kernel_size)
        return f"rot180.{part.kind}({part.x}, {size}{_options(part)})"
    operands = ", ".join([part.x, part.w, *([part.b] if part.b else [])])
    return f"rot180.{part.kind}({operands}{_options(part)})"


def _backward(part: Part) -> Iterator[str]:
    x, y, more = part.x, part.y, _options(part)
    if part.kind == "relu":
        yield f"d{x} = rot180.relu_backward(d{y}, {x})"
    elif part.is_pool:
        of = x if part.kind == "max_pool" else f"{x}.shape"
        size = same(part.window.kernel_size)
        yield f"d{x} = rot180.{part.kind}_backward(d{y}, {of}, {size}{more})"
    elif part.kind == "conv":
        outs = ", ".join(f"d{name}" if name else "_" for name in (x, part.w, part.b))
        yield f"{outs} = rot180.conv_backward(d{y}, {x}, {part.w}{more})"
    else:
        yield from _transposed_backward(part)


def _transposed_backward(part: Part) -> Iterator[str]:
    """Backward it is a convolution, of which `X` is the output."""
    names = tuple(name for name in _NAMES if name != "output_padding")
    more = _options(part, names, as_convolution=True)
    yield f"d{part.x} = rot180.conv(d{part.y}, {part.w}{more})"
    operands = f"{part.x}, d{part.y}, {part.w}.shape{more}"
    yield f"d{part.w} = rot180.conv_weight_grad({operands})"
    if part.b:
        axes = tuple(
            axis
            for axis, letter in enumerate(part.layer.tensors[part.y].axes)
            if letter != "c"
        )
        yield f"d{part.b} = d{part.y}.sum(axis={axes})"


def _options(
    part: Part, names: tuple[str, ...] = (), *, as_convolution: bool = False
) -> str:
    """Returns the options that are not plain, as keyword arguments."""
    setting, found = part.setting, []
    plain = {"stride": 1, "dilation": 1, "output_padding": 0, "groups": 1}
    known = [p.name for p in setting.parameters()]
    for name in names or _NAMES:
        if name not in known:
            continue
        value = getattr(setting, name)
        if name == "padding":
            value = part.window.padding if as_convolution else value
            value = value if isinstance(value, str) else _sides(value)
        elif isinstance(value, tuple):
            value = same(value)
        is_step = name == "stride" and part.is_pool
        if is_step or value != plain.get(name, _PLAIN.get(name, 0)):
            found.append(f", {name}={value!r}")
    return "".join(found)


_NAMES: Final = (
    "stride", "padding", "output_padding", "dilation", "groups", "ceil_mode",
    "count_include_pad", "flip", "padding_mode", "layout",
)  # fmt: skip
_PLAIN: Final = {
    "flip": False,
    "ceil_mode": False,
    "count_include_pad": True,
    "padding_mode": "zeros",
    "layout": "channels_first",
}


def _sides(pads: tuple[tuple[int, int], ...]) -> object:
    if all(low == high for low, high in pads):
        return same([low for low, _ in pads])
    return pads
