"""Temporaries lie as kernels like them, not as the user's arrays do."""

from typing import Any

import numpy as np
import pytest
from fused_networks import assert_same_bits, one_by_one

import rot180
from rot180 import functional as F
from rot180.autograd._jit import trace_call
from rot180.autograd._layout import strides_of
from rot180.autograd._program import prepare

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_what_passes_from_one_convolution_to_the_next_lies_channels_last(
    rank: int,
) -> None:
    x = RNG.standard_normal((2, 3, *(5,) * rank)).astype("float32")
    w = RNG.standard_normal((3, 3, *(3,) * rank)).astype("float32")

    def network(x: Any) -> Any:
        y = F.relu(F.conv(x, w, padding=1) * 2.0)
        return F.conv(F.max_pool(y, (2,) * rank), w, padding=1)

    trace = trace_call(network, x)
    program = prepare(trace.graph, trace.inputs, trace.results)
    images = [p for p in program.memory.places if p.type.ndim == rank + 2]
    assert len(images) == 4  # the convolution, the formula, the pooling and its indices
    for place in images:
        assert place.strides[1] == min(place.strides)
    assert_same_bits([rot180.jit(network)(x)], one_by_one(network, x))


def test_networks_that_are_channels_last_stay_so() -> None:
    x = RNG.standard_normal((2, 5, 5, 3)).astype("float32")
    w = RNG.standard_normal((3, 3, 3, 3)).astype("float32")

    def network(x: Any) -> Any:
        y = F.relu(F.conv(x, w, layout="channels_last") * 2.0)
        return F.conv(y, w, layout="channels_last")

    trace = trace_call(network, x)
    program = prepare(trace.graph, trace.inputs, trace.results)
    for place in program.memory.places:
        assert place.strides == strides_of(place.type.shape, None, 4)


def test_flattening_reads_in_logical_order() -> None:
    x = RNG.standard_normal((2, 3, 6, 6)).astype("float32")
    w = RNG.standard_normal((4, 3, 3, 3)).astype("float32")

    def network(x: Any) -> Any:
        y = F.max_pool(F.conv(x, w), 2)
        return F.flatten(y) * 2.0, F.mean(y, (2, 3)) * 2.0, F.total(y), y[:, 1] * 3.0

    assert_same_bits(rot180.jit(network)(x), one_by_one(network, x))


def test_strides_follow_the_order_of_axes() -> None:
    assert strides_of((2, 3, 4, 5), None, 4) == (240, 80, 20, 4)
    assert strides_of((2, 3, 4, 5), (0, 2, 3, 1), 4) == (240, 4, 60, 12)
    assert strides_of((2, 0, 4), (0, 2, 1), 1) == (4, 1, 1)
