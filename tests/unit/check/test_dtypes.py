"""Subjects in half precision: exact where the numbers allow, else within a bound."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from unit.check.judged import judge_by

from rot180.check import check
from rot180.check.cases import DTYPES, HALF, Case, corners, make, numpy_dtype
from rot180.check.judge import too_large
from rot180.check.judge._judge import Judge
from rot180.check.judge._oracle import expected, operands
from rot180.check.subjects._runner import LocalRunner
from rot180.check.subjects._wire import packed, unpacked
from rot180.errors import ArgumentError

pytest.importorskip("ml_dtypes")
numpy_dtype("bfloat16")


def sums(x: Any, w: Any, dtype: Any) -> Any:
    """The convolution, one product after another, summed in a dtype."""
    r, c = w.shape[2:]
    size = x.shape[2] - r + 1, x.shape[3] - c + 1
    y = np.zeros((len(x), len(w), *size), dtype)
    for k, i, j in np.ndindex(w.shape[1:]):
        tile = x[:, None, k, i : i + size[0], j : j + size[1]]
        y += (tile.astype(dtype) * w[None, :, k, i, j, None, None]).astype(dtype)
    return y.astype(x.dtype)


def in_half(x: Any, w: Any) -> Any:
    return sums(x, w, x.dtype)


def in_single(x: Any, w: Any) -> Any:
    return sums(x, w, "float32")


def a_product_too_few(x: Any, w: Any) -> Any:
    return sums(x, np.concatenate((w[..., :-1], 0 * w[..., -1:]), -1), x.dtype)


def a_digit_too_few(x: Any, w: Any) -> Any:
    """Operands with 4 bits, where float16 has 11 and bfloat16 8."""
    cut = [(a.astype("float32").view("uint32") & 0xFFF00000) for a in (x, w)]
    return sums(*(a.view("float32") for a in cut), "float32").astype(x.dtype)


def judge_in(dtype: str, conv: Callable[..., Any]) -> Judge:
    judge = judge_by(LocalRunner({"conv": conv}))
    judge.survey.declare((), (dtype,))
    return judge


def configurations(dtype: str) -> list[Case]:
    small = [make(seed=seed, in_group=2, extra=2, kernel_size=2) for seed in range(24)]
    long = [make(seed=seed, in_group=20, extra=9, kernel_size=3) for seed in range(6)]
    return [replace(case, dtype=dtype) for case in small + long]


def failures(dtype: str, conv: Callable[..., Any]) -> int:
    judge = judge_in(dtype, conv)
    verdicts = [v for case in configurations(dtype) for v in judge.verdicts(case)]
    assert len(verdicts) in (30, 60)  # with the gradients, where there are any
    assert not any(verdict.unsupported for verdict in verdicts)
    return sum(bool(verdict.failures) for verdict in verdicts)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("conv", [in_half, in_single])
def test_right_code_in_half_precision_is_right(dtype: str, conv: Any) -> None:
    assert failures(dtype, conv) == 0


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("conv", [a_product_too_few, a_digit_too_few])
def test_wrong_code_in_half_precision_is_wrong(dtype: str, conv: Any) -> None:
    assert failures(dtype, conv) > 0


@pytest.mark.parametrize("dtype", HALF)
def test_sums_in_half_precision_are_exact_in_any_order(dtype: str) -> None:
    wanted = [replace(case, dtype=dtype) for case in corners() if case.kind == "conv"]
    long = [make(seed=s, in_group=48, extra=5, dtype=dtype) for s in range(32)]
    for case in (*wanted[:60:5], *long):
        given = operands(case)
        assert too_large(case) is None
        for function in ("conv", "conv_backward"):
            magnitudes = {name: abs(a.astype("float64")) for name, a in given.items()}
            exact = replace(case, dtype="float64")
            for most in expected(exact, function, magnitudes):
                assert (most.astype(given["x"].dtype) == most).all()


@pytest.mark.usefixtures("fixed_only")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_run_judges_the_dtype_that_is_asked_for(dtype: str) -> None:
    seen: set[str] = set()

    def relu(x: Any) -> Any:
        seen.add(str(x.dtype))
        return np.maximum(x, 0).astype(x.dtype)

    report = check({"relu": relu}, dtypes=(dtype,), seconds=60)
    assert report.status == 0, report.findings
    assert seen == {dtype}


def test_an_average_in_half_precision_may_round() -> None:
    def avg_pool(x: Any, kernel_size: int, stride: int | None = None) -> Any:
        k = kernel_size
        tiles = x[:, :, : x.shape[2] // k * k, : x.shape[3] // k * k]
        n, c, h, w = tiles.shape
        tiles = tiles.reshape(n, c, h // k, k, w // k, k)
        return (tiles.astype("float32").sum((3, 5)) / k**2).astype(x.dtype)

    judge = judge_by(LocalRunner({"avg_pool": avg_pool}))
    judge.survey.declare((), ("bfloat16",))
    case = make("avg_pool", kernel_size=3, stride=3, extra=3, dtype="bfloat16")
    (verdict,) = judge.verdicts(case)
    assert verdict.failures == ()


def test_bfloat16_crosses_to_the_child_and_back() -> None:
    array = np.arange(6).reshape(2, 3).astype("bfloat16")
    again = unpacked(bytearray(packed(array)))
    assert again.dtype == array.dtype
    assert (again == array).all()


def test_tensors_of_bfloat16_are_judged() -> None:
    pytest.importorskip("torch")
    module: dict[str, Any] = {}
    exec(
        "import torch\ndef conv(x, w):\n    return torch.nn.functional.conv2d(x, w)\n",
        module,
    )
    assert failures("bfloat16", module["conv"]) == 0


def test_bfloat16_without_its_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(ArgumentError, match="pip install ml_dtypes"):
        check({"relu": abs}, dtypes=("bfloat16",))
