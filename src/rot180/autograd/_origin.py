"""Where a recorded op comes from: the layer, and the pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

FORWARD: Final = "forward"
BACKWARD: Final = "backward"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an op comes from.

    Attributes:
        layer: Its place in the network, such as `3.conv`; empty outside of one.
        pass_: `forward` in a function that is differentiated, `backward` in its
            gradient, empty elsewhere.
        kind: What stands at that place, such as `Conv2d`.
    """

    layer: str = ""
    pass_: str = ""
    kind: str = ""


_current: ContextVar[Origin] = ContextVar("origin", default=Origin())  # noqa: B039


def origin() -> Origin:
    """Where an op comes from that is recorded now."""
    return _current.get()


@contextmanager
def noted(value: Origin) -> Iterator[None]:
    """What the block records comes from there."""
    token = _current.set(value)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def inside(layer: str, kind: str) -> Iterator[None]:
    """What the block records comes from a layer, of a kind, of the one around it."""
    outer = origin()
    path = f"{outer.layer}.{layer}" if outer.layer else layer
    with noted(replace(outer, layer=path, kind=kind)):
        yield


@contextmanager
def during(pass_: str, of: Origin | None = None) -> Iterator[None]:
    """What the block records is a pass of what is recorded now, or comes from `of`."""
    with noted(replace(of or origin(), pass_=pass_)):
        yield
