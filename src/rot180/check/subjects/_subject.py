"""Finds the code under test and brings its form to plain functions.

Three forms are known: functions by the names of `OUTPUTS`, those of other forms that
`_named` understands, and the layer classes of `_layer`.
"""

from __future__ import annotations

import inspect
import platform
import reprlib
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from rot180.check.cases import OUTPUTS
from rot180.check.subjects import _layer, _named
from rot180.check.subjects._location import Location, find, glue, named_in, source_of
from rot180.check.subjects._outcome import printable
from rot180.check.subjects._roles import core, is_function
from rot180.errors import DataError

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


def load(spec: str, conv: str | None = None, backward: str | None = None) -> Subject:
    """Returns the subject that a text names, after importing it.

    Args:
        spec: A `.py` file, a module that can be imported, either with `:attribute`
            after it, or the name of a ready adapter.
        conv: The name in it of the convolution; None to find it.
        backward: The name in it of the convolution's backward pass.

    Raises:
        DataError: It offers nothing that can be judged, or cannot be found.
        BaseException: Whatever the subject raises when it is imported.
    """
    location = find(spec)
    module = location.load()
    target = named_in(module, location.attribute, spec)
    if conv is None and _is_alone(target):  # what goes with it stands beside it
        above, _, conv = location.attribute.rpartition(".")
        location = replace(location, attribute=above)
        target = named_in(module, above, spec)
    return describe(target, conv, backward, location=location, module=module)


def describe(
    target: Any,
    conv: str | None = None,
    backward: str | None = None,
    *,
    location: Location | None = None,
    module: Any = None,
) -> Subject:
    """Returns the subject that a module, a namespace, a class or functions make.

    Args:
        target: What has the functions as attributes, a class with `forward` and
            `backward`, a function, or a mapping from names to functions.
        conv: The name of the convolution; None to find it.
        backward: The name of its backward pass.
        location: Where it was found.
        module: The module it is from, whose declarations count where it has none.

    Raises:
        DataError: It offers nothing that can be judged.
    """
    if isinstance(target, Mapping):
        target = types.SimpleNamespace(**target)
    elif conv is None and _is_alone(target):
        target, conv = _home(target)
    adapted, lines = _adapted(target, conv, backward)
    inner = [] if adapted else _namespaces(target)
    if len(inner) == 1:
        if location is not None:
            location = replace(location, attribute=inner[0].__name__)
        module, target = target, inner[0]
        adapted, lines = _adapted(target, conv, backward)
    places = (target, module)
    functions = {name: adapted[name] for name in OUTPUTS if name in adapted}
    unclear = conv is None and "conv" not in functions
    if not functions or (unclear and _named.candidates(target, "conv")):
        raise DataError(_nothing_found(target, location))
    facts = Facts(
        functions=tuple(functions),
        unsupported=adapted.get("UNSUPPORTED", {})
        | _unjudged(target)
        | _reasons(_declared(places, "UNSUPPORTED", ())),
        arithmetic=_arithmetic(_declared(places, "ARITHMETIC")),
        versions=_versions(_declared(places, "VERSIONS", ())),
        source=(location.source if location else source_of(target)) + lines,
        adapted=bool(lines),
    )
    threads = _declared(places, "set_num_threads")
    signatures = {name: _signature(f) for name, f in functions.items()}
    return Subject(facts, functions, signatures, _folders(places, functions), threads)


def _is_alone(target: Any) -> bool:
    """Whether it is a function, and not something that has functions."""
    if inspect.isclass(target):
        return is_function(target)
    has = any(hasattr(target, name) for name in (*OUTPUTS, "backward"))
    return callable(target) and not has


def _home(function: Any) -> tuple[Any, str]:
    """What has a function as an attribute, and the attribute's name."""
    path = getattr(function, "__qualname__", "")
    above, _, name = path.rpartition(".")
    home = sys.modules.get(getattr(function, "__module__", None) or "")
    try:
        holder = named_in(home, above) if above else home
        if getattr(holder, name) is function:
            return holder, name
    except (AttributeError, DataError):
        pass
    name = name if name.isidentifier() else "conv"
    return types.SimpleNamespace(**{name: function}), name


def _namespaces(module: Any) -> list[type]:
    """The classes of a module whose own functions can be judged."""
    if not inspect.ismodule(module):
        return []
    own = [c for c in vars(module).values() if inspect.isclass(c)]
    own = [c for c in own if c.__module__ == module.__name__]
    return [c for c in own if not _is_layer(c) and _adapted(c, None, None)[0]]


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def _adapted(
    target: Any, conv: str | None, backward: str | None
) -> tuple[dict[str, Any], str]:
    """The functions and limits of a subject of any form, and the lines of its glue."""
    one = target if conv is None else named_in(target, conv)
    if inspect.isclass(one) and backward is None and _is_layer(one):
        layer = _layer_functions(one)
        return layer, glue(_layer, "module" + (f".{conv}" if conv else ""), layer)
    if conv is None and backward is None:
        return _found(target)
    _check_named(target, conv, backward)
    named = vars(_named.adapt(target, conv, backward))
    return named, glue(_named, f"module, {conv!r}, {backward!r}", named)


def _found(target: Any) -> tuple[dict[str, Any], str]:
    """The same where nothing is named.

    An operation is taken in one form only: the first in which it has a forward pass.
    """
    found, lines = _plain(target), ""
    kept = found
    for form, argument, functions in _other_forms(target):
        wanted = {n: f for n, f in functions.items() if _operation(n) not in found}
        wanted.pop("UNSUPPORTED", None)
        if wanted:
            lines += glue(form, argument, wanted, None if lines else kept)
        if "conv" in wanted:
            wanted["UNSUPPORTED"] = functions["UNSUPPORTED"]
        found = found | wanted
    return found, lines


def _plain(target: Any) -> dict[str, Any]:
    """The functions that can be called by our own names as they are."""
    plain = {name: getattr(target, name, None) for name in OUTPUTS}
    plain = {name: value for name, value in plain.items() if callable(value)}
    foreign = {
        kind
        for kind in _named.OPERANDS.keys() & plain.keys()
        if _named.is_foreign(kind, plain[kind], plain.get(f"{kind}_backward"))
    }
    return {n: f for n, f in plain.items() if _operation(n) not in foreign}


def _other_forms(
    target: Any,
) -> Iterator[tuple[types.ModuleType, str, dict[str, Any]]]:
    named, layers = vars(_named.adapt(target)), _layers(target)
    others = named or _plain(target) or _named.candidates(target, "conv")
    if layers and not (others and _reason_against(layers[0])):
        layer = layers[0]
        yield _layer, f"module.{layer.__name__}", _layer_functions(layer)
    if named:
        yield _named, "module", named


def _check_named(target: Any, conv: str | None, backward: str | None) -> None:
    """Refuses names that are not there, or of what cannot be called with operands."""
    for name in filter(None, (conv, backward)):
        value = named_in(target, name)
        is_class = inspect.isclass(value) and not is_function(value)
        if is_class or not callable(value) or _signature(value) is None:
            what = f"{name} is {printable(reprlib.repr(value))}"
            raise DataError(
                f"{what}, not a function whose parameters are known\n"
                "  Name a function; a class with forward and backward stands alone."
            )
    if conv is None and _named.find(target, "conv") is None:
        raise DataError(
            f"{backward}: it is not clear of which function this is the backward pass\n"
            "  Name that function too, with --conv."
        )


def _operation(name: str) -> str:
    return next((op for op in OPERATIONS if name.startswith(op)), name)


def _is_layer(target: Any) -> bool:
    ways = ("forward",) if _layer.is_automatic(target) else ("forward", "backward")
    methods = all(callable(getattr(target, way, None)) for way in ways)
    functions = is_function(target) or _named.find(target, "conv")
    return methods and not functions


def _layer_functions(layer: type) -> dict[str, Any]:
    try:
        return vars(_layer.adapt(layer))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"class {layer.__name__} is no convolution that can be judged: {error}\n"
            "  Write its forward and backward as functions:\n\n" + MINIMAL
        ) from error


def _layer_classes(target: Any) -> list[type]:
    name = getattr(target, "__name__", None)
    return [
        value
        for key, value in getattr(target, "__dict__", {}).items()
        if inspect.isclass(value) and _is_layer(value) and not key.startswith("_")
        if value.__module__ == name or not inspect.ismodule(target)
    ]


def _unjudged(target: Any) -> dict[str, str]:
    """The layers that are no convolution, and why they are not judged."""
    reasons = {c.__name__: _reason_against(c) for c in _layer_classes(target)}
    return {f"class {name}": why for name, why in reasons.items() if why}


def _layers(target: Any) -> list[type]:
    """The one class of a module that is a convolution, if there is one."""
    name, classes = getattr(target, "__name__", None), _layer_classes(target)
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
    several = _named.candidates(target, "conv")
    if several:
        return (
            f"{name}: several functions may be the convolution: {', '.join(several)}\n"
            f"  Name the one that is meant: --conv {several[0]}."
        )
    functions = ", ".join(OUTPUTS)
    return (
        f"{name}: there is nothing here that can be judged\n"
        f"    looked for functions: {functions}\n"
        "    or of a course: conv_forward_naive(x, w, b, conv_param), "
        "conv_backward_naive(dout, cache)\n"
        "    or one class with forward(x) and backward(dout)\n"
        "  Name yours with --conv and --backward, or write at least one of them, for "
        f"example\n\n{MINIMAL}"
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
    own = [getattr(place, "forward", None) for place in places]
    if isinstance(places[0], types.SimpleNamespace):
        own += vars(places[0]).values()
    for function in (*functions.values(), *own):
        code = getattr(core(function), "__code__", None)
        files.add(getattr(code, "co_filename", None))
    glued = {_layer.__file__, _named.__file__}
    return tuple(sorted({str(Path(f).parent) for f in files - glued if f}))
