"""Optional packages, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from rot180.errors import MissingPackageError


def need(package: str) -> Any:
    """Returns an optional package.

    Raises:
        MissingPackageError: It is not installed; says how to get it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"explain: {package} is not installed\n  Run: pip install 'rot180[explain]'"
        ) from error
