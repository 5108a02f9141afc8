"""Every way to be wrong is told apart, on the right function and output."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.check.judged import judge_by, judge_of, reasons
from unit.check.subjects import write

from benchmarks.mutants import correct_taps
from rot180.check import _run, check
from rot180.check.cases._case import Case, make
from rot180.check.judge import _judge
from rot180.check.judge._failure import Failure
from rot180.check.report import _findings
from rot180.check.subjects._runner import ChildRunner

T = correct_taps
Conv = Callable[..., Any]
CASE = make(kernel_size=2, extra=3, in_group=2, out_group=3, images=2, bias=True)
RELU = make("relu", in_group=2, extra=3, images=2)


def _then(change: Callable[[Any], Any]) -> dict[str, Conv]:
    """A convolution whose result is changed."""
    return {"conv": lambda *arrays, **options: change(T.conv(*arrays, **options))}


def _set(index: Any, value: float) -> Callable[[Any], Any]:
    def change(y: Any) -> Any:
        y[index] = value
        return y

    return change


def _raise(error: Exception) -> Callable[[Any], Any]:
    def change(y: Any) -> Any:
        raise error

    return change


COUNT = itertools.count(1)
WRONG: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "a number": (_set((1, 2, 0, 0), 1e6), "values", "1 of 96 numbers are wrong"),
    "infinity": (_set(0, np.inf), "values", "48 of 96 numbers are wrong"),
    "NaN": (_set((0, 0, 0, 0), np.nan), "nan", "y holds NaN, or was not written"),
    "a column": (lambda y: y[..., 1:], "shape", "y has shape (2, 3, 4, 3), not (2"),
    "no axes": (lambda y: y.sum(keepdims=True)[0], "shape", "not (2, 3, 4, 4)"),
    "wide": (lambda y: y.astype("float64"), "dtype", "y is float64, not float32"),
    "whole numbers": (lambda y: y.astype(int), "dtype", "y is int64, not float32"),
    "truth values": (lambda y: y > 0, "values", "y[0, 0, 0, 0] is"),
    "complex numbers": (lambda y: y + 1j, "values", "+1j), not"),
    "lists": (lambda y: y.tolist(), "type", "y is a list of 2, not an array"),
    "nothing": (lambda y: None, "type", "y is None, not an array"),
    "a tuple": (lambda y: (y, y), "type", "y is a tuple of 2, not an array"),
    "texts": (lambda y: y.astype(str), "type", "y is an array of <U32, not an array"),
    "an error": (_raise(KeyError("c")), "raised", "conv raised KeyError at test_judge"),
    "other bits": (lambda y: y + next(COUNT), "repeat", "gave other numbers a second"),
}


def _failures(functions: dict[str, Conv], case: Case) -> list[Failure]:
    return [f for v in judge_of(functions).verdicts(case) for f in v.failures]


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_result_has_its_reason_and_a_message_with_the_values(what: str) -> None:
    change, reason, message = WRONG[what]
    failure = next(f for f in _failures(_then(change), CASE) if f.reason == reason)
    assert message in failure.message
    assert failure.function == "conv"
    assert failure.law in ("reference", "repeat")
    assert set(failure.operands) == {"x", "w", "b"}


@pytest.mark.parametrize("dtype", ["float64", "int32", "float16"])
def test_a_wrong_dtype_hides_no_wrong_number(dtype: str) -> None:
    found = reasons(judge_of(_then(lambda y: (y + 1).astype(dtype))), CASE)
    assert found == {("conv", "y"): "values"}  # the last; the dtype is there too
    failures = _failures(_then(lambda y: (y + 1).astype(dtype)), CASE)
    assert [f.reason for f in failures] == ["dtype", "values"]


def test_the_failure_holds_what_came_and_what_is_right() -> None:
    (failure,) = _failures(_then(_set((1, 2, 3, 0), -0.5)), CASE)
    assert failure.got is not None
    assert failure.expected is not None
    assert np.argwhere(failure.got != failure.expected).tolist() == [[1, 2, 3, 0]]
    assert failure.bound is None


def _writing(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    y = T.conv(x, w, b, **options)
    w *= 2
    return y


def test_an_operand_that_is_written_to_is_named() -> None:
    (failure,) = _failures({"conv": _writing}, CASE)
    assert failure.reason == "wrote"
    assert failure.output == "w"
    assert failure.message == "conv changed its operand w"


def _backward(change: Callable[[list[Any]], Any]) -> dict[str, Conv]:
    return {
        "conv_backward": lambda *arrays, **options: change(
            list(T.conv_backward(*arrays, **options))
        )
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda g: (g[0], -g[1], g[2]), {("conv_backward", "dw"): "values"}),
        (lambda g: (g[0] * np.nan, g[1], g[2][1:]), {("conv_backward", "dx"): "nan", ("conv_backward", "db"): "shape"}),  # noqa: E501
        (lambda g: g, {}),
        (lambda g: (g[1], g[0], g[2]), {("conv_backward", "dx"): "shape", ("conv_backward", "dw"): "shape"}),  # noqa: E501
        (lambda g: g[:1], {("conv_backward", "dx"): "type"}),
        (lambda g: g[0], {("conv_backward", "dx"): "type"}),
        (lambda g: (None, None, None), {("conv_backward", n): "type" for n in ("dx", "dw", "db")}),  # noqa: E501
    ],
)  # fmt: skip
def test_each_gradient_of_a_joint_backward_is_judged_for_itself(
    change: Callable[[list[Any]], Any], expected: dict[tuple[str, str], str]
) -> None:
    assert reasons(judge_of(_backward(change)), CASE) == expected


def test_a_gradient_that_is_not_given_is_not_judged_and_is_noted() -> None:
    for change in (lambda g: (g[0], g[1], None), lambda g: g[:2]):
        judge = judge_of(_backward(change))
        assert reasons(judge, CASE) == {}
        assert judge.absent == {("db", "conv_backward")}


def test_a_function_without_a_feature_is_not_judged_on_it() -> None:
    def without_groups(
        x: Any, w: Any, b: Any = None, *, stride: Any, padding: Any, dilation: Any
    ) -> Any:
        return T.conv(x, w, b, stride=stride, padding=padding, dilation=dilation)

    judge = judge_of({"conv": without_groups})
    (plain,) = judge.verdicts(CASE)
    assert plain.unsupported is None
    assert not plain.failures
    (grouped,) = judge.verdicts(make(groups=2))
    assert grouped.unsupported == "conv has no parameter 'groups'"


def test_not_implemented_is_no_failure() -> None:
    functions = _then(_raise(NotImplementedError("not on Mondays")))
    (verdict,) = judge_of(functions).verdicts(CASE)
    assert verdict.unsupported == "not on Mondays"
    assert not verdict.failures


@pytest.mark.parametrize("slope", [0, 0.5, 1])
def test_every_slope_of_relu_at_zero_from_0_to_1_is_right(slope: float) -> None:
    def relu_backward(dy: Any, x: Any) -> Any:
        return dy * np.where(x == 0, slope, x > 0).astype(x.dtype)

    judge = judge_of({"relu_backward": relu_backward})
    assert reasons(judge, RELU) == {}
    assert judge.slopes == {f"{slope:g}"}


@pytest.mark.parametrize("slope", [-1, 2, np.nan])
def test_another_slope_of_relu_at_zero_is_wrong(slope: float) -> None:
    def relu_backward(dy: Any, x: Any) -> Any:
        return dy * np.where(x == 0, slope, x > 0).astype(x.dtype)

    assert reasons(judge_of({"relu_backward": relu_backward}), RELU)


def test_a_slope_elsewhere_is_wrong() -> None:
    def leaky(dy: Any, x: Any) -> Any:
        return np.where(x > 0, dy, dy / 2)

    assert reasons(judge_of({"relu_backward": leaky}), RELU)


def test_more_threads_have_to_give_the_same_bits() -> None:
    threads = [1]

    class Subject:
        @staticmethod
        def conv(*arrays: Any, **options: Any) -> Any:
            return T.conv(*arrays, **options) * threads[0]

        @staticmethod
        def set_num_threads(n: int) -> None:
            threads[0] = n

    judge = judge_of(Subject)
    alone = judge.repeats(CASE, "conv", None)
    assert alone is not None
    assert not alone.failures
    both = judge.repeats(CASE, "conv", 2)
    assert both is not None
    assert [f.reason for f in both.failures] == ["repeat"]
    assert "with 2 threads" in both.failures[0].message
    assert threads == [1]  # as before


def test_threads_that_cannot_be_set_are_not_judged() -> None:
    assert judge_of({"conv": T.conv}).repeats(CASE, "conv", 2) is None


def _fails_from(call: int) -> Conv:
    """A convolution that goes wrong by an error in some call and all later ones."""
    count = itertools.count(1)

    def conv(*arrays: Any, **options: Any) -> Any:
        if next(count) >= call:
            raise KeyError("cache")
        return T.conv(*arrays, **options)

    return conv


LAW_CALLS = {
    "repeat": (lambda judge: [judge.repeats(CASE, "conv", None)], 3),
    "history": (lambda judge: judge.history(CASE, "conv"), 2),
    "memory": (lambda judge: [judge.memory(CASE, "conv")], 2),
    "linear in x": (
        lambda judge: [
            judge.law(law, CASE) for law in judge.laws(CASE) if "x" in law.name
        ],
        4,
    ),
}


@pytest.mark.parametrize("law", LAW_CALLS)
def test_an_error_in_a_call_of_a_law_is_a_finding(law: str) -> None:
    ask, call = LAW_CALLS[law]
    judge = judge_of({"conv": _fails_from(call)})
    assert not reasons(judge, CASE)
    failures = [f for verdict in ask(judge) if verdict for f in verdict.failures]
    assert failures
    assert {(f.reason, f.law) for f in failures} == {("raised", law)}
    assert "KeyError at test_judge.py" in failures[0].message


def _only_contiguous(x: Any, w: Any, *more: Any, **options: Any) -> Any:
    np.ctypeslib.ndpointer(flags="C_CONTIGUOUS").from_param(x)
    return T.conv(x, w, *more, **options)


def test_code_that_never_takes_operands_with_gaps_is_not_wrong() -> None:
    judge = judge_of({"conv": _only_contiguous})
    assert not reasons(judge, CASE)
    for _ in range(3):
        verdict = judge.memory(CASE, "conv")
        assert verdict is None or not verdict.failures
    told = dict(judge.survey.summary())
    assert "refused with TypeError" in told["fortran operands in conv"]
    assert "strided operands in conv" in told


def test_an_error_with_operands_that_were_taken_before_is_wrong() -> None:
    def conv(x: Any, *more: Any, **options: Any) -> Any:
        if x.shape != CASE.x_shape:
            return _only_contiguous(x, *more, **options)
        return T.conv(x, *more, **options)

    judge, other = judge_of({"conv": conv}), make(kernel_size=2, extra=4, images=2)
    assert not reasons(judge, CASE) | reasons(judge, other)
    first, second = (judge.memory(case, "conv") for case in (CASE, other))
    assert first is not None
    assert not first.failures
    assert second is not None
    assert [f.reason for f in second.failures] == ["raised"]


def test_other_numbers_where_the_operands_lie_otherwise_are_wrong() -> None:
    def conv(x: Any, *more: Any, **options: Any) -> Any:
        return T.conv(x, *more, **options) + (not x.flags.c_contiguous)

    verdict = judge_of({"conv": conv}).memory(CASE, "conv")
    assert verdict is not None
    (failure,) = verdict.failures
    assert (failure.reason, failure.memory) == ("values", "fortran")
    assert "lie column by column" in failure.message


def test_a_failure_by_what_was_kept_tells_the_call_before() -> None:
    kept: dict[tuple[int, ...], Any] = {}

    def conv(x: Any, *more: Any, **options: Any) -> Any:
        dtype = kept.setdefault(x.shape, x.dtype)
        return T.conv(x, *more, **options).astype(dtype)

    verdicts = judge_of({"conv": conv}).history(CASE, "conv")
    failures = [f for verdict in verdicts if verdict for f in verdict.failures]
    assert "dtype" in {failure.reason for failure in failures}
    for failure in failures:
        assert failure.law == "history"
        assert failure.before is not None
        assert failure.before[:2] == (CASE, "conv")


# --- subjects in a process of their own ---

ENDINGS = """
import os, time
from benchmarks.mutants import correct_taps
relu, relu_backward = correct_taps.relu, correct_taps.relu_backward

def conv(x, w, b=None, **options):
    {ending}
"""
ENDED = {
    "crash": ("os.kill(os.getpid(), 11)", "died", "killed by SIGSEGV"),
    "exit": ("os._exit(3)", "died", "exited with status 3"),
    "hang": ("time.sleep(60)", "timeout", "did not return in 0.5 s"),
}


@pytest.mark.parametrize("how", ENDED)
def test_what_ends_its_process_twice_is_not_called_again(
    how: str, tmp_path: Path
) -> None:
    ending, reason, words = ENDED[how]
    path = write(tmp_path, ENDINGS.format(ending=ending))
    with ChildRunner(path, timeout=0.5) as runner:
        judge = judge_by(runner)
        for _ in range(2):
            (verdict,) = judge.verdicts(CASE)
            (failure,) = verdict.failures
            assert failure.reason == reason
            assert words in failure.message
        assert list(judge.verdicts(CASE)) == []
        assert {v.function for v in judge.verdicts(RELU)} == {"relu", "relu_backward"}


IN_LAWS = {
    "crash": ("os.kill(os.getpid(), 11)", "died"),
    "hang": ("time.sleep(60)", "timeout"),
}


@pytest.mark.parametrize("how", IN_LAWS)
def test_a_crash_or_hang_in_a_call_of_a_law_is_a_finding(
    how: str, tmp_path: Path
) -> None:
    ending, reason = IN_LAWS[how]
    body = "    if not x.flags.c_contiguous: {ending}\n    return correct_taps.conv"
    text = ENDINGS.replace("    {ending}", f"{body}(x, w, b, **options)")
    with ChildRunner(write(tmp_path, text.format(ending=ending)), timeout=0.5) as r:
        judge = judge_by(r)
        assert not reasons(judge, CASE)
        verdict = judge.memory(CASE, "conv")
    assert verdict is not None
    assert [f.reason for f in verdict.failures] == [reason]
    assert verdict.failures[0].memory == "fortran"


def test_a_crash_while_features_are_asked_for_is_a_finding(tmp_path: Path) -> None:
    text = """
import os
from benchmarks.mutants import correct_taps
CALLS = []
def conv(x, w, b=None, *, stride=1):
    CALLS.append(stride)
    if stride == 1 and CALLS[-2:-1] == [2] and not os.path.exists({flag!r}):
        open({flag!r}, "w").close()
        os._exit(3)
    if stride != 1: raise ValueError("stride")
    return correct_taps.conv(x, w, b)
"""
    path = write(tmp_path, text.format(flag=str(tmp_path / "flag")))
    report = check(path, seconds=1, dtypes=("float32",), diagnosis=False)
    assert report.status == 1
    assert {f.failure.reason for f in report.wrong} == {"died"}


def test_a_run_goes_on_after_a_hang_and_says_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_run, "SHRINKING", 1.0)
    monkeypatch.setattr(_findings, "SHRINKING", 1.0)
    path = write(tmp_path, ENDINGS.format(ending="time.sleep(60)"))
    report = check(path, seconds=4, timeout=0.3, diagnosis=False)
    assert report.status == 1
    assert [f.failure.reason for f in report.wrong] == ["timeout"]
    assert report.tallies["relu"].passed >= 1
    assert report.tallies["relu"].failed == 0
    assert any("hung 2 times" in reason for reason in report.unsupported.values())


# --- shapes too large for the reference ---


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> Case:
    """A case beyond what the reference is asked for."""
    monkeypatch.setattr(_judge, "_REFERENCE", 1000)
    return make(
        kernel_size=3, extra=9, stride=2, padding=(1, 0), in_group=3, out_group=4,
        groups=2, images=3,
    )  # fmt: skip


ALL = {
    name: getattr(T, name) for name in ("conv", "conv_input_grad", "conv_weight_grad")
}


def _problems(functions: dict[str, Conv], case: Case) -> set[str]:
    judge = judge_of(functions)
    verdicts = [
        *judge.verdicts(case),
        *(v for law in judge.laws(case) if (v := judge.law(law, case)) is not None),
    ]
    return {f.law for v in verdicts for f in v.failures}


@pytest.mark.parametrize("flip", [False, True])
def test_large_and_right_passes(large: Case, flip: bool) -> None:
    from dataclasses import replace

    import rot180

    functions = {name: getattr(rot180, name) for name in ALL}
    assert _problems(functions, replace(large, flip=flip, bias=True)) == set()


def test_a_large_result_that_nothing_is_held_against_is_not_called_right(
    large: Case,
) -> None:
    said = {v.function: v.unsupported for v in judge_of(ALL).verdicts(large)}
    assert said.pop("conv") is None
    assert said == dict.fromkeys(said, _judge._UNCOMPARED)
    assert len(said) == 2


def test_large_and_wrong_everywhere_is_seen_at_single_positions(large: Case) -> None:
    def shifted(*arrays: Any, **options: Any) -> Any:
        return np.roll(T.conv(*arrays, **options), 1, axis=3)

    assert "reference" in _problems({"conv": shifted}, large)


def test_large_and_wrong_at_one_position_is_seen_by_the_laws(large: Case) -> None:
    def spoilt(*arrays: Any, **options: Any) -> Any:
        y = T.conv(*arrays, **options)
        y[0, 0, 0, 0] += 1
        return y

    assert "linear in x" in _problems({"conv": spoilt}, large)


def test_a_large_wrong_weight_gradient_is_seen_by_the_laws(large: Case) -> None:
    def spoilt(*arrays: Any, **options: Any) -> Any:
        dw = T.conv_weight_grad(*arrays, **options)
        dw[1, 1, 1, 1] *= 2
        return dw

    found = _problems(ALL | {"conv_weight_grad": spoilt}, large)
    assert "adjoint" in found


def test_a_large_result_of_another_shape_is_seen(large: Case) -> None:
    found = reasons(judge_of(_then(lambda y: y[:, :, 1:])), large)
    assert found == {("conv", "y"): "shape"}
