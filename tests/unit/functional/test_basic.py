"""Layers without a window, losses and arithmetic: values, gradients and messages."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional
from rot180.errors import ArgumentError, DataError, DTypeError, ShapeError

NUMBERS = np.random.default_rng(0)
X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_arithmetic_takes_numbers_in_the_dtype_of_the_array() -> None:
    x = X.astype("f4")
    for y, expected in [
        (functional.add(x, 1), X + 1),
        (functional.subtract(1, x), 1 - X),
        (functional.multiply(x, 0.5), X / 2),
        (functional.divide(x, 2), X / 2),
        (functional.maximum(x, 3), np.maximum(X, 3)),
        (functional.where(x > 2, x, 0.0 * x), np.where(X > 2, X, 0)),
    ]:
        assert y.dtype == np.float32
        assert (y == expected).all()


def test_functions_of_one_argument() -> None:
    assert np.allclose(functional.exp(X), np.exp(X), rtol=1e-15, atol=0)
    assert np.allclose(functional.log(X), np.log(X), rtol=1e-15, atol=1e-16)
    assert (functional.sqrt(X) == np.sqrt(X)).all()


def test_sums_and_means_over_axes() -> None:
    assert functional.total(X) == 21
    assert (functional.total(X, 0) == [5, 7, 9]).all()
    assert (functional.mean(X, (-1,)) == [2, 5]).all()
    assert functional.mean(np.zeros((0, 2))) == 0
    with pytest.raises(ArgumentError, match="mean: axis 2 is out of range"):
        functional.mean(X, 2)


WHOLE = np.array([1, 2], np.int32)


@pytest.mark.parametrize("number", [2.5, float("nan"), 2**31, -(10**30)])
def test_no_number_is_cut_off_to_fit_whole_numbers(number: Any) -> None:
    message = f"{number!r} does not fit an operand of dtype int32".replace("+", r"\+")
    calls = [
        lambda: functional.add(WHOLE, number),
        lambda: functional.multiply([number, 1], WHOLE),
        lambda: rot180.jit(lambda x: x + number)(WHOLE),
        lambda: rot180.jit(lambda x: number * x)(WHOLE),
    ]
    for call in calls:
        with pytest.raises(DTypeError, match=message):
            call()


def test_numbers_that_fit_take_the_dtype_of_the_array() -> None:
    for a in (2, True, [2, 3], np.int32(2)):
        found = functional.add(WHOLE, a)
        assert found.dtype == np.int32
        assert (found == WHOLE + a).all()
    assert rot180.jit(lambda x: x**0 + 1)(WHOLE).tolist() == [2, 2]
    for a in (2**80, 2.5, float("inf"), False):
        found = functional.add(X.astype("f"), a)
        assert found.dtype == np.float32
        assert (found == X.astype("f") + np.float32(a)).all()
    assert functional.where(WHOLE > 1, 2.5, 1).tolist() == [1, 2.5]
    with pytest.raises(DTypeError, match="does not fit an operand of dtype float64"):
        functional.add(X, 10**400)


STRANGE = [
    (lambda: functional.add([[1, 2], [3]], X), ArgumentError, "makes no array"),
    (lambda: functional.flatten([[1, 2], [3]]), ArgumentError, "makes no array"),
    (lambda: rot180.max_pool([[1, 2], [3]], 2), ArgumentError, "makes no array"),
    (lambda: functional.linear([[1.0], []], X), ArgumentError, "makes no array"),
    (lambda: functional.add(X, "x"), ArgumentError, "'x' is not a number"),
    (lambda: functional.add(X, None), ArgumentError, "None is not a number"),
    (lambda: functional.add(X, {}), ArgumentError, "{} is not a number"),
    (lambda: rot180.jit(lambda x: x.full("1"))(WHOLE), DTypeError, "'1' does not fit"),
    (lambda: rot180.jit(lambda x: x.full(None))(X), ArgumentError, "None is not a num"),
    (lambda: rot180.jit(lambda x: x ** (1, 2))(X), ArgumentError, r"exponent \(1, 2\)"),
    (lambda: rot180.jit(lambda x: x ** "2")(X), ArgumentError, "exponent '2' is"),
    (lambda: functional.add(*[X.astype("u1")] * 2), DTypeError, "has dtype uint8"),
    (
        lambda: functional.exp(X.astype("O")),
        DTypeError,
        "has dtype object",
    ),
    (
        lambda: functional.batch_norm(X, np.ones(3), np.ones(3), eps="x"),
        ArgumentError,
        "'x' is not a number",
    ),
    (
        lambda: functional.normalise(X, *[np.ones(3)] * 4, eps=(1,)),
        ArgumentError,
        r"\(1,\) is not a number",
    ),
    (
        lambda: rot180.jit(lambda x: x * [[1, 2], [3]])(X),
        ArgumentError,
        "makes no array",
    ),
    (
        lambda: rot180.max_pool(X[None], 2, ceil_mode=X),
        ArgumentError,
        r"ceil_mode=array",
    ),
    (
        lambda: rot180.max_pool(X[None], 2, return_indices="no"),
        ArgumentError,
        "return_indices='no' is no flag",
    ),
    (
        lambda: rot180.avg_pool(X[None], 2, count_include_pad="no"),
        ArgumentError,
        "count_include_pad='no' is no flag",
    ),
    (
        lambda: rot180.conv(X[None], X[None, None], padding_mode=X),
        ArgumentError,
        "padding_mode array",
    ),
    (
        lambda: rot180.conv(X[None], X[None, None], algorithm=X),
        ArgumentError,
        "algorithm array",
    ),
    (
        lambda: rot180.conv(X[None], X[None, None], layout=X),
        ArgumentError,
        "layout array",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), STRANGE)
def test_what_is_no_operand_is_refused_by_name(
    call: Any, error: Any, message: str
) -> None:
    with pytest.raises(error, match=message):
        call()
    with rot180.runtime.force_reference(), pytest.raises(error, match=message):
        call()


def test_a_number_has_an_axis_of_its_own() -> None:
    number = np.array(3.0)
    for axis in (0, -1, None, ()):
        assert functional.total(number, axis) == 3
        assert functional.mean(number, axis) == 3
        assert rot180.jit(lambda x, a=axis: x.max(a, keepdims=True))(number) == 3


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("0", "total: axis '0' is neither an int nor ints"),
        (1.0, "total: axis 1.0 is neither"),
        ((0, None), r"total: axis \(0, None\) is neither"),
        (True, "total: axis True is neither"),
        ((0, -2), r"total: axis \(0, -2\) names an axis twice"),
    ],
)
def test_axes_that_are_none_are_refused(axis: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        functional.total(X, axis)
    with pytest.raises(ArgumentError, match=message.replace("total", "sum")):
        rot180.jit(lambda x: x.sum(axis))(X)


def test_axes_may_stand_in_an_array() -> None:
    assert functional.total(X, np.array([0, -1])) == 21
    assert rot180.jit(lambda x: x.sum(np.int64(0)))(X).tolist() == [5, 7, 9]


@pytest.mark.parametrize("given", [2.5, "ab", (2, None), (None, 3)])
def test_shapes_and_orders_that_are_no_integers_are_refused(given: Any) -> None:
    for name in ("reshape", "transpose"):
        with pytest.raises(ArgumentError, match=f"{name}: .* are not integers"):
            rot180.jit(lambda x, n=name: getattr(x, n)(given))(X)


def test_relu_and_its_gradient_at_zero() -> None:
    x = np.array([-1.0, 0.0, 2.0])
    assert (functional.relu(x) == [0, 0, 2]).all()
    assert (functional.relu_backward(np.ones(3), x) == [0, 0, 1]).all()
    with pytest.raises(ShapeError, match=r"relu_backward: dy has shape \(2,\)"):
        functional.relu_backward(np.ones(2), x)


@pytest.mark.parametrize(
    ("start", "end", "shape"), [(1, -1, (2, 12)), (0, 1, (6, 4)), (-2, 2, (2, 12))]
)
def test_flatten(start: int, end: int, shape: tuple[int, ...]) -> None:
    x = np.arange(24.0).reshape(2, 3, 4)
    y = functional.flatten(x, start, end)
    assert y.shape == shape
    assert (y.ravel() == x.ravel()).all()


def test_flatten_refuses_axes_that_are_not_there() -> None:
    with pytest.raises(ArgumentError, match="axis 3 is out of range for 2 axes"):
        functional.flatten(X, 3)
    with pytest.raises(ArgumentError, match="start_dim=1 comes after end_dim=0"):
        functional.flatten(X, 1, 0)
    assert functional.flatten(np.array(3.0)).shape == (1,)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 3)])
def test_linear_is_a_product_with_the_transpose(shape: tuple[int, ...]) -> None:
    x = NUMBERS.integers(-4, 5, shape).astype(float)
    w, b = NUMBERS.integers(-4, 5, (4, 3)) * 1.0, np.arange(4.0)
    assert (functional.linear(x, w, b) == x @ w.T + b).all()
    assert (functional.linear(x, w) == x @ w.T).all()


def test_linear_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match=r"x of shape \(2, 3\) does not fit w"):
        functional.linear(X, np.ones((4, 2)))


def test_log_softmax_does_not_overflow() -> None:
    y = functional.log_softmax(np.array([[1000.0, 1000.0], [0.0, -np.inf]]))
    assert np.allclose(y[0], np.log(0.5))
    assert (y[1] == [0, -np.inf]).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_and_its_gradient_agree_with_pytorch(
    smoothing: float, torch: Any
) -> None:
    logits, labels = NUMBERS.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])
    theirs = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(labels), label_smoothing=smoothing
    )
    loss.backward()

    def ours(x: Any) -> Any:
        return functional.cross_entropy(x, labels, label_smoothing=smoothing)

    value, gradient = rot180.value_and_grad(ours)(logits)
    assert np.allclose(value, loss.item(), rtol=1e-14, atol=0)
    assert np.allclose(ours(logits), loss.item(), rtol=1e-14, atol=0)
    assert np.allclose(gradient, theirs.grad.numpy(), rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("logits", "labels", "error", "message"),
    [
        (X, [0, 1, 2], ShapeError, "do not fit labels of shape"),
        (X, [0, 3], DataError, "label 3 is out of range"),
        (X, [-1, 0], DataError, "label -1 is out of range"),
        (X, [0.0, 1.0], DTypeError, "labels are float64"),
        (X.astype(int), [0, 1], DTypeError, "dtype int64 is not supported"),
    ],
)
def test_cross_entropy_refuses_what_does_not_fit(
    logits: Any, labels: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        functional.cross_entropy(logits, np.array(labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_a_class_ruled_out_agrees_with_pytorch(
    smoothing: float, torch: Any
) -> None:
    logits = np.array([[-np.inf, 0.0, 1.0], [2.0, 0.0, 1.0]])
    labels = np.array([1, 0])
    x = torch.tensor(logits, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(
        x, torch.tensor(labels), label_smoothing=smoothing
    )
    loss.backward()
    value, gradient = rot180.value_and_grad(
        lambda x: functional.cross_entropy(x, labels, label_smoothing=smoothing)
    )(logits)
    assert np.allclose(value, loss.item(), rtol=1e-14)
    if not smoothing:
        assert np.allclose(gradient, x.grad.numpy(), rtol=0, atol=1e-15)


def test_correct_counts_beside_a_class_ruled_out() -> None:
    logits = np.array([[-np.inf, 0.0, 1.0], [-np.inf, 1.0, 0.0]])
    assert functional.correct(logits, np.array([2, 0])) == 1


def test_cross_entropy_refuses_a_smoothing_out_of_range() -> None:
    with pytest.raises(ArgumentError, match="label_smoothing=2 is not from 0 to 1"):
        functional.cross_entropy(X, np.array([0, 1]), label_smoothing=2)


def test_correct_counts_the_greatest_logit_at_the_label() -> None:
    assert functional.correct(X, np.array([2, 0])) == 1


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_batch_norm_in_both_layouts(layout: Any) -> None:
    axis = 1 if layout == "channels_first" else -1
    x = np.moveaxis(NUMBERS.normal(size=(4, 5, 6, 3)), -1, axis)
    w, b = NUMBERS.normal(size=(2, 3))
    y, mean, var = functional.batch_norm(x, w, b, layout=layout)
    rows = np.moveaxis(x, axis, -1).reshape(-1, 3)
    assert np.allclose(mean, rows.mean(0), atol=1e-15)
    assert np.allclose(var, rows.var(0), atol=1e-15)
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + 1e-5) * w + b
    assert np.allclose(np.moveaxis(y, axis, -1).reshape(-1, 3), expected, atol=1e-14)
    again = functional.normalise(x, w, b, mean, var, layout=layout)
    assert np.allclose(again, y, atol=1e-14)


def test_batch_norm_refuses_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="w and b do not have one number per channel"):
        functional.batch_norm(X, np.ones(2), np.ones(2))
    with pytest.raises(ShapeError, match="x has no channel axis"):
        functional.batch_norm(X[0], np.ones(3), np.ones(3))
    with pytest.raises(ArgumentError, match=r"eps=-1\.0 is negative"):
        functional.batch_norm(X, np.ones(3), np.ones(3), eps=-1)


def test_normalise_wants_one_number_per_channel() -> None:
    x, two, one = np.ones((4, 2, 3)), np.ones(2), np.ones(1)
    with pytest.raises(
        ShapeError, match=r"normalise: var has shape \(1,\), not \(2,\)"
    ):
        functional.normalise(x, two, two, two, one)
    with pytest.raises(ShapeError, match="has no axes of images and channels"):
        functional.normalise(two, two, two, two, two)


@pytest.mark.parametrize(
    "labels", [np.ones(2, bool), ["a", "b"], np.ones(2, "u1"), np.ones(2, "f4")]
)
def test_labels_of_another_kind_are_refused(labels: Any) -> None:
    with pytest.raises(DTypeError, match=r"cross_entropy: labels (are|has dtype)"):
        functional.cross_entropy(np.zeros((2, 3)), labels)


def test_a_smoothing_that_is_no_number_is_refused() -> None:
    with pytest.raises(ArgumentError, match="label_smoothing='a' is not from 0 to 1"):
        functional.cross_entropy(np.zeros((2, 3)), [0, 1], label_smoothing="a")  # type: ignore[arg-type]
