"""An array of extent 0 with a meaning is returned: no images, channels, positions."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import nn
from rot180.errors import ShapeError

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


def whole(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-3, 4, shape).astype("f")


def passes(
    x: Array, w: Array, b: Array, transposed: bool = False, **window: Any
) -> list[Array]:
    """The output and the gradients by `x`, `w` and `b`, in one step and without."""
    conv = rot180.conv_transpose if transposed else rot180.conv

    def loss(params: dict[str, Array]) -> Any:
        y = conv(params["x"], params["w"], params["b"], **window)
        return (y * 2).sum()

    params = {"x": x, "w": w, "b": b}
    grads = rot180.grad(loss)(params)
    compiled = rot180.jit(rot180.grad(loss))(params)
    for name, value in params.items():
        assert grads[name].shape == value.shape
        np.testing.assert_array_equal(grads[name], compiled[name])
    y = conv(x, w, b, **window)
    return [y, *(grads[name] for name in "xwb")]


def assert_as_reference(call: Callable[[], list[Array]]) -> list[Array]:
    got = call()
    with rot180.runtime.force_reference():
        want = call()
    for one, other in zip(got, want, strict=True):
        np.testing.assert_array_equal(one, other)
    return got


# JAX's table of dilated convolutions, of which most outputs are empty.
WIDTHS = [
    *itertools.product(
        [0, 10], [(1, 1), (2, 1)], [((1, 2), (2, 0)), ((0, -1), (-2, 1))], [1, 2, 4]
    )
]


@pytest.mark.parametrize(("width", "stride", "padding", "dilation"), WIDTHS)
def test_no_window_fits(width: int, stride: Any, padding: Any, dilation: int) -> None:
    if width == 0 and padding[1][0] < 0:
        padding = (padding[0], (0, 1))  # there is nothing to crop
    rng = np.random.default_rng(width)
    x, w, b = whole(rng, 2, 3, 9, width), whole(rng, 2, 3, 4, 5), whole(rng, 2)
    window = {"stride": stride, "padding": padding, "dilation": (1, dilation)}
    y, *_ = assert_as_reference(lambda: passes(x, w, b, **window))
    fitting = [
        sum(p * step + (k - 1) * d < n + low + high for p in range(99))
        for n, (low, high), step, d, k in zip(
            (9, width), padding, stride, (1, dilation), (4, 5), strict=True
        )
    ]
    assert y.shape == (2, 2, *fitting)


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_extent_may_be_zero(rank: int, layout: Any) -> None:
    rng = np.random.default_rng(rank)
    for zero, transposed in itertools.product(range(3 + rank), [False, True]):
        n, c, k, *size = (0 if axis == zero else 2 for axis in range(3 + rank))
        x, b = whole(rng, n, c, *size), whole(rng, k)
        w = whole(rng, *((c, k) if transposed else (k, c)), *(3,) * rank)
        if layout == "channels_last":
            x, w = np.moveaxis(x, 1, -1), np.moveaxis(w, (0, 1), (-1, -2))
        window: dict[str, Any] = {"padding": 1, "stride": 2, "layout": layout}
        y, *_ = assert_as_reference(
            lambda x=x, w=w, b=b, t=transposed, o=window: passes(x, w, b, t, **o)
        )
        assert (y.size == 0) == (0 in (n, k, *size))


def test_nothing_to_sum_leaves_the_bias() -> None:
    b = np.array([3.0, 4.0], "f")
    x, w = np.ones((2, 0, 5), "f"), np.ones((2, 0, 3), "f")
    assert np.array_equal(rot180.conv(x, w, b), np.tile(b[:, None], (2, 1, 3)))
    x, w = np.ones((2, 1, 0), "f"), np.ones((1, 2, 3), "f")
    y = rot180.conv_transpose(x, w, b)
    assert np.array_equal(y, np.tile(b[:, None], (2, 1, 2)))


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, 2),
        ({"stride": 2}, 1),
        ({"stride": 2, "output_padding": 1}, 2),
        ({"padding": 3}, 0),
        ({"padding": -2}, 6),
        ({"stride": 3, "padding": 5, "output_size": (0,)}, 0),
        ({"stride": 7, "padding": ((-3, -3),)}, 2),
    ],
)
def test_the_transposed_convolution_of_nothing(options: Any, size: int) -> None:
    x, w = np.ones((1, 2, 0), "f"), np.ones((2, 1, 3), "f")
    y = rot180.conv_transpose(x, w, **options)
    assert np.array_equal(y, np.zeros((1, 1, size), "f"))
    dx = rot180.grad(lambda x: rot180.conv_transpose(x, w, **options).sum())(x)
    assert dx.shape == x.shape


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize("name", ["max_pool", "avg_pool"])
@pytest.mark.parametrize(
    ("shape", "options", "size"),
    [
        ((0, 2, 5, 4), {}, (2, 2)),
        ((2, 0, 5, 4), {}, (2, 2)),
        ((2, 2, 0, 4), {}, (0, 2)),
        ((2, 2, 0, 4), {"padding": 1}, (1, 3)),
        ((2, 2, 0, 4), {"ceil_mode": True}, (0, 2)),
        ((2, 2, 5, 4), {"padding": ((-2, -3), 0)}, (0, 2)),
    ],
)
def test_pooling(
    name: str, shape: Shape, options: Any, size: Shape, layout: Any
) -> None:
    x = np.ones(shape, "f")
    if layout == "channels_last":
        x = np.moveaxis(x, 1, -1)
    pool, back = getattr(rot180, name), getattr(rot180, f"{name}_backward")

    def calls() -> list[Array]:
        y = pool(x, 2, layout=layout, **options)
        given = x if name == "max_pool" else x.shape
        dx = back(np.ones_like(y), given, 2, layout=layout, **options)
        grad = rot180.grad(lambda x: pool(x, 2, layout=layout, **options).sum())
        np.testing.assert_array_equal(dx, grad(x))
        np.testing.assert_array_equal(dx, rot180.jit(grad)(x))
        return [y, dx]

    y, dx = assert_as_reference(calls)
    assert np.moveaxis(y, -1 if layout == "channels_last" else 1, 1).shape == (
        *shape[:2], *size,
    )  # fmt: skip
    assert dx.shape == x.shape


@pytest.mark.parametrize("call", [nn.Conv2d(1, 1, 3), nn.MaxPool2d(3), nn.AvgPool2d(3)])
def test_layers_refuse_an_image_smaller_than_the_window(call: nn.Module) -> None:
    """As PyTorch; `conv` by itself has an output without positions, as JAX."""
    params, state = call.init(0)
    with pytest.raises(ShapeError, match=r"'q' has extent 0\n(.*\n)+.*spans 3"):
        call.apply(params, state, np.ones((1, 1, 5, 2), "f"), training=False)
    y, _ = call.apply(params, state, np.ones((1, 1, 5, 0), "f"), training=False)
    assert y.size == 0


LAYERS: list[tuple[str, tuple[Any, ...], Shape]] = [
    ("Conv1d", (4, 6, 3), (0, 4, 7)),
    ("Conv2d", (4, 6, 3, 2), (0, 4, 7, 7)),
    ("ConvTranspose2d", (4, 6, 3, 2), (0, 4, 5, 5)),
    ("BatchNorm1d", (4,), (0, 4)),
    ("BatchNorm2d", (4,), (0, 4, 3, 3)),
    ("BatchNorm3d", (4,), (2, 4, 3, 0, 3)),
    ("MaxPool2d", (2,), (0, 4, 5, 5)),
    ("AvgPool3d", (2,), (0, 4, 5, 5, 5)),
    ("Linear", (0, 3), (2, 0)),
    ("Linear", (3, 0), (2, 3)),
    ("Linear", (3, 2), (0, 5, 3)),
    ("ReLU", (), (0, 3)),
    ("Flatten", (), (0, 3, 4)),
    ("Flatten", (2,), (2, 3, 0, 4)),
]


@pytest.mark.filterwarnings("ignore:Initializing zero-element:UserWarning")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
def test_layers_take_what_pytorchs_take(
    name: str, args: Any, shape: Shape, training: bool, torch: Any
) -> None:
    theirs = getattr(torch.nn, name)(*args).train(training)
    ours = getattr(nn, name)(*args)
    arrays = {key: t.numpy().copy() for key, t in theirs.state_dict().items()}
    assert ours.names() == list(arrays)
    params, state = ours.load_state_dict(arrays)
    want = theirs(torch.ones(shape))
    got, after = ours.apply(params, state, np.ones(shape, "f"), training=training)
    np.testing.assert_array_equal(got, want.detach().numpy())
    for key, value in ours.state_dict(params, after).items():
        np.testing.assert_array_equal(value, theirs.state_dict()[key].numpy())
    if want.requires_grad:
        want.sum().backward()

        def loss(params: Any) -> Any:
            y, _ = ours.apply(params, state, np.ones(shape, "f"), training=training)
            return y.sum()

        grads = rot180.grad(loss)(params)
        for key, parameter in theirs.named_parameters():
            np.testing.assert_array_equal(grads[key], parameter.grad.numpy())


@pytest.mark.parametrize("layer", [nn.Conv2d(0, 6, 3), nn.Conv2d(6, 0, 3)])
def test_layers_without_channels(layer: nn.Conv2d) -> None:
    params, state = layer.init(0)
    assert params["weight"].size == 0
    x = np.ones((2, layer.in_channels, 5, 5), "f")
    y, _ = layer.apply(params, state, x, training=True)
    bias = params["bias"].reshape(-1, 1, 1)
    assert np.array_equal(y, np.broadcast_to(bias, (2, layer.out_channels, 3, 3)))


@pytest.mark.parametrize(
    ("dy", "w", "x"),
    [
        ((0, 4, 4, 4), (4, 3, 3, 3), (0, 3, 6, 6)),
        ((2, 4, 0, 4), (4, 3, 3, 3), (2, 3, 0, 6)),
        ((2, 4, 4, 4), (4, 0, 3, 3), (2, 0, 6, 6)),
        ((2, 0, 4, 4), (0, 3, 3, 3), (2, 3, 6, 6)),
    ],
)
def test_a_shape_asked_of_a_gradient_may_hold_zeros(
    dy: tuple[int, ...], w: tuple[int, ...], x: tuple[int, ...]
) -> None:
    slopes, filters, images = (np.ones(shape, "f") for shape in (dy, w, x))
    assert rot180.conv_input_grad(slopes, filters, x).shape == x
    assert rot180.conv_weight_grad(slopes, images, w).shape == w
