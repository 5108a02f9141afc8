"""Compiled pooling and its gradients equal the reference, and PyTorch, exactly."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers import LAYOUTS, Pooling, assert_same, poolings
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeps import amounts

import rot180
from rot180 import ops, reference, runtime

EXAMPLES = 10, 40  # for each of two layouts and two kinds of pooling
PYTORCH = 12, 30


def check_max(pooling: Pooling, x: Any) -> None:
    op = pooling.op("max")
    y, index = reference.evaluate(op, x)
    dy = np.random.default_rng(pooling.seed).integers(-4, 5, y.shape).astype(x.dtype)
    select = ops.MaxSelect(op.window, op.layout, "x", op.input_size)
    (dx,) = reference.evaluate(select, dy, index)
    options = pooling.options | {"dilation": pooling.dilation}
    with runtime.force_schedule(pooling.schedule):
        got = rot180.max_pool(x, pooling.kernel, return_indices=True, **options)
        assert_same(got[0], y, "y")
        assert_same(got[1], index, "index")
        assert_same(rot180.max_pool(x, pooling.kernel, **options), y, "y alone")
        backward = rot180.max_pool_backward
        again = backward(dy, x, pooling.kernel, indices=index, **options)
        assert_same(again, dx, "dx")
        assert_same(backward(dy, x, pooling.kernel, **options), dx, "dx, found again")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("examples", amounts(*EXAMPLES))
def test_max_pooling_with_ties(layout: ops.Layout, examples: int) -> None:
    seen: set[Pooling] = set()

    @settings(max_examples=examples)
    @given(pooling=poolings(layout=layout))
    def law(pooling: Pooling) -> None:
        check_max(pooling, pooling.values())
        seen.add(replace(pooling, seed=0))

    law()
    assert len(seen) >= examples * 0.8


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("examples", amounts(*EXAMPLES))
def test_max_pooling_of_nan_and_infinity(layout: ops.Layout, examples: int) -> None:
    @settings(max_examples=examples // 2)
    @given(pooling=poolings(layout=layout))
    def law(pooling: Pooling) -> None:
        x = pooling.values()
        rng = np.random.default_rng(pooling.seed)
        x[rng.random(x.shape) < 0.2] = -np.inf
        x[rng.random(x.shape) < 0.1] = np.inf
        x[rng.random(x.shape) < 0.2] = np.nan
        check_max(pooling, x)

    law()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("examples", amounts(*EXAMPLES))
def test_average_pooling(layout: ops.Layout, examples: int) -> None:
    seen: set[Pooling] = set()

    @settings(max_examples=examples)
    @given(pooling=poolings(layout=layout), include=st.booleans())
    def law(pooling: Pooling, include: bool) -> None:
        op = pooling.op("sum")
        x = pooling.values()
        (total,) = reference.evaluate(op, x)
        divisor = divisors(pooling, op, include).astype(x.dtype)
        options = pooling.options | {"count_include_pad": include}
        # Multiples of the divisor, so that every share is an integer.
        share = np.random.default_rng(1).integers(-4, 5, total.shape).astype(x.dtype)
        (dx,) = reference.evaluate(replace(op, out="x"), share)
        with runtime.force_schedule(pooling.schedule):
            y = rot180.avg_pool(x, pooling.kernel, **options)
            backward = rot180.avg_pool_backward
            got = backward(share * divisor, x.shape, pooling.kernel, **options)
            by_seven = rot180.avg_pool(x, pooling.kernel, divisor_override=7, **options)
        assert_same(y, total / divisor, "y")
        assert_same(got, dx, "dx")
        assert_same(by_seven, total / x.dtype.type(7), "divided by 7")
        seen.add(replace(pooling, seed=0))

    law()
    assert len(seen) >= examples * 0.8


def divisors(pooling: Pooling, op: ops.WindowSum, include: bool) -> Any:
    """Returns how many positions each window counts, by walking over them."""
    table = np.ones(())
    for dim, (extent, k, step, pad) in enumerate(
        zip(pooling.size, pooling.kernel, pooling.stride, pooling.padding, strict=True)
    ):
        low, high = (-pad, extent + pad) if include else (0, extent)
        starts = [p * step - pad for p in range(op.output_size[dim])]
        counts = [sum(low <= s + r < high for r in range(k)) for s in starts]
        table = table[..., None] * np.maximum(counts, 1)
    return table[..., None] if pooling.layout == "channels_last" else table


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("examples", amounts(*PYTORCH))
def test_pooling_is_pytorchs(torch: ModuleType, rank: int, examples: int) -> None:
    @settings(max_examples=examples)
    @given(
        pooling=poolings(rank=rank, layout="channels_first", dtype="float64"),
        include=st.booleans(),
        override=st.sampled_from([None, 3]),
    )
    def law(pooling: Pooling, include: bool, override: int | None) -> None:
        if rank == 1:
            override = None  # which PyTorch lacks in one dimension
        x = pooling.values()
        for kind, extra in (
            ("max", {"dilation": pooling.dilation}),
            ("avg", {"count_include_pad": include}),
        ):
            options = {k: v for k, v in pooling.options.items() if k != "layout"}
            options |= extra
            if kind == "avg" and override is not None:
                options["divisor_override"] = override
            theirs = torch.tensor(x, requires_grad=True)
            function = getattr(torch.nn.functional, f"{kind}_pool{rank}d")
            expected = function(theirs, pooling.kernel, **options)
            y = getattr(rot180, f"{kind}_pool")(x, pooling.kernel, **options)
            assert_same(y, expected.detach().numpy(), kind)
            dy = np.random.default_rng(2).integers(-4, 5, y.shape).astype(x.dtype)
            dy[np.isinf(y)] = 0  # a window over nothing: PyTorch invents a position
            expected.backward(torch.tensor(dy))
            shape_or_x: Any = x if kind == "max" else x.shape
            backward = getattr(rot180, f"{kind}_pool_backward")
            dx = backward(dy, shape_or_x, pooling.kernel, **options)
            # A share of dy is rounded in another order where windows overlap.
            assert np.allclose(dx, theirs.grad.numpy(), rtol=1e-14, atol=1e-14)

    law()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_batch_and_no_channels(layout: ops.Layout) -> None:
    for images, channels in ((0, 3), (2, 0)):
        shape = ops.image_shape(layout, images, channels, (5, 6))
        x = np.ones(shape, np.float32)
        y, index = rot180.max_pool(x, (2, 2), layout=layout, return_indices=True)
        expected = ops.image_shape(layout, images, channels, (2, 3))
        assert y.shape == index.shape == expected
        assert (y.dtype, index.dtype) == (np.float32, np.int32)
        assert rot180.avg_pool(x, (2, 2), layout=layout).shape == expected
        dx = rot180.max_pool_backward(y, x, (2, 2), layout=layout)
        assert_same(dx, np.zeros(shape, np.float32))
        dx = rot180.avg_pool_backward(y, shape, (2, 2), layout=layout)
        assert_same(dx, np.zeros(shape, np.float32))


def test_without_an_image_axis() -> None:
    x = np.random.default_rng(0).integers(-4, 5, (3, 7, 8)).astype(np.float32)
    dy = np.ones((3, 3, 4), np.float32)
    for name, extra in (("max_pool", x), ("avg_pool", x.shape)):
        alone, batch = getattr(rot180, name), getattr(rot180, f"{name}_backward")
        assert_same(alone(x, (2, 2)), alone(x[None], (2, 2))[0])
        more = x[None] if extra is x else (1, *x.shape)
        assert_same(batch(dy, extra, (2, 2)), batch(dy[None], more, (2, 2))[0])


def test_a_window_that_covers_nothing_is_minus_infinity() -> None:
    x = np.array([[[5.0, 7.0]]])
    y, index = rot180.max_pool(x, 2, padding=2, stride=2, return_indices=True)
    assert y.tolist() == [[[-np.inf, 7.0, -np.inf]]]
    assert index.tolist() == [[[0, 1, 0]]]
