"""The least a step can take: multiply-adds over the peak, bytes over the bandwidth.

What is counted, and nothing else, of each convolution and linear layer: forward its
multiply-adds, its input and filter read, its output written; backward those of both
gradients, its output gradient, input and filter read, its input gradient written.  The
first layer has no input gradient.  Of each parameter, for the update: it and its
momentum read and written.  Batch norm, ReLU, pooling, additions and the loss are free.

Arrays that stay in a cache from one layer to the next are counted all the same, and
both sums are added as if neither could hide behind the other: a small network may come
closer to its floor than a large one, and even below.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

BYTES = 4  # of a float32
# Far larger than the caches of any core; what matters is that neither array fits.
COPIED = 64 * 2**20
COPIES = 5


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution or linear layer, by the shapes it works on.

    Attributes:
        x: Shape of its input.
        w: Shape of its filter, `(k, ...)`, the rest being summed for each output.
        y: Shape of its output.
        is_first: Whether nothing asks for its input gradient.
    """

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]
    is_first: bool = False

    @property
    def macs(self) -> int:
        """Multiply-adds of one pass; those with padding are counted as well."""
        return math.prod(self.y) * math.prod(self.w[1:])

    @property
    def backward_passes(self) -> int:
        return 1 if self.is_first else 2

    @property
    def forward_bytes(self) -> int:
        return BYTES * sum(map(math.prod, (self.x, self.w, self.y)))

    @property
    def backward_bytes(self) -> int:
        """Return those of `dy` and `x`, and of `w` and `dx` where `dx` is wanted."""
        x, w, y = map(math.prod, (self.x, self.w, self.y))
        return BYTES * (y + x + (0 if self.is_first else w + x))


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be done, in multiply-adds and bytes."""

    macs: int
    bytes: int

    def seconds(self, gflops: float, gbytes: float) -> float:
        """Return the floor for a peak in GFLOP/s and a bandwidth in GB/s."""
        return 2 * self.macs / (gflops * 1e9) + self.bytes / (gbytes * 1e9)


def inference(layers: Sequence[Layer]) -> Work:
    """Return the work of a forward pass."""
    return Work(
        sum(layer.macs for layer in layers),
        sum(layer.forward_bytes for layer in layers),
    )


def training(layers: Sequence[Layer], parameters: int) -> Work:
    """Return the work of a step, the update of all `parameters` included."""
    forward = inference(layers)
    macs = sum(layer.macs * layer.backward_passes for layer in layers)
    moved = sum(layer.backward_bytes for layer in layers)
    return Work(forward.macs + macs, forward.bytes + moved + 4 * BYTES * parameters)


def bandwidth_reader(threads: int) -> Callable[[], float]:
    """Return a function that reads GB/s, read and written, of `threads` copies.

    A reading is the best of `COPIES`: a copy lasts long enough to be interrupted on a
    busy machine, and what is asked for is what the memory can do.
    """
    size = COPIED // BYTES
    pairs = [
        (np.ones(size, np.float32), np.zeros(size, np.float32)) for _ in range(threads)
    ]
    _copy_seconds(pairs)  # the system hands out the pages

    def read() -> float:
        seconds = min(_copy_seconds(pairs) for _ in range(COPIES))
        return 2 * COPIED * threads / seconds / 1e9

    return read


def _copy_seconds(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    team = [threading.Thread(target=np.copyto, args=(b, a)) for a, b in pairs]
    start = time.perf_counter()
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    return time.perf_counter() - start
