"""What is wrong: failures compared with known mistakes, and what they have in common.

`diagnose` looks for explanations of two kinds. A *known mistake* is a line of a table:
the right computation with one thing altered, whose result has to equal what came,
number by number. A *condition* is a statement about the configuration that holds where
the output is wrong and nowhere else. What neither explains is at least placed: only the
last column, only the later images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from rot180.check.cases import Case
from rot180.check.diagnose._conditions import Condition, condition, holds
from rot180.check.diagnose._match import MISTAKES, Match, matches, seen, showing
from rot180.check.diagnose._mistake import Seen
from rot180.check.diagnose._shapes import SHARED, shape_texts
from rot180.check.diagnose._shrink import shrink
from rot180.check.diagnose._where import place
from rot180.check.judge import Diagnosis, Failure

__all__ = ["KINDS_OF_MISTAKES", "SHARED", "diagnose", "holds", "kind_of", "shrink"]

_SPECIAL: Final[Mapping[str, int]] = {
    "special-channel-count": 17,
    "grouped-strided": 18,
}
_INPUT_GRADIENTS: Final = ("dx", "gx")
_BOTH: Final = {"groups > 1", "stride > 1"}
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
        unless a known mistake fits the right calls too. Where the calls before decide,
        there is neither condition nor place; and the data of a law, which the right
        calls did not have, count for no condition.
    """
    if not failures:
        return ()
    first = failures[0]
    earlier = first.law == "history" or first.reason == "repeat"
    right = [case for case, function in passed if function == first.function]
    about = [one for one in map(seen, failures) if one is not None]
    known = matches(about, right, first.function)
    if earlier:
        known = [match for match in known if match.refuted == 0]
    cases = [failure.case for failure in failures if failure.law == "reference"]
    common = None if earlier else condition(cases, right)
    label = first.output or first.function
    found = [_of_match(match, about, label, len(failures)) for match in known]
    told = None if common is None else _of_condition(common, label, len(failures))
    fits = any(match.refuted == 0 for match in known)
    is_exact = common is not None and common.exact and not fits
    special = is_exact and told is not None and told.name in _SPECIAL
    if known and known[0].refuted > 0 and not special:
        found[0] = _narrowed(found[0], known[0], about, right, first)
    found += _of_shapes(failures, label)
    if told is not None and all(known.parts != told.parts for known in found):
        found.insert(0 if special else len(found), told)
    where = None if known or earlier else place(about)
    if where is not None:
        text, explained = where
        found.append(Diagnosis("place", f"{label}: {text}", explained, len(failures)))
    return tuple(found)


def _of_match(match: Match, about: Sequence[Seen], label: str, of: int) -> Diagnosis:
    mistake, text = match.mistake, match.mistake.text
    if mistake.detail is not None:
        details = {mistake.detail(about[i]) for i in match.explained}
        text = details.pop() if len(details) == 1 else text
    name = f"{label}-{mistake.name}"
    return Diagnosis(name, f"{label}: {text}", len(match.explained), of)


def _narrowed(
    diagnosis: Diagnosis,
    match: Match,
    about: Sequence[Seen],
    right: Sequence[Case],
    first: Failure,
) -> Diagnosis:
    """Says when a mistake is made that would have shown in right calls, too.

    Only those right calls count in which it would have shown: in the others, nobody
    can tell whether it was made.
    """
    wrong = [about[i].case for i in sorted(match.explained)]
    shown = showing(match.mistake, right, first.function, first.output)
    when = condition(wrong, shown, fewest_right=1)
    if when is None:
        return diagnosis
    name, is_gradient = diagnosis.name, first.output in _INPUT_GRADIENTS
    if is_gradient and _BOTH.issuperset(when.parts) and all(map(_has_both, wrong)):
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
    elif label in _INPUT_GRADIENTS and set(found.parts) == _BOTH:
        name = "grouped-strided"
    return Diagnosis(name, f"{label}: {found.text}", found.wrong, of, found.parts)


def _of_shapes(failures: Sequence[Failure], label: str) -> list[Diagnosis]:
    """Returns the conventions that explain most of the wrong shapes."""
    texts = [shape_texts(f) for f in failures if f.reason == "shape"]
    counts = Counter(text for each in texts for text in each)
    parts = {shared.shape: (shared.statement,) for shared in SHARED}
    return [
        Diagnosis(
            f"{label}-shape",
            f"{label}: shape: {text}",
            counts[text],
            len(failures),
            parts.get(text, ()),
        )
        for text, _ in counts.most_common(1)
        if counts[text] >= 0.6 * len(texts)
    ]
