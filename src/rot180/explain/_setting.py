"""One thing to explain: a layer or a small network, with all its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain import _read as read
from rot180.explain._read import Form, refuse

CONV: Final = ("conv", "conv_transpose")
POOL: Final = ("max_pool", "avg_pool")
LAYERS: Final = (*CONV, *POOL, "relu", "network")
Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a setting: how it is written, what it may be, whose it is.

    Attributes:
        name: As in `Setting`.
        form: How it is written.
        layers: The layers that have it.
        least: The smallest number.
        most: The greatest.
        choices: The words to choose from.
        help: What it does, in a few words.
        sample: An example, where that of the form would mislead.
    """

    name: str
    form: Form
    layers: tuple[str, ...]
    help: str
    least: int = 0
    most: int = 32
    choices: tuple[str, ...] = ()
    sample: str = ""

    @property
    def example(self) -> str:
        """A text that may be written."""
        return self.sample or self.form.example

    def take(self, given: Any) -> Any:
        """Returns what a text stands for, or what Python passed as a setting holds it.

        Raises:
            ArgumentError: It is not of the form, or out of range.
        """
        try:
            value = (
                self.form.read(given)
                if isinstance(given, str)
                else self.form.take(given)
            )
        except (TypeError, ValueError):
            remedy = f"Write it like {self.example}."
            if self.form.name == "padding":
                remedy = f"{remedy[:-1]}, or one of {', '.join(ops.PADDINGS)}."
            if self.choices:
                remedy = f"Use one of {', '.join(self.choices)}."
            refuse(self.name, str(given), "which cannot be read", remedy)
        self._check(value, str(given))
        return value

    def _check(self, value: Any, text: str) -> None:
        if self.choices and value not in self.choices:
            remedy = f"Use one of {', '.join(self.choices)}."
            refuse(self.name, text, "which is not known", remedy)
        if any(not self.least <= number <= self.most for number in _numbers(value)):
            remedy = f"Use numbers from {self.least} to {self.most}."
            refuse(self.name, text, "out of range", remedy)


def _numbers(value: Any) -> list[int]:
    if isinstance(value, tuple):
        return [number for item in value for number in _numbers(item)]
    return [value] if isinstance(value, int) and not isinstance(value, bool) else []


_WINDOWED: Final = (*CONV, *POOL, "network")
_DILATED: Final = (*CONV, "max_pool", "network")
_OF_CONV: Final = (*CONV, "network")
PARAMETERS: Final = (
    Parameter("layer", read.CHOICE, LAYERS, "What is explained.", choices=LAYERS),
    Parameter(
        "layers",
        read.LAYERS,
        ("network",),
        "What the network is made of, in order, with the size of a window behind a "
        "colon: conv:3x3, relu, max_pool:2x2, avg_pool:2x2. The loss is half the sum "
        "of squared differences from a target.",
        least=1,
    ),
    Parameter(
        "input", read.EXTENTS, LAYERS, "Rows and columns of X; one number is a row of "
        "cells, in one dimension. By default 3x3; a pooling has 4x4, a network 5x5, a "
        "transposed convolution 2x2.", least=1,
    ),
    Parameter(
        "kernel", read.EXTENTS, _WINDOWED, "Rows and columns of the filter F, or of a "
        "pooling window. By default 2x2.", least=1, sample="3x3",
    ),
    Parameter(
        "stride", read.INTS, _WINDOWED, "Step from one position of the window to the "
        "next. By default 1; a pooling window's own size.", least=1, most=16,
    ),
    Parameter(
        "padding", read.PADDING, _WINDOWED, "Cells added around X, of 0 (-inf in max "
        "pooling): 1, or 1,2 for rows and columns, or 0:1,2:0 for each side "
        f"(negative ones crop), or one of {', '.join(ops.PADDINGS)}. By default 0.",
        least=-16, most=16,
    ),
    Parameter(
        "padding_mode", read.CHOICE, _OF_CONV, "What stands outside X.",
        choices=ops.PADDING_MODES,
    ),
    Parameter(
        "dilation", read.INTS, _DILATED, "Step from one filter cell to the next.",
        least=1, most=16,
    ),
    Parameter(
        "output_padding", read.INTS, ("conv_transpose",), "Rows and columns added at "
        "the end of O, less than the stride or the dilation.", most=16,
    ),
    Parameter(
        "channels", read.EXTENTS, LAYERS, "Channels of X, and of O: 2x3 is two in, "
        "three out.", least=1, most=16, sample="2x3",
    ),
    Parameter(
        "groups", read.COUNT, _OF_CONV, "Channel groups that do not see each other.",
        least=1, most=16,
    ),
    Parameter("images", read.COUNT, LAYERS, "Images that X holds.", least=1, most=8),
    Parameter(
        "bias", read.FLAG, _OF_CONV, "Add a number b to each output channel.",
    ),
    Parameter(
        "flip", read.FLAG, _OF_CONV, "True convolution: F is rotated by 180 degrees in "
        "the forward pass.",
    ),
    Parameter(
        "ceil_mode", read.FLAG, POOL, "A last window that overhangs counts too.",
    ),
    Parameter(
        "count_include_pad", read.FLAG, ("avg_pool",), "Padding counts in the divisor, "
        "as it does by default.",
    ),
    Parameter(
        "layout", read.CHOICE, LAYERS, "Where the channels stand.",
        choices=("channels_first", "channels_last"),
    ),
)  # fmt: skip
_BY_NAME: Final = {parameter.name: parameter for parameter in PARAMETERS}


@dataclass(frozen=True, slots=True)
class Setting:
    """A layer or a network to explain; every number resolved but the padding's word.

    Made by `setting`; the fields are those of `PARAMETERS`, one number per dimension.
    """

    layer: str
    layers: tuple[tuple[str, Sizes], ...]
    input: Sizes
    kernel: Sizes
    stride: Sizes
    padding: Any
    padding_mode: str
    dilation: Sizes
    output_padding: Sizes
    channels: tuple[int, int]
    groups: int
    images: int
    bias: bool
    flip: bool
    ceil_mode: bool
    count_include_pad: bool
    layout: ops.Layout

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return len(self.input)

    @property
    def hidden(self) -> frozenset[str]:
        """The letters of axes that are nowhere longer than 1: images, channels."""
        images = {"n"} if self.images == 1 else set()
        channels = {"c", "k"} if self.channels == (1, 1) else set()
        return frozenset(images | channels)

    def parameters(self) -> tuple[Parameter, ...]:
        """Returns the parameters that this layer has."""
        return tuple(known for known in PARAMETERS if self.layer in known.layers)

    def words(self) -> dict[str, str]:
        """Returns the parameters that differ from their defaults, as texts by name."""
        plain = _defaults(self.layer, self.rank)
        plain |= {"layer": "conv", "input": _defaults(self.layer, 2)["input"]}
        plain |= {"stride": self.kernel} if self.layer in POOL else {}
        return {
            known.name: known.form.write(value)
            for known in self.parameters()
            if (value := getattr(self, known.name)) != plain[known.name]
        }


def setting(**given: Any) -> Setting:
    """Returns a setting; what is not given has its default.

    Args:
        **given: Values of `PARAMETERS` by name, or their texts, as the command line has
            them. One int stands for all dimensions.

    Raises:
        ArgumentError: There is no such parameter, the layer does not have it, or a
            value cannot be read or is out of range.
    """
    known = taken(given)
    layer, size = known["layer"], known.get("input")
    for name in given:
        if layer not in _BY_NAME[name].layers:
            _refuse_parameter(_BY_NAME[name], layer)
    rank = len(size) if isinstance(size, tuple) else 2 if size is None else 1
    values = _defaults(layer, rank) | _spread(known, rank)
    _check_ranks(values, rank)
    if layer in POOL and "stride" not in known:
        values["stride"] = values["kernel"]
    return Setting(**values)


def taken(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters as a setting holds them, and the layer that they mean.

    Raises:
        ArgumentError: There is no such parameter, or a value cannot be read or is out
            of range.
    """
    known = {name: _known(name).take(value) for name, value in given.items()}
    return {"layer": "network" if "layers" in known else "conv"} | known


def _known(name: str) -> Parameter:
    if name not in _BY_NAME:
        remedy = f"Use some of {', '.join(_BY_NAME)}."
        raise ArgumentError(f"explain: {name[:40]!r} is no parameter\n  {remedy}")
    return _BY_NAME[name]


def _refuse_parameter(known: Parameter, layer: str) -> None:
    raise ArgumentError(
        f"explain: layer {layer} has no {known.name}\n"
        f"  Leave it out, or use a layer that has it: {', '.join(known.layers)}."
    )


def _defaults(layer: str, rank: int) -> dict[str, Any]:
    size = {"conv": 3, "relu": 3, "conv_transpose": 2, "network": 5}.get(layer, 4)
    kernel = (2,) * rank
    return {
        "layer": layer,
        "layers": (("conv", ()), ("relu", ()), ("max_pool", (2,) * rank)),
        "input": (size,) * rank,
        "kernel": kernel,
        "stride": kernel if layer in POOL else (1,) * rank,
        "padding": ((0, 0),) * rank,
        "padding_mode": ops.PADDING_MODES[0],
        "dilation": (1,) * rank,
        "output_padding": (0,) * rank,
        "channels": (1, 1),
        "groups": 1,
        "images": 1,
        "bias": False,
        "flip": False,
        "ceil_mode": False,
        "count_include_pad": True,
        "layout": "channels_first",
    }


def _spread(given: Mapping[str, Any], rank: int) -> dict[str, Any]:
    """What was given, one value per dimension where there is one for all."""
    values = dict(given)
    for name in ("input", "kernel", "stride", "dilation", "output_padding"):
        if isinstance(value := values.get(name), int):
            values[name] = (value,) * rank
    pads = values.get("padding")
    if isinstance(pads, int):
        values["padding"] = ((pads, pads),) * rank
    elif isinstance(pads, tuple):
        sides = tuple((p, p) if isinstance(p, int) else p for p in pads)
        values["padding"] = sides
    if isinstance(channels := values.get("channels"), int):
        values["channels"] = (channels, channels)
    return values


def _check_ranks(values: Mapping[str, Any], rank: int) -> None:
    if rank not in (1, 2):
        refuse(
            "input",
            _BY_NAME["input"].form.write(values["input"]),
            f"which has {rank} dimensions",
            "Pass one or two, such as 7 or 5x5.",
        )
    for name, value in values.items():
        expected = 2 if name == "channels" else rank
        if name == "layers" or not isinstance(value, tuple) or len(value) == expected:
            continue
        known = _BY_NAME[name]
        plural = "" if len(value) == 1 else "s"
        refuse(
            name,
            known.form.write(value),
            f"{len(value)} number{plural} for {expected}",
            f"Write it like {known.example}.",
        )
