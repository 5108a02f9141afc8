"""Code of many forms for the checks to run, all of it around one plain convolution."""

from pathlib import Path

import numpy as np

NAIVE = """
import numpy as np


def forward(x, w, b, stride, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    r, s = w.shape[2:]
    height = (x.shape[2] - r) // stride + 1
    width = (x.shape[3] - s) // stride + 1
    y = np.zeros((len(x), len(w), height, width), x.dtype)
    for p in range(height):
        for q in range(width):
            tile = x[:, :, p * stride : p * stride + r, q * stride : q * stride + s]
            y[:, :, p, q] = np.einsum("ncrs,kcrs->nk", tile, w) + b
    return y


def backward(dy, x, w, stride, pad):
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    r, s = w.shape[2:]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for p in range(dy.shape[2]):
        for q in range(dy.shape[3]):
            rows = slice(p * stride, p * stride + r)
            cols = slice(q * stride, q * stride + s)
            dw += np.einsum("nk,ncrs->kcrs", dy[:, :, p, q], x[:, :, rows, cols])
            dx[:, :, rows, cols] += np.einsum("nk,kcrs->ncrs", dy[:, :, p, q], w)
    inner = dx[:, :, pad : dx.shape[2] - pad, pad : dx.shape[3] - pad]
    return inner, dw, dy.sum((0, 2, 3))
"""

COURSE = (
    NAIVE
    + """

def conv_forward_naive(x, w, b, conv_param):
    y = forward(x, w, b, conv_param["stride"], conv_param["pad"])
    return y, (x, w, b, conv_param)


def conv_backward_naive(dout, cache):
    x, w, b, conv_param = cache
    return backward(dout, x, w, conv_param["stride"], conv_param["pad"])


def conv_forward_fast(x, w, b, conv_param):
    raise AssertionError("not this one")


conv_backward_fast = conv_backward_naive


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    return dout * (cache > 0)


def max_pool_forward_naive(x, pool_param):
    h, w, s = (pool_param[k] for k in ("pool_height", "pool_width", "stride"))
    shape = (*x.shape[:2], (x.shape[2] - h) // s + 1, (x.shape[3] - w) // s + 1)
    y = np.zeros(shape, x.dtype)
    for p, q in np.ndindex(shape[2:]):
        y[:, :, p, q] = x[:, :, p * s : p * s + h, q * s : q * s + w].max((2, 3))
    return y, (x, pool_param)


def max_pool_backward_naive(dout, cache):
    return np.zeros_like(cache[0])
"""
)

CHANNELS_LAST = (
    NAIVE
    + """

def conv_forward(A_prev, W, b, hparameters):
    x, w = A_prev.transpose(0, 3, 1, 2), W.transpose(3, 2, 0, 1)
    y = forward(x, w, b[0, 0, 0], hparameters["stride"], hparameters["pad"])
    return y.transpose(0, 2, 3, 1), (A_prev, W, b, hparameters)


def conv_backward(dZ, cache):
    A_prev, W, b, hparameters = cache
    dy, x = dZ.transpose(0, 3, 1, 2), A_prev.transpose(0, 3, 1, 2)
    steps = hparameters["stride"], hparameters["pad"]
    dx, dw, db = backward(dy, x, W.transpose(3, 2, 0, 1), *steps)
    return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db.reshape(1, 1, 1, -1)
"""
)

BY_NUMBERS = (
    NAIVE
    + '''

class Conv2D:
    """Hyper-parameters by other names, gradients as attributes."""

    def __init__(self, in_c, num_filters, filter_size, stride=1, pad=0):
        self.stride, self.pad = stride, pad
        self.weights = np.random.randn(num_filters, in_c, filter_size, filter_size)
        self.bias = np.zeros((1, num_filters))

    def forward(self, x):
        self.x = x
        return forward(x, self.weights, self.bias[0], self.stride, self.pad)

    def backward(self, dout):
        w = self.weights
        dx, self.d_weights, db = backward(dout, self.x, w, self.stride, self.pad)
        self.d_bias = db[None]
        return dx


class ReLU:
    def forward(self, x):
        return np.maximum(x, 0)

    def backward(self, dout):
        return dout
'''
)

BY_ARRAYS = (
    NAIVE
    + """

class Convolution:
    def __init__(self, W, b, stride=1, pad=0):
        self.W, self.b, self.stride, self.pad = W, b, stride, pad
        self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return forward(x, self.W, self.b, self.stride, self.pad)

    def backward(self, dout):
        dx, self.dW, self.db = backward(dout, self.x, self.W, self.stride, self.pad)
        return dx
"""
)


def naive() -> dict[str, object]:
    """Returns the functions `forward` and `backward` that all forms are made of."""
    names: dict[str, object] = {}
    exec(NAIVE, names)
    return names


def integers(*shape: int, seed: int = 0) -> np.ndarray:
    """Returns small integers held in floats, so that results are exact."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype("float32")


def write(folder: Path, text: str, name: str = "my_conv.py") -> str:
    """Writes a subject and returns its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)
