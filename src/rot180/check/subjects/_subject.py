"""Finds the code under test and brings its form to plain functions.

Three forms are known: functions by the names of `OUTPUTS`, the course's form of
`_course`, and the layer classes of `_layer`.
"""

from __future__ import annotations

import inspect
import platform
import reprlib
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from rot180.check.cases import OUTPUTS
from rot180.check.subjects import _course, _layer, _named
from rot180.check.subjects._location import Location, find, glue, source_of
from rot180.check.subjects._outcome import printable
from rot180.errors import DataError

__all__ = ["Facts", "Subject", "describe", "load"]

OPERATIONS: Final = ("conv_transpose", "conv", "max_pool", "avg_pool", "relu")
MINIMAL: Final = """\
    def conv(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1):
        ...  # x (n, c, h, w), w (k, c/groups, r, s), b (k,)
        return y

    def conv_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1):
        ...
        return dx, dw, db"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a subject besides its code; it can be sent to other processes.

    Attributes:
        functions: The names of `OUTPUTS` that it offers, in that order.
        unsupported: The features and functions that it declares not to have, and why.
        arithmetic: As it declares it; None if it does not.
        versions: Of Python, NumPy and the packages that it names.
        source: Python lines that bind its functions to attributes of `subject`.
        adapted: Whether it is of a form other than rot180's own functions.
    """

    functions: tuple[str, ...]
    unsupported: Mapping[str, str]
    arithmetic: str | None
    versions: Mapping[str, str]
    source: str
    adapted: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """Code under test.

    Attributes:
        facts: What it offers and declares.
        functions: By the names of `OUTPUTS`.
        signatures: Of the functions; None where it is not known, as of compiled code.
        folders: Where its own code lies, for the places in tracebacks.
        set_threads: Sets its number of threads; None if it cannot.
    """

    facts: Facts
    functions: Mapping[str, Callable[..., Any]]
    signatures: Mapping[str, inspect.Signature | None]
    folders: tuple[str, ...]
    set_threads: Callable[[int], object] | None


def load(spec: str) -> Subject:
    """Returns the subject that a text names, after importing it.

    Args:
        spec: A `.py` file, a module that can be imported, either with `:attribute`
            after it, or the name of a ready adapter.

    Raises:
        DataError: It offers nothing that can be judged, or cannot be found.
        BaseException: Whatever the subject raises when it is imported.
    """
    location = find(spec)
    module = location.load()
    return describe(location.pick(module), location, module)


def describe(
    target: Any, location: Location | None = None, module: Any = None
) -> Subject:
    """Returns the subject that a module, a namespace, a class or functions make.

    Args:
        target: What has the functions as attributes, a class with `forward` and
            `backward`, or a mapping from names to functions.
        location: Where it was found.
        module: The module it is from, whose declarations count where it has none.

    Raises:
        DataError: It offers nothing that can be judged.
    """
    if isinstance(target, Mapping):
        target = types.SimpleNamespace(**target)
    places = (target, module)
    adapted, lines = _adapted(target)
    functions = {name: adapted[name] for name in OUTPUTS if name in adapted}
    if not functions:
        raise DataError(_nothing_found(target, location))
    facts = Facts(
        functions=tuple(functions),
        unsupported=adapted.get("UNSUPPORTED", {})
        | _reasons(_declared(places, "UNSUPPORTED", ())),
        arithmetic=_arithmetic(_declared(places, "ARITHMETIC")),
        versions=_versions(_declared(places, "VERSIONS", ())),
        source=(location.source if location else source_of(target)) + lines,
        adapted=bool(lines),
    )
    threads = _declared(places, "set_num_threads")
    signatures = {name: _signature(f) for name, f in functions.items()}
    return Subject(facts, functions, signatures, _folders(places, functions), threads)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _adapted(target: Any) -> tuple[dict[str, Any], str]:
    """The functions and limits of a subject of any form, and the lines of its glue.

    An operation is taken in one form only: the first in which it has a forward pass.
    """
    if inspect.isclass(target) and _is_layer(target):
        layer = _layer_functions(target)
        return layer, glue(_layer, "module", layer)
    plain = {name: getattr(target, name, None) for name in OUTPUTS}
    plain = {name: value for name, value in plain.items() if callable(value)}
    tensors = {
        kind
        for kind in _named.OPERANDS
        if kind in plain and _named.takes_tensors(kind, plain[kind])
    }
    plain = {n: f for n, f in plain.items() if _operation(n) not in tensors}
    found, lines = plain, ""
    for module, argument, adapted in _other_forms(target):
        limits = adapted.pop("UNSUPPORTED")
        wanted = {n: f for n, f in adapted.items() if _operation(n) not in found}
        if "conv" in wanted:
            wanted["UNSUPPORTED"] = limits
        lines += glue(module, argument, wanted, None if lines else plain)
        found = found | wanted
    return found, lines


def _other_forms(
    target: Any,
) -> Iterator[tuple[types.ModuleType, str, dict[str, Any]]]:
    course = vars(_course.adapt(target))
    if course:
        yield _course, "module", course
    if "conv" in course:
        return
    named, layers = vars(_named.adapt(target)), _layers(target)
    if "conv" in named and layers and _reason_against(layers[0]) is not None:
        layers = []
    if named and not layers:
        yield _named, "module", named
    if layers:
        yield _layer, f"module.{layers[0].__name__}", _layer_functions(layers[0])


_CONV: Final = tuple(name for name in OUTPUTS if name.startswith("conv"))


def _operation(name: str) -> str:
    return next((op for op in OPERATIONS if name.startswith(op)), name)


def _is_layer(target: Any) -> bool:
    ways = ("forward",) if _layer.is_automatic(target) else ("forward", "backward")
    methods = all(callable(getattr(target, way, None)) for way in ways)
    return methods and not _named.is_function(target)


def _layer_functions(layer: type) -> dict[str, Any]:
    try:
        return vars(_layer.adapt(layer))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"class {layer.__name__} is no convolution that can be judged: {error}\n"
            "  Write its forward and backward as functions:\n\n" + MINIMAL
        ) from error


def _layers(target: Any) -> list[type]:
    """The one class of a module that is a convolution, if there is one."""
    name = getattr(target, "__name__", None)
    classes = [
        value
        for key, value in getattr(target, "__dict__", {}).items()
        if inspect.isclass(value) and _is_layer(value) and not key.startswith("_")
        if value.__module__ == name or not inspect.ismodule(target)
    ]
    fitting = [layer for layer in classes if _reason_against(layer) is None]
    if len(fitting) > 1:
        names = ", ".join(layer.__name__ for layer in fitting)
        raise DataError(
            f"{name} has several classes that can be judged: {names}\n"
            f"  Name one of them after a colon, as in {name}:{fitting[0].__name__}."
        )
    return fitting or classes[: len(classes) == 1]


def _reason_against(layer: type) -> str | None:
    if "transpose" in layer.__name__.lower():
        return "it is a transposed convolution"
    try:
        _layer.adapt(layer)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def _nothing_found(target: Any, location: Location | None) -> str:
    name = location.spec if location else getattr(target, "__name__", repr(target))
    functions = ", ".join(OUTPUTS)
    return (
        f"{name}: there is nothing here that can be judged\n"
        f"    looked for functions: {functions}\n"
        "    or of a course: conv_forward_naive(x, w, b, conv_param), "
        "conv_backward_naive(dout, cache)\n"
        "    or one class with forward(x) and backward(dout)\n"
        f"  Write at least one of them, for example\n\n{MINIMAL}"
    )


def _declared(places: tuple[Any, ...], name: str, default: Any = None) -> Any:
    """A declaration of the subject, else of its module."""
    return next((getattr(p, name) for p in places if hasattr(p, name)), default)


def _names(variable: str, declared: Any, example: str) -> list[str]:
    """The names that a variable of the subject holds; one may stand alone."""
    names = (declared,) if isinstance(declared, str) else declared
    known = isinstance(names, Collection)
    if known and all(isinstance(name, str) and name for name in names):
        return [printable(name) for name in names]
    raise _misdeclared(variable, declared, example)


def _misdeclared(variable: str, declared: Any, example: str) -> DataError:
    return DataError(
        f"{variable} of the code to be judged is {printable(reprlib.repr(declared))}\n"
        f"  Make it {example}, or leave it out."
    )


def _reasons(declared: Any) -> dict[str, str]:
    example = 'a set of names, as in {"groups", "rank 3"}, or a dict from name to why'
    names = _names("UNSUPPORTED", declared, example)
    if isinstance(declared, Mapping):
        whys = (printable(str(why)) for why in declared.values())
        return dict(zip(names, whys, strict=True))
    return dict.fromkeys(sorted(names), "declared in UNSUPPORTED")


def _arithmetic(declared: Any) -> str | None:
    if declared is None or isinstance(declared, str):
        return declared
    raise _misdeclared("ARITHMETIC", declared, 'a name, as in "exact" or "fft"')


def _versions(declared: Any) -> dict[str, str]:
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in _names("VERSIONS", declared, 'names of packages, as in ("scipy",)'):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _folders(
    places: tuple[Any, ...], functions: Mapping[str, Callable[..., Any]]
) -> tuple[str, ...]:
    """The folders of the subject's own files, but for the glue's."""
    files = {getattr(place, "__file__", None) for place in places}
    methods = (getattr(place, "forward", None) for place in places)
    for function in (*functions.values(), *methods):
        code = getattr(function, "__code__", None)
        files.add(getattr(code, "co_filename", None))
    glued = {_course.__file__, _layer.__file__, _named.__file__}
    return tuple(sorted({str(Path(f).parent) for f in files - glued if f}))
