"""An explanation as a value for JSON: every term of every number.

The page reads the same document; `docs/reference/explain-json.md` describes it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from rot180.explain._code import FRAMEWORKS, program, template
from rot180.explain._equations import Cell, Equation, Number, Term
from rot180.explain._slide import Slide, Track
from rot180.explain._tensors import Tensor, caption
from rot180.explain._text import line
from rot180.explain._words import LANGUAGES, sentences, title, turn

if TYPE_CHECKING:
    from rot180.explain._explained import Explained
    from rot180.explain._passes import Pass

FORMAT: Final = 1
Json: TypeAlias = dict[str, Any]
Ids: TypeAlias = Mapping[Cell, int]


def document(found: Explained, *, texts: bool = True) -> Json:
    """Returns an explanation as dicts, lists, texts and numbers.

    Args:
        found: The explanation.
        texts: Whether equations are there as texts too, and programs with their
            numbers; else programs have slots such as `⟦X⟧` in their place.
    """
    ids = _numbered(found.tensors)
    setting = found.setting
    return {
        "format": FORMAT,
        "setting": {p.name: getattr(setting, p.name) for p in setting.parameters()},
        "words": setting.words(),
        "command": command(found),
        "seed": found.seed,
        "typed": found.typed,
        "count_from": found.names.count_from,
        "tensors": [_tensor(found, tensor, ids) for tensor in found.tensors.values()],
        "passes": [_pass(found, part, ids, texts=texts) for part in found.passes],
        "code": {
            name: (program if texts else template)(found, name) for name in FRAMEWORKS
        },
    }


def command(found: Explained) -> str:
    """Returns the command line that explains the same.

    Numbers that were passed have to be in a file; it is called `FILE`.
    """
    words = [
        f"--{'no-' if text == 'false' else ''}{name.replace('_', '-')}"
        + ("" if text in ("true", "false") else f" {text}")
        for name, text in found.setting.words().items()
    ]
    values = "letters" if found.values is None else "FILE" if found.typed else ""
    words += [f"--values {values}"] if values else []
    words += [f"--seed {found.seed}"] if found.seed else []
    words += [] if found.names.count_from else ["--count-from 0"]
    return " ".join(["rot180 explain", *words])


def _numbered(tensors: Mapping[str, Tensor]) -> Ids:
    """Numbers all cells: tensor by tensor, each in row-major order."""
    cells = (cell for tensor in tensors.values() for cell in tensor.cells())
    return {cell: number for number, cell in enumerate(cells)}


def _tensor(found: Explained, tensor: Tensor, ids: Ids) -> Json:
    values = None
    if found.values is not None:
        values = [number(value) for value in found.values[tensor.name].values()]
    return {
        "name": tensor.name,
        "shape": tensor.shape,
        "axes": tensor.axes,
        "given": tensor.name in found.given,
        "first": ids[next(tensor.cells())],
        "captions": [caption(tensor, at, found.names) for at in tensor.planes()],
        "labels": [found.names.label(cell) for cell in tensor.cells()],
        "values": values,
    }


def number(value: Number) -> Number | str:
    """Returns a number, or a text where JSON has none for it: `"-inf"`."""
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and abs(value) < 2**53 else value


def _pass(found: Explained, part: Pass, ids: Ids, *, texts: bool) -> Json:
    equations = [_equation(equation, ids) for equation in part.equations]
    if texts:
        for told, equation in zip(equations, part.equations, strict=True):
            told["text"] = line(equation, found)
    return {
        "name": part.name,
        "layer": part.layer,
        "out": part.out,
        "operands": part.operands,
        "title": {to: title(part, found, to) for to in LANGUAGES},
        "sentences": {to: sentences(part, found, to) for to in LANGUAGES},
        "formulas": part.formulas,
        "gathered": part.gathered,
        "slide": None if part.slide is None else _slide(part.slide),
        "equations": equations,
    }


def _equation(equation: Equation, ids: Ids) -> Json:
    told: Json = {"terms": [_term(term, ids) for term in equation.terms]}
    if equation.reduction == "max":
        told |= {"reduction": "max", "floor": equation.floor}
    return told


def _term(term: Term, ids: Ids) -> Json:
    """What is not said is plain: sign 1, over 1, no choice."""
    told: Json = {"factors": [ids[cell] for cell in term.factors]}
    if term.sign != 1:
        told["sign"] = term.sign
    if term.over != 1:
        told["over"] = term.over
    if term.choice is not None:
        told["choice"] = {"cell": ids[term.choice.cell], "of": ids[term.choice.of]}
    return told


def _slide(slid: Slide) -> Json:
    return {
        "base": slid.base,
        "slider": slid.slider,
        "turned": turn(slid) if slid.turns else None,
        "outside": number(slid.outside),
        "tracks": [_track(track) for track in slid.tracks],
    }


def _track(track: Track) -> Json:
    return {
        "reads": track.reads,
        "taps": track.taps,
        "tap_step": track.tap_step,
        "reversed": track.is_reversed,
        "first": track.start - track.low,
        "step": track.step,
    }
