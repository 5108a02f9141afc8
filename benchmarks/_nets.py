"""Four networks, each described once and built of the layers of either framework.

A description names layers as both frameworks do, so that the two networks have the same
structure and the same names in their state dictionaries.  Importing this module does
not import PyTorch: `_torch_nets` builds that side.

MobileNetV2 stands without the dropout before its last layer, so that a step is a
function of its weights and images.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rot180 import functional, nn


@dataclass(frozen=True, slots=True)
class Part:
    """A layer, by the name it has in `torch.nn`, and what it is made with."""

    kind: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Net:
    """A network and the problem it is timed on.

    Attributes:
        title: For people.
        make: From a divisor of all widths and the number of classes.
        image: `(c, h, w)`.
        batch: Images in a step.
        classes: Of the labels.
    """

    title: str
    make: Callable[[int, int], Part]
    image: tuple[int, int, int]
    batch: int
    classes: int

    @property
    def part(self) -> Part:
        return self.make(1, self.classes)

    @property
    def tiny(self) -> "Net":
        """The same steps with next to nothing to compute in each."""
        c, h, _ = self.image
        size = min(h, 32)

        def make(_: int, classes: int) -> Part:
            return self.make(16, classes)

        return Net(self.title, make, (c, size, size), 2, 2)


def build(part: Part, layers: Mapping[str, Callable[..., Any]]) -> Any:
    """Return the module that `part` describes, made of `layers`."""
    inner = [build(a, layers) if isinstance(a, Part) else a for a in part.arguments]
    return layers[part.kind](*inner, **part.options)


def _chain(*parts: Part) -> Part:
    return Part("Sequential", parts)


def _conv(
    channels: int, out: int, size: int, *, stride: int = 1, groups: int = 1
) -> tuple[Part, Part]:
    """Return a convolution that keeps the extents but for its stride, and its norm."""
    arguments = (channels, out, size, stride, size // 2)
    options = {"groups": groups, "bias": False}
    return Part("Conv2d", arguments, options), Part("BatchNorm2d", (out,))


def _head(channels: int, classes: int) -> tuple[Part, ...]:
    pooled = Part("AdaptiveAvgPool2d", (1,)), Part("Flatten")
    return *pooled, Part("Linear", (channels, classes))


def lenet(divisor: int, classes: int) -> Part:
    """LeNet-5 with ReLU and maximum pooling, as `rot180.nn.models.LeNet`."""
    first, second, third, fourth = (max(1, n // divisor) for n in (6, 16, 120, 84))
    relu, pool = Part("ReLU"), Part("MaxPool2d", (2,))
    return _chain(
        Part("Conv2d", (1, first, 5), {"padding": 2}),
        relu,
        pool,
        Part("Conv2d", (first, second, 5)),
        relu,
        pool,
        Part("Flatten"),
        Part("Linear", (second * 5 * 5, third)),
        relu,
        Part("Linear", (third, fourth)),
        relu,
        Part("Linear", (fourth, classes)),
    )


def _basic_block(channels: int, out: int, stride: int) -> tuple[Part, Part]:
    relu = Part("ReLU")
    body = _chain(*_conv(channels, out, 3, stride=stride), relu, *_conv(out, out, 3))
    if stride == 1 and channels == out:
        return Part("Residual", (body, None)), relu
    shortcut = _chain(*_conv(channels, out, 1, stride=stride))
    return Part("Residual", (body, shortcut)), relu


def _resnet(
    stem: tuple[Part, ...], widths: tuple[int, ...], blocks: int, classes: int
) -> Part:
    """He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2015."""
    parts, channels = list(stem), widths[0]
    for place, out in enumerate(widths):
        for block in range(blocks):
            parts += _basic_block(channels, out, 2 if place and not block else 1)
            channels = out
    return _chain(*parts, *_head(channels, classes))


def resnet20(divisor: int, classes: int) -> Part:
    widths = tuple(n // divisor for n in (16, 32, 64))
    stem = *_conv(3, widths[0], 3), Part("ReLU")
    return _resnet(stem, widths, 3, classes)


def resnet18(divisor: int, classes: int) -> Part:
    widths = tuple(n // divisor for n in (64, 128, 256, 512))
    pool = Part("MaxPool2d", (3, 2, 1))
    stem = *_conv(3, widths[0], 7, stride=2), Part("ReLU"), pool
    return _resnet(stem, widths, 2, classes)


# Expansion, channels, blocks, stride of the first: table 2 of the paper.
INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _inverted(channels: int, out: int, stride: int, expansion: int) -> Part:
    inner, relu = channels * expansion, Part("ReLU6")
    wide = (*_conv(channels, inner, 1), relu) if expansion != 1 else ()
    deep = *_conv(inner, inner, 3, stride=stride, groups=inner), relu
    body = _chain(*wide, *deep, *_conv(inner, out, 1))
    return body if stride != 1 or channels != out else Part("Residual", (body, None))


def mobilenet_v2(divisor: int, classes: int) -> Part:
    """Sandler and others, "Inverted residuals and linear bottlenecks", 2018."""
    relu, channels, last = Part("ReLU6"), 32 // divisor, 1280 // divisor
    parts = [*_conv(3, channels, 3, stride=2), relu]
    for expansion, width, blocks, stride in INVERTED:
        out = max(1, width // divisor)
        for block in range(blocks):
            step = 1 if block else stride
            parts.append(_inverted(channels, out, step, expansion))
            channels = out
    return _chain(*parts, *_conv(channels, last, 1), relu, *_head(last, classes))


NETS = {
    "lenet": Net("LeNet", lenet, (1, 28, 28), 64, 10),
    "resnet20": Net("ResNet-20", resnet20, (3, 32, 32), 64, 10),
    "mobilenet_v2": Net("MobileNetV2", mobilenet_v2, (3, 224, 224), 4, 1000),
    "resnet18": Net("ResNet-18", resnet18, (3, 224, 224), 4, 1000),
}


class ReLU6(nn.Module):
    """`min(max(x, 0), 6)`, of what the library has: it has no minimum and no clamp.

    This form is exact below 6, and its gradient at 0 is PyTorch's.
    """

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        return functional.relu(x) - functional.relu(x - 6.0)


class AdaptiveAvgPool2d(nn.Module):
    """The mean of each channel, `(n, c)`: `Flatten` then has nothing left to do."""

    def __init__(self, size: int) -> None:
        self.size = size

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        return functional.mean(x, (2, 3))


class Residual(nn.Module):
    """`body(x) + shortcut(x)`, or `+ x` without a shortcut."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        self.body = body
        self.shortcut = shortcut

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        beside = x if self.shortcut is None else scope(self.shortcut, x)
        return scope(self.body, x) + beside


LIBRARY = ("BatchNorm2d", "Conv2d", "Flatten", "Linear", "MaxPool2d", "ReLU")
OURS: dict[str, Callable[..., Any]] = {
    **{name: getattr(nn, name) for name in (*LIBRARY, "Sequential")},
    **{made.__name__: made for made in (AdaptiveAvgPool2d, ReLU6, Residual)},
}
