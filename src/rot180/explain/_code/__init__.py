"""Programs that compute the same: in NumPy, PyTorch, JAX and rot180."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from rot180 import ops
from rot180.errors import ArgumentError
from rot180.explain._code import _jax, _numpy, _rot180, _torch
from rot180.explain._code._parts import Lines, Part, loss
from rot180.explain._equations import Values

if TYPE_CHECKING:
    from rot180.explain._explained import Explained

__all__ = ["FRAMEWORKS", "program", "template"]

# By key: what readers call it.
FRAMEWORKS: Final = {
    "numpy": "NumPy",
    "pytorch": "PyTorch",
    "jax": "JAX",
    "rot180": "rot180",
}


def slot(name: str) -> str:
    """Returns what stands in a program for the numbers of a given tensor."""
    return f"\u27e6{name}\u27e7"


def program(found: Explained, framework: str) -> str:
    """Returns a program that computes all that is explained, with its numbers.

    Args:
        found: The explanation.
        framework: One of `FRAMEWORKS`.

    Raises:
        ArgumentError: There is no such framework.
    """
    text, values = template(found, framework), found.numbered().values or Values()
    for name in found.given:
        numbers = ", ".join(map(repr, values[name].values()))
        text = text.replace(slot(name), f"[{numbers}]")
    return text


def template(found: Explained, framework: str) -> str:
    """Returns the program with slots in place of the numbers, such as `⟦X⟧`."""
    if not ops.is_among(framework, FRAMEWORKS):
        raise ArgumentError(
            f"explain: framework is {framework!r:.40}\n"
            f"  Use one of {', '.join(FRAMEWORKS)}."
        )
    mode = found.setting.padding_mode
    if mode != ops.PADDING_MODES[0] and framework != "rot180":
        return (
            f"# {FRAMEWORKS[framework]}: padding_mode={mode!r} is not written here.\n"
        )
    parts = [Part(one) for one in found.layers]
    return "\n".join(_PROGRAMS[framework](found, parts)) + "\n"


def _given(found: Explained, make: Callable[[str, tuple[int, ...], str], str]) -> Lines:
    return [make(n, found.tensors[n].shape, slot(n)) for n in found.given]


def _channels(
    names: Iterable[str], parts: list[Part], move: Callable[[Part, str], str]
) -> Lines:
    """Lines that move the channels of tensors, where they stand last."""
    if not parts[0].is_last:
        return []
    return [move(_owner(n, parts), n) for n in names if _is_moved(n, parts)]


def _owner(name: str, parts: list[Part]) -> Part:
    plain = name.removeprefix("d")
    return next((p for p in parts if plain in p.parameters), parts[0])


def _is_moved(name: str, parts: list[Part]) -> bool:
    return all(name.removeprefix("d") != part.b for part in parts) and name != "E"


def _results(found: Explained, parts: list[Part]) -> tuple[str, ...]:
    """The output or the error, then the gradients of all that is given."""
    first = parts[-1].y if found.setting.layer != "network" else "E"
    return (first, *_gradients(found))


def _gradients(found: Explained) -> tuple[str, ...]:
    computed = [part.out for part in found.passes]
    return tuple(f"d{n}" for n in found.given if f"d{n}" in computed)


def _printed(names: Iterable[str]) -> Lines:
    return ["", f'print({", ".join(names)}, sep="\\n\\n")']


def _sources(found: Explained) -> tuple[str, ...]:
    return tuple(name[1:] for name in _gradients(found))


def _list(names: Iterable[str], form: str = "{}") -> str:
    """Returns names as Python unpacks them: `a, b`, `(a,)`."""
    found = [form.format(name) for name in names]
    return ", ".join(found) if len(found) > 1 else f"({found[0]},)"


# ------------------------------------------------------------------ by framework


def _in_numpy(found: Explained, parts: list[Part]) -> Lines:
    names = _results(found, parts)
    lines = [*_numpy.HEAD, "", *_given(found, _numpy.given)]
    lines += _channels(found.given, parts, _numpy.first)
    for part in parts:
        lines += ["", f"# {part.y}, forward", *_numpy.forward(part)]
    if found.setting.layer == "network":
        lines += ["", "# the error", *_numpy.loss(parts[-1].y)]
    for part in reversed(parts):
        outs = ", ".join(f"d{name}" for name in (*part.parameters, part.x))
        lines += [
            "",
            f"# {outs}, backward",
            *_numpy.backward(part, again=len(parts) > 1),
        ]
    back = _channels(names, parts, _numpy.last)
    return [*lines, *(["", *back] if back else []), *_printed(names)]


def _in_torch(found: Explained, parts: list[Part]) -> Lines:
    sources, names = _sources(found), _results(found, parts)
    lines = [*_torch.HEAD, ""]
    for name in found.given:
        made = _torch.given(name, found.tensors[name].shape, slot(name))
        lines.append(made + (".requires_grad_()" if name in sources else ""))
    grads = _list(sources, "{}.grad")
    if parts[0].is_last:
        lines += ["", f"leaves = {_list(sources)}"]
        grads = "(leaf.grad for leaf in leaves)"
    lines += _channels(found.given, parts, _torch.first)
    lines.append("")
    for part in parts:
        lines += _torch.forward(part)
    if found.setting.layer == "network":
        lines += [*loss(parts[-1].y), "E.backward()"]
    else:
        lines += [f"{parts[0].y}.backward(d{parts[0].y})"]
    gradients = _gradients(found)
    if len(gradients) > 1 or parts[0].is_last:
        lines += [f"{_list(gradients)} = {grads}"]
    else:
        lines += [f"{gradients[0]} = {sources[0]}.grad"]
    lines += _channels(names[:1], parts, _torch.last)
    return [*lines, *_printed(names)]


_NUMPY: Final = ["import numpy as np", ""]


def _in_jax(found: Explained, parts: list[Part]) -> Lines:
    names, sources = _results(found, parts), _sources(found)
    is_network = found.setting.layer == "network"
    inputs = [*sources, *(["T"] if is_network else [])]
    body = _channels(inputs, parts, _jax.first)
    for part in parts:
        body += _jax.forward(part)
    body += loss(parts[-1].y) if is_network else []
    body += _channels(names[:1], parts, _jax.last)
    function = "error" if is_network else "layer"
    head = [*_NUMPY, *_jax.HEAD] if any("np.nd" in line for line in body) else _jax.HEAD
    lines = [*head, "", *_given(found, _jax.given), "", ""]
    lines += [f"def {function}({', '.join(inputs)}):"]
    lines += [f"    {line}" for line in [*body, f"return {names[0]}"]]
    slopes = _list(_gradients(found))
    if is_network:
        places = tuple(range(len(sources)))
        both = f"jax.value_and_grad({function}, {places})({', '.join(inputs)})"
        lines += ["", "", f"E, ({slopes.strip('()')}) = {both}"]
    else:
        y = parts[0].y
        lines += ["", "", f"{y}, pull = jax.vjp({function}, {', '.join(inputs)})"]
        lines += [f"{slopes} = pull(d{y})"]
    return [*lines, *_printed(names)]


_GIVEN: Final = 'given["{}"]'
_SLOPES: Final = 'slopes["{}"]'


def _in_rot180(found: Explained, parts: list[Part]) -> Lines:
    names, sources = _results(found, parts), _sources(found)
    lines = [*_rot180.HEAD, "", *_given(found, _rot180.given), ""]
    body = [line for part in parts for line in _rot180.forward(part)]
    if found.setting.layer != "network":
        backward = [line for part in parts for line in _rot180.backward(part)]
        return [*lines, *body, *backward, *_printed(names)]
    body = [f"{_list(sources)} = {_list(sources, _GIVEN)}", *body]
    body += [*loss(parts[-1].y), "return E"]
    given = ", ".join(f'"{name}": {name}' for name in sources)
    lines += ["", "def error(given):", *(f"    {line}" for line in body), "", ""]
    lines += [f"E, slopes = rot180.value_and_grad(error)({{{given}}})"]
    lines += [f"{_list(_gradients(found))} = {_list(sources, _SLOPES)}"]
    return [*lines, *_printed(names)]


_PROGRAMS: Final = {
    "numpy": _in_numpy,
    "pytorch": _in_torch,
    "jax": _in_jax,
    "rot180": _in_rot180,
}
