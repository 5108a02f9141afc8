"""PyTorch's convolutions, poolings and ReLU, and autograd's gradients of them.

Judged: `torch.nn.functional.conv1d`, `conv2d`, `conv3d`, `conv_transpose1d` to `3d`,
`max_pool1d` to `3d`, `avg_pool1d` to `3d` and `relu`; gradients are those of
`torch.autograd.grad`, the double backward is `create_graph` and `grad` again. Tensors
are contiguous, on the CPU. The build for CPUs alone is `pip install torch==2.13.0`.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Threads that wait by spinning starve one another where the cores are busy: a small
# call with two threads then takes 5 ms, and 0.1 ms if they sleep. Only the time
# changes. Read once, when PyTorch's OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
try:
    import torch
    from torch.nn import functional
except ImportError as error:
    raise ImportError(
        "the adapter 'torch' needs PyTorch, which is not installed\n"
        "  Run: pip install 'rot180[torch]', or pip install torch==2.13.0 for the "
        "build without CUDA."
    ) from error

Array = NDArray[Any]
VERSIONS = ("torch",)
UNSUPPORTED = {
    "extent 0": "PyTorch refuses an input with a spatial extent of 0",
    "padding per side": "PyTorch pads both sides of a dimension alike",
    "negative padding": "PyTorch refuses negative padding",
    "flip": "PyTorch has the correlation only",
    "layout": "PyTorch's shapes always have the channels first",
}


def set_num_threads(n: int) -> None:
    """Let every operation use `n` threads."""
    torch.set_num_threads(n)


def conv(x: Array, w: Array, b: Array | None = None, **options: Any) -> Array:
    """`y` of `conv1d`, `conv2d` or `conv3d`."""
    bias = None if b is None else _tensor(b)
    return _array(_conv(_tensor(x), _tensor(w), bias, options))


def conv_input_grad(
    dy: Array, w: Array, x_shape: tuple[int, ...], **options: Any
) -> Array:
    """`dx`; the values of `x` do not matter, and are zeros."""
    x, filters = np.zeros(x_shape, dy.dtype), _tensor(w)
    return _gradients(lambda x: _conv(x, filters, None, options), dy, x)[0]


def conv_weight_grad(
    dy: Array, x: Array, w_shape: tuple[int, ...], **options: Any
) -> Array:
    """`dw`; the values of `w` do not matter, and are zeros."""
    w, images = np.zeros(w_shape, dy.dtype), _tensor(x)
    return _gradients(lambda w: _conv(images, w, None, options), dy, w)[0]


def conv_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db` in one call of autograd."""
    b = np.zeros(len(w), w.dtype)
    dx, dw, db = _gradients(partial(_conv, options=options), dy, x, w, b)
    return dx, dw, db


def conv_double_backward(
    ddx: Array, ddw: Array, dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """The gradients of `<ddx, dx> + <ddw, dw>` by `dy`, `x` and `w`."""
    slopes, images, filters = _leaf(dy), _leaf(x), _leaf(w)
    y = _conv(images, filters, None, options)
    firsts = torch.autograd.grad(y, (images, filters), slopes, create_graph=True)
    by_dy, by_x, by_w = torch.autograd.grad(
        firsts,
        (slopes, images, filters),
        (_tensor(ddx), _tensor(ddw)),
        materialize_grads=True,  # for no images autograd's graph does not reach `dy`
    )
    return _array(by_dy), _array(by_x), _array(by_w)


def conv_transpose(x: Array, w: Array, b: Array | None = None, **options: Any) -> Array:
    """`y` of `conv_transpose1d`, `conv_transpose2d` or `conv_transpose3d`."""
    bias = None if b is None else _tensor(b)
    return _array(_conv_transpose(_tensor(x), _tensor(w), bias, options))


def conv_transpose_backward(
    dy: Array, x: Array, w: Array, **options: Any
) -> tuple[Array, Array, Array]:
    """`dx`, `dw` and `db` of the transposed convolution in one call of autograd."""
    b = np.zeros(w.shape[1] * options.get("groups", 1), w.dtype)
    dx, dw, db = _gradients(partial(_conv_transpose, options=options), dy, x, w, b)
    return dx, dw, db


def max_pool(x: Array, kernel_size: Any, **options: Any) -> Array:
    """`y` of `max_pool1d`, `max_pool2d` or `max_pool3d`."""
    return _array(_max_pool(_tensor(x), kernel_size, options))


def max_pool_backward(dy: Array, x: Array, kernel_size: Any, **options: Any) -> Array:
    """`dx` of the maximum pooling."""
    return _gradients(lambda x: _max_pool(x, kernel_size, options), dy, x)[0]


def avg_pool(x: Array, kernel_size: Any, **options: Any) -> Array:
    """`y` of `avg_pool1d`, `avg_pool2d` or `avg_pool3d`."""
    return _array(_avg_pool(_tensor(x), kernel_size, options))


def avg_pool_backward(
    dy: Array, x_shape: tuple[int, ...], kernel_size: Any, **options: Any
) -> Array:
    """`dx` of the average pooling."""
    x = np.zeros(x_shape, dy.dtype)
    return _gradients(lambda x: _avg_pool(x, kernel_size, options), dy, x)[0]


def relu(x: Array) -> Array:
    """`y` of `relu`."""
    return _array(functional.relu(_tensor(x)))


def relu_backward(dy: Array, x: Array) -> Array:
    """`dx` of `relu`."""
    return _gradients(functional.relu, dy, x)[0]


def _conv(x: Any, w: Any, b: Any, options: dict[str, Any]) -> Any:
    padding = options.get("padding")
    if padding == "same" and np.max(options.get("stride", 1)) > 1:
        raise NotImplementedError("PyTorch has no padding 'same' with a stride")
    if isinstance(padding, str) and padding not in ("valid", "same"):
        raise NotImplementedError(f"PyTorch has no padding {padding!r}")
    return _of_rank("conv", w.ndim - 2)(x, w, b, **options)


def _conv_transpose(x: Any, w: Any, b: Any, options: dict[str, Any]) -> Any:
    _refuse_words("conv_transpose", options)
    return _of_rank("conv_transpose", w.ndim - 2)(x, w, b, **options)


def _max_pool(x: Any, kernel_size: Any, options: dict[str, Any]) -> Any:
    _refuse_words("max_pool", options)
    return _of_rank("max_pool", _pool_rank(x, kernel_size))(x, kernel_size, **options)


def _avg_pool(x: Any, kernel_size: Any, options: dict[str, Any]) -> Any:
    _refuse_words("avg_pool", options)
    rank = _pool_rank(x, kernel_size)
    if rank == 1 and options.get("divisor_override") is not None:
        raise NotImplementedError("PyTorch's avg_pool1d has no divisor_override")
    if rank == 3 and np.any(np.array(x.shape[-3:]) < kernel_size):
        raise NotImplementedError(
            "PyTorch's avg_pool3d refuses an input smaller than the kernel, padded or "
            "not"
        )
    return _of_rank("avg_pool", rank)(x, kernel_size, **options)


def _refuse_words(name: str, options: dict[str, Any]) -> None:
    if isinstance(options.get("padding"), str):
        raise NotImplementedError(f"PyTorch's {name} has no padding by name")


def _pool_rank(x: Any, kernel_size: Any) -> int:
    """Dimensions that are pooled; a single kernel size means that `x` has images."""
    return x.ndim - 2 if isinstance(kernel_size, int) else len(kernel_size)


def _of_rank(name: str, rank: int) -> Any:
    if rank > 3:
        raise NotImplementedError(f"PyTorch's {name} has at most 3 dimensions")
    return getattr(functional, f"{name}{rank}d")


def _gradients(
    function: Callable[..., Any], dy: Array, *operands: Array
) -> list[Array]:
    """The gradients by the operands, given the gradient of the function's result."""
    leaves = [_leaf(array) for array in operands]
    found = torch.autograd.grad(function(*leaves), leaves, _tensor(dy))
    return [_array(gradient) for gradient in found]


def _tensor(array: Array) -> Any:
    """A tensor with memory of its own: a defect must not write to the caller's."""
    own = np.array(array, order="C")
    if own.dtype.name == "bfloat16":
        return torch.from_numpy(own.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(own)


def _leaf(array: Array) -> Any:
    return _tensor(array).requires_grad_()


def _array(tensor: Any) -> Array:
    if tensor.dtype == torch.bfloat16:
        return tensor.detach().float().numpy().astype("bfloat16")  # type: ignore[no-any-return]
    return np.asarray(tensor.detach().numpy())
