"""What a person and a program read of a report, kept in files.

After a wanted change: ROT180_UPDATE_GOLDEN=1 pytest tests/unit/check/test_report.py,
then read the diff.
"""

import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from rich.console import Console

from rot180.check.cases._case import Case, make
from rot180.check.judge._failure import Diagnosis, Failure, Finding, Reason
from rot180.check.judge._ledger import Tally
from rot180.check.judge._oracle import arguments, expected, operands
from rot180.check.report._export import (
    file_names,
    to_json,
    to_markdown,
    write_reproductions,
)
from rot180.check.report._formula import formula
from rot180.check.report._render import show
from rot180.check.report._report import Report
from rot180.check.report._reproduce import reproduction
from rot180.check.report._words import lacking, slices
from rot180.check.subjects._outcome import Array

GOLDEN = Path(__file__).parents[2] / "golden" / "check"
SOURCE = "import my_conv as subject"
VERSIONS = {"python": "3.11.7", "numpy": "2.3.1"}


def given_to(function: str, case: Case) -> dict[str, Array]:
    drawn = operands(case)
    names = [name for name, _ in arguments(case, function, drawn)]
    return {name: drawn[name] for name in names if name in drawn}


def wrong_weights() -> Finding:
    """`dw` reversed, on a case with padding on one side."""
    case = make(kernel_size=2, extra=1, stride=2, padding=((1, 0), (0, 0)))
    given = given_to("conv_backward", case)
    _, right, _ = expected(case, "conv_backward", given)
    got = right[..., ::-1, ::-1].copy()
    failure = Failure(
        case,
        "conv_backward",
        "dw",
        "values",
        "conv_backward: 2 of 4 numbers are wrong",
        operands=given,
        expected=right,
        got=got,
    )
    known = Diagnosis("dw-reversed", "dw: comes out rotated by 180 degrees", 14, 14)
    first = make(kernel_size=3, extra=4, stride=2, in_group=3, padding=(1, 0))
    text = formula(case, "conv_backward", "dw")
    script = reproduction(failure, SOURCE)
    return Finding(failure, first, 14, text, (known,), script)


def unwritten() -> Finding:
    """NaN and infinity in one dimension, channels last."""
    case = make(rank=1, kernel_size=3, extra=9, layout="channels_last")
    given = given_to("conv", case)
    (right,) = expected(case, "conv", given)
    got = right.copy()
    got[0, -1], got[0, 0] = np.nan, -np.inf
    failure = Failure(
        case, "conv", "y", "nan", "conv: y holds NaN", operands=given,
        expected=right, got=got,
    )  # fmt: skip
    return Finding(failure, case, 1, formula(case, "conv", "y"))


def crashing() -> Finding:
    case = make("max_pool", kernel_size=2, images=0)
    message = "max_pool: the process was killed by SIGSEGV"
    failure = Failure(
        case, "max_pool", "", "died", message, operands=given_to("max_pool", case)
    )
    return Finding(failure, case, 3, formula(case, "max_pool", ""))


def lenient() -> Finding:
    case = make(rank=1, kernel_size=2, bias=True, out_group=2)
    given = {**given_to("conv", case), "b": np.array([1], "float32")}
    message = "conv: a bias of the wrong length was accepted"
    failure = Failure(case, "conv", "", "invalid", message, operands=given)
    return Finding(failure, case, 1)


def report(
    *findings: Finding, tallies: dict[str, Tally], problem: str | None = None
) -> Report:
    return Report(
        subject="my_conv.py",
        versions=VERSIONS,
        profile="quick",
        seed=0,
        dtypes=("float32", "float64"),
        arithmetic="exact: every number has to be equal",
        seconds=30.04,
        configurations=412 if tallies else 0,
        planned=None,
        tallies=tallies,
        unsupported={"groups": "has no parameter 'groups'"} if tallies else {},
        notes=("relu_backward takes the slope 0 at 0",) if tallies else (),
        findings=findings,
        problem=problem,
        laws={"adjoint": Tally(96, 14)} if findings else {},
    )


REPORTS = {
    "passing": report(tallies={"conv": Tally(300, 0, 12), "relu": Tally(20)}),
    "failing": report(
        wrong_weights(),
        unwritten(),
        crashing(),
        tallies={
            "conv": Tally(299, 1, 12),
            "conv_backward": Tally(286, 14, 12),
            "max_pool": Tally(0, 3),
            "relu": Tally(20),
            "relu_backward": Tally(0, 0, 20),
        },
    ),
    "lenient": report(lenient(), tallies={"conv": Tally(300, 0, 12)}),
    "could_not_run": report(
        tallies={},
        problem="my_conv.py raised SyntaxError: invalid syntax (my_conv.py, line 3)",
    ),
}
each = pytest.mark.parametrize("name", REPORTS)


def shown(name: str, width: int = 80, **options: object) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    show(REPORTS[name], console, **options)  # type: ignore[arg-type]
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("ROT180_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@each
def test_the_printed_report(name: str) -> None:
    assert_golden(f"{name}.txt", shown(name))


@each
def test_the_markdown_report(name: str) -> None:
    assert_golden(f"{name}.md", to_markdown(REPORTS[name]))


@each
def test_the_json_report(name: str) -> None:
    assert_golden(f"{name}.json", to_json(REPORTS[name]) + "\n")


def refused(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


@each
def test_json_is_strict_and_has_the_same_keys_always(name: str) -> None:
    found = json.loads(to_json(REPORTS[name]), parse_constant=refused)
    assert found.keys() == json.loads(to_json(REPORTS["passing"])).keys()
    assert found["status"] == REPORTS[name].status


def test_json_holds_what_is_no_number_as_text() -> None:
    found = json.loads(to_json(REPORTS["failing"]))["findings"][1]
    values = found["got"]["values"][0]
    assert values[0] == ["-inf"]
    assert values[-1] == ["nan"]
    assert found["expected"]["shape"] == [1, 10, 1]


@each
@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_but_code_is_wider_than_the_terminal(name: str, width: int) -> None:
    files = [f"out/{file}" for file in file_names(REPORTS[name])]
    lines = shown(name, width, files=files).split("\n")
    assert [line for line in lines if len(line) > width] == []


@each
def test_words_are_plain_ascii_without_trailing_blanks(name: str) -> None:
    text = shown(name)
    assert text.isascii()
    assert "\x1b" not in text
    assert [line for line in text.split("\n") if line != line.rstrip()] == []


def test_colours_of_a_terminal_change_no_word() -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    show(REPORTS["failing"], console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.sub(r"\x1b\[[\d;]*m", "", text) == shown("failing")


def test_without_diagnosis_no_mistake_is_named() -> None:
    assert "dw: comes out rotated" in shown("failing")
    assert "dw: comes out rotated" not in shown("failing", diagnosis=False)


def test_reproductions_are_files_that_the_report_names(tmp_path: Path) -> None:
    files = write_reproductions(REPORTS["failing"], tmp_path / "new")
    assert [Path(file).name for file in files] == [
        "1-conv_backward-dw-values.py",
        "",
        "",
    ]
    written = (tmp_path / "new" / "1-conv_backward-dw-values.py").read_text()
    assert written == REPORTS["failing"].findings[0].reproduction
    text = shown("failing", width=200, files=["one.py", "", ""])
    assert "in one.py" in text
    assert "import my_conv" not in text


@pytest.mark.parametrize("reason", get_args(Reason))
def test_every_reason_has_words_in_every_report(reason: Reason) -> None:
    found = wrong_weights()
    failure = replace(found.failure, reason=reason, output="")
    one = report(replace(found, failure=failure), tallies={"conv": Tally(1, 1)})
    console = Console(file=io.StringIO(), width=80)
    show(one, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    words = json.loads(to_json(one))["findings"][0]["title"]
    assert words.startswith("conv_backward")
    assert words in text
    assert "conv\\_backward" in to_markdown(one)


def test_reasons_are_given_once_and_in_short() -> None:
    long = "refused with ValueError: " + "very " * 100 + "long"
    lines = lacking(
        replace(
            REPORTS["passing"],
            unsupported={"flip": long, "groups": "refused", "rank 3": "refused"},
        )
    )
    assert lines[1] == "groups, rank 3: refused"
    assert len(lines[0]) < 110


def test_of_what_is_not_supported_what_is_alike_is_told_together() -> None:
    unsupported = {
        "dilation in conv": "conv has no parameter 'dilation'",
        "dilation in conv_backward": "conv_backward has no parameter 'dilation'",
        "flip in conv": "conv has no parameter 'flip'",
        "flip in conv_backward": "conv_backward has no parameter 'flip'",
        "max_pool": "not there",
    }
    told = lacking(replace(REPORTS["passing"], unsupported=unsupported))
    assert told == ["dilation, flip in conv, conv_backward: no parameter for it"]


def headlines(given: Report) -> set[str]:
    """The first lines of all forms of a report, which have to be one."""
    console = Console(file=io.StringIO(), width=200)
    show(given, console)
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    marked = to_markdown(given).partition("\n")[0]
    plain = marked.removeprefix("## ").replace("\\", "")
    return {
        printed.partition("\n")[0], plain, json.loads(to_json(given))["verdict"][0]
    }  # fmt: skip


SHORT = "conv_backward: dx was not judged: None was returned"
VERDICTS = {
    "right: conv, relu; nothing wrong in 412 configurations (seed 0)": (
        REPORTS["passing"], 0
    ),
    "wrong: conv_backward: dw; conv: y; max_pool; 3 findings": (REPORTS["failing"], 1),
    "wrong: conv; 1 finding": (replace(REPORTS["lenient"], strict=True), 1),
    f"incomplete: {SHORT}": (replace(REPORTS["passing"], incomplete=(SHORT,)), 2),
    f"incomplete: {SHORT} (and 1 more)": (
        replace(REPORTS["passing"], incomplete=(SHORT, "relu was judged once")), 2
    ),
    "incomplete: interrupted": (replace(REPORTS["passing"], problem="interrupted"), 2),
    "incomplete: nothing was judged: no call gave a result": (
        replace(REPORTS["passing"], tallies={"conv": Tally(0, 0, 9)}), 2
    ),
}  # fmt: skip


@pytest.mark.parametrize("headline", VERDICTS)
def test_the_first_line_says_right_wrong_or_incomplete_and_of_what(
    headline: str,
) -> None:
    given, status = VERDICTS[headline]
    assert headlines(given) == {headline}
    assert given.status == status


def test_what_was_not_judged_in_full_is_in_the_table_and_below_it() -> None:
    given = replace(REPORTS["failing"], incomplete=("relu was judged once", SHORT))
    console = Console(file=io.StringIO(), width=80)
    show(given, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert re.search(r"^ relu .* incomplete$", text, re.MULTILINE)
    assert f"Not judged in full:\n  relu was judged once\n  {SHORT}\n" in text
    assert "incomplete: relu was judged once (and 1 more" in text.splitlines()[1]


def test_brief_is_the_verdict_and_a_line_for_each_finding() -> None:
    assert shown("failing", width=200, brief=True).splitlines() == [
        "wrong: conv_backward: dw; conv: y; max_pool; 3 findings",
        "1. conv_backward: dw is wrong (14 configurations): "
        "comes out rotated by 180 degrees",
        "2. conv: y holds NaN (1 configuration)",
        "3. max_pool ends the process (3 configurations)",
        "exit status 1: something is wrong",
    ]
    told = shown("failing", brief=True, diagnosis=False)
    assert "rotated" not in told


def test_invalid_input_that_is_accepted_is_counted_only_if_strict() -> None:
    both = replace(REPORTS["failing"], findings=(wrong_weights(), lenient()))
    for strict, count, rule in ((False, 1, "invalid input"), (True, 2, "2 of 2 f")):
        console = Console(file=io.StringIO(), width=80)
        show(replace(both, strict=strict), console)
        text: str = console.file.getvalue()  # type: ignore[attr-defined]
        assert f"; {count} finding" in text.partition("\n")[0]
        assert f"--- 1 of {count} finding" in text
        assert f"--- {rule}" in text


def test_findings_of_one_cause_are_told_and_numbered_as_one(tmp_path: Path) -> None:
    found = wrong_weights()
    failure = replace(found.failure, function="conv_weight_grad")
    both = report(found, replace(found, failure=failure), tallies={"conv": Tally(1)})
    console = Console(file=io.StringIO(), width=200)
    files = write_reproductions(both, tmp_path)
    show(both, console, files=files)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert "--- 1 of 1 finding -" in text
    assert text.count("first wrong:") == 1
    assert "of the same cause:\n    conv_weight_grad: dw is wrong (14 config" in text
    assert [Path(file).name for file in files] == [
        "1-conv_backward-dw-values.py",
        "1.2-conv_weight_grad-dw-values.py",
    ]
    assert all(f"in {file}" in text and Path(file).is_file() for file in files)
    assert json.loads(to_json(both))["causes"] == [[0, 1]]
    assert to_markdown(both, files).count("\n### ") == 1


def test_a_terminal_too_narrow_for_the_table_gets_it_in_words() -> None:
    text = shown("failing", width=40)
    assert "conv: wrong, 299 passed, 1 failed, 12\n    unsupported\n" in text
    assert "relu_backward: not judged, 0 passed," in text
    wide = [line for line in text.split("\n") if len(line) > 40]
    assert all(re.fullmatch("[ 0-9!inf-]+", line) for line in wide)  # rows of numbers


def test_a_profile_cut_short_says_so() -> None:
    text = to_markdown(replace(REPORTS["passing"], planned=900))
    assert "nothing wrong in 412 of the first 900 configurations" in text


def test_more_configurations_than_were_planned_are_just_counted() -> None:
    text = to_markdown(replace(REPORTS["passing"], planned=400))
    assert "nothing wrong in 412 configurations" in text


def remarked(**changes: object) -> list[str]:
    """Every report of a finding, as one line each."""
    found = wrong_weights()
    failure = replace(found.failure, **changes)  # type: ignore[arg-type]
    one = report(replace(found, failure=failure), tallies={"conv": Tally(1, 1)})
    console = Console(file=io.StringIO(), width=80)
    show(one, console)
    printed: str = console.file.getvalue()  # type: ignore[attr-defined]
    texts = (printed, to_json(one), to_markdown(one).replace("\\", ""))
    return [" ".join(text.split()) for text in texts]


def test_what_depends_on_earlier_calls_is_said_to() -> None:
    for text in remarked(law="history"):
        assert (
            "right in a fresh process, wrong after other calls: it depends on what "
            "was called before"
        ) in text


def test_an_error_names_the_ways_to_say_that_something_is_not_there() -> None:
    for text in remarked(reason="raised", output=""):
        assert (
            "If the code does not have this, let it raise NotImplementedError, or "
            "name it in UNSUPPORTED."
        ) in text


def test_strict_makes_lenience_an_error() -> None:
    strict = replace(REPORTS["lenient"], strict=True)
    assert json.loads(to_json(strict))["status"] == 1
    assert "exit status 1: something is wrong" in to_markdown(strict)


def test_the_page_about_the_json_names_every_key() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "check-json.md"
    named = set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))
    found = json.loads(to_json(REPORTS["failing"]))
    assert found.keys() | found["findings"][0].keys() <= named
    assert set(get_args(Reason)) <= named


def test_numbers_of_a_large_output_show_the_part_around_the_first_wrong() -> None:
    found = wrong_weights()
    case = make(kernel_size=1, extra=19)
    right = np.zeros((1, 1, 20, 20), "float32")
    got = right.copy()
    got[0, 0, 15, 9] = 1
    failure = replace(
        found.failure, case=case, function="conv", output="y", expected=right, got=got
    )
    shown_part = slices(failure)
    assert shown_part is not None
    part, rows, _ = shown_part
    assert part == "[0, 0, 12:20, 6:14]"
    assert [len(row) for row in rows] == [8] * 8
    assert rows[3][3] == "1!"
