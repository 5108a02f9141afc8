"""What is known of each step of a compiled function."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, nn, train
from rot180.autograd import Compiled, Described
from rot180.autograd._origin import Origin
from rot180.errors import Rot180Error

IMAGES = np.ones((4, 1, 8, 8), np.float32)
LABELS = np.arange(4, dtype=np.int32)


def _step(net: nn.Module) -> tuple[Any, tuple[Any, ...]]:
    optimiser = train.SGD(0.1, momentum=0.9)

    def loss(params: Any, state: Any) -> Any:
        scores, state = net.apply(params, state, IMAGES, training=True)
        return functional.cross_entropy(scores, LABELS), state

    @rot180.jit
    def step(params: Any, state: Any, slots: Any) -> Any:
        both = rot180.value_and_grad(loss, has_aux=True)
        (value, state), grads = both(params, state)
        params, slots = optimiser.update(params, grads, slots)
        return params, state, slots, value

    params, state = net.init(0)
    return step, (params, state, optimiser.init(params))


def _net() -> nn.Sequential:
    block = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    return nn.Sequential(block, nn.Flatten(), nn.Linear(108, 4))


@pytest.fixture(scope="module")
def steps() -> list[Described]:
    step, args = _step(_net())
    return Compiled(step, *args).steps()


def _origins(steps: list[Described], label: str) -> set[Origin]:
    return {p.origin for s in steps for p in s.parts if p.op.label == label}


def test_ops_remember_layer_and_pass(steps: list[Described]) -> None:
    """Through composite ops, groups and the replay of an inner trace."""
    assert _origins(steps, "conv") == {
        Origin("0.0", "forward", "Conv2d"),
        Origin("2", "forward", "Linear"),
    }
    assert _origins(steps, "conv_weight_grad") == {
        Origin("0.0", "backward", "Conv2d"),
        Origin("2", "backward", "Linear"),
    }
    assert Origin("0.1", "forward", "BatchNorm2d") in _origins(steps, "sqrt")
    assert _origins(steps, "log_softmax") == {Origin("", "forward")}


def test_what_a_step_computes_is_what_was_recorded(steps: list[Described]) -> None:
    relu = next(
        s
        for s in steps
        if Origin("0.2", "forward", "ReLU") in {p.origin for p in s.parts}
    )
    assert Origin("0.1", "forward", "BatchNorm2d") in {
        part.origin for part in relu.parts
    }
    assert all(step.parts for step in steps)


def test_measuring_runs_every_step_and_changes_no_argument() -> None:
    step, args = _step(_net())
    wanted = step(*args)[3]
    compiled = Compiled(step, *args)
    seconds = compiled.measure(2)
    assert len(seconds) == len(compiled.steps())
    assert min(seconds) >= 0 < max(seconds)
    assert step(*args)[3] == wanted


def test_an_error_in_a_compiled_step_names_the_layer() -> None:
    inner = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Conv2d(4, 3, 3))
    step, args = _step(nn.Sequential(inner, nn.Flatten(), nn.Linear(48, 4)))
    with pytest.raises(Rot180Error, match=r"In layer 0\.2, Conv2d\(4, 3, 3"):
        step(*args)
