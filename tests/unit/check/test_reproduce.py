"""Reproductions run by themselves: they fail as long as the defect is there."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rot180.check.cases._case import KINDS, Case, Kind, make, parameters
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.judge._failure import Failure, Reason
from rot180.check.judge._oracle import arguments, expected, functions_of, operands
from rot180.check.report._formula import cell, formula
from rot180.check.report._literal import array_literal
from rot180.check.report._reproduce import reproduction
from rot180.check.report._words import fault
from rot180.check.subjects._outcome import Array
from rot180.errors import Rot180Error

SUBJECT = "subject_under_test"
SOURCE = f"import {SUBJECT} as subject"


def failure_on(
    case: Case, function: str, output: str, reason: Reason = "values"
) -> Failure:
    """The failure of a subject that gives what is right, and 1 more everywhere."""
    drawn = operands(case)
    names = [name for name, _ in arguments(case, function, drawn)]
    used = {name: drawn[name] for name in names if name in drawn}
    right = expected(case, function, drawn)[OUTPUTS[function].index(output)]
    bound = np.full(right.shape, 0.01) if case.kind == "avg_pool" else None
    return Failure(
        case, function, output, reason, "it is wrong", operands=used,
        expected=right, got=right + 1, bound=bound,
    )  # fmt: skip


def run(failure: Failure, answer: Callable[..., Any]) -> dict[str, Any]:
    """Runs the reproduction in this process, with a subject of one function."""
    return run_text(reproduction(failure, SOURCE), failure.function, answer)


def run_text(text: str, function: str, answer: Callable[..., Any]) -> dict[str, Any]:
    """Runs a script in this process, with a subject of one function."""
    subject = ModuleType(SUBJECT)
    setattr(subject, function, answer)
    space: dict[str, Any] = {}
    allocation = patch.multiple(np, empty=np.empty, empty_like=np.empty_like)
    with patch.dict(sys.modules, {SUBJECT: subject}), allocation:
        exec(compile(text, "script", "exec"), space)
    return space


def giving(case: Case, function: str, more: int = 0) -> Callable[..., Any]:
    """A subject that returns the right results, or results off by `more`."""
    right = [result + more for result in expected(case, function, operands(case))]
    return lambda *_, **__: right[0] if len(right) == 1 else tuple(right)


def assert_reproduces(case: Case) -> None:
    for function in functions_of(case.kind):
        for output in OUTPUTS[function]:
            failure = failure_on(case, function, output)
            found = run(failure, giving(case, function))["expected"]
            assert failure.expected is not None
            assert found.shape == failure.expected.shape
            if failure.bound is None:
                assert np.array_equal(found, failure.expected)
            if found.size:
                with pytest.raises(AssertionError, match="are wrong"):
                    run(failure, giving(case, function, more=1))


@pytest.fixture(autouse=True)
def quiet(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    capsys.readouterr()


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_scripts_agree_with_the_oracle(kind: Kind, rank: int, layout: str) -> None:
    wanted = {
        "kernel_size": 2, "extra": 1, "stride": 2, "padding": (1, 0), "groups": 2,
        "in_group": 1, "out_group": 2, "images": 2, "layout": layout, "bias": True,
    }  # fmt: skip
    known = {p.name for p in parameters(kind)}
    case = make(kind, rank=rank, **{n: v for n, v in wanted.items() if n in known})
    assert_reproduces(case)


SMALL = {"groups": 3, "in_group": 3, "out_group": 3}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from(KINDS))
    rank = draw(st.integers(1, 2))
    values: dict[str, Any] = {}
    for known in parameters(kind):
        levels = st.sampled_from([v for v in known.levels if _is_small(known.name, v)])
        values[known.name] = (
            draw(st.tuples(*[levels] * rank)) if known.each else draw(levels)
        )
    case = make(kind, rank=rank, **values)
    return replace(case, seed=draw(st.integers(0, 5)))


def _is_small(name: str, value: Any) -> bool:
    return name not in SMALL or value <= SMALL[name]


@given(cases())
@settings(max_examples=60)
def test_scripts_agree_with_the_oracle_on_every_parameter(case: Case) -> None:
    try:
        operands(case)
    except Rot180Error:
        assume(False)
    assume(case.work() < 3000)
    assert_reproduces(case)


@pytest.mark.parametrize("padding", ["valid", "same", "same_lower", "full", "causal"])
def test_scripts_know_padding_by_name(padding: str) -> None:
    assert_reproduces(make(kernel_size=(2, 3), extra=3, padding=padding))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_a_cell_worked_out_gives_the_right_number(case: Case, random: Any) -> None:
    try:
        drawn = operands(case)
    except Rot180Error:
        assume(False)
    assume(case.work() < 3000)
    for function in functions_of(case.kind):
        results = expected(case, function, drawn)
        for output, right in zip(OUTPUTS[function], results, strict=True):
            if not right.size:
                continue
            at = np.unravel_index(random.randrange(right.size), right.shape)
            text = cell(case, function, output, [int(i) for i in at], drawn)
            last = text.partition(", since")[0].rpartition("= ")[2]
            off = 1e-3 if case.kind == "avg_pool" else 0
            assert float(last) == pytest.approx(right[at], rel=off, abs=off)


def test_a_cell_is_written_in_letters_and_numbers() -> None:
    case = make(rank=1, kernel_size=2, extra=1, in_group=1)
    drawn = {"x": np.array([[[1, -2, 3]]]), "w": np.array([[[4, 5]]])}
    assert cell(case, "conv", "y", (0, 0, 1), drawn).split("\n") == [
        "y[0, 0, 1]",
        "  = x[0, 0, 1]*w[0, 0, 0] + x[0, 0, 2]*w[0, 0, 1]",
        "  = (-2)*4 + 3*5",
        "  = 7",
    ]
    pooled = make("max_pool", rank=1, kernel_size=2)
    assert cell(pooled, "max_pool", "y", (0, 0, 0), drawn) == (
        "y[0, 0, 0] = max(x[0, 0, 0], x[0, 0, 1]) = max(1, -2) = 1"
    )


def test_a_cell_of_many_terms_is_cut() -> None:
    case = make(rank=1, kernel_size=5, in_group=3, extra=1)
    drawn = operands(case)
    text = cell(case, "conv", "y", (0, 0, 0), drawn)
    _, letters, numbers, total = text.split("= ")
    assert letters.count("*w") == numbers.count("*") == 8
    assert letters.rstrip().endswith("...")
    assert float(total) == expected(case, "conv", drawn)[0][0, 0, 0]


def test_formulas_hold_the_numbers_of_the_case() -> None:
    case = make(kernel_size=3, stride=2, padding=(1, 0), groups=2, in_group=3)
    assert formula(case, "conv_backward", "dx") == (
        "dx[n, 3*g + c, 2*p + r - 1, 2*q + s - 1] += dy[n, g + k, p, q]"
        " * w[g + k, c, r, s] for g, k"
    )
    assert formula(case, "conv_backward", "").count("\n") == 2
    pool = make("avg_pool", rank=1, kernel_size=2)
    assert "divided by the number of positions" in formula(pool, "avg_pool", "y")


@pytest.mark.parametrize(
    "array",
    [
        np.array([0.1, -0.0, np.inf, -np.inf, 1e300]),
        np.array([[0.1, 2]], "float32"),
        np.zeros((0, 3), "float32"),
        np.array(3.5),
        np.full((2, 2), -1, "float32"),
        np.array([0.0, -0.0]),
        np.arange(5000, dtype="float32").reshape(50, 100),
        np.array([1, 2], "int32"),
    ],
)
def test_literals_give_the_same_bits(array: Array) -> None:
    lines = array_literal("a", array)
    space: dict[str, Any] = {"np": np}
    exec("\n".join(lines), space)
    found = space["a"]
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert found.tobytes() == array.tobytes()
    assert max(map(len, lines)) <= 88


RIGHT = "return np.add(x, -1) + 1"
# By reason: the body of a `relu(x)` that has the defect, and one that has not.
DEFECTS: dict[Reason, tuple[str, str]] = {
    "values": ("return x", "return np.maximum(x, 0)"),
    "nan": ("return np.empty_like(x)", "return np.maximum(x, 0)"),
    "shape": ("return x[:1]", RIGHT),
    "dtype": ("return x.astype('float16')", RIGHT),
    "type": ("return x.tolist()", RIGHT),
    "raised": ("raise RuntimeError('no')", RIGHT),
    "died": ("import os; os.kill(os.getpid(), 9)", RIGHT),
    "timeout": ("import time; time.sleep(60)", RIGHT),
    "wrote": ("x[0] = 7; return x", RIGHT),
    "repeat": ("return x + len(calls.append(0) or calls)", RIGHT),
    "invalid": ("return x", "raise ValueError('x has no channels')"),
}


@pytest.mark.parametrize("reason", DEFECTS)
def test_a_script_fails_until_the_defect_is_mended(
    reason: Reason, tmp_path: Path
) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    source = f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport my as subject"
    case = make("relu", rank=1, extra=8, images=3)
    failure = failure_on(case, "relu", "y", reason)
    script = tmp_path / "script.py"
    script.write_text(reproduction(failure, source, seconds=0.5), encoding="utf-8")
    wrong, right = DEFECTS[reason]
    assert status(script, folder, wrong) != 0
    assert status(script, folder, right) == 0


def test_memory_that_compiled_code_left_unwritten_is_filled(tmp_path: Path) -> None:
    source = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport my as subject"
    failure = failure_on(make("relu", rank=1, extra=8, images=3), "relu", "y")
    failure = replace(failure, got=np.full((3, 1, 9), 3.4e38, "float32"))
    script = tmp_path / "script.py"
    script.write_text(reproduction(failure, source), encoding="utf-8")
    wrong = "import os; return np.maximum(x, 0) - ('MALLOC_PERTURB_' in os.environ)"
    assert status(script, tmp_path, wrong) != 0
    assert status(script, tmp_path, "return np.maximum(x, 0)") == 0


@pytest.mark.parametrize("answer", [[1, 2], np.zeros(3), (None, 1.5, None)])
def test_results_of_another_kind_are_told(answer: Any) -> None:
    case = make(rank=1, kernel_size=2)
    failure = failure_on(case, "conv_backward", "dw", "type")
    with pytest.raises(AssertionError):
        run(failure, lambda *_, **__: answer)
    run(failure, lambda *_, **__: (None, np.zeros((1, 1, 2)), None))


INVALID = [
    make(rank=1, kernel_size=2, stride=0),
    make(rank=1, kernel_size=2, dilation=0),
    make("conv_transpose", rank=1, kernel_size=2, dilation=0),
]


@pytest.mark.parametrize("case", INVALID, ids=str)
def test_input_without_meaning_has_a_script(case: Case) -> None:
    x, w = np.ones((1, 1, 3), "float32"), np.ones((1, 1, 2), "float32")
    failure = Failure(
        case, case.kind, "y", "invalid", "it was accepted", operands={"x": x, "w": w}
    )
    with pytest.raises(AssertionError, match="means nothing"):
        run(failure, lambda x, w, **_: x)

    def refuse(x: Array, w: Array, **_: Any) -> Array:
        raise ValueError("stride is 0")

    run(failure, refuse)


def status(script: Path, folder: Path, body: str) -> int:
    """Runs the script by itself, on a module whose `relu` has this body."""
    text = f"import numpy as np\ncalls = []\ndef relu(x):\n    {body}\n"
    (folder / "my.py").write_text(textwrap.dedent(text), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(script)],
        cwd=folder.parent,
        capture_output=True,
        timeout=30,
    )
    return done.returncode


def test_neutral_options_that_the_subject_lacks_are_left_out() -> None:
    case = make(rank=1, kernel_size=2, stride=2)
    right = expected(case, "conv", operands(case))[0]

    def conv(x: Array, w: Array, *, stride: int) -> Array:
        assert stride == 2
        return right

    run(failure_on(case, "conv", "y"), conv)


def test_any_slope_of_relu_at_zero_is_right() -> None:
    case = make("relu", rank=1, extra=3)
    x = np.array([[[0, -1, 2, 0]]], "float32")
    dy = np.array([[[4, 5, 6, 7]]], "float32")
    failure = failure_on(case, "relu_backward", "dx")
    failure = replace(failure, operands={"dy": dy, "x": x})
    run(failure, lambda dy, x: np.where(x >= 0, dy, 0))
    with pytest.raises(AssertionError, match="2 of 4 are wrong"):
        run(failure, lambda dy, x: np.where(x == 0, -dy, np.where(x > 0, dy, 0)))


def test_a_bias_that_was_not_passed_is_not_added() -> None:
    case = make(rank=1, kernel_size=2, bias=True)
    failure = failure_on(case, "conv", "y")
    plain = {n: a for n, a in failure.operands.items() if n != "b"}
    right = expected(case, "conv", plain)[0]
    run(replace(failure, operands=plain), lambda x, w, **_: right)


def test_without_operands_there_is_no_script() -> None:
    failure = failure_on(make("relu"), "relu", "y")
    assert reproduction(replace(failure, operands={}), SOURCE) == ""


def test_scripts_need_nothing_but_numpy() -> None:
    failure = failure_on(make(kernel_size=2, stride=2), "conv_backward", "dw")
    script = reproduction(failure, SOURCE)
    assert "rot180" not in script
    assert max(map(len, script.split("\n"))) <= 88


@pytest.mark.parametrize("memory", ["fortran", "strided"])
def test_operands_lie_in_memory_as_they_did(memory: str) -> None:
    case = make(rank=1, kernel_size=2, extra=3, images=2, in_group=2)
    failure = replace(failure_on(case, "conv", "y"), law="memory", memory=memory)
    (right,) = expected(case, "conv", operands(case))

    def conv(x: Array, w: Array, **_: Any) -> Array:
        assert np.array_equal(x, failure.operands["x"])
        return right + (not x.flags.c_contiguous)

    with pytest.raises(AssertionError, match="are wrong"):
        run(failure, conv)
    run(failure, lambda x, w, **_: right)


def broken(case: Case, law: str, **given: Array) -> Failure:
    """A law broken by one call, of whose right results there are several."""
    function = f"{case.kind}_backward"
    return Failure(case, function, "dx", "values", "not so", law, operands=given)


TIED = np.array([[[1, 1, 0, 1]]], "float32")


def test_gradients_that_do_not_add_up_have_a_script() -> None:
    case = make("max_pool", rank=1, kernel_size=2, stride=2, extra=2)
    failure = broken(case, "sum", dy=np.array([[[3, 5]]], "float32"), x=TIED)
    run(failure, lambda dy, x, *_, **__: np.array([[[3, 0, 0, 5]]]))
    with pytest.raises(AssertionError, match=r"11\.0 is not 8\.0"):
        run(failure, lambda dy, x, *_, **__: np.array([[[3, 3, 0, 5]]]))


def test_averages_add_up_to_the_rounding() -> None:
    case = make("avg_pool", rank=1, kernel_size=3, stride=3)
    failure = broken(case, "sum", dy=np.array([[[1]]], "float32"))
    third = np.full((1, 1, 3), 1 / 3, "float32")
    run(failure, lambda dy, *_, **__: third + np.float32(1e-6))
    with pytest.raises(AssertionError, match="is not"):
        run(failure, lambda dy, *_, **__: third * np.float32(1.001))


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_a_gradient_where_no_maximum_is_has_a_script(layout: str) -> None:
    def laid(*values: float) -> Array:
        row = np.array([[values]], "float32")
        return row if layout == "channels_first" else np.moveaxis(row, 1, -1)

    case = make("max_pool", rank=1, kernel_size=2, stride=2, extra=2, layout=layout)
    failure = broken(case, "ties", dy=laid(3, 5), x=laid(1, 2, 2, 1))
    run(failure, lambda *_, **__: laid(0, 3, 5, 0))
    with pytest.raises(AssertionError, match="1 of 4 are wrong"):
        run(failure, lambda *_, **__: laid(3, 5, 7, 0))

    padded = replace(case, padding=((1, 1),), extra=(4,))
    assert padded.size == case.size == (4,)
    failure = broken(padded, "ties", dy=laid(3, 5, 7), x=laid(1, 2, 2, 1))
    run(failure, lambda *_, **__: laid(3, 2.5, 2.5, 7))


def test_a_law_that_several_calls_broke_has_no_script() -> None:
    given = failure_on(make(rank=1, kernel_size=2), "conv", "y").operands
    failure = Failure(
        make(rank=1, kernel_size=2), "conv", "y", "values", "", "shift", given
    )
    assert reproduction(failure, SOURCE) == ""


def remembered(case: Case) -> tuple[Failure, tuple[Case, str, dict[str, Array]]]:
    """A failure that shows only after a call on the case with stride 1."""
    failure = replace(failure_on(case, "conv", "y"), law="history")
    first = replace(case, stride=(1,), seed=5, bias=True)
    given = operands(first)
    return failure, (first, "conv", {n: given[n] for n in ("x", "w", "b")})


def test_the_call_that_has_to_come_first_is_made_first(tmp_path: Path) -> None:
    case = make(rank=1, kernel_size=2, extra=4, stride=2)
    failure, before = remembered(case)
    source = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport my as subject"
    text = reproduction(failure, source, before=before)
    assert "only after another call, of conv" in " ".join(text.split())
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    (right,) = expected(case, "conv", operands(case))
    conv = f"""
        def conv(x, w, b=None, *, stride):
            calls.append(stride)
            right = np.array({right.tolist()}, x.dtype)
            return right + (KEPT and calls[0] != stride)
    """
    body = "return x\n" + textwrap.dedent(conv)
    for keeps, ends in (("True", 1), ("False", 0)):
        assert status(script, tmp_path, body.replace("KEPT", keeps)) == ends


def test_without_the_call_that_has_to_come_first_there_is_no_script() -> None:
    failure, _ = remembered(make(rank=1, kernel_size=2))
    assert reproduction(failure, SOURCE) == ""


@pytest.mark.parametrize("with_before", [False, True])
def test_a_result_that_the_next_call_overwrites_has_a_script(with_before: bool) -> None:
    case = make("relu", rank=1, extra=3)
    failure = failure_on(case, "relu", "y", "wrote")
    failure = replace(failure, output="the result of the call before")
    assert fault(failure) == "relu changes the result of the call before"
    x = -failure.operands["x"] + 1
    before = (case, "relu", {"x": x}) if with_before else None
    text = reproduction(failure, SOURCE, before=before)
    buffer = np.zeros((1, 1, 4), "float32")

    def shared(x: Array) -> Array:
        return np.maximum(x, 0, out=buffer)

    with pytest.raises(AssertionError, match="changed the result of the first"):
        run_text(text, "relu", shared)
    run_text(text, "relu", lambda x: np.maximum(x, 0))
