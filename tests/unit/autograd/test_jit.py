"""Traces are made once for each kind of argument, and run from then on."""

import itertools
import sys
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, jit, ops, value_and_grad
from rot180.autograd import tree_flatten
from rot180.autograd._graph import Graph
from rot180.autograd._program import prepare
from rot180.autograd._tensor import Tensor
from rot180.errors import ArgumentError, DataError, DTypeError
from rot180.ops import TensorType

X = np.array([1.0, 2.0, 3.0])


class Counted:
    """A function that counts how often Python runs it."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.calls = 0
        self.__name__ = "counted"

    def __call__(self, *args: Any, **named: Any) -> Any:
        self.calls += 1
        return self.function(*args, **named)


def test_a_trace_is_reused_for_the_same_shapes_and_dtypes() -> None:
    counted = Counted(lambda x: x + x)
    double = rot180.jit(counted)
    assert (double(X) == 2 * X).all()
    assert (double(X + 1) == 2 * X + 2).all()
    assert counted.calls == 1
    double(X[:2])
    double(X.astype(np.float32))
    assert counted.calls == 3


def test_one_trace_takes_arrays_however_they_lie() -> None:
    w = np.arange(9.0).reshape(1, 1, 3, 3)
    sliding = rot180.jit(lambda x: functional.relu(functional.conv(x, w)) + 1.0)
    x = np.random.default_rng(0).standard_normal((2, 1, 6, 6))
    kinds = [x, x.transpose(0, 1, 3, 2), x[::-1], x.astype(">f8"), x[:, :, ::-1, ::2]]
    for _ in range(3):
        for kind in kinds:
            wanted = rot180.relu(rot180.conv(kind, w)) + 1
            np.testing.assert_array_equal(sliding(kind), wanted)
        with rot180.runtime.force_schedule(1):
            np.testing.assert_array_equal(
                sliding(x), rot180.relu(rot180.conv(x, w)) + 1
            )


def test_python_numbers_are_part_of_the_key_and_numpy_scalars_are_not() -> None:
    counted = Counted(lambda x, n: x * n)
    scaled = rot180.jit(counted)
    assert (scaled(X, 2) == 2 * X).all()
    assert (scaled(X, 3) == 3 * X).all()
    assert counted.calls == 2
    for factor in (2.0, 3.0, 4.0):
        assert (scaled(X, np.float64(factor)) == factor * X).all()
    assert counted.calls == 3


def test_one_and_true_are_different_constants() -> None:
    named = rot180.jit(lambda x, n: {"x": x, "n": n})
    assert named(X, 1)["n"] is not True
    assert named(X, True)["n"] is True


def test_results_keep_their_structure_and_constants() -> None:
    result = rot180.jit(lambda x: {"sum": [x.sum()], "none": None, "text": "t"})(X)
    assert result == {"sum": [6.0], "none": None, "text": "t"}


def test_jit_of_grad_and_grad_of_jit() -> None:
    cube = rot180.jit(lambda x: (x * x * x).sum())
    assert (rot180.grad(cube)(X) == 3 * X**2).all()
    assert (rot180.jit(rot180.grad(cube))(X) == 3 * X**2).all()


def test_a_jit_that_takes_a_tensor_from_an_outer_trace_is_not_kept() -> None:
    counted = Counted(lambda x: 0)

    def outer(x: Any) -> Any:
        counted.function = lambda y: (x * y).sum()
        return inner(X)

    inner = rot180.jit(counted)
    assert (rot180.grad(outer)(X) == X).all()
    assert (rot180.grad(outer)(X + 1) == X).all()
    assert counted.calls == 2


def test_an_argument_that_is_neither_array_nor_hashable_is_refused() -> None:
    with pytest.raises(ArgumentError, match="of type set is neither"):
        rot180.jit(lambda x, s: x)(X, {1})


def test_an_empty_result_and_an_argument_passed_through() -> None:
    assert rot180.jit(lambda x: None)(X) is None
    assert (rot180.jit(lambda x: x)(X) == X).all()


def test_zero_and_minus_zero_are_different_constants() -> None:
    divided = rot180.jit(lambda x, n: x / n)
    assert (divided(X, 0.0) == np.inf).all()
    assert (divided(X, -0.0) == -np.inf).all()
    both = rot180.jit(lambda x: (x / 0.0, x / -0.0))(X)
    assert (both[0] == np.inf).all()
    assert (both[1] == -np.inf).all()


class Box:
    """Something that converts to an array and may change."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.values


class Capsule:
    """Something that hands out an array by DLPack only."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **named: Any) -> Any:
        return self.values.__dlpack__(**named)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


@pytest.mark.parametrize("kind", [Box, Capsule])
def test_what_converts_to_an_array_is_traced_and_no_constant(kind: Any) -> None:
    counted = Counted(lambda x: x + x)
    double = rot180.jit(counted)
    box = kind(X)
    assert (double(box) == 2 * X).all()
    box.values = 3 * X
    assert (double(box) == 6 * X).all()
    assert counted.calls == 1


K = np.ones(3)
SHARING = {
    "the argument": lambda x: x,
    "a view of the argument": lambda x: x.reshape(3, 1),
    "a view of a view": lambda x: x.reshape(3, 1).reshape(1, 3),
    "transposed": lambda x: x.reshape(1, 3).transpose(),
    "stopped": lambda x: ops.apply(ops.StopGradient(), x),
    "twice": lambda x: (x + x, x + x),
    "twice, once as a view": lambda x: (x + x, (x + x).reshape(3, 1)),
    "a constant": lambda x: K,
    "a view of a constant": lambda x: (x * 0.0, x.full(3.0).reshape(1, 3)),
    "gradients": rot180.grad(lambda x: (x + x).reshape(3, 1).sum()),
}


@pytest.mark.parametrize("function", SHARING.values(), ids=SHARING.keys())
def test_results_are_arrays_of_their_own(function: Any) -> None:
    compiled = rot180.jit(function)
    results, again = (tree_flatten(compiled(X))[0] for _ in range(2))
    arrays = [*results, *again, X, K]
    for one, other in itertools.combinations(arrays, 2):
        assert not np.shares_memory(one, other)
    for result, repeated in zip(results, again, strict=True):
        before = repeated.copy()
        result[:] = 9  # writable, and no trace remembers it
        assert (repeated == before).all()
    for result, repeated in zip(tree_flatten(compiled(X))[0], again, strict=True):
        assert (result == repeated).all()


def test_only_results_that_share_memory_are_copied() -> None:
    graph, x = _graph()
    y = x + x
    results = [y.number, x.number, y.reshape(3, 1).number, (y * y).number]
    assert prepare(graph, [x.number], results).copied == (1, 2)


def _graph() -> tuple[Graph, Tensor]:
    graph = Graph()
    return graph, Tensor(graph, graph.new_input(TensorType((3,), "float64")))


def test_equal_steps_are_recorded_once() -> None:
    graph, x = _graph()
    assert (x * x).number == (x * x).number
    assert len(graph.nodes) == 1


def test_what_no_result_needs_is_not_run() -> None:
    graph, x = _graph()
    wanted, _ = x + x, x * x
    assert len(prepare(graph, [x.number], [wanted.number]).steps) == 1


def test_what_lies_outside_the_arena_is_dropped_after_its_last_use() -> None:
    graph, x = _graph()
    turned = x[::-1]
    y = turned.sum(0) * turned
    program = prepare(graph, [x.number], [y.number])
    assert [p.number for p in program.memory.places] == [2]
    assert [set(step.dead) for step in program.steps] == [{0}, set(), {1}]


def test_numbers_that_no_argument_changes_are_computed_once() -> None:
    graph, x = _graph()
    y = x * 2.0
    program = prepare(graph, [x.number], [y.number])
    assert len(program.steps) == 1
    assert (program(X)[0] == 2 * X).all()


@pytest.mark.parametrize(
    "function", [functional.cross_entropy, functional.correct], ids=["loss", "hits"]
)
def test_labels_are_looked_at_whenever_the_function_runs(function: Any) -> None:
    logits = np.eye(3, dtype="f4")
    traced = jit(function)
    good = np.array([0, 1, 2])
    assert traced(logits, good) == function(logits, good)
    for wrong in (3, -1):
        labels = np.array([0, wrong, 2])
        for run in (traced, function):
            with pytest.raises(DataError, match=rf"labels: label {wrong} is out of ra"):
                run(logits, labels)
    gradient = jit(value_and_grad(lambda z, y: functional.cross_entropy(z, y)))
    with pytest.raises(DataError, match="cross_entropy: labels: label 7"):
        gradient(logits, np.array([0, 7, 2]))


def test_an_argument_that_cannot_be_traced_is_named() -> None:
    with pytest.raises(DTypeError, match="argument x: dtype uint8 is not supported"):
        jit(lambda x: x + x)(np.zeros(3, "u1"))
    with pytest.raises(DTypeError, match=r"argument rows\['a'\]\[1\]: dtype float16"):
        jit(lambda x, rows: x)(1.0, {"a": [np.ones(2), np.ones(2, "f2")]})
    with pytest.raises(DTypeError, match="argument text: dtype str32 is not supp"):
        jit(lambda *, text: text)(text=np.array(["a"]))


def _python_calls(leaves: int) -> int:
    """Python functions called by a warm call on some leaves, each a step of its own."""
    step = rot180.jit(lambda xs: [x * 0.5 for x in xs])
    xs = [np.ones(n + 2, "float32") for n in range(leaves)]
    step(xs)
    seen: list[str] = []
    sys.setprofile(lambda frame, event, _: seen.append(event))
    try:
        step(xs)
    finally:
        sys.setprofile(None)
    return seen.count("call")


def test_a_warm_call_does_little_in_python_for_a_leaf_and_its_step() -> None:
    assert (_python_calls(40) - _python_calls(20)) / 20 <= 6
