"""The interpreter and the reference agree at every stage, before anything compiles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from programs import CASES, TINY, Case, small_sums

from rot180 import schedules
from rot180.codegen import _scalar as scalar
from rot180.errors import InternalError
from rot180.program import (
    Access,
    Affine,
    Buffer,
    Load,
    Number,
    Program,
    index,
    interpret,
)
from rot180.program import _interpret as interpreter
from rot180.program._nodes import Alloc, Apply, Loop, Store


@pytest.mark.parametrize("name", CASES)
def test_the_plain_program_means_what_the_reference_says(name: str) -> None:
    case = CASES[name]
    arrays = case.integers()
    found = case.interpret_plain(case.plain, arrays)
    for got, want in zip(found, case.expected(*arrays), strict=True):
        assert (got == want).all()


@pytest.mark.parametrize("name", CASES)
def test_every_schedule_means_what_the_reference_says(name: str) -> None:
    case = CASES[name]
    arrays = case.integers()
    wanted = case.expected(*arrays)
    for tile in schedules.candidates(case.plain, TINY):
        program = schedules.schedule(case.plain, tile, TINY)
        found = case.interpret(program, arrays)
        for got, want in zip(found, wanted, strict=True):
            assert (got == want).all(), tile


@settings(max_examples=40)
@given(case=small_sums())
def test_random_sums_at_both_stages(case: Case) -> None:
    arrays = case.integers()
    wanted = case.expected(*arrays)
    plain = case.interpret_plain(case.plain, arrays)
    tile = schedules.candidates(case.plain, TINY)[-1]
    scheduled = case.interpret(schedules.schedule(case.plain, tile, TINY), arrays)
    for found in (plain, scheduled):
        for got, want in zip(found, wanted, strict=True):
            assert (got == want).all()


X = Buffer("x", "float64", (3,), (1,))
Y = Buffer("y", "float64", (3,), (1,))


def run(*body: object, x: tuple[float, ...] = (1.0, 2.0, 3.0)) -> list[float]:
    memory = {"x": list(x), "y": [0.0] * 3}
    interpret(Program("p", (Y, X), body), memory, 1)  # type: ignore[arg-type]
    return memory["y"]


def test_an_access_that_leaves_where_it_promised_not_to_is_our_bug() -> None:
    shifted = Access(X, (index("i") + 1,))
    store = Store((Access(Y, (index("i"),)),), (Load(shifted),))
    with pytest.raises(InternalError, match=r"x\[i \+ 1\] leaves axis 0"):
        run(Loop("i", 3, (store,)))


def test_outside_a_checked_load_reads_its_value_and_a_checked_store_does_nothing() -> (
    None
):
    load = Access(X, (index("i") + 1,), (0,), outside=-9.0)
    store = Store((Access(Y, (index("i") + -1,), (0,)),), (Load(load),))
    assert run(Loop("i", 4, (store,))) == [3.0, -9.0, -9.0]


def test_scratch_and_registers_start_unwritten() -> None:
    for space in ("scratch", "register"):
        held = Buffer("held", "float64", (1,), (1,), space)  # type: ignore[arg-type]
        read = Load(Access(held, (Affine(),)))
        store = Store((Access(Y, (Affine(),)),), (read,))
        assert math.isnan(run(Alloc(held, (store,)))[0])


def test_scratch_inside_scratch_of_one_name_leaves_it_as_it_was() -> None:
    held = Buffer("held", "float64", (1,), (1,), "scratch")
    place = Access(held, (Affine(),))
    five, seven = (Store((place,), (Number(n, "float64"),)) for n in (5.0, 7.0))
    read = Store((Access(Y, (Affine(),)),), (Load(place),))
    assert run(Alloc(held, (five, Alloc(held, (seven,)), read)))[0] == 5


@pytest.mark.parametrize(
    ("fn", "arguments", "result"),
    [
        ("div", (1.0, 2.0), 0.5),
        ("sqrt", (9.0,), 3.0),
        ("sign", (-2.0,), -1),
        ("relu", (-2.0,), 0.0),
        ("relu_grad", (5.0, 0.0), 0.0),
        ("where", (1.0, 3.0, 4.0), 3.0),
        ("greater", (2.0, 1.0), 1.0),
        ("maximum", (1.0, 2.0), 2.0),
        ("square", (-3.0,), 9.0),
        ("exp", (0.0,), 1.0),
        ("exp", (1000.0,), math.inf),
        ("log", (0.0,), -math.inf),
        ("cast_int32", (2.0,), 2),
        ("div", (1.0, 0.0), math.nan),
        ("sqrt", (0.0,), 0.0),
        ("sqrt", (0.25,), 0.5),
        ("sqrt", (-1.0,), math.nan),
        ("sign", (0.5,), 1),
        ("sign", (0.0,), 0),
        ("relu", (0.5,), 0.5),
        ("relu", (math.nan,), math.nan),
        ("relu_grad", (5.0, 0.5), 5.0),
        ("relu_grad", (5.0, -1.0), 0.0),
        ("where", (0.0, 3.0, 4.0), 4.0),
        ("greater", (2.0, 2.0), 0.0),
        ("equal", (2.0, 2.0), 1.0),
        ("equal", (2.0, 3.0), 0.0),
        ("maximum", (2.0, 1.0), 2.0),
        ("maximum", (math.nan, 1.0), math.nan),
        ("exp", (708.5,), math.exp(708.5)),
        ("log", (0.5,), math.log(0.5)),
        ("log", (-1.0,), math.nan),
    ],
)
def test_scalar_functions(fn: str, arguments: tuple[float, ...], result: float) -> None:
    values = tuple(Number(a, "float64") for a in arguments)
    store = Store((Access(Y, (Affine(),)),), (Apply(fn, values),))
    assert np.array_equal(run(store)[0], result, equal_nan=True)


def test_every_function_that_is_emitted_is_interpreted() -> None:
    inside_only = {"fma", "max"}  # written by emission itself, in no program
    emitted = set(scalar._FUNCTIONS) - inside_only
    assert emitted <= set(interpreter._SCALAR)


def test_a_maximum_keeps_the_first_of_equals_and_the_last_nan() -> None:
    combine = interpreter._combine
    assert combine("argmax", [1.0, 0], [1.0, 1]) == [1.0, 0]
    assert combine("argmax", [1.0, 0], [2.0, 1]) == [2.0, 1]
    last = combine("argmax", [math.nan, 0], [math.nan, 1])
    assert np.isnan(last[0])
    assert last[1] == 1
    assert combine("argmax", [math.nan, 0], [5.0, 1])[1] == 0
    assert combine("argmax", [1.0, 0], [math.nan, 4])[1] == 4
