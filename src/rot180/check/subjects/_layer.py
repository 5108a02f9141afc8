"""Makes a layer class with `forward` and `backward` callable as plain functions.

Two forms of constructor are known:

    Conv(in_channels, out_channels, kernel_size, stride, padding, ...)
    Conv(W, b, stride=1, pad=0)

In both, `forward(x)` returns y and `backward(dout)` returns dx, with the other
gradients as attributes, or (dx, dw, db). `backward` may leave dx in an attribute too.
Arrays may stand in dictionaries, such as `params` and `grads`. A `torch.nn.Module` gets
tensors, and its gradients are autograd's. This module needs nothing but NumPy, so that
its text can stand in a script.
"""

import contextlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from rot180.check.subjects._frameworks import Torch
from rot180.check.subjects._roles import ALIASES, NEUTRAL, has_base, plain

# What classes call their parameters, arrays and gradients. Small and capital letters
# and underscores make no difference.
PARAMETERS = {
    "in_channels": (
        *("in_channels", "in_channel", "in_c", "c_in", "in_ch", "input_channels"),
        *("n_in", "channels_in", "num_channels", "n_channels", "channels"),
        *("input_depth", "in_depth", "input_dim", "in_dim", "in_planes", "in_features"),
    ),
    "out_channels": (
        *("out_channels", "out_channel", "out_c", "c_out", "out_ch", "num_filters"),
        *("output_channels", "filters", "n_filters", "nb_filters", "num_kernels"),
        *("n_kernels", "n_out", "channels_out", "depth", "output_depth", "out_depth"),
        *("output_dim", "out_dim", "out_planes", "out_features", "filter_num"),
    ),
    "kernel_size": (
        *("kernel_size", "filter_size", "kernel", "ksize", "k", "f", "kernel_shape"),
        *("filter_shape", "filter", "k_size", "f_size", "kernel_dim", "filter_dim"),
    ),
    **{name: ALIASES[name] for name in ("stride", "padding", "dilation", "groups")},
    "bias": ("bias", "use_bias", "has_bias", "with_bias", "bias_term"),
    "dtype": ("dtype",),
}
WEIGHTS = ("weight", "weights", "w", "kernel", "kernels", "filters", "filter")
BIASES = ALIASES["b"]
INPUTS = ("x", "input", "inputs", "in", "aprev", "a", "prev")
GRADIENTS = (
    *("d{}", "grad{}", "{}grad", "{}gradient", "gradient{}", "{}gradients", "dl{}"),
)


def adapt(layer: type) -> types.SimpleNamespace:
    """Returns the functions `conv` and `conv_backward` of a class.

    Raises:
        TypeError: The class is of neither form; the text says why.
    """
    by_arrays = takes_arrays(layer)
    known = {} if by_arrays else hyper_parameters(layer)
    automatic = is_automatic(layer)
    for method in ("forward",) if automatic else ("forward", "backward"):
        _check_method(layer, method)

    def build(x: Any, w: Any, b: Any, options: dict[str, Any]) -> Any:
        _check_shapes(layer, x, w)
        if by_arrays:
            return _from_arrays(layer, w, b, options)
        return _from_numbers(layer, known, x, w, b, options)

    def values(w: Any, options: dict[str, Any]) -> dict[str, Any]:
        return options if by_arrays else {"kernel_size": _size(w), **options}

    def conv(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        with _refusing(layer, values(w, options)):
            made = build(x, w, b, options)
            return made(Torch.of(x)).detach() if automatic else made.forward(x)

    def conv_backward(dy: Any, x: Any, w: Any, **options: Any) -> Any:
        with _refusing(layer, values(w, options)):
            made = build(x, w, None, options)
            if automatic:
                return _differentiated(made, dy, x, w)
            made.forward(x)
            result = made.backward(dy)
        return result if isinstance(result, tuple) else _gradients(made, result, w)

    return types.SimpleNamespace(
        conv=conv, conv_backward=conv_backward, UNSUPPORTED=_limits(layer, known)
    )


def is_automatic(layer: Any) -> bool:
    """Whether a class is a `torch.nn.Module`, whose gradients are autograd's."""
    return has_base(layer, "torch.nn.modules.module.Module")


def _differentiated(made: Any, dy: Any, x: Any, w: Any) -> tuple[Any, Any, Any]:
    """The gradients that `backward` of the output leaves in the leaves."""
    images = Torch.of(x).requires_grad_()
    made(images).backward(Torch.of(dy))
    return _gradients(made, images.grad, w)


def takes_arrays(layer: type) -> bool:
    """Whether the constructor is of the form `Conv(W, b, stride, pad)`."""
    names = [plain(name) for name in inspect.signature(layer).parameters]
    strides = {plain(name) for name in PARAMETERS["stride"]}
    arrays = len(names) > 1 and names[0] in WEIGHTS and names[1] in BIASES
    return arrays and bool(strides & set(names))


def hyper_parameters(layer: type) -> dict[str, str]:
    """Returns the constructor's own name of each parameter of a convolution."""
    taken = {}
    for name, parameter in inspect.signature(layer).parameters.items():
        ours = [key for key, aliases in PARAMETERS.items() if _is_in(name, aliases)]
        if ours and ours[0] not in taken:
            taken[ours[0]] = name
        elif parameter.default is parameter.empty and parameter.kind not in _REST:
            raise TypeError(f"its constructor needs {name!r}, which is not known")
    for needed in ("out_channels", "kernel_size"):
        if needed not in taken:
            aliases = ", ".join(PARAMETERS[needed][:6])
            raise TypeError(f"its constructor has none of {aliases} or the like")
    return taken


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _is_in(name: str, aliases: tuple[str, ...]) -> bool:
    return plain(name) in map(plain, aliases)


def _check_method(layer: type, method: str) -> None:
    """Refuses a method that needs more than the one array."""
    try:
        inspect.signature(getattr(layer, method)).bind(None, None)
    except TypeError as error:
        raise TypeError(f"{method} cannot be called with one array: {error}") from None


def _limits(layer: type, known: dict[str, str]) -> dict[str, str]:
    reason = "a layer class is called with x of shape (n, c, *size) only"
    limits = dict.fromkeys(("no image axis", "layout", "flip"), reason)
    for name in ("dilation", "groups"):
        if name not in known:
            limits[name] = f"the constructor has no parameter {name!r}"
    for rank in (1, 2, 3):
        if _rank(layer) not in (None, rank):
            limits[f"rank {rank}"] = f"{layer.__name__} is taken to be of another rank"
    return limits


def _rank(layer: type) -> int | None:
    """The rank that the name tells, or 2 if a given filter could have any."""
    ranks = [rank for rank in (1, 2, 3) if f"{rank}d" in layer.__name__.lower()]
    return ranks[0] if ranks else 2 if takes_arrays(layer) else None


def _check_shapes(layer: type, x: Any, w: Any) -> None:
    if np.ndim(x) != np.ndim(w):
        raise NotImplementedError("a layer class takes x with an image axis only")
    if _rank(layer) not in (None, w.ndim - 2):
        raise NotImplementedError(f"{layer.__name__} is taken to be of another rank")


@contextlib.contextmanager
def _refusing(layer: type, values: dict[str, Any]) -> Iterator[None]:
    """A class for single numbers may stumble over one number for each dimension.

    That is a missing feature, which the class need not know of, and no fault.
    """
    several = [f"{n}={v!r}" for n, v in values.items() if not isinstance(v, int)]
    try:
        yield
    except (TypeError, ValueError) as error:
        if not several:
            raise
        what = f"{layer.__name__} cannot take {', '.join(several)}"
        raise NotImplementedError(f"{what}: {type(error).__name__}: {error}") from error


def _size(w: Any) -> Any:
    """The kernel size as one number where it is one."""
    size = w.shape[2:]
    return size[0] if len(set(size)) == 1 else size


def _from_arrays(layer: type, w: Any, b: Any, options: dict[str, Any]) -> Any:
    names = list(inspect.signature(layer).parameters)[2:]
    bias = np.zeros(len(w), w.dtype) if b is None else b
    return layer(w, bias, **_renamed(layer, names, options))


def _from_numbers(
    layer: type, known: dict[str, str], x: Any, w: Any, b: Any, options: dict[str, Any]
) -> Any:
    groups = options.get("groups", 1)
    values = {
        "in_channels": w.shape[1] * groups,
        "out_channels": w.shape[0],
        "kernel_size": _size(w),
        "bias": True,
        "dtype": x.dtype,
    }
    named = {known[key]: value for key, value in values.items() if key in known}
    made = layer(**named, **_renamed(layer, list(known.values()), options))
    _set(made, WEIGHTS, w)
    if b is not None or _find(made, BIASES) is not None:
        _set(made, BIASES, np.zeros(len(w), w.dtype) if b is None else b)
    return made


def _renamed(layer: type, names: list[str], options: dict[str, Any]) -> dict[str, Any]:
    """The options under the constructor's names; what has none must be neutral."""
    renamed = {}
    for option, value in options.items():
        own = [name for name in names if _is_in(name, PARAMETERS.get(option, ()))]
        if own:
            renamed[own[0]] = value
        elif option not in NEUTRAL or value != NEUTRAL[option]:
            raise NotImplementedError(f"{layer.__name__} has no parameter {option!r}")
    return renamed


def _slots(made: Any) -> list[tuple[Any, str, Any]]:
    """Holder, name and value of each attribute, and of what stands in dictionaries."""
    own = [(made, name, getattr(made, name, None)) for name in dir(made)]
    held = [value for _, name, value in own if name[:2] != "__"]
    tables = [value for value in held if type(value) is dict]
    return own + [
        (table, key, value)
        for table in tables
        for key, value in table.items()
        if isinstance(key, str)
    ]


def _find(made: Any, names: tuple[str, ...]) -> tuple[Any, str, Any] | None:
    """The first slot among `names` with an array, or what holds one as `data`."""
    known: dict[str, tuple[Any, str, Any]] = {}
    for slot in _slots(made):
        if hasattr(getattr(slot[2], "data", slot[2]), "shape"):
            known.setdefault(plain(slot[1]), slot)
    return next((known[name] for name in names if name in known), None)


def _set(made: Any, names: tuple[str, ...], value: Any) -> None:
    """Puts an array in the place of the layer's own, whose shape must fit."""
    found, layer = _find(made, names), type(made).__name__
    if found is None:
        raise NotImplementedError(f"{layer} has no array among {', '.join(names)}")
    holder, name, old = found
    wrapped = is_automatic(type(made)) or not hasattr(old, "shape")
    shape = tuple((old.data if wrapped else old).shape)
    if names is BIASES and np.prod(shape) == value.size:
        value = value.reshape(shape)
    if shape != value.shape:
        raise NotImplementedError(
            f"{layer}.{name} has shape {shape} where a filter of shape {value.shape} "
            "belongs, (out channels, in channels / groups, *kernel size)"
        )
    if is_automatic(type(made)):
        value = Torch.of(value)
    if wrapped:
        old.data = value
    elif isinstance(holder, dict):
        holder[name] = value
    else:
        try:
            setattr(holder, name, value)
        except AttributeError:  # a property that is only read
            old[...] = value


def _gradients(made: Any, dx: Any, w: Any) -> tuple[Any, Any, Any]:
    if dx is None:
        dx = _left(made)
    dw = _gradient(made, WEIGHTS)
    db: Any = None if _find(made, BIASES) is None else _gradient(made, BIASES)
    if np.ndim(db) > 1 and np.size(db) == len(w):
        db = np.reshape(db, len(w))
    return dx, dw, db


def _left(made: Any) -> Any:
    """What `backward` left as gradient of the input, an array or not."""
    left = {plain(name): value for _, name, value in _slots(made)}
    forms = (form.format(name) for name in INPUTS for form in GRADIENTS)
    return next((left[name] for name in forms if left.get(name) is not None), None)


def _gradient(made: Any, names: tuple[str, ...]) -> Any:
    """What holds a gradient after `backward`: a slot, `grad`, or `grads` by name."""
    looked_for = tuple(form.format(name) for name in names for form in GRADIENTS)
    found, own = _find(made, looked_for), _find(made, names)
    if found is not None:
        return found[2]
    grad = None if own is None else getattr(own[2], "grad", None)
    if grad is not None:
        return grad
    for table in ("grads", "gradients", "grad"):
        held = getattr(made, table, None)
        for key, value in held.items() if isinstance(held, dict) else ():
            if plain(str(key)) in names:
                return value
    forms = ", ".join(form.format("_" + names[0]) for form in GRADIENTS)
    raise NotImplementedError(
        f"{type(made).__name__} has no gradient of its {names[0]} after backward: "
        f"looked for {forms}, the same with {', '.join(names[1:])}, and "
        f"{names[0]}.grad; or return (dx, dw, db)"
    )
