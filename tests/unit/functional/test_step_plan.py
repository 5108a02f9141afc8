"""`rot180.plan` of a whole step: which kernels, what for, how long."""

import html
import json
import re
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, nn, train
from rot180.errors import ArgumentError, DataError, MissingPackageError, ShapeError
from rot180.functional._step_chart import MOST, OTHERS, bars
from rot180.functional._step_plan import PASSES, StepPlan

IMAGES = np.ones((4, 1, 8, 8), np.float32)
LABELS = np.arange(4, dtype=np.int32)


class Residual(nn.Module):
    def __init__(self) -> None:
        self.conv = nn.Conv2d(3, 3, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(3)

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        return functional.relu(x + scope(self.bn, scope(self.conv, x)))


NET = nn.Sequential(nn.Conv2d(1, 3, 3), Residual(), nn.Flatten(), nn.Linear(108, 4))


def _step(optimiser: train.Optimiser) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    def loss(params: Any, state: Any, x: Any, y: Any) -> Any:
        scores, state = NET.apply(params, state, x, training=True)
        return functional.cross_entropy(scores, y), state

    def step(params: Any, state: Any, slots: Any, x: Any, y: Any) -> Any:
        both = rot180.value_and_grad(loss, has_aux=True)
        (value, state), grads = both(params, state, x, y)
        params, slots = optimiser.update(params, grads, slots)
        return params, state, slots, value

    params, state = NET.init(0)
    return step, (params, state, optimiser.init(params), IMAGES, LABELS)


OPTIMISERS = {
    "sgd": train.SGD(0.1),
    "momentum": train.SGD(0.1, momentum=0.9, weight_decay=1e-3),
    "adam": train.Adam(1e-3),
}


@pytest.fixture(scope="module", params=OPTIMISERS)
def plan(request: pytest.FixtureRequest) -> StepPlan:
    step, args = _step(OPTIMISERS[request.param])
    found = rot180.plan(rot180.jit(step), *args)
    assert isinstance(found, StepPlan)
    return found


def test_every_layer_has_its_three_passes(plan: StepPlan) -> None:
    rows = plan.by_layer()
    assert list(rows) == ["0", "1.conv", "1.bn", "1", "3", ""]
    for layer in ("0", "1.conv", "1.bn", "3"):
        assert all(rows[layer][pass_] > 0 for pass_ in PASSES), layer
    assert rows["1"]["update"] == 0  # it has no parameters of its own


def test_the_passes_of_a_convolution_stand_where_they_belong(plan: StepPlan) -> None:
    found = [(k.name, k.layer, k.pass_) for k in plan.kernels if k.multiply_adds]
    assert sorted(found) == [
        ("conv", "0", "forward"),
        ("conv", "1.conv", "forward"),
        ("conv", "3", "forward"),
        ("conv_input_grad", "1.conv", "backward"),
        ("conv_input_grad", "3", "backward"),
        ("conv_weight_grad", "0", "backward"),
        ("conv_weight_grad", "1.conv", "backward"),
        ("conv_weight_grad", "3", "backward"),
    ]


def test_multiply_adds_are_those_of_the_sums(plan: StepPlan) -> None:
    wide, linear = 4 * 36 * 27, 4 * 108 * 4
    first = wide  # 1 channel into 3 at 36 places
    inner = 3 * wide
    assert plan.multiply_adds == 2 * first + 3 * inner + 3 * linear


def test_a_group_says_what_was_fused(plan: StepPlan) -> None:
    """Batch norm's last formula, the addition and ReLU are one kernel."""
    (relu,) = [k for k in plan.kernels if ("relu", "1") in k.fused]
    assert relu.pass_ == "forward"
    assert ("add", "1") in relu.fused
    assert ("sub", "1.bn") in relu.fused


def test_inference_is_all_forward() -> None:
    params, state = NET.init(0)
    plan = rot180.plan(lambda x: NET.apply(params, state, x, training=False)[0], IMAGES)
    assert {kernel.pass_ for kernel in plan.kernels} == {"forward"}


def test_memory_is_what_the_step_needs(plan: StepPlan) -> None:
    largest = max(k.outputs[0].nbytes for k in plan.kernels)
    assert largest <= plan.arena_bytes
    assert largest <= plan.peak_bytes <= plan.bytes_moved


def test_json_has_all_of_it(plan: StepPlan) -> None:
    read = json.loads(plan.to_json())
    assert read == json.loads(json.dumps(plan.to_dict()))
    assert len(read["kernels"]) == len(plan.kernels)
    assert read["predicted_seconds"] == plan.predicted > 0
    assert read["measured_seconds"] is None
    first = read["kernels"][0]
    layers = {row["layer"]: row["kind"] for row in read["layers"]}
    assert layers["1"] == "Residual"
    assert layers["1.bn"] == "BatchNorm2d"
    assert {"kernel", "layer", "pass", "fused", "inputs", "outputs"} <= first.keys()


def test_every_key_of_the_json_is_documented(plan: StepPlan) -> None:
    page = Path(__file__).parents[3] / "docs/reference/plan-json.md"
    documented = set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))
    assert _keys(plan.to_dict()) <= documented


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(_keys, value.values()))
    return set[str]().union(*map(_keys, value)) if isinstance(value, list) else set()


def test_the_table_has_a_line_for_each_kernel(plan: StepPlan) -> None:
    lines = repr(plan).splitlines()
    assert lines[0].startswith(f"step: {len(plan.kernels)} kernels for ")
    assert lines[5].split()[:3] == ["layer", "pass", "kernel"]
    assert len(lines) == 6 + len(plan.kernels)
    assert "measured" not in repr(plan)
    assert plan._repr_html_() == f"<pre>{html.escape(repr(plan))}</pre>"


def test_measuring_gives_each_kernel_a_time_and_keeps_the_arguments() -> None:
    step, args = _step(train.SGD(0.1, momentum=0.9))
    before = rot180.jit(step)(*args)[3]
    plan = rot180.plan(step, *args, measure=True)
    assert plan.measured == sum(k.measured for k in plan.kernels) > 0
    assert "measured us" in repr(plan)
    assert plan.measure(1).measured > 0
    assert rot180.jit(step)(*args)[3] == before
    with pytest.raises(ArgumentError, match="repeats=0 is no positive integer"):
        plan.measure(0)


def test_one_of_ours_under_jit_is_a_step() -> None:
    x, w = np.ones((1, 2, 5, 5), "f4"), np.ones((3, 2, 3, 3), "f4")
    assert isinstance(rot180.plan(rot180.jit(rot180.conv), x, w), StepPlan)
    with pytest.raises(ArgumentError, match=r"conv is no function of yours"):
        rot180.plan(rot180.conv, x, w, measure=True)


def test_what_runs_nothing_has_no_plan() -> None:
    with pytest.raises(ArgumentError, match="runs no kernel"):
        rot180.plan(lambda x: x, IMAGES)


def test_a_step_that_is_refused_names_the_layer() -> None:
    step, (params, state, slots, _, labels) = _step(train.SGD(0.1))
    wide = np.ones((4, 2, 8, 8), np.float32)
    with pytest.raises(ShapeError, match=r"In layer 0, Conv2d\(1, 3, 3"):
        rot180.plan(rot180.jit(step), params, state, slots, wide, labels)


def test_a_chart_is_a_picture(plan: StepPlan) -> None:
    from matplotlib.image import imread

    height, width = imread(BytesIO(plan.chart()), format="png").shape[:2]
    assert width == 1200
    assert height > 400


def test_without_matplotlib_it_says_what_to_install(
    plan: StepPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'rot180\[plot\]'"):
        plan.chart()


@pytest.mark.parametrize("inner", [1, 4])
def test_deep_networks_fit_into_a_chart(inner: int) -> None:
    rows = {
        f"{outer}.{i}": {"forward": 1.0 + outer, "backward": 2.0, "update": 0.0}
        for outer in range(40)
        for i in range(inner)
    }
    shown = bars(rows)
    assert len(shown) == MOST
    assert list(shown)[-1] == OTHERS
    assert "39" in shown or "39.0" in shown
    total = sum(sum(row.values()) for row in rows.values())
    assert sum(sum(row.values()) for row in shown.values()) == pytest.approx(total)


def test_labels_are_looked_at_when_a_step_is_measured() -> None:
    step, (params, state, slots, images, _) = _step(train.SGD(0.1))
    with pytest.raises(DataError, match="label 9 is out of range"):
        rot180.plan(step, params, state, slots, images, LABELS + 6, measure=True)


def test_gradients_of_gradients_are_backward() -> None:
    def penalty(w: Any) -> Any:
        inner = rot180.grad(lambda w: (rot180.conv(IMAGES, w) ** 2).sum())
        return (inner(w) ** 2).sum()

    plan = rot180.plan(rot180.grad(penalty), np.ones((2, 1, 3, 3), np.float32))
    assert {kernel.pass_ for kernel in plan.kernels} == {"forward", "backward"}
    assert plan.kernels[-1].pass_ == "backward"
