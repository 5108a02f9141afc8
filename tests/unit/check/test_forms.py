"""Code in the styles that people have it in, right and wrong."""

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from unit.check.subjects import COURSE, integers, naive

from rot180.check import check
from rot180.check.subjects._invoke import Call, Earlier, invoke
from rot180.check.subjects._outcome import Values
from rot180.check.subjects._subject import describe
from rot180.errors import DataError

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


LOOPS = """
import numpy as np

def one(x, w, b=None, stride=1, padding=0):
    p, s = padding, stride
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    r, c = w.shape[2:]
    size = (x.shape[2] - r) // s + 1, (x.shape[3] - c) // s + 1
    y = np.zeros((len(x), len(w), *size), x.dtype)
    for i, j in np.ndindex(size):
        tile = x[:, :, i * s : i * s + r, j * s : j * s + c]
        y[:, :, i, j] = np.tensordot(tile, w, ([1, 2, 3], [1, 2, 3]))
    return y if b is None else y + b.reshape(-1, 1, 1)

def two(dy, x, w, stride=1, padding=0):
    p, s = padding, stride
    x = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw, (r, c) = np.zeros_like(x), np.zeros_like(w), w.shape[2:]
    for i, j in np.ndindex(dy.shape[2:]):
        at = slice(None), slice(None), slice(i * s, i * s + r), slice(j * s, j * s + c)
        dx[at] += np.tensordot(dy[:, :, i, j], w, 1)
        dw += np.tensordot(dy[:, :, i, j], x[at], ([0], [0]))
    inner = dx[:, :, p : dx.shape[2] - p, p : dx.shape[3] - p]
    return inner, dw, dy.sum((0, 2, 3))
"""
STYLES = {
    "partial": """
from functools import partial

def _conv(mode, image, kernel, bias=None, stride=1, pad=0):
    return one(image, kernel, bias, stride, pad)

my_conv = partial(_conv, "valid")
my_conv_backward = partial(two)
""",
    "bound methods by other names": """
class _Kernels:
    def conv(self, x, w, b=None):
        return one(x, w, b)

    def gradients(self, dout, x, w):
        return two(dout, x, w)

my_conv2d = _Kernels().conv
my_conv2d_backward = _Kernels().gradients
""",
    "callable instances": """
class _Forward:
    def __call__(self, x, w, b=None, *, stride=1, padding=0):
        return one(x, w, b, stride, padding)

class _Backward:
    def __call__(self, dy, x, w, *, stride=1, padding=0):
        return two(dy, x, w, stride, padding)

conv2d, conv2d_backward = _Forward(), _Backward()
""",
    "a class with static forward and backward": """
class Conv:
    @staticmethod
    def forward(x, w, b=None, stride=1, padding=0):
        return one(x, w, b, stride, padding)

    @staticmethod
    def backward(dy, x, w, stride=1, padding=0):
        return two(dy, x, w, stride, padding)
""",
    "a class of functions": """
class Ops:
    conv, conv_backward = staticmethod(one), staticmethod(two)
""",
    "keywords only": """
def convolve(*, image, kernel, bias=None, stride=1, pad=0):
    return one(image, kernel, bias, stride, pad)

def convolve_backward(*, dout, image, kernel, stride=1, pad=0):
    return two(dout, image, kernel, stride, pad)
""",
    "our names with other options": """
def conv(x, w, b, stride=1, pad=0):
    return one(x, w, b, stride, pad)

def conv_backward(dy, x, w, stride=1, pad=0):
    return two(dy, x, w, stride, pad)
""",
    "operands in another order": """
def conv(x, w, b=None, stride=1, padding=0):
    return one(x, w, b, stride, padding)

def conv_backward(x, w, dout, stride=1, padding=0):
    return two(dout, x, w, stride, padding)
""",
    "our names with a cache": """
def conv(x, w, b, stride=1, padding=0):
    return one(x, w, b, stride, padding), (x, w, stride, padding)

def conv_backward(dout, cache):
    return two(dout, *cache)
""",
    "a forward pass that returns its backward pass": """
def conv2d(x, w, b):
    def backward(dout):
        return two(dout, x, w)

    return one(x, w, b), backward
""",
    "a cache without a dictionary": """
def conv_forward(inp, filt, bias, stride=1, pad=0):
    return one(inp, filt, bias, stride, pad), (inp, filt, stride, pad)

def conv_backward(delta, saved):
    return two(delta, *saved)
""",
    "a dictionary of gradients": """
def my_conv(x, w, b):
    return one(x, w, b)

def my_conv_backward(dout, x, w):
    dx, dw, db = two(dout, x, w)
    return {"db": db, "dw": dw, "dx": dx}
""",
    "single images": """
def my_conv(image, kernel, bias):
    (c, h, w) = image.shape
    return one(image[None], kernel, bias)[0]

def my_conv_backward(dout, image, kernel):
    (c, h, w) = image.shape
    dx, dw, db = two(dout[None], image[None], kernel)
    return dx[0], dw, db
""",
    "a compiler's dispatcher": """
class Dispatcher:
    def __init__(self, function):
        self.__wrapped__ = self.py_func = function

    def __call__(self, *arrays):
        for array in arrays:
            if not isinstance(array, np.ndarray | int) or getattr(
                array, "dtype", "float32"
            ) != "float32":
                raise TypeError(f"No matching definition for {type(array)}")
        return self.py_func(*arrays)

@Dispatcher
def conv(x, w, b, stride, padding):
    return one(x, w, b, stride, padding)

@Dispatcher
def conv_backward(dy, x, w, stride, padding):
    return two(dy, x, w, stride, padding)
""",
    "no signature": """
class Compiled:
    def __init__(self, function):
        self.function = function

    @property
    def __signature__(self):
        raise ValueError("no signature found")

    def __call__(self, *arrays, **options):
        return self.function(*arrays, **options)

conv, conv_backward = Compiled(one), Compiled(two)
""",
    "properties that are only read, and grad_W": """
class Conv2D:
    def __init__(self, n_in, n_out, ksize, *, stride=1, pad=0):
        self._w = np.zeros((n_out, n_in, ksize, ksize), "float32")
        self._b = np.zeros((n_out, 1), "float32")

    W = property(lambda self: self._w)
    b = property(lambda self: self._b)

    def forward(self, x):
        self.x = x
        return one(x, self.W, self.b)

    def backward(self, grad_out):
        dx, self.grad_W, db = two(grad_out, self.x, self.W)
        self.grad_b = db.reshape(-1, 1)
        return dx
""",
}


@pytest.mark.parametrize("text", STYLES.values(), ids=STYLES)
def test_code_of_this_style_is_read_right_with_its_gradient(text: str) -> None:
    assert_right(LOOPS + text)


PLANE = """
import numpy as np

def corr2d(X, K):
    h, w = K.shape
    Y = np.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1), X.dtype)
    for i, j in np.ndindex(Y.shape):
        Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y

def corr2d_backward(dY, X, K):
    dX, dK = np.zeros_like(X), np.zeros_like(K)
    for i, j in np.ndindex(dY.shape):
        dX[i : i + K.shape[0], j : j + K.shape[1]] += dY[i, j] * K
        dK += dY[i, j] * X[i : i + K.shape[0], j : j + K.shape[1]]
    return dX, dK
"""


def test_a_function_for_one_plane_is_called_plane_by_plane() -> None:
    assert_right(PLANE, bias=False)


def test_a_wrong_function_for_one_plane_stays_wrong() -> None:
    (y,), _ = calls(PLANE.replace("* K).sum", "* K[::-1, ::-1]).sum"), bias=False)
    assert (y != naive()["forward"](X, W, np.zeros_like(B), 1, 0)).any()


def test_a_function_on_one_plane_of_tensors_has_autograd_s_gradients() -> None:
    pytest.importorskip("torch")
    text = PLANE.partition("def corr2d_backward")[0].replace("np.zeros", "torch.zeros")
    text = text.replace(", X.dtype", "")
    assert_right("import torch\n" + text, bias=False)


CUT_OFF = """
import torch

def conv(x, w):
    x, w = torch.tensor(x, requires_grad=True), torch.tensor(w)
    return torch.nn.functional.conv2d(x, w)
"""


def test_a_tensor_with_a_graph_of_its_own_gives_no_gradients_to_judge() -> None:
    pytest.importorskip("torch")
    module = ModuleType("layers")
    exec(CUT_OFF, module.__dict__)
    assert describe(module).facts.functions == ("conv",)


DEVICES = {
    "dlpack": "__dlpack__ = property(lambda self: self.array.__dlpack__)\n"
    "    __dlpack_device__ = property(lambda self: self.array.__dlpack_device__)",
    "cpu": "cpu = lambda self: self.array",
    "detach, cpu and numpy": "detach = cpu = lambda self: self\n"
    "    numpy = lambda self: self.array",
    "get": "get = lambda self: self.array\n"
    "    def __array__(self, *a, **k): raise TypeError('use .get()')",
}


@pytest.mark.parametrize("methods", DEVICES.values(), ids=DEVICES)
def test_an_array_of_a_device_is_read(methods: str) -> None:
    text = f"""
class Device:
    def __init__(self, array):
        self.array = array
    {methods}

def conv(x, w, b):
    return Device(one(x, w, b))

def conv_backward(dy, x, w):
    return tuple(map(Device, two(dy, x, w)))
"""
    assert_right(LOOPS + text)


def test_jax_keeps_the_user_s_choice_of_float64() -> None:
    jax = pytest.importorskip("jax")
    x64, wide = jax.config.jax_enable_x64, X.astype("float64")
    module = ModuleType("layers")
    exec(JAX, module.__dict__)
    outcome = invoke(
        describe(module),
        Call("conv", (("x", wide), ("w", W.astype("float64"))), {}),
        Earlier(),
        (),
    )
    assert isinstance(outcome, Values), outcome
    (y,) = outcome.results
    assert isinstance(y, np.ndarray)
    assert y.dtype == "float64"
    assert jax.config.jax_enable_x64 == x64


def test_a_function_is_judged_with_the_backward_pass_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("layers")
    monkeypatch.setitem(sys.modules, "layers", module)
    exec(LOOPS + STYLES["keywords only"], module.__dict__)
    for subject in (
        describe(module.convolve),
        describe(module, "convolve"),
        describe(module, "convolve", "convolve_backward"),
    ):
        assert subject.facts.functions == ("conv", "conv_backward")
    assert describe(module, "one", "two").facts.functions == ("conv", "conv_backward")
    assert describe(module, "one").facts.functions == ("conv",)


def test_a_name_may_have_dots() -> None:
    module = ModuleType("layers")
    exec(LOOPS + STYLES["bound methods by other names"], module.__dict__)
    module.__dict__["kernels"] = module._Kernels()
    subject = describe(module, "kernels.conv", "kernels.gradients")
    assert subject.facts.functions == ("conv", "conv_backward")


def test_an_average_s_gradient_is_given_the_shape_it_asks_for() -> None:
    text = """
def avg_pool(x, size):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // size, size, w // size, size).mean((3, 5))

def avg_pool_backward(dy, input_shape, size):
    assert isinstance(input_shape, tuple)
    return (dy / size**2).repeat(size, 2).repeat(size, 3)
"""
    module = ModuleType("layers")
    exec(text, module.__dict__)
    functions = describe(module).functions
    dy, x = integers(2, 3, 2, 3), X[:, :, :4]
    dx = functions["avg_pool_backward"](dy, x.shape, 2)
    np.testing.assert_array_equal(dx, (dy / 4).repeat(2, 2).repeat(2, 3))


@pytest.mark.usefixtures("fixed_only")
def test_a_function_without_a_bias_is_not_asked_for_its_gradient() -> None:
    module = ModuleType("layers")
    exec(PLANE, module.__dict__)
    assert "bias" in describe(module).facts.unsupported
    report = check(module, seconds=60, dtypes=("float64",))
    assert report.status == 0, (report.findings, report.incomplete)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("oen",), "no attribute 'oen'\n  The nearest is 'one'"),
        (("one", "tow"), "no attribute 'tow'\n  The nearest is 'two'"),
        (("np",), "np is <module 'nump.*, not a function"),
        ((None, "two"), "two: it is not clear of which .*\n  Name that function too"),
    ],
)
def test_a_name_that_is_of_no_use_is_refused(names: Any, message: str) -> None:
    module = ModuleType("layers")
    exec(LOOPS, module.__dict__)
    with pytest.raises(DataError, match=message):
        describe(module, *names)


def test_several_functions_that_may_be_meant_are_told() -> None:
    module = ModuleType("layers")
    text = "\ndef conv_a(x, w): pass\ndef conv_b(x, w): pass\ndef relu(x): return x\n"
    exec(LOOPS + text, module.__dict__)
    with pytest.raises(DataError, match=r"conv_a, conv_b\n.*--conv conv_a"):
        describe(module)


def test_a_layer_and_functions_of_other_operations_are_judged_together() -> None:
    text = (
        LAYER.replace("END", "return dx")
        + "\ndef my_relu(x):\n    return x * (x > 0)\n"
    )
    module = ModuleType("layers")
    exec(text, module.__dict__)
    module.my_relu.__module__ = module.Conv2D.__module__ = "layers"
    assert describe(module).facts.functions == ("conv", "conv_backward", "relu")


def test_layers_that_are_not_judged_are_named() -> None:
    class Pooling:
        def __init__(self, pool_h: int) -> None: ...

        def forward(self, x: Any) -> Any: ...

        def backward(self, dout: Any) -> Any: ...

    told = describe({"relu": lambda x: x, "Pooling": Pooling}).facts.unsupported
    assert "its constructor needs 'pool_h'" in told["class Pooling"]
