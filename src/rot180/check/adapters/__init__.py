"""Installed frameworks as subjects: each adapter is a module that judges one of them.

An adapter offers a framework's own functions under the names and options that a subject
has, on NumPy arrays. It imports nothing but the standard library, NumPy and the
framework, so that its text can stand in a script that runs without rot180; `_rot180`
alone is different. What the framework lacks is unsupported, never put together from
other parts, and what the framework computes is handed on as it is.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from rot180.errors import ArgumentError

__all__ = ["READY", "module_name"]

# Every ready adapter, and the line that installs what it needs. PyTorch's build for
# CPUs alone is `pip install torch==2.13.0`, as its adapter says.
READY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "torch": "pip install 'rot180[torch]'",
        "jax": "pip install 'rot180[jax]'",
        "scipy": "pip install 'rot180[scipy]'",
        "onnx": "pip install 'rot180[onnx]'",
        "convnet": "pip install 'rot180[convnet]'",
        "rot180": "pip install rot180",
    }
)


def module_name(name: str) -> str:
    """Returns the full name of the module that adapts a framework.

    It is not imported: importing it raises ImportError, which names the line of
    `READY`, where the framework is not installed.

    Args:
        name: One of `READY`.

    Raises:
        ArgumentError: There is no such adapter.
    """
    if name not in READY:
        raise ArgumentError(
            f"check: there is no adapter {name!r}\n"
            f"  Use one of {', '.join(READY)}, or name a module or a file."
        )
    return f"{__name__}._{name}"
