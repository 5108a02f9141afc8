"""From LLVM IR text to callable machine code, and the objects remembered on disk."""

import atexit
import ctypes
import hashlib
import importlib.util
import itertools
import mmap
import os
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from rot180.errors import CompileError
from rot180.program._target import Target
from rot180.runtime import _cpu
from rot180.runtime._locks import fork_safe_lock
from rot180.runtime._object_cache import ObjectCache, object_cache

# LLVM may turn a loop into a call of one of these, whatever the text says.
LIBC_SYMBOLS = ("memcpy", "memmove", "memset")
# More than compiling or linking one kernel takes.
_WORKING_BYTES = 1 << 26

_lock = fork_safe_lock()
_names = itertools.count()
_exiting = threading.Event()


class Library:
    """Machine code in memory, unloaded when the last reference is dropped."""

    __slots__ = ("__weakref__", "_addresses", "_tracker")

    def __init__(self, tracker: Any, addresses: Mapping[str, int]) -> None:
        self._tracker = tracker
        self._addresses = dict(addresses)

    def address(self, name: str) -> int:
        """Return the address of the exported symbol `name`.

        Raises:
            CompileError: The library does not export it, or is closed.
        """
        try:
            return self._addresses[name]
        except KeyError:
            known = ", ".join(self._addresses) or "nothing, it is closed"
            raise CompileError(
                f"load: no symbol {name!r} in this library\n  It exports {known}."
            ) from None

    def close(self) -> None:
        """Unload the code; no address taken from it may be used any more."""
        self._addresses = {}
        tracker, self._tracker = self._tracker, None
        # While the interpreter ends, other threads may still be inside the code.
        if tracker is not None and not _exiting.is_set():
            with _lock:
                tracker.close()

    def __del__(self, ending: Callable[[], bool] = sys.is_finalizing) -> None:
        if not ending():  # then this module's names may be gone already
            self.close()


def _check_memory() -> None:
    """Stays clear of LLVM where it would end the process for want of memory.

    Raises:
        MemoryError: There is not enough at the moment.
    """
    try:
        mmap.mmap(-1, _WORKING_BYTES).close()
    except OSError as error:
        raise MemoryError("there is no memory to compile or load a kernel") from error


def compile_object(ir_text: str, target: Target) -> bytes:
    """Compile `ir_text` for `target` into a relocatable object file.

    LLVM's own vectorisers and unroller stay out: the text already says what the
    code should be.

    Raises:
        CompileError: LLVM rejects the text or cannot emit code for the target.
    """
    with _lock:
        _check_memory()
        machine = _machine(target)
        with _optimised(ir_text, target, machine) as module:
            return bytes(machine.emit_object(module))


def compile_assembly(ir_text: str, target: Target) -> str:
    """Compile `ir_text` for `target` into assembly text.

    Raises:
        CompileError: LLVM rejects the text or cannot emit code for the target.
    """
    with _lock:
        machine = _machine(target)
        with _optimised(ir_text, target, machine) as module:
            return str(machine.emit_assembly(module))


def load(
    object_bytes: bytes, symbols: Mapping[str, int], exports: Iterable[str]
) -> Library:
    """Link an object file into this process.

    Args:
        object_bytes: The object file.
        symbols: Addresses of the external symbols it names.
        exports: Symbols whose addresses are wanted.

    Raises:
        CompileError: The object is of another machine, or a symbol is missing.
    """
    with _lock:
        _check_memory()
        builder = _llvm().JITLibraryBuilder()
        builder.add_object_img(object_bytes)
        for name, address in (_libc_symbols() | dict(symbols)).items():
            builder.import_symbol(name, address)
        wanted = tuple(exports)
        for name in wanted:
            builder.export_symbol(name)
        try:
            tracker = builder.link(_jit(), f"rot180.{next(_names)}")
        except RuntimeError as error:
            raise CompileError(f"load: the object cannot be linked: {error}") from error
        return Library(tracker, {name: tracker[name] for name in wanted})


def compile_cached(
    key_text: str,
    make_ir: Callable[[], str],
    target: Target,
    symbols: Mapping[str, int],
    exports: Iterable[str],
) -> Library:
    """Return the library described by `key_text`, from the disk cache if it is there.

    Args:
        key_text: Says everything the IR depends on besides the target and our code.
        make_ir: Produces the IR; called only when the cache has no valid entry.
        target: Processor to compile for; must be one this process can run on.
        symbols: Addresses of the external symbols the code names.
        exports: Symbols whose addresses are wanted.

    Raises:
        CompileError: The code cannot be compiled, or cannot run on this processor.
    """
    if not _cpu.is_runnable(target):
        raise CompileError(
            f"compile: code for target {target.name!r} ({target.triple}) cannot run"
            f" on this processor, {_cpu.detect().name}\n"
            "  Emit it with compile_object or force another target."
        )
    wanted = tuple(exports)
    store = object_cache()
    try:
        key = object_key(key_text, target)
    except OSError as error:  # our own code cannot be read: nothing to know it by
        store, key = ObjectCache(None, reason=str(error)), ""
    known = _load_stored(store, key, symbols, wanted)
    if known is not None:
        return known
    code = compile_object(make_ir(), target)
    store.write(key, code)
    return load(code, symbols, wanted)


def object_key(key_text: str, target: Target) -> str:
    """Return the cache key: everything that can change the object, digested."""
    parts = (key_text, repr(target), source_digest(), _versions())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@cache
def source_digest() -> str:
    """Return a digest of our own code that takes part in making objects.

    The package itself is among it, for its version.
    """
    package, *_ = __name__.partition(".")
    rooms = ("program", "lower", "schedules", "codegen", "runtime")
    return digest_modules((package,), tuple(f"{package}.{room}" for room in rooms))


def digest_modules(modules: Iterable[str], packages: Iterable[str]) -> str:
    """Return a digest of modules, and of packages with all that is in them.

    Their contents come from whatever loads them: a file of source, one of bytecode
    alone, a member of a ZIP file.

    Raises:
        OSError: The loader cannot give one of them.
    """
    names = [*modules]
    for package in packages:
        path = importlib.import_module(package).__path__
        inside = pkgutil.walk_packages(path, f"{package}.")
        names += [package, *(module.name for module in inside)]
    digest = hashlib.sha256()
    for name in sorted(names):
        content = _content(name)
        digest.update(f"{name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def _content(name: str) -> bytes:
    spec = importlib.util.find_spec(name)
    read = getattr(spec and spec.loader, "get_data", None)
    if spec is None or spec.origin is None or read is None:
        raise OSError(f"{name} has no loader that gives its contents")
    content: bytes = read(spec.origin)
    return content


def _load_stored(
    store: ObjectCache, key: str, symbols: Mapping[str, int], exports: tuple[str, ...]
) -> Library | None:
    code = store.read(key)
    if code is None:
        return None
    try:
        return load(code, symbols, exports)
    except CompileError:
        return None


@cache
def _versions() -> tuple[str, ...]:
    import llvmlite

    abi = f"{sys.implementation.cache_tag}{getattr(sys, 'abiflags', '')}"
    llvm = ".".join(map(str, _llvm().llvm_version_info))
    return str(llvmlite.__version__), llvm, abi, sys.platform, str(sys.maxsize)


@cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


@cache
def _all_targets() -> None:
    llvm = _llvm()
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


@cache
def _machine(target: Target) -> Any:
    if target.triple != _cpu.host_triple():
        _all_targets()
    try:
        found = _llvm().Target.from_triple(target.triple)
    except RuntimeError as error:
        raise CompileError(
            f"compile: LLVM has no target {target.triple}: {error}"
        ) from error
    # Position-independent: imported addresses lie anywhere in 64 bits.
    return found.create_target_machine(
        cpu=target.cpu,
        features=target.features,
        opt=3,
        reloc="pic",
        codemodel="small",
    )


def _optimised(ir_text: str, target: Target, machine: Any) -> Any:
    llvm = _llvm()
    try:
        module = llvm.parse_assembly(ir_text)
        module.triple = target.triple
        module.data_layout = str(machine.target_data)
        module.verify()
    except RuntimeError as error:
        raise CompileError(f"compile: LLVM rejects the module: {error}") from error
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options())
    passes = llvm.create_new_module_pass_manager()
    # The text is near what the machine shall run; these tidy it up. LLVM's own
    # pipeline made no kernel faster, took 58 instead of 35 ms for a dense 3x3
    # forward pass (EPYC with AVX-512) and never gave back 98 instead of 4 kB a
    # kernel. NewGVN is left out: it made a pooling kernel, whose loads are guarded,
    # give wrong results.
    passes.add_simplify_cfg_pass()
    passes.add_sroa_pass()
    passes.add_instruction_combine_pass()
    passes.add_simplify_cfg_pass()
    passes.run(module, builder)
    return module


@cache
def _jit() -> Any:
    # JITLink returns memory on unload: 0.1 kB a library stays over 500 loads and
    # drops, and 8 kB is held while loaded, against 48 kB with the older linker
    # (measured, Linux x86-64).
    machine = _machine(_cpu.detect().target)
    return _llvm().create_lljit_compiler(
        machine, use_jit_link=os.name != "nt", suppress_errors=True
    )


@cache
def _libc_symbols() -> dict[str, int]:
    libc = ctypes.CDLL("msvcrt") if os.name == "nt" else ctypes.CDLL(None)
    found = {name: _address(getattr(libc, name)) for name in LIBC_SYMBOLS}
    if os.name == "nt":
        found["_fltused"] = found["memset"]
    return found


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


atexit.register(_exiting.set)
