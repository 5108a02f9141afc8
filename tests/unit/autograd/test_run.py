"""Running ops on arrays: what is compiled, what is remembered, what needs no kernel."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import autograd, ops, reference, runtime
from rot180.autograd import _run as execute
from rot180.errors import CompileError, InternalError, ShapeError
from rot180.ops import TensorType, Window
from rot180.runtime import _choose, _kernel

Array = np.ndarray[Any, Any]
WINDOW = Window.make("test", (3, 3), padding=1)
CONV = ops.Conv(WINDOW, "channels_first", "y", (6, 5))
rng = np.random.default_rng(0)


def whole(*shape: int, dtype: Any = "float32") -> Array:
    return rng.integers(-4, 5, shape).astype(dtype)


# ---------------------------------------------------------------- operands


def test_ordinary_arrays_are_used_as_they_lie() -> None:
    x = whole(4, 6)
    memory = np.zeros(x.nbytes + 1, np.uint8)
    misaligned = memory[1:].view("float32").reshape(x.shape)
    assert not misaligned.flags.aligned
    for usable in (
        x,
        misaligned,
        x.T,
        x[:, ::2],
        x[1:, 2:],
        x.astype(">f4").astype("f4"),
    ):
        assert execute.as_operand(usable) is usable


def test_others_are_copied() -> None:
    x = whole(4, 6)
    records = np.zeros(9, [("flag", "u1"), ("value", "float32")])["value"]
    for odd in (x[::-1], x.astype(">f4"), records, np.broadcast_to(x[0], (3, 6))):
        copy = execute.as_operand(odd)
        assert copy is not odd
        assert copy.flags.c_contiguous
        assert copy.flags.aligned
        assert copy.dtype == np.dtype("float32")
        assert copy.dtype.isnative
        np.testing.assert_array_equal(copy, odd)


# ---------------------------------------------------------------- calls


def test_calls_are_remembered_by_types_and_kernels_without_the_batch() -> None:
    w = whole(4, 3, 3, 3)
    first = execute.call_for(CONV, (whole(2, 3, 6, 5), w))
    assert first is not None
    assert execute.call_for(CONV, (whole(2, 3, 6, 5), w)) is first
    other = execute.call_for(CONV, (whole(7, 3, 6, 5), w))
    assert other is not None
    assert other is not first
    assert other.entry is first.entry
    assert (first.count, other.count) == (2, 7)
    assert other.outputs == (((7, 4, 6, 5), np.dtype("float32")),)


def test_settings_forget_what_is_remembered() -> None:
    arrays = (whole(2, 3, 6, 5), whole(4, 3, 3, 3))
    first = execute.call_for(CONV, arrays)
    with runtime.force_schedule(1):
        inside = execute.call_for(CONV, arrays)
    assert inside is not first
    assert execute.call_for(CONV, arrays) is not inside


def test_at_most_so_many_calls_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "_CALLS", 3)
    with runtime.force_schedule(0):
        for n in range(1, 9):
            autograd.run(ops.Pointwise("neg"), whole(n))
        kept = [arrays[0][0] for _, _, arrays in list(execute._calls)]
        assert kept == [(6,), (7,), (8,)]  # the latest
        (result,) = autograd.run(ops.Pointwise("neg"), np.ones(1, "float32"))
    assert result == -1


def test_a_call_for_one_image_drops_the_image_axis() -> None:
    call = execute.call_for(CONV, (whole(1, 3, 6, 5), whole(4, 3, 3, 3)))
    assert call is not None
    single = call.unbatched()
    assert single.shape == (4, 6, 5)
    assert single.entry is call.entry


def test_results_take_the_places_they_are_given() -> None:
    order = (0, 2, 3, 1)
    x, w = whole(2, 3, 6, 5), whole(4, 3, 3, 3)
    (wanted,) = reference.evaluate(CONV, x, w)
    place = np.empty([wanted.shape[axis] for axis in order], x.dtype)
    place = place.transpose(0, 3, 1, 2)
    (y,), call = execute.run_placed(CONV, (x, w), (order,), (place,))
    assert y is place
    np.testing.assert_array_equal(y, wanted)
    assert call is not None
    (other,), _ = execute.run_placed(CONV, (x, w), (order,), (None,))
    assert other.strides == place.strides
    np.testing.assert_array_equal(other, wanted)


def test_wrong_shapes_are_refused_before_anything_runs() -> None:
    with pytest.raises(ShapeError, match="conv"):
        autograd.run(CONV, whole(2, 4, 6, 5), whole(4, 3, 3, 3))


# ---------------------------------------------------------------- every op

X = whole(3, 4, 5)
LABELS = np.array([[1, 0, 3], [2, 2, 9]], "int64")
PLAIN: dict[str, tuple[ops.Op, tuple[Array, ...]]] = {
    "reshape": (ops.Reshape((6, 10)), (X,)),
    "reshape of a view": (ops.Reshape((60,)), (X.transpose(2, 0, 1),)),
    "identity": (ops.Identity(), (X,)),
    "stop gradient": (ops.StopGradient(), (X,)),
    "full": (ops.Full((2, 3), "float64", 2.5), ()),
    "transpose": (ops.Transpose((2, 0, 1)), (X,)),
    "transpose to what lies so": (ops.Transpose((1, 2, 0)), (X.transpose(2, 0, 1),)),
    "flip": (ops.Flip((0, 2)), (X,)),
    "broadcast": (ops.Broadcast((3, 4, 5)), (X[:1, :, :1],)),
    "sum of all": (ops.Reduce("sum", (0, 1, 2)), (X,)),
    "sum of none": (ops.Reduce("sum", ()), (X,)),
    "sum in front": (ops.Reduce("sum", (0,)), (X,)),
    "sum in the middle": (ops.Reduce("sum", (1,)), (X,)),
    "sum behind": (ops.Reduce("sum", (1, 2)), (X,)),
    "sum behind a view": (ops.Reduce("sum", (2,)), (X.transpose(1, 2, 0),)),
    "sum around": (ops.Reduce("sum", (0, 2)), (X,)),
    "maximum of all": (ops.Reduce("max", (0, 1, 2)), (X,)),
    "maximum in front": (ops.Reduce("max", (0, 1)), (X,)),
    "maximum behind": (ops.Reduce("max", (2,)), (X,)),
    "add": (ops.Pointwise("add"), (X, X[:, :1])),
    "add numbers": (ops.Pointwise("add"), (X[0, 0, 0], X[1, 1, 1])),
    "one hot": (ops.OneHot(10, "float32"), (LABELS.reshape(-1),)),
    "bias": (ops.ChannelSum("channels_first"), (X,)),
    "bias, last": (ops.ChannelSum("channels_last"), (X,)),
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_op_is_what_the_reference_says(name: str, dtype: str) -> None:
    op, arrays = PLAIN[name]
    arrays = tuple(a if a.dtype == "int64" else a.astype(dtype) for a in arrays)
    found, wanted = autograd.run(op, *arrays), reference.evaluate(op, *arrays)
    for got, want in zip(found, wanted, strict=True):
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)


EMPTY: dict[str, tuple[ops.Op, tuple[Array, ...]]] = {
    "no images": (CONV, (whole(0, 3, 6, 5), whole(4, 3, 3, 3))),
    "no channels": (CONV, (whole(2, 0, 6, 5), whole(4, 0, 3, 3))),
    "no channels, a bias": (
        ops.Conv(WINDOW, "channels_last", "y", (6, 5), True),
        (whole(2, 6, 5, 0), whole(3, 3, 0, 4), whole(4)),
    ),
    "no images, weight gradient": (
        ops.Conv(WINDOW, "channels_first", "w", (6, 5)),
        (whole(0, 4, 6, 5), whole(0, 3, 6, 5)),
    ),
    "nothing to add": (ops.Pointwise("add"), (whole(0, 3), whole(3))),
    "nothing to sum": (ops.Reduce("sum", (0,)), (whole(0, 3),)),
    "no largest": (ops.Reduce("max", (1,)), (whole(0, 3),)),
    "no images to pool": (
        ops.MaxPool(WINDOW, "channels_first", (6, 5)),
        (whole(0, 3, 6, 5),),
    ),
    "no rows": (ops.LogSoftmax(), (whole(0, 3),)),
    "no bias": (ops.ChannelSum("channels_first"), (whole(0, 3, 4),)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_to_compute(name: str) -> None:
    op, arrays = EMPTY[name]
    assert execute.call_for(op, arrays) is None
    for got, want in zip(
        autograd.run(op, *arrays), reference.evaluate(op, *arrays), strict=True
    ):
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        np.testing.assert_array_equal(got, want)


def test_elements_without_operands_are_refused() -> None:
    types = (TensorType((3,), "float32"),)
    with pytest.raises(CompileError, match="has elements but no operands"):
        execute.empty_sum(ops.Pointwise("add"), (whole(0),), types)


@pytest.mark.parametrize(
    "error",
    [
        CompileError("compile: no executable memory here\n  Ask for it."),
        ImportError("no executable llvmlite"),
    ],
)
def test_where_nothing_can_be_compiled_the_reference_computes(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(_choose, "_is_told", False)
    monkeypatch.setattr(_kernel, "build_kernel", refuse)
    x = np.arange(11.0 * 13).reshape(1, 1, 11, 13)
    w = np.ones((1, 1, 2, 3))
    with (
        runtime.force_schedule(1),
        pytest.warns(RuntimeWarning, match="cannot be compiled here .*no executable"),
    ):
        y = rot180.conv(x, w, dilation=(3, 2))
    assert y[0, 0, 0, 0] == sum(x[0, 0, r, s] for r in (0, 3) for s in (0, 2, 4))
    rot180.conv(x, w, dilation=(3, 2))  # announced once
    assert _choose.is_compiling()  # the next call may find it mended


@pytest.mark.parametrize(
    ("error", "step"), [(MemoryError("none left"), 5), (OSError("no libLLVM.so"), 6)]
)
def test_what_may_pass_is_raised_and_not_computed_otherwise(
    monkeypatch: pytest.MonkeyPatch, error: Exception, step: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    x, w = whole(1, 1, 11, 15), whole(1, 1, 2, 3)
    with monkeypatch.context() as patch:
        patch.setattr(_kernel, "build_kernel", refuse)
        with pytest.raises(type(error)):
            rot180.conv(x, w, dilation=(3, step))
    rot180.conv(x, w, dilation=(3, step))


def test_faults_of_the_compiler_itself_are_raised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise InternalError("a fault")

    monkeypatch.setattr(_kernel, "build_kernel", fail)
    with pytest.raises(InternalError, match="a fault"):
        rot180.conv(whole(1, 1, 11, 12), whole(1, 1, 2, 3), dilation=(3, 4))
    assert _choose.is_compiling()
