"""The laws of the operations: each pullback is the adjoint, again and again."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rot180 import ops
from rot180.ops import Conv, MaxPool, MaxSelect, Op, TensorType, Window, WindowSum
from rot180.reference import _evaluate as reference


@dataclass(frozen=True)
class Eager:
    """A traced tensor that computes at once, by the reference."""

    value: Any

    @property
    def type(self) -> TensorType:
        return ops.type_of(self.value)

    def __rot180_apply__(self, op: Op, inputs: tuple[Any, ...]) -> tuple["Eager", ...]:
        arrays = [i.value if isinstance(i, Eager) else np.asarray(i) for i in inputs]
        return tuple(map(Eager, reference.evaluate(op, *arrays)))


def run(op: Op, *arrays: Any) -> tuple[Any, ...]:
    return reference.evaluate(op, *arrays)


def pull(
    op: Op, arrays: Sequence[Any], cotangents: Sequence[Any], needs: Any = None
) -> list[Any]:
    inputs = tuple(map(Eager, arrays))
    outputs = tuple(map(Eager, run(op, *arrays)))
    given = tuple(None if c is None else Eager(c) for c in cotangents)
    needed = (True,) * len(inputs) if needs is None else needs
    grads = op.pullback(given, inputs, outputs, needed)
    assert len(grads) == len(inputs)
    for grad, x in zip(grads, inputs, strict=True):
        assert grad is None or grad.type == x.type
    return [None if grad is None else grad.value for grad in grads]


def integers(seed: int, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def inner(a: Any, b: Any) -> float:
    return float(np.sum(a.astype(np.float64) * b))


@st.composite
def windows(draw: st.DrawFn, groups: int = 1) -> tuple[Window, tuple[int, ...]]:
    rank = draw(st.integers(1, 4))
    top = 4 if rank < 3 else 2
    dims = []
    for _ in range(rank):
        kernel, dilation = draw(st.integers(1, top)), draw(st.integers(1, 3))
        stride = draw(st.integers(1, 5))
        padding = draw(st.integers(-2, 3)), draw(st.integers(-2, 3))
        span = (kernel - 1) * dilation + 1
        size = max(0, span - sum(padding)) + draw(st.integers(0, top))
        dims.append((kernel, stride, dilation, padding, size))
    kernel, stride, dilation, padding, size = zip(*dims, strict=True)
    flip = draw(st.booleans())
    return Window(kernel, stride, dilation, padding, groups, flip), size


@dataclass(frozen=True)
class Case:
    op: Conv
    x: Any
    w: Any
    dy: Any


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    groups = draw(st.integers(1, 3))
    window, size = draw(windows(groups))
    layout = draw(st.sampled_from(["channels_first", "channels_last"]))
    n, c, k = (draw(st.integers(0, 2)) for _ in range(3))
    dtype = draw(st.sampled_from(ops.FLOATS))
    op = Conv(window, layout, "y", size)
    images = ops.image_shape(layout, n, c * groups, size)
    filters = ops.filter_shape(layout, k * groups, c, window.kernel_size)
    seed = draw(st.integers(0, 99))
    x, w = integers(seed, images, dtype), integers(seed + 1, filters, dtype)
    (y,) = op.infer(ops.type_of(x), ops.type_of(w))
    return Case(op, x, w, integers(seed + 2, y.shape, dtype))


@settings(max_examples=300)
@given(convolutions())
def test_triple_law(case: Case) -> None:
    """`<dy, conv(x, w)> == <dx, x> == <dw, w>`, with ==."""
    (y,) = run(case.op, case.x, case.w)
    (dx,) = run(replace(case.op, out="x"), case.dy, case.w)
    (dw,) = run(replace(case.op, out="w"), case.dy, case.x)
    assert inner(case.dy, y) == inner(dx, case.x) == inner(dw, case.w)
    assert y.dtype == dx.dtype == dw.dtype == case.x.dtype


@settings(max_examples=100)
@given(convolutions(), st.sampled_from(["y", "x", "w"]))
def test_pullback_of_every_pass_is_its_adjoint(case: Case, out: Any) -> None:
    """Each pass is linear in each operand: <c, op(a, b)> == <da, a> == <db, b>."""
    operands = {"y": case.dy, "x": case.x, "w": case.w}
    op = replace(case.op, out=out)
    arrays = [operands[role] for role in ops.ROLES[op.out]]
    cotangent = operands[out]
    (result,) = run(op, *arrays)
    grads = pull(op, arrays, [cotangent])
    expected = inner(cotangent, result)
    assert [inner(g, a) for g, a in zip(grads, arrays, strict=True)] == [expected] * 2


@settings(max_examples=50)
@given(convolutions())
def test_bias_gradient_is_the_sum(case: Case) -> None:
    op = replace(case.op, bias=True)
    k = case.w.shape[ops.filter_axes(op.layout, case.w.ndim)[0]]
    b = np.zeros(k, case.x.dtype)
    dx, dw, db = pull(op, [case.x, case.w, b], [case.dy], (False, False, True))
    assert dx is None
    assert dw is None
    spread = pull(ops.ChannelSum(op.layout), [case.dy], [db])[0]
    assert inner(spread, case.dy) == inner(db, db)


@settings(max_examples=100)
@given(windows(), st.sampled_from(["channels_first", "channels_last"]), st.data())
def test_pooling_pullbacks_are_adjoints(
    drawn: Any, layout: Any, data: st.DataObject
) -> None:
    window, size = drawn
    window = replace(window, flip=False)
    n, c = data.draw(st.integers(0, 2)), data.draw(st.integers(0, 3))
    x = integers(1, ops.image_shape(layout, n, c, size))
    dy = integers(2, ops.image_shape(layout, n, c, window.output_size(size)))

    total = WindowSum(window, layout, "y", size)
    (y,) = run(total, x)
    (dx,) = pull(total, [x], [dy])
    assert inner(dy, y) == inner(dx, x)
    (again,) = pull(replace(total, out="x"), [dy], [x])
    assert np.array_equal(again, y)

    pool = MaxPool(window, layout, size)
    y, index = run(pool, x)
    (dx,) = pull(pool, [x], [dy, None])
    finite = np.where(np.isfinite(y), y, 0)
    assert inner(np.where(np.isfinite(y), dy, 0), finite) == inner(dx, x)
    select = MaxSelect(window, layout, "x", size)
    chosen, none = pull(select, [dy, index], [x])
    assert none is None
    assert np.array_equal(chosen, finite)
    back, none = pull(replace(select, out="y"), [x, index], [dy])
    assert none is None
    assert np.array_equal(back, dx)


LINEAR: list[tuple[Op, tuple[int, ...]]] = [
    (ops.Reshape((6, 4)), (2, 3, 4)),
    (ops.Reshape(()), (1, 1)),
    (ops.Reshape((0, 5)), (3, 0)),
    (ops.Transpose((2, 0, 1)), (2, 3, 4)),
    (ops.Flip((0, 2)), (2, 3, 4)),
    (ops.Identity(), (2, 3)),
    (ops.Broadcast((5, 2, 3)), (2, 1)),
    (ops.Broadcast((4, 1)), ()),
    (ops.Reduce("sum", (0, 2)), (2, 3, 4)),
    (ops.Reduce("sum", (0,)), (0, 3)),
    (ops.Reduce("sum", ()), (2, 3)),
    (ops.ChannelSum("channels_last"), (2, 3, 4)),
    (ops.ChannelSum(), (2, 3)),
    (ops.WindowSum(Window((2,), (1,), (1,), ((0, 0),)), input_size=(5,)), (1, 2, 5)),
]


@pytest.mark.parametrize(("op", "shape"), LINEAR)
def test_linear_pullbacks_are_adjoints(op: Op, shape: tuple[int, ...]) -> None:
    x = integers(3, shape)
    (y,) = run(op, x)
    dy = integers(4, y.shape)
    (dx,) = pull(op, [x], [dy])
    assert inner(dy, y) == inner(dx, x)


def test_stop_gradient_stops() -> None:
    x = integers(3, (2, 3))
    assert pull(ops.StopGradient(), [x], [x]) == [None]
    assert np.array_equal(run(ops.StopGradient(), x)[0], x)


def slopes(op: Op, arrays: list[Any], which: int, dy: Any, output: int = 0) -> Any:
    """Returns central differences of <dy, op(...)> with respect to one input."""
    step = 1e-6
    grad = np.zeros_like(arrays[which])
    for place in np.ndindex(grad.shape):
        sides = []
        for sign in (1, -1):
            moved = [a.copy() for a in arrays]
            moved[which][place] += sign * step
            sides.append(inner(dy, run(op, *moved)[output]))
        grad[place] = (sides[0] - sides[1]) / (2 * step)
    return grad


def arguments(fn: str) -> Iterator[list[Any]]:
    """Yields inputs away from the jumps and poles, equal shapes and broadcast ones."""
    rng = np.random.default_rng(5)
    for shapes in [((3, 4),) * 3, ((3, 4), (4,), (3, 1)), ((1,), (2, 3), ())]:
        arrays = [rng.uniform(0.5, 2.0, s) for s in shapes[: arity(fn)]]
        if fn not in ("log", "sqrt"):
            arrays = [np.asarray(a * rng.choice([-1.0, 1.0], a.shape)) for a in arrays]
        yield arrays


def arity(fn: str) -> int:
    return ops.POINTWISE[fn].arity


@pytest.mark.parametrize("fn", ops.POINTWISE)
def test_pointwise_rules_are_the_slopes(fn: str) -> None:
    """The table parametrises its own test: no rule exists without it."""
    op = ops.Pointwise(fn)
    for arrays in arguments(fn):
        (y,) = run(op, *arrays)
        dy = np.random.default_rng(6).normal(size=y.shape)
        grads = pull(op, arrays, [dy])
        for which, (grad, rule) in enumerate(
            zip(grads, ops.POINTWISE[fn].rules, strict=True)
        ):
            expected = slopes(op, arrays, which, dy)
            if rule is None:
                assert grad is None
                assert not expected.any()
            else:
                np.testing.assert_allclose(grad, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("fn", ops.POINTWISE)
def test_pointwise_pullback_without_cotangent_or_need(fn: str) -> None:
    arrays = next(arguments(fn))
    assert pull(ops.Pointwise(fn), arrays, [None]) == [None] * arity(fn)
    dy = run(ops.Pointwise(fn), *arrays)[0]
    needs = (False,) * arity(fn)
    assert pull(ops.Pointwise(fn), arrays, [dy], needs) == [None] * arity(fn)


JUMPS = [
    ("relu", [0.0], [0.0]),
    ("abs", [0.0], [0.0]),
    ("maximum", [1.0, 1.0], [0.5, 0.5]),
    ("maximum", [2.0, 1.0], [1.0, 0.0]),
]


@pytest.mark.parametrize(("fn", "values", "expected"), JUMPS)
def test_pointwise_rules_at_the_jumps_are_those_of_pytorch(
    fn: str, values: list[float], expected: list[float]
) -> None:
    arrays = [np.array([value]) for value in values]
    grads = pull(ops.Pointwise(fn), arrays, [np.ones(1)])
    assert [float(grad[0]) for grad in grads] == expected


def test_jumps_agree_with_pytorch(torch: Any) -> None:
    functions = {"relu": torch.relu, "abs": torch.abs, "maximum": torch.maximum}
    for fn, values, expected in JUMPS:
        tensors = [torch.tensor([v], requires_grad=True) for v in values]
        functions[fn](*tensors).backward(torch.ones(1))
        assert [float(t.grad[0]) for t in tensors] == expected


def test_maximum_over_axes_shares_among_equals() -> None:
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    (dx,) = pull(ops.Reduce("max", (1,)), [x], [np.array([4.0, 3.0])])
    assert dx.tolist() == [[0.0, 2.0, 2.0], [1.0, 1.0, 1.0]]
    (dx,) = pull(ops.Reduce("max", (0, 1)), [x], [np.array(6.0)])
    assert dx.tolist() == [[0.0, 3.0, 3.0], [0.0, 0.0, 0.0]]


def test_log_softmax_pullback_is_the_slope() -> None:
    x = np.random.default_rng(7).normal(size=(3, 5))
    dy = np.random.default_rng(8).normal(size=(3, 5))
    (dx,) = pull(ops.LogSoftmax(), [x], [dy])
    expected = slopes(ops.LogSoftmax(), [x], 0, dy)
    np.testing.assert_allclose(dx, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("output", [0, 1, 2])
def test_batch_norm_pullback_is_the_slope(layout: Any, output: int) -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(size=ops.image_shape(layout, 3, 2, (2, 2)))
    arrays = [x, rng.normal(size=2), rng.normal(size=2)]
    op = ops.BatchNorm(layout)
    cotangents: list[Any] = [None, None, None]
    cotangents[output] = rng.normal(size=run(op, *arrays)[output].shape)
    for which, grad in enumerate(pull(op, arrays, cotangents)):
        expected = slopes(op, arrays, which, cotangents[output], output)
        found = np.zeros_like(expected) if grad is None else grad
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


def test_batch_norm_expands_to_its_meaning() -> None:
    rng = np.random.default_rng(10)
    arrays = [rng.normal(size=(3, 2, 4)), rng.normal(size=2), rng.normal(size=2)]
    op = ops.BatchNorm()
    expanded = op.expand(*map(Eager, arrays))
    for found, expected in zip(expanded, run(op, *arrays), strict=True):
        np.testing.assert_allclose(found.value, expected, rtol=1e-13, atol=1e-14)


def test_one_hot_and_full_have_no_inputs_to_differentiate() -> None:
    labels = np.array([0, 2, -1, 3])
    (hot,) = run(ops.OneHot(3), labels)
    assert hot.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert pull(ops.OneHot(3), [labels], [hot]) == [None]
    assert run(ops.Full((2,), "float32", 1.5))[0].tolist() == [1.5, 1.5]
    like = Eager(np.zeros((2, 3), np.float32))
    assert ops.full_like(like, 2).type == like.type
    assert ops.scalar_like(like, 2).type == TensorType((), "float32")


CONCRETE = [
    cls
    for cls in vars(ops).values()
    if isinstance(cls, type) and issubclass(cls, Op) and not cls.__abstractmethods__
]


@pytest.mark.parametrize("cls", CONCRETE)
def test_every_op_has_a_meaning(cls: type[Op]) -> None:
    missing = reference._meaning.dispatch(Op)
    assert reference._meaning.dispatch(cls) is not missing


def test_ops_are_values() -> None:
    window = Window((3, 3), (1, 1), (1, 1), ((0, 0), (0, 0)))
    assert Conv(window) == Conv(window)
    assert len({Conv(window), Conv(window), Conv(window, out="x")}) == 2
    with pytest.raises(AttributeError):
        Conv(window).out = "x"  # type: ignore[misc]
    assert math.prod(Conv(window, input_size=(5, 4)).output_size) == 6
