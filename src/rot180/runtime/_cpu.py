"""The processor at hand: vector width, registers, caches, usable cores."""

import hashlib
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from rot180.errors import ArgumentError
from rot180.program._target import Target

Family = Literal["avx512", "avx2", "neon", "baseline"]

FAMILIES: tuple[Family, ...] = ("avx512", "avx2", "neon", "baseline")
VECTOR_BYTES = {"avx512": 64, "avx2": 32, "neon": 16, "baseline": 16}
REGISTERS = {"avx512": 32, "avx2": 16, "neon": 32, "baseline": 16}
AVX512_FEATURES = frozenset(["avx512f", "avx512vl", "avx512bw", "avx512dq", "fma"])
AVX2_FEATURES = frozenset(["avx2", "fma"])
X86_CPU = {"avx512": "x86-64-v4", "avx2": "x86-64-v3", "baseline": "x86-64"}
X86_MACHINES = frozenset(["x86_64", "amd64"])
ARM_MACHINES = frozenset(["aarch64", "arm64"])
SYSFS_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")

# Where the system does not tell: small enough to be true of any server or laptop.
DEFAULT_L1, DEFAULT_L2, DEFAULT_L3 = 32 << 10, 512 << 10, 8 << 20


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor: what to emit for it, and the caches to schedule for.

    Attributes:
        name: LLVM processor name.
        family: Kind of vector unit.
        target: The same, as the kernels see it.
        l1: Bytes of first-level data cache of one core.
        l2: Bytes of second-level cache of one core.
        l3: Bytes of third-level cache.
        cores: Cores this process may use.
        fingerprint: Differs whenever compiled code or its schedule may differ.
    """

    name: str
    family: Family
    target: Target
    l1: int
    l2: int
    l3: int
    cores: int
    fingerprint: str

    @property
    def features(self) -> str:
        """LLVM feature string, sorted by name."""
        return self.target.features

    @property
    def vector_bytes(self) -> int:
        """Bytes of one vector register."""
        return self.target.vector_bytes

    @property
    def registers(self) -> int:
        """Number of vector registers."""
        return self.target.registers

    @property
    def has_fma(self) -> bool:
        """Whether a fused multiply-add is one instruction."""
        return self.target.has_fma

    def lanes(self, dtype: str) -> int:
        """Elements of `dtype` in one vector register."""
        return self.target.lanes(dtype)


@cache
def detect() -> Cpu:
    """Return the processor this process runs on."""
    llvm = _binding()
    cpu, features = _host(llvm)
    family = _family_of(features)
    return _make_cpu(
        family=family,
        triple=host_triple(),
        cpu=cpu,
        features=_feature_string(features),
    )


def _host(llvm: Any) -> tuple[str, dict[str, bool]]:
    """Name and features of the processor; the least there is where LLVM knows none."""
    try:
        features = dict(llvm.get_host_cpu_features())
    except RuntimeError:
        features = {}
    return (str(llvm.get_host_cpu_name()), features) if features else ("generic", {})


@cache
def for_family(name: str) -> Cpu:
    """Return a generic processor of family `name`, with this machine's caches.

    ``neon`` on an x86 machine, and the x86 families elsewhere, are cross targets:
    code for them is emitted and verified but cannot be run.

    Raises:
        ArgumentError: `name` is not a family.
    """
    if name not in FAMILIES:
        raise ArgumentError(
            f"force_target: no target is called {name!r}\n"
            f"  The targets are {', '.join(FAMILIES)}."
        )
    family: Family = name
    if family == "neon" or (family == "baseline" and not _is_machine(X86_MACHINES)):
        arch = "aarch64-unknown-linux-gnu"
        triple = arch if _is_machine(X86_MACHINES) else host_triple()
        return _make_cpu(family=family, triple=triple, cpu="generic", features="")
    triple = host_triple() if _is_machine(X86_MACHINES) else "x86_64-unknown-linux-gnu"
    features = "-prefer-256-bit" if family == "avx512" else ""
    return _make_cpu(
        family=family, triple=triple, cpu=X86_CPU[family], features=features
    )


def is_runnable(target: Target) -> bool:
    """Whether code for `target` runs on this processor."""
    host = detect()
    if target == host.target:
        return True
    if target.triple != host.target.triple:
        return False
    order = ("baseline", "avx2", "avx512")
    if host.family in order and target.name in order:
        return order.index(target.name) <= order.index(host.family)
    return target.cpu == "generic"


def current() -> Cpu:
    """Return the forced processor if there is one, otherwise the one detected."""
    forced = _forced
    return forced if forced is not None else detect()


@contextmanager
def force_target(name: str) -> Iterator[Cpu]:
    """Compile for family `name` in every thread while the context is open.

    Args:
        name: ``avx512``, ``avx2``, ``neon`` or ``baseline``.

    Raises:
        ArgumentError: `name` is not a family.
    """
    global _forced
    cpu = for_family(name)
    with _force_lock:
        before, _forced = _forced, cpu
    try:
        yield cpu
    finally:
        with _force_lock:
            _forced = before


def available_cores() -> int:
    """Return the number of cores this process may use, at least one."""
    count = getattr(os, "process_cpu_count", None)
    if count is not None:
        return count() or 1
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):  # a sandbox may forbid to ask
            return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def host_triple() -> str:
    """Return the LLVM triple of code that runs in this process."""
    triple = str(_binding().get_process_triple())
    # The loader on Windows wants ELF objects.
    return f"{triple}-elf" if os.name == "nt" else triple


_forced: Cpu | None = None
_force_lock = threading.Lock()


def _renew_lock() -> None:
    global _force_lock
    _force_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _binding() -> Any:
    # Importing llvmlite takes 45 ms, so only what compiles pays for it.
    import llvmlite.binding

    return llvmlite.binding


def _is_machine(machines: frozenset[str]) -> bool:
    return platform.machine().lower() in machines


def _family_of(features: dict[str, bool]) -> Family:
    present = {name for name, there in features.items() if there}
    if present >= AVX512_FEATURES:
        return "avx512"
    if present >= AVX2_FEATURES:
        return "avx2"
    return "neon" if _is_machine(ARM_MACHINES) else "baseline"


def _feature_string(features: dict[str, bool]) -> str:
    known = {k: v for k, v in features.items() if k != "prefer-256-bit"}
    if _is_machine(X86_MACHINES):
        known["prefer-256-bit"] = False
    return ",".join(f"{'+' if known[name] else '-'}{name}" for name in sorted(known))


def _make_cpu(*, family: Family, triple: str, cpu: str, features: str) -> Cpu:
    target = Target(
        name=family,
        triple=triple,
        cpu=cpu,
        features=features,
        vector_bytes=VECTOR_BYTES[family],
        registers=REGISTERS[family],
        has_fma=family != "baseline",
    )
    l1, l2, l3 = _caches()
    text = repr((target, l1, l2, l3))
    return Cpu(
        name=cpu,
        family=family,
        target=target,
        l1=l1,
        l2=l2,
        l3=l3,
        cores=available_cores(),
        fingerprint=hashlib.sha256(text.encode()).hexdigest()[:16],
    )


@cache
def _caches() -> tuple[int, int, int]:
    sizes = {1: DEFAULT_L1, 2: DEFAULT_L2, 3: DEFAULT_L3}
    for entry in sorted(SYSFS_CACHES.glob("index*")):
        try:
            if (entry / "type").read_text().strip() != "Instruction":
                level = int((entry / "level").read_text())
                sizes[level] = _parse_size((entry / "size").read_text())
        except (OSError, ValueError):
            continue
    return sizes[1], sizes[2], sizes[3]


def _parse_size(text: str) -> int:
    text = text.strip()
    units = {"K": 10, "M": 20, "G": 30}
    shift = units.get(text[-1:], 0)
    return int(text[:-1] if shift else text) << shift
