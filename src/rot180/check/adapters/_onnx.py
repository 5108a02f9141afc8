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
    more = {"dilations": _each(dilation, w.ndim - 2), "group": groups}
    return _slid("Conv", (x, w, b), w.shape[2:], stride, padding, **more)


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
    more = {"dilations": _each(dilation, rank), "group": groups}
    more["output_padding"] = _each(output_padding, rank)
    return _slid("ConvTranspose", (x, w, b), w.shape[2:], stride, padding, **more)


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
    more = {"dilations": _each(dilation, x.ndim - 2), "ceil_mode": int(ceil_mode)}
    return _slid("MaxPool", (x,), kernel_size, stride, padding, **more)


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
    if ceil_mode and isinstance(padding, str):
        raise NotImplementedError(
            "ONNX's reference evaluator refuses ceil_mode with padding by name"
        )
    more = {"ceil_mode": int(ceil_mode), "count_include_pad": int(count_include_pad)}
    return _slid("AveragePool", (x,), kernel_size, stride, padding, **more)


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
    operands: Sequence[Array | None],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Any,
    **more: Any,
) -> Array:
    given = {n: a for n, a in zip("xwb", operands, strict=False) if a is not None}
    rank = given["x"].ndim - 2
    return _run(
        operator,
        given,
        kernel_shape=_each(kernel_size, rank),
        strides=_each(kernel_size if stride is None else stride, rank),
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
