"""`rot180 check`: what its help teaches, what it prints and how it ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from helpers import child_environment, python

from rot180.check import _run
from rot180.check.report import _findings
from rot180.cli import main

HEAD = """\
import numpy as np


def relu(x):
    return np.maximum(x, 0)

"""
RIGHT = HEAD + "\ndef relu_backward(dy, x):\n    return dy * (x > 0)\n"
WRONG = HEAD + "\ndef relu_backward(dy, x):\n    return dy * (x > 1)\n"
UNFINISHED = "def conv(x, w, b=None, **options):\n    raise NotImplementedError\n"


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "SHRINKING", 1.0)
    monkeypatch.setattr(_findings, "SHRINKING", 1.0)


@pytest.fixture
def subject(tmp_path: Path) -> Any:
    """Writes a subject and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "my_conv.py"
        path.write_text(text)
        return str(path)

    return write


def _check(*arguments: str, seconds: str = "1") -> Result:
    runner = CliRunner()
    return runner.invoke(main, ("check", "--seconds", seconds, *arguments))


def test_help_teaches_subjects_examples_and_exit_status() -> None:
    result = CliRunner().invoke(main, ["check", "--help"], terminal_width=88)
    assert result.exit_code == 0
    lines = [line.strip() for line in result.output.splitlines()]
    for line in (
        "Judge convolution code: are its results and gradients right?",
        "conv(x, w, b=None, *, stride, padding, dilation, groups) -> y",
        "conv_backward(dy, x, w, *, stride, padding, ...) -> (dx, dw, db)",
        "rot180 check my_conv.py",
        "rot180 check my_conv.py --only conv_backward --without groups",
        "rot180 check my_conv.py --shapes resnet.txt",
        "0  everything was judged, and nothing is wrong",
        "1  something is wrong (with --strict, also accepting invalid input)",
        "2  the check could not run, or something was not judged",
    ):
        assert line in lines
    for option in (
        "profile", "shapes", "seed", "seconds", "timeout", "dtype", "arithmetic",
        "without", "only", "no-diagnosis", "strict", "format", "brief", "json",
        "markdown", "reproductions",
    ):  # fmt: skip
        assert f"--{option}" in result.output
    assert "no sandbox" in " ".join(result.output.split())


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom rot180.cli import main\n"
        "CliRunner().invoke(main, ['check', '--help'])\n"
        "print({'hypothesis', 'rich', 'llvmlite'} & set(sys.modules))"
    )
    done = subprocess.run(
        python("-c", code), capture_output=True, text=True, env=child_environment()
    )
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.usefixtures("fixed_only")
def test_right_code_ends_with_0_and_a_table(subject: Any) -> None:
    result = _check(subject(RIGHT), seconds="60")
    assert result.exit_code == 0, result.output
    assert "relu_backward" in result.output
    assert "my_conv.py" in result.output


def test_wrong_code_ends_with_1_and_shows_the_mistake(subject: Any) -> None:
    result = _check(subject(WRONG), seconds="1")
    assert result.exit_code == 1, result.output
    text = " ".join(result.output.split())
    assert "relu_backward" in text
    assert "numbers are wrong" in text
    assert "import numpy" not in text  # no script, but how to get one
    assert "--reproductions DIR writes a script" in text


@pytest.mark.parametrize("text", [UNFINISHED, "x = 1\n", "import no_such_module\n"])
def test_what_cannot_be_judged_ends_with_2(subject: Any, text: str) -> None:
    result = _check(subject(text))
    assert result.exit_code == 2, result.output


def test_a_missing_file_ends_with_2_and_a_message(tmp_path: Path) -> None:
    result = _check(str(tmp_path / "missing.py"))
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert "missing.py" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize(("text", "status"), [(RIGHT, 0), (WRONG, 1), (UNFINISHED, 2)])
def test_json_alone_is_on_standard_output_and_strict(
    subject: Any, text: str, status: int
) -> None:
    result = _check(subject(text), "--json", "-", seconds="60")
    assert result.exit_code == status

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    report = json.loads(result.stdout, parse_constant=refuse)
    assert report["status"] == status
    assert report["subject"].endswith("my_conv.py")


def test_markdown_alone_is_on_standard_output(subject: Any) -> None:
    result = _check(subject(WRONG), "--markdown", "-", seconds="1")
    assert result.exit_code == 1
    assert result.stdout.startswith("#")
    assert "relu_backward" in result.stdout


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("text", "wrong: relu_backward: dx; 1 finding\n"),
        ("json", "{"),
        ("markdown", "## wrong: relu\\_backward: dx; 1 finding\n"),
        ("junit", '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>'),
        ("github", "::error file="),
    ],
)
def test_every_format_alone_is_on_standard_output(
    subject: Any, form: str, start: str
) -> None:
    result = _check(subject(WRONG), "--format", form)
    assert result.exit_code == 1
    assert result.stdout.startswith(start)


@pytest.mark.usefixtures("fixed_only")
def test_brief_is_a_few_lines(subject: Any) -> None:
    result = _check(subject(WRONG), "--brief", seconds="60")
    first, found, last = result.stdout.splitlines()
    assert first == "wrong: relu_backward: dx; 1 finding"
    assert found.startswith("1. relu_backward: dx is wrong")
    assert last == "exit status 1: something is wrong"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "junit", "--json", "-"), "--format and --json - cannot both"),
        (("--markdown", "-", "--json", "-"), "--json - and --markdown - cannot both"),
        (("--format", "junit", "--brief"), "--brief shortens the text"),
    ],
)
def test_only_one_report_can_be_printed(
    subject: Any, options: tuple[str, ...], message: str
) -> None:
    result = _check(subject(RIGHT), *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_run_leaves_nothing_behind(subject: Any, tmp_path: Path) -> None:
    path = Path(subject(WRONG))
    (tmp_path / "other.py").write_text("x = 1\n")
    path.write_text(f"import other\n{WRONG}")
    environment = child_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        python("-c", "from rot180.cli import main; main()", "check", path.name,
               "--seconds", "0.5"),
        cwd=tmp_path, capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_conv.py", "other.py"]


@pytest.mark.usefixtures("fixed_only")
def test_reports_are_written_beside_the_table(subject: Any, tmp_path: Path) -> None:
    files = tmp_path / "report.json", tmp_path / "report.md"
    result = _check(
        subject(RIGHT), "--json", str(files[0]), "--markdown", str(files[1]),
        seconds="60",
    )  # fmt: skip
    assert result.exit_code == 0
    assert json.loads(files[0].read_text())["status"] == 0
    assert files[1].read_text().startswith("#")
    assert "relu" in result.stdout


def test_reproductions_fail_by_themselves_until_the_code_is_mended(
    subject: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "found"
    path = subject(WRONG)
    result = _check(path, "--reproductions", str(folder), seconds="1")
    assert result.exit_code == 1, result.output
    (script,) = folder.iterdir()
    assert str(script) in result.output  # in one piece, to be copied
    command = [sys.executable, str(script)]
    failed = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert failed.returncode == 1
    assert "AssertionError" in failed.stderr
    Path(path).write_text(RIGHT)
    mended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert mended.returncode == 0, mended.stderr


def test_options_reach_the_check(subject: Any) -> None:
    result = _check(
        subject(WRONG), "--only", "relu", "--without", "rank 3", "--seed", "7",
        "--dtype", "float64", "--arithmetic", "direct", "--json", "-",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["seed"] == 7
    assert report["dtypes"] == ["float64"]
    assert "direct" in report["arithmetic"]
    assert report["unsupported"]["rank 3"] == "left out as asked"


def test_the_file_of_shapes_is_judged(subject: Any, tmp_path: Path) -> None:
    shapes = tmp_path / "nets.txt"
    shapes.write_text("mb1ic2ih5oc3kh3\n")
    text = "from rot180 import conv\n"
    options = ("--shapes", str(shapes), "--dtype", "float32", "--json", "-")
    result = _check(subject(text), *options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["configurations"] == 1


def test_a_line_that_is_no_shape_ends_with_2_and_its_number(
    subject: Any, tmp_path: Path
) -> None:
    shapes = tmp_path / "nets.txt"
    shapes.write_text("mb1ic2ih5oc3kh3\nresnet\n")
    result = _check(subject(RIGHT), "--shapes", str(shapes))
    assert result.exit_code == 2
    assert "line 2 of" in result.stderr


BAD: list[tuple[tuple[str, ...], str]] = [
    (("--profile", "slow"), "'slow' is not one of 'quick', 'full'"),
    (("--shapes", "no-such-file"), "does not exist"),
    (("--seed", "-1"), "-1 is not in the range"),
    (("--seconds", "0"), "0 is not a finite number above 0"),
    (("--timeout", "nan"), "nan is not a finite number above 0"),
    (("--dtype", "float8"), "'float8' is not one of"),
    (("--arithmetic", "fast"), "'fast' is not one of"),
    (("--only", "convolve"), "'convolve' is not one of"),
    (("--json", "-", "--markdown", "-"), "cannot both print"),
    (("--size", "3"), "No such option"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda v: str(v)[:24])
def test_bad_options_are_usage_errors(
    subject: Any, arguments: tuple[str, ...], message: str
) -> None:
    result = _check(subject(RIGHT), *arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert message in result.stderr


def test_no_subject_is_a_usage_error() -> None:
    result = _check()
    assert result.exit_code == 2
    assert "Missing argument 'SUBJECT'" in result.stderr


@pytest.mark.usefixtures("fixed_only")
def test_strict_convicts_what_accepts_nonsense() -> None:
    for options, status in (((), 0), (("--strict",), 1)):
        result = _check(
            "benchmarks.mutants:m15a", *options, "--only", "conv", seconds="60"
        )
        assert result.exit_code == status, result.output


NAMED = """\
import numpy as np


def squash(image):
    return np.maximum(image, 0)


def my_relu(image):
    return np.maximum(image, 0)


def my_relu_backward(dout, image):
    return dout * (image > 0)


def slope(dout, image):
    return dout * (image > 1)
"""


@pytest.mark.parametrize(
    ("name", "options", "status"),
    [
        (":my_relu", (), 0),
        ("", ("--conv", "my_relu"), 0),
        (":my_relu", ("--backward", "slope"), 1),
        ("", ("--conv", "my_relu", "--backward", "slope"), 1),
        ("", ("--conv", "my_rule"), 2),
        (":my_rule", (), 2),
    ],
    ids=str,
)
def test_a_function_may_be_named(
    subject: Any, name: str, options: tuple[str, ...], status: int
) -> None:
    ended = _check(subject(NAMED) + name, *options, seconds="0.5")
    assert ended.exit_code == status, ended.output
    if status == 2:
        assert "The nearest is 'my_relu'" in ended.output
    else:
        assert "relu_backward" in ended.output
