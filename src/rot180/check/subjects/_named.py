"""Makes functions under other names, and on tensors, callable as plain functions.

Parameters are told by their names: `conv(image, kernel, pad)` is as good as
`conv(x, w, padding)`. A function of PyTorch or JAX, a `torch.autograd.Function` or a
`jax.custom_vjp`, gets arrays of its framework, and where nothing else computes its
gradients they are those that the framework derives. It is the subject that imports the
framework. This module needs nothing but NumPy, so that its text can stand in a
script.
"""

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

# Small letters, capital letters and underscores make no difference.
ALIASES = {
    "dy": ("dy", "dout", "grad", "gradoutput", "gradout", "dz", "g", "upstream"),
    "x": (
        *("x", "input", "inputs", "image", "images", "img", "a", "aprev", "data"),
        *("inp", "xs", "signal"),
    ),
    "w": (
        *("w", "weight", "weights", "kernel", "kernels", "filter", "filters", "k"),
        *("f", "filt"),
    ),
    "b": ("b", "bias", "biases"),
    "cache": ("cache", "caches", "saved", "memory"),
    "kernel_size": (
        *("kernelsize", "poolsize", "size", "ksize", "kernel", "k", "window"),
        *("windowsize", "pool", "f"),
    ),
    "stride": ("stride", "strides", "s"),
    "padding": ("padding", "pad", "p", "pads", "paddings"),
    "dilation": ("dilation", "dilations", "d", "dilationrate"),
    "groups": ("groups", "group", "g", "ngroups"),
}
NEUTRAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "ceil_mode": False}
OPERANDS = {
    "conv": ("x", "w", "b"),
    "max_pool": ("x", "kernel_size"),
    "avg_pool": ("x", "kernel_size"),
    "relu": ("x",),
}
WORDS = {
    "conv": ("conv", "correl"),
    "max_pool": ("maxpool",),
    "avg_pool": ("avgpool", "averagepool", "meanpool"),
    "relu": ("relu",),
}
OTHERS = ("transpose", "deconv", "backward", "grad", "back", "leaky", "bwd", "helper")


def adapt(
    module: Any, conv: str | None = None, backward: str | None = None
) -> types.SimpleNamespace:
    """Returns what `module` has of convolution, pooling and ReLU, in one form.

    Args:
        module: What has the functions as attributes, or the function itself.
        conv: The name of the convolution; None to find the only candidate.
        backward: The name of its backward pass.
    """
    functions: dict[str, Any] = {}
    for kind in OPERANDS:
        named = conv if kind == "conv" else None
        forward = find(module, kind) if named is None else getattr(module, named)
        if forward is not None:
            own = backward if kind == "conv" else None
            functions |= _pair(kind, forward, _backward(module, forward, own))
    if functions:
        functions["UNSUPPORTED"] = {}
    return types.SimpleNamespace(**functions)


def find(module: Any, kind: str) -> Any:
    """Returns the only function of an operation, None for none or several."""
    if callable(module):
        return module if _means(kind, _name(module)) and fits(kind, module) else None
    found = {
        name: getattr(module, name)
        for name in getattr(module, "__dict__", {})
        if _means(kind, name) and _is_own(module, getattr(module, name))
    }
    found = {name: value for name, value in found.items() if fits(kind, value)}
    return found.get(kind, next(iter(found.values())) if len(found) == 1 else None)


def _means(kind: str, name: str) -> bool:
    plain = _plain(name)
    return any(word in plain for word in WORDS[kind]) and not any(
        word in plain for word in OTHERS
    )


def _is_own(module: Any, value: Any) -> bool:
    """Whether a module defines a function, and does not only import it."""
    home = getattr(value, "__module__", None)
    return not isinstance(module, types.ModuleType) or home == module.__name__


def fits(kind: str, function: Any) -> bool:
    """Whether a function has parameters for the operands of an operation."""
    try:
        names = _parameters(function)
    except (TypeError, ValueError):
        return False
    needed = [name for name in OPERANDS[kind] if name != "b"]
    return needed == list(_roles(names, OPERANDS[kind]))[: len(needed)]


def is_function(value: Any) -> bool:
    """Whether it is a subclass of `torch.autograd.Function`."""
    names = (f"{b.__module__}.{b.__name__}" for b in getattr(value, "__mro__", ()))
    return "torch.autograd.function.Function" in names


def _parameters(function: Any) -> dict[str, inspect.Parameter]:
    if inspect.isclass(function) and not is_function(function):
        raise TypeError("a class is no function")
    code = function.forward if is_function(function) else function
    known = dict(inspect.signature(code).parameters)
    if is_function(function) and "setup_context" not in vars(function):
        known.pop(next(iter(known)))  # ctx
    return known


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _roles(names: Any, wanted: tuple[str, ...]) -> dict[str, str]:
    """Our names of a function's parameters, each with the function's own."""
    roles: dict[str, str] = {}
    for own in names:
        for role in (*wanted, "cache", "stride", "padding", "dilation", "groups"):
            if role not in roles and _plain(own) in ALIASES[role]:
                roles[role] = own
                break
    return roles


def _backward(module: Any, forward: Any, name: str | None) -> Any:
    """The function that goes with a forward function; None where there is none."""
    if name is not None:
        return getattr(module, name)
    own = getattr(forward, "__name__", "")
    stem = own.removesuffix("_forward")
    names = (f"{stem}_backward", f"{stem}_grad", f"{stem}_bwd", f"{stem}_back")
    return next((getattr(module, n) for n in names if hasattr(module, n)), None)


def _pair(kind: str, forward: Any, backward: Any) -> dict[str, Any]:
    operands = OPERANDS[kind]
    world = _world(kind, forward)
    caches = backward is not None and "cache" in _roles(_parameters(backward), ())

    def run(*arrays: Any, **options: Any) -> Any:
        given = dict(zip(operands, arrays, strict=False))
        y = _call(forward, operands, given, options, world)
        return world.array(y[0] if caches and _many(y) else y)

    def automatic(dy: Any, x: Any, *rest: Any, **options: Any) -> Any:
        given = {"x": _images(x, dy), **dict(zip(operands[1:], rest, strict=False))}
        if kind == "conv":
            given["b"] = np.zeros(len(rest[0]), dy.dtype)
        roles = _roles(_parameters(forward), operands)
        leaves = [n for n in ("x", "w", "b") if n in given and n in roles]

        def traced(*values: Any) -> Any:
            traced = given | dict(zip(leaves, values, strict=True))
            return _call(forward, operands, traced, options, world)

        found = world.gradients(traced, dy, [given[n] for n in leaves])
        return found[0] if kind != "conv" else (*found, None)[:3]

    def explicit(dy: Any, x: Any, *rest: Any, **options: Any) -> Any:
        given = {
            "dy": dy,
            "x": _images(x, dy),
            **dict(zip(operands[1:], rest, strict=False)),
        }
        names = ("dy", *operands)
        if caches:
            given["cache"] = _call(forward, operands, given, options, world)[1]
        found = _call(backward, names, given, options, world)
        return tuple(map(world.array, found)) if _many(found) else world.array(found)

    made = {kind: run}
    if backward is not None:
        made[f"{kind}_backward"] = explicit
    elif world is not Plain:
        made[f"{kind}_backward"] = automatic
    return made


def _images(x: Any, dy: Any) -> Any:
    """The images, or some of the shape that average pooling is given instead."""
    return np.ones(x, dy.dtype) if isinstance(x, tuple) else x


def _many(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _call(
    function: Any,
    operands: tuple[str, ...],
    given: dict[str, Any],
    options: dict[str, Any],
    world: Any,
) -> Any:
    """Calls a function with operands and options where its parameters are."""
    known = _parameters(function)
    roles = _roles(known, operands)
    values = {n: v for n, v in (given | options).items() if v is not None}
    required = {n for n, own in roles.items() if known[own].default is _EMPTY}
    if "b" in required - set(values) and "w" in given:
        values["b"] = np.zeros(len(given["w"]), given["w"].dtype)
    _refuse(_name(function), values, options, roles)
    if "stride" in roles:
        values.setdefault("stride", given.get("kernel_size", 1))
    for name in required & set(NEUTRAL):
        values.setdefault(name, NEUTRAL[name])
    own = {roles[n]: world.of(v) for n, v in values.items() if n in roles}
    if is_function(function):
        return function.apply(*_in_order(known, own))
    places = [n for n, p in known.items() if p.kind is p.POSITIONAL_ONLY and n in own]
    return function(*[own.pop(n) for n in places], **own)


_EMPTY = inspect.Parameter.empty


def _refuse(
    function: str, values: dict[str, Any], options: dict[str, Any], roles: Any
) -> None:
    """Raises NotImplementedError for values that the function cannot be given."""
    for name, value in values.items():
        if name in roles:
            continue
        if name == "b" and np.any(np.asarray(value)):
            raise NotImplementedError(f"{function} has no bias")
        if name in options and "cache" not in roles and value != NEUTRAL.get(name):
            raise NotImplementedError(f"{function} has no parameter {name!r}")


def _in_order(known: dict[str, inspect.Parameter], own: dict[str, Any]) -> list[Any]:
    """What `apply` takes, which has no names; what is not given is the default."""
    return [own.get(name, parameter.default) for name, parameter in known.items()]


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


class Plain:
    """Arrays of NumPy, as they are."""

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as the function takes it."""
        return value

    array = of


class Torch:
    """Tensors of PyTorch."""

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as a tensor."""
        torch = sys.modules["torch"]
        return torch.from_numpy(value) if isinstance(value, np.ndarray) else value

    @staticmethod
    def array(value: Any) -> Any:
        """Returns a result as it can be read."""
        return value.detach().cpu() if hasattr(value, "detach") else value

    @staticmethod
    def gradients(function: Callable[..., Any], dy: Any, leaves: list[Any]) -> Any:
        """Returns what `backward` leaves in each leaf, None where it leaves nothing."""
        tensors = [Torch.of(leaf).requires_grad_() for leaf in leaves]
        function(*tensors).backward(Torch.of(dy))
        return [tensor.grad for tensor in tensors]


class Jax:
    """Arrays of JAX."""

    @staticmethod
    def of(value: Any) -> Any:
        """Returns an operand as an array of JAX, in its own dtype."""
        jax = sys.modules["jax"]
        jax.config.update("jax_enable_x64", True)
        return jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value

    @staticmethod
    def array(value: Any) -> Any:
        """Returns a result, which NumPy can read."""
        return value

    @staticmethod
    def gradients(function: Callable[..., Any], dy: Any, leaves: list[Any]) -> Any:
        """Returns what the function that `jax.vjp` gives makes of `dy`."""
        back = sys.modules["jax"].vjp(function, *map(Jax.of, leaves))[1]
        return back(Jax.of(dy))


def _world(kind: str, function: Any) -> Any:
    """What a function takes, which is tried where it could be arrays of NumPy."""
    if is_function(function):
        return Torch
    inner = inspect.unwrap(getattr(function, "fun", function))
    modules = {
        getattr(value, "__name__", "").partition(".")[0]
        for value in getattr(inner, "__globals__", {}).values()
        if isinstance(value, types.ModuleType)
    }
    if hasattr(function, "defvjp"):
        return Jax
    if not {"torch", "jax"} & modules:
        return Plain
    x = np.ones((1, 1, 3, 3), "float32")
    given = {"x": x, "w": x, "b": x[0, 0, 0, :1], "kernel_size": 1}
    given = {name: given[name] for name in OPERANDS[kind]}
    try:
        y = _call(function, OPERANDS[kind], given, {}, Plain)
    except Exception:
        return Torch if "torch" in modules else Jax
    home = type(y).__module__.partition(".")[0]
    return {"torch": Torch, "jax": Jax, "jaxlib": Jax}.get(home, Plain)


def takes_tensors(kind: str, function: Any) -> bool:
    """Whether a function of our own name has to be given arrays of a framework."""
    return fits(kind, function) and _world(kind, function) is not Plain
