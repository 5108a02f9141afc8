"""Compiling and running kernels: processors, code, threads, settings."""

from rot180.runtime import _cpu as cpu
from rot180.runtime._arrays import as_operand, plain_array
from rot180.runtime._choose import (
    candidates,
    chosen,
    fall_back,
    force_reference,
    force_schedule,
    force_target,
    is_compiling,
    on_change,
    target,
)
from rot180.runtime._compiler import compile_assembly
from rot180.runtime._kernel import Call, kernel
from rot180.runtime._locks import fork_safe_lock
from rot180.runtime._object_cache import cache_info, object_cache
from rot180.runtime._team import get_num_threads, set_num_threads

__all__ = [
    "Call",
    "as_operand",
    "cache_info",
    "candidates",
    "chosen",
    "compile_assembly",
    "cpu",
    "fall_back",
    "force_reference",
    "force_schedule",
    "force_target",
    "fork_safe_lock",
    "get_num_threads",
    "is_compiling",
    "kernel",
    "object_cache",
    "on_change",
    "plain_array",
    "set_num_threads",
    "target",
]
