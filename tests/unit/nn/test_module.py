"""Modules hold no arrays; parameters and state go in and come out."""

from typing import Any

import numpy as np
import pytest

import rot180
from rot180 import functional, nn
from rot180.errors import ArgumentError, DataError, Rot180Error, ShapeError


class Residual(nn.Module):
    """The example of the documentation."""

    def __init__(self, channels: int) -> None:
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, scope: nn.Scope, x: Any) -> Any:
        return functional.relu(x + scope(self.bn, scope(self.conv, x)))


X = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype("f4")


def test_names_are_those_of_pytorch() -> None:
    net = nn.Sequential(Residual(3), nn.Flatten(), nn.Linear(48, 2, bias=False))
    assert net.names() == [
        "0.conv.weight",
        "0.conv.bias",
        "0.bn.weight",
        "0.bn.bias",
        "0.bn.running_mean",
        "0.bn.running_var",
        "0.bn.num_batches_tracked",
        "2.weight",
    ]


def test_the_same_seed_gives_the_same_parameters() -> None:
    net = Residual(3)
    one, again, other = (net.state_dict(*net.init(seed)) for seed in (1, 1, 2))
    assert all((one[name] == again[name]).all() for name in one)
    assert (one["conv.weight"] != other["conv.weight"]).any()


def test_sibling_layers_begin_differently() -> None:
    params, _ = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)).init(0)
    assert (params["0"]["weight"] != params["1"]["weight"]).any()


def test_apply_changes_nothing_it_was_given() -> None:
    net = Residual(3)
    params, state = net.init(0)
    before = {k: v.copy() for k, v in net.state_dict(params, state).items()}
    _, new_state = net.apply(params, state, X, training=True)
    after = net.state_dict(params, state)
    assert all((before[name] == after[name]).all() for name in before)
    assert new_state["bn"]["num_batches_tracked"] == 1


def test_evaluation_keeps_the_state() -> None:
    net = Residual(3)
    params, state = net.init(0)
    _, same = net.apply(params, state, X, training=False)
    assert same["bn"]["running_mean"] is state["bn"]["running_mean"]


def test_state_dict_and_back() -> None:
    net = Residual(3)
    params, state = net.init(0)
    arrays = net.state_dict(params, state)
    y, _ = net.apply(*net.load_state_dict(arrays), X, training=False)
    assert (y == net.apply(params, state, X, training=False)[0]).all()


def test_arrays_that_do_not_match_are_refused() -> None:
    net = nn.Linear(3, 2)
    good = net.state_dict(*net.init(0))
    with pytest.raises(DataError, match=r"missing: bias\n    unknown: extra"):
        net.load_state_dict({"weight": good["weight"], "extra": good["bias"]})
    with pytest.raises(DataError, match=r"missing: none\n    unknown: extra"):
        net.load_state_dict({**good, "extra": good["bias"]})
    with pytest.raises(DataError, match=r"missing: bias\n    unknown: none"):
        net.load_state_dict({"weight": good["weight"]})
    with pytest.raises(ShapeError, match=r"weight has shape \(2, 3\) in this network"):
        net.load_state_dict({**good, "weight": good["weight"].T})


def test_a_module_calls_only_its_own_children() -> None:
    stranger = nn.ReLU()

    class Bad(nn.Module):
        def forward(self, scope: nn.Scope, x: Any) -> Any:
            return scope(stranger, x)

    with pytest.raises(ArgumentError, match="ReLU is not part of the module"):
        Bad().apply({}, {}, X, training=False)


def test_one_layer_in_two_places_is_refused() -> None:
    shared = nn.Linear(3, 3)
    with pytest.raises(ArgumentError, match="Linear stands in two places, 0 and 1"):
        nn.Sequential(shared, shared).init(0)
    relu = nn.ReLU()
    nn.Sequential(relu, relu).init(0)


def test_a_key_reaches_each_module_under_its_name() -> None:
    seen = []

    class Noisy(nn.Module):
        def forward(self, scope: nn.Scope, x: Any) -> Any:
            seen.append(scope.key)
            return x

    key = nn.Key.from_seed(0)
    net = nn.Sequential(Noisy(), Noisy())
    net.apply({}, {}, X, training=True, key=key)
    assert seen == [key.fold("0"), key.fold("1")]


def test_the_networks_have_pytorchs_shapes() -> None:
    for net, size in [(nn.models.DigitsNet(), 8), (nn.models.LeNet(), 28)]:
        x = np.zeros((2, 1, size, size), "f4")
        y, _ = net.apply(*net.init(0), x, training=False)
        assert y.shape == (2, 10)


FAULTS = [
    (np.zeros((2, 3, 4, 4)), "x is float64, the parameters are float32"),
    (np.zeros((2, 4, 4, 4), "f4"), "x has 4 channels, not in_channels=3"),
    (np.zeros((4, 4), "f4"), "x has 2 axes, not 3 or 4"),
]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(("x", "message"), FAULTS, ids=["dtype", "channels", "axes"])
def test_an_error_names_the_layer(x: Any, message: str, jit: bool) -> None:
    net = nn.Sequential(nn.ReLU(), nn.Sequential(Residual(3), nn.ReLU()))
    params, state = net.init(0)

    def run(x: Any) -> Any:
        return net.apply(params, state, x, training=False)[0]

    with pytest.raises(Rot180Error, match=message) as error:
        (rot180.jit(run) if jit else run)(x)
    assert str(error.value).splitlines()[-1] == (
        "  In layer 1.0.conv, Conv2d(3, 3, 3, padding=1)."
    )


def test_parameters_of_another_network_are_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3))
    params, state = net.init(0)
    with pytest.raises(
        DataError, match=r"params hold no 'weight'(.*\n)+  In layer 0, C"
    ):
        net.apply({}, state, X, training=False)
    with pytest.raises(DataError, match="state hold no 'running_mean', but nothing"):
        net.apply(params, {}, X, training=False)
    params["0"].pop("bias")
    with pytest.raises(DataError, match="params hold no 'bias', but 'weight'"):
        net.apply(params, state, X, training=False)
    with pytest.raises(ArgumentError, match="params is a NoneType, not a dictionary"):
        net.apply(None, state, X, training=False)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"params and state lack 0\.weight, 0\.bias"):
        net.state_dict({}, state)
