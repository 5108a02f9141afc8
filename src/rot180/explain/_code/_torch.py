"""The passes in PyTorch, which finds the gradients itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from rot180.explain._code._parts import Lines, Pairs, Part, options, same, tuple_of

Options: TypeAlias = Mapping[str, object]
HEAD: Final = ["import torch", "import torch.nn.functional as functional"]


def given(name: str, shape: tuple[int, ...], slot: str) -> str:
    """Returns the line that makes a given tensor."""
    return (
        f"{name} = torch.tensor({slot}, dtype=torch.float64).reshape{tuple_of(shape)}"
    )


def first(part: Part, name: str) -> str:
    """Returns the line that puts a given tensor's channels first."""
    if part.is_filter(name):
        return f"{name} = {name}.movedim((-1, -2), (0, 1)).contiguous()"
    return f"{name} = {name}.movedim(-1, 1)"


def last(part: Part, name: str) -> str:
    """Returns the line that puts a result's channels last again."""
    if part.is_filter(name):
        return f"{name} = {name}.movedim((0, 1), (-1, -2))"
    return f"{name} = {name}.movedim(1, -1)"


def forward(part: Part) -> Lines:
    """Returns the lines that compute the output."""
    return list(_FORWARD[part.kind](part))


def _conv(part: Part) -> Iterator[str]:
    window = part.window
    x, padding = part.x, _symmetric(window.padding)
    if padding is None:
        x = _padded(x, window.padding)
    yield (
        f"{part.y} = functional.conv{part.rank}d({x}, {_filter(part)}"
        f"{f', {part.b}' if part.b else ''}{_options(part, padding=padding)})"
    )


def _transposed(part: Part) -> Iterator[str]:
    """Without padding, which PyTorch takes the same on both sides only; then cut."""
    window = part.window
    y = part.first(part.y)[2:]
    x = part.first(part.x)[2:]
    cut = []
    for size, n, s, span, (low, _) in zip(
        y, x, window.stride, window.span, window.padding, strict=True
    ):
        cut.append((-low, size + low - ((n - 1) * s + span)))
    whole = (
        f"functional.conv_transpose{part.rank}d({part.x}, {_filter(part)}"
        f"{_options(part)})"
    )
    yield f"{part.y} = {_padded(whole, cut) if any(map(any, cut)) else whole}"
    if part.b:
        yield f"{part.y} = {part.y} + {part.b}.reshape(-1{', 1' * part.rank})"


def _filter(part: Part) -> str:
    if not part.setting.flip:
        return part.w
    return f"{part.w}.flip({', '.join(str(-i) for i in range(1, part.rank + 1))})"


def _options(part: Part, **more: object) -> str:
    window = part.window
    found: dict[str, object] = {
        "stride": same(window.stride),
        "dilation": same(window.dilation),
        "groups": window.groups,
    }
    found |= more
    plain = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0}
    return options(**{n: v for n, v in found.items() if plain.get(n) != v})


def _symmetric(pads: Pairs) -> object | None:
    """Returns the padding where both sides have the same, None where not."""
    if any(low != high or low < 0 for low, high in pads):
        return None
    return same([low for low, _ in pads])


def _padded(name: str, pads: Pairs, fill: str = "") -> str:
    """PyTorch names the last dimension's sides first; negative ones cut off, last."""
    sides = [side for pair in reversed(list(pads)) for side in pair]
    for part in ([max(s, 0) for s in sides], [min(s, 0) for s in sides]):
        if any(part):
            name = f"functional.pad({name}, {part}{fill})"
    return name


def _max_pool(part: Part) -> Iterator[str]:
    window = part.window
    x, more = part.x, _pooling_options(part)
    if more is None:
        x = _padded(part.x, window.padding, ', value=-float("inf")')
        more = {}
    dilation = {"dilation": same(window.dilation)}
    text = options(**_unless(more | dilation, {**_PLAIN, "dilation": 1}))
    yield f"{part.y} = functional.max_pool{part.rank}d({x}, {_sizes(part)}{text})"


def _avg_pool(part: Part) -> Iterator[str]:
    more, pool = _pooling_options(part), f"functional.avg_pool{part.rank}d"
    if more is not None:
        more["count_include_pad"] = part.setting.count_include_pad
        text = options(**_unless(more, _PLAIN))
        yield f"{part.y} = {pool}({part.x}, {_sizes(part)}{text})"
        return
    x, window = _padded(part.x, part.window.padding), part.window
    if (divisor := part.divisor()) is not None and part.rank == 2:
        yield f"{part.y} = {pool}({x}, {_sizes(part)}, divisor_override={divisor})"
        return
    pads = part.counted(include_pad=part.setting.count_include_pad)
    ones = f"torch.ones({(1, 1, *part.setting.input)}, dtype=torch.float64)"
    counted = _padded(ones, pads, ", value=1")
    rest = [
        (low - a, high - b)
        for (low, high), (a, b) in zip(window.padding, pads, strict=True)
    ]
    yield f"counted = {_padded(counted, rest)}"
    taps = math.prod(window.kernel_size)
    yield f"count = ({pool}(counted, {_sizes(part)}) * {taps}).round().clamp(min=1)"
    yield f"{part.y} = {pool}({x}, {_sizes(part)}) * {taps} / count"


_PLAIN: Final = {"padding": 0, "ceil_mode": False, "count_include_pad": True}


def _pooling_options(part: Part) -> dict[str, object] | None:
    """PyTorch's own options; None where it pads less: on both sides, half the taps."""
    pads = part.counted(include_pad=True)
    for (low, high), taps in zip(pads, part.window.kernel_size, strict=True):
        if low != high or not 0 <= 2 * low <= taps:
            return None
    return {
        "padding": same([low for low, _ in pads]),
        "ceil_mode": part.setting.ceil_mode,
    }


def _sizes(part: Part) -> str:
    window = part.window
    return f"{same(window.kernel_size)}, stride={same(window.stride)}"


def _unless(found: Options, plain: Options) -> dict[str, object]:
    return {name: value for name, value in found.items() if value != plain[name]}


def _relu(part: Part) -> Iterator[str]:
    yield f"{part.y} = functional.relu({part.x})"


_FORWARD: Final = {
    "conv": _conv,
    "conv_transpose": _transposed,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "relu": _relu,
}
