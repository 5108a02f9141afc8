"""Which pointwise ops run together, and what never lies in memory."""

from typing import Any

import numpy as np
import pytest
from fused_networks import assert_same_bits, one_by_one

import rot180
from rot180 import functional as F
from rot180 import ops
from rot180.autograd._groups import MOST_ARRAYS, MOST_JOINED
from rot180.autograd._jit import trace_call
from rot180.autograd._program import Program, prepare

X = np.arange(24.0, dtype="float32").reshape(2, 3, 4) - 7
COLUMN = np.array([1.0, -2.0, 0.5], dtype="float32")
TINY = np.array([1e-40, -1e-40, 3.0, 0.0, -0.0, np.nan, np.inf], dtype="float32")


def prepared(function: Any, *arguments: Any) -> Program:
    trace = trace_call(function, *arguments)
    return prepare(trace.graph, trace.inputs, trace.results)


def stored(program: Program) -> int:
    return sum(len(step.outputs) for step in program.steps)


def assert_fused_bits(function: Any, *arguments: Any) -> None:
    found = rot180.jit(function)(*arguments)
    found = list(found) if isinstance(found, tuple) else [found]
    assert_same_bits(found, one_by_one(function, *arguments))


def test_a_chain_over_columns_and_numbers_is_one_kernel_with_one_result() -> None:
    def scaled(x: Any, column: Any) -> Any:
        return F.relu((x - column.reshape(3, 1)) * 2.0 + 1.0)

    program = prepared(scaled, X, COLUMN)
    (step,) = program.steps
    assert isinstance(step.op, ops.Fused)
    assert stored(program) == 1
    assert_fused_bits(scaled, X, COLUMN)


def test_a_group_says_what_it_computes() -> None:
    (step,) = prepared(lambda x: F.relu(x * 2.0) - x, X).steps
    formula = "v2 = mul(v0, 2.0); v3 = relu(v2); v4 = sub(v3, v0) -> v4"
    assert str(step.op) == f"Fused({formula})"


def test_an_op_that_stands_alone_stays_as_it_is() -> None:
    (step,) = prepared(lambda x, y: x + y, X, X).steps
    assert step.op == ops.Pointwise("add")


def test_formulas_that_share_an_operand_come_from_one_walk() -> None:
    def both(x: Any) -> Any:
        return F.exp(-x), F.relu(x) * 3.0

    program = prepared(both, X)
    assert len(program.steps) == 1
    assert stored(program) == 2
    assert_fused_bits(both, X)


def test_momentum_and_parameter_are_updated_in_one_walk() -> None:
    def update(p: Any, slot: Any, g: Any) -> Any:
        slot = 0.9 * slot + g
        return p - 0.1 * slot, slot

    program = prepared(update, X, X, X)
    assert len(program.steps) == 1
    assert_fused_bits(update, X, X + 1, X * 2)


def test_what_only_formulas_read_is_computed_again_on_the_way_back() -> None:
    w = np.ones((3, 3, 3), "float32")

    def loss(x: Any, gain: Any) -> Any:
        y = F.relu(F.conv(x, w) * gain.reshape(3, 1))
        z = F.conv(y, np.ones((1, 3, 1), "float32"))
        return F.total(z * z)

    program = prepared(rot180.value_and_grad(loss), X, COLUMN)
    formulas = [s for s in program.steps if s.op.is_formula]
    # y; z * z and its cotangent; that of y before relu. No mask, no product with gain.
    assert sorted(len(step.outputs) for step in formulas) == [1, 1, 2]


def test_no_group_waits_for_what_waits_for_it() -> None:
    def normal(x: Any) -> Any:
        y = x * 2.0
        return y, x - F.total(y) * x

    program = prepared(normal, X)
    known = {*program.inputs, *(number for number, _ in program.captures)}
    for step in program.steps:
        assert known.issuperset(step.inputs)
        known.update(step.outputs)
    assert_fused_bits(normal, X)


def test_an_extremely_long_formula_is_cut() -> None:
    def long(x: Any) -> Any:
        for number in range(100):
            x = x * 1.5 + number
        return x

    program = prepared(long, X)
    assert 2 < len(program.steps) < 20
    assert_fused_bits(long, X)


def test_groups_are_bounded() -> None:
    def many(x: Any) -> Any:
        return tuple(x * float(number) + x for number in range(3, 60))

    for step in prepared(many, X).steps:
        assert len(step.inputs) + len(step.outputs) <= MOST_ARRAYS
        assert isinstance(step.op, ops.Fused)
        computed = [s for s in step.op.steps if s.fn != ops.NUMBER]
        assert len(computed) <= MOST_JOINED
    assert_fused_bits(many, X)


def test_one_operand_may_stand_in_a_row_and_in_a_column() -> None:
    def outer(v: Any) -> Any:
        return F.relu(v.reshape(3, 1) * v.reshape(1, 3)) + v

    assert len(prepared(outer, COLUMN).steps) == 1
    assert_fused_bits(outer, COLUMN)


def test_integers_and_flags_stay_what_they_are() -> None:
    def chosen(flags: Any, x: Any, whole: Any) -> Any:
        return F.where(flags, x * 2.0, -x) + x, whole + whole

    assert_fused_bits(chosen, X > 0, X, np.arange(4))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: (x * 1.0) * 2.0,
        lambda x: (x * 1.0) * -1.0,
        lambda x: F.where(x == x, x + 0.0, x - 0.0),
        lambda x: -((x / 1.0) * 1.0),
        lambda x: F.maximum(-x, x) * 1.0,
        lambda x: F.where(x > 0.0, x, -x) + -0.0,
        lambda x: F.relu(x) - F.relu(x - 6.0),
        lambda x: (x * 0.0 + 1e-30) * 1e-30,
        lambda x: x + (x.full(1e-30) * 1e-20),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e10])
def test_denormal_numbers_are_flushed_where_an_op_alone_flushes_them(
    function: Any, scale: float
) -> None:
    assert_fused_bits(function, TINY * np.float32(scale))


def test_products_are_rounded_before_they_are_added() -> None:
    x = np.float32(1) + np.arange(1, 200, dtype="float32") * np.float32(2**-23)

    def line(x: Any) -> Any:
        return x * x - x

    assert (rot180.jit(line)(x) == x * x - x).all()


def test_without_a_compiler_the_groups_mean_the_same() -> None:
    def step(x: Any, column: Any) -> Any:
        y = F.relu(x - column.reshape(3, 1))
        return y * 2.0 + 1.0, y.reshape(2, 3, 1, 4)

    from rot180.runtime import force_reference

    compiled = rot180.jit(step)(X, COLUMN)
    with force_reference():
        plain = rot180.jit(step)(X, COLUMN)
    assert_same_bits(plain, compiled)


def test_empty_arrays_have_empty_results() -> None:
    found = rot180.jit(lambda x: (F.relu(x * 2.0) + 1.0, x * 3.0 - 1.0))(X[:0])
    assert [y.shape for y in found] == [(0, 3, 4)] * 2
