"""Addresses of what compiled code uses of CPython, resolved when it is linked."""

import ctypes
from functools import cache

FUNCTIONS = (
    "PyBuffer_Release",
    "PyErr_CheckSignals",
    "PyErr_NoMemory",
    "PyErr_Occurred",
    "PyErr_SetString",
    "PyEval_RestoreThread",
    "PyEval_SaveThread",
    "PyLong_AsSsize_t",
    "PyMem_RawFree",
    "PyMem_RawMalloc",
    "PyObject_CallNoArgs",
    "PyObject_GetBuffer",
    "PyThread_acquire_lock",
    "PyThread_acquire_lock_timed",
    "PyThread_get_thread_ident",
    "PyThread_release_lock",
    "Py_DecRef",
    "Py_IncRef",
)
# _Py_NoneStruct is the object itself; the others are variables that point to one.
VARIABLES = (
    "PyExc_RuntimeError",
    "PyExc_TypeError",
    "PyExc_ValueError",
    "_Py_NoneStruct",
)


@cache
def python_symbols() -> dict[str, int]:
    """Return the address of every name in `FUNCTIONS` and `VARIABLES`."""
    api = ctypes.pythonapi
    found = {
        name: ctypes.cast(getattr(api, name), ctypes.c_void_p).value or 0
        for name in FUNCTIONS
    }
    for name in VARIABLES:
        found[name] = ctypes.addressof(ctypes.c_char.in_dll(api, name))
    return found
