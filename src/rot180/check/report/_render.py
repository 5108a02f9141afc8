"""A report as a person reads it in a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table

from rot180.check.judge import Finding
from rot180.check.report._report import Report
from rot180.check.report._words import (
    call,
    diagnoses,
    exit_status,
    facts,
    first_wrong,
    lacking,
    laws,
    plural,
    remark,
    rows,
    slices,
    title,
    verdict,
    worked_out,
)
from rot180.check.subjects import number

__all__ = ["show"]

_INDENT: Final = "  "


def show(
    report: Report,
    console: Console,
    *,
    diagnosis: bool = True,
    files: Sequence[str] = (),
) -> None:
    """Prints a report; words carry the meaning, colours add nothing.

    Args:
        report: What a run found.
        console: Where to print; 80 columns are enough.
        diagnosis: Whether to name the known mistakes that fit.
        files: Where the reproductions were written, one for each finding; they are
            printed in full where there are none.
    """
    for line in _head(report):
        _print(console, line)
    if report.tallies:
        _print(console, f"\n{_table(report, console)}", wrap=False)
    for heading, lines in _lists(report):
        _print(console, heading)
        for line in lines:
            _print(console, line, indent=_INDENT)
    for i, finding in enumerate(report.findings):
        _rule(console, f"{i + 1} of {plural(len(report.findings), 'finding')}")
        _finding(console, finding, diagnosis=diagnosis, file=files[i] if files else "")
    _rule(console, "verdict")
    for line in (*verdict(report), exit_status(report)):
        _print(console, line)


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
    count = plural(report.configurations, "configuration")
    profile = f"profile {report.profile}, seed {report.seed}, {dtypes}"
    yield f"{profile}: {count} in {report.seconds:.1f} s"
    if report.versions:
        yield ", ".join(f"{name} {text}" for name, text in report.versions.items())
    yield report.arithmetic


def _table(report: Report, console: Console) -> str:
    table = Table(box=box.ASCII2, show_edge=False, header_style="none")
    table.add_column("function")
    for name in ("passed", "failed", "unsupported"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for row in rows(report):
        table.add_row(*row)
    with console.capture() as capture:
        console.print(table)
    return capture.get().rstrip("\n")


def _lists(report: Report) -> Iterator[tuple[str, list[str]]]:
    """The lists between the table and the findings, those that are not empty."""
    if report.unsupported:
        yield "\nNot supported, and so not judged:", lacking(report)
    if report.laws:
        yield "\nLaws:", laws(report)
    if report.notes:
        yield "\nNotes:", list(report.notes)


def _finding(console: Console, finding: Finding, *, diagnosis: bool, file: str) -> None:
    failure = finding.failure
    _print(console, title(finding))
    for text in filter(None, (failure.message, remark(failure))):
        _print(console, text, indent=_INDENT)
    _section(console, "smallest", _smallest(finding))
    _section(console, "formula", finding.formula.split("\n"))
    _section(console, "first wrong", _first(finding))
    _arrays(console, finding)
    if diagnosis:
        _section(console, "diagnosis", list(diagnoses(finding)))
    if file:
        _section(console, "reproduction", [f"in {file}"])
    elif finding.reproduction:
        _print(console, "reproduction, to be saved as a file and run:", indent=_INDENT)
        _code(console, finding.reproduction)


def _code(console: Console, text: str) -> None:
    """Prints a script as it is, from the first column, so that it can be copied."""
    rule = "-" * min(console.width, 80)
    script = text.rstrip("\n")
    _print(console, f"{rule}\n{script}\n{rule}", wrap=False)


def _section(console: Console, name: str, lines: Iterable[str]) -> None:
    """Prints a heading and lines below it, if there are any."""
    filled = [line for line in lines if line.strip()]
    if not filled:
        return
    _print(console, f"{name}:", indent=_INDENT)
    for line in filled:
        _print(console, line.strip(), indent=_INDENT * 2)


def _first(finding: Finding) -> Iterator[str]:
    failure, at = finding.failure, first_wrong(finding.failure)
    if at is None or failure.got is None or failure.expected is None:
        return
    got, right = number(failure.got[at]), number(failure.expected[at])
    yield f"{failure.output}{list(at)} is {got}, and should be {right}"
    yield from worked_out(failure).split("\n")


def _smallest(finding: Finding) -> Iterator[str]:
    failure = finding.failure
    smallest = call(failure.case, failure.function, tuple(failure.operands))
    yield smallest
    yield facts(failure)
    seen = call(finding.first, failure.function, tuple(failure.operands))
    if (seen, finding.first.x_shape) != (smallest, failure.case.x_shape):
        yield f"first seen as {seen}, x {finding.first.x_shape}"


def _arrays(console: Console, finding: Finding) -> None:
    """Prints what came beside what is right."""
    found = slices(finding.failure)
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
