"""Which other convention gives the shape that came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from rot180.check.cases import CONV, Case
from rot180.check.diagnose._problem import canonical, window_of
from rot180.check.diagnose._sums import Dim
from rot180.check.judge import Failure

__all__ = ["SHARED", "shape_texts"]

Rule = Callable[[Dim], int]


def _windows(dim: Dim) -> int:
    return (dim.size + dim.low + dim.high - dim.span) // dim.stride + 1


def _ceil(dim: Dim) -> int:
    return -(-(dim.size + dim.low + dim.high - dim.span) // dim.stride) + 1


def _of(**changes: Callable[[Dim], int]) -> Callable[[Dim], Dim]:
    def change(dim: Dim) -> Dim:
        new: dict[str, Any] = {name: rule(dim) for name, rule in changes.items()}
        return replace(dim, **new)

    return change


# Another window under which the same rule is applied, and what to call it.
_ALTERED: Final[tuple[tuple[str, Callable[[Dim], Dim]], ...]] = (
    ("padding is missing", _of(low=lambda d: 0, high=lambda d: 0)),
    ("stride is missing", _of(stride=lambda d: 1)),
    ("dilation is missing", _of(dilation=lambda d: 1)),
    (
        "stride and dilation are swapped",
        _of(stride=lambda d: d.dilation, dilation=lambda d: d.stride),
    ),
    ("only the low padding counts, twice", _of(high=lambda d: d.low)),
    ("only the high padding counts, twice", _of(low=lambda d: d.high)),
    ("only the low padding counts", _of(high=lambda d: 0)),
    ("only the high padding counts", _of(low=lambda d: 0)),
    ("padding counts twice", _of(low=lambda d: 2 * d.low, high=lambda d: 2 * d.high)),
    ("stride and dilation are missing", _of(stride=lambda d: 1, dilation=lambda d: 1)),
    (
        "the dilation counts for k taps, not k - 1",
        _of(low=lambda d: d.low - d.dilation + 1),
    ),
)


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
        taken = {name: getattr(dims[self.place], name) for name in self.fields}
        return tuple(_output(case, replace(d, **taken), d.rest) for d in dims)

    def differs(self, case: Case) -> bool:
        """Whether they are others than the right ones."""
        if case.kind == "relu":
            return False
        right = tuple(_output(case, d, d.rest) for d in window_of(case))
        return self.extents(case) != right


def _output(case: Case, dim: Dim, rest: int) -> int:
    if case.kind == "conv_transpose":
        return dim.reach + rest
    return _ceil(dim) if case.ceil_mode else _windows(dim)


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


def _rules(case: Case) -> Iterator[tuple[str, Rule]]:
    """Yields each convention's rule for an output's extent."""
    if case.kind == "conv_transpose":
        yield "output_padding is missing", lambda d: d.reach
        for text, change in _ALTERED:
            yield text, lambda d, f=change: f(d).reach + d.rest  # type: ignore[misc]
        yield "it is the size of a plain convolution", lambda d: _windows(replace(d, size=d.count))  # fmt: skip  # noqa: E501
        return
    rounded = _ceil if case.ceil_mode else _windows
    other = "down, not up" if case.ceil_mode else "up, not down"
    opposite = _windows if case.ceil_mode else _ceil
    yield f"the extent is rounded {other}", opposite
    if case.ceil_mode:
        yield "a window that starts in the high padding counts", _ceil
    for text, change in _ALTERED:
        yield text, lambda d, f=change: rounded(f(d))  # type: ignore[misc]
    yield "it has the input's extents", lambda d: d.size
    yield "it is ceil(size / stride), as for padding 'same'", lambda d: -(-d.size // d.stride)  # fmt: skip  # noqa: E501


def shape_texts(failure: Failure) -> tuple[str, ...]:
    """Returns what explains the shape that came, if a convention does."""
    case = failure.case
    if failure.got is None or failure.expected is None:
        return ()
    got, expected = np.shape(failure.got), np.shape(failure.expected)
    found = list(_of_axes(got, expected))
    if failure.output == "y" and len(got) == len(expected) and case.kind != "relu":
        found += _of_window(failure)
    elif failure.output == "dx" and case.kind in CONV and len(got) == len(expected):
        found += _of_reach(failure)
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


def _of_window(failure: Failure) -> Iterator[str]:
    assert failure.got is not None
    case = failure.case
    extents = canonical(case, "y", failure.got).shape[2:]
    dims = window_of(case)
    for text, rule in _rules(case):
        if tuple(rule(dim) for dim in dims) == extents:
            yield text
    yield from (s.shape for s in SHARED if s.extents(case) == extents)


def _of_reach(failure: Failure) -> Iterator[str]:
    """Says that what no full window reaches is missing from an input gradient."""
    assert failure.got is not None
    case = failure.case
    extents = canonical(case, "dx", failure.got).shape[2:]
    dims = window_of(case)
    if case.kind == "conv" and extents == tuple(dim.reach for dim in dims):
        yield "rows past the last full window are missing"
    if extents == tuple(dim.size + dim.low + dim.high for dim in dims):
        yield "the padding is not cropped"
