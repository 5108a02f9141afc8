"""`rot180.plan`: what a public call would run, without running it."""

import html
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, ops
from rot180.errors import ArgumentError, ShapeError
from rot180.functional._plan import Plan

X = np.ones((2, 4, 9, 8), np.float32)
W = np.ones((6, 4, 3, 3), np.float32)
DY = np.ones((2, 6, 7, 6), np.float32)
CALLS: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], type[ops.Op], str]] = {
    "conv": (rot180.conv, (X, W), {"stride": 2}, ops.Conv, "direct"),
    "one image": (rot180.conv, (X[0], W), {}, ops.Conv, "direct"),
    "input": (rot180.conv_input_grad, (DY, W, X.shape), {}, ops.Conv, "direct"),
    "weight": (rot180.conv_weight_grad, (DY, X, W.shape), {}, ops.Conv, "direct"),
    "max pool": (rot180.max_pool, (X, 2), {}, ops.MaxPool, "direct"),
    "average": (rot180.avg_pool, (X, 2), {}, ops.WindowSum, "direct"),
    "relu": (rot180.relu, (X,), {}, ops.Pointwise, "pointwise"),
    "rows": (functional.log_softmax, (X[0, 0],), {}, ops.LogSoftmax, "row-wise"),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_names_the_op_that_runs(name: str) -> None:
    function, args, options, kind, algorithm = CALLS[name]
    plan = rot180.plan(function, *args, **options)
    assert isinstance(plan, Plan)
    assert isinstance(plan.op, kind)
    assert plan.algorithm == algorithm
    assert (plan.tile is None) == (algorithm != "direct")
    assert plan.program
    assert plan.program.splitlines()[-1].strip() in str(plan)


def test_options_are_planned() -> None:
    plan = rot180.plan(rot180.conv, X, W, stride=2, padding=1)
    assert isinstance(plan.op, ops.Conv)
    assert plan.op.window.stride == (2, 2)
    assert plan.op.window.padding == ((1, 1), (1, 1))


def test_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> None:
        raise AssertionError("a plan ran something")

    monkeypatch.setattr("rot180.autograd.run", never)
    assert rot180.plan(rot180.conv, X, W).tile is not None


def test_code_is_made_when_it_is_asked_for() -> None:
    plan = rot180.plan(rot180.conv, X, W)
    assert "define void" in plan.ir
    assert "conv_y" in plan.assembly


def test_what_runs_no_kernel_has_no_plan() -> None:
    with pytest.raises(ArgumentError, match="plan: flatten runs no kernel"):
        rot180.plan(functional.flatten, X)


def test_a_call_that_would_be_refused_is_refused() -> None:
    with pytest.raises(ShapeError, match="conv"):
        rot180.plan(rot180.conv, X, W[:, :3])


def test_a_plan_shows_itself_in_a_console_and_in_a_notebook() -> None:
    plan = rot180.plan(rot180.relu, np.ones((2, 3), "f4"))
    assert repr(plan) == str(plan)
    assert repr(plan).startswith("op ")
    assert plan._repr_html_() == f"<pre>{html.escape(str(plan))}</pre>"
