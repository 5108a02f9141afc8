"""Findings that one mistake causes are told as one, others apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.mutants import correct_taps
from rot180.check import Diagnosis, Failure, Finding, causes, check
from rot180.check.cases._case import Case, make

WIDE = make(extra=(0, 3))
STRIDED = make(stride=2)
NOT_SQUARE = ("the width is not what the height gives",)


def finding(
    function: str,
    output: str = "",
    diagnosis: str = "",
    *,
    name: str = "",
    parts: tuple[str, ...] = (),
    case: Case = STRIDED,
    got: Sequence[float] | None = None,
    reason: Any = "values",
    message: str = "",
) -> Finding:
    array = None if got is None else np.array(got, "float32")
    failure = Failure(case, function, output, reason, message, got=array)
    known = Diagnosis(name or f"{output}-known", f"{output}: {diagnosis}", 9, 9, parts)
    return Finding(failure, case, 9, diagnoses=(known,) if diagnosis else ())


def grouped(*findings: Finding) -> list[list[int]]:
    places = {id(one): place for place, one in enumerate(findings)}
    return [[places[id(one)] for one in group] for group in causes(findings)]


def test_the_same_mistake_in_two_functions_is_one() -> None:
    text = "mean over the images instead of sum"
    dw = finding("conv_weight_grad", "dw", text)
    more = finding("conv_backward", "dw", f"{text}, when groups > 1")
    other = finding("conv_backward", "dx", "filter not rotated")
    assert grouped(dw, other, more) == [[0, 2], [1]]


def test_a_rotated_filter_in_all_three_passes_is_one() -> None:
    y = finding("conv", "y", "filter is rotated, a true convolution")
    dx = finding("conv_backward", "dx", "filter not rotated")
    dw = finding("conv_backward", "dw", "reversed along all axes of the filter")
    assert grouped(dx, dw, y) == [[0, 1, 2]]
    assert grouped(dx, dw) == [[0], [1]]  # the forward pass is right: two mistakes


def test_the_same_condition_is_one_in_an_operation_only() -> None:
    parts = ("groups > 1", "stride > 1")
    one = finding("conv_backward", "dx", "wrong (9 wrong)", parts=parts)
    two = finding("conv_weight_grad", "dw", "wrong (7 wrong)", parts=parts)
    pool = make("max_pool")
    three = finding("max_pool", "y", "wrong (7 wrong)", parts=parts, case=pool)
    assert grouped(one, two, three) == [[0, 1], [2]]


def test_an_error_of_the_same_line_is_one() -> None:
    text = "{} raised IndexError at my_conv.py:{} in pad: index 3 is out"
    found = [
        finding(name, reason="raised", message=text.format(name, line))
        for name, line in (("conv", 7), ("conv_backward", 7), ("conv", 8))
    ]
    assert grouped(*found) == [[0, 1], [2]]


def test_the_same_wrong_numbers_of_the_same_call_are_one() -> None:
    calls = (
        ("conv_input_grad", [1, 2]),
        ("conv_backward", [1, 2]),
        ("conv_backward", [1, 3]),
    )
    found = [finding(name, "dx", got=got) for name, got in calls]
    assert grouped(*found) == [[0, 1], [2]]


def test_what_has_no_diagnosis_joins_the_condition_that_it_needs() -> None:
    y = finding("conv", "y", "wrong", parts=NOT_SQUARE, case=WIDE)
    crash = finding("conv", reason="died", case=WIDE)
    elsewhere = finding("conv", reason="timeout", case=STRIDED)
    assert grouped(crash, elsewhere, y) == [[2, 0], [1]]


def test_a_condition_that_the_simplest_case_meets_draws_nothing_in() -> None:
    y = finding("conv", "y", "wrong", parts=("groups == 1",))
    assert grouped(y, finding("conv", reason="died")) == [[0], [1]]


def test_where_numbers_are_wrong_is_no_cause() -> None:
    one, two = (
        finding(name, "y", "only the last row", name="place", got=[number])
        for number, name in enumerate(("conv", "conv_transpose"))
    )
    assert grouped(one, two) == [[0], [1]]


def _output(x: Any, w: Any, stride: int, padding: int) -> tuple[int, int]:
    """The mistake: the width is computed from the height."""
    height = x.shape[2] + 2 * padding
    p, q = ((height - taps) // stride + 1 for taps in w.shape[2:])
    return p, q


def conv(x: Any, w: Any, *, stride: int = 1, padding: int = 0) -> Any:
    p, q = _output(x, w, stride, padding)
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    y = np.zeros((len(x), len(w), p, q), x.dtype)
    for i, j, r, s in np.ndindex(p, q, *w.shape[2:]):
        y[:, :, i, j] += x[:, :, i * stride + r, j * stride + s] @ w[:, :, r, s].T
    return y


def conv_backward(dy: Any, x: Any, w: Any, *, stride: int = 1, padding: int = 0) -> Any:
    p, q = _output(x, w, stride, padding)
    _, _, h, v = x.shape
    x = np.pad(x, ((0, 0), (0, 0), (padding,) * 2, (padding,) * 2))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j, r, s in np.ndindex(p, q, *w.shape[2:]):
        at = np.s_[:, :, i * stride + r, j * stride + s]
        dx[at] += dy[:, :, i, j] @ w[:, :, r, s]
        dw[:, :, r, s] += dy[:, :, i, j].T @ x[at]
    return dx[:, :, padding : padding + h, padding : padding + v], dw, dy.sum((0, 2, 3))


def test_a_width_computed_from_the_height_is_one_finding() -> None:
    subject = {"conv": conv, "conv_backward": conv_backward}
    lacking = ("rank 1", "rank 3", "no image axis", "padding by name")
    report = check(subject, seconds=2.5, lacking=lacking)
    assert len(report.findings) >= 5
    (group,) = causes(report.findings)
    assert "the width is computed from the height" in group[0].diagnoses[0].text


def _one_more_in_groups(x: Any, w: Any, *, groups: int = 1, **options: Any) -> Any:
    y = correct_taps.conv(x, w, groups=groups, **options)
    return y + 1 if groups > 1 else y


def test_right_calls_without_numbers_speak_against_no_condition() -> None:
    """With groups, an empty result is right, and that says nothing of groups."""
    subject = {"conv": _one_more_in_groups}
    report = check(subject, seconds=3, lacking=("rank 3", "no image axis"))
    (known,) = report.findings[0].diagnoses
    assert known.parts == ("groups > 1",)
