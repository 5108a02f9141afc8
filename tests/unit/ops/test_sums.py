"""The sliding operations as sums of which every number is known."""

import pytest

from rot180 import ops
from rot180.ops import TensorType


def _conv(**options: object) -> ops.Conv:
    x, w = TensorType((2, 6, 7), "float64"), TensorType((4, 3, 3), "float64")
    return ops.conv_op("test", x, w, groups=2, **options)


def test_channels_count_through_all_groups() -> None:
    found = ops.conv_sum(_conv(stride=2, padding=1), images=2, in_group=3, out_group=2)
    assert str(found.formula) == (
        "y[n, 2*g + k, p] += x[n, 3*g + c, 2*p + r - 1] * w[2*g + k, c, r] for g, k"
    )
    assert found.extents == {"n": 2, "g": 2, "k": 2, "p": 4, "c": 3, "r": 3}


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_transposed_convolution_in_its_own_letters(layout: ops.Layout) -> None:
    shape = (1, 5, 5, 1) if layout == "channels_last" else (1, 1, 5, 5)
    kernel = (3, 2, 1, 1) if layout == "channels_last" else (1, 1, 3, 2)
    x, w = TensorType(shape, "float64"), TensorType(kernel, "float64")
    op = ops.conv_transpose_op("test", x, w, stride=(2, 1), padding=1, layout=layout)
    found = ops.conv_sum(op, images=1, in_group=1, out_group=1, transposed=True)
    formula = ops.transposed_formula(2, layout).bind(**op.window.parameters())
    assert str(found.formula) == str(formula)
    assert (found.extents["p"], found.extents["q"]) == (5, 5)


def test_the_bias_and_its_gradient() -> None:
    first = ops.bias_sum((3, 2), "channels_first", images=2, channels=4)
    assert str(first.formula) == "y[n, k, p, q] += b[k]"
    assert str(first.adjoint("b").formula) == "db[k] += dy[n, k, p, q]"
    last = ops.bias_sum((3, 2), "channels_last", images=2, channels=4)
    assert str(last.formula.out) == "y[n, p, q, k]"
    assert last.extents == {"n": 2, "k": 4, "p": 3, "q": 2}


def test_pooling_with_a_window_that_overhangs() -> None:
    x = TensorType((1, 3, 5), "float64")
    op = ops.pool_op("test", "max", x, (2,), ceil_mode=True)
    found = ops.pool_sum(op, images=1, channels=3)
    assert str(found.formula) == "y[n, c, p] max= x[n, c, 2*p + r] for r"
    assert found.extents == {"n": 1, "c": 3, "p": 3, "r": 2}


def test_what_average_pooling_counts() -> None:
    x = TensorType((1, 1, 6), "float64")
    op = ops.pool_op("test", "sum", x, (3,), stride=2, padding=1, ceil_mode=True)
    assert isinstance(op, ops.WindowSum)
    assert op.window.padding == ((1, 2),)
    assert ops.counted_padding(op, 1, count_include_pad=True) == ((1, 1),)
    assert ops.counted_padding(op, 1, count_include_pad=False) == ((0, 0),)
