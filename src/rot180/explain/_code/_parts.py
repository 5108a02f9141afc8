"""What the programs of all frameworks are made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from rot180 import ops
from rot180.explain._layers import Layer
from rot180.explain._setting import CONV, POOL, Setting

Lines: TypeAlias = list[str]
Pairs: TypeAlias = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Part:
    """A layer with the names of its variables and its numbers, for a program."""

    layer: Layer

    @property
    def setting(self) -> Setting:
        """Its parameters."""
        return self.layer.setting

    @property
    def kind(self) -> str:
        """Such as `conv`."""
        return self.setting.layer

    @property
    def rank(self) -> int:
        """Spatial dimensions."""
        return self.setting.rank

    @property
    def window(self) -> ops.Window:
        """Its window, every number resolved."""
        window = self.layer.forward.window
        assert window is not None, self.kind
        return window

    @property
    def x(self) -> str:
        """The name of its input."""
        return self.layer.forward.operands[0]

    @property
    def w(self) -> str:
        """The name of its filter."""
        return self.layer.forward.operands[1]

    @property
    def b(self) -> str | None:
        """The name of its bias, None if it has none."""
        has_bias = self.is_conv and self.setting.bias
        return self.layer.forward.operands[2] if has_bias else None

    @property
    def y(self) -> str:
        """The name of its output."""
        return self.layer.forward.out

    @property
    def is_conv(self) -> bool:
        """Whether it has a filter."""
        return self.kind in CONV

    @property
    def is_pool(self) -> bool:
        """Whether it pools."""
        return self.kind in POOL

    @property
    def is_last(self) -> bool:
        """Whether the channels stand last."""
        return self.setting.layout == "channels_last"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its filter and bias."""
        return self.layer.forward.operands[1:] if self.is_conv else ()

    def is_filter(self, name: str) -> bool:
        """Whether a tensor is the filter or its gradient."""
        return self.is_conv and name.removeprefix("d") == self.w

    def first(self, name: str) -> tuple[int, ...]:
        """Returns a tensor's shape with the channels first."""
        tensor = self.layer.tensors[name]
        if not self.is_last:
            return tensor.shape
        if "r" in tensor.axes:
            *kernel, c, k = tensor.shape
            return (k, c, *kernel)
        if len(tensor.shape) < 3:
            return tensor.shape
        n, *size, c = tensor.shape
        return (n, c, *size)

    def counted(self, *, include_pad: bool) -> Pairs:
        """Returns the padding of a pooling without what a last window overhangs.

        Args:
            include_pad: Whether it counts; else there is none.
        """
        setting = self.setting
        op = ops.WindowSum(self.window, setting.layout, "y", setting.input)
        return ops.counted_padding(op, setting.padding, count_include_pad=include_pad)

    def divisor(self) -> int | None:
        """Returns what every mean is divided by; None where that varies."""
        overs = {t.over for line in self.layer.forward.equations for t in line.terms}
        return overs.pop() if len(overs) == 1 else None


def tuple_of(values: Sequence[int]) -> str:
    """Returns ints as Python writes them: `(2, 1)`, `(2,)`."""
    return str(tuple(values))


def same(values: Sequence[object]) -> object:
    """Returns the one value, or all where they differ."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def options(**given: object) -> str:
    """Returns keyword arguments: `, stride=2`; those that are None are left out."""
    return "".join(f", {name}={v!r}" for name, v in given.items() if v is not None)


def loss(output: str) -> Lines:
    """Returns the line of the loss, where a framework differentiates it."""
    return [f"E = (({output} - T) ** 2).sum() / 2"]


def letters(part: Part) -> str:
    """Returns the letters of a tap, as a loop unpacks them."""
    taps = ops.taps(part.rank)
    return f"{taps[0]}," if len(taps) == 1 else ", ".join(taps)


def slices(part: Part) -> str:
    """Returns what a tap meets: `..., 2*r : 2*r + 7 : 2`, one slice a dimension."""
    window = part.window
    size = part.layer.tensors[
        part.x if part.kind == "conv_transpose" else part.y
    ].extents
    found = ["..."]
    for r, d, s, p in zip(
        ops.taps(part.rank), window.dilation, window.stride, size, strict=True
    ):
        start = r if d == 1 else f"{d}*{r}"
        step = f" : {s}" if s > 1 else ""
        found.append(f"{start} : {start} + {(p - 1) * s + 1}{step}")
    return ", ".join(found)
