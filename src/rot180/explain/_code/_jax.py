"""The passes in JAX, which finds the gradients itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rot180.explain._code._parts import (
    Lines,
    Pairs,
    Part,
    letters,
    slices,
    tuple_of,
)

HEAD: Final = [
    "import jax",
    "import jax.numpy as jnp",
    "from jax import lax",
    "",
    'jax.config.update("jax_enable_x64", True)',
]


def given(name: str, shape: tuple[int, ...], slot: str) -> str:
    """Returns the line that makes a given array."""
    return f"{name} = jnp.array({slot}, dtype=float).reshape{tuple_of(shape)}"


def first(part: Part, name: str) -> str:
    """Returns the line that puts a given array's channels first."""
    if part.is_filter(name):
        return f"{name} = jnp.moveaxis({name}, (-1, -2), (0, 1))"
    return f"{name} = jnp.moveaxis({name}, -1, 1)"


def last(part: Part, name: str) -> str:
    """Returns the line that puts a result's channels last again."""
    if part.is_filter(name):
        return f"{name} = jnp.moveaxis({name}, (0, 1), (-1, -2))"
    return f"{name} = jnp.moveaxis({name}, 1, -1)"


def forward(part: Part) -> Lines:
    """Returns the lines that compute the output."""
    return list(_FORWARD[part.kind](part))


def _conv(part: Part) -> Iterator[str]:
    yield f"{part.y} = {_correlated(part, part.x, part.w)}"
    yield from _bias(part)


def _transposed(part: Part) -> Iterator[str]:
    """The transposed convolution is the input gradient of a convolution."""
    shape = part.first(part.y)
    yield f"convolve = lambda image: {_correlated(part, 'image', part.w)}"
    yield f"_, scatter = jax.vjp(convolve, jnp.zeros({tuple_of(shape)}))"
    yield f"({part.y},) = scatter({part.x})"
    yield from _bias(part)


def _correlated(part: Part, x: str, w: str) -> str:
    window = part.window
    if part.setting.flip:
        axes = tuple(range(2, part.rank + 2))
        w = f"jnp.flip({w}, {axes})"
    more = ""
    if set(window.dilation) != {1}:
        more += f", rhs_dilation={tuple_of(window.dilation)}"
    if window.groups > 1:
        more += f", feature_group_count={window.groups}"
    strides, pads = tuple_of(window.stride), str(window.padding)
    if any(side < 0 for pair in window.padding for side in pair):
        x, pads = _padded(x, window.padding), '"VALID"'
    return f"lax.conv_general_dilated({x}, {w}, {strides}, {pads}{more})"


def _padded(name: str, pads: Pairs, fill: str = "0.0") -> str:
    if not any(side for pair in pads for side in pair):
        return name
    sides = [(0, 0, 0), (0, 0, 0), *((low, high, 0) for low, high in pads)]
    return f"lax.pad({name}, {fill}, {sides})"


def _bias(part: Part) -> Lines:
    ones = ", 1" * part.rank
    return [f"{part.y} = {part.y} + {part.b}.reshape(-1{ones})"] if part.b else []


def _max_pool(part: Part) -> Iterator[str]:
    x = _padded(part.x, part.window.padding, "-jnp.inf")
    if set(part.window.dilation) != {1}:  # of which JAX has no gradient
        taps = tuple_of(part.window.kernel_size)
        yield f"padded = {x}"
        yield f"windows = jnp.stack([padded[{slices(part)}] for {letters(part)} in"
        yield f"                     np.ndindex{taps}])"
        yield "index = windows.argmax(axis=0)[None]  # of equal ones the first"
        yield f"{part.y} = jnp.take_along_axis(windows, index, axis=0)[0]"
        return
    yield f"{part.y} = {_reduced(part, x, '-jnp.inf, lax.max')}"


def _avg_pool(part: Part) -> Iterator[str]:
    x = _padded(part.x, part.window.padding)
    divisor: object = part.divisor()
    if divisor is None:
        size = (1, 1, *part.setting.input)
        pads = part.counted(include_pad=part.setting.count_include_pad)
        ones = _padded(f"jnp.ones({size})", pads, "1.0")
        rest = [
            (low - a, high - b)
            for (low, high), (a, b) in zip(part.window.padding, pads, strict=True)
        ]
        yield f"counted = {_padded(ones, rest)}"
        yield f"count = jnp.maximum({_reduced(part, 'counted', '0.0, lax.add')}, 1)"
        divisor = "count"
    yield f"{part.y} = {_reduced(part, x, '0.0, lax.add')} / {divisor}"


def _reduced(part: Part, x: str, how: str) -> str:
    window = part.window
    sizes = tuple_of((1, 1, *window.kernel_size))
    strides = tuple_of((1, 1, *window.stride))
    more = ""
    if set(window.dilation) != {1}:
        more = f", window_dilation={tuple_of((1, 1, *window.dilation))}"
    return f'lax.reduce_window({x}, {how}, {sizes}, {strides}, "VALID"{more})'


def _relu(part: Part) -> Iterator[str]:
    yield f"{part.y} = jax.nn.relu({part.x})"


_FORWARD: Final = {
    "conv": _conv,
    "conv_transpose": _transposed,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "relu": _relu,
}
