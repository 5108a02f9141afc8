"""Arrays as they come: however they lie in memory, the answer is the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional

Array = np.ndarray[Any, Any]
Lie = Callable[[Array], Array]


def strided(array: Array) -> Array:
    """Every second element of a larger array."""
    larger = np.full([2 * n for n in array.shape], 99, array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def reversed_(array: Array) -> Array:
    """Walks through its memory backwards along every axis."""
    turn = tuple(slice(None, None, -1) for _ in array.shape)
    return array[turn].copy()[turn]


def inside(array: Array) -> Array:
    """A part of a larger array: rows lie apart."""
    larger = np.full([n + 3 for n in array.shape], 99, array.dtype)
    view = larger[tuple(slice(1, 1 + n) for n in array.shape)]
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def byte_swapped(array: Array) -> Array:
    return array.astype(array.dtype.newbyteorder())


def misaligned(array: Array) -> Array:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def packed(array: Array) -> Array:
    """A field of records: strides are no multiples of the element."""
    kind = np.dtype([("flag", "u1"), ("value", array.dtype)])
    records = np.zeros(array.shape, kind)
    records["value"] = array
    return records["value"]


def other_layout(array: Array) -> Array:
    """Second axis last in memory: channels first over channels last."""
    if array.ndim < 2:
        return array
    return np.moveaxis(np.moveaxis(array, 1, -1).copy(), -1, 1)


def transposed(array: Array) -> Array:
    return array.T.copy().T


def subclass(array: Array) -> Array:
    class Named(np.ndarray):  # type: ignore[type-arg]
        pass

    return array.view(Named)


LIES: dict[str, Lie] = {
    "Fortran order": np.asfortranarray,
    "byte-swapped": byte_swapped,
    "channels-first view of channels-last memory": other_layout,
    "fields of records": packed,
    "inside a larger array": inside,
    "list": lambda array: array.tolist(),
    "misaligned": misaligned,
    "negative strides": reversed_,
    "read-only": read_only,
    "subclass": subclass,
    "transposed memory": transposed,
    "wide strides": strided,
}

RNG = np.random.default_rng(0)


def whole(*shape: int) -> Array:
    # float64, so that lists, which become float64, give the same.
    return RNG.integers(-4, 5, shape).astype(np.float64)


X, W, B, DY = whole(3, 4, 7, 6), whole(5, 4, 3, 3), whole(5), whole(3, 5, 5, 4)
POOLED, DOWN = whole(3, 4, 3, 3), whole(4, 5, 3, 3)
INDEX = rot180.max_pool(X, 2, return_indices=True)[1]
LABELS = np.array([0, 2, 1])

FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Array, ...]]] = {
    "conv": (rot180.conv, (X, W, B)),
    "conv, one image": (rot180.conv, (X[0], W, B)),
    "conv, stride and padding": (
        lambda x, w: rot180.conv(x, w, stride=2, padding=((1, 2), (0, 1)), flip=True),
        (X, W),
    ),
    "conv, channels last": (
        lambda x, w: rot180.conv(x, w, layout="channels_last"),
        (whole(2, 6, 7, 4), whole(3, 2, 4, 20)),
    ),
    "conv, depthwise": (lambda x, w: rot180.conv(x, w, groups=4), (X, W[:4, :1])),
    "conv_input_grad": (lambda dy, w: rot180.conv_input_grad(dy, w, X.shape), (DY, W)),
    "conv_weight_grad": (
        lambda dy, x: rot180.conv_weight_grad(dy, x, W.shape),
        (DY, X),
    ),
    "conv_backward": (rot180.conv_backward, (DY, X, W)),
    "conv_transpose": (rot180.conv_transpose, (X, DOWN, B)),
    "max_pool": (lambda x: rot180.max_pool(x, 2, return_indices=True), (X,)),
    "max_pool, one image": (lambda x: rot180.max_pool(x, (2, 2)), (X[0],)),
    "max_pool_backward": (
        lambda dy, x: rot180.max_pool_backward(dy, x, 2),
        (POOLED, X),
    ),
    "avg_pool": (lambda x: rot180.avg_pool(x, 2), (X,)),
    "avg_pool_backward": (
        lambda dy: rot180.avg_pool_backward(dy, X.shape, 2),
        (POOLED,),
    ),
    "relu": (rot180.relu, (X,)),
    "relu_backward": (rot180.relu_backward, (POOLED, POOLED[::-1])),
    "rot180": (rot180.rot180, (W,)),
    "linear": (functional.linear, (whole(3, 6), whole(4, 6), whole(4))),
    "log_softmax": (functional.log_softmax, (whole(3, 7),)),
    "batch_norm": (functional.batch_norm, (X, whole(4), whole(4))),
    "add": (functional.add, (X, W[:3, :1, :1, :1])),
    "total": (lambda x: functional.total(x, (0, 2)), (X,)),
}


def results(value: Any) -> tuple[Array, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_answer_does_not_depend_on_how_arrays_lie(name: str, lie: str) -> None:
    function, operands = FUNCTIONS[name]
    expected = results(function(*operands))
    for chosen in (*range(len(operands)), None):
        given = [
            LIES[lie](v) if chosen is None or i == chosen else v
            for i, v in enumerate(operands)
        ]
        for _ in range(2):  # the second call may take the short way
            found = results(function(*given))
            for got, want in zip(found, expected, strict=True):
                assert type(got) is np.ndarray
                assert got.dtype == want.dtype
                assert got.dtype.isnative
                assert got.shape == want.shape
                assert (got == want).all()
        expected_again = results(function(*operands))
        assert all(map(np.array_equal, expected_again, expected))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_new_contiguous_arrays(name: str) -> None:
    function, operands = FUNCTIONS[name]
    before = [operand.copy() for operand in operands]
    first, second = results(function(*operands)), results(function(*operands))
    for got, again in zip(first, second, strict=True):
        assert got.flags.c_contiguous
        assert got.flags.writeable
        assert got.flags.aligned
        assert not np.shares_memory(got, again)
        assert not any(np.shares_memory(got, operand) for operand in operands)
    assert all(map(np.array_equal, operands, before))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operands_may_be_one_array(name: str) -> None:
    """Operands that share memory are only read."""
    function, operands = FUNCTIONS[name]
    if len({operand.shape for operand in operands}) > 1:
        memory = np.concatenate([operand.ravel() for operand in operands])
        size = max(operand.size for operand in operands)
        shared = [memory[:size][: o.size].reshape(o.shape) for o in operands]
    else:
        shared = [operands[0]] * len(operands)
    apart = [operand.copy() for operand in shared]
    for got, want in zip(
        results(function(*shared)), results(function(*apart)), strict=True
    ):
        assert np.array_equal(got, want)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept(dtype: Any) -> None:
    for name, (function, operands) in FUNCTIONS.items():
        found = results(function(*(operand.astype(dtype) for operand in operands)))
        kinds = [array.dtype for array in found]
        expected: list[Any] = [dtype] * len(found)
        if name == "max_pool":
            expected[1] = np.int32
        assert kinds == expected, name


EMPTY: dict[str, tuple[Callable[[], Any], list[tuple[int, ...]], float]] = {
    "conv": (lambda: rot180.conv(X[:0], W, B), [(0, 5, 5, 4)], 0),
    "conv_input_grad": (
        lambda: rot180.conv_input_grad(DY[:0], W, (0, 4, 7, 6)),
        [(0, 4, 7, 6)],
        0,
    ),
    "conv_weight_grad": (
        lambda: rot180.conv_weight_grad(DY[:0], X[:0], W.shape),
        [W.shape],
        0,
    ),
    "conv_backward": (
        lambda: rot180.conv_backward(DY[:0], X[:0], W),
        [(0, 4, 7, 6), W.shape, (5,)],
        0,
    ),
    "conv_transpose": (
        lambda: rot180.conv_transpose(X[:0], DOWN, B),
        [(0, 5, 9, 8)],
        0,
    ),
    "max_pool": (
        lambda: rot180.max_pool(X[:0], 2, return_indices=True),
        [(0, 4, 3, 3)] * 2,
        0,
    ),
    "max_pool_backward": (
        lambda: rot180.max_pool_backward(POOLED[:0], X[:0], 2),
        [(0, 4, 7, 6)],
        0,
    ),
    "avg_pool": (lambda: rot180.avg_pool(X[:0], 2), [(0, 4, 3, 3)], 0),
    "avg_pool_backward": (
        lambda: rot180.avg_pool_backward(POOLED[:0], (0, 4, 7, 6), 2),
        [(0, 4, 7, 6)],
        0,
    ),
    "relu": (lambda: rot180.relu(X[:0]), [(0, 4, 7, 6)], 0),
    "relu_backward": (lambda: rot180.relu_backward(X[:0], X[:0]), [(0, 4, 7, 6)], 0),
    "rot180": (lambda: rot180.rot180(W[:0]), [(0, 4, 3, 3)], 0),
    "no input channels": (lambda: rot180.conv(X[:, :0], W[:, :0]), [(3, 5, 5, 4)], 0),
    "no output channels": (lambda: rot180.conv(X, W[:0]), [(3, 0, 5, 4)], 0),
    "no input channels, backward": (
        lambda: rot180.conv_backward(np.ones_like(DY), X[:, :0], W[:, :0]),
        [(3, 0, 7, 6), (5, 0, 3, 3), (5,)],
        60,
    ),
    "no positions": (
        lambda: rot180.conv(X[:, :, :0], W, padding=((1, 2), 0)),
        [(3, 5, 1, 4)],
        0,
    ),
    "linear": (
        lambda: functional.linear(np.ones((0, 6)), np.ones((4, 6))),
        [(0, 4)],
        0,
    ),
    "log_softmax": (lambda: functional.log_softmax(np.ones((0, 6))), [(0, 6)], 0),
}


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_gives_nothing_or_zeros(name: str) -> None:
    function, shapes, value = EMPTY[name]
    for _ in range(2):
        found = results(function())
        assert [array.shape for array in found] == shapes
        assert all((array == value).all() for array in found)
        assert all(array.flags.c_contiguous for array in found)


def test_no_input_channels_give_the_bias() -> None:
    y = rot180.conv(X[:, :0], W[:, :0], B)
    assert (y == B.reshape(-1, 1, 1)).all()


def test_one_image_without_its_axis() -> None:
    x, dy = X[0], DY[0]
    assert np.array_equal(rot180.conv(x, W, B), rot180.conv(x[None], W, B)[0])
    dx, dw, db = rot180.conv_backward(dy, x, W)
    batch = rot180.conv_backward(dy[None], x[None], W)
    assert dx.shape == x.shape
    assert np.array_equal(dx, batch[0][0])
    assert np.array_equal(dw, batch[1])
    assert np.array_equal(db, batch[2])
    dx = rot180.conv_input_grad(dy, W, x.shape)
    assert np.array_equal(dx, batch[0][0])
    assert np.array_equal(rot180.conv_weight_grad(dy, x, W.shape), batch[1])
    up = rot180.conv_transpose(x, DOWN, B)
    assert np.array_equal(up, rot180.conv_transpose(x[None], DOWN, B)[0])


def test_an_aligned_call_does_not_decide_for_a_misaligned_one() -> None:
    expected = rot180.conv(X, W)
    found = rot180.conv(misaligned(X), misaligned(W))
    assert np.array_equal(found, expected)


def test_repeating_arrays() -> None:
    """Strides of zero."""
    x = np.broadcast_to(np.float32(2), (2, 3, 5, 5))
    w = np.broadcast_to(np.float32(3), (4, 3, 2, 2))
    for _ in range(2):
        assert (rot180.conv(x, w) == 72).all()
        dx, dw, db = rot180.conv_backward(
            np.broadcast_to(np.float32(1), (2, 4, 4, 4)), x, w
        )
        assert dx[0, 0, 2, 2] == 48
        assert (dw == 64).all()
        assert (db == 32).all()


def test_overlapping_windows_as_an_operand() -> None:
    """A view whose elements share memory, as a sliding window makes."""
    line = np.arange(12.0)
    x = np.lib.stride_tricks.sliding_window_view(line, 5)[None]  # (1, 8, 5)
    w = whole(3, 8, 2)
    assert np.array_equal(rot180.conv(x, w), rot180.conv(x.copy(), w))


def test_axes_of_extent_one_may_have_any_stride() -> None:
    memory = np.arange(200.0)
    x = np.lib.stride_tricks.as_strided(memory, (1, 4, 1, 6), (7, 48, 1000, 8))
    w = whole(5, 4, 1, 3)
    assert np.array_equal(rot180.conv(x, w), rot180.conv(x.copy(), w))
    assert np.array_equal(rot180.relu(x), x)
    assert np.array_equal(rot180.max_pool(x, (1, 2)), rot180.max_pool(x.copy(), (1, 2)))


def test_python_lists_are_arrays_of_float64() -> None:
    y = rot180.conv([[[1.0, 2.0, 3.0]]], [[[1.0, 1.0]]], [0.5])
    assert y.dtype == np.float64
    assert y.tolist() == [[[3.5, 5.5]]]
    assert rot180.relu([1.0, -1.0]).tolist() == [1, 0]


def test_out_is_filled_and_returned() -> None:
    out = np.empty(DY.shape)
    for _ in range(2):
        out[...] = np.nan
        assert rot180.conv(X, W, B, out=out) is out
        assert np.array_equal(out, rot180.conv(X, W, B))
    single = np.empty(DY.shape[1:])
    assert rot180.conv(X[0], W, B, out=single) is single
    assert np.array_equal(single, out[0])
    part = np.full((5, *DY.shape[1:]), 7.0)
    rot180.conv(X, W, B, out=part[1:4])
    assert np.array_equal(part[1:4], out)
    assert (part[[0, 4]] == 7).all()
    empty = np.empty((0, 5, 5, 4))
    assert rot180.conv(X[:0], W, out=empty) is empty
