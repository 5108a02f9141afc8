"""Layers without a sliding window, losses, and arithmetic on arrays or tensors."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rot180 import ops
from rot180.errors import ArgumentError, ShapeError
from rot180.functional._calls import as_array, type_of
from rot180.functional._dispatch import alike, one, pointwise, run_or_trace
from rot180.ops import Layout


def add(a: Any, b: Any) -> Any:
    """Returns `a + b` by NumPy's broadcasting.

    Args:
        a: Array or tensor, or a Python number or list, which takes the dtype of `b`.
        b: Likewise, of the same dtype.

    Raises:
        ShapeError: The shapes do not broadcast.
        DTypeError: The dtypes differ, or cannot hold a number.
        ArgumentError: An operand is neither an array nor a number.
    """
    return pointwise("add", a, b)


def multiply(a: Any, b: Any) -> Any:
    """Returns `a * b` by NumPy's broadcasting; operands as for `add`."""
    return pointwise("mul", a, b)


def subtract(a: Any, b: Any) -> Any:
    """Returns `a - b` by NumPy's broadcasting; operands as for `add`."""
    return pointwise("sub", a, b)


def divide(a: Any, b: Any) -> Any:
    """Returns `a / b` by NumPy's broadcasting; floating-point operands."""
    return pointwise("div", a, b)


def exp(x: Any) -> Any:
    """Returns the exponential of each element; `x` floating-point, of any shape."""
    return pointwise("exp", x)


def log(x: Any) -> Any:
    """Returns the natural logarithm of each element; `x` floating-point."""
    return pointwise("log", x)


def sqrt(x: Any) -> Any:
    """Returns the square root of each element; `x` floating-point, of any shape."""
    return pointwise("sqrt", x)


def maximum(a: Any, b: Any) -> Any:
    """Returns the greater of `a` and `b`, element by element, with broadcasting."""
    return pointwise("maximum", a, b)


def where(condition: Any, a: Any, b: Any) -> Any:
    """Returns `a` where `condition` is not zero and `b` elsewhere.

    Args:
        condition: Bool, or of the dtype of `a` and `b`.
        a: Floating-point.
        b: Of the dtype of `a`.
    """
    a, b = alike(a, b)
    return pointwise("where", condition, a, b)


def relu(x: Any) -> Any:
    """Returns `max(x, 0)` of each element; NaN stays NaN.

    Args:
        x: Floating-point array or tensor of any shape.

    Raises:
        DTypeError: `x` is not floating-point.

    Source:
        Nair and Hinton, ICML 2010.
    """
    return pointwise("relu", x)


def relu_backward(dy: Any, x: Any) -> Any:
    """Returns the gradient of `relu`: `dy` where `x > 0`, and 0 elsewhere.

    Args:
        dy: Gradient of the output, of the shape and dtype of `x`.
        x: What `relu` was applied to.

    Raises:
        ShapeError: The shapes differ.
        DTypeError: The dtypes differ or are not floating-point.

    Source:
        The chain rule; the slope at 0 is 0, as in PyTorch.
    """
    dy, x = as_array(dy), as_array(x)
    if np.shape(dy) != np.shape(x):
        raise ShapeError(
            f"relu_backward: dy has shape {np.shape(dy)}, x has shape {np.shape(x)}\n"
            "  Pass the gradient of relu(x), which has the shape of x."
        )
    return pointwise("relu_grad", dy, x)


def total(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Returns the sum over `axis`, one or several; over all by default."""
    x = as_array(x)
    axes = ops.resolve_axes("total", axis, x.shape)
    return one(ops.Reduce("sum", axes), x) if axes else x


def mean(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Returns the mean over `axis`, one or several; over all by default."""
    x = as_array(x)
    axes = ops.resolve_axes("mean", axis, x.shape)
    count = math.prod(x.shape[a] for a in axes)
    return pointwise("mul", total(x, axes), 1.0 / max(count, 1))


def flatten(x: Any, start_dim: int = 1, end_dim: int = -1) -> Any:
    """Returns `x` with the axes from `start_dim` to `end_dim` joined into one.

    Args:
        x: Array or tensor.
        start_dim: First axis to join; negative counts from the last.
        end_dim: Last axis to join.

    Raises:
        ArgumentError: The axes are out of range or in the wrong order.
    """
    x = as_array(x)
    shape = tuple(x.shape)
    if not shape:
        return one(ops.Reshape((1,)), x)
    (first,) = ops.resolve_axes("flatten", (start_dim,), shape)
    (last,) = ops.resolve_axes("flatten", (end_dim,), shape)
    if first > last:
        raise ArgumentError(
            f"flatten: start_dim={start_dim} comes after end_dim={end_dim}\n"
            f"    x has shape {shape}"
        )
    joined = math.prod(shape[first : last + 1])
    return one(ops.Reshape((*shape[:first], joined, *shape[last + 1 :])), x)


def rot180(w: Any, *, layout: Layout = "channels_first") -> Any:
    """Rotate a filter by 180 degrees: reverse every spatial axis.

    Args:
        w: `(k, c, *kernel)`, or `(*kernel, c, k)` channels last; a plain matrix is
            rotated as it stands.
        layout: Where the channels stand.

    Returns:
        A contiguous array of the same shape and dtype.

    Raises:
        DTypeError: The dtype is not one of the library's.

    Source:
        "Forward And Backpropagation in Convolutional Neural Network" by
        2017csm1006 on Medium.
    """
    w = as_array(w)
    ops.check_layout("rot180", layout)
    rank = len(type_of("rot180", "w", w).shape)
    axes = tuple(range(rank))
    if rank > 2:
        axes = axes[2:] if layout == "channels_first" else axes[:-2]
    return one(ops.Flip(axes), w)


def linear(x: Any, w: Any, b: Any = None) -> Any:
    """Returns `x @ w.T + b`.

    A linear layer is a convolution without positions:
    `y[n, k] += x[n, c] * w[k, c]`.

    Args:
        x: `(..., c)`, float32 or float64.
        w: `(k, c)`, of the dtype of `x`.
        b: `(k,)`, or None.

    Returns:
        `(..., k)`.

    Raises:
        ShapeError: The extents do not fit.
        DTypeError: The dtypes differ or are not floating-point.
    """
    x, w = as_array(x), as_array(w)
    shape = tuple(np.shape(x))
    if np.ndim(w) != 2 or not shape or shape[-1] != np.shape(w)[1]:
        raise ShapeError(
            f"linear: x of shape {shape} does not fit w of shape {np.shape(w)}\n"
            "  x is (..., c) and w is (k, c)."
        )
    k, c = np.shape(w)
    op = ops.Conv(ops.Window((), (), (), ()), bias=b is not None)
    rows = x if len(shape) == 2 else one(ops.Reshape((math.prod(shape[:-1]), c)), x)
    y = one(op, rows, w) if b is None else one(op, rows, w, b)
    return y if len(shape) == 2 else one(ops.Reshape((*shape[:-1], k)), y)


def log_softmax(x: Any) -> Any:
    """Returns `x - log(sum(exp(x)))` along the last axis, without overflow.

    Args:
        x: `(..., classes)`, float32 or float64.

    Raises:
        ShapeError: `x` has no axes.
        DTypeError: `x` is not floating-point.
    """
    return one(ops.LogSoftmax(), x)


def cross_entropy(logits: Any, labels: Any, *, label_smoothing: float = 0.0) -> Any:
    """Returns the mean over images of `-log_softmax(logits)[label]`.

    With smoothing, the label counts `1 - label_smoothing` and the mean over all classes
    counts the rest, as in PyTorch. Source: Szegedy et al., arXiv 1512.00567.

    Args:
        logits: `(n, classes)`, float32 or float64.
        labels: `(n,)`, int32 or int64, each from 0 to classes - 1. In a traced function
            they are looked at whenever it runs.
        label_smoothing: From 0 to 1.

    Returns:
        One number, of shape `()`.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The labels are not integers, or the logits not floating-point.
        DataError: A label is out of range.
        ArgumentError: The smoothing is out of range.
    """
    if not isinstance(label_smoothing, int | float) or not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: label_smoothing={label_smoothing!r} is not from 0 to 1"
        )
    logits, labels = as_array(logits), as_array(labels)
    images, classes = _check_scores("cross_entropy", logits, labels)
    scores = one(ops.LogSoftmax(), logits)
    dtype = ops.type_of(scores).dtype
    chosen = _one_hot("cross_entropy", labels, classes, dtype)
    if label_smoothing:
        certain = multiply(chosen, 1.0 - label_smoothing)
        weighted = multiply(scores, add(certain, label_smoothing / classes))
    else:  # no product: 0 times the score of a class with a logit of -inf is NaN
        weighted = where(chosen, scores, 0.0)
    summed = one(ops.Reduce("sum", (0, 1)), weighted)
    return pointwise("mul", summed, -1.0 / max(images, 1))


def correct(logits: Any, labels: Any) -> Any:
    """Returns how many images have their greatest logit at their label, as a float.

    Args:
        logits: `(n, classes)`, float32 or float64.
        labels: `(n,)`, int32 or int64, each from 0 to classes - 1.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The labels are not integers.
        DataError: A label is out of range.
    """
    logits, labels = as_array(logits), as_array(labels)
    _, classes = _check_scores("correct", logits, labels)
    chosen = _one_hot("correct", labels, classes, ops.type_of(logits).dtype)
    score = one(ops.Reduce("sum", (1,)), where(chosen, logits, 0.0))
    hits = pointwise("equal", score, one(ops.Reduce("max", (1,)), logits))
    return one(ops.Reduce("sum", (0,)), hits)


def batch_norm(
    x: Any, w: Any, b: Any, *, eps: float = 1e-5, layout: Layout = "channels_first"
) -> tuple[Any, Any, Any]:
    """Returns `(y, mean, var)`: `x` normalised over the batch, and its statistics.

    Each channel is shifted to mean 0, divided by `sqrt(var + eps)`, multiplied by `w`
    and shifted by `b`. Source: Ioffe and Szegedy, arXiv 1502.03167.

    Args:
        x: `(n, c, *spatial)`, or `(n, *spatial, c)` with channels last.
        w: `(c,)`, of the dtype of `x`.
        b: `(c,)`, of the dtype of `x`.
        eps: Added to the variance.
        layout: Where the channels stand.

    Returns:
        `y` of the shape of `x`; `mean` and `var`, the latter divided by the number of
        elements, of shape `(c,)`.

    Raises:
        ShapeError: The shapes do not fit.
        DTypeError: The dtypes differ or are not floating-point.
        ArgumentError: `eps` is negative or the layout unknown.
    """
    y, mean_, var = run_or_trace(
        ops.BatchNorm(layout, _eps("batch_norm", eps)), x, w, b
    )
    return y, mean_, var


def normalise(
    x: Any,
    w: Any,
    b: Any,
    mean: Any,
    var: Any,
    *,
    eps: float = 1e-5,
    layout: Layout = "channels_first",
) -> Any:
    """Returns `(x - mean) / sqrt(var + eps) * w + b`, statistics given per channel.

    Args:
        x: `(n, c, *spatial)`, or `(n, *spatial, c)` with channels last.
        w: `(c,)`; so are `b`, `mean` and `var`.
        b: Shift.
        mean: Subtracted.
        var: Its root is divided by.
        eps: Added to the variance.
        layout: Where the channels stand.

    Raises:
        ShapeError: The shapes do not fit.
    """
    ops.check_layout("normalise", layout)
    x, w, b, mean, var = map(as_array, (x, w, b, mean, var))
    _check_channels(x, layout, w=w, b=b, mean=mean, var=var)
    small = eps if ops.is_traced(eps) else _eps("normalise", eps)
    deviation = sqrt(pointwise("add", var, small))
    gain = pointwise("div", w, deviation)
    shift = pointwise("sub", b, pointwise("mul", mean, gain))
    ndim = np.ndim(x)
    shape = [1] * ndim
    shape[ops.channel_axis(layout, ndim)] = np.shape(mean)[0]
    column = ops.Reshape(tuple(shape))
    scaled = pointwise("mul", x, one(column, gain))
    return pointwise("add", scaled, one(column, shift))


def _eps(op: str, eps: Any) -> float:
    """Returns what is added to a variance.

    Raises:
        ArgumentError: It is not a finite number, or it is negative.
    """
    given = eps[()] if isinstance(eps, np.ndarray) else eps
    is_number = isinstance(given, int | float | np.number)
    if not is_number or isinstance(given, bool) or not -math.inf < given < math.inf:
        raise ArgumentError(
            f"{op}: eps={eps!r} is not a number\n  Pass 1e-5, for example."
        )
    if given < 0:
        raise ArgumentError(
            f"{op}: eps={float(given)} is negative\n  Pass 1e-5, for example."
        )
    return float(given)


def _check_channels(x: Any, layout: Layout, **operands: Any) -> None:
    shape = tuple(np.shape(x))
    if len(shape) < 2:
        raise ShapeError(
            f"normalise: x of shape {shape} has no axes of images and channels"
        )
    channels = shape[ops.channel_axis(layout, len(shape))]
    for name, value in operands.items():
        if tuple(np.shape(value)) != (channels,):
            raise ShapeError(
                f"normalise: {name} has shape {tuple(np.shape(value))}, not "
                f"({channels},)\n"
                f"    x has shape {shape}: {channels} channels\n"
                f"  Pass one number per channel."
            )


def _check_scores(op: str, logits: Any, labels: Any) -> tuple[int, int]:
    """Returns images and classes of logits that fit their labels.

    Raises:
        ShapeError: They do not.
    """
    shape, given = tuple(logits.shape), tuple(labels.shape)
    if len(shape) != 2 or given != shape[:1]:
        raise ShapeError(
            f"{op}: logits of shape {shape} do not fit labels of shape "
            f"{given}\n"
            "  Logits are (n, classes) and labels (n,)."
        )
    return shape[0], shape[1]


def _one_hot(op: str, labels: Any, classes: int, dtype: str) -> Any:
    """Returns the labels as rows; those of a trace are looked at when it runs."""
    chosen = ops.OneHot(classes, dtype, op)
    if not ops.is_traced(labels):
        labels = np.asarray(labels)
        chosen.infer(type_of(op, "labels", labels))
        chosen.check_values(labels)
    return one(chosen, labels)
