"""Makes code in the form of well-known courses callable as plain functions.

The form passes options in a dictionary and hands a `cache` from the forward to the
backward function:

    conv_forward_naive(x, w, b, {"stride": 1, "pad": 0}) -> (out, cache)
    conv_backward_naive(dout, cache) -> (dx, dw, db)

Where the first parameter is called `A_prev`, the channels are the last axis of images,
the filter has shape (r, s, c, k) and the bias (1, 1, 1, k).

This module needs nothing but NumPy, so that its text can stand in a script.
"""

import inspect
import types
from collections.abc import Callable
from typing import Any

import numpy as np

# Of several pairs of functions, such as conv_forward_naive and conv_forward_fast, the
# first of these endings is taken, then the first in the order of the alphabet.
ENDINGS = ("_naive", "", "_fast")
# The number of parameters of forward and backward, by the names' beginning.
PAIRS = {"conv": (4, 2), "max_pool": (2, 2), "pool": (3, 3), "relu": (1, 2)}
# What the names of an operation's functions begin with.
STEMS = {
    "conv": ("conv", "conv2d"),
    "max_pool": ("max_pool", "maxpool", "max_pool2d", "maxpool2d"),
    "pool": ("pool",),
    "relu": ("relu",),
}
NEUTRAL = {
    "dilation": 1,
    "groups": 1,
    "ceil_mode": False,
    "count_include_pad": True,
    "divisor_override": None,
}
LIMITS = (
    *("rank 1", "rank 3", "groups", "dilation", "flip", "layout", "ceil_mode"),
    *("stride per dimension", "padding per dimension"),
    *("padding per side", "negative padding", "padding by name"),
    *("no image axis", "count_include_pad", "divisor_override"),
)


def adapt(module: Any) -> types.SimpleNamespace:
    """Returns what `module` offers in the course's form, as functions of one form."""
    makers = {"conv": _conv, "max_pool": _pool, "relu": _relu}
    functions: dict[str, Any] = {}
    for name, make in makers.items():
        pair = find(module, name)
        if pair is not None:
            functions |= dict(zip((name, f"{name}_backward"), make(*pair), strict=True))
    modes = find(module, "pool")
    for mode in ("max", "average") if modes is not None else ():
        pair = _pool(*_in_mode(mode, *(modes or ())))
        name = f"{mode[:3].replace('ave', 'avg')}_pool"
        functions.setdefault(name, pair[0])
        functions.setdefault(f"{name}_backward", pair[1])
    reason = "the form with conv_param and cache has no place for it"
    if functions:
        functions["UNSUPPORTED"] = dict.fromkeys(LIMITS, reason)
    return types.SimpleNamespace(**functions)


def find(module: Any, name: str) -> tuple[Callable[..., Any], ...] | None:
    """Returns the forward and backward function of an operation, None without both."""
    return next(filter(None, (_find(module, name, s) for s in STEMS[name])), None)


def _find(module: Any, name: str, stem: str) -> tuple[Callable[..., Any], ...] | None:
    start = f"{stem}_forward"
    found = [
        key.removeprefix(start)
        for key in dir(module)
        if key.startswith(start)
        and _is_pair(module, name, stem, key.removeprefix(start))
    ]
    order = {ending: place for place, ending in enumerate(ENDINGS)}
    if not found:
        return None
    ending = min(found, key=lambda text: (order.get(text, len(order)), text))
    return tuple(getattr(module, f"{stem}_{way}{ending}") for way in _WAYS)


_WAYS = ("forward", "backward")


def _is_pair(module: Any, name: str, stem: str, ending: str) -> bool:
    functions = [getattr(module, f"{stem}_{way}{ending}", None) for way in _WAYS]
    return all(map(_takes, functions, PAIRS[name]))


def _takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many positional arguments."""
    if not callable(function):
        return False
    try:
        inspect.signature(function).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True


def _conv(forward: Any, backward: Any) -> tuple[Callable[..., Any], ...]:
    if "A_prev" in inspect.signature(forward).parameters:
        forward, backward = _channels_last(forward, backward)

    def run(x: Any, w: Any, b: Any, options: dict[str, Any]) -> tuple[Any, Any]:
        stride = options.pop("stride", 1)
        padding = options.pop("padding", 0)
        _refuse(x, options, stride=stride, padding=padding)
        if b is None:
            b = np.zeros(len(w), x.dtype)
        return _pair(forward, x, w, b, {"stride": stride, "pad": padding})

    def conv(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        return run(x, w, b, options)[0]

    def conv_backward(dy: Any, x: Any, w: Any, **options: Any) -> Any:
        return backward(dy, run(x, w, None, options)[1])

    return conv, conv_backward


def _channels_last(forward: Any, backward: Any) -> tuple[Callable[..., Any], ...]:
    """The same functions with the channels where the others have them.

    The operands are views, so that what is written to them is noticed.
    """

    def conv_forward(x: Any, w: Any, b: Any, options: Any) -> tuple[Any, Any]:
        filters = w.transpose(2, 3, 1, 0)
        bias = b.reshape(1, 1, 1, -1)
        out, cache = _pair(forward, x.transpose(0, 2, 3, 1), filters, bias, options)
        return np.moveaxis(out, -1, 1), cache

    def conv_backward(dout: Any, cache: Any) -> tuple[Any, Any, Any]:
        dx, dw, db = backward(dout.transpose(0, 2, 3, 1), cache)
        return np.moveaxis(dx, -1, 1), dw.transpose(3, 2, 0, 1), np.ravel(db)

    return conv_forward, conv_backward


def _pool(forward: Any, backward: Any) -> tuple[Callable[..., Any], ...]:
    def run(x: Any, kernel_size: Any, options: dict[str, Any]) -> tuple[Any, Any]:
        height, width = np.broadcast_to(kernel_size, (2,)).tolist()
        stride = options.pop("stride", None)
        if stride is None:
            stride = kernel_size
        if options.pop("padding", 0) != 0:
            raise NotImplementedError("pool_param has no padding")
        _refuse(x, options, stride=stride)
        sizes = {"pool_height": height, "pool_width": width, "stride": stride}
        return _pair(forward, x, sizes)

    def pool(x: Any, kernel_size: Any, **options: Any) -> Any:
        return run(x, kernel_size, options)[0]

    def pool_backward(dy: Any, x: Any, kernel_size: Any, **options: Any) -> Any:
        if isinstance(x, tuple):  # average pooling is given the shape alone
            x = np.ones(x, dy.dtype)
        return backward(dy, run(x, kernel_size, options)[1])

    return pool, pool_backward


def _in_mode(mode: str, forward: Any, backward: Any) -> tuple[Callable[..., Any], ...]:
    """A pair with a mode, for images with the channels last, as one without it."""

    def pool_forward(x: Any, sizes: dict[str, Any]) -> tuple[Any, Any]:
        if sizes["pool_height"] != sizes["pool_width"]:
            raise NotImplementedError("hparameters has one number for f")
        options = {"f": sizes["pool_height"], "stride": sizes["stride"]}
        out, cache = _pair(forward, x.transpose(0, 2, 3, 1), options, mode)
        return np.moveaxis(out, -1, 1), cache

    def pool_backward(dout: Any, cache: Any) -> Any:
        return np.moveaxis(backward(dout.transpose(0, 2, 3, 1), cache, mode), -1, 1)

    return pool_forward, pool_backward


def _relu(forward: Any, backward: Any) -> tuple[Callable[..., Any], ...]:
    def relu(x: Any) -> Any:
        return _pair(forward, x)[0]

    def relu_backward(dy: Any, x: Any) -> Any:
        return backward(dy, _pair(forward, x)[1])

    return relu, relu_backward


def _refuse(x: Any, options: dict[str, Any], **single: Any) -> None:
    """Raises NotImplementedError for what the form cannot say."""
    if np.ndim(x) != 4:
        raise NotImplementedError("the form is for x of shape (n, c, h, w) only")
    for name, value in single.items():
        if not isinstance(value, int):
            raise NotImplementedError(f"the form has one number for {name}")
        if value < 0:
            raise NotImplementedError(f"the form has no negative {name}")
    for name, value in options.items():
        if name not in NEUTRAL or value != NEUTRAL[name]:
            raise NotImplementedError(f"the form has no {name}")


def _pair(forward: Any, *arguments: Any) -> tuple[Any, Any]:
    """Calls a forward function; what is no (out, cache) must not be taken apart."""
    result = forward(*arguments)
    if not isinstance(result, tuple | list) or len(result) != 2:
        kind = type(result).__name__
        raise RuntimeError(f"{forward.__name__} returned {kind}, not (out, cache)")
    return result[0], result[1]
