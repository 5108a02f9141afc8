"""Random small networks: values, gradients and second gradients, beside PyTorch's."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from sweeps import parts

import rot180
from rot180 import functional
from rot180.autograd import tree_flatten

NETWORKS = 50
BOUND = 1e-12
CLASSES = 3


@dataclass(frozen=True)
class Layer:
    """One layer: how rot180 and PyTorch compute it, and the shapes of its arrays."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    arrays: tuple[tuple[int, ...], ...] = ()


def _conv(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
    rank, groups = len(shape) - 2, draw.choice([1, 2])
    k = 2 * draw.randint(1, 2)
    kernel = tuple(draw.randint(1, min(3, n)) for n in shape[2:])
    options: dict[str, Any] = {
        "stride": tuple(draw.randint(1, 2) for _ in range(rank)),
        "padding": tuple(draw.randint(0, 1) for _ in range(rank)),
        "groups": groups,
    }
    theirs = getattr(torch.nn.functional, f"conv{rank}d")
    return Layer(
        f"conv {kernel} {options}",
        lambda x, w, b: functional.conv(x, w, b, **options),
        lambda x, w, b: theirs(x, w, b, **options),
        ((k, shape[1] // groups, *kernel), (k,)),
    )


def _conv_transpose(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
    rank, stride, kernel = len(shape) - 2, draw.randint(1, 2), draw.randint(2, 3)
    options: dict[str, Any] = {
        "stride": stride,
        "padding": draw.randint(0, int(min(shape[2:]) > 1)),
        "output_padding": draw.randint(0, stride - 1),
    }
    theirs = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    return Layer(
        f"conv_transpose {kernel} {options}",
        lambda x, w, b: functional.conv_transpose(x, w, b, **options),
        lambda x, w, b: theirs(x, w, b, **options),
        ((shape[1], 2, *(kernel,) * rank), (2,)),
    )


def _pool(kind: str) -> Callable[..., Layer]:
    def make(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
        rank, kernel = len(shape) - 2, draw.randint(1, min(3, *shape[2:]))
        options = {"stride": draw.randint(1, 2), "padding": kernel // 2}
        ours = getattr(functional, f"{kind}_pool")
        theirs = getattr(torch.nn.functional, f"{kind}_pool{rank}d")
        return Layer(
            f"{kind}_pool {kernel} {options}",
            lambda x: ours(x, kernel, **options),
            lambda x: theirs(x, kernel, **options),
        )

    return make


def _relu(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
    return Layer("relu", functional.relu, torch.relu)


def _batch_norm(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
    channels = (shape[1],)
    return Layer(
        "batch_norm",
        lambda x, w, b: functional.batch_norm(x, w, b)[0],
        lambda x, w, b: torch.nn.functional.batch_norm(
            x, None, None, w, b, training=True
        ),
        (channels, channels),
    )


def _square(draw: random.Random, shape: tuple[int, ...], torch: Any) -> Layer:
    return Layer(
        "x * exp(-x * x)",
        lambda x: x * functional.exp(-x * x),
        lambda x: x * torch.exp(-x * x),
    )


def _linear(shape: tuple[int, ...], torch: Any) -> Layer:
    features = math.prod(shape[1:])
    return Layer(
        "linear",
        lambda x, w, b: functional.linear(functional.flatten(x), w, b),
        lambda x, w, b: torch.nn.functional.linear(torch.flatten(x, 1), w, b),
        ((CLASSES, features), (CLASSES,)),
    )


LAYERS = (
    _conv,
    _conv_transpose,
    _pool("max"),
    _pool("avg"),
    _relu,
    _batch_norm,
    _square,
)


class Network:
    """A random network with its numbers, computed by either library."""

    def __init__(self, seed: int, torch: Any) -> None:
        draw, numbers = random.Random(seed), np.random.default_rng(seed)
        rank = draw.randint(1, 3)
        sizes = {1: (7, 12), 2: (5, 7), 3: (3, 4)}[rank]
        size = tuple(draw.randint(*sizes) for _ in range(rank))
        self.torch = torch
        self.x = numbers.normal(size=(3, 2, *size))
        self.labels = numbers.integers(0, CLASSES, 3)
        self.layers: list[Layer] = []
        self.params: list[list[Any]] = []
        x = torch.tensor(self.x)
        kinds = [_conv, *draw.choices(LAYERS, k=draw.randint(1, 4))]
        for make in kinds:
            x = self._add(make(draw, tuple(x.shape), torch), x, numbers)
        self._add(_linear(tuple(x.shape), torch), x, numbers)
        leaves, _ = tree_flatten(self.params)
        self.directions = [numbers.normal(size=leaf.shape) for leaf in leaves]

    def _add(self, layer: Layer, x: Any, numbers: np.random.Generator) -> Any:
        arrays = [numbers.normal(size=shape) * 0.7 for shape in layer.arrays]
        self.layers.append(layer)
        self.params.append(arrays)
        return layer.theirs(x, *map(self.torch.tensor, arrays))

    def logits(self, params: Any, x: Any) -> Any:
        for layer, arrays in zip(self.layers, params, strict=True):
            x = layer.ours(x, *arrays)
        return x

    def ours(self) -> tuple[Any, Any, Any]:
        """Logits, gradients, and gradients of gradients along random directions."""

        def loss(params: Any) -> Any:
            return functional.cross_entropy(self.logits(params, self.x), self.labels)

        def slope(params: Any) -> Any:
            leaves, _ = tree_flatten(rot180.grad(loss)(params))
            pairs = zip(leaves, self.directions, strict=True)
            terms = [(leaf * direction).sum() for leaf, direction in pairs]
            return sum(terms[1:], start=terms[0])

        gradients = rot180.grad(loss)(self.params)
        seconds = rot180.grad(slope)(self.params)
        return self.logits(self.params, self.x), *map(_joined, (gradients, seconds))

    def theirs(self) -> tuple[Any, Any, Any]:
        torch = self.torch
        params = [
            [torch.tensor(array, requires_grad=True) for array in arrays]
            for arrays in self.params
        ]
        x = torch.tensor(self.x)
        for layer, arrays in zip(self.layers, params, strict=True):
            x = layer.theirs(x, *arrays)
        leaves, _ = tree_flatten(params)
        loss = torch.nn.functional.cross_entropy(x, torch.tensor(self.labels))
        gradients = torch.autograd.grad(loss, leaves, create_graph=True)
        pairs = zip(gradients, self.directions, strict=True)
        slope = sum((g * torch.tensor(d)).sum() for g, d in pairs)
        seconds = torch.autograd.grad(slope, leaves)
        first, second = (
            np.concatenate([t.detach().numpy().ravel() for t in tensors])
            for tensors in (gradients, seconds)
        )
        return x.detach().numpy(), first, second


def _joined(tree: Any) -> Any:
    return np.concatenate([leaf.ravel() for leaf in tree_flatten(tree)[0]])


@pytest.mark.parametrize("seed", parts(NETWORKS, NETWORKS // 4))
def test_a_random_network_agrees_with_pytorch(seed: int, torch: Any) -> None:
    network = Network(seed, torch)
    names = " > ".join(layer.name for layer in network.layers)
    for what, ours, theirs in zip(
        ("logits", "gradients", "second gradients"),
        network.ours(),
        network.theirs(),
        strict=True,
    ):
        error = np.abs(ours - theirs).max()
        assert error <= BOUND * np.abs(theirs).max(), f"{what} of {names}: {error:.2e}"
