"""From named arrays, such as another framework wrote, to a module's own trees."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np

from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
Params = dict[str, Any]
"""A tree of arrays: a module's own by name, and one tree per child."""

# PyTorch counts batches since 0.4.1; before, files went without.
_LATER: Final = "num_batches_tracked"
_MOST_SHOWN: Final = 20


def check_names(owner: str, names: list[str], arrays: Any) -> None:
    """Refuse arrays under other names than a module's.

    Raises:
        ArgumentError: `arrays` is no mapping.
        DataError: A name is missing or unknown; the message says which, and whether
            a prefix or a dictionary around them is the trouble.
    """
    if not isinstance(arrays, Mapping):
        raise ArgumentError(
            f"{owner}: arrays is a {type(arrays).__name__}, not a dictionary\n"
            "  Pass what state_dict or rot180.train.load returns."
        )
    needed = [name for name in names if not _is_later(name)]
    missing = [name for name in needed if name not in arrays]
    unknown = [name for name in arrays if name not in names]
    if missing or unknown:
        raise DataError(
            f"{owner}: the names do not match this network\n"
            f"    missing: {_listed(missing)}\n"
            f"    unknown: {_listed(unknown)}\n"
            f"  {_remedy(needed, names, arrays)}"
        )


def _is_later(name: str) -> bool:
    return name.rpartition(".")[2] == _LATER


def _listed(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:_MOST_SHOWN])) or "none"
    more = len(names) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _remedy(needed: list[str], names: list[str], arrays: Mapping[Any, Any]) -> str:
    for name, value in arrays.items():
        if isinstance(value, Mapping) and set(needed) & {*value, *_tails(value)}:
            return f"The arrays stand inside {name!r}: pass arrays[{name!r}]."
    prefix = _prefix(needed, names, arrays)
    if prefix:
        return (
            f"All given names have the prefix {prefix!r}: pass "
            f"{{name.removeprefix({prefix!r}): a for name, a in arrays.items()}}."
        )
    given = [str(name) for name in arrays if not _is_later(str(name))]
    lacking = _prefix(given, None, needed)
    if lacking:
        return (
            f"The names lack the prefix {lacking!r}: pass "
            f"{{{lacking!r} + name: a for name, a in arrays.items()}}."
        )
    return "Pass the arrays of a network with the same layers, under their names."


def _tails(names: Iterable[Any]) -> set[str]:
    """Names without what stands before their first dot, such as `module.`."""
    return {str(name).partition(".")[2] for name in names}


def _prefix(
    wanted: list[str], known: list[str] | None, given: Iterable[Any]
) -> str | None:
    """Returns what, before each of `wanted`, makes it one of `given`, and no others."""
    texts = [str(name) for name in given]
    if not wanted:
        return None
    ends = [text for text in texts if text.endswith(f".{wanted[0]}")]
    for prefix in (text.removesuffix(wanted[0]) for text in ends):
        made = {prefix + name for name in (known or wanted)}
        if {prefix + name for name in wanted} <= {*texts} and {
            text for text in texts if not _is_later(text)
        } <= made:
            return prefix
    return None


def filled(tree: Params, arrays: Mapping[str, Any], prefix: str = "") -> Params:
    """Returns a tree like `tree`, holding `arrays` in its dtypes.

    Raises:
        DataError: A number is too large for its dtype.
        DTypeError: Something is no array of numbers.
        ShapeError: An array has another shape.
    """
    return {
        name: filled(value, arrays, f"{prefix}{name}.")
        if isinstance(value, dict)
        else _like(value, prefix + name, arrays.get(prefix + name, value))
        for name, value in tree.items()
    }


def _like(own: Array, name: str, value: Any) -> Array:
    given = _numbers(name, value)
    if given.shape != own.shape:
        raise ShapeError(
            f"{name} has shape {own.shape} in this network, "
            f"{given.shape} in the arrays given\n"
            "  Pass the arrays of a network with layers of the same sizes."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        converted = given.astype(own.dtype)
    if np.isfinite(given).all() and not np.isfinite(converted).all():
        raise DataError(
            f"{name} holds {given.flat[np.abs(given).argmax()]}, too large for "
            f"{own.dtype}\n  Give the layer dtype={given.dtype.name!r}."
        )
    return converted


def _numbers(name: str, value: Any) -> Array:
    """Returns an array of plain numbers; what only a framework has, as float32.

    Raises:
        DTypeError: It is none.
    """
    try:
        array = np.asarray(_detached(value))
        if array.dtype.kind in "fiub":
            return array
        if array.dtype.kind == "V" and array.dtype.names is None:
            return array.astype(np.float32)  # bfloat16 and its like
    except (TypeError, ValueError, RuntimeError) as error:
        raise _no_numbers(name, type(value).__name__) from error
    raise _no_numbers(name, f"dtype {array.dtype}")


def _detached(value: Any) -> Any:
    """A tensor of PyTorch, without its gradient and in a dtype that NumPy has."""
    value = value.detach().cpu() if hasattr(value, "detach") else value
    return (
        value.float() if str(getattr(value, "dtype", "")) == "torch.bfloat16" else value
    )


def _no_numbers(name: str, what: str) -> DTypeError:
    return DTypeError(
        f"{name} is no array of real numbers: {what}\n"
        "  Pass a NumPy array or a tensor of floating-point numbers."
    )
