"""Pointwise and row-wise programs, as the interpreter runs them."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import TINY, Case

from rot180 import ops, schedules
from rot180.ops import TensorType
from rot180.program import Buffer, Count, interpret
from rot180.program._nodes import Alloc, Loop, walk
from rot180.schedules import Pointwise, RowWise, scheduled

Array = np.ndarray[Any, Any]


def interpreted(
    formula: Pointwise | RowWise, count: int, *arrays: Array
) -> list[float]:
    """The flat output of a formula on flat arrays, the output's memory first."""
    program = scheduled(formula, TINY, None)
    memory: dict[str, Any] = {
        buffer.name: array.reshape(-1).tolist()
        for buffer, array in zip(formula.arguments(), arrays, strict=True)
    }
    interpret(program, memory, count)
    return list(memory[formula.out.name])


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple)


@settings(max_examples=60)
@given(shape=SHAPES, data=st.data())
def test_operands_repeat_and_run_backwards(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    case = Case("add", ops.Pointwise("add"), (TensorType(shape, "float32"),) * 2)
    a, b = case.integers()
    kept = tuple(data.draw(st.booleans()) for _ in shape)
    b = b[tuple(slice(None) if keep else slice(0, 1) for keep in kept)]
    from rot180.lower import Operand, elementwise

    operands = [
        Operand(
            TensorType(x.shape, "float32"), tuple(s // x.itemsize for s in x.strides)
        )
        for x in (a, np.ascontiguousarray(b))
    ]
    out = Operand.dense(TensorType(shape, "float32"))
    formula = elementwise("add", ("add",), tuple(operands), out)
    inner = math.prod(e for e in formula.out.shape if e is not None)
    result = interpreted(
        formula, math.prod(shape) // inner, np.full(shape, math.nan), a, b
    )
    np.testing.assert_array_equal(np.reshape(result, shape), a + b)


def test_functions_apply_one_after_another() -> None:
    x = Buffer("x", "float32", (None,), (1,))
    y = Buffer("y", "float32", (None,), (1,))
    formula = Pointwise.chain("p", y, (x,), ("neg", "relu", "square"))
    values = np.array([-3.0, 2.0, -1.0])
    assert interpreted(formula, 3, np.zeros(3), values) == [9.0, 0.0, 1.0]


def test_no_function_is_a_copy() -> None:
    x = Buffer("x", "int64", (None, 3), (3, -1), offset=2)
    y = Buffer("y", "int64", (None, 3), (3, 1))
    values = np.arange(6)
    copied = interpreted(Pointwise.chain("flip", y, (x,), ()), 2, np.zeros(6), values)
    assert copied == [2, 1, 0, 5, 4, 3]


def test_items_are_blocks_of_a_line_or_rows() -> None:
    line = Buffer("y", "float32", (None,), (1,))
    (item,) = schedules.pointwise(Pointwise.chain("p", line, (line,), ()), TINY).body
    assert isinstance(item, Loop)
    assert item.items == Count(1, 32)
    rows = Buffer("y", "float32", (None, 5), (5, 1))
    (item,) = schedules.pointwise(Pointwise.chain("p", rows, (rows,), ()), TINY).body
    assert isinstance(item, Loop)
    assert item.items == Count(1)


@pytest.mark.parametrize("rows", [0, 1, 2, 5])
@pytest.mark.parametrize("width", [1, 3, 4])
@pytest.mark.parametrize("fn", ["sum", "max", "log_softmax"])
def test_functions_of_rows(fn: str, rows: int, width: int) -> None:
    x = np.random.default_rng(0).integers(-3, 4, (rows, width)).astype(float)
    source = Buffer("x", "float64", (None, width), (width, 1))
    out = source if fn == "log_softmax" else Buffer("y", "float64", (None,), (1,))
    out = Buffer("y", "float64", out.shape, out.strides)
    start = np.full(x.shape if fn == "log_softmax" else (rows,), math.nan)
    found = np.reshape(
        interpreted(RowWise(fn, out, source, fn), rows, start, x), start.shape
    )
    if fn == "sum":
        np.testing.assert_array_equal(found, x.sum(1))
    elif fn == "max":
        np.testing.assert_array_equal(found, x.max(1))
    else:
        shifted = x - x.max(1, initial=-math.inf)[:, None]
        want = shifted - np.log(np.exp(shifted).sum(1))[:, None]
        np.testing.assert_allclose(found, want, rtol=1e-14)


def test_a_row_is_summed_in_its_own_lane() -> None:
    """No order of summation depends on the vector's width."""
    source = Buffer("x", "float32", (None, 4), (4, 1))
    out = Buffer("y", "float32", (None,), (1,))
    program = schedules.row_wise(RowWise("p", out, source, "sum"), TINY)
    (held,) = [s for s in walk(program.body) if isinstance(s, Alloc)]
    assert held.buffer.space == "register"
    assert held.buffer.shape == (2,)
