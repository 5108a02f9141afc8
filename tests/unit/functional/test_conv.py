"""The convolution family: options, gradients, and the short way of a repeated call."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, ops, reference, runtime
from rot180.functional import _conv as module
from rot180.ops import Window

Array = np.ndarray[Any, Any]
rng = np.random.default_rng(0)


def whole(*shape: int) -> Array:
    return rng.integers(-4, 5, shape).astype(np.float32)


X, W, B = whole(2, 4, 7, 6), whole(6, 4, 3, 2), whole(6)
OPTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "stride": {"stride": 2},
    "stride per dimension": {"stride": (2, 1)},
    "a list": {"stride": [1, 2], "padding": [(1, 0), (0, 2)]},
    "dilation": {"dilation": (2, 3)},
    "negative padding": {"padding": ((-1, 1), (0, -1))},
    "same": {"padding": "same"},
    "same, strided": {"padding": "same", "stride": 2},
    "full": {"padding": "full"},
    "causal": {"padding": "causal"},
    "flip": {"flip": True, "padding": 1},
    "direct": {"algorithm": "direct"},
}


def last(array: Array) -> Array:
    """Channels first to channels last."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def filter_last(w: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(w, (0, 1), (-1, -2)))


def op_of(**options: Any) -> ops.Conv:
    plain = {k: v for k, v in options.items() if k != "algorithm"}
    window = Window.make("test", (3, 2), input_size=(7, 6), **plain)
    return ops.Conv(window, "channels_first", "y", (7, 6))


@pytest.mark.parametrize("name", OPTIONS)
def test_all_passes_are_what_the_reference_says(name: str) -> None:
    options = OPTIONS[name]
    forward = op_of(**options)
    (want,) = reference.evaluate(forward, X, W)
    dy = whole(*want.shape)
    backward = {
        out: reference.evaluate(
            ops.Conv(forward.window, "channels_first", out, (7, 6)),  # type: ignore[arg-type]
            *operands,
        )[0]
        for out, operands in (("x", (dy, W)), ("w", (dy, X)))
    }
    for _ in range(2):  # the long way, then the short one
        biased = rot180.conv(X, W, B, **options)
        np.testing.assert_array_equal(biased, want + B[:, None, None])
        np.testing.assert_array_equal(rot180.conv(X, W, **options), want)
        dx = rot180.conv_input_grad(dy, W, X.shape, **options)
        np.testing.assert_array_equal(dx, backward["x"])
        dw = rot180.conv_weight_grad(dy, X, W.shape, **options)
        np.testing.assert_array_equal(dw, backward["w"])
        dx, dw, db = rot180.conv_backward(dy, X, W, **options)
        np.testing.assert_array_equal(dx, backward["x"])
        np.testing.assert_array_equal(dw, backward["w"])
        np.testing.assert_array_equal(db, dy.sum((0, 2, 3)))


@pytest.mark.parametrize("name", OPTIONS)
def test_channels_last_is_the_same_with_the_channels_last(name: str) -> None:
    options = OPTIONS[name] | {"layout": "channels_last"}
    y = rot180.conv(X, W, B, **OPTIONS[name])
    x, w, dy = last(X), filter_last(W), whole(*y.shape)
    np.testing.assert_array_equal(rot180.conv(x, w, B, **options), last(y))
    dx, dw, db = rot180.conv_backward(dy, X, W, **OPTIONS[name])
    found = rot180.conv_backward(last(dy), x, w, **options)
    for got, want in zip(found, (last(dx), filter_last(dw), db), strict=True):
        np.testing.assert_array_equal(got, want)


def test_groups_do_not_see_each_other() -> None:
    w = whole(6, 2, 3, 2)
    y = rot180.conv(X, w, groups=2)
    for group in range(2):
        own = rot180.conv(X[:, 2 * group : 2 * group + 2], w[3 * group : 3 * group + 3])
        np.testing.assert_array_equal(y[:, 3 * group : 3 * group + 3], own)


@pytest.mark.parametrize(
    "needs", [(), ("bias",), ("input",), ("weight", "bias"), ["input", "weight"]]
)
def test_gradients_that_are_not_needed_are_none(needs: Any) -> None:
    dy = whole(2, 6, 5, 5)
    every = dict(
        zip(("input", "weight", "bias"), rot180.conv_backward(dy, X, W), strict=True)
    )
    for _ in range(2):
        found = rot180.conv_backward(dy, X, W, needs=needs)
        for name, got in zip(every, found, strict=True):
            if name in needs:
                np.testing.assert_array_equal(got, every[name])
            else:
                assert got is None


def test_the_transposed_convolution_is_the_input_gradient_used_forward() -> None:
    down = whole(4, 3, 3, 2)
    for options in ({}, {"stride": 2, "padding": 1}, {"dilation": 2}):
        y = rot180.conv_transpose(X, down, **options)  # type: ignore[arg-type]
        want = rot180.conv_input_grad(X, down, y.shape, **options)  # type: ignore[arg-type]
        np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_the_transposed_convolution_reaches_any_size(layout: Any) -> None:
    down, bias = whole(4, 3, 3, 2), whole(3)
    x, w = X, down
    if layout == "channels_last":
        x, w = last(X), filter_last(down)
    sizes = {rot180.conv_transpose(x, w, stride=2, layout=layout).shape}
    wider = rot180.conv_transpose(x, w, bias, stride=2, output_padding=1, layout=layout)
    sizes.add(wider.shape)
    spatial = wider.shape[2:] if layout == "channels_first" else wider.shape[1:-1]
    same = rot180.conv_transpose(
        x, w, bias, stride=2, output_size=spatial, layout=layout
    )
    assert len(sizes) == 2
    np.testing.assert_array_equal(same, wider)


def test_a_rotation_reverses_the_spatial_axes() -> None:
    np.testing.assert_array_equal(rot180.rot180(W), W[:, :, ::-1, ::-1])
    w = filter_last(W)
    turned = rot180.rot180(w, layout="channels_last")
    np.testing.assert_array_equal(turned, w[::-1, ::-1])
    np.testing.assert_array_equal(rot180.rot180(W[0, 0]), W[0, 0, ::-1, ::-1])


# ---------------------------------------------------------------- the short way


@pytest.fixture(autouse=True)
def fresh() -> None:
    """No call is remembered when a test begins."""
    with runtime.force_schedule(0):
        pass


def remembered() -> int:
    tables = (module._forward, module._input_grad, module._weight_grad)
    return sum(map(len, (*tables, module._bias_grad, module._backward)))


def test_a_repeated_call_skips_every_check(monkeypatch: pytest.MonkeyPatch) -> None:
    y, dy = rot180.conv(X, W, B), whole(2, 6, 5, 5)
    grads = rot180.conv_backward(dy, X, W)
    monkeypatch.delattr(ops, "conv_op")
    monkeypatch.delattr(ops, "conv_input_grad_op")
    np.testing.assert_array_equal(rot180.conv(X, W, B), y)
    again = rot180.conv_backward(dy, X, W)
    for got, want in zip(again, grads, strict=True):
        np.testing.assert_array_equal(got, want)


def test_whatever_changes_the_result_is_part_of_the_key() -> None:
    w = whole(4, 4, 3, 3)
    calls: list[dict[str, Any]] = [
        {}, {"stride": 2}, {"padding": 1}, {"dilation": 2}, {"flip": True},
    ]  # fmt: skip
    for options in calls:
        rot180.conv(X, w, **options)
        rot180.conv(X, w, whole(4), **options)
    assert len(module._forward) == 2 * len(calls)
    rot180.conv(X.astype("float64"), w.astype("float64"))
    rot180.conv(X[:1], w)
    rot180.conv(X.transpose(0, 1, 3, 2), w)
    rot180.conv(X, w.transpose(0, 1, 3, 2))
    assert len(module._forward) == 2 * len(calls) + 4


def test_lists_are_options_like_any_other() -> None:
    want = rot180.conv(X, W, stride=(2, 1), padding=((1, 0), (0, 0)))
    got = rot180.conv(X, W, stride=[2, 1], padding=[[1, 0], [0, 0]])
    np.testing.assert_array_equal(got, want)
    assert len(module._forward) == 2


def test_one_number_in_a_sequence_is_for_all_dimensions() -> None:
    each: dict[str, Any] = {"stride": 2, "padding": 1, "dilation": 2}
    alone = {name: (value,) for name, value in each.items()}
    y = rot180.conv(X, W, **alone)
    np.testing.assert_array_equal(y, rot180.conv(X, W, **each))
    for got, want in zip(
        rot180.conv_backward(y, X, W, **alone),
        rot180.conv_backward(y, X, W, **each),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)
    got = rot180.conv_transpose(y, W, **alone, output_padding=[1])
    np.testing.assert_array_equal(
        got, rot180.conv_transpose(y, W, **each, output_padding=1)
    )
    np.testing.assert_array_equal(
        rot180.max_pool(X, (2,), stride=(1,)), rot180.max_pool(X, 2, stride=1)
    )


def test_arrays_that_had_to_be_copied_are_not_remembered() -> None:
    swapped = X.astype(">f4")
    np.testing.assert_array_equal(rot180.conv(swapped, W), rot180.conv(X, W))
    assert len(module._forward) == 1
    backwards = np.ascontiguousarray(X[:, :, ::-1])[:, :, ::-1]
    np.testing.assert_array_equal(rot180.conv(backwards, W), rot180.conv(X, W))
    assert len(module._forward) == 1


def test_a_changed_setting_forgets_every_call() -> None:
    rot180.conv(X, W)
    rot180.conv_backward(whole(2, 6, 5, 5), X, W)
    assert remembered() > 3
    with runtime.force_schedule(1):
        assert remembered() == 0
        rot180.conv(X, W)
    assert remembered() == 0


def test_there_is_an_end_to_what_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from rot180.functional import _calls

    monkeypatch.setattr(_calls, "_MOST", 3)
    for n in range(1, 9):
        rot180.conv(np.ones((n, 1, 2, 2), "float32"), np.ones((1, 1, 2, 2), "float32"))
        assert len(module._forward) <= 3


def test_the_reference_is_not_remembered() -> None:
    with runtime.force_reference():
        y = rot180.conv(X, W)
        assert remembered() == 0
    np.testing.assert_array_equal(rot180.conv(X, W), y)


def test_tracing_an_array_and_running_one_do_not_mix() -> None:
    def loss(w: Any) -> Any:
        return (rot180.conv(X, w) * 1.0).sum()

    dw = rot180.grad(loss)(W)
    want = rot180.conv_weight_grad(np.ones((2, 6, 5, 5), "float32"), X, W.shape)
    np.testing.assert_array_equal(dw, want)
    traced = rot180.jit(lambda x, w: rot180.conv(x, w, stride=2))(X, W)
    np.testing.assert_array_equal(traced, rot180.conv(X, W, stride=2))


def test_functional_and_the_package_offer_the_same() -> None:
    for name in ("conv", "conv_backward", "conv_transpose", "rot180"):
        assert getattr(functional, name) is getattr(rot180, name)
