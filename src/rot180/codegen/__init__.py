"""From a scheduled program to LLVM IR: jobs, the entry that calls them, the team.

What writes jobs is loaded when it is first asked for: a call that finds its kernel in
the disk cache, and `import rot180`, do without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rot180.codegen._emit import Module, emit
    from rot180.codegen._spec import call_spec

_LATER: Final = {"Module": "_emit", "call_spec": "_spec", "emit": "_emit"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = ["Module", "call_spec", "emit"]
