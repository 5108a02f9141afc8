"""Locks that a fork waits for, so that no child inherits one in use."""

import os
import threading

__all__ = ["fork_safe_lock"]


def fork_safe_lock() -> threading.RLock:
    """Returns a lock for the life of the process, free in every forked child.

    A fork takes it first, so that a child never sees what it guards half changed.  For
    locks of modules, which are never freed; a lock of an object would stay registered.
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire,
            after_in_parent=lock.release,
            after_in_child=lock.release,
        )
    return lock
