"""Random functions as networks have them, and what runs their ops one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import rot180
from rot180 import functional as F
from rot180 import ops
from rot180.autograd import run
from rot180.autograd._jit import trace_call
from rot180.autograd._program import _expanded
from rot180.autograd._tree import tree_flatten

Array = np.ndarray[Any, Any]


def one_by_one(function: Callable[..., Any], *arguments: Any) -> list[Array]:
    """The results of a function whose recorded ops run in turn, each on its own."""
    trace = trace_call(function, *arguments)
    graph, inputs, results = trace.graph, trace.inputs, trace.results
    while any(node.op.is_composite for node in graph.nodes):
        graph, inputs, results = _expanded(graph, inputs, results)
    known = dict(graph.captures)
    leaves = [leaf for leaf in tree_flatten(arguments)[0] if _is_array(leaf)]
    known |= dict(zip(inputs, leaves, strict=True))
    for node in graph.needed_for(results):
        outputs = run(node.op, *(known[i] for i in node.inputs))
        known |= zip(node.outputs, outputs, strict=True)
    return [known[number] for number in results]


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, np.ndarray | np.generic)


def bits(array: Array) -> bytes:
    """The numbers as they lie in memory, every NaN the same."""
    if array.dtype.kind != "f":
        return array.tobytes()
    clean = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    return np.ascontiguousarray(clean, array.dtype).tobytes()


def assert_same_bits(found: Sequence[Array], wanted: Sequence[Array]) -> None:
    """Every result has the wanted shape, dtype and bits."""
    assert len(found) == len(wanted)
    for number, (a, b) in enumerate(zip(found, wanted, strict=True)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), number
        if bits(a) != bits(b):
            where = np.argwhere((a != b) & ((a == a) | (b == b)))[:1]
            raise AssertionError(f"result {number} differs at {where}")


@dataclass
class Network:
    """A random network over images, its loss and its gradients.

    Attributes:
        rng: Draws the shape of the network; the arrays are drawn from it too.
    """

    rng: np.random.Generator
    dtype: str
    rank: int
    layout: ops.Layout
    params: list[Array] = field(default_factory=list)
    plan: list[tuple[Any, ...]] = field(default_factory=list)
    channels: int = 0

    @classmethod
    def drawn(cls, seed: int) -> "Network":
        rng = np.random.default_rng([77, seed])
        dtype = ("float32", "float64")[seed % 2]
        rank = int(rng.integers(1, 3)) if seed % 5 else 3
        layout: ops.Layout = ("channels_first", "channels_last")[seed // 2 % 2]  # type: ignore[assignment]
        net = cls(rng, dtype, rank, layout)
        net.channels = int(rng.integers(1, 20))
        for _ in range(int(rng.integers(3, 8))):
            net._layer()
        return net

    def images(self) -> Array:
        size = tuple(int(n) for n in self.rng.integers(5, 9, self.rank))
        if (
            self.rng.random() < 0.5 and self.first <= 9
        ):  # as many rows, columns and channels
            size = (max(self.first, 5),) * self.rank
        shape = ops.image_shape(
            self.layout, int(self.rng.integers(2, 5)), self.first, size
        )
        x = self.rng.standard_normal(shape).astype(self.dtype)
        small = 2.0 ** (-130 if self.dtype == "float32" else -1030)
        return np.where(self.rng.random(shape) < 0.1, x.dtype.type(small), x)

    @property
    def first(self) -> int:
        return int(self.plan[0][1])

    def _array(self, *shape: int, mean: float = 0.0) -> int:
        values = self.rng.standard_normal(shape) * 0.5 + mean
        self.params.append(values.astype(self.dtype))
        return len(self.params) - 1

    def _layer(self) -> None:
        kinds = ["conv", "depthwise", "norm", "relu", "relu6", "residual", "swish"]
        kinds += ["scale", "avg", "max", "gate", "mix", "turn", "halves"]
        kind = str(self.rng.choice(kinds)) if self.plan else "conv"
        before, numbers = self.channels, []
        if kind in ("conv", "depthwise"):
            if kind == "conv":
                self.channels = int(self.rng.integers(1, 20))
            groups = before if kind == "depthwise" else 1
            taps = (3,) * self.rank if self.rng.random() < 0.7 else (1,) * self.rank
            numbers.append(
                self._array(
                    *ops.filter_shape(
                        self.layout, self.channels, before // groups, taps
                    )
                )
            )
        elif kind in ("norm", "scale", "gate"):
            numbers += [self._array(before, mean=1.0), self._array(before)]
        self.plan.append((kind, before, numbers, float(self.rng.normal())))

    def loss(self, params: list[Any], x: Any) -> tuple[Any, list[Any]]:
        """A scalar, and values from the middle of the network."""
        kept, extra = [x], []
        for kind, _, numbers, number in self.plan:
            own = [params[n] for n in numbers]
            y = self._applied(kind, kept, own, number)
            if kind == "norm":
                y, mean, var = y
                extra += [mean * 0.9, var]
            kept.append(y)
        y = kept[-1]
        if self.plan[0][3] > 0:
            extra.append(y)
        axes = tuple(ops.spatial_axes(self.layout, self.rank + 2))
        pooled = F.mean(y, axes)
        return F.total(pooled * pooled + F.exp(-F.maximum(pooled, -pooled))), extra

    def _column(self, vector: Any) -> Any:
        if self.layout == "channels_last":
            return vector
        return vector.reshape(-1, *(1,) * self.rank)

    def _applied(
        self, kind: str, kept: list[Any], own: list[Any], number: float
    ) -> Any:
        x = kept[-1]
        match kind:
            case "conv" | "depthwise":
                groups = x.shape[ops.channel_axis(self.layout, x.ndim)]
                w_in = own[0].shape[ops.filter_axes(self.layout, x.ndim)[1]]
                taps = (
                    own[0].shape[2]
                    if self.layout == "channels_first"
                    else own[0].shape[0]
                )
                return F.conv(
                    x,
                    own[0],
                    padding=taps // 2,
                    groups=groups // w_in,
                    layout=self.layout,
                )
            case "norm":
                return F.batch_norm(x, *own, layout=self.layout)
            case "relu":
                return F.relu(x)
            case "relu6":
                return F.relu(x) - F.relu(x - 6.0)
            case "residual":
                alike = [k for k in kept[:-1] if k.shape == x.shape]
                return F.relu(x + alike[0]) if alike else F.relu(x * 1.0 + 0.0)
            case "swish":
                return x / (1.0 + F.exp(-x))
            case "scale":
                return x * self._column(own[0]) + self._column(own[1]) * number
            case "gate":
                return F.where(x > self._column(own[1]), x * number, -x) * -1.0
            case "mix":
                return F.maximum(x, number * x - 0.0) + F.sqrt(x * x + 1e-3)
            case "turn":
                order = (0, *range(x.ndim - 1, 0, -1))
                turned = x.transpose(*order)
                return x + (turned if turned.shape == x.shape else x[::-1]) * number
            case "halves":
                return F.relu(x[:, ::2].reshape(-1)).sum() * x + x.reshape(*x.shape)
            case "avg":
                return F.avg_pool(x, (2,) * self.rank, stride=1, layout=self.layout)
            case "max":
                return F.max_pool(x, (2,) * self.rank, stride=1, layout=self.layout)
        raise AssertionError(kind)

    def step(self, params: list[Any], slots: list[Any], x: Any) -> Any:
        """A step of gradient descent with momentum."""
        (loss, extra), grads = rot180.value_and_grad(self.loss, has_aux=True)(params, x)
        slots = [0.9 * s + g for s, g in zip(slots, grads, strict=True)]
        new = [p - 0.1 * s for p, s in zip(params, slots, strict=True)]
        return loss, extra, slots, new

    def gradient_twice(self, params: list[Any], x: Any) -> Any:
        """The gradient of the sum of a gradient."""

        def slope(x: Any) -> Any:
            dx = rot180.grad(lambda x: self.loss(params, x)[0])(x)
            return F.total(dx * dx)

        return rot180.grad(slope)(x)
