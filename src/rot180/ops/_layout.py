"""Where images, channels and positions stand in an operand's shape."""

from __future__ import annotations

from typing import Final, Literal

from rot180.errors import ArgumentError

Layout = Literal["channels_first", "channels_last"]
LAYOUTS: Final = ("channels_first", "channels_last")


def check_layout(op: str, layout: str) -> None:
    """Raises ArgumentError unless `layout` is one of the two layouts."""
    if not isinstance(layout, str) or layout not in LAYOUTS:
        raise ArgumentError(
            f"{op}: layout {layout!r} is not known\n"
            '  Use layout="channels_first", (n, c, *spatial), '
            'or layout="channels_last", (n, *spatial, c).'
        )


def channel_axis(layout: Layout, ndim: int) -> int:
    """Returns the channel axis of images with `ndim` axes."""
    return 1 if layout == "channels_first" else ndim - 1


def spatial_axes(layout: Layout, ndim: int) -> tuple[int, ...]:
    """Returns the spatial axes of images with `ndim` axes."""
    start = 2 if layout == "channels_first" else 1
    return tuple(range(start, start + ndim - 2))


def spatial(layout: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the spatial extents of images of that shape."""
    return shape[2:] if layout == "channels_first" else shape[1:-1]


def image_shape(
    layout: Layout, n: int, channels: int, size: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the shape of `n` images with that many channels and positions."""
    if layout == "channels_first":
        return (n, channels, *size)
    return (n, *size, channels)


def filter_axes(layout: Layout, ndim: int) -> tuple[int, int, tuple[int, ...]]:
    """Returns the axes of a filter: output channel, input channel, positions."""
    if layout == "channels_first":
        return 0, 1, tuple(range(2, ndim))
    return ndim - 1, ndim - 2, tuple(range(ndim - 2))


def filter_shape(
    layout: Layout, k: int, c: int, kernel: tuple[int, ...]
) -> tuple[int, ...]:
    """Returns the shape of a filter from `c` channels (of one group) to `k`."""
    return (k, c, *kernel) if layout == "channels_first" else (*kernel, c, k)
