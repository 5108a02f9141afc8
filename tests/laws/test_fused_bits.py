"""A jitted function gives the bits of its ops run one by one, for any thread count."""

from collections.abc import Iterator

import numpy as np
import pytest
from fused_networks import Network, assert_same_bits, one_by_one

import rot180
from rot180.autograd._tree import tree_flatten

THREADS = (1, 2, 3)
RUN, SLOW = 6, 120
SEEDS = [
    *range(RUN),
    *(pytest.param(n, marks=pytest.mark.slow) for n in range(RUN, RUN + SLOW)),
]


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = rot180.get_num_threads()
    yield
    rot180.set_num_threads(before)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_training_step(seed: int) -> None:
    net = Network.drawn(seed)
    x = net.images()
    arguments = net.params, [np.ones_like(p) for p in net.params], x
    wanted = one_by_one(net.step, *arguments)
    step = rot180.jit(net.step)
    for threads in THREADS:
        rot180.set_num_threads(threads)
        assert_same_bits(tree_flatten(step(*arguments))[0], wanted)


@pytest.mark.parametrize("seed", SEEDS[:2] + SEEDS[RUN : RUN + 30])
def test_a_gradient_of_a_gradient(seed: int) -> None:
    net = Network.drawn(seed)
    x = net.images()
    wanted = one_by_one(net.gradient_twice, net.params, x)
    found = rot180.jit(net.gradient_twice)(net.params, x)
    assert_same_bits([found], wanted)


@pytest.mark.parametrize("target", ["avx2", "baseline"])
@pytest.mark.parametrize("seed", [3, *SEEDS[RUN : RUN + 8]])
def test_another_target(seed: int, target: str) -> None:
    net = Network.drawn(seed)
    x = net.images()
    arguments = net.params, [np.ones_like(p) for p in net.params], x
    with rot180.runtime.force_target(target):
        wanted = one_by_one(net.step, *arguments)
        found = rot180.jit(net.step)(*arguments)
    assert_same_bits(tree_flatten(found)[0], wanted)
