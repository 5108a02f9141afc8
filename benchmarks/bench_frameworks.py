"""Judge every installed framework that has an adapter, and write the page of results.

    python -m benchmarks.bench_frameworks

Each is judged as `rot180 check NAME --profile quick --seed 0` does; then the scripts of
`_framework_defects`, which use the framework alone, are run. What is found goes to
`docs/reference/frameworks.md`. It takes about ten minutes.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import click

import rot180
from benchmarks._framework_defects import DEFECTS, Defect
from rot180.check import Report, check
from rot180.check.adapters import READY
from rot180.check.report._export import to_json, to_markdown

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "frameworks.md"

# How long each is judged; these two compile anew for every shape.
SECONDS = {"jax": 300.0, "rot180": 120.0}
USUAL = 30.0

INTRODUCTION = """\
# What the frameworks compute

`rot180 check` has an adapter for each of these frameworks. This page is its verdict on
the versions that were installed on {day}; it is written by

    python -m benchmarks.bench_frameworks

The profile is `quick` with seed 0: the fixed corners, then random configurations until
the time is over, so that their number differs from run to run. The time is 30 s as on
the command line, and more for JAX and rot180, which compile anew for every shape. A
framework that comes out right was right on these configurations. What it does not have
is listed as not supported and was not judged. Accepting invalid input counts apart and
is not wrong.

An adapter calls the framework's own functions; what each of them calls is said at the
top of its file in `rot180/check/adapters`.
"""
CLOSING = """\
## The same by hand

The scripts below use the framework alone. They were reduced by hand from what
`rot180 check` and longer random runs found; below each stands what it printed.
"""


@click.command(help=__doc__)
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write this too.")
@click.option("--only", multiple=True, type=click.Choice(tuple(READY)))
def main(file: Path | None, only: Sequence[str]) -> None:
    reports = []
    for name in only or READY:
        if importlib.util.find_spec(name) is None:
            click.echo(f"{name}: not installed, {READY[name]}")
            continue
        seconds = SECONDS.get(name, USUAL)
        reports.append(check(name, profile="quick", seed=0, seconds=seconds))
        click.echo(f"{name}: {_verdict(reports[-1])}")
    if file is not None:
        texts = [json.loads(to_json(report)) for report in reports]
        file.write_text(json.dumps(texts, indent=2) + "\n", encoding="utf-8")
    if not only:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text("\n".join(page(reports)) + "\n", encoding="utf-8")


def page(reports: Sequence[Report]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield INTRODUCTION.format(day=date.today().isoformat())
    yield from _table(reports)
    for report in reports:
        text = to_markdown(report).removeprefix("## ").rstrip("\n")
        yield from ("", f"## rot180 check {report.subject}", "", text)
    yield from ("", CLOSING.rstrip("\n"))
    for report in reports:
        known = [d for d in DEFECTS if d.framework == report.subject]
        if known:
            yield from ("", f"### {report.subject} {_version(report)}")
        for defect in known:
            yield from _by_hand(defect)


def _table(reports: Sequence[Report]) -> Iterator[str]:
    yield "| framework | version | verdict | seconds | configurations | right | wrong |"
    yield "|---|---|---|---:|---:|---:|---:|"
    for report in reports:
        passed = sum(tally.passed for tally in report.tallies.values())
        failed = sum(tally.failed for tally in report.tallies.values())
        yield (
            f"| {report.subject} | {_version(report)} | {_verdict(report)} "
            f"| {report.seconds:.0f} | {report.configurations} | {passed} | {failed} |"
        )


def _version(report: Report) -> str:
    if report.subject == "rot180":  # it need not be installed
        return rot180.__version__
    return report.versions.get(report.subject, "")


def _verdict(report: Report) -> str:
    if report.problem is not None:
        return report.problem
    wrong = list(dict.fromkeys(f"`{f.failure.function}`" for f in report.wrong))
    return f"wrong: {', '.join(wrong)}" if wrong else "nothing wrong"


def _by_hand(defect: Defect) -> Iterator[str]:
    yield from ("", defect.text, "")
    yield from ("```py", defect.script.rstrip("\n"), "```")
    yield from ("", "```text", defect.output(), "```")


if __name__ == "__main__":
    main()
