"""Findings that have one cause, told as one."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from typing import Final

from rot180.check.cases import OUTPUTS, make
from rot180.check.diagnose import SHARED, holds
from rot180.check.judge import Diagnosis, Finding

__all__ = ["causes"]

_PLACE: Final = re.compile(r" raised (\w+) at (\S+:\d+) ")
# What a forward pass that rotates its filter does to each output.
_FLIPPED: Final = (
    "filter is rotated, a true convolution",
    "filter not rotated",
    "reversed along all axes of the filter",
)
# An extent taken for another shows in shapes, and where these are right by chance.
_WIDER: Final = {shared.statement: shared.wider for shared in SHARED}

Group = list[Finding]


def causes(findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], ...]:
    """Returns the findings in groups of one cause each; what has a diagnosis leads.

    One cause have findings of which the same known mistake, or the same condition, is
    the best diagnosis; errors raised by the same line; the same wrong numbers of the
    same call; and gradients that fit a forward pass whose filter is rotated. A finding
    without a diagnosis joins those whose condition it needs.
    """
    groups: list[Group] = []
    for finding in findings:
        signs = set(_signs(finding))
        same = [g for g in groups if any(signs & set(_signs(f)) for f in g)]
        groups = [g for g in groups if g not in same]
        groups.append([*(f for g in same for f in g), finding])
    place = {id(finding): i for i, finding in enumerate(findings)}
    groups = sorted(_joined(groups), key=lambda g: min(place[id(f)] for f in g))
    return tuple(
        tuple(sorted(g, key=lambda f: (_known(f) is None, place[id(f)])))
        for g in groups
    )


def _joined(groups: list[Group]) -> list[Group]:
    """Adds what has no diagnosis to the first group whose condition it needs."""
    told: list[Group] = [g for g in groups if any(map(_known, g))]
    for group in (g for g in groups if g not in told):
        home = next((g for g in told if all(_needs(f, g) for f in group)), None)
        if home is None:
            told.append(group)
        else:
            home += group
    return told


def _known(finding: Finding) -> Diagnosis | None:
    """The best diagnosis; where the wrong numbers are is none."""
    best = finding.diagnoses[:1]
    return best[0] if best and best[0].name != "place" else None


def _needs(finding: Finding, group: Group) -> bool:
    """Whether the smallest case meets a condition that the simplest of all does not."""
    case = finding.failure.case
    if finding.failure.reason == "invalid":
        return False
    simplest = make(case.kind, rank=case.rank)
    known = [_known(other) for other in group if other.failure.case.kind == case.kind]
    conditions = [_parts(one) for one in known if one is not None and one.parts]
    return any(holds(p, case) and not holds(p, simplest) for p in conditions)


def _signs(finding: Finding) -> Iterator[Hashable]:
    """Yields what two findings of one cause have in common."""
    failure, known = finding.failure, _known(finding)
    kind = failure.case.kind
    place = _PLACE.search(failure.message)
    if failure.reason == "raised" and place:
        yield place.groups()
    if failure.reason == "invalid":
        yield failure.message.removeprefix(failure.function)
    if failure.got is not None and failure.output in OUTPUTS[failure.function]:
        yield failure.case, failure.output, failure.reason, failure.got.tobytes()
    if known is not None:
        yield kind, _parts(known) or _mistake(known)
        if known.name.endswith("-shape"):
            yield "shape", _mistake(known)  # one convention, in whatever operation
        if _mistake(known) in _FLIPPED:
            yield from ((kind, "flipped", output) for output in _passes(failure.output))


def _parts(known: Diagnosis) -> tuple[str, ...]:
    return tuple(_WIDER.get(part, part) for part in known.parts)


def _mistake(known: Diagnosis) -> str:
    """The mistake, whatever the output and the circumstances."""
    return known.text.partition(": ")[2].partition(", when ")[0]


def _passes(output: str) -> tuple[str, ...]:
    """The outputs that a rotated filter explains: of the forward pass, all."""
    return ("dx", "dw") if output == "y" else (output,)
