"""The features of a case, one at a time: a case that has just one, or has them not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from rot180.check._case import POOL, Case, Kind, altered, make, parameters

__all__ = ["CORE", "alone", "plain", "without"]

# What every subject has to have; an error that looks like a refusal is none here.
CORE: Final = ("bias", "stride", "padding", "dilation", "groups", "output_padding")

# The cases for features that are no parameter of their own, or need another one; a
# parameter's feature is shown by its second level.
_ALONE: Final[dict[str, dict[str, Any]]] = {
    "output_padding": {"output_padding": 1, "stride": 2},
    "per dimension": {"stride": (1, 2)},
    "padding per side": {"padding": (1, 0)},
    "negative padding": {"padding": (-1, -1), "extra": 4},
    "padding by name": {"padding": "same", "kernel_size": 3},
    "no image axis": {"images": None},
    "no images": {"images": 0},
    "extent 0": {"padding": (2, 2), "extra": 0},
}


def plain(kind: Kind, *, rank: int = 2, **given: Any) -> Case:
    """Returns a small case with nothing in it but what is given."""
    known = {p.name for p in parameters(kind)}
    values = {"kernel_size": 2, "extra": 2, "in_group": 2, "out_group": 3, "images": 2}
    kept = {name: v for name, v in (values | given).items() if name in known}
    return make(kind, rank=rank, **kept)


def alone(feature: str, case: Case) -> Case | None:
    """Returns a case of the same rank and dtype with just this feature.

    None if there is none, as for a rank, which cannot be told from the case.
    """
    values = _ALONE.get(feature)
    if values is None:
        found = [p for p in parameters(case.kind) if p.feature == feature]
        if not found or feature == "dtype":
            return None
        values = {found[0].name: found[0].levels[1]}
    if values.get("stride") == (1, 2):
        values = {"stride": (1, *(2,) * (case.rank - 1))}
    single = plain(case.kind, rank=case.rank, dtype=case.dtype, **values)
    return single if feature in single.features() else None


def without(case: Case, features: set[str]) -> Case:
    """Returns the nearest case that uses none of these features."""
    for known in parameters(case.kind):
        if known.feature in features & case.features():
            value = (known.neutral,) * case.rank if known.each else known.neutral
            case = altered(case, known.name, value)
    if "per dimension" in features:
        case = _equal(case)
    if features & {"no image axis", "no images"} & case.features():
        case = replace(case, images=1)
    if case.dtype in features:
        case = replace(case, dtype="float64" if case.dtype == "float32" else "float32")
    case = _padded_plainly(case, features)
    if "extent 0" in features and 0 in case.size:
        case = replace(case, extra=tuple(extra + 1 for extra in case.extra))
    return case


def _equal(case: Case) -> Case:
    names = ["stride", "dilation", "output_padding", "padding"]
    if case.kind in POOL:
        names.append("kernel_size")
    for name in names:
        value = getattr(case, name)
        if not isinstance(value, str):
            case = altered(case, name, (value[0],) * case.rank)
    return case


def _padded_plainly(case: Case, features: set[str]) -> Case:
    if isinstance(case.padding, str):
        if "padding by name" in features:
            return replace(case, padding=((0, 0),) * case.rank)
        return case
    pads = case.padding
    if "negative padding" in features:
        pads = tuple((max(low, 0), max(high, 0)) for low, high in pads)
    if "padding per side" in features:
        pads = tuple((low, low) for low, _ in pads)
    return replace(case, padding=pads)
