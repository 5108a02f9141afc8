"""Optimisers: step for step PyTorch's."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180.errors import ArgumentError
from rot180.train import SGD, Adam, one_cycle

CASES = [
    (SGD(0.1), "SGD", {"lr": 0.1}),
    (
        SGD(0.1, momentum=0.9, weight_decay=0.01),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    ),
    (
        SGD(0.1, momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    ),
    (Adam(0.1), "Adam", {"lr": 0.1}),
    (
        Adam(0.1, betas=(0.8, 0.9), eps=1e-3, weight_decay=0.1),
        "Adam",
        {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.1},
    ),
    (
        Adam(0.1, weight_decay=0.1, decoupled=True),
        "AdamW",
        {"lr": 0.1, "weight_decay": 0.1},
    ),
]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(("ours", "name", "options"), CASES, ids=lambda v: str(v)[:30])
def test_five_updates_agree_with_pytorch(
    ours: Any, name: str, options: Any, compiled: bool, torch: Any
) -> None:
    numbers = np.random.default_rng(0)
    params = {"w": numbers.normal(size=(3, 2)), "b": [numbers.normal(size=2)]}
    tensors = [
        torch.tensor(a, requires_grad=True) for a in (params["w"], params["b"][0])
    ]
    theirs = getattr(torch.optim, name)(tensors, **options)
    update = rot180.jit(ours.update) if compiled else ours.update
    state = ours.init(params)
    for _ in range(5):
        grads = {"w": numbers.normal(size=(3, 2)), "b": [numbers.normal(size=2)]}
        params, state = update(params, grads, state)
        for tensor, grad in zip(tensors, (grads["w"], grads["b"][0]), strict=True):
            tensor.grad = torch.tensor(grad)
        theirs.step()
    for tensor, array in zip(tensors, (params["w"], params["b"][0]), strict=True):
        assert np.allclose(array, tensor.detach().numpy(), rtol=0, atol=1e-13)


def test_the_rate_of_one_update_may_be_an_array() -> None:
    one, _ = SGD(0.1).update(np.ones(2), np.ones(2), None, np.array(0.5))
    assert (one == 0.5).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(-1), "SGD: lr=-1 must be at least 0"),
        (lambda: SGD(float("nan")), "SGD: lr=nan"),
        (lambda: SGD(1, momentum=1.0), r"momentum=1\.0 must be .* below 1"),
        (lambda: SGD(1, nesterov=True), "nesterov=True needs a momentum"),
        (lambda: Adam(1, betas=(0.9, 1.0)), r"betas\[1\]=1\.0"),
        (lambda: Adam(1, weight_decay=-1), "weight_decay=-1"),
    ],
)
def test_bad_settings_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        make()


def test_one_cycle_rises_then_falls() -> None:
    rates = [one_cycle(step, 100) for step in range(100)]
    peak = int(np.argmax(rates))
    assert 15 <= peak <= 25
    assert rates[peak] > 0.95
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0.01 <= rates[-1] < 0.02
    assert one_cycle(0, 1) <= 1


def test_trees_that_do_not_fit_are_refused() -> None:
    params = {"a": np.ones(2, "f4"), "b": np.ones(2, "f4")}
    adam = Adam(0.1)
    with pytest.raises(ArgumentError, match="tree 2 has another structure"):
        adam.update(params, {"a": np.ones(2, "f4")}, adam.init(params))
    for state in (None, {}, SGD(0.1, momentum=0.9).init(params)):
        with pytest.raises(ArgumentError, match="Adam: state is no tree of m, v"):
            adam.update(params, params, state)
    with pytest.raises(ArgumentError, match=r"betas=0\.9 is no pair"):
        Adam(0.1, betas=0.9)  # type: ignore[arg-type]
