"""ONNX's operators made of the public functions."""

from collections.abc import Callable, Mapping
from typing import Any

import rot180
from rot180 import functional

Attributes = Mapping[str, Any]
Operator = Callable[..., Any]


def _pads(a: Attributes, rank: int) -> Any:
    auto = a.get("auto_pad", b"NOTSET").decode()
    if auto != "NOTSET":
        return {"SAME_UPPER": "same", "SAME_LOWER": "same_lower", "VALID": "valid"}[
            auto
        ]
    pads = a.get("pads", [0] * (2 * rank))
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def _window(a: Attributes, rank: int) -> dict[str, Any]:
    return {
        "stride": tuple(a.get("strides", [1] * rank)),
        "padding": _pads(a, rank),
        "dilation": tuple(a.get("dilations", [1] * rank)),
    }


def conv(a: Attributes, x: Any, w: Any, b: Any = None) -> Any:
    return rot180.conv(x, w, b, groups=a.get("group", 1), **_window(a, w.ndim - 2))


def conv_transpose(a: Attributes, x: Any, w: Any, b: Any = None) -> Any:
    rank = w.ndim - 2
    window = _window(a, rank)
    extra = tuple(a.get("output_padding", [0] * rank))
    if _is_sized(a):
        window["padding"] = _padding_for_size(
            a, x.shape[2:], w.shape[2:], window, extra
        )
    return rot180.conv_transpose(
        x, w, b, groups=a.get("group", 1), output_padding=extra, **window
    )


def _is_sized(a: Attributes) -> bool:
    return "output_shape" in a or a.get("auto_pad", b"").startswith(b"SAME")


def _padding_for_size(
    a: Attributes, size: Any, kernel: Any, window: dict[str, Any], extra: Any
) -> Any:
    """The padding that gives `output_shape`, or each extent times its stride."""
    padding = []
    for dim, (n, k) in enumerate(zip(size, kernel, strict=True)):
        step = window["stride"][dim]
        span = (k - 1) * window["dilation"][dim] + 1
        wanted = a["output_shape"][dim] if "output_shape" in a else n * step
        total = step * (n - 1) + extra[dim] + span - wanted
        half = total // 2 if a.get("auto_pad") == b"SAME_UPPER" else total - total // 2
        padding.append((half, total - half))
    return tuple(padding)


def max_pool(a: Attributes, x: Any) -> Any:
    kernel = tuple(a["kernel_shape"])
    ceil = bool(a.get("ceil_mode", 0))
    window = _window(a, len(kernel))
    return rot180.max_pool(x, kernel, ceil_mode=ceil, **window)


def average_pool(a: Attributes, x: Any) -> Any:
    kernel = tuple(a["kernel_shape"])
    window = _window(a, len(kernel))
    del window["dilation"]
    return rot180.avg_pool(
        x,
        kernel,
        ceil_mode=bool(a.get("ceil_mode", 0)),
        count_include_pad=bool(a.get("count_include_pad", 0)),
        **window,
    )


def global_average_pool(a: Attributes, x: Any) -> Any:
    return rot180.avg_pool(x, x.shape[2:])


def global_max_pool(a: Attributes, x: Any) -> Any:
    return rot180.max_pool(x, x.shape[2:])


def batch_normalization(a: Attributes, x: Any, w: Any, b: Any, *old: Any) -> Any:
    eps, momentum = a.get("epsilon", 1e-5), a.get("momentum", 0.9)
    if not a.get("training_mode", 0):
        return functional.normalise(x, w, b, *old, eps=eps)
    y, *new = functional.batch_norm(x, w, b, eps=eps)

    def moved(old: Any, new: Any) -> Any:
        kept = functional.multiply(old, momentum)
        return functional.add(kept, functional.multiply(new, 1 - momentum))

    return (y, *map(moved, old, new))


def gemm(a: Attributes, x: Any, w: Any, c: Any = None) -> Any:
    y = functional.linear(x.T if a.get("transA") else x, w if a.get("transB") else w.T)
    y = functional.multiply(y, float(a.get("alpha", 1.0)))
    if c is None:
        return y
    return functional.add(y, functional.multiply(c, float(a.get("beta", 1.0))))


def flatten(a: Attributes, x: Any) -> Any:
    axis = a.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    framed = x[None, ..., None]
    joined = functional.flatten(framed, axis + 1)
    return functional.flatten(joined, 0, axis)


def traced(function: Callable[..., Any]) -> Operator:
    """Returns an operator that is a method of traced tensors."""
    return lambda a, *xs: rot180.jit(lambda *xs: function(a, *xs))(*xs)


def reduce(name: str) -> Operator:
    """Returns a sum, mean or maximum over axes."""

    def call(a: Attributes, x: Any, axes: Any = None) -> Any:
        listed = a.get("axes", axes)
        if listed is not None and len(listed):
            chosen = tuple(map(int, listed))
        elif a.get("noop_with_empty_axes", 0):
            return x
        else:
            chosen = None
        keep = bool(a.get("keepdims", 1))
        return rot180.jit(lambda x: getattr(x, name)(chosen, keepdims=keep))(x)

    return call


def folded(function: Callable[..., Any]) -> Operator:
    """Returns an operator of any number of operands."""

    def call(a: Attributes, first: Any, *rest: Any) -> Any:
        for x in rest:
            first = function(first, x)
        return first

    return call


def truth(function: Callable[..., Any]) -> Operator:
    compared = traced(lambda a, x, y: function(x, y))
    return lambda a, x, y: compared(a, x, y).astype(bool)


def reshape(a: Attributes, x: Any, shape: Any) -> Any:
    kept = [x.shape[i] if n == 0 else int(n) for i, n in enumerate(shape)]
    return rot180.jit(lambda x: x.reshape(*kept))(x)


def plain(function: Callable[..., Any]) -> Operator:
    """Returns an operator without attributes."""
    return lambda a, *xs: function(*xs)


# By the name of the operator; the module of ONNX's cases has it in small letters.
OPERATORS: dict[str, Operator] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "BatchNormalization": batch_normalization,
    "Gemm": gemm,
    "Flatten": flatten,
    "LogSoftmax": plain(functional.log_softmax),
    "Relu": plain(functional.relu),
    "Add": plain(functional.add),
    "Sub": plain(functional.subtract),
    "Mul": plain(functional.multiply),
    "Div": plain(functional.divide),
    "Exp": plain(functional.exp),
    "Log": plain(functional.log),
    "Sqrt": plain(functional.sqrt),
    "Where": plain(functional.where),
    "Max": folded(functional.maximum),
    "Sum": folded(functional.add),
    "ReduceSum": reduce("sum"),
    "ReduceMean": reduce("mean"),
    "ReduceMax": reduce("max"),
    "Neg": traced(lambda a, x: -x),
    "Greater": truth(lambda x, y: x > y),
    "Less": truth(lambda x, y: x < y),
    "GreaterOrEqual": truth(lambda x, y: x >= y),
    "LessOrEqual": truth(lambda x, y: x <= y),
    "Reshape": reshape,
    "Transpose": traced(lambda a, x: x.transpose(*a.get("perm", ()))),
}
