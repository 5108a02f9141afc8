"""A plan says what would run, and is what runs."""

import re

import pytest

from rot180 import codegen, ops, runtime, schedules
from rot180.functional._plan import plan_of
from rot180.ops import TensorType, Window
from rot180.program import Program, show
from rot180.runtime import _choose as choose

WINDOW = Window.make("test", (3, 3), padding=1)
X = TensorType((2, 8, 9, 7), "float32")
W = TensorType((12, 8, 3, 3), "float32")
CONV = ops.Conv(WINDOW, "channels_first", "y", (9, 7))


def test_a_plan_of_a_sum() -> None:
    plan = plan_of(CONV, X, W)
    assert plan.algorithm == "direct"
    assert plan.tile == plan.candidates[0]
    assert plan.target == choose.target()
    assert "add= mul(" in plan.program
    assert re.search(r"define void @conv_y_0\(", plan.ir)
    assert "conv_y_1" in plan.assembly
    assert plan.assembly != plan.ir


def test_a_plan_reads_from_top_to_bottom() -> None:
    with runtime.force_target("baseline"):
        text = str(plan_of(CONV, X, W))
    head, _, program = text.partition("\nprogram\n")
    lines = head.splitlines()
    assert lines[0] == (
        "op         y[n, k, p, q] += x[n, c, p + r - 1, q + s - 1] * w[k, c, r, s]"
    )
    assert lines[1] == "algorithm  direct"
    assert lines[2] == "target     baseline (x86-64), 16 registers of 16 bytes"
    assert re.fullmatch(
        r"tile       \d vectors along k, \d+ \w+( x \d+ \w+)*", lines[3]
    )
    assert re.fullmatch(r"why        fewest cycles .* among \d tiles .*", lines[4])
    assert all(line.startswith("  ") for line in program.splitlines())


def test_what_is_forced_is_planned() -> None:
    best = plan_of(CONV, X, W)
    with runtime.force_schedule(1), runtime.force_target("avx2"):
        other = plan_of(CONV, X, W)
    assert other.tile == other.candidates[1]
    assert other.target.name == "avx2"
    assert str(other) != str(best)


@pytest.mark.parametrize(
    ("op", "types", "algorithm"),
    [
        (ops.Pointwise("exp"), (X,), "pointwise"),
        (ops.LogSoftmax(), (TensorType((4, 5), "float64"),), "row-wise"),
        (ops.Reduce("sum", (1,)), (TensorType((4, 5), "float64"),), "row-wise"),
    ],
)
def test_formulas_have_no_tile(
    op: ops.Op, types: tuple[TensorType, ...], algorithm: str
) -> None:
    plan = plan_of(op, *types)
    assert plan.algorithm == algorithm
    assert plan.tile is None
    assert plan.candidates == ()
    assert "tile" not in str(plan)
    assert plan.program
    assert plan.ir
    assert plan.assembly


def test_the_program_is_the_one_that_is_scheduled() -> None:
    plan = plan_of(CONV, X, W)
    assert isinstance(plan.bound, Program)
    assert plan.tile is not None
    program = schedules.schedule(plan.bound, plan.tile, plan.target)
    assert plan.program == show(program)
    assert plan.ir == codegen.emit(program, plan.target).text
