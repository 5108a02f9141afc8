"""The reference computes nothing where kernels can be compiled, and all where not."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, nn, reference, runtime
from rot180.autograd import tree_flatten, tree_map
from rot180.train import SGD, Adam

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def whole(*shape: int) -> Array:
    return RNG.integers(-4, 5, shape).astype(np.float32)


X, W, B, DY = whole(3, 4, 7, 6), whole(5, 4, 3, 3), whole(5), whole(3, 5, 5, 4)
POOLED, DOWN, ROWS = whole(3, 4, 3, 3), whole(4, 5, 3, 3), whole(6, 9)
LABELS = np.array([0, 2, 1, 4, 0, 8])

# Whatever the package and `functional` offer; a test sees that none is missing.
CALLS: dict[str, Callable[[], Any]] = {
    "add": lambda: functional.add(X, X),
    "avg_pool": lambda: rot180.avg_pool(X, 2, stride=1, padding=1),
    "avg_pool_backward": lambda: rot180.avg_pool_backward(POOLED, X.shape, 2),
    "batch_norm": lambda: functional.batch_norm(X, B[:4], B[1:]),
    "conv": lambda: rot180.conv(X, W, B, stride=2, padding=1),
    "conv_backward": lambda: rot180.conv_backward(DY, X, W),
    "conv_input_grad": lambda: rot180.conv_input_grad(DY, W, X.shape),
    "conv_transpose": lambda: rot180.conv_transpose(X, DOWN, B, stride=2),
    "conv_weight_grad": lambda: rot180.conv_weight_grad(DY, X, W.shape),
    "correct": lambda: functional.correct(ROWS, LABELS),
    "cross_entropy": lambda: functional.cross_entropy(
        ROWS, LABELS, label_smoothing=0.1
    ),
    "divide": lambda: functional.divide(X, 4.0),
    "exp": lambda: functional.exp(X),
    "flatten": lambda: functional.flatten(X),
    "linear": lambda: functional.linear(ROWS, ROWS, ROWS[:, 0].copy()),
    "log": lambda: functional.log(np.abs(X) + 1),
    "log_softmax": lambda: functional.log_softmax(ROWS),
    "max_pool": lambda: rot180.max_pool(X, 2, padding=1, return_indices=True),
    "max_pool_backward": lambda: rot180.max_pool_backward(POOLED, X, 2),
    "maximum": lambda: functional.maximum(X, 1.0),
    "mean": lambda: functional.mean(X, (0, 2)),
    "multiply": lambda: functional.multiply(X, X),
    "normalise": lambda: functional.normalise(
        X, B[:4], B[1:], B[:4], np.abs(B[1:]) + 1
    ),
    "plan": lambda: len(str(rot180.plan(rot180.conv, X, W))) > 100,
    "relu": lambda: rot180.relu(X),
    "relu_backward": lambda: rot180.relu_backward(X, X[::-1]),
    "rot180": lambda: rot180.rot180(W),
    "sqrt": lambda: functional.sqrt(np.abs(X)),
    "subtract": lambda: functional.subtract(1.0, X),
    "total": lambda: functional.total(X),
    "where": lambda: functional.where(X > 0, X, -X),
    "grad": lambda: rot180.grad(
        lambda w: (rot180.conv(X, w, padding=1) ** 2).sum() * 1e-3
    )(W),
    "value_and_grad": lambda: rot180.value_and_grad(
        lambda w: rot180.max_pool(rot180.relu(rot180.conv(X, w)), 2).mean()
    )(W),
    "jit": lambda: rot180.jit(lambda x, w: rot180.relu(rot180.conv(x, w)))(X, W),
    "second order": lambda: rot180.grad(
        lambda w: (rot180.grad(lambda v: (rot180.conv(X, v) ** 2).sum())(w) * w).sum()
    )(W * np.float32(0.1)),
}
SETTINGS = {"Rot180Error", "StepPlan", "get_num_threads", "set_num_threads"}


@pytest.fixture
def no_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise AssertionError(f"the reference was asked for {arguments[0]}")

    monkeypatch.setattr(reference, "evaluate", refuse)


@pytest.fixture
def only_reference(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the reference was asked for, while nothing may be compiled."""
    asked: list[str] = []
    evaluate = reference.evaluate

    def note(op: Any, *arrays: Any) -> Any:
        asked.append(type(op).__name__)
        return evaluate(op, *arrays)

    def refuse(*arguments: Any) -> Any:
        raise AssertionError("a kernel was built")

    monkeypatch.setattr(reference, "evaluate", note)
    monkeypatch.setattr("rot180.runtime._kernel.build_kernel", refuse)
    with runtime.force_reference():
        yield asked


def close(found: Any, expected: Any) -> bool:
    mine, structure = tree_flatten(found)
    theirs, other = tree_flatten(expected)
    assert structure == other
    return all(
        np.shape(a) == np.shape(b)
        and np.asarray(a).dtype == np.asarray(b).dtype
        and np.allclose(a, b, rtol=2e-5, atol=2e-5)
        for a, b in zip(mine, theirs, strict=True)
    )


def test_every_public_function_is_called_here() -> None:
    names = {*rot180.__all__, *functional.__all__} - SETTINGS
    assert names <= set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_no_call_reaches_the_reference(name: str, no_reference: None) -> None:
    CALLS[name]()


@pytest.mark.parametrize("name", [n for n in CALLS if n != "plan"])
def test_everything_works_without_a_compiler(
    name: str, only_reference: list[str]
) -> None:
    CALLS[name]()
    assert only_reference or name == "flatten"


@pytest.mark.parametrize("name", [n for n in CALLS if n != "plan"])
def test_the_reference_gives_what_kernels_give(name: str) -> None:
    compiled = CALLS[name]()
    with runtime.force_reference():
        interpreted = CALLS[name]()
    assert close(compiled, interpreted)
    assert close(CALLS[name](), compiled)


# ------------------------------------------------------------------ a training step

NET = nn.Sequential(
    nn.Conv2d(1, 4, 3, padding=1),
    nn.BatchNorm2d(4),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False),
    nn.ReLU(),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Linear(6, 10),
)
IMAGES = RNG.standard_normal((8, 1, 8, 8)).astype(np.float32)
CLASSES = RNG.integers(0, 10, 8)
OPTIMISERS = {
    "SGD": SGD(0.1, momentum=0.9, weight_decay=1e-3, nesterov=True),
    "Adam": Adam(1e-2, weight_decay=1e-2),
    "AdamW": Adam(1e-2, weight_decay=1e-2, decoupled=True),
}


def trained(optimiser: Any, steps: int = 3) -> tuple[Any, Any, list[float]]:
    """Returns parameters and state after a few whole steps, and the losses."""

    def loss(params: Any, state: Any, images: Any, labels: Any) -> Any:
        scores, new = NET.apply(params, state, images, training=True)
        return functional.cross_entropy(scores, labels, label_smoothing=0.1), new

    differentiated = rot180.value_and_grad(loss, has_aux=True)

    @rot180.jit
    def step(params: Any, state: Any, slots: Any, images: Any, labels: Any) -> Any:
        (value, state), grads = differentiated(params, state, images, labels)
        params, slots = optimiser.update(params, grads, slots)
        return params, state, slots, value

    params, state = NET.init(0)
    slots = optimiser.init(params)
    losses = []
    for _ in range(steps):
        params, state, slots, value = step(params, state, slots, IMAGES, CLASSES)
        losses.append(float(value))
    return params, state, losses


@pytest.mark.parametrize("name", OPTIMISERS)
def test_no_training_step_reaches_the_reference(name: str, no_reference: None) -> None:
    params, _, losses = trained(OPTIMISERS[name])
    assert losses[-1] < losses[0]
    assert all(np.isfinite(leaf).all() for leaf in tree_flatten(params)[0])


@pytest.mark.parametrize("name", OPTIMISERS)
def test_training_without_a_compiler(name: str, only_reference: list[str]) -> None:
    params, _, losses = trained(OPTIMISERS[name])
    assert losses[-1] < losses[0]
    assert {"Conv", "MaxPool", "WindowSum", "Pointwise"} <= set(only_reference)
    assert all(np.isfinite(leaf).all() for leaf in tree_flatten(params)[0])


def test_training_is_the_same_either_way() -> None:
    compiled = trained(OPTIMISERS["SGD"])
    with runtime.force_reference():
        interpreted = trained(OPTIMISERS["SGD"])
    assert close(compiled, interpreted)


def test_inference_needs_no_reference(no_reference: None) -> None:
    params, state = NET.init(0)
    scores, _ = NET.apply(params, state, IMAGES, training=False)
    assert scores.shape == (8, 10)


def test_parameters_are_not_changed_in_place() -> None:
    params, state = NET.init(0)
    before = tree_map(np.copy, (params, state))
    trained(OPTIMISERS["SGD"], steps=1)
    assert close((params, state), before)
