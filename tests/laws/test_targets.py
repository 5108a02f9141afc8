"""Kernels for other processors: run where this one can, else emitted and verified."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import (
    Pooling,
    Problem,
    assert_same,
    draw_pooling,
    draw_problem,
    from_rng,
    poolings,
    problems,
)
from hypothesis import given, settings
from sweeps import amounts

import rot180
from rot180 import autograd, codegen, ops, reference, runtime
from rot180.functional._plan import plan_of
from rot180.runtime import _compiler
from rot180.schedules import scheduled

EXAMPLES = 3, 21  # of each rank, for each of two targets
POOLS = 6, 12
X86 = ("avx2", "baseline")


@pytest.fixture(params=X86)
def target(request: pytest.FixtureRequest) -> Any:
    with runtime.force_target(request.param):
        if not runtime.cpu.is_runnable(runtime.cpu.current().target):
            pytest.skip(f"this processor does not run code for {request.param}")
        yield request.param


@pytest.mark.parametrize("ranks", [(1, 3), (2, 4)])
@pytest.mark.parametrize("examples", amounts(*EXAMPLES))
def test_every_pass_equals_the_reference(
    target: str, ranks: tuple[int, int], examples: int
) -> None:
    seen: set[Problem] = set()
    for rank in ranks:

        @settings(max_examples=examples)
        @given(problem=problems(rank=rank))
        def law(problem: Problem) -> None:
            operands = problem.operands()
            expected = problem.expected(*operands)
            with runtime.force_schedule(problem.schedule):
                results = problem.computed(*operands)
            for got, want in zip(results, expected, strict=True):
                assert_same(got, want)
            seen.add(replace(problem, seed=0))

        law()
    assert len(seen) >= len(ranks) * examples * 0.8


@pytest.mark.parametrize("examples", amounts(*POOLS))
def test_pooling_equals_the_reference(target: str, examples: int) -> None:
    @settings(max_examples=examples)
    @given(pooling=poolings())
    def law(pooling: Pooling) -> None:
        x, op = pooling.values(), pooling.op("max")
        y, index = reference.evaluate(op, x)
        select = ops.MaxSelect(op.window, op.layout, "x", op.input_size)
        total = pooling.op("sum")
        with runtime.force_schedule(pooling.schedule):
            for got, want in zip(autograd.run(op, x), (y, index), strict=True):
                assert_same(got, want)
            (dx,) = autograd.run(select, y, index)
            assert_same(dx, reference.evaluate(select, y, index)[0])
            assert_same(autograd.run(total, x)[0], reference.evaluate(total, x)[0])

    law()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pointwise_and_rows_agree_with_numpy(target: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    eps = float(np.finfo(dtype).eps)
    x = (10 * rng.standard_normal((5, 37))).astype(dtype)
    for fn, values in (("exp", x), ("log", np.abs(x)), ("sqrt", np.abs(x))):
        (y,) = autograd.run(ops.Pointwise(fn), values)
        expected = getattr(np, fn)(values.astype("f8"))
        assert np.allclose(y, expected, rtol=4 * eps, atol=4 * eps), fn
    (y,) = autograd.run(ops.LogSoftmax(), x)
    (expected,) = reference.evaluate(ops.LogSoftmax(), x.astype("f8"))
    assert np.allclose(y, expected, rtol=8 * eps, atol=8 * eps)
    whole = rng.integers(-4, 5, (5, 37)).astype(dtype)
    for op in (
        ops.Reduce("sum", (1,)),
        ops.Reduce("max", (1,)),
        ops.Reduce("sum", (0,)),
    ):
        assert_same(autograd.run(op, whole)[0], reference.evaluate(op, whole)[0])


def test_a_target_that_cannot_run_is_refused() -> None:
    host = runtime.cpu.detect().target
    name = "neon" if host.name != "neon" else "avx2"
    x, w = np.ones((1, 1, 5), "f4"), np.ones((1, 1, 2), "f4")
    with (
        runtime.force_target(name),
        pytest.raises(rot180.Rot180Error, match=f"{name!r}.*cannot run"),
    ):
        rot180.conv(x, w)
    assert rot180.conv(x, w).tolist() == [[[2, 2, 2, 2]]]


# --------------------------------------------------------------------- AArch64

Operands = tuple[ops.TensorType, ...]


def t(*shape: int, dtype: str = "float32") -> ops.TensorType:
    return ops.TensorType(shape, dtype)


def neon_cases() -> dict[str, tuple[ops.Op, Operands]]:
    """Returns an op of every kind, by name."""
    cases: dict[str, tuple[ops.Op, Operands]] = {}
    for number in range(8):
        problem = draw_problem(from_rng(np.random.default_rng([30, number])))
        problem = replace(problem, images=2, viewed=False)
        x, w, b, dy = (ops.type_of(v) for v in problem.operands())
        op = ops.conv_op("neon", x, w, **problem.options)
        name = f"{number}, rank {len(problem.size)}, {problem.dtype}"
        cases[f"conv {name}"] = (replace(op, bias=True), (x, w, b))
        cases[f"input gradient {name}"] = (replace(op, out="x"), (dy, w))
        cases[f"filter gradient {name}"] = (replace(op, out="w"), (dy, x))
    pooling = draw_pooling(from_rng(np.random.default_rng(31)))
    most, total = pooling.op("max"), pooling.op("sum")
    x = ops.TensorType(pooling.x_shape, pooling.dtype)
    y, index = most.infer(x)
    cases["max pool"] = (most, (x,))
    select = ops.MaxSelect(most.window, most.layout, "x", most.input_size)
    cases["max select"] = (select, (y, index))
    cases["window sum"] = (total, (x,))
    cases["window sum backwards"] = (replace(total, out="x"), total.infer(x))
    cases["channel sum"] = (ops.ChannelSum(), (t(3, 20, 5, 5),))
    for fn in ("exp", "log", "sqrt", "relu", "sign"):
        cases[fn] = (ops.Pointwise(fn), (t(7, 33),))
    for fn in ("add", "div", "maximum", "relu_grad"):
        cases[fn] = (ops.Pointwise(fn), (t(7, 33, dtype="float64"),) * 2)
    cases["where"] = (
        ops.Pointwise("where"),
        (t(7, 33, dtype="bool"), *(t(7, 33),) * 2),
    )
    cases["row sums"] = (ops.Reduce("sum", (1,)), (t(7, 33),))
    cases["row maxima"] = (ops.Reduce("max", (1,)), (t(7, 33),))
    cases["column sums"] = (ops.Reduce("sum", (0,)), (t(7, 33),))
    cases["log softmax"] = (ops.LogSoftmax(), (t(7, 33),))
    cases["flip"] = (ops.Flip((0, 1)), (t(7, 33),))
    cases["broadcast"] = (ops.Broadcast((3, 7, 33)), (t(7, 33),))
    cases["one hot"] = (ops.OneHot(5), (t(9, dtype="int64"), t(5, dtype="int64")))
    return cases


NEON = neon_cases()
MULTIPLYING = [n for n in NEON if n.startswith(("conv", "input", "filter"))]


def emitted(op: ops.Op, types: Operands, schedule: int = 0) -> str:
    """Returns the IR of an op for AArch64."""
    with runtime.force_target("neon"), runtime.force_schedule(schedule):
        plan = plan_of(op, *types)
        assert plan.target.name == "neon"
        program = scheduled(plan.bound, plan.target, plan.tile)
        return codegen.emit(program, plan.target).text


@pytest.mark.parametrize("name", NEON)
def test_aarch64_objects_are_emitted_and_verified(name: str) -> None:
    target = runtime.cpu.for_family("neon").target
    code = _compiler.compile_object(emitted(*NEON[name]), target)
    assert code[:4] == b"\x7fELF" or code[:4] == b"\xcf\xfa\xed\xfe"
    if code[:4] == b"\x7fELF":
        assert int.from_bytes(code[18:20], "little") == 183  # EM_AARCH64


@pytest.mark.parametrize("name", MULTIPLYING)
def test_aarch64_multiplies_and_adds_in_one_vector_instruction(name: str) -> None:
    target = runtime.cpu.for_family("neon").target
    assembly = _compiler.compile_assembly(emitted(*NEON[name], schedule=1), target)
    assert re.search(r"\bfmla\s+v\d+\.(4s|2d)|\bfmla\.(4s|2d)", assembly)


def test_code_for_the_baseline_has_no_fused_multiply_add() -> None:
    op, types = NEON[MULTIPLYING[0]]
    for name, expected in (("baseline", False), ("avx2", True)):
        with runtime.force_target(name):
            target = runtime.cpu.current().target
            if target.triple.startswith("aarch64"):
                pytest.skip("the baseline of this processor is NEON")
            assembly = plan_of(op, *types).assembly
        assert bool(re.search(r"\bvfmadd\d+", assembly)) is expected
