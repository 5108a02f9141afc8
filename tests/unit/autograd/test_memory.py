"""Temporaries share one arena; what a caller holds is never written again."""

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional as F
from rot180.autograd import _memory
from rot180.autograd._graph import Node
from rot180.autograd._memory import ALIGNMENT, plan
from rot180.errors import DataError
from rot180.ops import Flip, Pointwise, Reshape, TensorType

X = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32")
W = np.random.default_rng(1).standard_normal((3, 3, 3, 3)).astype("float32")


def network(x: Any) -> Any:
    y = F.conv(x, W, padding=1)
    z = F.conv(F.relu(y), W, padding=1)
    return y, F.conv(F.relu(z + x), W, padding=1), F.flatten(z)


def test_results_are_never_overwritten_by_later_calls() -> None:
    jitted = rot180.jit(network)
    first = jitted(X)
    before = [y.copy() for y in first]
    jitted(X * 2)
    rot180.jit(lambda x: network(x)[1])(X * 3)
    for kept, now in zip(before, first, strict=True):
        np.testing.assert_array_equal(kept, now)


def test_results_lie_row_by_row() -> None:
    assert all(y.flags.c_contiguous for y in rot180.jit(network)(X))


def test_threads_may_call_one_function_at_once() -> None:
    jitted = rot180.jit(network)
    inputs = [X * (n + 1) for n in range(4)]
    wanted = [jitted(x) for x in inputs]
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(20):
            found = jitted(inputs[number])
            if any((a != b).any() for a, b in zip(found, wanted[number], strict=True)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_input_that_comes_out_again_is_a_copy() -> None:
    same, y = rot180.jit(lambda x: (x, F.relu(F.conv(x, W))))(X)
    assert (same == X).all()
    assert not np.shares_memory(same, X)
    assert not np.shares_memory(same, y)


def test_a_run_that_fails_leaves_its_memory_to_the_next() -> None:
    def scores(x: Any, labels: Any) -> Any:
        y = F.mean(F.conv(x, W), axis=(2, 3))
        return F.cross_entropy(y * 2.0, labels)

    jitted = rot180.jit(scores)
    right = jitted(X, np.array([0, 1]))
    arenas = set(map(id, _memory._free))
    with pytest.raises(DataError, match="label 9"):
        jitted(X, np.array([0, 9]))
    assert set(map(id, _memory._free)) == arenas
    assert jitted(X, np.array([0, 1])) == right


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No arenas of functions that other tests have left."""
    monkeypatch.setattr(_memory, "_free", weakref.WeakSet())


@pytest.mark.usefixtures("alone")
def test_the_memory_goes_with_the_function() -> None:
    jitted = rot180.jit(network)
    jitted(X)
    arenas = [weakref.ref(arena) for arena in _memory._free]
    assert arenas
    del jitted
    gc.collect()
    assert len(_memory._free) < len(arenas) or not _memory._free


SIZE = 40 * 4
ROUNDED = -(-SIZE // ALIGNMENT) * ALIGNMENT
VALUE = TensorType((40,), "float32")


def _chain(length: int) -> list[Node]:
    return [Node(Pointwise("relu"), (n,), (n + 1,)) for n in range(length)]


def test_a_chain_of_formulas_needs_one_place() -> None:
    found = plan(_chain(9), [VALUE] * 10, {}, {9})
    assert found.size == ROUNDED
    assert {p.number for p in found.places} == {*range(1, 9)}


def test_a_chain_of_other_ops_needs_two_places() -> None:
    nodes = [Node(Flip((0,)), (n,), (n + 1,)) for n in range(9)]
    assert plan(nodes, [VALUE] * 10, {}, {9}).size == 2 * ROUNDED


def test_a_formula_does_not_write_over_what_is_read_or_lies_otherwise() -> None:
    square = TensorType((8, 8), "float32")
    nodes = [
        Node(Flip((0,)), (0,), (1,)),
        Node(Pointwise("relu"), (1,), (2,)),  # 1 is read again
        Node(Pointwise("add"), (1, 2), (3,)),  # 1 lies otherwise, 2 may go
        Node(Pointwise("mul"), (3, 3), (4,)),  # read twice, perhaps along other axes
    ]
    found = plan(nodes, [square] * 5, {1: (1, 0)}, set())
    offsets = {p.number: p.offset for p in found.places}
    assert offsets[2] != offsets[1] != offsets[3]
    assert offsets[3] == offsets[2]
    assert offsets[4] != offsets[3]


def test_values_that_live_together_do_not_overlap() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        types = [TensorType((int(n),), "float32") for n in rng.integers(1, 99, 30)]
        nodes = [
            Node(Flip((0,)), tuple(int(i) for i in rng.integers(0, n, 2)), (n,))
            for n in range(1, 30)
        ]
        found = plan(nodes, types, {}, set())
        last = {i: k for k, node in enumerate(nodes) for i in node.outputs}
        last |= {i: k for k, node in enumerate(nodes) for i in node.inputs}
        spans = [
            (p.offset, p.offset + 4 * p.type.shape[0], p.number - 1, last[p.number])
            for p in found.places
        ]
        for n, (low, high, born, dead) in enumerate(spans):
            assert high <= found.size
            for low2, high2, born2, dead2 in spans[:n]:
                apart = high <= low2 or high2 <= low
                assert apart or dead < born2 or dead2 < born


def test_a_value_lives_as_long_as_a_view_of_it() -> None:
    nodes = [
        Node(Pointwise("relu"), (0,), (1,)),
        Node(Reshape((8, 5)), (1,), (2,)),
        Node(Pointwise("relu"), (0,), (3,)),
        Node(Pointwise("relu"), (2,), (4,)),
    ]
    types = [VALUE, VALUE, TensorType((8, 5), "float32"), VALUE, VALUE]
    found = plan(nodes, types, {}, {4})
    offsets = {p.number: p.offset for p in found.places}
    assert offsets[1] != offsets[3]


BIG = np.ones((256, 256), "float32")


def _pointer(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def test_steps_go_back_and_forth_between_two_sets_of_arrays() -> None:
    step = rot180.jit(lambda p: p * 2.0 + 1.0)
    p, places = BIG, set()
    for _ in range(9):
        p = step(p)
        places.add(_pointer(p))
    assert len(places) == 2
    assert (p == 2.0**10 - 1).all()


@pytest.mark.parametrize("holding", [lambda y: y, lambda y: y[3:5], memoryview])
def test_a_result_that_anything_holds_is_left_alone(holding: Any) -> None:
    step = rot180.jit(lambda p: p + 1.0)
    held = [holding(step(BIG * n)) for n in range(5)]
    for n, array in enumerate(held):
        assert (np.asarray(array) == n + 1).all()


def test_a_result_given_back_as_an_operand_is_not_written_to() -> None:
    step = rot180.jit(lambda p, q: (p + q, q * 2.0))
    p, q = BIG, BIG
    for _ in range(6):
        wanted = p + q, q * 2
        p, q = step(p, q)
        assert (p == wanted[0]).all()
        assert (q == wanted[1]).all()


def test_a_formula_does_not_write_over_what_it_reads_through_a_view() -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, 5, 5)).astype("float32")

    def turned(x: Any) -> Any:
        y = F.conv(x, W)  # lies channels last, so that the next is a view of it
        return F.conv(F.relu(y + y.transpose(0, 2, 3, 1)) * 2.0, W, padding=1)

    y = rot180.conv(x, W)
    wanted = rot180.conv(2 * rot180.relu(y + y.transpose(0, 2, 3, 1)), W, padding=1)
    np.testing.assert_array_equal(rot180.jit(turned)(x), wanted)


@pytest.mark.usefixtures("alone")
def test_functions_share_their_memory() -> None:
    large, small = rot180.jit(network), rot180.jit(lambda x: network(x[:1])[1])
    before = len(_memory._free)
    for _ in range(3):
        large(X)
        small(X)
    assert len(_memory._free) == before + 1


def test_what_keeps_nothing_needs_no_arena() -> None:
    before = set(map(id, _memory._free))
    jitted = rot180.jit(lambda x: F.relu(x * 2.0))
    jitted(X)
    assert set(map(id, _memory._free)) == before
