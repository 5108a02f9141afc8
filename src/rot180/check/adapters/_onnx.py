"""ONNX's reference evaluator on models of one node; it has no gradients.

Judged: `onnx.reference.ReferenceEvaluator` running `Conv`, `ConvTranspose`, `MaxPool`,
`AveragePool` and `Relu` of the newest operator set that the installed ONNX knows. What
the operators have as attributes is passed as attributes: pads for each side, `auto_pad`
for padding by name, `ceil_mode`, `count_include_pad`, `output_padding`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    from onnx import helper
    from onnx.reference import ReferenceEvaluator
except ImportError as error:
    raise ImportError(
        "the adapter 'onnx' needs ONNX, which is not installed\n"
        "  Run: pip install 'rot180[onnx]'"
    ) from error

__all__ = ["avg_pool", "conv", "conv_transpose", "max_pool", "relu"]

Array = NDArray[Any]
Ints = int | Sequence[int]
VERSIONS = ("onnx",)
UNSUPPORTED = {
    "no image axis": "ONNX's operators have an image axis",
    "negative padding": "ONNX's pads must not be negative",
    "flip": "ONNX has the correlation only",
    "layout": "ONNX's shapes always have the channels first",
    "divisor_override": "ONNX's AveragePool has no divisor of the user's",
}
_WORDS = {"valid": "VALID", "same": "SAME_UPPER", "same_lower": "SAME_LOWER"}


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """`Y` of `Conv`."""
    return _slid("Conv", (x, w, b), stride, padding, dilation, group=groups)


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    stride: Ints = 1,
    padding: Any = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Array:
    """`Y` of `ConvTranspose`."""
    rank = w.ndim - 2
    if padding in ("same", "same_lower") and max(_each(stride, rank)) > 1:
        raise NotImplementedError(
            "ONNX's ConvTranspose means another output size by padding by name with a "
            "stride"
        )
    more = {"group": groups, "output_padding": _each(output_padding, rank)}
    return _slid("ConvTranspose", (x, w, b), stride, padding, dilation, **more)


def max_pool(
    x: Array,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Array:
    """`Y` of `MaxPool`."""
    rank = x.ndim - 2
    return _run(
        "MaxPool",
        {"x": x},
        kernel_shape=_each(kernel_size, rank),
        strides=_each(kernel_size if stride is None else stride, rank),
        dilations=_each(dilation, rank),
        ceil_mode=int(ceil_mode),
        **_pads("MaxPool", padding, rank),
    )


def avg_pool(
    x: Array,
    kernel_size: Ints,
    *,
    stride: Ints | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """`Y` of `AveragePool`."""
    rank = x.ndim - 2
    if ceil_mode and isinstance(padding, str):
        raise NotImplementedError(
            "ONNX's reference evaluator refuses ceil_mode with padding by name"
        )
    return _run(
        "AveragePool",
        {"x": x},
        kernel_shape=_each(kernel_size, rank),
        strides=_each(kernel_size if stride is None else stride, rank),
        ceil_mode=int(ceil_mode),
        count_include_pad=int(count_include_pad),
        **_pads("AveragePool", padding, rank),
    )


def relu(x: Array) -> Array:
    """`Y` of `Relu`."""
    return _run("Relu", {"x": x})


def _run(operator: str, operands: dict[str, Array], **attributes: Any) -> Array:
    evaluator = _evaluator(operator, tuple(operands), tuple(attributes.items()))
    return np.asarray(evaluator.run(None, operands)[0])


@lru_cache(maxsize=512)
def _evaluator(
    operator: str, inputs: tuple[str, ...], attributes: tuple[tuple[str, Any], ...]
) -> Any:
    node = helper.make_node(operator, inputs, ["y"], **dict(attributes))
    return ReferenceEvaluator(node)


def _slid(
    operator: str,
    operands: tuple[Array, Array, Array | None],
    stride: Ints,
    padding: Any,
    dilation: Ints,
    **more: Any,
) -> Array:
    w = operands[1]
    rank = w.ndim - 2
    return _run(
        operator,
        {n: a for n, a in zip("xwb", operands, strict=True) if a is not None},
        kernel_shape=w.shape[2:],
        strides=_each(stride, rank),
        dilations=_each(dilation, rank),
        **more,
        **_pads(operator, padding, rank),
    )


def _pads(operator: str, padding: Any, rank: int) -> dict[str, Any]:
    """`auto_pad`, or `pads`: all the low ones, then all the high ones."""
    if isinstance(padding, str):
        if padding not in _WORDS:
            raise NotImplementedError(f"ONNX's {operator} has no padding {padding!r}")
        return {"auto_pad": _WORDS[padding]}
    pairs = [(p, p) if isinstance(p, int) else p for p in _each(padding, rank)]
    return {"pads": tuple(low for low, _ in pairs) + tuple(high for _, high in pairs)}


def _each(value: Any, rank: int) -> tuple[Any, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)
