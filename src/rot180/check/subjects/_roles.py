"""What the parameters of other people's functions are, told by their names.

It needs nothing but NumPy, so that its text can stand in a script.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

# Small letters, capital letters and underscores make no difference.
_NAMES = {
    "dy": "dy dout grad gradoutput gradout dz da g upstream doutput delta gradient",
    "x": "x input inputs image images img a aprev data inp xs signal",
    "w": "w weight weights kernel kernels filter filters k f filt",
    "b": "b bias biases",
    "x_shape": "xshape inputshape inputsize",
    "w_shape": "wshape weightshape kernelshape filtershape",
    "kernel_size": "kernelsize poolsize size ksize kernel k window windowsize pool f",
    "cache": "cache caches saved memory",
    "table": (
        "convparam poolparam hparameters hparams hyperparameters hyperparams "
        "convparams poolparams params param"
    ),
    "mode": "mode",
    "stride": "stride strides s",
    "padding": "padding pad p pads paddings",
    "dilation": "dilation dilations d dilationrate",
    "groups": "groups group g ngroups numgroups",
}
ALIASES = {role: tuple(names.split()) for role, names in _NAMES.items()}
OPTIONS = (
    *("x_shape", "cache", "table", "mode"),
    *("stride", "padding", "dilation", "groups"),
)
NEUTRAL = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "ceil_mode": False}


def core(function: Any) -> Any:
    """Returns what decorators and `partial` stand around."""
    while (inner := getattr(function, "func", getattr(function, "fun", None))) or (
        inner := getattr(function, "__wrapped__", None)
    ):
        function = inner
    return function


def has_base(value: Any, name: str) -> bool:
    """Whether it is a class that has one of this full name above it."""
    bases = getattr(value, "__mro__", ())
    return name in (f"{base.__module__}.{base.__name__}" for base in bases)


def is_function(value: Any) -> bool:
    """Whether it is a subclass of `torch.autograd.Function`."""
    return has_base(value, "torch.autograd.function.Function")


def plain(name: str) -> str:
    return name.replace("_", "").lower()


class Function:
    """A function of the subject, and which of its parameters is what.

    Args:
        code: The function.
        wanted: What it is given, in the order of our own function.
        by_place: What is told by its place where no name tells it.
    """

    def __init__(
        self, code: Any, wanted: tuple[str, ...], by_place: tuple[str, ...] = ()
    ) -> None:
        self.code, self.name = code, getattr(code, "__name__", type(code).__name__)
        self.signature = signature_of(code)
        self.roles: dict[str, str] = {}
        for own in self.signature.parameters:
            for role in (*wanted, *OPTIONS):
                if role not in self.roles and plain(own) in ALIASES[role]:
                    self.roles[role] = own
                    break
        left = [n for n in self.required if n not in self.roles.values()]
        free = [role for role in by_place if role not in self.roles]
        self.roles |= dict(zip(free, left, strict=False))

    @property
    def required(self) -> list[str]:
        """The names of the parameters that have no default, in order."""
        known = self.signature.parameters.values()
        rest = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
        return [p.name for p in known if p.default is p.empty and p.kind not in rest]

    def __call__(
        self,
        given: dict[str, Any],
        options: dict[str, Any],
        of: Callable[[str, Any], Any] = lambda _, value: value,
    ) -> Any:
        """Calls it with operands, as `of` makes them, and options in their places."""
        values = {n: v for n, v in (given | options).items() if v is not None}
        needed = {role for role, own in self.roles.items() if own in self.required}
        if "b" in needed - set(values) and "w" in given:
            values["b"] = np.zeros(len(given["w"]), given["w"].dtype)
        values.setdefault("stride", given.get("kernel_size", 1))
        self._refuse(values, options)
        if "table" in self.roles:
            values["table"] = table_of(values)
        for name in needed & set(NEUTRAL):
            values.setdefault(name, NEUTRAL[name])
        own = {self.roles[n]: of(n, v) for n, v in values.items() if n in self.roles}
        order = {n: own[n] for n in self.signature.parameters if n in own}
        bound = inspect.BoundArguments(self.signature, order)
        bound.apply_defaults()
        call = self.code.apply if is_function(self.code) else self.code
        return call(*bound.args, **bound.kwargs)

    def _refuse(self, values: dict[str, Any], options: dict[str, Any]) -> None:
        """Raises NotImplementedError for values that the function cannot be given."""
        taken = {*self.roles}
        if "table" in taken:
            taken |= {"stride", "padding" if "w" in taken else "kernel_size"}
        for name in values.keys() - taken:
            if name == "b" and np.any(np.asarray(values[name])):
                raise NotImplementedError(f"{self.name} has no bias")
            neutral = values[name] == NEUTRAL.get(name)
            if name in options and "cache" not in taken and not neutral:
                raise NotImplementedError(f"{self.name} has no parameter {name!r}")
        if "table" in taken:
            _refuse_shapes(self.name, values)


def signature_of(function: Any) -> inspect.Signature:
    if not is_function(function):
        if inspect.isclass(function):
            raise TypeError("a class is no function")
        return inspect.signature(function)
    whole = inspect.signature(function.forward)
    if "setup_context" in vars(function):
        return whole
    return whole.replace(parameters=list(whole.parameters.values())[1:])  # but ctx


def table_of(values: dict[str, Any]) -> dict[str, Any]:
    """The options by all names that they have in the dictionaries of courses."""
    pad = values.get("padding", 0)
    table = {"stride": values["stride"], "pad": pad, "padding": pad}
    if "kernel_size" in values:
        height, width = np.broadcast_to(values["kernel_size"], (2,)).tolist()
        table |= {"pool_height": height, "pool_width": width}
        if height == width:
            table |= {"f": height, "pool_size": height}
    return table


def _refuse_shapes(function: str, values: dict[str, Any]) -> None:
    """Raises NotImplementedError for what a dictionary of single numbers cannot say."""
    if np.ndim(values.get("x", 0)) not in (0, 4):
        raise NotImplementedError(f"{function} takes x of shape (n, c, h, w) only")
    for name in ("stride", "padding"):
        value = values.get(name, 0)
        if not isinstance(value, int):
            raise NotImplementedError(f"{function} has one number for {name}")
        if value < 0:
            raise NotImplementedError(f"{function} has no negative {name}")
