"""Which other convention gives the shape that came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rot180.check.cases import CONV, Case
from rot180.check.diagnose._problem import canonical, window_of
from rot180.check.diagnose._sums import Array, Dim, Rule
from rot180.check.judge import Failure

__all__ = ["SHARED", "shape_texts"]

# Another window under which the same rule is applied, by what to call it.
_ALTERED: Final[Mapping[str, Mapping[str, Rule]]] = {
    "padding is missing": {"low": lambda d: 0, "high": lambda d: 0},
    "stride is missing": {"stride": lambda d: 1},
    "dilation is missing": {"dilation": lambda d: 1},
    "stride and dilation are swapped": {
        "stride": lambda d: d.dilation, "dilation": lambda d: d.stride
    },
    "only the low padding counts, twice": {"high": lambda d: d.low},
    "only the high padding counts, twice": {"low": lambda d: d.high},
    "only the low padding counts": {"high": lambda d: 0},
    "only the high padding counts": {"low": lambda d: 0},
    "padding counts twice": {"low": lambda d: 2 * d.low, "high": lambda d: 2 * d.high},
    "stride and dilation are missing": {"stride": lambda d: 1, "dilation": lambda d: 1},
    "the dilation counts for k taps, not k - 1": {
        "low": lambda d: d.low - d.dilation + 1
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shared:
    """An extent of one dimension that is taken for all of them.

    Attributes:
        shape: What it explains of a wrong shape.
        statement: What it says of a configuration on which it shows in shapes.
        wider: The statement about all on which it may show.
        fields: Those of a dimension that are the same for all.
        place: Of the dimension that they are taken from.
    """

    shape: str
    statement: str
    wider: str
    fields: tuple[str, ...]
    place: int

    def extents(self, case: Case) -> tuple[int, ...]:
        """Returns the extents that the output has then."""
        dims = window_of(case)
        taken = [dim.like(dims[self.place], *self.fields) for dim in dims]
        pairs = zip(taken, dims, strict=True)
        return tuple(_output(case, new, dim.rest) for new, dim in pairs)

    def differs(self, case: Case) -> bool:
        """Whether they are others than the right ones."""
        if case.kind == "relu":
            return False
        right = tuple(_output(case, d, d.rest) for d in window_of(case))
        return self.extents(case) != right


def _output(case: Case, dim: Dim, rest: int) -> int:
    if case.kind == "conv_transpose":
        return dim.reach + rest
    return dim.windows(ceil=case.ceil_mode)


_SIZE: Final = ("size", "count")
SHARED: Final = tuple(
    Shared(
        f"the {one} is computed from the {of}{other}",
        f"the {one} is not what the {of}{other} gives",
        f"{what} is not square",
        fields,
        place,
    )
    for of, what, fields in (
        ("", "image", _SIZE),
        ("filter's ", "kernel", ("taps",)),
    )
    for one, other, place in (("width", "height", 0), ("height", "width", -1))
)


def _rules(case: Case, output: str) -> Iterator[tuple[str, Rule]]:
    """Yields each convention's rule for an output's extent."""
    transposed, ceil = case.kind == "conv_transpose", case.ceil_mode
    if output == "dx":
        if not transposed:
            yield "rows past the last full window are missing", lambda d: d.reach
        yield "the padding is not cropped", lambda d: d.size + d.low + d.high
        return
    if transposed:
        yield "output_padding is missing", lambda d: d.reach
    else:
        other = "down, not up" if ceil else "up, not down"
        yield f"the extent is rounded {other}", lambda d: d.windows(ceil=not ceil)
    if ceil:
        text = "a window that starts in the high padding counts"
        yield text, lambda d: d.windows(ceil=True)
    for text, rules in _ALTERED.items():
        yield text, lambda d, r=rules: _output(case, d.by(**r), d.rest)  # type: ignore[misc]
    if transposed:
        text = "it is the size of a plain convolution"
        yield text, lambda d: replace(d, size=d.count).windows()
    else:
        yield "it has the input's extents", lambda d: d.size
        text = "it is ceil(size / stride), as for padding 'same'"
        yield text, lambda d: -(-d.size // d.stride)


def shape_texts(failure: Failure) -> tuple[str, ...]:
    """Returns what explains the shape that came, if a convention does."""
    case, output = failure.case, failure.output
    if failure.got is None or failure.expected is None:
        return ()
    got, expected = np.shape(failure.got), np.shape(failure.expected)
    found = list(_of_axes(got, expected))
    has_window = case.kind in CONV or (output == "y" and case.kind != "relu")
    if has_window and output in ("y", "dx") and len(got) == len(expected):
        found += _of_extents(case, output, canonical(case, output, failure.got))
    return tuple(dict.fromkeys(found))


def _of_axes(got: tuple[int, ...], expected: tuple[int, ...]) -> Iterator[str]:
    if len(got) != len(expected):
        squeezed = tuple(e for e in expected if e != 1)
        if tuple(e for e in got if e != 1) == squeezed:
            yield f"it has {len(got)} axes, not {len(expected)}: axes of extent 1"
        elif int(np.prod(got)) == int(np.prod(expected)):
            yield f"it has {len(got)} axes, not {len(expected)}: not reshaped back"
    elif sorted(got) == sorted(expected) and got != expected:
        yield "its axes are in another order"


def _of_extents(case: Case, output: str, got: Array) -> Iterator[str]:
    extents, dims = got.shape[2:], window_of(case)
    for text, rule in _rules(case, output):
        if tuple(map(rule, dims)) == extents:
            yield text
    if output == "y":
        yield from (s.shape for s in SHARED if s.extents(case) == extents)
