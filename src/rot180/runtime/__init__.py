"""Compiling and running operations: processors, code, threads, choices."""

from rot180.runtime import _cpu as cpu
from rot180.runtime import _reference as reference
from rot180.runtime._choose import (
    force_reference,
    force_schedule,
    force_target,
    on_change,
)
from rot180.runtime._execute import (
    Call,
    Runner,
    as_operand,
    call_for,
    plain_array,
    run,
)
from rot180.runtime._locks import fork_safe_lock
from rot180.runtime._object_cache import cache_info, object_cache
from rot180.runtime._plan import Plan, plan_of
from rot180.runtime._team import get_num_threads, set_num_threads

__all__ = [
    "Call",
    "Plan",
    "Runner",
    "as_operand",
    "cache_info",
    "call_for",
    "cpu",
    "force_reference",
    "force_schedule",
    "force_target",
    "fork_safe_lock",
    "get_num_threads",
    "object_cache",
    "on_change",
    "plain_array",
    "plan_of",
    "reference",
    "run",
    "set_num_threads",
]
