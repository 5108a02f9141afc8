"""A report as a build's server reads it: JUnit's XML and GitHub's annotations."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from rot180.check.judge import Finding
from rot180.check.report._causes import causes
from rot180.check.report._render import finding_text
from rot180.check.report._report import Report
from rot180.check.report._words import fault, title, verdict
from rot180.check.subjects import find
from rot180.errors import DataError

__all__ = ["to_github", "to_junit"]

_RAISED: Final = re.compile(r" at (\S+\.py):(\d+) in ")
# What XML 1.0 cannot hold.
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DEFINED: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def to_junit(report: Report) -> str:
    """Returns a report as JUnit's XML: a test for each function, and one for the rest.

    A function that is wrong has a `failure`; one that was not judged is `skipped`. The
    test named `judged in full` has an `error` where something was left unjudged.
    """
    tests = [_test(report, name) for name in report.tallies]
    tests.append(_whole(report))
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {
        name: str(sum(test.find(tag) is not None for test in tests))
        for name, tag in kinds.items()
    }
    attributes = {
        "name": _plain(f"rot180 check {report.subject}"),
        "tests": str(len(tests)),
        **counts,
        "time": f"{report.seconds:.3f}",
    }
    suite = ElementTree.Element("testsuite", attributes)
    suite.extend(tests)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'


def _test(report: Report, function: str) -> ElementTree.Element:
    test = _named(report, function)
    own = [f for f in report.counted if f.failure.function == function]
    tally = report.tallies[function]
    if own:
        text = "\n".join(map(finding_text, causes(own)))
        _add(test, "failure", "; ".join(map(title, own)), text)
    elif not (tally.passed or tally.failed):
        _add(test, "skipped", "not judged")
    return test


def _whole(report: Report) -> ElementTree.Element:
    test = _named(report, "judged in full")
    left = [*filter(None, [report.problem]), *report.incomplete]
    if left or not report.judged:
        first = left[0] if left else "no call gave a result"
        _add(test, "error", first, "\n".join(left))
    return test


def _named(report: Report, name: str) -> ElementTree.Element:
    return ElementTree.Element("testcase", classname=_plain(report.subject), name=name)


def _add(test: ElementTree.Element, tag: str, message: str, text: str = "") -> None:
    child = ElementTree.SubElement(test, tag, message=_plain(message))
    child.text = _plain(text) or None


def _plain(text: str) -> str:
    return _NO_XML.sub("?", text)


def to_github(report: Report) -> str:
    """Returns a report as commands that annotate the lines of a change on GitHub."""
    return "\n".join(_annotations(report))


def _annotations(report: Report) -> Iterator[str]:
    for group in causes(report.counted):
        text = finding_text(group)
        yield _command("error", fault(group[0].failure), text, _place(report, group))
    levels = {"right": "notice", "incomplete": "error", "accepts": "warning"}
    for line in verdict(report):
        level = levels.get(re.split(r"\W", line)[0])
        if level is not None:
            yield _command(level, "rot180 check", line)


def _command(
    level: str, title: str, text: str, place: tuple[str, int] | None = None
) -> str:
    where = [] if place is None else [f"file={_property(place[0])}", f"line={place[1]}"]
    named = ",".join([*where, f"title={_property(title)}"])
    return f"::{level} {named}::{_escaped(text.strip())}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def _place(report: Report, group: Sequence[Finding]) -> tuple[str, int] | None:
    """The file and line of what raised, else of the function; None if not known."""
    file, attribute = _file(report.subject)
    if file is None:
        return None
    failure = group[0].failure
    raised = _RAISED.search(failure.message)
    if raised and (file.parent / raised[1]).is_file():
        file, line = file.parent / raised[1], int(raised[2])
    else:
        line = _line(file, failure.function, attribute)
    shown = os.path.relpath(file) if file.is_relative_to(Path.cwd()) else str(file)
    return Path(shown).as_posix(), line


def _file(subject: str) -> tuple[Path | None, str]:
    """The file of a subject, and the attribute of it that is meant."""
    try:
        found = find(subject)
    except DataError:
        return None, ""
    if found.folder is None:
        return None, ""
    base = Path(found.folder, *found.name.split("."))
    files = (found.path, base.with_suffix(".py"), base / "__init__.py")
    return next((f for f in files if f and f.is_file()), None), found.attribute


def _line(file: Path, function: str, attribute: str) -> int:
    """Where a function stands: by its name, that of a course's, or as a method."""
    try:
        tree: ast.AST = ast.parse(file.read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        return 1
    names = attribute.split(".") if attribute else []
    for name in names:
        inner = (
            n for n in ast.walk(tree) if isinstance(n, _DEFINED) and n.name == name
        )
        tree = next(inner, tree)
    way = "backward" if function.endswith(("_backward", "_grad")) else "forward"
    operation = re.sub(
        "_(backward|input_grad|weight_grad|double_backward)$", "", function
    )
    wanted = re.compile(f"{function}$|{operation}_{way}|{way}$")
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, _DEFINED) and wanted.match(node.name)
    ]
    return lines[0] if lines else getattr(tree, "lineno", 1)
