"""Code in the styles that people have it in, right and wrong."""

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from unit.check.subjects import COURSE, integers, naive

from rot180.check.subjects._invoke import Call, Earlier, invoke
from rot180.check.subjects._outcome import Values
from rot180.check.subjects._subject import describe

X, W, B = integers(2, 3, 5, 6), integers(4, 3, 2, 2, seed=1), integers(4, seed=2)
DY = integers(2, 4, 4, 5, seed=3)

LAYER = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

class Conv2D:
    def __init__(self, in_channels, out_channels, kernel_size=3):
        shape = out_channels, in_channels, kernel_size, kernel_size
        self.params = {"W": np.zeros(shape), "b": np.zeros(out_channels)}
        self.grads = {}

    def forward(self, x):
        w = self.params["W"]
        self.x = x
        self.v = sliding_window_view(x, w.shape[2:], (2, 3))
        y = np.einsum("nchwrs,kcrs->nkhw", self.v, w)
        return y + self.params["b"].reshape(-1, 1, 1)

    def backward(self, dout):
        w, dx = self.params["W"], np.zeros_like(self.x)
        self.grads["W"] = np.einsum("nchwrs,nkhw->kcrs", self.v, dout)
        self.grads["b"] = dout.sum((0, 2, 3))
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                part = np.einsum("nk,kcrs->ncrs", dout[:, :, i, j], w)
                dx[:, :, i : i + w.shape[2], j : j + w.shape[3]] += part
        END
"""
MODULE = """
import torch

class MyConv2d(torch.nn.Module):
    def __init__(self, in_channels, out_channels, kernel_size):
        super().__init__()
        shape = out_channels, in_channels, kernel_size, kernel_size
        self.weight = torch.nn.Parameter(torch.zeros(shape))
        self.bias = torch.nn.Parameter(torch.zeros(out_channels))

    def forward(self, x):
        return torch.nn.functional.conv2d(x, self.weight, self.bias)
"""


def calls(text: str, bias: bool = True) -> tuple[Any, Any]:
    """What `conv` and `conv_backward` of some code give, as the check reads it."""
    module = ModuleType("layers")
    exec(text, module.__dict__)
    subject = describe(module)
    forward = Call("conv", (("x", X), ("w", W), ("b", B if bias else None)), {})
    backward = Call("conv_backward", (("dy", DY), ("x", X), ("w", W)), {})
    y, gradients = (invoke(subject, one, Earlier(), ()) for one in (forward, backward))
    assert isinstance(y, Values), y
    assert isinstance(gradients, Values), gradients
    return y.results, gradients.results


def assert_right(text: str, *, bias: bool = True) -> None:
    (y,), gradients = calls(text, bias)
    plain: Any = naive()
    b = B if bias else np.zeros_like(B)
    np.testing.assert_array_equal(y, plain["forward"](X, W, b, 1, 0))
    expected = plain["backward"](DY, X, W, 1, 0)[: None if bias else 2]
    for got, wanted in zip(gradients, expected, strict=bias):
        np.testing.assert_array_equal(got, wanted)


FUNCTION = """
import torch
from torch.nn.grad import conv2d_input, conv2d_weight

class MyConv(torch.autograd.Function):
    @staticmethod
    def forward(ctx, input, weight, bias, stride=1, padding=0):
        ctx.save_for_backward(input, weight)
        ctx.steps = stride, padding
        return torch.nn.functional.conv2d(input, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, grad):
        x, w = ctx.saved_tensors
        dx = conv2d_input(x.shape, w, grad, *ctx.steps)
        dw = conv2d_weight(x, w.shape, grad, *ctx.steps)
        return dx, dw, grad.sum((0, 2, 3)), None, None
"""
TENSORS = """
import torch

def conv(x, w, b=None, stride=1, padding=0):
    return torch.nn.functional.conv2d(x, w, b, stride, padding)
"""
OTHER_NAME = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def my_conv2d(image, kernel, bias):
    v = sliding_window_view(image, kernel.shape[2:], (2, 3))
    return np.einsum("nchwrs,kcrs->nkhw", v, kernel) + bias.reshape(-1, 1, 1)

def my_conv2d_backward(dout, image, kernel):
    v = sliding_window_view(image, kernel.shape[2:], (2, 3))
    dx = np.zeros_like(image)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            part = np.einsum("nk,kcrs->ncrs", dout[:, :, i, j], kernel)
            dx[:, :, i : i + kernel.shape[2], j : j + kernel.shape[3]] += part
    return dx, np.einsum("nchwrs,nkhw->kcrs", v, dout), dout.sum((0, 2, 3))
"""
JAX = """
import jax

def conv2d(x, w, stride=1, padding=0):
    pads = ((padding, padding),) * 2
    return jax.lax.conv_general_dilated(x, w, (stride, stride), pads)
"""
VJP = """
import jax

def plain(x, w):
    return jax.lax.conv_general_dilated(x, w, (1, 1), "VALID")

@jax.custom_vjp
def conv2d(x, w):
    return plain(x, w)

def forward(x, w):
    return plain(x, w), (x, w)

conv2d.defvjp(forward, lambda saved, dy: jax.vjp(plain, *saved)[1](dy))
"""
FORMS = {
    "a layer with dictionaries": LAYER.replace("END", "return dx"),
    "a layer with self.dx": LAYER.replace("END", "self.dx = dx"),
    "a function under another name": OTHER_NAME,
}
TORCH = {
    "nn.Module": MODULE,
    "autograd.Function": FUNCTION,
    "a function on tensors": TENSORS,
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_right_code_of_this_style_is_read_right(text: str) -> None:
    assert_right(text)


@pytest.mark.parametrize("text", TORCH.values(), ids=TORCH)
def test_right_code_on_tensors_is_read_right(text: str) -> None:
    pytest.importorskip("torch")
    assert_right(text)


@pytest.mark.parametrize("text", [JAX, VJP], ids=["plain", "custom_vjp"])
def test_gradients_of_a_jax_function_are_those_of_its_vjp(text: str) -> None:
    pytest.importorskip("jax")
    assert_right(text, bias=False)


def test_a_gradient_in_an_attribute_that_is_no_array_is_named_as_such() -> None:
    _, (dx, _, _) = calls(LAYER.replace("END", "self.dx = 'nonsense'"))
    assert dx == "a str of 8" or dx == "a str"


def test_a_wrong_gradient_of_an_autograd_function_stays_wrong() -> None:
    pytest.importorskip("torch")
    _, (dx, _, _) = calls(FUNCTION.replace("return dx,", "return 2 * dx,"))
    expected = naive()["backward"](DY, X, W, 1, 0)[0]
    np.testing.assert_array_equal(dx, 2 * expected)


POOL = """
import numpy as np

def _tiles(x, f, s):
    for p in range((x.shape[1] - f) // s + 1):
        for q in range((x.shape[2] - f) // s + 1):
            yield p, q, (slice(None), slice(p * s, p * s + f), slice(q * s, q * s + f))

def pool_forward(A_prev, hparameters, mode="max"):
    f, s = hparameters["f"], hparameters["stride"]
    n, h, w, c = A_prev.shape
    A = np.zeros((n, (h - f) // s + 1, (w - f) // s + 1, c), A_prev.dtype)
    for p, q, tile in _tiles(A_prev, f, s):
        A[:, p, q] = getattr(A_prev[tile], "max" if mode == "max" else "mean")((1, 2))
    return A, (A_prev, hparameters)

def pool_backward(dA, cache, mode="max"):
    x, hparameters = cache
    f, s = hparameters["f"], hparameters["stride"]
    dx = np.zeros_like(x)
    for p, q, tile in _tiles(x, f, s):
        part = x[tile]
        share = part == part.max((1, 2), keepdims=True) if mode == "max" else 1 / f**2
        dx[tile] += share * dA[:, p : p + 1, q : q + 1]
    return dx
"""


def test_a_course_s_pooling_with_a_mode_is_both_poolings() -> None:
    module = ModuleType("layers")
    exec(POOL, module.__dict__)
    subject = describe(module)
    assert subject.facts.functions == (
        *("max_pool", "max_pool_backward"),
        *("avg_pool", "avg_pool_backward"),
    )
    x, dy = X[:, :, :4], integers(2, 3, 2, 3)
    tiles = x.reshape(2, 3, 2, 2, 3, 2)
    y = subject.functions["max_pool"](x, 2, stride=2)
    np.testing.assert_array_equal(y, tiles.max((3, 5)))
    dx = subject.functions["avg_pool_backward"](dy, x.shape, 2, stride=2)
    np.testing.assert_array_equal(dx, (dy / 4).repeat(2, 2).repeat(2, 3))


def test_a_course_s_functions_may_be_called_conv2d() -> None:
    text = COURSE.replace("conv_forward", "conv2d_forward")
    assert_right(text.replace("conv_backward", "conv2d_backward"))
