"""The features of a case, one at a time: a case that has just one, or has them not."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from rot180.check.cases._case import (
    CONV,
    KINDS,
    POOL,
    Case,
    Kind,
    altered,
    fitted,
    make,
    parameters,
)
from rot180.check.cases._dtypes import DTYPES
from rot180.ops import PADDINGS

__all__ = [
    "CORE", "LOUD", "SHARED", "alone", "known_features", "plain", "variants", "without",
]  # fmt: skip

# Options of everyday use: an error that is no `raise` of the subject's is none of its
# refusals.
CORE: Final = ("bias", "stride", "padding", "output_padding")
# Options that the passes of an operation have together: an error that is no `raise` of
# the subject's is a refusal by none if one has them.
SHARED: Final = frozenset({"dilation", "groups", "flip", "layout", "ceil_mode"})
# What many refuse in any words, or answer in another shape; that is not silent, so it
# is not held against them.
LOUD: Final = frozenset({"no images", "no image axis", "extent 0", "negative padding"})

# What code may be limited to, by what it then lacks; an error of any kind says so.
_LIMITS: Final = (
    ("image axis",),
    ("kernel other than 3",),
    ("not depthwise",),
    ("several filters in a group",),
    ("not depthwise", "several filters in a group"),
    ("channels no multiple of 4",),
    ("stride other than the kernel",),
)
# The same, of what is so plain that only the code's own words say that it lacks it.
_DECLARED: Final = (("no bias",), ("padding other than 1",))

# So many of them at most, with another dtype or rank, are looked for together.
_TOGETHER: Final = 3

# The cases for features that are no parameter of their own, or need another one; a
# parameter's feature is shown by its second level.
_ALONE: Final[dict[str, dict[str, Any]]] = {
    "output_padding": {"output_padding": 1, "stride": 2},
    "remainder": {"stride": 2, "extra": 1},
    "padding per side": {"padding": (1, 0)},
    "negative padding": {"padding": (-1, -1), "extra": 4},
    "padding by name": {"padding": "same", "kernel_size": 3},
    **{f"padding {word}": {"padding": word, "kernel_size": 3} for word in PADDINGS},
    "same padding with a stride": {"padding": "same", "kernel_size": 3, "stride": 2},
    "image not square": {"extra": (2, 3, 4)},
    "kernel not square": {"kernel_size": (2, 3, 4)},
    "no image axis": {"images": None},
    "no images": {"images": 0},
    "extent 0": {"padding": (2, 2), "extra": 0},
}


def known_features() -> tuple[str, ...]:
    """Returns the names of all features, in the order of the alphabet."""
    table = [known for kind in KINDS for known in parameters(kind)]
    named = {p.feature for p in table if p.feature and p.feature != "dtype"}
    given = {p.name for p in table if p.each and p.option != "no"} | {"kernel_size"}
    alike = {f"{name} per dimension" for name in given}
    limits = itertools.chain(*_LIMITS, *_DECLARED)
    others = {*DTYPES, *limits, *_ALONE}
    return tuple(sorted(named | alike | others | {f"rank {r}" for r in (1, 2, 3)}))


def plain(kind: Kind, *, rank: int = 2, **given: Any) -> Case:
    """Returns a small case with nothing in it but what is given."""
    known = {p.name for p in parameters(kind)}
    values = {"kernel_size": 2, "extra": 2, "in_group": 2, "out_group": 3, "images": 2}
    kept = {name: v for name, v in (values | given).items() if name in known}
    return make(kind, rank=rank, **kept)


def variants(case: Case, lacks: set[str], *, declared: bool) -> Iterator[Case]:
    """Yields plain cases of what code may be limited to, the least limited first.

    Args:
        case: Of the operation, dtype and rank to begin with.
        lacks: What it is known to lack.
        declared: Whether the code refused in words of its own.
    """
    had = plain(case.kind, dtype=case.dtype).features()
    names = (*_LIMITS, *_DECLARED) if declared else _LIMITS
    limits = [set(name) & had for name in (*names, (case.dtype,)) if set(name) & had]
    for count in range(_TOGETHER + 1):
        for rank in (case.rank, *({2, 1, 3} - {case.rank})):
            base = plain(case.kind, rank=rank, dtype=case.dtype)
            others = count - (rank != case.rank)
            for joined in itertools.combinations(limits, others) if others >= 0 else ():
                yield without(base, lacks.union(*joined))


def alone(feature: str, case: Case) -> Case | None:
    """Returns a case of the same rank and dtype with just this feature.

    None if there is none, as for a rank, which cannot be told from the case.
    """
    values = _ALONE.get(feature)
    name = feature.removesuffix(" per dimension")
    if name != feature:
        first, second = ((0, 0), (1, 1)) if name == "padding" else (1, 2)
        values = {name: (first, *(second,) * (case.rank - 1))}
        if name == "output_padding":
            values["stride"] = 3
    if values is None:
        found = [p for p in parameters(case.kind) if p.feature == feature]
        if not found or feature == "dtype":
            return None
        values = {found[0].name: found[0].levels[1]}
    for name in {"extra", "kernel_size"} & values.keys():  # one for each dimension
        if isinstance(values[name], tuple):
            values = values | {name: values[name][: case.rank]}
    single = plain(case.kind, rank=case.rank, dtype=case.dtype, **values)
    return single if feature in single.features() else None


def without(case: Case, features: set[str]) -> Case:
    """Returns the nearest case that uses none of these features."""
    for known in parameters(case.kind):
        if known.feature in features & case.features():
            case = altered(case, known.name, known.neutral_in(case.rank))
    case = _equal(case, features)
    if features & {"no image axis", "no images"} & case.features():
        case = replace(case, images=1)
    if "image axis" in features:
        case = replace(case, images=None)
    allowed = [dtype for dtype in DTYPES if dtype not in features]
    if case.dtype in features and allowed:  # of two, both are to occur
        wide = case.dtype == "float64"
        case = replace(case, dtype=allowed[-1 if wide else 0])
    case = _limited(case, features)
    case = fitted(_padded_plainly(case, features))
    if "stride other than the kernel" in features and case.kind in POOL:
        case = fitted(replace(case, stride=case.kernel_size))
    if "image not square" in features:
        wider = tuple(max(case.size) - extent for extent in case.size)
        more = tuple(e + w for e, w in zip(case.extra, wider, strict=True))
        case = fitted(replace(case, extra=more))
    if "remainder" in features:
        rest = zip(case.extra, case.remainder(), case.stride, strict=True)
        less = tuple(e - r if e >= r else e - r + step for e, r, step in rest)
        case = fitted(replace(case, extra=less))
    if "extent 0" in features and 0 in case.size:
        case = replace(case, extra=tuple(extra + 1 for extra in case.extra))
    return case


def _limited(case: Case, features: set[str]) -> Case:
    """Returns the case with the kernel and the channels that the code is limited to."""
    if "kernel other than 3" in features:
        case = replace(case, kernel_size=(3,) * case.rank)
    if "kernel not square" in features:
        case = replace(case, kernel_size=case.kernel_size[:1] * case.rank)
    if case.kind not in CONV:
        return case
    if "no bias" in features:
        case = replace(case, bias=True)
    if "not depthwise" in features:
        groups = case.groups if case.groups > 1 else max(case.in_group, 2)
        case = replace(case, groups=groups, in_group=1)
    if "several filters in a group" in features:
        case = replace(case, out_group=1)
    if "channels no multiple of 4" in features:
        one = {"not depthwise", "several filters in a group"} & features
        names = ("groups",) if one else ("in_group", "out_group")
        up = {name: -(-getattr(case, name) // 4) * 4 for name in names}
        case = replace(case, **up)
    return case


def _equal(case: Case, features: set[str]) -> Case:
    """Returns the case with options alike in all dimensions, where they have to be."""
    for feature in features & case.features():
        name = feature.removesuffix(" per dimension")
        if name != feature:
            case = altered(case, name, (getattr(case, name)[0],) * case.rank)
    return case


def _padded_plainly(case: Case, features: set[str]) -> Case:
    if "padding other than 1" in features and case.kind in CONV:
        return replace(case, padding=((1, 1),) * case.rank)
    if isinstance(case.padding, str):
        named = {"padding by name", f"padding {case.padding}"}
        lacked = {*named, "same padding with a stride"} & features & case.features()
        return replace(case, padding=((0, 0),) * case.rank) if lacked else case
    pads = case.padding
    if "negative padding" in features:
        pads = tuple((max(low, 0), max(high, 0)) for low, high in pads)
    if "padding per side" in features:
        pads = tuple((low, low) for low, _ in pads)
    return replace(case, padding=pads)
