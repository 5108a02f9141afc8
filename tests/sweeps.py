"""Laws over many configurations: some in every run, all of them in the slow one.

What every run takes is drawn like the rest and from the same ranges; it is a smaller
number of the same configurations, not an easier kind.
"""

from typing import Any

import pytest


def parts(count: int, every_run: int = 1) -> list[Any]:
    """Returns numbers of the parts of a sweep; the first few are run every time."""
    later = (pytest.param(n, marks=pytest.mark.slow) for n in range(every_run, count))
    return [*range(every_run), *later]


def amounts(every_run: int, slow: int) -> list[Any]:
    """Returns how many examples are drawn, every time and in the slow run."""
    return [every_run, pytest.param(slow, marks=pytest.mark.slow)]
