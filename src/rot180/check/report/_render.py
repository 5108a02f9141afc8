"""A report as a person reads it in a terminal."""

from __future__ import annotations

import io
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich.console import Console

from rot180.check.judge import Finding
from rot180.check.report import _words as words
from rot180.check.report._causes import causes
from rot180.check.report._report import Report
from rot180.check.subjects import number

__all__ = ["finding_text", "show"]

_INDENT: Final = "  "


def show(
    report: Report,
    console: Console,
    *,
    diagnosis: bool = True,
    files: Sequence[str] = (),
    brief: bool = False,
    option: str = "--reproductions DIR",
) -> None:
    """Prints a report; words carry the meaning, colours add nothing.

    Args:
        report: What a run found.
        console: Where to print; 80 columns are enough.
        diagnosis: Whether to name the known mistakes that fit.
        files: Where the reproductions were written, one for each finding.
        brief: Whether a line for each finding is enough.
        option: How reproductions are asked for, which is said where there are none.
    """
    for line in words.verdict(report):
        _print(console, line)
    if brief:
        _brief(console, report, diagnosis=diagnosis)
    else:
        _in_full(console, report, diagnosis=diagnosis, files=files)
        if report.findings and not files:
            _print(console, words.scripts(option))
        elif not report.findings:
            _print(console, "")
    _print(console, words.exit_status(report))


def _brief(console: Console, report: Report, *, diagnosis: bool) -> None:
    for place, group in enumerate(causes(report.counted), 1):
        more = f", and {len(group) - 1} more by one cause" if len(group) > 1 else ""
        known = words.told(group[0], diagnosis=diagnosis)
        _print(
            console, f"{place}. {words.title(group[0])}{more}{known and ': '}{known}"
        )


def _in_full(
    console: Console, report: Report, *, diagnosis: bool, files: Sequence[str]
) -> None:
    for line in _head(report):
        _print(console, line)
    if report.tallies:
        _print(console, "\n" + _table(report, console.width), wrap=console.width < 80)
    for heading, lines in words.lists(report):
        _print(console, f"\n{heading}:")
        for line in lines:
            _print(console, line, indent=_INDENT)
    groups = causes(report.findings)
    number = itertools.count(1)
    of = words.plural(len(causes(report.counted)), "finding")
    places = dict(zip(map(id, report.findings), files, strict=False))
    for group in groups:
        is_counted = group[0] in report.counted
        _rule(console, f"{next(number)} of {of}" if is_counted else "invalid input")
        _group(console, group, diagnosis=diagnosis)
        named = [places.get(id(finding), "") for finding in group]
        _section(console, "reproduction", [f"in {file}" for file in named if file])
    if groups:
        _rule(console, "end")


def _print(console: Console, text: str, *, indent: str = "", wrap: bool = True) -> None:
    """Prints lines, each broken between words where it is too long, or as they are."""
    for line in text.split("\n"):
        shown = _wrapped(line, console.width, indent) if wrap else indent + line
        console.print(shown.rstrip(), markup=False, highlight=False, soft_wrap=True)


def _wrapped(line: str, width: int, indent: str) -> str:
    """Breaks a line between words, but not inside a plain tuple or subscript."""
    whole = re.sub(r", (?=[^][()]*[])])", ",\N{NO-BREAK SPACE}", line)
    filled = textwrap.fill(
        whole,
        max(width, 40),
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_on_hyphens=False,
        break_long_words=False,  # paths are to be copied
    )
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def _rule(console: Console, text: str) -> None:
    line = f"--- {text} ".ljust(min(console.width, 80), "-")
    _print(console, f"\n{line}", wrap=False)


def _head(report: Report) -> Iterator[str]:
    yield f"rot180 check {report.subject}"
    dtypes = ", ".join(report.dtypes)
    count = words.plural(report.configurations, "configuration")
    profile = f"profile {report.profile}, seed {report.seed}, {dtypes}"
    yield f"{profile}: {count} in {report.seconds:.1f} s"
    yield ", ".join(f"{name} {text}" for name, text in report.versions.items())
    if report.judged:
        yield report.arithmetic


def _table(report: Report, width: int) -> str:
    """The table by function; a line for each where it is wider than the terminal."""
    header, *body = words.rows(report)
    sizes = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    if sum(sizes) + 3 * len(sizes) - 1 > width:
        return "\n".join(_told(header, row) for row in body)
    lines = ["|".join(map(_padded, row, sizes, header)) for row in (header, *body)]
    rule = "+".join("-" * (size + 2) for size in sizes)
    return "\n".join([lines[0], rule, *lines[1:]])


def _padded(text: str, size: int, column: str) -> str:
    is_text = column in ("function", "verdict")
    return f" {text.ljust(size) if is_text else text.rjust(size)} "


def _told(header: Sequence[str], row: Sequence[str]) -> str:
    """A row in words: `conv: wrong, 299 passed, 1 failed`."""
    counts = zip(row[1:-1], header[1:-1], strict=True)
    return f"{row[0]}: {row[-1]}, {', '.join(' '.join(each) for each in counts)}"


def finding_text(group: Sequence[Finding]) -> str:
    """Returns what is printed of findings of one cause."""
    page = io.StringIO()
    _group(Console(file=page, width=88, color_system=None), group, diagnosis=True)
    return page.getvalue()


def _group(console: Console, group: Sequence[Finding], *, diagnosis: bool) -> None:
    _finding(console, group[0], diagnosis=diagnosis)
    others = [words.also(finding, diagnosis=diagnosis) for finding in group[1:]]
    _section(console, "of the same cause", others)


def _finding(console: Console, finding: Finding, *, diagnosis: bool) -> None:
    failure = finding.failure
    _print(console, words.title(finding))
    for text in words.messages(failure):
        _print(console, text, indent=_INDENT)
    if diagnosis:
        _section(console, "diagnosis", words.diagnoses(finding))
    _section(console, "smallest", _smallest(finding))
    _section(console, "formula", finding.formula.split("\n"))
    _section(console, "first wrong", _first(finding))
    _arrays(console, finding)


def _section(console: Console, name: str, lines: Iterable[str]) -> None:
    """Prints a heading and lines below it, if there are any."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return
    _print(console, f"{name}:", indent=_INDENT)
    for line in filled:
        _print(console, line.strip(), indent=_INDENT * 2)


def _first(finding: Finding) -> Iterator[str]:
    failure, at = finding.failure, words.first_wrong(finding.failure)
    if at is None or failure.got is None or failure.expected is None:
        return
    got, right = number(failure.got[at]), number(failure.expected[at])
    yield f"{failure.output}{list(at)} is {got}, and should be {right}"
    yield from words.worked_out(failure).split("\n")


def _smallest(finding: Finding) -> Iterator[str]:
    failure = finding.failure
    smallest, seen = words.call(failure), words.call(failure, finding.first)
    yield from (smallest, words.facts(failure))
    if (seen, finding.first.x_shape) != (smallest, failure.case.x_shape):
        yield f"first seen as {seen}, x {finding.first.x_shape}"


def _arrays(console: Console, finding: Finding) -> None:
    """Prints what came beside what is right."""
    found = words.slices(finding.failure)
    if found is None:
        return
    part, got, expected = found
    name = finding.failure.output
    left = [f"got {name}{part}", *_aligned(got)]
    right = [f"expected {name}{part}", *_aligned(expected)]
    width = max(map(len, left)) + 4
    beside = width + max(map(len, right)) + 4 <= console.width
    if not beside:
        left, right = [*left, *right], []
    lines = [
        f"{a.ljust(width) if right else a}{b}".rstrip()
        for a, b in zip_longest(left, right, fillvalue="")
    ]
    _print(console, "numbers (! marks the wrong ones):", indent=_INDENT)
    _print(console, "\n".join(lines), indent=_INDENT * 2, wrap=False)


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    width = max((len(text) for row in table for text in row), default=0)
    return [" ".join(text.rjust(width) for text in row) for row in table]
