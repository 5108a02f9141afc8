"""Which checkers catch which wrong convolutions, and the table in the documentation.

    python -m benchmarks.bench_checkers

Every mutant of `benchmarks.mutants`, and the two correct implementations that they
are made from, are given to each checker. Nothing in the table is typed by hand.
"""

import json
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import click

import rot180
from benchmarks._checkers_onnx import NODES, onnx_catches
from benchmarks._checkers_table import COLUMNS, CORRECT, PAGE, RESULTS, load, page
from benchmarks._checkers_torch import (
    CONFIGURATIONS,
    gradcheck_catches,
    opinfo_catches,
)
from benchmarks.mutants import MUTANTS, Mutant, correct_columns, correct_taps

PACKAGES = ("torch", "onnx", "numpy")
FORWARD = frozenset(NODES)


@click.command(help=__doc__)
@click.option(
    "--json", "out", type=click.Path(path_type=Path), default=RESULTS, show_default=True
)
@click.option(
    "--checker",
    "checkers",
    type=click.Choice(list(COLUMNS)),
    multiple=True,
    default=list(COLUMNS),
    show_default=True,
    help="Run this one; the answers of others are kept.",
)
@click.option("--seconds", default=30.0, show_default=True, help="For each rot180 run.")
def main(out: Path, checkers: Sequence[str], seconds: float) -> None:
    known = load(out)
    for checker in checkers:
        answers = known["answers"].setdefault(checker, {})
        for name in (*CORRECT, *(mutant.name for mutant in MUTANTS)):
            answers[name] = answer(checker, name, seconds)
            click.echo(f"{checker:<8}{name:<17}{answers[name]}")
    known["versions"] = {name: version(name) for name in PACKAGES}
    known["versions"] |= {
        "rot180": rot180.__version__,
        "python": platform.python_version(),
    }
    out.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text("utf-8"), known), "utf-8")


def answer(checker: str, name: str, seconds: float) -> str:
    """Return `"caught"`, `"passed"`, or `"none"` where the checker does not apply."""
    mutant = next((m for m in MUTANTS if m.name == name), None)
    operations = _operations(mutant, checker)
    if not operations:
        return "none"
    subject = {
        CORRECT[0]: correct_taps,
        CORRECT[1]: correct_columns,
    }.get(name) or (mutant and mutant.subject)
    calls: dict[str, Callable[[], bool]] = {
        "rot180": lambda: caught_by_rot180(name, seconds),
        "slow": lambda: gradcheck_catches(subject, operations, fast=False),
        "fast": lambda: gradcheck_catches(subject, operations, fast=True),
        "opinfo": lambda: opinfo_catches(subject, operations, correct_taps),
        "onnx": lambda: onnx_catches(subject, operations, correct_taps),
    }
    return "caught" if calls[checker]() else "passed"


def _operations(mutant: Mutant | None, checker: str) -> list[str]:
    """Return the operations that are wrong and of which the checker has a test.

    gradcheck has none of input that has to be refused; ONNX has none of gradients
    either.
    """
    if mutant is None:
        return list(CONFIGURATIONS)
    if mutant.lenient and checker in ("slow", "fast"):
        return []
    wrong: Sequence[str] = mutant.functions
    if checker == "onnx":
        return [] if mutant.lenient else [name for name in wrong if name in FORWARD]
    passes = {name.removesuffix("_backward") for name in wrong}
    return [name for name in CONFIGURATIONS if name in passes]


def caught_by_rot180(name: str, seconds: float = 30.0) -> bool:
    """Return whether `rot180 check` convicts a mutant."""
    from rot180.check import check

    report = check(
        f"benchmarks.mutants:{name}",
        profile="quick",
        seconds=seconds,
        diagnosis=False,
        strict=True,
    )
    if report.problem is not None:
        raise click.ClickException(f"{name}: {report.problem}")
    return bool(report.findings)


if __name__ == "__main__":
    main()
