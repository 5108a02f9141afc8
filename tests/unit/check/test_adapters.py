"""Every ready adapter hands on what its framework computes, and says what it lacks."""

import ast
import importlib
import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from rot180.check.adapters import READY, module_name
from rot180.check.cases._case import Case, make
from rot180.check.cases._outputs import OUTPUTS
from rot180.check.judge import _oracle as oracle
from rot180.errors import ArgumentError

CONV = ("conv", "conv_input_grad", "conv_weight_grad", "conv_backward")
POOL = ("max_pool", "max_pool_backward", "avg_pool", "avg_pool_backward")
TRANSPOSED = ("conv_transpose", "conv_transpose_backward")
RELU = ("relu", "relu_backward")
ALL = (*CONV, "conv_double_backward", *TRANSPOSED, *POOL, *RELU)

# What each adapter offers, so that a function that is lost is noticed.
OFFERS = {
    "torch": ALL,
    "jax": ALL,
    "scipy": CONV,
    "onnx": ("conv", "conv_transpose", "max_pool", "avg_pool", "relu"),
    "convnet": ("conv", "conv_backward", "max_pool", "max_pool_backward", *RELU),
    "rot180": ALL,
}
EXACT = ("torch", "jax", "scipy", "onnx", "rot180")

MANY = {"in_group": 2, "out_group": 3, "images": 2}
# Cases by name, and the adapters whose frameworks have what they need.
CASES: dict[str, tuple[Case, tuple[str, ...]]] = {
    "conv": (make(kernel_size=(3, 2), extra=3, bias=True, **MANY), EXACT),
    "conv, stride, padding": (
        make(kernel_size=3, extra=4, stride=(2, 3), padding=(1, 1), **MANY),
        EXACT,
    ),
    "conv, dilation, groups": (
        make(kernel_size=2, extra=4, dilation=(1, 3), stride=2, groups=2, in_group=2),
        EXACT,
    ),
    "conv, one dimension": (
        make(rank=1, kernel_size=4, extra=5, stride=3, padding=(2, 2), groups=3),
        EXACT,
    ),
    "conv, three dimensions": (
        make(rank=3, kernel_size=2, extra=2, dilation=2, padding=(1, 1), in_group=2),
        EXACT,
    ),
    "conv, no images": (make(kernel_size=2, extra=2, images=0, out_group=2), EXACT),
    "conv, no image axis": (
        make(kernel_size=2, extra=2, images=None, stride=2, bias=True),
        ("torch", "rot180"),
    ),
    "conv, same": (
        make(kernel_size=(3, 5), extra=4, padding="same"),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "conv, same with stride": (
        make(kernel_size=4, extra=4, padding="same", stride=2),
        ("jax", "onnx", "rot180"),
    ),
    "conv, same_lower": (
        make(kernel_size=(2, 4), extra=4, padding="same_lower"),
        ("jax", "scipy", "onnx", "rot180"),
    ),
    "conv, full": (
        make(kernel_size=(2, 3), extra=2, padding="full", stride=2),
        ("scipy", "rot180"),
    ),
    "conv, per side": (
        make(kernel_size=3, extra=3, padding=((1, 0), (0, 2)), stride=2),
        ("jax", "scipy", "onnx", "rot180"),
    ),
    "conv, cropped": (
        make(kernel_size=2, extra=4, padding=((-1, 2), (0, -2))),
        ("jax", "scipy", "rot180"),
    ),
    "conv, flip": (
        make(kernel_size=(3, 2), extra=3, flip=True, stride=2, **MANY),
        ("scipy", "rot180"),
    ),
    "conv, channels last": (
        make(kernel_size=2, extra=3, layout="channels_last", bias=True, **MANY),
        ("jax", "rot180"),
    ),
    "transposed": (
        make("conv_transpose", kernel_size=3, extra=2, stride=2, bias=True, **MANY),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "transposed, output padding": (
        make(
            "conv_transpose",
            kernel_size=3,
            extra=2,
            stride=(2, 3),
            padding=(1, 1),
            output_padding=(1, 2),
            in_group=2,
        ),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "transposed, groups, dilation": (
        make("conv_transpose", kernel_size=2, extra=2, dilation=2, groups=2, **MANY),
        ("torch", "rot180"),
    ),
    "transposed, channels last": (
        make("conv_transpose", kernel_size=2, layout="channels_last", **MANY),
        ("jax", "rot180"),
    ),
    "transposed, same": (
        replace(make("conv_transpose", kernel_size=(2, 3), extra=3), padding="same"),
        ("jax", "onnx", "rot180"),
    ),
    "max": (
        make("max_pool", kernel_size=(2, 3), stride=2, extra=3, images=2, in_group=2),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "max, ceil_mode, padding": (
        make(
            "max_pool", kernel_size=3, stride=2, extra=2, padding=(1, 1), ceil_mode=True
        ),
        ("torch", "onnx", "rot180"),
    ),
    "max, dilation": (
        make("max_pool", kernel_size=2, dilation=2, stride=2, extra=3),
        ("torch", "rot180"),
    ),
    "mean": (
        make("avg_pool", kernel_size=2, extra=3, images=2, padding=(1, 1)),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "mean, of the positions inside": (
        make(
            "avg_pool",
            kernel_size=2,
            extra=3,
            padding=(1, 1),
            count_include_pad=False,
        ),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "mean, divisor": (
        make("avg_pool", kernel_size=3, stride=2, extra=2, divisor_override=4),
        ("torch", "rot180"),
    ),
    "mean, three dimensions": (
        make("avg_pool", rank=3, kernel_size=2, stride=2, extra=2),
        ("torch", "jax", "onnx", "rot180"),
    ),
    "relu": (
        make("relu", extra=4, in_group=3),
        ("torch", "jax", "onnx", "rot180"),
    ),
}


def adapter(name: str) -> Any:
    """Returns an adapter; the test is skipped where its framework is not installed."""
    pytest.importorskip(name, reason=f"not installed: {READY[name]}")
    return importlib.import_module(module_name(name))


def call(subject: Any, function: str, case: Case) -> tuple[Any, ...]:
    """Returns the results, after checking that no operand was changed."""
    judged = getattr(subject, function)
    operands = oracle.operands(case)
    before = {name: array.copy() for name, array in operands.items()}
    arguments = dict(oracle.arguments(case, function, operands))
    if "kernel_size" in arguments:
        arguments["kernel_size"] = case.kernel_size
    results = judged(*arguments.values(), **options_for(judged, case))
    for name, array in operands.items():
        assert np.array_equal(array, before[name]), f"{function} changed {name}"
    return results if isinstance(results, tuple) else (results,)


def options_for(judged: Any, case: Case) -> dict[str, Any]:
    """Returns the case's options but the neutral ones that a function does not have."""
    if case.kind == "relu":
        return {}
    known = inspect.signature(judged).parameters
    droppable = set() if "options" in known else case.droppable() - set(known)
    return {key: v for key, v in case.options().items() if key not in droppable}


def differing(subject: Any, function: str, case: Case) -> list[str]:
    """Returns the names of the outputs that are not the reference's."""
    operands = oracle.operands(case)
    expected = oracle.expected(case, function, operands)
    wrong = []
    for name, got, right in zip(
        OUTPUTS[function], call(subject, function, case), expected, strict=True
    ):
        assert isinstance(got, np.ndarray)
        assert got.dtype == right.dtype
        if got.shape != right.shape or not np.array_equal(got, right):
            wrong.append(name)
    return wrong


def in_double(case: Case) -> Case:
    return replace(case, dtype="float64")


@pytest.mark.parametrize("name", READY)
def test_what_an_adapter_offers(name: str) -> None:
    subject = adapter(name)
    offered = {function for function in OUTPUTS if hasattr(subject, function)}
    assert offered == set(OFFERS[name])
    assert all(isinstance(package, str) for package in subject.VERSIONS)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}: {title}")
        for title, (case, names) in CASES.items()
        for name in names
    ],
)
def test_results_equal_the_reference(name: str, case: Case) -> None:
    subject, case = adapter(name), in_double(case)
    assert not case.features() & set(getattr(subject, "UNSUPPORTED", ()))
    for function in oracle.functions_of(case.kind):
        if function in OFFERS[name]:
            assert differing(subject, function, case) == [], function


def test_results_keep_float32() -> None:
    for name in READY:
        try:
            subject = importlib.import_module(module_name(name))
        except ImportError:
            continue
        case = make(kernel_size=2, extra=2)
        assert differing(subject, "conv", case) == []


# Each framework's own limits, said in a sentence.
LIMITS = [
    ("torch", make(padding="full"), "PyTorch has no padding 'full'"),
    ("torch", make(padding="same", stride=2), "no padding 'same' with a stride"),
    (
        "torch",
        make("avg_pool", rank=1, divisor_override=3),
        "avg_pool1d has no divisor_override",
    ),
    (
        "torch",
        make("avg_pool", rank=3, kernel_size=3, padding=(1, 1)),
        "refuses an input smaller than the kernel",
    ),
    ("torch", make(rank=4), "at most 3 dimensions"),
    (
        "torch",
        replace(make("conv_transpose"), padding="same"),
        "conv_transpose has no padding by name",
    ),
    ("torch", make("max_pool", padding="same"), "max_pool has no padding by name"),
    ("torch", make("avg_pool", padding="same"), "avg_pool has no padding by name"),
    ("jax", make(padding="causal"), "no padding 'causal'"),
    ("jax", make("conv_transpose", groups=2), "conv_transpose has no groups"),
    (
        "jax",
        replace(make("conv_transpose", kernel_size=2), padding="same_lower"),
        "no padding 'SAME_LOWER' that undoes",
    ),
    (
        "jax",
        replace(make("conv_transpose", stride=2), padding="valid"),
        "adds positions where the stride exceeds the kernel",
    ),
    ("scipy", make(padding="causal"), "no mode for padding 'causal'"),
    ("onnx", make(padding="full"), "Conv has no padding 'full'"),
    (
        "onnx",
        make("avg_pool", padding="same", ceil_mode=True),
        "refuses ceil_mode with padding by name",
    ),
    ("convnet", make(padding=(1, 1)), "only words for padding"),
    ("convnet", make(padding="full"), "no padding 'full'"),
    ("convnet", make(stride=(1, 2), extra=3), "one stride for both dimensions"),
    ("convnet", make("max_pool", padding="same"), "MaxPool2D has no padding"),
]


@pytest.mark.parametrize(("name", "case", "text"), LIMITS)
def test_limits_are_said(name: str, case: Case, text: str) -> None:
    with pytest.raises(NotImplementedError, match=re.escape(text)):
        call(adapter(name), case.kind, case)


@pytest.mark.parametrize("name", ["torch", "jax", "onnx", "convnet"])
def test_pooling_without_a_stride_steps_by_its_kernel(name: str) -> None:
    y = adapter(name).max_pool(np.ones((1, 1, 4, 4), np.float32), 2)
    assert y.shape == (1, 1, 2, 2)


def test_jax_has_no_gradient_of_a_dilated_maximum() -> None:
    case = make("max_pool", kernel_size=2, dilation=2)
    with pytest.raises(NotImplementedError, match="over dilated windows"):
        call(adapter("jax"), "max_pool_backward", case)


@pytest.mark.parametrize("name", ["jax", "scipy"])
def test_a_bias_that_the_adapter_adds_has_one_number_for_each_filter(name: str) -> None:
    subject, x = adapter(name), np.ones((1, 1, 2, 2), np.float32)
    for count in (1, 4):
        with pytest.raises((TypeError, ValueError), match="reshape"):
            subject.conv(x, np.ones((3, 1, 1, 1), x.dtype), np.ones(count, x.dtype))


def test_threads_can_be_set() -> None:
    torch = pytest.importorskip("torch", reason=f"not installed: {READY['torch']}")
    before = torch.get_num_threads()
    try:
        adapter("torch").set_num_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_convnet_convolves_by_default_and_correlates_by_im2col() -> None:
    """The known defect: of the three ways one is right, and only without padding."""
    subject = adapter("convnet")
    case = make(kernel_size=3, extra=3, **MANY)
    assert differing(subject, "conv", case) == ["y"]
    assert differing(subject.im2col, "conv", case) == []
    assert differing(subject.im2col, "conv_backward", case) == []
    got = [getattr(subject, way).conv for way in ("opencv", "fft", "im2col")]
    operands = oracle.operands(case)
    ways = [conv(operands["x"], operands["w"]) for conv in got]
    assert not np.allclose(ways[0], ways[1])
    assert not np.allclose(ways[1], ways[2])
    with pytest.raises(NotImplementedError, match="only for kernels of 3 and 5"):
        call(subject.opencv, "conv", make(kernel_size=4))
    with pytest.raises(NotImplementedError, match="only for kernels of 3 and more"):
        call(subject.fft, "conv", make(kernel_size=2))


def test_convnet_has_no_gradient_for_asymmetric_padding() -> None:
    case = make(kernel_size=4, extra=3, padding="same")
    with pytest.raises(ValueError, match="reshape"):
        call(adapter("convnet").im2col, "conv_backward", case)


def test_convnet_pools_and_rectifies() -> None:
    subject = adapter("convnet")
    for case in (make("max_pool", kernel_size=2, extra=3), make("relu", extra=3)):
        for function in oracle.functions_of(case.kind):
            assert differing(subject, function, case) == []


def test_convnet_loses_the_gradient_of_pooling_without_overlap() -> None:
    """What a run found: where the windows tile the image they are mixed up."""
    subject = adapter("convnet")
    case = make("max_pool", kernel_size=2, stride=2, extra=2)
    assert differing(subject, "max_pool", case) == []
    assert differing(subject, "max_pool_backward", case) == ["dx"]


def test_onnx_fails_on_a_grouped_transposed_convolution() -> None:
    """The known defect of the reference evaluator."""
    case = make("conv_transpose", groups=2, in_group=2)
    with pytest.raises(ValueError, match="reshape"):
        call(adapter("onnx"), "conv_transpose", case)


def test_onnx_adds_the_first_bias_to_every_group() -> None:
    """What a run found: a wrong result where the grouped one has any."""
    case = make("conv_transpose", groups=2, bias=True, extra=1)
    assert differing(adapter("onnx"), "conv_transpose", case) == ["y"]


def test_onnx_shifts_the_windows_of_a_mean_with_ceil_mode() -> None:
    """What a run found: half of what a last window overhangs is padded in front."""
    case = make("avg_pool", rank=1, kernel_size=4, stride=4, extra=2, ceil_mode=True)
    assert differing(adapter("onnx"), "avg_pool", case) == ["y"]


def test_onnx_reads_the_pads_of_a_maximum_in_another_order() -> None:
    """What a run found: with stride 1, `(low, high)` of rows are taken to be both."""
    case = make("max_pool", kernel_size=3, extra=1, padding=((1, 0), (1, 1)))
    assert differing(adapter("onnx"), "max_pool", case) == ["y"]


@pytest.mark.parametrize("name", [name for name in READY if name != "rot180"])
def test_a_missing_framework_names_the_line_that_installs_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, module_name(name), raising=False)
    with pytest.raises(ImportError, match=re.escape(READY[name])):
        importlib.import_module(module_name(name))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"no adapter 'keras'[\s\S]*torch, jax"):
        module_name("keras")


@pytest.mark.parametrize("name", [name for name in READY if name != "rot180"])
def test_an_adapter_stands_alone(name: str) -> None:
    """Its text goes into scripts that run without rot180, behind other lines."""
    tree = ast.parse(_source(name))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(str(node.module).partition(".")[0])
    assert imported <= (set(sys.stdlib_module_names) - {"__future__"}) | {"numpy", name}


def _source(name: str) -> str:
    package: ModuleType = importlib.import_module("rot180.check.adapters")
    path = Path(str(package.__file__)).with_name(f"_{name}.py")
    return path.read_text(encoding="utf-8")
