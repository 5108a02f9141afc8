"""One configuration to be checked; its fields are the table of parameters.

A parameter joins the checks by a line in `Case`: its neutral value, the levels that the
full profile combines and the range that random cases draw from stand there together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cache, lru_cache
from typing import Any, Final, Literal, get_args

from rot180 import ops

__all__ = [
    "CONV", "KINDS", "POOL", "Case", "Kind", "Parameter", "altered", "fitted", "make",
    "parameters",
]  # fmt: skip

Kind = Literal["conv", "conv_transpose", "max_pool", "avg_pool", "relu"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
CONV: Final[tuple[Kind, ...]] = ("conv", "conv_transpose")
POOL: Final[tuple[Kind, ...]] = ("max_pool", "avg_pool")
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the checks know about one field of `Case`.

    Attributes:
        neutral: The simplest value; shrinking goes towards it.
        levels: The values that the full profile combines with all other parameters'.
        drawn: The values that random cases draw from.
        most: Up to what one parameter of a random case may grow, the others small.
        kinds: The operations that have the parameter.
        each: Whether there is one value for each dimension.
        option: Whether it is passed to the subject by name: `"always"`, or `"set"`
            where it is not neutral; `"no"` where it shows only in the shapes.
        feature: What a report calls the use of it; None where every subject has to
            have it.
        name: Filled in from the field.
    """

    neutral: Any
    levels: tuple[Any, ...]
    drawn: tuple[Any, ...]
    kinds: tuple[str, ...]
    each: bool = False
    option: Literal["always", "set", "no"] = "no"
    feature: str | None = None
    most: int | None = None
    name: str = ""

    def neutral_in(self, rank: int) -> Any:
        """Returns the neutral value of a case of that rank."""
        return (self.neutral,) * rank if self.each else self.neutral

    def is_neutral(self, case: Case) -> bool:
        """Whether the case has the neutral value."""
        return bool(getattr(case, self.name) == self.neutral_in(case.rank))


def _parameter(
    *levels: Any, drawn: Any = None, kinds: Any = (*CONV, *POOL), **more: Any
) -> Any:
    """A field of `Case`; the first level is the neutral value."""
    known = Parameter(levels[0], levels, tuple(drawn or levels), kinds, **more)
    default = (levels[0],) if known.each else levels[0]
    return field(default=default, metadata={"parameter": known})


_LAYOUTS: Final = ("channels_first", "channels_last")
_COUNTS: Final = (1, 2, 3, 5, 8, 9, 17)
_DRAWN_COUNTS: Final = (1, 1, 2, 2, 3, 4, *range(1, 10))
_PADS: Final = ((0, 0), (1, 1), (2, 2), (1, 0), (0, 2), (3, 1), (-1, 0), (0, -1))
_DRAWN_PADS: Final = tuple((low, high) for low in range(-2, 4) for high in range(-2, 4))


@dataclass(frozen=True, slots=True)
class Case:
    # ruff: noqa: RUF009 - `_parameter` is `dataclasses.field` with our metadata
    """One operation with all its options and shapes; hashable, and printed in reports.

    The extents of the input are the fewest that give an output, plus `extra`, so that
    every combination of parameters is a case.
    """

    kind: Kind = "conv"
    dtype: str = _parameter("float32", "float64", kinds=KINDS, feature="dtype")
    images: int | None = _parameter(
        1, 2, 3, 0, None, drawn=(1, 1, 2, 2, 3, 4, 5, 0, None), kinds=KINDS, most=20
    )
    groups: int = _parameter(
        1, 2, 3, 8, drawn=(1, 1, 1, 1, 2, 2, 3, 4, 5, 8), most=48, kinds=CONV,
        option="always", feature="groups",
    )  # fmt: skip
    in_group: int = _parameter(*_COUNTS, drawn=_DRAWN_COUNTS, kinds=KINDS, most=130)
    out_group: int = _parameter(*_COUNTS, drawn=_DRAWN_COUNTS, kinds=CONV, most=130)
    kernel_size: tuple[int, ...] = _parameter(
        1, 2, 3, 4, 5, drawn=(1, 2, 2, 3, 3, 3, 4, 5), each=True, most=13
    )
    extra: tuple[int, ...] = _parameter(
        0, 1, 2, 3, 5, drawn=range(10), kinds=KINDS, each=True, most=100
    )
    stride: tuple[int, ...] = _parameter(
        1, 2, 3, drawn=(1, 1, 1, 2, 2, 3, 4, 5), each=True, most=9,
        option="always", feature="stride",
    )  # fmt: skip
    padding: tuple[Pair, ...] | str = _parameter(
        *_PADS, drawn=(*((0, 0), (1, 1)) * 9, *_DRAWN_PADS), each=True,
        option="always", feature="padding",
    )  # fmt: skip
    dilation: tuple[int, ...] = _parameter(
        1, 2, 3, drawn=(1, 1, 1, 2, 3, 4), kinds=(*CONV, "max_pool"), each=True,
        most=14, option="always", feature="dilation",
    )  # fmt: skip
    output_padding: tuple[int, ...] = _parameter(
        0, 1, 2, drawn=(0, 1, 2, 3), kinds=("conv_transpose",), each=True,
        option="set", feature="output_padding",
    )  # fmt: skip
    bias: bool = _parameter(False, True, kinds=CONV, feature="bias")
    flip: bool = _parameter(
        False, True, drawn=(False, False, True), kinds=CONV, option="set",
        feature="flip",
    )  # fmt: skip
    layout: ops.Layout = _parameter(
        *_LAYOUTS, drawn=(_LAYOUTS[0], *_LAYOUTS), option="set", feature="layout"
    )
    ceil_mode: bool = _parameter(
        False, True, kinds=POOL, option="set", feature="ceil_mode"
    )
    count_include_pad: bool = _parameter(
        True, False, kinds=("avg_pool",), option="set", feature="count_include_pad"
    )
    divisor_override: int | None = _parameter(
        None, 3, drawn=(None, None, 1, 3, 7), kinds=("avg_pool",), option="set",
        feature="divisor_override",
    )  # fmt: skip
    seed: int = 0

    @property
    def rank(self) -> int:
        """Number of spatial dimensions."""
        return len(self.kernel_size)

    @property
    def channels(self) -> int:
        """Channels of `x`."""
        return self.groups * self.in_group

    @property
    def filters(self) -> int:
        """Channels of `y`."""
        return self.groups * self.out_group if self.kind in CONV else self.channels

    @property
    def size(self) -> tuple[int, ...]:
        """Spatial extents of `x`: the fewest that give an output, plus `extra`."""
        dims = zip(self._least(), self.extra, strict=True)
        return tuple(least + extra for least, extra in dims)

    def _least(self) -> tuple[int, ...]:
        if self.kind == "relu":
            return (1,) * self.rank
        spans = [
            (k - 1) * d + 1
            for k, d in zip(self.kernel_size, self.dilation, strict=True)
        ]
        if isinstance(self.padding, str):
            valid = self.padding == "valid" and self.kind != "conv_transpose"
            return tuple(span if valid else 1 for span in spans)
        if self.kind != "conv_transpose":
            return tuple(
                max(span - low - high, 0)
                for span, (low, high) in zip(spans, self.padding, strict=True)
            )
        dims = zip(spans, self.padding, self.output_padding, self.stride, strict=True)
        return tuple(
            max(1, 1 - (span + more - 1 - low - high) // step)
            for span, (low, high), more, step in dims
        )

    @property
    def pads(self) -> tuple[Pair, ...]:
        """The padding in numbers; nothing where it is a word."""
        return () if isinstance(self.padding, str) else self.padding

    @property
    def window(self) -> ops.Window:
        """The window of `x`; not for the transposed convolution, whose is `y`'s."""
        names = ("stride", "padding", "dilation", "groups", "flip")
        more: Any = {name: getattr(self, name) for name in names}
        return ops.Window.make(
            self.kind, self.kernel_size, input_size=self.size, **more
        )

    @property
    def x_shape(self) -> tuple[int, ...]:
        """The shape of `x`, without its image axis if `images` is None."""
        return self.image_shape(self.channels, self.size)

    def image_shape(self, channels: int, size: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape of images in the case's layout."""
        shape = ops.image_shape(self.layout, self.images or 0, channels, size)
        return shape[1:] if self.images is None else shape

    @property
    def w_shape(self) -> tuple[int, ...]:
        """The shape of the filter; a transposed one leads with the channels of `x`."""
        pair = (self.filters, self.in_group)
        if self.kind == "conv_transpose":
            pair = (self.channels, self.out_group)
        return ops.filter_shape(self.layout, *pair, self.kernel_size)

    def options(self) -> dict[str, Any]:
        """Returns the options by name, each in its simplest form.

        One number where it is the same in every dimension; one for each dimension where
        not; padding as `(low, high)` only where the sides differ. What is neutral and
        not of everyday use is left out.
        """
        options: dict[str, Any] = {}
        for known in parameters(self.kind):
            if known.option == "no":
                continue
            value = getattr(self, known.name)
            if known.option == "always" or not known.is_neutral(self):
                options[known.name] = _simplest(value) if known.each else value
        return options

    def droppable(self) -> frozenset[str]:
        """Returns the options that a subject without them may ignore: the neutral."""
        table = parameters(self.kind)
        return frozenset(known.name for known in table if known.is_neutral(self))

    def features(self) -> frozenset[str]:
        """Returns the names of what a subject has to support for this case."""
        return _features(self)

    def remainder(self) -> tuple[int, ...]:
        """Returns how many positions the stride leaves behind the last full window."""
        if self.kind in ("conv_transpose", "relu"):
            return (0,) * self.rank
        pads = self.window.padding
        spans = self.window.span
        return tuple(
            (size + low + high - span) % step
            for size, (low, high), span, step in zip(
                self.size, pads, spans, self.stride, strict=True
            )
        )

    def work(self) -> int:
        """Returns roughly how many multiplications one pass takes."""
        count = max(self.images or 1, 1) * self.channels * self.out_group
        for k, extent in zip(self.kernel_size, self.size, strict=True):
            count *= k * max(extent, 1)
        return count


# Features that are no parameter's, of which operations, and whether a case has them.
_FEATURES: Final[tuple[tuple[str, tuple[Kind, ...], Callable[[Case], bool]], ...]] = (
    ("no image axis", KINDS, lambda c: c.images is None),
    ("image axis", KINDS, lambda c: c.images is not None),
    ("no images", KINDS, lambda c: c.images == 0),
    ("extent 0", KINDS, lambda c: 0 in c.size),
    ("image not square", KINDS, lambda c: len(set(c.size)) > 1),
    ("kernel not square", CONV, lambda c: len(set(c.kernel_size)) > 1),
    ("kernel other than 3", KINDS, lambda c: set(c.kernel_size) != {3}),
    ("not depthwise", CONV, lambda c: c.in_group > 1 or c.groups == 1),
    ("several filters in a group", CONV, lambda c: c.out_group > 1),
    (
        "channels no multiple of 4",
        CONV,
        lambda c: bool(c.channels % 4 or c.filters % 4),
    ),
    ("no bias", CONV, lambda c: not c.bias),
    ("padding other than 1", CONV, lambda c: c.padding != ((1, 1),) * c.rank),
    ("stride other than the kernel", POOL, lambda c: c.stride != c.kernel_size),
    ("remainder", KINDS, lambda c: any(c.remainder())),
    ("padding per side", KINDS, lambda c: any(low != high for low, high in c.pads)),
    ("negative padding", KINDS, lambda c: any(min(pair) < 0 for pair in c.pads)),
)


@lru_cache(4096)
def _features(case: Case) -> frozenset[str]:
    found = {f"rank {case.rank}", case.dtype}
    found |= {n for n, kinds, has in _FEATURES if case.kind in kinds and has(case)}
    given = ("kernel_size",) * (case.kind in POOL)  # by its value, not by a filter
    for known in parameters(case.kind):
        value = getattr(case, known.name)
        if known.each and isinstance(value, str):
            found |= {f"{known.feature} by name", f"{known.feature} {value}"}
            if value.startswith("same") and max(case.stride) > 1:
                found.add("same padding with a stride")
            continue
        if known.feature and known.name != "dtype" and not known.is_neutral(case):
            found.add(known.feature)
        is_given = known.option != "no" or known.name in given
        if known.each and is_given and len(set(value)) > 1:
            found.add(f"{known.name} per dimension")
    return frozenset(found)


def _simplest(values: Any) -> Any:
    if isinstance(values, str):
        return values
    items = tuple(v[0] if isinstance(v, tuple) and v[0] == v[1] else v for v in values)
    if any(isinstance(item, tuple) for item in items):
        return tuple(values)
    return items[0] if len(set(items)) == 1 else items


_PARAMETERS: Final = tuple(
    replace(entry.metadata["parameter"], name=entry.name)
    for entry in fields(Case)
    if entry.metadata
)


@cache
def parameters(kind: Kind) -> tuple[Parameter, ...]:
    """Returns the parameters that an operation has, in the order of the table."""
    return tuple(known for known in _PARAMETERS if kind in known.kinds)


def make(kind: Kind = "conv", /, *, rank: int = 2, **values: Any) -> Case:
    """Returns a case in short form: what is per dimension may be given once.

    `make(stride=2, padding=(1, 2))` strides by 2 in both dimensions and pads both by 1
    before and 2 after; parameters that are not given are neutral.
    """
    for known in (known for known in _PARAMETERS if known.each):
        value = values.get(known.name, known.neutral)
        if isinstance(value, int) or _is_pair(known, value):
            value = (value,) * rank
        values[known.name] = value
    return fitted(Case(kind, **values))


def _is_pair(known: Parameter, value: Any) -> bool:
    """Whether the value is one dimension's padding."""
    return known.name == "padding" and all(isinstance(side, int) for side in value)


def altered(case: Case, name: str, value: Any) -> Case:
    """Returns the case with another value of the parameter of that name."""
    return replace(case, **{name: value})


def fitted(case: Case) -> Case:
    """Returns the case with what its operation does not admit brought into range.

    An `output_padding` is less than the stride or the dilation; a pooling's padding is
    at most half its kernel, and a window takes in at least one position.
    """
    if case.kind == "conv_transpose":
        if isinstance(case.padding, str):
            case = replace(case, padding=((0, 0),) * case.rank)
        limits = [
            max(s, d) - 1 for s, d in zip(case.stride, case.dilation, strict=True)
        ]
        pads = zip(case.output_padding, limits, strict=True)
        case = replace(case, output_padding=tuple(min(o, m) for o, m in pads))
    if case.kind in POOL and not isinstance(case.padding, str):
        half = tuple(
            (min(max(low, 0), k // 2), min(max(high, 0), k // 2))
            for (low, high), k in zip(case.padding, case.kernel_size, strict=True)
        )
        case = replace(case, padding=half)
        case = replace(case, padding=_seen_from_inside(case))
    return case


def _seen_from_inside(case: Case) -> tuple[Pair, ...]:
    """Returns the padding, 0 where a window would lie in it alone.

    What a pooling gives there is a matter of convention, and what its gradient does.
    """
    x = ops.TensorType((1, 1, *case.size), "float32")
    names = ("stride", "padding", "dilation", "ceil_mode")
    more: Any = {name: getattr(case, name) for name in names}
    window = ops.pool_op("check", "max", x, case.kernel_size, **more).window
    rows = ops.pool_counts(window, case.size, ((0, 0),) * case.rank)
    pairs = zip(case.pads, rows, strict=True)
    return tuple(pair if all(row) else (0, 0) for pair, row in pairs)
