"""The check as an assertion in a test suite."""

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import child_environment, python
from unit.check.subjects import write

from benchmarks.mutants import MUTANTS, correct_taps
from rot180.check import _assert, _run, assert_conv
from rot180.check.report import _findings
from rot180.cli import main
from rot180.errors import ArgumentError

T = correct_taps


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "SHRINKING", 0.3)
    monkeypatch.setattr(_findings, "SHRINKING", 0.3)


def _doubled(dy: Any, w: Any, x_shape: Any, **options: Any) -> Any:
    return 2 * T.conv_input_grad(dy, w, x_shape, **options)


@pytest.mark.usefixtures("fixed_only")
def test_right_code_passes_and_gives_its_report() -> None:
    report = assert_conv(T, seconds=60, seed=3, only=["relu", "max_pool"])
    assert (report.status, report.seed) == (0, 3)


@pytest.mark.usefixtures("fixed_only")
def test_every_option_of_the_check_reaches_it(tmp_path: Path) -> None:
    shapes = tmp_path / "nets.txt"
    shapes.write_text("mb1ic2ih5oc3kh3\n")
    report = assert_conv(
        T, shapes=shapes, seconds=9, timeout=3, dtypes=["float32"], only=["conv"],
        seed=3, diagnosis=False, lacking=["groups"], strict=True, arithmetic="exact",
    )  # fmt: skip
    assert (report.profile, report.configurations, report.strict) == ("shapes", 1, True)
    assert (report.dtypes, [*report.tallies]) == (("float32",), ["conv"])


def test_the_options_are_those_of_the_command() -> None:
    named = {"without": "lacking", "dtype": "dtypes", "no_diagnosis": "diagnosis"}
    printed = {"form", "json_file", "markdown_file", "subject"}
    command = {str(p.name) for p in main.commands["check"].params} - printed
    taken = {"seconds", "brief", "reproductions", *_assert._OPTIONS}
    assert {named.get(name, name) for name in command} <= taken


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("secnds", "seconds"),
        ("dtype", "dtypes"),
        ("without", "lacking"),
        ("no_diagnosis", "diagnosis"),
        ("conv_bakward", "conv_backward"),
        ("cnov", "conv"),
        ("maxpool_backward", "max_pool_backward"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_nearest(
    name: str, nearest: str
) -> None:
    with pytest.raises(ArgumentError) as info:
        assert_conv(conv=T.conv, **{name: T.conv})
    assert f"no option and no function {name!r}" in str(info.value)
    assert f"The nearest is {nearest!r}" in str(info.value)


@pytest.mark.parametrize(
    "option",
    [
        {"seed": -1}, {"seed": 1.5}, {"seed": "a"}, {"seed": True}, {"seconds": "3"},
        {"seconds": float("inf")}, {"timeout": 0}, {"timeout": None}, {"dtypes": None},
        {"lacking": 3}, {"only": None}, {"shapes": 3}, {"progress": 3},
        {"reproductions": 3},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_of_no_use_is_refused_by_name(option: dict[str, Any]) -> None:
    ((name, value),) = option.items()
    with pytest.raises(ArgumentError) as info:
        assert_conv(conv=T.conv, **option)
    assert str(info.value).startswith(f"check: {name} is {value!r}\n  Use a")


def test_a_folder_that_cannot_be_made_hides_no_report(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AssertionError) as info:
        assert_conv(
            relu=lambda x: x, seconds=0.2, reproductions=tmp_path / "file" / "found"
        )
    text = str(info.value)
    assert text.startswith("wrong: relu: y; 1 finding")
    assert "the reproductions cannot be written" in text


def test_what_is_no_function_is_refused_as_one() -> None:
    with pytest.raises(ArgumentError, match=r"conv is 3\n.*Pass a function"):
        assert_conv(conv=3)


@pytest.mark.usefixtures("fixed_only")
def test_functions_of_a_course_may_be_given() -> None:
    def forward(x: Any) -> Any:
        return np.maximum(x, 0), x

    def backward(dout: Any, cache: Any) -> Any:
        return dout * (cache > 0)

    report = assert_conv(relu_forward=forward, relu_backward=backward, seconds=60)
    assert set(report.tallies) == {"relu", "relu_backward"}


@pytest.mark.usefixtures("fixed_only")
def test_the_report_can_be_brief_and_its_scripts_be_files(tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as info:
        assert_conv(
            conv_input_grad=_doubled, seconds=60, brief=True, reproductions=tmp_path
        )
    assert len(str(info.value).splitlines()) <= 4
    (script,) = tmp_path.iterdir()
    assert "import numpy" in script.read_text()


def test_the_frames_of_the_check_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from rot180.check import assert_conv\n"
        "def test_it():\n    assert_conv(relu=lambda x: x, seconds=2)\n"
    )
    done = subprocess.run(
        python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"),
        cwd=tmp_path, capture_output=True, text=True, env=child_environment(),
    )  # fmt: skip
    assert done.returncode == 1
    assert "_assert.py" not in done.stdout
    assert "AssertionError: wrong: relu: y; 1 finding" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["test_it.py"]


@pytest.mark.usefixtures("fixed_only")
def test_functions_may_be_given_by_name() -> None:
    report = assert_conv(relu=T.relu, avg_pool=T.avg_pool, seconds=60)
    assert set(report.tallies) == {"relu", "avg_pool"}


def test_wrong_code_raises_with_the_report_as_its_text() -> None:
    with pytest.raises(AssertionError) as info:
        assert_conv(conv_input_grad=_doubled, seconds=1)
    text = str(info.value)
    assert text.startswith("wrong: conv_input_grad: dx; 1 finding\n")
    assert "\x1b" not in text  # no colours
    assert max(map(len, text.splitlines())) <= 88


@pytest.mark.usefixtures("fixed_only")
def test_what_the_code_lacks_may_be_declared() -> None:
    def conv(x: Any, w: Any, b: Any = None, *, groups: int = 1, **options: Any) -> Any:
        y = T.conv(x, w, b, groups=groups, **options)
        return y + 1 if groups > 1 else y

    with pytest.raises(AssertionError, match="conv"):
        assert_conv(conv=conv, seconds=1)
    assert assert_conv(conv=conv, seconds=60, lacking=["groups"]).status == 0


@pytest.mark.usefixtures("fixed_only")
def test_an_arithmetic_with_a_bound_may_be_asked_for() -> None:
    def rounded(*arrays: Any, **options: Any) -> Any:
        y = T.conv(*arrays, **options)
        return y * (1 + y.dtype.type(1e-7 if y.dtype == "float32" else 0))

    with pytest.raises(AssertionError):
        assert_conv(conv=rounded, seconds=1)
    assert assert_conv(conv=rounded, seconds=60, arithmetic="direct").status == 0


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize("strict", [False, True])
def test_accepting_nonsense_raises_only_if_strict(strict: bool) -> None:
    subject = next(m.subject for m in MUTANTS if m.name == "m14a")
    if not strict:
        assert assert_conv(subject, seconds=60, only=["conv"]).lenient
        return
    with pytest.raises(AssertionError, match="dilation"):
        assert_conv(subject, seconds=60, only=["conv"], strict=True)


@pytest.mark.usefixtures("fixed_only")
def test_what_cannot_be_judged_raises_too() -> None:
    def nothing(*arrays: Any, **options: Any) -> Any:
        raise NotImplementedError("some day")

    with pytest.raises(AssertionError, match="some day"):
        assert_conv(conv=nothing, seconds=60)


def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "def relu(x):\n    return abs(x)\n")
    with pytest.raises(AssertionError, match="relu"):
        assert_conv(path, seconds=2)


@pytest.mark.parametrize("both", [False, True])
def test_neither_or_both_of_subject_and_functions_are_refused(both: bool) -> None:
    given: dict[str, Any] = {"conv": T.conv} if both else {}
    with pytest.raises(ArgumentError, match="pass either a subject or functions"):
        assert_conv(*([T] if both else []), **given)


@pytest.mark.usefixtures("fixed_only")
def test_the_functions_of_a_subject_may_be_named() -> None:
    def my_relu(image: Any) -> Any:
        return np.maximum(image, 0)

    subject = SimpleNamespace(
        my_relu=my_relu,
        right=lambda dout, image: dout * (image > 0),
        wrong=lambda dout, image: dout * (image > 1),
    )
    report = assert_conv(subject, conv="my_relu", backward="right", seconds=60)
    assert [*report.tallies] == ["relu", "relu_backward"]
    with pytest.raises(AssertionError, match=r"^wrong: relu_backward: dx"):
        assert_conv(subject, conv="my_relu", backward="wrong", seconds=60)
