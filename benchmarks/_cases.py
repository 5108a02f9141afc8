"""The shapes that are measured: layers of known networks, and a few awkward ones."""

from dataclasses import dataclass
from math import prod


@dataclass(frozen=True, slots=True)
class Case:
    """One convolution of `n` images, `c` to `k` channels; sizes per dimension."""

    name: str
    n: int
    c: int
    size: tuple[int, ...]
    k: int
    kernel: tuple[int, ...]
    stride: int = 1
    padding: tuple[int, ...] = (0,)
    dilation: int = 1
    groups: int = 1
    transposed: bool = False

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def pads(self) -> tuple[int, ...]:
        """Padding of each spatial dimension, the same on both sides."""
        return self.padding if len(self.padding) > 1 else self.padding * self.rank

    @property
    def output_size(self) -> tuple[int, ...]:
        spans = [(r - 1) * self.dilation + 1 for r in self.kernel]
        axes = list(zip(self.size, spans, self.pads, strict=True))
        if self.transposed:
            return tuple((h - 1) * self.stride + r - 2 * p for h, r, p in axes)
        return tuple((h + 2 * p - r) // self.stride + 1 for h, r, p in axes)

    @property
    def flops(self) -> int:
        """Operations of one pass: two for a product, those with the padding counted."""
        positions = prod(self.size if self.transposed else self.output_size)
        return 2 * self.n * positions * self.c * (self.k // self.groups) * self._taps

    @property
    def _taps(self) -> int:
        return prod(self.kernel)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Filter shape, channels first."""
        if self.transposed:
            return (self.c, self.k // self.groups, *self.kernel)
        return (self.k, self.c // self.groups, *self.kernel)


def _plane(
    name: str,
    n: int,
    c: int,
    size: int | tuple[int, int],
    k: int,
    kernel: int | tuple[int, int],
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    *,
    transposed: bool = False,
) -> Case:
    """Return a two-dimensional case; one number stands for both dimensions."""
    sizes = (size, size) if isinstance(size, int) else size
    taps = (kernel, kernel) if isinstance(kernel, int) else kernel
    pads = (padding,)
    return Case(name, n, c, sizes, k, taps, stride, pads, dilation, groups, transposed)


def _depthwise(
    name: str, n: int, c: int, size: int, kernel: int, stride: int = 1
) -> Case:
    """Return a depthwise case with the padding that keeps the size at stride 1."""
    return _plane(name, n, c, size, c, kernel, stride, kernel // 2, groups=c)


# What the project promises numbers for: 3x3 dense layers and depthwise ones.
CORE = (
    _plane("dense3x3.64", 8, 64, 56, 64, 3, 1, 1),
    _plane("dense3x3.128", 8, 128, 28, 128, 3, 1, 1),
    _plane("dense3x3.256", 8, 256, 14, 256, 3, 1, 1),
    _plane("dense3x3.512", 8, 512, 7, 512, 3, 1, 1),
    _depthwise("depthwise3x3.96", 8, 96, 112, 3),
    _depthwise("depthwise5x5.120", 8, 120, 28, 5),
    _depthwise("depthwise7x7.96", 8, 96, 56, 7),
)

# n, c, size, k, kernel, stride, padding, dilation, groups
NETWORKS = (
    _plane("lenet.c1", 64, 1, 28, 6, 5, 1, 2),
    _plane("lenet.c1.b1", 1, 1, 28, 6, 5, 1, 2),
    _plane("lenet.c2", 64, 6, 14, 16, 5),
    _plane("mnist.c32", 64, 32, 26, 64, 3),
    _plane("rn20.s1", 128, 16, 32, 16, 3, 1, 1),
    _plane("rn20.s2", 128, 32, 16, 32, 3, 1, 1),
    _plane("rn20.s3", 128, 64, 8, 64, 3, 1, 1),
    _plane("airb.c256", 50, 256, 15, 256, 3, 1, 1),
    _plane("rn50.c1", 8, 3, 224, 64, 7, 2, 3),
    _plane("rn50.2b", 8, 64, 56, 64, 3, 1, 1),
    _plane("rn50.2c", 8, 64, 56, 256, 1),
    _plane("rn50.2a", 8, 256, 56, 64, 1),
    _plane("rn50.3b", 8, 128, 56, 128, 3, 2, 1),
    _plane("rn50.3d", 8, 256, 56, 512, 1, 2),
    _plane("rn50.4b", 8, 256, 14, 256, 3, 1, 1),
    _plane("rn50.5b", 8, 512, 7, 512, 3, 1, 1),
    _plane("vgg.1_1", 4, 3, 224, 64, 3, 1, 1),
    _plane("vgg.1_2", 2, 64, 224, 64, 3, 1, 1),
    _plane("vgg.5", 8, 512, 14, 512, 3, 1, 1),
    _plane("goog.5x5", 16, 192, 28, 32, 5, 1, 2),
    _plane("ds.1", 4, 1, (161, 700), 32, (5, 20), 2),
    _plane("face.1", 8, 3, 108, 64, 3, 2, 1),
    _depthwise("mbv2.dw112", 8, 32, 112, 3),
    _depthwise("mbv2.dw56s2", 8, 96, 112, 3, 2),
    _depthwise("mbv2.dw14", 8, 576, 14, 3),
    _plane("mbv2.pw", 8, 144, 56, 24, 1),
    _depthwise("mbv3.dw5", 8, 120, 28, 5),
    _depthwise("effb0.dw5s2", 8, 144, 56, 5, 2),
    _depthwise("cnx.dw7", 8, 96, 56, 7),
    _depthwise("cnx.dw7s3", 8, 384, 14, 7),
    _plane("cnx.stem", 8, 3, 224, 96, 4, 4),
    _depthwise("replk.31", 2, 128, 56, 31),
    _plane("rnext.g32", 8, 128, 56, 128, 3, 1, 1, groups=32),
    _plane("regnet.g16", 8, 256, 14, 256, 3, 1, 1, groups=16),
    _plane("dlab.d6", 2, 256, 33, 256, 3, 1, 6, 6),
    _plane("dlab.dws2", 2, 64, 28, 64, 3, 2, 2, 2),
    Case("wavenet.d512", 4, 32, (16384,), 32, (2,), 1, (0,), 512),
    Case("tcn.d32", 32, 25, (784,), 25, (7,), 1, (192,), 32),
    Case("m5.c1", 16, 1, (8000,), 64, (80,), 4, (38,)),
    Case("genomics", 2, 15, (60000,), 15, (51,), 1, (200,), 8),
    Case("mamba.k4", 4, 1536, (2048,), 1536, (4,), 1, (3,), 1, 1536),
    Case("c3d.1", 1, 3, (16, 112, 112), 64, (3, 3, 3), 1, (1,)),
    Case("c3d.3a", 1, 128, (8, 28, 28), 256, (3, 3, 3), 1, (1,)),
    Case("r21d.s", 1, 64, (8, 56, 56), 144, (1, 3, 3), 1, (0, 1, 1)),
    Case("r21d.t", 1, 144, (8, 56, 56), 64, (3, 1, 1), 1, (1, 0, 0)),
    _plane("unet.up", 1, 1024, 28, 512, 2, 2, transposed=True),
    _plane("dcgan.t", 16, 256, 16, 128, 4, 2, 1, transposed=True),
    _plane("out1", 2, 64, 112, 1, 3, 1, 1),
    _plane("odd", 8, 13, (29, 31), 17, 3, 1, 1),
)

CASES = CORE + NETWORKS


def select(names: str) -> tuple[Case, ...]:
    """Return the cases of a comma-separated list; `core`, `networks`, `all` are sets.

    Raises:
        ValueError: a name stands for no case.
    """
    sets = {"core": CORE, "networks": NETWORKS, "all": CASES}
    sets |= {case.name: (case,) for case in CASES}
    unknown = [name for name in names.split(",") if name not in sets]
    if unknown:
        raise ValueError(f"no case named {unknown[0]!r}; there are {', '.join(sets)}")
    return tuple(case for name in names.split(",") for case in sets[name])
