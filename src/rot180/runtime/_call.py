"""Python callables around compiled code, built at run time.

A call costs 0.3 to 0.4 us with three arrays, against 4 us through ctypes.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import ClassVar, Final

from rot180.codegen._call_ir import ENTRY, IMPORTS, TEAM_IMPORTS, entry_ir
from rot180.program._callspec import CallSpec
from rot180.program._target import Target
from rot180.runtime._compiler import Library, compile_cached
from rot180.runtime._python_symbols import python_symbols
from rot180.runtime._team import team_symbols

METH_FASTCALL = 0x0080


@cache
def call_symbols() -> dict[str, int]:
    """Return the addresses an entry is linked with."""
    python, team = python_symbols(), team_symbols()
    return {name: python[name] for name in IMPORTS} | {
        name: team[name] for name in TEAM_IMPORTS
    }


def build_call(
    key_text: str,
    make_ir: Callable[[], str],
    spec: CallSpec,
    target: Target,
    name: str = "kernel",
) -> Callable[..., None]:
    """Return a callable for a module of jobs, compiled or from the disk cache.

    Args:
        key_text: Says everything the IR depends on besides the target and our code.
        make_ir: Produces the IR of the jobs; called only if it must be compiled.
        spec: The interface of the module.
        target: Processor to compile for.
        name: Name of the callable in tracebacks.

    Raises:
        CompileError: The code cannot be compiled, or cannot run on this processor.
    """
    library = compile_cached(
        f"{key_text}\n{spec!r}",
        lambda: make_ir() + entry_ir(spec, target),
        target,
        call_symbols(),
        (ENTRY,),
    )
    return make_entry(library, spec, name)


def build_kernel(
    key_text: str,
    make: Callable[[], tuple[str, CallSpec]],
    target: Target,
    name: str,
) -> Callable[..., None]:
    """Return a callable whose IR and interface are made only if it must be compiled.

    Args:
        key_text: Says everything the kernel depends on besides the target and our code.
        make: Produces the IR of the jobs and their interface.
        target: Processor to compile for.
        name: Name of the callable in tracebacks.

    Raises:
        CompileError: The code cannot be compiled, or cannot run on this processor.
    """

    def make_ir() -> str:
        text, spec = make()
        return text + entry_ir(spec, target)

    library = compile_cached(key_text, make_ir, target, call_symbols(), (ENTRY,))
    return make_entry(library, None, name)


def make_entry(
    library: Library, spec: CallSpec | None, name: str
) -> Callable[..., None]:
    """Return the entry of `library` as a Python callable.

    It takes the arrays of `spec` in order, then the number of images, and returns
    nothing.  It keeps the library in memory as long as it exists.

    Raises:
        CompileError: The library does not export the entry.
    """
    anchor = Anchor(library, spec, name)
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
    return new(ctypes.addressof(anchor.method), anchor, None)  # type: ignore[no-any-return]


class Anchor:
    """What an entry must not outlive: its code and its description for CPython.

    Attributes:
        library: The code.
        spec: Its interface.
        method: The ``PyMethodDef``.
    """

    __slots__ = ("_name", "library", "method", "spec")

    def __init__(self, library: Library, spec: CallSpec | None, name: str) -> None:
        self.library: Final = library
        self.spec: Final = spec
        self._name: Final = name.encode()
        address = library.address(ENTRY)
        self.method: Final = _MethodDef(self._name, address, METH_FASTCALL, None)

    def __repr__(self) -> str:
        return f"<compiled code of {self._name.decode()}>"


class _MethodDef(ctypes.Structure):
    _fields_: ClassVar = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]
