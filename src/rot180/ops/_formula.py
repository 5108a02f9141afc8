"""The formulas of the sliding operations, for any rank, layout, grouping and flip."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from rot180.notation import Contraction, contraction, point, span_of_axis, spans_of
from rot180.ops._layout import Layout

_POSITIONS: Final = "pqou"
_TAPS: Final = "rstv"


def positions(rank: int) -> tuple[str, ...]:
    """Returns the letters of output positions: `p q o u`, or `p1 p2 ...` beyond."""
    return _letters(_POSITIONS, rank)


def taps(rank: int) -> tuple[str, ...]:
    """Returns the letters of filter positions: `r s t v`, or `r1 r2 ...` beyond."""
    return _letters(_TAPS, rank)


def parameter(kind: str, letter: str, rank: int) -> str:
    """Returns a window parameter's name: `stride` in one dimension, else `stride_p`."""
    return kind if rank == 1 else f"{kind}_{letter}"


def _letters(alphabet: str, rank: int) -> tuple[str, ...]:
    if rank <= len(alphabet):
        return tuple(alphabet[:rank])
    return tuple(f"{alphabet[0]}{i}" for i in range(1, rank + 1))


def _slid(rank: int) -> list[str]:
    """Returns the axes of `x`: where each tap of each output position reads."""
    return [
        f"{p}*{parameter('stride', p, rank)}"
        f" + {r}*{parameter('dilation', r, rank)}"
        f" - {parameter('pad', p, rank)}"
        for p, r in zip(positions(rank), taps(rank), strict=True)
    ]


def _image(layout: Layout, channels: Sequence[str], at: Iterable[str]) -> str:
    first = layout == "channels_first"
    axes = ["n", *channels, *at] if first else ["n", *at, *channels]
    return ", ".join(axes)


@cache
def conv_formula(rank: int, layout: Layout, grouped: bool, flip: bool) -> Contraction:
    """Returns the forward pass with symbolic stride, dilation and padding.

    With `grouped`, the operands are views in which the channel axis is split: `x` has
    `(g, c)`, `y` has `(g, k)`, and `w` has `(g, k, c)`, or `(c, g, k)` channels last.
    With `flip`, `w` is read backwards, at `R - 1 - r`, where `R` is its extent.
    """
    tap = [f"{r.upper()} - 1 - {r}" if flip else r for r in taps(rank)]
    g = ["g"] if grouped else []
    if layout == "channels_first":
        w = ", ".join([*g, "k", "c", *tap])
    else:
        w = ", ".join([*tap, "c", *g, "k"])
    y = _image(layout, [*g, "k"], positions(rank))
    x = _image(layout, [*g, "c"], _slid(rank))
    return contraction(
        f"y[{y}] += x[{x}] * w[{w}]",
        doc="Slide the filter `w` over `x`; positions outside `x` read as zero.",
    )


@cache
def transposed_formula(rank: int, layout: Layout) -> Contraction:
    """Returns the transposed convolution in its own letters, parameters symbolic.

    It is the forward pass with `x` and `y` exchanged, and with them `c` and `k`.
    """
    tap = taps(rank)
    first = layout == "channels_first"
    w = ", ".join(["c", "k", *tap] if first else [*tap, "k", "c"])
    y = _image(layout, ["k"], _slid(rank))
    x = _image(layout, ["c"], positions(rank))
    return contraction(
        f"y[{y}] += x[{x}] * w[{w}]",
        doc="Lay the filter `w` over `y` at every position of `x`, and add.",
    )


@cache
def pool_formula(rank: int, layout: Layout, reduction: str) -> Contraction:
    """Returns the window's sum (`+=`) or maximum (`max=`), parameters symbolic."""
    y = _image(layout, ["c"], positions(rank))
    x = _image(layout, ["c"], _slid(rank))
    over = f" for {', '.join(taps(rank))}" if rank else ""
    return contraction(
        f"y[{y}] {reduction} x[{x}]{over}",
        doc="Reduce every window of `x`, channel by channel.",
    )


Place = tuple[str, int] | str


def explain(
    op: str,
    headline: str,
    formula: str,
    places: Iterable[Place],
    facts: Iterable[str],
    remedy: str,
) -> str:
    """Returns a message of the house: what is wrong, where, the values, the remedy.

    Args:
        op: The public function's name.
        headline: What is wrong, in a few words.
        formula: The formula to point into.
        places: Operand axes `("x", 1)`, or words of the formula, that get a caret.
        facts: Lines with the values.
        remedy: What to do about it; a sentence.
    """
    spans = [span for place in places for span in _find(formula, place)]
    lines = [f"{op}: {headline}", *point(formula, spans).split("\n"), *facts]
    return "\n    ".join(lines) + f"\n  {remedy}"


def _find(formula: str, place: Place) -> list[tuple[int, int]]:
    if isinstance(place, str):
        return spans_of(formula, place)
    return [span_of_axis(formula, *place)]
