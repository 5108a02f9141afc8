"""A report as JSON for programs, as Markdown for pages, and its scripts as files."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rot180.check.judge import Finding, Tally
from rot180.check.report import _words as words
from rot180.check.report._causes import causes
from rot180.check.report._report import Report
from rot180.check.subjects import Array

__all__ = ["FORMAT", "file_names", "to_json", "to_markdown", "write_reproductions"]

FORMAT = 1


def to_json(report: Report) -> str:
    """Returns a report as strict JSON, in the format that `check-json.md` describes.

    One object with these keys; none is ever missing, and new ones may join:

    - `format`: 1; another number where a key changes its meaning.
    - `subject`, `versions`, `profile`, `seed`, `dtypes`, `arithmetic`, `seconds`,
      `configurations`, `planned`, `strict`, `incomplete`, `unsupported`, `notes`,
      `problem`: as the attributes of `Report`.
    - `verdict`: the first lines, as text; `status`: the exit status.
    - `causes`: lists of places in `findings`, of those that have one cause each.
    - `functions`, `laws`: by name, `{"passed", "failed", "unsupported"}`.
    - `findings`: a list of objects with `title`, `function`, `output`, `reason`,
      `message`, `remark`, `law`, `count`, `call`, `case`, `first`, `formula`, `cell`,
      `operands` (arrays by name), `expected`, `got`, `bound` (arrays or null),
      `diagnoses` (a list of `{"name", "text", "explained", "of"}`) and `reproduction`,
      a Python script.

    An array is `{"dtype", "shape", "values"}`, its values nested lists of numbers; in
    place of a number stand the texts `"nan"`, `"inf"` and `"-inf"`.
    """
    told = _report(report)
    return json.dumps(told, indent=2, allow_nan=False, ensure_ascii=False, default=dict)


def _report(report: Report) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "verdict": words.verdict(report),
        **_of(report, "status", "subject", "versions", "profile", "seed", "dtypes"),
        "arithmetic": report.arithmetic,
        "seconds": round(report.seconds, 3),
        **_of(report, "configurations", "planned", "strict", "incomplete"),
        "functions": _tallies(report.tallies),
        "laws": _tallies(report.laws),
        **_of(report, "unsupported", "notes", "problem"),
        "causes": _places(report),
        "findings": [_finding(finding) for finding in report.findings],
    }


def _of(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _places(report: Report) -> list[list[int]]:
    places = {id(finding): i for i, finding in enumerate(report.findings)}
    return [[places[id(f)] for f in group] for group in causes(report.findings)]


def _tallies(tallies: Mapping[str, Tally]) -> dict[str, dict[str, int]]:
    return {name: asdict(tally) for name, tally in tallies.items()}


def _finding(finding: Finding) -> dict[str, Any]:
    failure = finding.failure
    return {
        "title": words.title(finding),
        **_of(failure, "function", "output", "reason", "message"),
        "remark": words.remark(failure),
        "law": failure.law,
        "count": finding.count,
        "call": words.call(failure),
        "case": asdict(failure.case),
        "first": asdict(finding.first),
        "formula": finding.formula,
        "cell": words.worked_out(failure),
        "operands": {name: _array(a) for name, a in failure.operands.items()},
        **{n: _array(getattr(failure, n)) for n in ("expected", "got", "bound")},
        "diagnoses": [asdict(known) for known in finding.diagnoses],
        "reproduction": finding.reproduction,
    }


def _array(array: Array | None) -> dict[str, Any] | None:
    if array is None:
        return None
    values = _plain(array.tolist())
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": values}


def _plain(value: Any) -> Any:
    """Numbers as JSON has them; a text where it has none."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return value if is_number else str(value)


def to_markdown(report: Report, files: Sequence[str] = ()) -> str:
    """Returns a report as Markdown, for the summary of a build or a page.

    Args:
        report: What a run found.
        files: Where the reproductions were written, one for each finding.
    """
    return "\n".join(_markdown(report, files)) + "\n"


def _markdown(report: Report, files: Sequence[str]) -> Iterator[str]:
    first, *others = words.verdict(report)
    yield from (f"## {_inline(first)}", "")
    yield from (f"**{_inline(line)}**  " for line in others)
    yield words.exit_status(report)
    yield ""
    yield (
        f"rot180 check {_inline(report.subject)}: profile {report.profile}, seed "
        f"{report.seed}, {', '.join(report.dtypes)}; "
        f"{words.plural(report.configurations, 'configuration')}, "
        f"{report.seconds:.1f} s. "
        f"{_inline(report.arithmetic[:1].upper() + report.arithmetic[1:])}."
    )
    versions = (f"{name} {text}" for name, text in report.versions.items())
    yield f"Versions: {_inline(', '.join(versions))}."
    if report.tallies:
        yield from ("", *_table(report))
    for heading, lines in words.lists(report):
        yield from ("", f"{heading}:", "")
        yield from (f"- {_inline(line)}" for line in lines)
    places = dict(zip(map(id, report.findings), files, strict=False))
    for group in causes(report.findings):
        yield from ("", *_section(group, [places.get(id(f), "") for f in group]))
    if report.findings and not files:
        yield from ("", _inline(words.scripts("--reproductions DIR")))


def _table(report: Report) -> Iterator[str]:
    header, *body = words.rows(report)
    yield f"| {' | '.join(header)} |"
    yield f"|---|{'---:|' * (len(header) - 2)}---|"
    for row in body:
        yield f"| {' | '.join(map(_inline, row))} |"


def _section(group: Sequence[Finding], files: Sequence[str]) -> Iterator[str]:
    finding, *others = group
    failure = finding.failure
    yield f"### {_inline(words.title(finding))}"
    yield ""
    for text in words.messages(failure):
        yield from (_inline(text), "")
    for line in words.diagnoses(finding):
        yield f"- diagnosis: {_inline(line)}"
    if finding.diagnoses:
        yield ""
    facts = f"# {words.facts(failure)}"
    lines = [words.call(failure), facts, finding.formula, words.worked_out(failure)]
    yield from _fenced("\n".join(filter(None, lines)))
    told = {
        "Of the same cause": list(map(words.also, others)),
        "Reproduction": [file for file in files if file],
    }
    for heading, items in told.items():
        if items:
            yield from ("", f"{heading}:", "")
            yield from (f"- {_inline(item)}" for item in items)


def _fenced(text: str) -> Iterator[str]:
    fence = "```" if "```" not in text else "`````"
    yield from (f"{fence}text", text, fence)


def _inline(text: str) -> str:
    """Text on one line, in which nothing is read as Markdown."""
    line = " ".join(text.split())
    for sign in "\\`*_|[]<>":
        line = line.replace(sign, f"\\{sign}")
    return line


def file_names(report: Report) -> tuple[str, ...]:
    """Returns a file name for each finding's reproduction, by the number of its cause.

    `1-conv-y-values.py`; others of the same cause are `1.2-conv_backward-dw-values.py`.
    """
    names = {}
    for i, group in enumerate(causes(report.findings), 1):
        for j, finding in enumerate(group, 1):
            number, f = f"{i}.{j}" if j > 1 else f"{i}", finding.failure
            parts = filter(None, (number, f.function, f.output, f.reason))
            names[id(finding)] = f"{'-'.join(parts)}.py"
    return tuple(names[id(finding)] for finding in report.findings)


def write_reproductions(report: Report, folder: Path) -> tuple[str, ...]:
    """Writes every reproduction into a folder, made if need be; returns the paths.

    A finding without a reproduction has `""` in its place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, finding in zip(file_names(report), report.findings, strict=True):
        path = folder / name if finding.reproduction else None
        if path is not None:
            path.write_text(finding.reproduction, encoding="utf-8")
        paths.append("" if path is None else str(path))
    return tuple(paths)
