"""What ONNX's node tests of Conv, ConvTranspose and pooling say of a subject."""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

NODES = {
    "conv": "Conv",
    "conv_transpose": "ConvTranspose",
    "max_pool": "MaxPool",
    "avg_pool": "AveragePool",
}


def onnx_catches(subject: Any, names: Sequence[str], correct: Any) -> bool:
    """Return whether a node test fails that a correct implementation passes.

    A test that the correct one does not pass uses what the functions do not have, such
    as dilated average pooling.
    """
    return any(
        passes(correct, name, test) and not passes(subject, name, test)
        for name in names
        for test in tests(name)
    )


def tests(name: str) -> list[Any]:
    """Return the node tests of an operation."""
    return [t for t in _tests() if t.model.graph.node[0].op_type == NODES[name]]


@lru_cache
def _tests() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    return [case for case in cases if len(case.model.graph.node) == 1]


def passes(subject: Any, name: str, test: Any) -> bool:
    """Return whether a subject gives what a node test expects."""
    node = test.model.graph.node[0]
    said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    for inputs, outputs in test.data_sets:
        try:
            y = _run(subject, name, inputs, said)
        except (ValueError, TypeError, NotImplementedError):
            return False
        same = y.shape == outputs[0].shape
        if not same or not np.allclose(y, outputs[0], test.rtol, test.atol):
            return False
    return True


def _run(subject: Any, name: str, inputs: Sequence[Any], said: dict[str, Any]) -> Any:
    x = inputs[0]
    kernel = tuple(said.get("kernel_shape") or inputs[1].shape[2:])
    options: dict[str, Any] = {
        "stride": tuple(said.get("strides", (1,) * len(kernel))),
        "padding": _padding(name, said, x.shape[2:], kernel),
    }
    if "dilations" in said:
        options["dilation"] = tuple(said["dilations"])
    if name.endswith("pool"):
        options["ceil_mode"] = bool(said.get("ceil_mode", 0))
        if name == "avg_pool":
            options["count_include_pad"] = bool(said.get("count_include_pad", 0))
        return getattr(subject, name)(x, kernel, **options)
    options["groups"] = said.get("group", 1)
    if "output_padding" in said:
        options["output_padding"] = tuple(said["output_padding"])
    return getattr(subject, name)(*inputs, **options)


def _padding(
    name: str, said: dict[str, Any], size: Sequence[int], kernel: Sequence[int]
) -> Any:
    """Return the padding of each side, as ONNX's operators document it."""
    rank = len(kernel)
    word = said.get("auto_pad", b"NOTSET").decode()
    if word == "VALID" or (word == "NOTSET" and "output_shape" not in said):
        pads = said.get("pads", [0] * 2 * rank)
        return tuple(zip(pads[:rank], pads[rank:], strict=True))
    ones, zeros = [1] * rank, [0] * rank
    strides, dilations = said.get("strides", ones), said.get("dilations", ones)
    more = said.get("output_padding", zeros)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    dims = list(zip(size, strides, spans, strict=True))
    if name == "conv_transpose":
        shape = said.get("output_shape") or [n * s for n, s, _ in dims]
        full = [s * (n - 1) + m + r for (n, s, r), m in zip(dims, more, strict=True)]
        totals = [a - b for a, b in zip(full, shape, strict=True)]
    else:
        totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in dims]
    # The larger half stands in front, but for the words that say otherwise; what is
    # missing from a shape stands behind, as an output_padding.
    behind = word == "SAME_UPPER"
    return tuple(_sides(total, behind) for total in totals)


def _sides(total: int, behind: bool) -> tuple[int, int]:
    if total < 0:
        return 0, total
    return (total // 2, -(-total // 2)) if behind else (-(-total // 2), total // 2)
