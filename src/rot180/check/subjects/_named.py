"""Makes functions of other forms callable as plain functions of our own names.

Parameters are told by their names: `conv(image, kernel, pad)` is as good as
`conv(x, w, padding)`. Three conventions of courses are known: options in a dictionary,
`conv_forward_naive(x, w, b, conv_param) -> (out, cache)` with
`conv_backward_naive(dout, cache) -> (dx, dw, db)`; a first parameter `A_prev`, by which
the channels are the last axis of images, the filter has shape (r, s, c, k) and the bias
(1, 1, 1, k); and `pool_forward(A_prev, hparameters, mode)` for both poolings. A
function may also return `(out, backward)`, or be for one image or one plane of it.

A function of PyTorch or JAX, a `torch.autograd.Function` or a `jax.custom_vjp`, gets
arrays of its framework, and where nothing else computes its gradients they are those
that the framework derives. It is the subject that imports the framework. This module
needs nothing but NumPy, so that its text can stand in a script.
"""

import contextlib
import functools
import itertools
import re
import types
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import numpy as np

from rot180.check.subjects._frameworks import Jax, Plain, Torch
from rot180.check.subjects._roles import (
    ALIASES,
    NEUTRAL,
    Function,
    core,
    is_function,
    plain,
)

OPERANDS = {
    "conv": ("x", "w", "b"),
    "max_pool": ("x", "kernel_size"),
    "avg_pool": ("x", "kernel_size"),
    "relu": ("x",),
}
# Gradients of a convolution one by one, by our own names.
SINGLE = {
    "conv_input_grad": ("dy", "w", "x_shape"),
    "conv_weight_grad": ("dy", "x", "w_shape"),
}
# What the names of an operation's functions hold, without capitals and underscores.
WORDS = {
    "conv": "conv|correl|corr2d|crosscorr|xcorr",
    "max_pool": "maxpool|^poolforward",
    "avg_pool": "avgpool|averagepool|meanpool|^poolforward",
    "relu": "relu",
}
OTHERS = "transpose|deconv|backward|grad|back|leaky|bwd|helper"
MODES = {"max_pool": "max", "avg_pool": "average"}
COURSE = re.compile(r"(conv|conv2d|max_?pool|max_?pool2d|pool|relu)_forward(\w*)")
# Of several pairs of functions, such as conv_forward_naive and conv_forward_fast, the
# first of these endings is taken, then the first in the order of the alphabet.
ENDINGS = ("_naive", "", "_fast")
# What a dictionary of a course has no place for.
LIMITS = (
    *("rank 1", "rank 3", "groups", "dilation", "flip", "layout", "ceil_mode"),
    *("stride per dimension", "padding per dimension"),
    *("padding per side", "negative padding", "padding by name"),
    *("no image axis", "count_include_pad", "divisor_override"),
)


def adapt(
    module: Any, conv: str | None = None, backward: str | None = None
) -> types.SimpleNamespace:
    """Returns what `module` has of convolution, pooling and ReLU, in one form.

    Args:
        module: What has the functions as attributes.
        conv: The name of the convolution, or of another forward function, if it is told
            by its name; None to find the only candidate of each operation.
        backward: The name of its backward pass; None to find it.
    """
    made: dict[str, Any] = {}
    lacks: dict[str, str] = {}
    tables = []
    for kind in (_kind(conv or ""),) if conv or backward else OPERANDS:
        name = conv or find(module, kind)
        if name is not None:
            pair = Pair(kind, module, name, backward)
            made |= pair.functions()
            tables += ["table" in pair.forward.roles] * (kind != "relu")
            if kind == "conv" and "b" not in pair.forward.roles:
                lacks["bias"] = f"{pair.forward.name} has no parameter 'bias'"
    if tables and all(tables):
        reason = "the form with a dictionary of numbers has no place for it"
        lacks |= dict.fromkeys(LIMITS, reason)
    if made:
        made["UNSUPPORTED"] = lacks
    return types.SimpleNamespace(**made)


def find(module: Any, kind: str) -> str | None:
    """Returns the name of the function of an operation, None for none or several."""
    names = candidates(module, kind)
    courses = [name for name in names if COURSE.fullmatch(name)]
    if courses:
        return min(courses, key=_by_ending)
    return kind if kind in names else names[0] if len(names) == 1 else None


def candidates(module: Any, kind: str) -> list[str]:
    """Returns the names of all functions that may be meant by an operation."""
    named = [name for name in dir(module) if _means(kind, name)]
    if kind == "conv" and not named:
        named = ["forward"] * hasattr(module, "forward")
    found = [name for name in named if _can_be(kind, module, name)]
    return [name for name in found if name[0] != "_"] or found


def _kind(name: str) -> str:
    """The operation that a name speaks of, else the convolution."""
    return next((kind for kind in OPERANDS if _means(kind, name)), "conv")


def _means(kind: str, name: str) -> bool:
    text = plain(name)
    return bool(re.search(WORDS[kind], text)) and not re.search(OTHERS, text)


def _by_ending(name: str) -> tuple[int, str]:
    ending = COURSE.sub(r"\2", name)
    return (*ENDINGS, ending).index(ending), name


def _can_be(kind: str, module: Any, name: str) -> bool:
    """Whether it is defined here, or by a course's name, and takes the operands."""
    value = getattr(module, name)
    if COURSE.fullmatch(name):
        return _backward(module, name) is not None and _fits(kind, value, name)
    home = getattr(core(value), "__module__", None)
    own = not isinstance(module, types.ModuleType) or home == module.__name__
    return (own or isinstance(value, functools.partial)) and _fits(kind, value)


def _fits(kind: str, code: Any, name: str = "") -> bool:
    """Whether a function has parameters for the operands, and needs nothing else."""
    try:
        operands = OPERANDS[kind]
        function = _forward(kind, code, name) if name else Function(code, operands)
    except (TypeError, ValueError):
        return False
    roles = function.roles
    needed = {"x"} if "table" in roles and kind in MODES else {*OPERANDS[kind][:2]}
    if name.startswith("pool_"):
        needed |= {"mode"}
    return needed <= roles.keys() and {*function.required} <= {*roles.values()}


def is_foreign(kind: str, code: Any, backward: Any = None) -> bool:
    """Whether functions of our own names are not to be called as the others are.

    They take arrays of a framework, their operands have another order or their options
    other names, or they need more, such as a bias or a cache.
    """
    if not _fits(kind, code):
        return False
    wanted = ("dy", *OPERANDS[kind])
    functions = [Function(code, OPERANDS[kind])]
    with contextlib.suppress(TypeError, ValueError):
        functions += [Function(backward, wanted)] * callable(backward)
    unlike = any(_is_unlike(function, wanted) for function in functions)
    return unlike or _returns_backward(code) or _world(kind, functions[0]) is not Plain


def _is_unlike(function: Function, wanted: tuple[str, ...]) -> bool:
    roles = function.roles
    given = {"x_shape", *wanted, *NEUTRAL} - {"b"}
    told = {own for role, own in roles.items() if role in given}
    other = any(role in NEUTRAL and role != own for role, own in roles.items())
    order = [role for role in roles if role in wanted]
    more = {"cache", "table"} & roles.keys() or {*function.required} - told
    return bool(other or more or order != sorted(order, key=wanted.index))


def _many(value: Any) -> bool:
    return isinstance(value, tuple | list)


def _backward(module: Any, forward: str) -> str | None:
    """The name of what goes with a forward function; None where there is none."""
    stem = forward.replace("_forward", "")
    names = [forward.replace("forward", "backward"), forward.replace("fwd", "bwd")]
    names += [f"{stem}_{word}" for word in ("backward", "grad", "bwd", "back")]
    names += [f"{word}_{stem}" for word in ("backward", "grad")]
    return next((n for n in names if n != forward and _has(module, n)), None)


def _has(module: Any, name: str) -> bool:
    """Whether a name, perhaps with dots, is there."""
    with contextlib.suppress(AttributeError):
        return attrgetter(name)(module) is not None
    return False


def _forward(kind: str, code: Any, name: str) -> Function:
    """A forward function as its name says; a course's has a dictionary last."""
    more = ("table", "mode") if COURSE.fullmatch(name) else ()
    return Function(code, OPERANDS[kind], (*OPERANDS[kind], *more))


class Pair:
    """A forward function and its backward pass, as functions of our own form.

    Args:
        kind: The operation.
        module: What has them as attributes.
        name: Of the forward function.
        backward: Of its backward pass; None to find it.
    """

    def __init__(self, kind: str, module: Any, name: str, backward: str | None) -> None:
        self.kind, self.module, self.operands = kind, module, OPERANDS[kind]
        self.forward = _forward(kind, attrgetter(name)(module), name)
        self.backward: Function | None = None
        if found := backward or _backward(module, name):
            wanted = places = ("dy", *self.operands)
            if COURSE.fullmatch(name) and backward is None:
                places = ("dy", "cache")
            self.backward = Function(attrgetter(found)(module), wanted, places)
        self.closes = self.backward is None and _returns_backward(self.forward.code)
        self.caches = self.backward is not None and "cache" in self.backward.roles
        self.last = "A_prev" in self.forward.signature.parameters
        self.world = _world(kind, self.forward)
        self.depth = None if kind == "conv" and not self._is_whole() else 0

    def _is_whole(self) -> bool:
        """Whether the form says that the function is for all images at once."""
        return self.caches or self.closes or "table" in self.forward.roles

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Returns the functions by our own names."""
        made: dict[str, Any] = {self.kind: self.run}
        if self.forward.name == "conv":
            single = (name for name in SINGLE if hasattr(self.module, name))
            made |= {name: functools.partial(self.single, name) for name in single}
        if self.backward is not None or self.closes:
            made[f"{self.kind}_backward"] = self.explicit
        elif self.world is not Plain:
            made[f"{self.kind}_backward"] = self.automatic
        return {name: self._scoped(function) for name, function in made.items()}

    def _scoped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def scoped(*arrays: Any, **options: Any) -> Any:
            with self.world.scope():
                return function(*arrays, **options)

        return scoped

    def run(self, *arrays: Any, **options: Any) -> Any:
        """The forward pass."""
        given = dict(zip(self.operands, arrays, strict=False))
        return self._out("y", self._answer(given, options)[0])

    def automatic(self, dy: Any, x: Any, *rest: Any, **options: Any) -> Any:
        """The gradients that the framework derives."""
        given = self._given(dy, x, rest)
        if self.kind == "conv":
            given["b"] = np.zeros(len(rest[0]), dy.dtype)
        leaves = [n for n in ("x", "w", "b") if n in given and n in self.forward.roles]

        def traced(*values: Any) -> Any:
            now = given | dict(zip(leaves, values, strict=True))
            return self._answer(now, options)[0]

        found = self.world.gradients(traced, dy, [given[n] for n in leaves])
        return self._gradients(found)

    def explicit(self, dy: Any, x: Any, *rest: Any, **options: Any) -> Any:
        """The gradients of the backward function, or of what the forward one gives."""
        given = self._given(dy, x, rest) | {"dy": dy}
        if self.closes:
            return self._gradients(self._answer(given, options)[1](self.world.of(dy)))
        if self.caches:
            given["cache"] = self._answer(given, options)[1]
        elif self._depth(given, options):
            return self._summed(given, options)
        return self._gradients(self._call(self.backward, given, options))

    def single(self, name: str, *arrays: Any, **options: Any) -> Any:
        """One gradient of a convolution, by its own function."""
        code = Function(getattr(self.module, name), SINGLE[name], SINGLE[name])
        given = dict(zip(SINGLE[name], arrays, strict=True))
        return self.world.array(self._call(code, given, options))

    def _given(self, dy: Any, x: Any, rest: tuple[Any, ...]) -> dict[str, Any]:
        """The operands; average pooling is given the shape of the images alone."""
        images = np.ones(x, dy.dtype) if isinstance(x, tuple) else x
        given = {"x": images, **dict(zip(self.operands[1:], rest, strict=False))}
        return given | {"x_shape": images.shape}

    def _call(self, code: Any, given: dict[str, Any], options: Any) -> Any:
        """What a function makes of operands of its own kind."""
        return code({**given, "mode": MODES.get(self.kind)}, options, self._of)

    def _of(self, name: str, value: Any) -> Any:
        return self.world.of(_channels_last(name, value) if self.last else value)

    def _answer(self, given: dict[str, Any], options: dict[str, Any]) -> Any:
        """The forward function's result, and the cache or what gives the gradients."""
        y = self._at(self._depth(given, options), given, options)
        if not (self.caches or self.closes):
            return (y[0] if _many(y) and y else y), None
        if not _many(y) or len(y) != 2:
            kind, name = type(y).__name__, self.forward.name
            raise RuntimeError(f"{name} returned {kind}, not (out, cache)")
        return y

    def _depth(self, given: dict[str, Any], options: dict[str, Any]) -> int:
        """Of how many leading axes the function takes one position; by trying."""
        rank = np.ndim(given["x"])
        if self.depth is None and rank == np.ndim(given["w"]):
            for depth in range(3):
                with contextlib.suppress(Exception):
                    if self._at(depth, given, options).ndim == rank:
                        self.depth = depth
                        break
        return self.depth or 0

    def _at(self, depth: int, given: dict[str, Any], options: Any) -> Any:
        """The forward pass, by calls for single images, or single planes."""
        if not depth:
            return self._call(self.forward, given, options)
        parts: dict[Any, Any] = {}
        for x, w, y in _places(depth, given):
            own = given | {"x": given["x"][x], "w": given["w"][w]}
            part = self._call(self.forward, own, options)
            parts[y] = parts[y] + part if y in parts else part
        if depth == 1:
            return self.world.stack([*parts.values()])
        rows = itertools.groupby(parts, lambda place: place[0])
        stacked = [self.world.stack([parts[y] for y in row]) for _, row in rows]
        return self.world.stack(stacked)

    def _summed(self, given: dict[str, Any], options: dict[str, Any]) -> Any:
        """The gradients, by calls for single images or planes."""
        totals: list[Any] = [np.zeros_like(given[name]) for name in ("x", "w")]
        db: Any = None
        for x, w, y in _places(self.depth or 0, given):
            own = {"x": given["x"][x], "w": given["w"][w], "dy": given["dy"][y]}
            found = self._gradients(self._call(self.backward, given | own, options))
            for total, place, part in zip(totals, (x, w), found, strict=False):
                total[place] += np.asarray(part)
            if self.depth == 1 and found[2] is not None:
                db = found[2] if db is None else db + found[2]
        return (*totals, db)

    def _gradients(self, found: Any) -> Any:
        """The gradients as they are read; None for a bias that there is not."""
        if isinstance(found, dict):
            found = _in_order(found)
        if not _many(found):
            return self._out("dx", found)
        if self.kind != "conv":
            return self._out("dx", found[0]) if len(found) == 1 else found
        if len(found) == 2 and "b" not in self.forward.roles:
            found = (*found, None)
        return tuple(map(self._out, ("dx", "dw", "db", *found), found))

    def _out(self, name: str, value: Any) -> Any:
        """A result as it is read, with the channels where ours are."""
        array = self.world.array(value)
        if not self.last or not hasattr(array, "ndim"):
            return array
        if name == "db":
            return np.ravel(array)
        return array.transpose(3, 2, 0, 1) if name == "dw" else np.moveaxis(array, 3, 1)


def _places(depth: int, given: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Where in x, w and y the operands and the result of each call lie."""
    images, (filters, channels) = len(given["x"]), given["w"].shape[:2]
    if depth == 1:
        return (((n,), (), (n,)) for n in range(images))
    every = itertools.product(range(images), range(filters), range(channels))
    return (((n, c), (k, c), (n, k)) for n, k, c in every)


def _channels_last(name: str, value: Any) -> Any:
    """An operand with the channels as its last axis.

    It is a view, so that what is written to it is noticed.
    """
    if name in ("x", "dy"):
        return value.transpose(0, 2, 3, 1)
    if name == "b":
        return value.reshape(1, 1, 1, -1)
    return value.transpose(2, 3, 1, 0) if name == "w" else value


def _in_order(found: dict[Any, Any]) -> list[Any]:
    """The gradients of a dictionary, such as `{"dx": ..., "dW": ..., "db": ...}`."""
    named = {plain(str(key)).replace("grad", ""): found[key] for key in found}
    known = [[*ALIASES[r], *(f"d{alias}" for alias in ALIASES[r])] for r in "xwb"]
    return [next((named[n] for n in names if n in named), None) for names in known]


def _returns_backward(function: Any) -> bool:
    """Whether a function defines one that takes the gradient of its result."""
    code = getattr(core(function), "__code__", None)
    inner = [c for c in getattr(code, "co_consts", ()) if isinstance(c, types.CodeType)]
    firsts = [plain(c.co_varnames[0]) for c in inner if c.co_argcount == 1]
    return any(first in ALIASES["dy"] for first in firsts)


def _world(kind: str, function: Function) -> Any:
    """What a function takes, which is tried where it could be arrays of NumPy."""
    if is_function(function.code):
        return Torch
    if hasattr(function.code, "defvjp"):
        return Jax
    modules = {
        getattr(value, "__name__", "").partition(".")[0]
        for value in getattr(core(function.code), "__globals__", {}).values()
        if isinstance(value, types.ModuleType)
    }
    if not {"torch", "jax"} & modules:
        return Plain
    x = np.ones((1, 1, 3, 3), "float32")
    given = {"x": x, "w": x, "b": 0 * x[0, 0, 0, :1], "kernel_size": 1}
    given = {name: given[name] for name in OPERANDS[kind]}
    try:
        y = function(given, {})
    except Exception:
        return Torch if "torch" in modules else Jax
    home = type(y).__module__.partition(".")[0]
    if home == "torch":
        return Torch if _is_differentiable(function, given, y) else Plain
    return Jax if home in ("jax", "jaxlib") else Plain


def _is_differentiable(function: Function, given: dict[str, Any], y: Any) -> bool:
    """Whether the graph of a function that also takes arrays reaches its operands."""
    own = {name: Torch.of(value) for name, value in given.items()}
    dy = np.ones(tuple(y.shape), "float32")
    try:
        one = Torch.gradients(lambda x: function(own | {"x": x}, {}), dy, [given["x"]])
    except Exception:
        return False
    return one[0] is not None
