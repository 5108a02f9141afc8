"""The program's values: sums of indices, buffers, and walks over the tree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.program import Access, Affine, Apply, Buffer, Load, Number, Position
from rot180.program import index as symbol
from rot180.program._callspec import Count
from rot180.program._nodes import (
    Alloc,
    Carry,
    Drain,
    Loop,
    Program,
    Reduction,
    Statement,
    Store,
    bodies,
    constant,
    dense,
    loads,
    map_bodies,
    map_expression,
    show,
    show_expression,
    substitute,
    walk,
)

NAMES = ("a", "b", "c")
affines = st.builds(
    Affine.of,
    st.dictionaries(st.sampled_from(NAMES), st.integers(-3, 3)),
    st.integers(-5, 5),
)
ENV = {"a": 2, "b": -3, "c": 5}


@given(x=affines, y=affines, factor=st.integers(-3, 3))
def test_sums_evaluate_as_numbers_do(x: Affine, y: Affine, factor: int) -> None:
    assert (x + y).evaluate(ENV) == x.evaluate(ENV) + y.evaluate(ENV)
    assert (x * factor).evaluate(ENV) == x.evaluate(ENV) * factor
    assert (x + 7).evaluate(ENV) == x.evaluate(ENV) + 7
    assert x + y == y + x


@given(x=affines, y=affines)
def test_substitution_is_evaluation_in_two_steps(x: Affine, y: Affine) -> None:
    inner = ENV | {"b": y.evaluate(ENV)}
    assert x.substitute({"b": y}).evaluate(ENV) == x.evaluate(inner)


def test_equal_sums_are_equal_values() -> None:
    x = symbol("b") + symbol("a") * 2 + symbol("c") * 0
    assert x == Affine((("a", 2), ("b", 1)))
    assert x.symbols() == {"a", "b"}
    assert (x.coefficient("a"), x.coefficient("z")) == (2, 0)
    assert str(x + -1) == "2*a + b - 1"
    assert str(constant(0)) == "0"


def test_a_dense_buffer_is_row_major() -> None:
    buffer = dense("s", "float32", (2, 3, 4), "scratch")
    assert buffer.strides == (12, 4, 1)
    assert buffer.elements() == 24
    padded = dense("s", "float32", (2, 3, 4), "scratch", pad=2)
    assert padded.strides == (18, 6, 1)
    assert padded.elements() == 1 + 18 + 12 + 3


def test_an_address_counts_strides_and_the_offset() -> None:
    buffer = Buffer("x", "float32", (2, 3), (3, -1), offset=2)
    access = Access(buffer, (symbol("i"), symbol("j") + 1))
    assert access.address() == Affine.of({"i": 3, "j": -1}, 1)
    moved = access.map_axes(lambda axis: axis + 1)
    assert moved.axes == (symbol("i") + 1, symbol("j") + 2)


X = Buffer("x", "float32", (4,), (1,))
LOAD = Load(Access(X, (symbol("i"),)))
STORE = Store((Access(X, (symbol("i"),)),), (LOAD,))
TREE: tuple[Statement, ...] = (
    Loop("i", 4, (STORE,), limit=symbol("k")),
    Alloc(X, (Carry("i", "level", (STORE,), (STORE, STORE)),)),
    Drain(symbol("k"), "level", (STORE,)),
)


def test_walking_meets_every_statement() -> None:
    kinds = [type(s).__name__ for s in walk(TREE)]
    assert kinds == [
        "Loop", "Store", "Alloc", "Carry", "Store", "Store", "Store", "Drain", "Store",
    ]  # fmt: skip
    assert [len(bodies(s)) for s in walk(TREE)] == [1, 0, 1, 2, 0, 0, 0, 1, 0]


def test_mapping_bodies_changes_each_of_them() -> None:
    for statement in TREE:
        emptied = map_bodies(statement, lambda body: ())
        assert all(body == () for body in bodies(emptied))
    assert map_bodies(STORE, lambda body: ()) == STORE


def test_substitution_reaches_everything() -> None:
    changed = substitute(TREE, {"i": symbol("j") + 1, "k": constant(3)})
    loop, _, drain = changed
    assert isinstance(loop, Loop)
    assert isinstance(drain, Drain)
    assert loop.limit == constant(3)
    assert drain.count == constant(3)
    stores = [s for s in walk(changed) if isinstance(s, Store)]
    place = Access(X, (symbol("j") + 1,))
    assert {s.targets for s in stores} == {(place,)}
    assert {s.values for s in stores} == {(Load(place),)}


def test_expressions() -> None:
    value = Apply("add", (LOAD, Apply("mul", (Number(2.0, "float32"), LOAD))))
    assert list(loads(value)) == [LOAD.access, LOAD.access]
    twos = map_expression(value, lambda access: Number(2.0, "float32"))
    assert show_expression(twos) == "add(2.0, mul(2.0, 2.0))"
    where = Apply("equal", (Position(symbol("i") + 1), LOAD))
    assert show_expression(where) == "equal((i + 1), x[i])"


def test_every_statement_is_shown() -> None:
    reduction = Reduction("add", (0.0,), ("i",))
    program = Program("p", (X,), (*TREE, Store(STORE.targets, (LOAD,), reduction)))
    assert show(program).splitlines() == [
        "for i in 4 (at most k):",
        "    x[i] = x[i]",
        "with argument x[4]:",
        "    carry level of i:",
        "        x[i] = x[i]",
        "        x[i] = x[i]",
        "        x[i] = x[i]",
        "drain level of k:",
        "    x[i] = x[i]",
        "x[i] add= x[i]",
    ]


@pytest.mark.parametrize(("n", "number"), [(0, 5), (1, 8), (4, 8), (5, 11)])
def test_a_count_rounds_groups_up(n: int, number: int) -> None:
    assert Count(3, 4, 5).at(n) == number
