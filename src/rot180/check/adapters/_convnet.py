"""The layers of PyPI's `convnet`, forward and backward, as they are.

Judged: `convnet.Conv2D`, `convnet.MaxPool2D` and `convnet.Activation("relu")`. A call
makes a layer, gives it the filter and the bias as `params["W"]` and `params["b"]`, runs
`forward(x)` and, for gradients, `backward(dy)`; `dw` and `db` are then in `grads`.
Axes are moved, as the layers keep channels last. Padding is one of the layer's words:
`"valid"`, which is also what a padding of 0 means, and `"same"`.

`Conv2D` chooses one of three ways to compute its forward pass. The functions of this
module leave the choice to it: OpenCV for kernels of 3 and 5 with stride 1, else an FFT
for kernels of at least 3 with stride 1, else `im2col` and a matrix product. `opencv`,
`fft` and `im2col` are namespaces with the same functions by one way alone.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import convnet
except ImportError as error:
    raise ImportError(
        "the adapter 'convnet' needs convnet, which is not installed\n"
        "  Run: pip install 'rot180[convnet]'"
    ) from error

Array = NDArray[Any]
Ints = int | Sequence[int]
Axes = int | tuple[int, int]
VERSIONS = ("convnet", "opencv-python", "scipy")
ARITHMETIC = "fft"  # one of the three ways
UNSUPPORTED = {
    "rank 1": "convnet's layers have two spatial dimensions",
    "rank 3": "convnet's layers have two spatial dimensions",
    **dict.fromkeys(
        ("float64", "float16", "bfloat16"), "convnet keeps float32 parameters"
    ),
    "groups": "convnet.Conv2D has no groups",
    "dilation": "convnet's layers have no dilation",
    "no image axis": "convnet's layers have an image axis",
    "flip": "convnet.Conv2D has no option to rotate the filter",
    "ceil_mode": "convnet.MaxPool2D has no ceil_mode",
}
# Where a filter has its output and input channels, and where the layer has them.
_FILTER = ((0, 1), (-1, -2))


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    layout: str = "channels_first",
    way: str = "auto",
) -> Array:
    """`y` of `Conv2D.forward`."""
    with _by(way):
        _, y = _forward(x, w, b, stride, padding, layout, way)
    return _from_last(y, layout)


def conv_backward(
    dy: Array,
    x: Array,
    w: Array,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    layout: str = "channels_first",
    way: str = "auto",
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db` of `Conv2D.backward`."""
    b = np.zeros(w.shape[-1 if layout == "channels_last" else 0], w.dtype)
    with _by(way):
        layer, _ = _forward(x, w, b, stride, padding, layout, way)
        dx = layer.backward(_to_last(dy, layout))
    dw = _from_last(layer.grads["W"], layout, *_FILTER)
    return _from_last(dx, layout), dw, layer.grads["b"]


def _forward(
    x: Array,
    w: Array,
    b: Array | None,
    stride: Ints,
    padding: Any,
    layout: str,
    way: str,
) -> tuple[Any, Array]:
    filters = _to_last(w, layout, *_FILTER)
    kernel = filters.shape[:2]
    layer = convnet.Conv2D(
        filters.shape[-1],
        kernel,
        stride=_one("Conv2D", stride),
        padding=_word(padding),
        use_bias=b is not None,
        use_fft=way in ("auto", "fft"),
    )
    images = _to_last(x, layout)
    layer.build(images.shape)
    layer.params["W"] = filters
    if b is not None:
        layer.params["b"] = np.array(b)
    _check_way(way, kernel, layer.stride)
    return layer, layer.forward(images)


def _check_way(way: str, kernel: tuple[int, ...], stride: int) -> None:
    """Refuse what `Conv2D` would compute in another way than is to be judged."""
    if way == "opencv" and not (stride == 1 and set(kernel) <= {3, 5}):
        raise NotImplementedError(
            "convnet.Conv2D uses OpenCV only for kernels of 3 and 5 with stride 1"
        )
    if way == "fft" and not (stride == 1 and min(kernel) >= 3):
        raise NotImplementedError(
            "convnet.Conv2D uses an FFT only for kernels of 3 and more with stride 1"
        )


@contextmanager
def _by(way: str) -> Iterator[None]:
    """Without OpenCV where another way is asked for, as `NN_DISABLE_OPENCV=1` does."""
    backend = convnet.jax_backend
    before = backend.USE_OPENCV
    backend.USE_OPENCV = before and way in ("auto", "opencv")
    try:
        yield
    finally:
        backend.USE_OPENCV = before


def max_pool(
    x: Array,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    layout: str = "channels_first",
) -> Array:
    """`y` of `MaxPool2D.forward`."""
    layer = _max_pool(kernel_size, stride, padding)
    return _from_last(layer.forward(_to_last(x, layout)), layout)


def max_pool_backward(
    dy: Array,
    x: Array,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    layout: str = "channels_first",
) -> Array:
    """`dx` of `MaxPool2D.backward`."""
    layer = _max_pool(kernel_size, stride, padding)
    layer.forward(_to_last(x, layout))
    return _from_last(layer.backward(_to_last(dy, layout)), layout)


def _max_pool(kernel_size: Ints, stride: Ints | None, padding: Any) -> Any:
    if padding == "same" or _word(padding) != "valid":
        raise NotImplementedError("convnet.MaxPool2D has no padding")
    size = (kernel_size,) * 2 if isinstance(kernel_size, int) else tuple(kernel_size)
    step = _one("MaxPool2D", size if stride is None else stride)
    return convnet.MaxPool2D(size, step)


def relu(x: Array) -> Array:
    """`y` of `Activation("relu").forward`."""
    return np.asarray(convnet.Activation("relu").forward(x))


def relu_backward(dy: Array, x: Array) -> Array:
    """`dx` of `Activation("relu").backward`."""
    layer = convnet.Activation("relu")
    layer.forward(x)
    return np.asarray(layer.backward(dy))


def _one(layer: str, stride: Ints) -> int:
    """The stride, which a layer has in common for both dimensions."""
    values = {stride} if isinstance(stride, int) else set(stride)
    if len(values) > 1:
        raise NotImplementedError(f"convnet.{layer} has one stride for both dimensions")
    return values.pop()


def _word(padding: Any) -> str:
    if padding in ("valid", "same"):
        return str(padding)
    if isinstance(padding, str):
        raise NotImplementedError(f"convnet.Conv2D has no padding {padding!r}")
    if np.any(padding):
        raise NotImplementedError("convnet's layers take only words for padding")
    return "valid"


def _to_last(array: Array, layout: str, first: Axes = 1, last: Axes = -1) -> Array:
    """The array with its channels last; those of a filter are two axes."""
    moved = array if layout == "channels_last" else np.moveaxis(array, first, last)
    return np.array(moved, order="C")


def _from_last(array: Array, layout: str, first: Axes = 1, last: Axes = -1) -> Array:
    return _to_last(array, layout, last, first)


def _way(name: str, arithmetic: str = "exact") -> SimpleNamespace:
    """The functions of the convolution by one way alone."""
    return SimpleNamespace(
        conv=partial(conv, way=name),
        conv_backward=partial(conv_backward, way=name),
        UNSUPPORTED=UNSUPPORTED,
        VERSIONS=VERSIONS,
        ARITHMETIC=arithmetic,
    )


opencv, fft, im2col = _way("opencv"), _way("fft", "fft"), _way("im2col")
