"""What is wrong: failures compared with known mistakes, and what they have in common.

`diagnose` looks for explanations of two kinds. A *known mistake* is a line of a table:
the right computation with one thing altered, whose result has to equal what came,
number by number. A *condition* is a statement about the configuration that holds where
the output is wrong and nowhere else. What neither explains is at least placed: only the
last column, only the later images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from rot180.check._case import Case
from rot180.check._diagnose._conditions import Condition, condition
from rot180.check._diagnose._match import MISTAKES, Match, matches, seen, showing
from rot180.check._diagnose._mistake import Seen
from rot180.check._diagnose._shapes import shape_texts
from rot180.check._diagnose._where import place
from rot180.check._failure import Diagnosis, Failure

__all__ = ["KINDS_OF_MISTAKES", "diagnose", "kind_of"]

_SPECIAL: Final[Mapping[str, int]] = {
    "special-channel-count": 17,
    "grouped-strided": 18,
}
# The kind of each known mistake, by its name without the output's.
KINDS_OF_MISTAKES: Final[Mapping[str, int | None]] = {
    **{mistake.name: mistake.kind for mistake in MISTAKES},
    **_SPECIAL,
}


def kind_of(name: str) -> int | None:
    """Returns the kind of mistake that a diagnosis' name stands for, if it has one."""
    return KINDS_OF_MISTAKES.get(name, KINDS_OF_MISTAKES.get(name.partition("-")[2]))


def diagnose(
    failures: Sequence[Failure], passed: Sequence[tuple[Case, str]]
) -> tuple[Diagnosis, ...]:
    """Returns what explains the failures, the best explanation first.

    Args:
        failures: Of one output of one function, one or more.
        passed: Configurations, with the name of the function, that were judged right.

    Returns:
        Known mistakes, of which the better explains more of the failures; then a
        condition; then, if no mistake is known, where the wrong numbers are. A
        condition on a count of channels, or on groups and stride together, comes first
        unless a known mistake fits the right calls too.
    """
    if not failures:
        return ()
    first = failures[0]
    right = [case for case, function in passed if function == first.function]
    about = [one for one in map(seen, failures) if one is not None]
    known = matches(about, right, first.function)
    common = condition([failure.case for failure in failures], right)
    label = first.output or first.function
    found = [_of_match(match, label, len(failures)) for match in known]
    if known and known[0].refuted > 0:
        found[0] = _narrowed(found[0], known[0], about, right, label)
    found += _of_shapes(failures, label)
    if common is not None:
        diagnosis = _of_condition(common, label, len(failures))
        fits = any(match.refuted == 0 for match in known)
        special = diagnosis.name in _SPECIAL and common.exact and not fits
        found.insert(0 if special else len(found), diagnosis)
    if not known:
        found += _of_place(about, label, len(failures))
    return tuple(found)


def _of_match(match: Match, label: str, of: int) -> Diagnosis:
    name, text = f"{label}-{match.mistake.name}", f"{label}: {match.mistake.text}"
    return Diagnosis(name, text, len(match.explained), of)


def _narrowed(
    diagnosis: Diagnosis,
    match: Match,
    about: Sequence[Seen],
    right: Sequence[Case],
    label: str,
) -> Diagnosis:
    """Says when a mistake is made that would have shown in right calls, too.

    Only those right calls count in which it would have shown: in the others, nobody
    can tell whether it was made.
    """
    wrong = [about[i].case for i in sorted(match.explained)]
    shown = showing(match.mistake, right, about[0])
    when = condition(wrong, shown, fewest_right=1)
    if when is None:
        return diagnosis
    name, both = diagnosis.name, {"groups > 1", "stride > 1"}
    if label in ("dx", "gx") and set(when.parts) <= both and all(map(_has_both, wrong)):
        name = "grouped-strided"
    elif when.counts:
        name = "special-channel-count"
    text = f"{diagnosis.text}, when {' and '.join(when.parts)}"
    return replace(diagnosis, name=name, text=text)


def _has_both(case: Case) -> bool:
    return case.groups > 1 and max(case.stride) > 1


def _of_condition(found: Condition, label: str, of: int) -> Diagnosis:
    name = "condition"
    if found.counts:
        name = "special-channel-count"
    elif label in ("dx", "gx") and set(found.parts) == {"groups > 1", "stride > 1"}:
        name = "grouped-strided"
    return Diagnosis(name, f"{label}: {found.text}", found.wrong, of)


def _of_shapes(failures: Sequence[Failure], label: str) -> list[Diagnosis]:
    """Returns the conventions that explain most of the wrong shapes."""
    texts = [shape_texts(f) for f in failures if f.reason == "shape"]
    counts: dict[str, int] = {}
    for text in (text for each in texts for text in each):
        counts[text] = counts.get(text, 0) + 1
    best = sorted(counts, key=lambda text: -counts[text])[:1]
    return [
        Diagnosis(
            f"{label}-shape", f"{label}: shape: {text}", counts[text], len(failures)
        )
        for text in best
        if counts[text] >= 0.6 * len(texts)
    ]


def _of_place(about: Sequence[Seen], label: str, of: int) -> list[Diagnosis]:
    found = place(about) if about else None
    if found is None:
        return []
    text, explained = found
    return [Diagnosis("place", f"{label}: {text}", explained, of)]
