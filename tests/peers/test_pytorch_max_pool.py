"""What PyTorch's tests of maximum pooling promise about NaN, infinities and corners.

Its results are written out, so that they are promised where PyTorch is not installed.
"""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import runtime

NAN, INF = np.nan, np.inf
ENGINES = pytest.mark.parametrize(
    "engine", [nullcontext, runtime.force_reference], ids=["compiled", "reference"]
)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])


@ENGINES
@DTYPES
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("value", "tap"), [(NAN, -1), (-INF, 0), (INF, 0)])
def test_an_image_of_one_value(
    engine: Any, dtype: str, rank: int, value: float, tap: int
) -> None:
    x = np.full((1, 1, *[3] * rank), value, dtype)
    kernel = (3,) * rank
    with engine():
        y, index = rot180.max_pool(x, kernel, return_indices=True)
        dx = rot180.max_pool_backward(np.ones_like(y), x, kernel)
        jitted = rot180.jit(rot180.grad(lambda x: rot180.max_pool(x, kernel).sum()))(x)
    np.testing.assert_array_equal(y.ravel(), [value])
    place = tap % 3**rank  # the last of several NaN stands, the first of equal numbers
    assert index.ravel().tolist() == [place]
    expected = np.zeros(3**rank)
    expected[place] = 1
    assert dx.ravel().tolist() == jitted.ravel().tolist() == expected.tolist()


# One window of three: its maximum, and the tap at which it stands.
WINDOWS = [
    ([NAN, 1, 2], NAN, 0),
    ([1, NAN, 2], NAN, 1),
    ([1, 2, NAN], NAN, 2),
    ([NAN, 1, NAN], NAN, 2),
    ([NAN, NAN, 1], NAN, 1),
    ([INF, NAN, INF], NAN, 1),
    ([NAN, INF, 0], NAN, 0),
    ([-INF, NAN, -INF], NAN, 1),
    ([-INF, -INF, 0], 0, 2),
    ([-INF, -INF, -INF], -INF, 0),
    ([1, INF, INF], INF, 1),
    ([-INF, INF, 1], INF, 1),
    ([-0.0, 0.0, -1], 0, 0),
]


@ENGINES
@DTYPES
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_windows_of_three(engine: Any, dtype: str, layout: Any) -> None:
    x = np.array([values for values, _, _ in WINDOWS], dtype)
    x = x[None] if layout == "channels_first" else x.T[None]  # each a channel
    with engine():
        y, index = rot180.max_pool(x, 3, layout=layout, return_indices=True)
    np.testing.assert_array_equal(y.ravel(), [largest for _, largest, _ in WINDOWS])
    assert index.ravel().tolist() == [tap for _, _, tap in WINDOWS]


@ENGINES
@pytest.mark.parametrize(
    ("x", "options", "expected"),
    [
        ([[1]], {"kernel_size": 1}, [[1]]),
        ([[1]], {"kernel_size": 2, "padding": 1, "dilation": 2}, [[-INF]]),
        (
            [[1], [1]],
            {"kernel_size": 2, "padding": 1, "dilation": 2},
            [[-INF], [-INF]],
        ),
        (
            [[1, 2]],
            {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 2},
            [[2, 1]],
        ),
        (
            [[1, 2]],
            {"kernel_size": 2, "padding": 1, "dilation": 2, "ceil_mode": True},
            [[2, 2]],
        ),
        ([[-INF, NAN, -1]], {"kernel_size": 2, "stride": 1}, [[NAN, NAN]]),
        (
            [[-INF, -INF]],
            {"kernel_size": 3, "stride": 1, "padding": 1},
            [[-INF, -INF]],
        ),
    ],
)
def test_corners(engine: Any, x: Any, options: dict[str, Any], expected: Any) -> None:
    with engine():
        y = rot180.max_pool(np.array([x], np.float64), **options)
    np.testing.assert_array_equal(y, [expected])


@ENGINES
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_where_the_maxima_of_counted_positions_stand(engine: Any, rank: int) -> None:
    x = np.arange(4.0 ** (rank + 1)).reshape(2, 2, *[4] * rank)
    with engine():
        y, index = rot180.max_pool(x, (2,) * rank, return_indices=True)
        dx = rot180.max_pool_backward(np.ones_like(y), x, (2,) * rank, indices=index)
    last = (..., *[slice(1, None, 2)] * rank)
    assert (index == 2**rank - 1).all()
    np.testing.assert_array_equal(y, x[last])
    expected = np.zeros_like(x)
    expected[last] = 1
    np.testing.assert_array_equal(dx, expected)
