"""The check as an assertion in a test suite."""

from pathlib import Path
from typing import Any

import pytest
from unit.check.subjects import write

from benchmarks.mutants import MUTANTS, correct_taps
from rot180.check import _run, assert_conv
from rot180.check.report import _findings
from rot180.errors import ArgumentError

T = correct_taps


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "SHRINKING", 0.3)
    monkeypatch.setattr(_findings, "SHRINKING", 0.3)


def _doubled(dy: Any, w: Any, x_shape: Any, **options: Any) -> Any:
    return 2 * T.conv_input_grad(dy, w, x_shape, **options)


def test_right_code_passes_and_gives_its_report() -> None:
    report = assert_conv(T, seconds=0.4, seed=3)
    assert (report.status, report.seed) == (0, 3)


def test_functions_may_be_given_by_name() -> None:
    report = assert_conv(conv=T.conv, conv_backward=T.conv_backward, seconds=0.4)
    assert set(report.tallies) == {"conv", "conv_backward"}


def test_wrong_code_raises_with_the_report_as_its_text() -> None:
    with pytest.raises(AssertionError) as info:
        assert_conv(conv_input_grad=_doubled, seconds=1)
    text = str(info.value)
    assert text.startswith("\n")
    assert "conv_input_grad" in text
    assert "dx" in text
    assert "\x1b" not in text  # no colours
    assert max(map(len, text.splitlines())) <= 88


def test_what_the_code_lacks_may_be_declared() -> None:
    def conv(x: Any, w: Any, b: Any = None, *, groups: int = 1, **options: Any) -> Any:
        if groups > 1:
            raise IndexError("no groups")
        return T.conv(x, w, b, groups=groups, **options)

    with pytest.raises(AssertionError, match="no groups"):
        assert_conv(conv=conv, seconds=1)
    assert assert_conv(conv=conv, seconds=0.4, lacking=["groups"]).status == 0


def test_an_arithmetic_with_a_bound_may_be_asked_for() -> None:
    def rounded(*arrays: Any, **options: Any) -> Any:
        y = T.conv(*arrays, **options)
        return y * (1 + y.dtype.type(1e-7 if y.dtype == "float32" else 0))

    with pytest.raises(AssertionError):
        assert_conv(conv=rounded, seconds=1)
    assert assert_conv(conv=rounded, seconds=0.4, arithmetic="direct").status == 0


@pytest.mark.parametrize("strict", [False, True])
def test_accepting_nonsense_raises_only_if_strict(strict: bool) -> None:
    subject = next(m.subject for m in MUTANTS if m.name == "m14a")
    if not strict:
        assert assert_conv(subject, seconds=0.3).lenient
        return
    with pytest.raises(AssertionError, match="dilation"):
        assert_conv(subject, seconds=0.3, strict=True)


def test_what_cannot_be_judged_raises_too() -> None:
    def nothing(*arrays: Any, **options: Any) -> Any:
        raise NotImplementedError("some day")

    with pytest.raises(AssertionError, match="some day"):
        assert_conv(conv=nothing, seconds=0.5)


def test_a_file_may_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, "def relu(x):\n    return abs(x)\n")
    with pytest.raises(AssertionError, match="relu"):
        assert_conv(path, seconds=2)


@pytest.mark.parametrize("both", [False, True])
def test_neither_or_both_of_subject_and_functions_are_refused(both: bool) -> None:
    given: dict[str, Any] = {"conv": T.conv} if both else {}
    with pytest.raises(ArgumentError, match="pass either a subject or functions"):
        assert_conv(*([T] if both else []), **given)
