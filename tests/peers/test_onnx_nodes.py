"""ONNX's own tests of its operators, answered by the public functions.

Each is a model of one node, its inputs and the outputs that it must give, within the
bounds that the test states.
"""

import importlib
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from peers.onnx_operators import OPERATORS

from rot180 import runtime

pytest.importorskip("onnx", reason="ONNX's tests of its operators: pip install onnx")

CASES = "onnx.backend.test.case.node"
# Modules of cases that are not the operator's name in small letters.
MODULES = {
    "BatchNormalization": "batch_normalization",
    "GreaterOrEqual": "greater_or_equal",
    "LessOrEqual": "less_or_equal",
}
# Of convolution and pooling, so that cases that are lost are noticed.
LEAST = {"Conv": 6, "ConvTranspose": 9, "MaxPool": 14, "AveragePool": 14}

LATER = ("AveragePool", "MaxPool")  # ONNX takes seconds to make their cases


def cases_of(operator: str) -> list[Any]:
    """Returns ONNX's tests of an operator, which importing their module makes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module(f"{CASES}.{MODULES.get(operator, operator.lower())}")
    made = importlib.import_module(CASES)._NodeTestCases
    plain = [case for case in made if "_expanded" not in case.name]
    return [case for case in plain if case.model.graph.node[0].op_type == operator]


def attributes_of(node: Any) -> dict[str, Any]:
    value = importlib.import_module("onnx").helper.get_attribute_value
    return {a.name: value(a) for a in node.attribute}


def has_answer(operator: str, given: dict[str, Any], inputs: list[Any]) -> bool:
    """Whether our function has what a case asks for."""
    x = np.asarray(inputs[operator == "Where"])
    return x.dtype.name in ("float32", "float64") and {
        "AveragePool": max(given.get("dilations", [1])) == 1,
        "LogSoftmax": given.get("axis", -1) in (-1, x.ndim - 1),
        "ReduceMax": x.size > 0,
        "Reshape": not given.get("allowzero", 0),
    }.get(operator, True)


def check(case: Any) -> bool:
    """Raises AssertionError unless ours gives the outputs; False if it has none."""
    (node,) = case.model.graph.node
    ((inputs, outputs),) = case.data_sets
    given = attributes_of(node)
    if not has_answer(node.op_type, given, inputs):
        return False
    named = iter(inputs)
    operands = [next(named) if name else None for name in node.input]
    for engine in (nullcontext, runtime.force_reference):
        with engine():
            found = OPERATORS[node.op_type](given, *operands)
        found = found if isinstance(found, tuple) else (found,)
        wanted = outputs[: len(found)]  # ONNX counts MaxPool's places in its own way
        for got, want in zip(found, wanted, strict=True):
            assert got.dtype == want.dtype, case.name
            np.testing.assert_allclose(
                got, want, rtol=case.rtol, atol=case.atol, err_msg=case.name
            )
    return True


EACH = [
    pytest.param(name, marks=pytest.mark.slow if name in LATER else ())
    for name in OPERATORS
]


@pytest.mark.parametrize("operator", EACH)
def test_nodes_of(operator: str) -> None:
    answered = sum(map(check, cases_of(operator)))
    assert answered >= LEAST.get(operator, 1)
