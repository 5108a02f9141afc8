"""What a public call would run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rot180 import autograd, ops, runtime
from rot180.errors import ArgumentError


def plan(function: Callable[..., Any], *args: Any, **options: Any) -> runtime.Plan:
    """What `function(*args, **options)` would run, and why.

    Args:
        function: A public function, such as `rot180.conv`.
        args: Its operands, arrays.
        options: Its options.

    Returns:
        The plan of the first kernel that the call runs; `print` it, or read its `tile`,
        `program`, `ir` and `assembly`.

    Raises:
        ShapeError, DTypeError, ArgumentError: As `function` does.
    """
    if not callable(function):
        raise ArgumentError(
            f"plan: a {type(function).__name__} is no function\n"
            "  Pass a function such as rot180.conv, and arrays."
        )
    for op, types in autograd.steps_of(function, *args, **options):
        if not isinstance(op, _MOVING):
            return runtime.plan_of(op, *types)
    raise ArgumentError(
        f"plan: {getattr(function, '__name__', function)} runs no kernel\n"
        "  Pass a function such as rot180.conv, and arrays."
    )


_MOVING = (ops.Reshape, ops.Identity, ops.StopGradient, ops.Full)
