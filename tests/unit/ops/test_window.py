"""The window's arithmetic, against its definition and against other libraries."""

import itertools
import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rot180.errors import ShapeError
from rot180.ops import Window, pool_counts


def make(*kernel: int, **arguments: Any) -> Window:
    return Window.make("conv", kernel, **arguments)


FORMS: list[tuple[tuple[int, ...], Any, Any]] = [
    ((3,), 1, ((1, 1),)),
    ((3,), (1,), ((1, 1),)),
    ((3,), ((1, 2),), ((1, 2),)),
    ((3, 3), 2, ((2, 2), (2, 2))),
    ((3, 3), (2,), ((2, 2), (2, 2))),
    ((3, 3, 3), [-2], ((-2, -2),) * 3),
    ((3, 3), np.array([2]), ((2, 2), (2, 2))),
    ((3, 3), (1, 2), ((1, 1), (2, 2))),
    ((3, 3), [1, 2], ((1, 1), (2, 2))),
    ((3, 3), ((1, 2), (3, -4)), ((1, 2), (3, -4))),
    ((3, 3), (1, (2, 3)), ((1, 1), (2, 3))),
    ((3, 3), np.array([1, 2]), ((1, 1), (2, 2))),
    ((3, 3), np.array([[0, 1], [2, 3]]), ((0, 1), (2, 3))),
    ((3, 2), "valid", ((0, 0), (0, 0))),
    ((3, 2), "full", ((2, 2), (1, 1))),
    ((3, 2), "causal", ((2, 0), (1, 0))),
    ((3, 2), "same", ((1, 1), (0, 1))),
    ((3, 2), "same_lower", ((1, 1), (1, 0))),
]


@pytest.mark.parametrize(("kernel", "padding", "expected"), FORMS)
def test_padding_forms(kernel: Any, padding: Any, expected: Any) -> None:
    assert make(*kernel, padding=padding).padding == expected


def test_words_count_dilated_taps() -> None:
    window = make(3, 2, padding="full", dilation=(2, 3))
    assert window.padding == ((4, 4), (3, 3))
    assert window.span == (5, 4)
    assert make(3, padding="causal", dilation=4).padding == ((8, 0),)


@pytest.mark.parametrize("name", ["same", "same_lower"])
@given(st.integers(1, 40), st.integers(1, 7), st.integers(1, 5), st.integers(1, 4))
def test_same_gives_the_ceiling(
    name: str, size: int, kernel: int, stride: int, dilation: int
) -> None:
    window = make(
        kernel, stride=stride, dilation=dilation, padding=name, input_size=(size,)
    )
    assert window.output_size((size,)) == (-(-size // stride),)
    low, high = window.padding[0]
    assert 0 <= (high - low if name == "same" else low - high) <= 1


@given(
    st.integers(0, 12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(-2, 3),
    st.integers(-2, 3),
)
def test_output_size_counts_the_positions_that_fit(
    size: int, kernel: int, stride: int, dilation: int, low: int, high: int
) -> None:
    window = make(kernel, stride=stride, dilation=dilation, padding=((low, high),))
    span = (kernel - 1) * dilation + 1
    fitting = sum(
        p * stride + span <= size + low + high for p in range(size + low + high + 1)
    )
    if size + low + high < 0 < size:
        with pytest.raises(ShapeError, match="crops more than"):
            window.output_size((size,))
    else:
        assert window.output_size((size,)) == (fitting,)


def test_transposed_sizes_are_those_that_lead_back() -> None:
    grid = itertools.product(range(1, 5), range(1, 4), range(1, 4), range(3))
    for kernel, stride, dilation, pad in grid:
        window = make(kernel, stride=stride, dilation=dilation, padding=pad)
        for extra in range(stride):
            try:
                size = window.transposed_output_size((4,), extra)
            except ShapeError:
                continue
            assert window.output_size(size) == (4,)
            assert window.transposed_output_size((4,), 0, size) == size


def test_indices_of_any_kind_are_ints() -> None:
    window = make(
        *np.array([3, 2]), stride=np.int64(2), dilation=[np.int32(1), 1], groups=1
    )
    assert window == make(3, 2, stride=(2, 2))
    values = (*window.kernel_size, *window.stride, *window.dilation, window.groups)
    assert all(type(value) is int for value in values)
    assert all(operator.index(value) == value for value in values)


def test_one_number_in_a_sequence_is_for_all_dimensions() -> None:
    window = make(3, 2, 2, stride=(2,), dilation=[3])
    assert window == make(3, 2, 2, stride=2, dilation=3)
    size = window.transposed_output_size((4, 4, 4), (1,))
    assert size == window.transposed_output_size((4, 4, 4), 1)


def test_windows_are_values() -> None:
    assert len({make(3), make(3), make(3, flip=True), make(3, groups=2)}) == 3
    assert make(3, 3).rank == 2


def test_parameters_fill_the_formula() -> None:
    window = make(3, 2, stride=(1, 2), dilation=(3, 1), padding=((1, 0), (2, 5)))
    assert window.parameters() == {
        "stride_p": 1,
        "dilation_r": 3,
        "pad_p": 1,
        "stride_q": 2,
        "dilation_s": 1,
        "pad_q": 2,
    }
    assert window.formula_text() == (
        "y[n, k, p, q] += x[n, c, p + 3*r - 1, 2*q + s - 2] * w[k, c, r, s]"
    )
    flipped = make(3, flip=True)
    assert flipped.parameters()["R"] == 3
    assert flipped.formula_text() == "y[n, k, p] += x[n, c, p + r] * w[k, c, 2 - r]"


def test_counts_of_a_pooling_window() -> None:
    window = make(3, stride=2, padding=1)
    assert pool_counts(window, (6,), ((0, 0),)) == ((2, 3, 3),)
    assert pool_counts(window, (6,), ((1, 1),)) == ((3, 3, 3),)


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("padding", [(0, 0), (2, 1), (-1, 3)])
def test_counts_are_those_of_a_plain_loop(
    dilation: int, padding: tuple[int, int]
) -> None:
    window = Window.make("test", (3,), stride=2, padding=(padding,), dilation=dilation)
    (size,) = window.output_size((9,))
    for low, high in ((0, 0), (2, 1), (5, 5)):
        plain = tuple(
            sum(-low <= p * 2 + r * dilation - padding[0] < 9 + high for r in range(3))
            for p in range(size)
        )
        assert pool_counts(window, (9,), ((low, high),)) == (plain,)
