"""Where in the output the wrong numbers are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rot180.check.cases import Case
from rot180.check.diagnose._mistake import Seen
from rot180.check.diagnose._sums import Array

__all__ = ["place"]

_AXES: Final = {1: ("position",), 2: ("row", "column"), 3: ("plane", "row", "column")}
_LANES: Final = (4, 8, 16)
_WIDEST: Final = 3
# The part of a region's numbers that has to be wrong, on average over its places.
_MOST: Final = 0.5
_CHANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class _Region:
    """A part of an output by a rule along one axis; the rule returns the places."""

    text: str
    rule: Callable[[Case, int], slice]
    axis: int


def _places(begin: int, end: int | None = None) -> Callable[[Case, int], slice]:
    return lambda case, extent: slice(begin, end)


def _behind_lanes(lanes: int) -> Callable[[Case, int], slice]:
    return lambda case, extent: slice(extent // lanes * lanes, None)


def _behind_group(case: Case, extent: int) -> slice:
    return slice(extent // case.groups, None)


def _along(axis: int, name: str) -> Iterator[_Region]:
    """Yields the regions along one axis, small ones first."""
    for count in range(1, _WIDEST + 1):
        plural = f"{count} {name}s" if count > 1 else name
        yield _Region(f"only the last {plural}", _places(-count), axis)
        yield _Region(f"only the first {plural}", _places(0, count), axis)


def _regions(output: str, rank: int) -> Iterator[_Region]:
    names = _AXES.get(rank, tuple(f"position along axis {d}" for d in range(rank)))
    is_filter, is_vector = output in ("dw", "gw"), output == "db"
    for d, name in enumerate(() if is_vector else names):
        yield from _along(2 + d, f"filter {name}" if is_filter else name)
    channels = 0 if is_filter or is_vector else 1
    if not is_filter and not is_vector:
        yield from _along(0, "image")
        yield _Region("all images but the first", _places(1), 0)
    yield from _along(channels, "filter" if is_filter else "channel")
    if is_filter:
        yield from _along(1, "channel")
    yield _Region("all groups but the first", _behind_group, channels)
    for lanes in _LANES:
        text = f"only the channels past a multiple of {lanes}"
        yield _Region(text, _behind_lanes(lanes), channels)


def place(seen: Sequence[Seen]) -> tuple[str, int] | None:
    """Returns where the wrong numbers are, and in how many failures.

    The smallest region that holds all wrong numbers of every failure, and is wrong in
    all its places and most of its numbers, among the edges of each axis, the rim and
    the later images, channels and groups. None if there is none, or if it is all there
    is in most of the failures.
    """
    masks = [(one, np.asarray(one.got != one.expected)) for one in seen]
    masks = [(one, mask) for one, mask in masks if mask.any()]
    if not masks:
        return None
    found = []
    for number, region in enumerate(_regions(seen[0].output, seen[0].case.rank)):
        parts = [_part(region, one, mask) for one, mask in masks]
        telling = [part for part in parts if part is not None and part < 1]
        if None not in parts and len(telling) * 2 > len(masks):
            found.append((sum(telling) / len(telling), number, region.text))
    if found:
        text = min(found)[2]
        return f"{text}{_verb(text)}", len(masks)
    return _rim(masks)


def _verb(text: str) -> str:
    plural = text.endswith("s") or "channels" in text or "groups" in text
    return " are wrong" if plural or text.startswith("all") else " is wrong"


def _part(region: _Region, one: Seen, mask: Array) -> float | None:
    """Returns how much of the output the region is; None if it is not what is wrong.

    Then a wrong number lies outside, or too much in it is right to call it wrong.
    """
    if region.axis >= mask.ndim:
        return None
    extent = mask.shape[region.axis]
    inside = np.zeros(extent, np.bool_)
    inside[region.rule(one.case, extent)] = True
    others = tuple(a for a in range(mask.ndim) if a != region.axis)
    if not np.array_equal(mask.any(axis=others), inside):
        return None
    if mask.mean(axis=others)[inside].mean() <= _MOST:
        return None
    return float(inside.mean())


def _rim(masks: Sequence[tuple[Seen, Array]]) -> tuple[str, int] | None:
    """Returns the rim if all wrong numbers are within one place of an edge.

    That may be chance, where there are few and the rim is wide; then it is not told.
    """
    if masks[0][0].output in ("dw", "gw", "db"):
        return None
    telling, chance = 0, 1.0
    for _, mask in masks:
        inner: Any = (..., *(slice(1, -1),) * (mask.ndim - 2))
        core = mask[inner]
        if core.any():
            return None
        telling += core.size > 0 and math.prod(mask.shape[2:]) > 2
        chance *= (1 - core.size / mask.size) ** int(mask.sum())
    if telling * 2 <= len(masks) or chance > _CHANCE:
        return None
    return "only numbers at the border are wrong", len(masks)
