"""What layers do alike with their arguments: sizes, checks, first weights."""

import math
import operator
from collections.abc import Set
from typing import Any

import numpy as np

from rot180 import ops
from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.nn._key import Key
from rot180.nn._state_dict import Array

_FLOATING = ("float32", "float64")
Size = int | tuple[int, ...]
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]


def kaiming_uniform(
    key: Key, shape: tuple[int, ...], biases: int | None, dtype: str
) -> dict[str, Array]:
    """Weight and bias, drawn as PyTorch does: Kaiming's uniform with a = sqrt(5).

    Both weight and bias are even on `(-1/sqrt(fan), 1/sqrt(fan))`, where `fan` is the
    product of all extents of the weight but the first.
    """
    fan = math.prod(shape[1:])
    bound = 1 / math.sqrt(fan) if fan else 0.0
    arrays = {"weight": key.fold("weight").uniform(shape, -bound, bound, dtype)}
    if biases is not None:
        arrays["bias"] = key.fold("bias").uniform((biases,), -bound, bound, dtype)
    return arrays


def sizes(module: Any, name: str, value: Size) -> tuple[int, ...]:
    """One number for each of the module's dimensions; one in a tuple is for all.

    Raises:
        ArgumentError: `value` has another number of them, or they are not positive
            integers.
    """
    rank: int = module.rank
    if _is_count(value):
        return (operator.index(value),) * rank  # type: ignore[arg-type]
    if not isinstance(value, tuple | list) or not all(map(_is_count, value)):
        raise ArgumentError(
            f"{type(module).__name__}: {name}={value!r} is not a positive integer or a "
            "tuple of them\n"
            f"  Pass one number, or one for each of the {rank} dimensions."
        )
    if len(value) not in (1, rank):
        raise ArgumentError(
            f"{type(module).__name__}: {name}={value} has {len(value)} numbers, not "
            f"{rank}\n  Pass one number, or one for each of the {rank} dimensions."
        )
    return tuple(map(operator.index, value)) * (rank // len(value))


def check_sizes(module: Any, *names: str) -> None:
    """Refuse attributes that are not one positive integer for each dimension."""
    for name in names:
        sizes(module, name, getattr(module, name))


def check_positive(module: Any, *names: str, zero: bool = False) -> None:
    """Refuse attributes that are not positive integers, or zero where that is allowed.

    Raises:
        ArgumentError: One of them is not.
    """
    for name in names:
        value = getattr(module, name)
        if not _is_count(value, least=0 if zero else 1):
            raise ArgumentError(
                f"{type(module).__name__}: {name}={value!r} is not a positive integer"
                + " or 0" * zero
            )


def _is_count(value: object, *, least: int = 1) -> bool:
    number = ops.index_of(value)
    return number is not None and least <= number <= ops.LONGEST


def check_rank(module: Any, x: Any, channels: str | None = None) -> None:
    """Refuse what is neither images nor one image of the module's dimensions.

    Args:
        module: It says how many dimensions.
        x: What it is applied to.
        channels: The attribute that says how many channels `x` must have, if any does.
    """
    check_axes(module, x, {module.rank + 1, module.rank + 2})
    if channels is not None:
        check_channels(module, x, -module.rank - 1, channels)


def check_axes(module: Any, x: Any, allowed: Set[int]) -> None:
    """Refuse an `x` with a number of axes that is not allowed.

    Raises:
        ArgumentError: It is no array.
        ShapeError: It has another number.
    """
    name = type(module).__name__
    if not hasattr(x, "shape"):
        raise ArgumentError(
            f"{name}: x is no array but a {type(x).__name__}\n"
            "  Pass numpy.asarray(x, numpy.float32)."
        )
    if len(x.shape) in allowed:
        return
    axes = " or ".join(map(str, sorted(allowed)))
    remedy = "Axes are images, channels, then the spatial dimensions"
    if len(x.shape) + 1 in allowed:
        remedy += "; x[None] is one image, x[:, None] has one channel"
    raise ShapeError(
        f"{name}: x has {len(x.shape)} axes, not {axes}\n"
        f"    x has shape {tuple(x.shape)}\n"
        f"  {remedy}."
    )


def check_channels(module: Any, x: Any, axis: int, name: str) -> None:
    """Refuse an `x` whose extent along `axis` is not the module's attribute `name`.

    Raises:
        ShapeError: It is another.
    """
    wanted, found = getattr(module, name), x.shape[axis]
    if found == wanted:
        return
    remedy = f"Make the layer with {name}={found}, or pass x with {wanted}"
    if wanted == 1 and len(x.shape) + axis == 0:
        remedy = f"For {found} images without an axis of channels pass x[:, None]"
    raise ShapeError(
        f"{type(module).__name__}: x has {found} channels, not {name}={wanted}\n"
        f"    x has shape {tuple(x.shape)}, channels on axis {len(x.shape) + axis}\n"
        f"  {remedy}."
    )


def check_same_dtype(module: Any, x: Any, w: Any) -> None:
    """Refuse an `x` whose dtype is not that of the parameters.

    Raises:
        DTypeError: It is another.
    """
    found, wanted = getattr(x, "dtype", None), np.dtype(w.dtype).name
    if not isinstance(found, np.dtype) or found.name == wanted:
        return
    remedy = f'Pass x.astype("{wanted}")'
    if found.name in _FLOATING:
        remedy += f', or make the layer with dtype="{found.name}"'
    raise DTypeError(
        f"{type(module).__name__}: x is {found.name}, the parameters are {wanted}\n"
        f"  {remedy}."
    )


def check_dtype(module: Any) -> None:
    """Refuse a dtype that parameters cannot have.

    Raises:
        ArgumentError: It is neither float32 nor float64.
    """
    if not ops.is_among(module.dtype, _FLOATING):
        raise ArgumentError(
            f"{type(module).__name__}: dtype={module.dtype!r} is not available\n"
            '  Use "float32" or "float64".'
        )


def check_flags(module: Any, *names: str) -> None:
    """Refuse attributes that are neither true nor false."""
    flags = {name: getattr(module, name) for name in names}
    ops.check_flags(type(module).__name__, **flags)


def check_number(
    module: Any, name: str, *, least: float = 0.0, most: float = math.inf
) -> None:
    """Refuse an attribute that is no finite number from `least` to `most`.

    Raises:
        ArgumentError: It is not.
    """
    value = getattr(module, name)
    is_number = isinstance(value, int | float | np.number)
    if is_number and least <= value <= most and math.isfinite(value):
        return
    upper = f" to {most:g}" if most < math.inf else ""
    raise ArgumentError(
        f"{type(module).__name__}: {name}={value!r} is not a number from "
        f"{least:g}{upper}"
    )
