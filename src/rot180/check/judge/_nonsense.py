"""Input without meaning, which has to be refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from rot180.check.cases import OUTPUTS, Case, Kind, altered, plain
from rot180.check.judge._failure import Failure
from rot180.check.judge._judge import Judge
from rot180.check.judge._oracle import arguments, arrays, operands
from rot180.check.subjects import Array, Values

# Input without meaning: the option or operand that is wrong, and what to call it.
_NONSENSE: Final[tuple[tuple[str, dict[str, Any], str], ...]] = (
    ("dilation", {"dilation": 0}, "dilation=0"),
    ("stride", {"stride": 0}, "stride=0"),
    ("bias", {"b": -1}, "a bias of one number for 3 filters"),
    ("bias", {"b": 1}, "a bias of 4 numbers for 3 filters"),
)


def accepted_nonsense(judge: Judge) -> Iterator[Failure]:
    """Yields a failure for each input without meaning that gave a result."""
    kinds: tuple[Kind, ...] = ("conv", "conv_transpose")
    for kind in kinds:
        if kind not in judge.runner.facts.functions or kind in judge.survey.given_up:
            continue
        skipped = judge.survey.skipped.get(kind, set())
        for feature, wrong, words in _NONSENSE:
            case = plain(kind, bias=feature == "bias")
            if feature in skipped or case.features() & skipped:
                continue
            given = _spoilt(operands(case), wrong)
            options = case.options() | {n: v for n, v in wrong.items() if n != "b"}
            pairs = arguments(case, kind, given)
            droppable = case.droppable() - wrong.keys()
            outcome = judge.runner.call(kind, pairs, options, droppable)
            if isinstance(outcome, Values):
                yield _accepted(case, kind, wrong, words, given)


def _spoilt(given: dict[str, Array], wrong: dict[str, Any]) -> dict[str, Array]:
    more = wrong.get("b")
    if more is None:
        return given
    b = given["b"]
    return given | {"b": b[:1] if more < 0 else b.repeat(2)[: len(b) + more]}


def _accepted(
    case: Case, kind: Kind, wrong: dict[str, Any], words: str, given: dict[str, Array]
) -> Failure:
    used = arrays(case, kind, given)
    if "b" not in wrong:
        name = next(iter(wrong))
        case = altered(case, name, (0,) * case.rank)
    output, text = OUTPUTS[kind][0], f"{kind} accepted {words}"
    return Failure(case, kind, output, "invalid", text, "invalid input", used)
