"""The table of the checkers in the documentation, from their stored answers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.mutants import MUTANTS, Mutant
from benchmarks.table import ROOT, rewrite

RESULTS = ROOT / "benchmarks" / "results" / "checkers.json"
PAGE = ROOT / "docs" / "reference" / "mutants.md"
CORRECT = ("correct_taps", "correct_columns")

# By checker, in the order of the columns: their titles.
COLUMNS = {
    "rot180": "rot180 check, quick",
    "slow": "gradcheck, slow",
    "fast": "gradcheck, fast",
    "opinfo": "OpInfo samples",
    "onnx": "ONNX node tests",
}
# What an answer about a mutant looks like; one that escapes stands out.
CELLS = {"caught": "caught", "passed": "**passed**", "none": "–"}


def load(path: Path = RESULTS) -> dict[str, Any]:
    """Return what is stored: versions, and answers by checker and mutant."""
    if not path.exists():
        return {"answers": {}, "versions": {}}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def page(text: str, known: dict[str, Any]) -> str:
    """Return the page with the table of what is known in it."""
    return rewrite(text, table(known))


def table(known: dict[str, Any]) -> str:
    """Return the answers as a Markdown table."""
    used = ", ".join(f"{name} {number}" for name, number in known["versions"].items())
    return "\n".join([*_lines(known["answers"]), "", f"With {used}."])


def _lines(answers: dict[str, dict[str, str]]) -> Iterator[str]:
    columns = [column for column in COLUMNS if column in answers]
    yield _line("", "what is wrong", [COLUMNS[column] for column in columns])
    yield _line("---", "---", ["---"] * len(columns))
    for name in CORRECT:
        yield _line(name, "nothing", [answers[column][name] for column in columns])
    for mutant in MUTANTS:
        cells = [CELLS[answers[column][mutant.name]] for column in columns]
        yield _line(mutant.name, mutant.title, cells)
    strict = [mutant for mutant in MUTANTS if not mutant.lenient]
    lenient = [mutant for mutant in MUTANTS if mutant.lenient]
    for title, among in (("kinds 14 and 15", lenient), ("all other kinds", strict)):
        counts = [_caught(answers[column], among) for column in columns]
        yield _line("", f"caught, {title}", counts)


def _caught(answers: dict[str, str], among: list[Mutant]) -> str:
    """Return how many were caught of those that the checker has a test for."""
    tried = [answers[m.name] for m in among if answers[m.name] != "none"]
    return f"{tried.count('caught')} of {len(tried)}" if tried else CELLS["none"]


def _line(name: str, text: str, cells: list[str]) -> str:
    return f"| {' | '.join([name, text, *cells])} |"
