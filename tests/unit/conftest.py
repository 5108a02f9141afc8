"""What tests of several rooms take for granted."""

import pytest

from rot180.check import _run


@pytest.fixture
def fixed_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the check end after what is fixed, however long that takes here."""
    monkeypatch.setattr(_run._Run, "_judge_random", lambda run, rest: None)
