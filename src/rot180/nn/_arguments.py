"""What layers do alike with their arguments: sizes, checks, first weights."""

import math
import operator
from collections.abc import Set
from typing import Any

from rot180.errors import ArgumentError, ShapeError
from rot180.nn._key import Key
from rot180.nn._module import Array

Size = int | tuple[int, ...]
Padding = int | str | tuple[int, ...] | tuple[tuple[int, int], ...]


def kaiming_uniform(
    key: Key, shape: tuple[int, ...], biases: int, dtype: str
) -> dict[str, Array]:
    """Weight and bias, drawn as PyTorch does: Kaiming's uniform with a = sqrt(5).

    Both weight and bias are even on `(-1/sqrt(fan), 1/sqrt(fan))`, where `fan` is the
    product of all extents of the weight but the first.
    """
    fan = math.prod(shape[1:])
    bound = 1 / math.sqrt(fan) if fan else 0.0
    arrays = {"weight": key.fold("weight").uniform(shape, -bound, bound, dtype)}
    if biases:
        arrays["bias"] = key.fold("bias").uniform((biases,), -bound, bound, dtype)
    return arrays


def sizes(module: Any, name: str, value: Size) -> tuple[int, ...]:
    """One number for each of the module's dimensions.

    Raises:
        ArgumentError: `value` has another number of them, or they are not positive
            integers.
    """
    rank: int = module.rank
    if _is_positive(value):
        return (operator.index(value),) * rank  # type: ignore[arg-type]
    if not isinstance(value, tuple | list) or not all(map(_is_positive, value)):
        raise ArgumentError(
            f"{type(module).__name__}: {name}={value!r} is not a positive integer or a "
            "tuple of them\n"
            f"  Pass one number, or one for each of the {rank} dimensions."
        )
    if len(value) != rank:
        raise ArgumentError(
            f"{type(module).__name__}: {name}={value} has {len(value)} numbers, not "
            f"{rank}\n  Pass one number, or one for each of the {rank} dimensions."
        )
    return tuple(value)


def check_sizes(module: Any, *names: str) -> None:
    """Refuse attributes that are not one positive integer for each dimension."""
    for name in names:
        sizes(module, name, getattr(module, name))


def check_positive(module: Any, *names: str) -> None:
    """Refuse attributes that are not positive integers.

    Raises:
        ArgumentError: One of them is not.
    """
    for name in names:
        value = getattr(module, name)
        if not _is_positive(value):
            raise ArgumentError(
                f"{type(module).__name__}: {name}={value!r} is not a positive integer"
            )


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return False
    return operator.index(value) > 0


def check_rank(module: Any, x: Any) -> None:
    """Refuse what is neither images nor one image of the module's dimensions."""
    check_axes(module, x, {module.rank + 1, module.rank + 2})


def check_axes(module: Any, x: Any, allowed: Set[int]) -> None:
    """Refuse an `x` with a number of axes that is not allowed.

    Raises:
        ShapeError: It has another number.
    """
    if len(x.shape) not in allowed:
        axes = " or ".join(map(str, sorted(allowed)))
        raise ShapeError(
            f"{type(module).__name__}: x has {len(x.shape)} axes, not {axes}\n"
            f"    x has shape {x.shape}\n"
            "  Axes are images, channels, then the spatial dimensions."
        )
