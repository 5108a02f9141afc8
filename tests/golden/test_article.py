"""The article the project began from, row by row.

*Forward And Backpropagation in Convolutional Neural Network* (Medium, 2017csm1006, and
its Chinese version). Its layer: one channel, `X` 3x3, `F` 2x2, no padding, stride 1,
and `O` the correlation of `X` with `F`. The letters are the article's.
"""

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import signal

import rot180
from rot180 import nn, train
from rot180.notation import Contraction, Polynomial, contraction, evaluate

Array = NDArray[np.float64]

X = np.array([[3.0, -1.0, 4.0], [1.0, 5.0, -9.0], [2.0, 6.0, 7.0]])
F = np.array([[2.0, -3.0], [5.0, 7.0]])
DO = np.array([[1.0, -2.0], [4.0, 3.0]])

LAYER = contraction("O[p, q] += X[p + r, q + s] * F[r, s]")
EXTENTS = dict.fromkeys("pqrs", 2)


def _conv(x: Array, f: Array, **options: object) -> Array:
    return rot180.conv(x[None, None], f[None, None], **options)[0, 0]


def _input_grad(do: Array, f: Array, **options: object) -> Array:
    x_shape = (1, 1, do.shape[0] + 1, do.shape[1] + 1)
    return rot180.conv_input_grad(do[None, None], f[None, None], x_shape, **options)[
        0, 0
    ]


def _weight_grad(do: Array, x: Array, **options: object) -> Array:
    return rot180.conv_weight_grad(
        do[None, None], x[None, None], (1, 1, 2, 2), **options
    )[0, 0]


def _flipped(f: Array) -> Array:
    """Rotate by 180 degrees as the article does: left-right, then up-down."""
    return np.flipud(np.fliplr(f))


def _cells(name: str, rows: int) -> dict[tuple[int, int], Polynomial]:
    """Name the cells as the article does: `X11` in the top left corner."""
    places = itertools.product(range(rows), range(rows))
    return {(i, j): Polynomial.name(f"{name}{i + 1}{j + 1}") for i, j in places}


def _derivative(of: Polynomial, cell: str) -> Polynomial:
    """Differentiate by a cell that occurs at most once in each product."""
    products = [(set(names) - {cell}, f) for names, f in of.terms if cell in names]
    return Polynomial.of((tuple(names), f) for names, f in products)


def _equations(formula: Contraction, rows: int) -> dict[str, str]:
    """Write out a formula cell by cell."""
    operands = {"X": _cells("X", 3), "F": _cells("F", 2), "dO": _cells("dO", 2)}
    values = evaluate(formula, operands, EXTENTS, (rows, rows))
    return _named(formula.out.tensor, values)


def _named(name: str, values: Mapping[tuple[int, int], object]) -> dict[str, str]:
    return {f"{name}{i + 1}{j + 1}": str(value) for (i, j), value in values.items()}


def test_s1_forward_is_the_correlation_of_x_and_f() -> None:
    y = _conv(X, F)
    assert y.shape == (2, 2)
    np.testing.assert_array_equal(y, signal.correlate2d(X, F, mode="valid"))
    assert _equations(LAYER, 2) == {
        "O11": "F11*X11 + F12*X12 + F21*X21 + F22*X22",
        "O12": "F11*X12 + F12*X13 + F21*X22 + F22*X23",
        "O21": "F11*X21 + F12*X22 + F21*X31 + F22*X32",
        "O22": "F11*X22 + F12*X23 + F21*X32 + F22*X33",
    }


def test_s2_true_convolution_correlates_with_the_rotated_filter() -> None:
    np.testing.assert_array_equal(rot180.rot180(F[None, None])[0, 0], _flipped(F))
    true = _conv(X, F, flip=True)
    np.testing.assert_array_equal(true, _conv(X, _flipped(F)))
    np.testing.assert_array_equal(true, signal.convolve2d(X, F, mode="valid"))
    assert (true != _conv(X, F)).any()


def test_s4_filter_gradient_by_the_chain_rule() -> None:
    operands = {"X": _cells("X", 3), "F": _cells("F", 2)}
    outputs = evaluate(LAYER, operands, EXTENTS, (2, 2))
    errors = _cells("dO", 2)
    by_chain_rule = {
        place: sum(errors[o] * _derivative(outputs[o], str(cell)) for o in outputs)
        for place, cell in operands["F"].items()
    }
    assert _equations(LAYER.adjoint("F"), 2) == _named("dF", by_chain_rule)

    # In numbers: each dO/dF is the layer's answer to a filter that is one in that cell.
    dw = _weight_grad(DO, X)
    for place in np.ndindex(2, 2):
        unit = np.zeros_like(F)
        unit[place] = 1
        assert dw[place] == (DO * _conv(X, unit)).sum()


# The text of the article repeats one entry of X in all four terms of each equation (in
# the first: X11, X11, X11, X11). That is a misprint; these are right.
S5_EQUATIONS = {
    "dF11": "X11*dO11 + X12*dO12 + X21*dO21 + X22*dO22",
    "dF12": "X12*dO11 + X13*dO12 + X22*dO21 + X23*dO22",
    "dF21": "X21*dO11 + X22*dO12 + X31*dO21 + X32*dO22",
    "dF22": "X22*dO11 + X23*dO12 + X32*dO21 + X33*dO22",
}


def test_s5_the_four_equations_of_the_filter_gradient() -> None:
    assert _equations(LAYER.adjoint("F"), 2) == S5_EQUATIONS


def test_s5_as_misprinted_the_equations_are_wrong() -> None:
    misprinted = X[:2, :2] * DO.sum()
    assert (misprinted != _weight_grad(DO, X)).any()


def test_s6_filter_gradient_is_the_correlation_of_x_and_the_error() -> None:
    dw = _weight_grad(DO, X)
    np.testing.assert_array_equal(dw, _conv(X, DO))
    np.testing.assert_array_equal(dw, signal.correlate2d(X, DO, mode="valid"))
    assert str(LAYER.adjoint("F")) == "dF[r, s] += X[p + r, q + s] * dO[p, q]"


def test_s6b_the_nine_equations_of_the_input_gradient() -> None:
    assert _equations(LAYER.adjoint("X"), 3) == {
        "dX11": "F11*dO11",
        "dX12": "F12*dO11 + F11*dO12",
        "dX13": "F12*dO12",
        "dX21": "F21*dO11 + F11*dO21",
        "dX22": "F22*dO11 + F21*dO12 + F12*dO21 + F11*dO22",
        "dX23": "F22*dO12 + F12*dO22",
        "dX31": "F21*dO21",
        "dX32": "F22*dO21 + F21*dO22",
        "dX33": "F22*dO22",
    }


def test_s7_input_gradient_is_the_full_correlation_with_the_rotated_filter() -> None:
    dx = _input_grad(DO, F)
    assert dx.shape == X.shape
    np.testing.assert_array_equal(dx, _conv(DO, _flipped(F), padding="full"))
    np.testing.assert_array_equal(dx, signal.correlate2d(DO, _flipped(F), mode="full"))
    np.testing.assert_array_equal(dx, signal.convolve2d(DO, F))
    (piece,) = LAYER.adjoint("X").gather()
    assert str(piece.contraction) == "dX[h, w] += dO[h - r, w - s] * F[r, s]"


def test_s7_true_convolution_with_the_rotated_filter_is_wrong() -> None:
    wrong = signal.convolve2d(DO, _flipped(F))
    assert (wrong != _input_grad(DO, F)).any()


def test_s7_with_flip_the_roles_turn() -> None:
    dw = _weight_grad(DO, X, flip=True)
    np.testing.assert_array_equal(dw, _flipped(_weight_grad(DO, X)))
    dx = _input_grad(DO, F, flip=True)
    np.testing.assert_array_equal(dx, signal.correlate2d(DO, F, mode="full"))


def test_s9_one_definition_serves_all_passes() -> None:
    for factor in ("X", "F"):
        adjoint = LAYER.adjoint(factor)
        assert adjoint.indices == LAYER.indices
        assert adjoint.adjoint("dO") == LAYER
    dx, dw, db = rot180.conv_backward(DO[None, None], X[None, None], F[None, None])
    np.testing.assert_array_equal(dx[0, 0], _input_grad(DO, F))
    np.testing.assert_array_equal(dw[0, 0], _weight_grad(DO, X))
    np.testing.assert_array_equal(db, [DO.sum()])
    # <dO, O> == <dX, X> == <dF, F>
    inner = (DO * _conv(X, F)).sum()
    assert inner == (dx[0, 0] * X).sum() == (dw[0, 0] * F).sum()


def test_s10_the_gradient_of_relu_follows_by_the_chain_rule() -> None:
    y = _conv(X, F)
    assert (y > 0).any()
    assert (y < 0).any()
    np.testing.assert_array_equal(rot180.relu(y), np.where(y > 0, y, 0))
    np.testing.assert_array_equal(rot180.relu_backward(DO, y), np.where(y > 0, DO, 0))


def test_s10_the_gradient_of_pooling_follows_by_the_chain_rule() -> None:
    x = X[None, None]
    np.testing.assert_array_equal(
        rot180.max_pool(x, 2, stride=1)[0, 0], [[5, 5], [6, 7]]
    )
    dx = rot180.max_pool_backward(DO[None, None], x, 2, stride=1)[0, 0]
    # The 5 is the greatest of two windows: their errors add up there.
    np.testing.assert_array_equal(dx, [[0, 0, 0], [0, -1, 0], [0, 4, 3]])

    quarter = np.full((2, 2), 0.25)
    np.testing.assert_array_equal(
        rot180.avg_pool(x, 2, stride=1)[0, 0], _conv(X, quarter)
    )
    dx = rot180.avg_pool_backward(DO[None, None], x.shape, 2, stride=1)[0, 0]
    np.testing.assert_array_equal(dx, signal.convolve2d(DO, quarter))


def test_s10_grad_chains_the_layer_pooling_and_relu() -> None:
    def error(f: Array) -> Array:
        y = rot180.relu(rot180.conv(X[None, None], f))
        return rot180.max_pool(y, 2).sum()

    y = _conv(X, F)
    assert y.max() > 0
    only = np.where(y == y.max(), 1.0, 0.0)
    df = rot180.grad(error)(F[None, None])[0, 0]
    np.testing.assert_array_equal(df, _weight_grad(only, X))


def test_s11_a_whole_network_learns_real_images() -> None:
    data = train.data.digits()
    trainer = train.Trainer(nn.models.DigitsNet(), data, train.Settings(epochs=2))
    before = trainer.test_accuracy()
    for _ in range(trainer.settings.epochs):
        trainer.run_epoch()
    assert before < 0.5
    assert trainer.test_accuracy() > 0.9
