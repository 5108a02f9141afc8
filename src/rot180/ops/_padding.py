"""Reading the padding: numbers of several forms, or a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from rot180.errors import ArgumentError
from rot180.ops._choices import is_among
from rot180.ops._numbers import LONGEST, dimensions, index_of

PADDINGS = ("valid", "same", "same_lower", "full", "causal")
# What stands at positions outside an operand.
PADDING_MODES = ("zeros",)
_PADDING_REMEDY = (
    "Pass an int, one int per dimension such as {ints}, (low, high) per dimension "
    'such as {pairs}, or one of "valid", "same", "same_lower", "full", "causal".'
)
Pairs = tuple[tuple[int, int], ...]


def check_padding_mode(op: str, mode: str) -> None:
    """Raises ArgumentError unless the padding mode exists."""
    if is_among(mode, PADDING_MODES):
        return
    known = ", ".join(f'padding_mode="{item}"' for item in PADDING_MODES)
    raise ArgumentError(
        f"{op}: padding_mode {mode!r} is not available\n"
        f"  Use {known}, or pad the input beforehand with numpy.pad."
    )


def resolve_padding(
    op: str,
    value: Any,
    spans: tuple[int, ...],
    strides: tuple[int, ...],
    input_size: Sequence[int] | None,
) -> Pairs:
    """Returns the padding `(low, high)` of each dimension.

    A sequence of one int stands for all dimensions. One of a pair does not: of two
    dimensions `((1, 2),)` may be meant as `(1, 2)`.
    """
    if isinstance(value, str):
        return _named_padding(op, value, spans, strides, input_size)
    rank = len(spans)
    pairs = _pairs(op, value, rank)
    if any(abs(side) > LONGEST for pair in pairs for side in pair):
        raise ArgumentError(
            f"{op}: padding is {value}, more than an axis can be long\n"
            f"  Pass at most {LONGEST}."
        )
    return pairs


def _pairs(op: str, value: Any, rank: int) -> Pairs:
    single = index_of(value)
    if single is not None:
        return ((single, single),) * rank
    try:
        given = list(value)
    except TypeError:
        given = [None]
    items = [_pair(item) for item in given]
    pairs = tuple(item for item in items if item is not None)
    if len(given) == 1 and index_of(given[0]) is not None:
        return pairs * rank
    if len(pairs) != len(items) or len(pairs) != rank:
        _refuse_padding(op, value, rank)
    return pairs


def _pair(value: Any) -> tuple[int, int] | None:
    single = index_of(value)
    if single is not None:
        return single, single
    try:
        low, high = (index_of(item) for item in value)
    except (TypeError, ValueError):
        return None
    return None if low is None or high is None else (low, high)


def _refuse_padding(op: str, value: Any, rank: int) -> NoReturn:
    ints = "1" if rank == 1 else "(" + ", ".join(["1"] * rank) + ")"
    pairs = "((1, 2),)" if rank == 1 else "(" + ", ".join(["(1, 2)"] * rank) + ")"
    raise ArgumentError(
        f"{op}: padding {value!r} does not fit {dimensions(rank)}\n"
        f"  {_PADDING_REMEDY.format(ints=ints, pairs=pairs)}"
    )


def _named_padding(
    op: str,
    name: str,
    spans: tuple[int, ...],
    strides: tuple[int, ...],
    input_size: Sequence[int] | None,
) -> Pairs:
    match name:
        case "valid":
            return ((0, 0),) * len(spans)
        case "full":
            return tuple((span - 1, span - 1) for span in spans)
        case "causal":
            return tuple((span - 1, 0) for span in spans)
        case "same" | "same_lower":
            totals = _same_totals(op, spans, strides, input_size)
            pairs = tuple((total // 2, total - total // 2) for total in totals)
            if name == "same":
                return pairs
            return tuple((high, low) for low, high in pairs)
    known = ", ".join(f'"{item}"' for item in PADDINGS)
    raise ArgumentError(
        f"{op}: padding {name!r} is not known\n"
        f"  Use one of {known}, or numbers such as padding=1."
    )


def _same_totals(
    op: str,
    spans: tuple[int, ...],
    strides: tuple[int, ...],
    input_size: Sequence[int] | None,
) -> list[int]:
    """Returns the padding that gives `ceil(input/stride)` outputs, as TensorFlow's."""
    if input_size is None:
        if all(step == 1 for step in strides):
            return [span - 1 for span in spans]
        raise ArgumentError(
            f'{op}: padding "same" with stride {strides} needs the input\'s size\n'
            "  Pass the padding as numbers."
        )
    return [
        max((-(-size // step) - 1) * step + span - size, 0)
        for size, step, span in zip(input_size, strides, spans, strict=True)
    ]
