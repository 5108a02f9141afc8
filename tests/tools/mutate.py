"""Do the tests notice? Makes small mistakes in the library, one at a time.

    python tests/tools/mutate.py COUNT SEED [FILE_OR_ROOM ...]

Each mistake changes one token: `<` becomes `<=`, `1` becomes `2`, `if` becomes
`if not`. It is made in a copy, never in this checkout. The tests nearest to it run
first and the first failure decides, so that most are decided within seconds. Prints
every mistake, marks those that no test noticed, and gives their share. The sweeps, and
what belongs to `check` and `explain`, are not asked.
"""

import io
import keyword
import os
import random
import shutil
import subprocess
import sys
import tempfile
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOMS = (
    "notation", "ops", "program", "schedules", "lower", "codegen", "runtime",
    "autograd", "functional", "nn", "train",
)  # fmt: skip
# Asked of every mistake, after the tests of its own room.
FURTHER = (
    "tests/unit/functional", "tests/unit/autograd", "tests/unit/nn", "tests/unit/ops",
    "tests/errors", "tests/golden", "tests/unit/train", "tests/unit/runtime",
    "tests/unit/notation", "tests/test_package.py", "tests/unit/schedules",
    "tests/unit/codegen",
    "tests/laws",
)  # fmt: skip
LAWS_OF_OTHERS = ("explain_truth", "explain_markup")
CHANGES = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "*": "+", "//": "*", "%": "*",
    "and": "or", "or": "and", "is": "is not", "in": "not in", "not": "",
    "if": "if not", "True": "False", "False": "True",
}  # fmt: skip
BINARY = {"+", "-", "*", "%"}  # these stand for something else before an operand
# What these are set to, no caller can see: they guard the library against itself.
GUARDS = {"strict=", "slots=", "frozen="}
SECONDS = 400


@dataclass(frozen=True, slots=True)
class Mistake:
    """One token of one file, and what is written in its place."""

    path: str
    line: int
    column: int
    before: str
    after: str

    def made_in(self, source: str) -> str:
        """Returns the source with the mistake in it."""
        lines = source.splitlines(keepends=True)
        line = lines[self.line - 1]
        end = self.column + len(self.before)
        lines[self.line - 1] = line[: self.column] + self.after + line[end:]
        return "".join(lines)

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}:{self.column} {self.before!r} -> {self.after!r}"
        )


def mistakes(path: Path) -> Iterator[Mistake]:
    """Yields the mistakes that can be made in a file and still compile."""
    source = path.read_text(encoding="utf-8")
    last = previous = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        after = None if last + previous in GUARDS else _replaced(token, previous)
        if token.type not in (tokenize.NL, tokenize.COMMENT):
            last, previous = previous, token.string
        if after is None:
            continue
        name = str(path.relative_to(TOP))
        mistake = Mistake(name, *token.start, token.string, after)
        try:
            compile(mistake.made_in(source), name, "exec")
        except SyntaxError:
            continue
        yield mistake


def _replaced(token: tokenize.TokenInfo, previous: str) -> str | None:
    """Returns what to write for a token; None where it is left alone."""
    if token.type == tokenize.NUMBER and token.string.isdecimal():
        return str(int(token.string) + 1)
    is_after_operand = previous[-1:].isalnum() or previous[-1:] in (")", "]", "_")
    is_binary = is_after_operand and not keyword.iskeyword(previous)
    if token.type not in (tokenize.OP, tokenize.NAME):
        return None
    if token.string in BINARY and not is_binary:
        return None
    return CHANGES.get(token.string)


def tests_of(path: str) -> list[str]:
    """Returns the tests to ask, the nearest first."""
    room, name = Path(path).parts[2], Path(path).stem.strip("_")
    own = f"tests/unit/{room}"
    nearest = [str(p.relative_to(TOP)) for p in TOP.glob(f"{own}/test_{name}*.py")]
    return list(dict.fromkeys([*nearest, own, *FURTHER]))


def is_noticed(mistake: Mistake, copy: Path) -> bool:
    """Whether a test fails, or does not end, with the mistake made."""
    path = copy / mistake.path
    right = path.read_text(encoding="utf-8")
    path.write_text(mistake.made_in(right), encoding="utf-8")
    ignored = [f"--ignore=tests/laws/test_{name}.py" for name in LAWS_OF_OTHERS]
    try:
        command = [sys.executable, "-m", "pytest", "-n0", "-xq", "-pno:cacheprovider"]
        ended = subprocess.run(
            [*command, *ignored, *tests_of(mistake.path)],
            cwd=copy,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(copy / "src")},
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(right, encoding="utf-8")
    return ended.returncode != 0


# What has failed need not be made small; what was compiled from right files is stale.
ENVIRONMENT = {"HYPOTHESIS_PROFILE": "first", "PYTHONDONTWRITEBYTECODE": "1"}


def copied(to: Path) -> Path:
    """Returns a copy of what the tests need."""
    for name in ("src", "tests", "docs", "benchmarks"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TOP / name, to / name, ignore=skipped)
    for path in TOP.glob("*.*"):
        if path.is_file():
            shutil.copy(path, to)
    return to


def main(count: int, seed: int, places: list[str]) -> None:
    """Makes `count` mistakes and prints which of them were noticed."""
    paths = [TOP / "src/rot180" / place for place in places or ROOMS]
    files = [f for p in paths for f in (sorted(p.rglob("*.py")) if p.is_dir() else [p])]
    every = [mistake for file in files for mistake in mistakes(file)]
    drawn = random.Random(seed).sample(every, min(count, len(every)))
    noticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        for mistake in drawn:
            found = is_noticed(mistake, copy)
            noticed += found
            print("noticed " if found else "MISSED  ", mistake, flush=True)
    print(f"{noticed} of {len(drawn)} noticed (seed {seed}; {len(every)} can be made)")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
